"""What the pages say of who is gone, tried in a network of one's own: a caller without a cable, a machine not there."""

from __future__ import annotations

import errno
import json
import os
import shutil
import subprocess
import sys

import pytest

from tests.helpers.course import COURSE, GUARD

# In a network of its own. Each server gets a caller that sends and never reads, until the buffers are full; then this
# caller's address is gone. The server sends again, is told, and must be there for the next caller.
DRIVER = """
import contextlib, json, socket, subprocess, sys, threading
from pathlib import Path

def ip(*words):
    subprocess.run(["ip", *words, "dev", "lo"], check=True)

def start(program, *arguments):
    command = [sys.executable, "-u", "-B", program, "127.0.0.1", "0", *arguments]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    stack.enter_context(server)
    stack.callback(server.kill)
    where = "127.0.0.1", int(server.stdout.readline().rsplit(maxsplit=1)[1])
    threading.Thread(target=server.stdout.read, daemon=True).start()  # a full pipe would stop it, too
    return where

def flood(where, said):
    caller = stack.enter_context(socket.create_connection(where, source_address=("192.0.2.1", 0)))
    caller.setblocking(False)
    with contextlib.suppress(BlockingIOError):
        while True:
            caller.send(said * 10_000)
    return caller

def known(where, caller):
    ends = f":{where[1]:04X}", f":{caller.getsockname()[1]:04X}"
    lines = Path("/proc/net/tcp").read_text().splitlines()[1:]
    return any(tuple(field[-5:] for field in line.split()[1:3]) == ends for line in lines)

def is_there(where, said, answer):
    with socket.create_connection(where, 60) as caller, caller.makefile("rb") as answers:
        caller.sendall(said)
        caller.shutdown(socket.SHUT_WR)
        return answer in answers.read()

with contextlib.ExitStack() as stack:
    ip("link", "set", "up")
    ip("address", "add", "192.0.2.1/32")
    Path("/proc/sys/net/ipv4/tcp_retries2").write_text("1")  # to give up takes a second, not a quarter of an hour
    calls = []
    for program, said, answer, *arguments in json.load(sys.stdin):
        where = start(program, *arguments)
        calls.append((program, where, said.encode(), answer.encode(), flood(where, said.encode())))
    ip("address", "delete", "192.0.2.1/32")
    for program, where, said, answer, caller in calls:
        with contextlib.suppress(OSError):
            while (served := is_there(where, said, answer)) and known(where, caller):
                served = False
        if not served:
            print(program)
"""
TO_NOBODY = """
import socket, subprocess

def ip(*words):
    subprocess.run(["ip", *words], check=True)

ip("link", "set", "lo", "up")  # by which the kernel tells its own
ip("link", "add", "here", "type", "veth", "peer", "name", "there")
ip("link", "set", "here", "up")
ip("link", "set", "there", "up")
ip("address", "add", "192.0.2.1/24", "dev", "here")
IP_RECVERR = 11
with socket.socket(type=socket.SOCK_DGRAM) as asked, socket.socket(type=socket.SOCK_DGRAM) as connected:
    asked.setsockopt(socket.IPPROTO_IP, IP_RECVERR, 1)
    for sock in (connected, asked):
        sock.connect(("192.0.2.7", 9))
        sock.send(b"anybody?")
    try:
        asked.settimeout(60)
        asked.recv(1)  # until the kernel has given up asking who 192.0.2.7 is
    except OSError as error:
        print(error.strerror)
    print("connected:", connected.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR), connected.send(b"anybody?"))
"""
SERVERS = [
    ("02-phone-call/echo_server.py", "hello\n", "HELLO"),
    ("03-bytes-and-text/hello_server.py", "hello\n", "你好"),
    ("04-hotline/one_line_server.py", "hello\n", "I did not"),
    ("06-sticky-packets/prefix_server.py", "\0\0\0\6hello\n", "HELLO"),
    ("06-sticky-packets/header_server.py", '\0\0\0\x0b{"size": 1}\n', "md5"),
    (
        "08-many-at-once/pool_server.py",
        "hello\n",
        "HELLO",
        "1",
        "1",
    ),  # one worker, who must outlive his caller
    ("08-many-at-once/selectors_server.py", "hello\n", "HELLO"),
    ("08-many-at-once/epoll_server.py", "hello\n", "HELLO"),
]


@pytest.fixture
def alone() -> list[str]:
    """How a command is run in a network of its own, from which no process of it escapes."""
    command = [
        "unshare",
        "--net",
        "--pid",
        "--fork",
        "--kill-child",
        *["--map-root-user"] * (os.geteuid() != 0),
    ]
    if sys.platform != "linux" or not all(map(shutil.which, ("unshare", "ip"))):
        pytest.skip("a network of one's own needs Linux with unshare and ip")
    up = ["ip", "link", "set", "lo", "up"]
    if subprocess.run([*command, *up], capture_output=True, check=False).returncode:
        pytest.skip("a network of one's own is not permitted here")
    return command


def test_a_caller_whose_cable_is_pulled_takes_no_server_along(alone: list[str]) -> None:
    calls = [(str(COURSE / program), *words) for program, *words in SERVERS]
    done = subprocess.run(
        [*alone, sys.executable, "-X", "utf8", "-c", DRIVER], input=json.dumps(calls), stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, encoding="utf-8", timeout=GUARD, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (0, "")


def test_a_datagram_to_a_machine_that_is_not_there_brings_no_error_unless_one_asks_for_it(
    alone: list[str],
) -> None:
    done = subprocess.run(
        [*alone, sys.executable, "-c", TO_NOBODY], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, encoding="utf-8",
        timeout=GUARD, check=False,
    )  # fmt: skip
    assert done.stdout.splitlines() == [os.strerror(errno.EHOSTUNREACH), "connected: 0 8"]
