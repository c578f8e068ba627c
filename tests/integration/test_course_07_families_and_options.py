"""Lesson 07 of the course: families and options."""

from __future__ import annotations

import re
import socket
import sys
from pathlib import Path

import pytest

from tests.helpers.course import run, running, shown

linux = pytest.mark.skipif(sys.platform != "linux", reason="what is expected here is what Linux does")


def _can_be_made(family: int, kind: int, protocol: int = 0) -> bool:
    try:
        socket.socket(family, kind, protocol).close()
    except OSError:
        return False
    return True


@linux
def test_each_family_and_type_is_tried_and_sock_rdw_is_nowhere() -> None:
    *lines, last = run("07-families-and-options/families.py")
    made = {(line.split()[0], line.split()[1]): line.split(maxsplit=2)[2] for line in lines}
    assert len(made) == 15
    assert {
        made["AF_INET", "SOCK_STREAM"],
        made["AF_INET", "SOCK_DGRAM"],
        made["AF_UNIX", "SOCK_SEQPACKET"],
    } == {"yes"}
    assert made["AF_INET", "SOCK_SEQPACKET"] != "yes"
    assert made["AF_INET", "SOCK_RDM"] != "yes"
    raw = _can_be_made(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)
    assert (made["AF_INET", "SOCK_RAW"] == "yes") == raw
    page = shown("07-families-and-options", "families.py")
    assert last == page[-1] == "socket.SOCK_RDW exists: False"
    assert {line for line in page if "RDM" in line} <= set(lines)


def test_a_unix_socket_has_a_name_and_can_be_started_again_over_it(short_tmp: Path) -> None:
    path = short_tmp / "s"
    for _ in range(2):
        with running("07-families-and-options/unix_server.py", path) as server:
            assert server.wait_for("listening") == f"listening on {path}"
            assert path.is_socket()
            assert path.stat().st_mode & 0o777 == 0o600
            assert run("07-families-and-options/unix_client.py", path) == ["HELLO"]
            assert server.wait_for("a call") == "a call from ''"


@linux
def test_which_types_keep_borders_and_which_show_the_end() -> None:
    assert run("07-families-and-options/borders.py") == [
        "SOCK_STREAM b'helloworld' - the end is seen: b''",
        "SOCK_DGRAM b'hello' b'world' - the end is not seen",
        "SOCK_SEQPACKET b'hello' b'world' - the end is seen: b''",
    ]


def test_ipv6_and_a_server_for_both_families() -> None:
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError as error:
        pytest.skip(f"this machine has no IPv6: {error}")
    lines = run("07-families-and-options/ipv6.py", "::1", 0)
    assert lines[0].startswith("address, port, flow, scope: ('::1', ")
    assert lines[1:] == ["connected by AF_INET6", "a caller by IPv4 is shown as ::ffff:127.0.0.1"]


@linux
def test_a_ping_by_hand_or_a_plain_refusal() -> None:
    if _can_be_made(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP):
        header, reply = run("07-families-and-options/raw.py", "127.0.0.1")
        assert header.startswith("IPv4 header of 20 bytes")
        assert reply == "echo reply with b'lesson07'"
    else:
        (refusal,) = run("07-families-and-options/raw.py", "127.0.0.1", code=1)
        assert refusal.startswith("a raw socket needs a privilege")


def test_options_are_set_and_the_kernel_answers_with_what_it_made_of_them() -> None:
    rows = {line.split()[0]: line.split() for line in run("07-families-and-options/options.py")}
    assert set(rows) == {"SO_REUSEADDR", "SO_KEEPALIVE", "TCP_NODELAY", "SO_SNDBUF", "SO_RCVBUF"}
    for name in ("SO_REUSEADDR", "SO_KEEPALIVE", "TCP_NODELAY"):
        assert int(rows[name][-1]) != 0
    if sys.platform == "linux":
        assert rows["SO_SNDBUF"][-1] == "100000"


@linux
def test_a_restart_at_once_needs_the_option() -> None:
    assert run("07-families-and-options/reuse.py", "127.0.0.1", 0) == [
        "SO_REUSEADDR 0: first start served, again at once EADDRINUSE",
        "SO_REUSEADDR 1: first start served, again at once served",
    ]


def test_timeouts_names_and_files() -> None:
    assert run("07-families-and-options/methods.py", "127.0.0.1", 0) == [
        "one's peer is the other: True",
        "timeout None means: wait for ever",
        "settimeout(0.1): TimeoutError",
        "setblocking(False): BlockingIOError, at once",
        r"makefile: ['first\n', 'second\n']",
        "after close fileno is -1",
    ]


@linux
def test_the_backlog_is_a_queue_and_no_number_of_clients() -> None:
    lines = run("07-families-and-options/backlog.py", "127.0.0.1", 0)
    page = shown("07-families-and-options", "backlog.py")
    assert [re.sub("accepts: [1-9] ", "accepts: FEW ", line) for line in lines] == [
        re.sub("accepts: [1-9] ", "accepts: FEW ", line) for line in page
    ]
