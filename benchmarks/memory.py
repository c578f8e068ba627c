"""What daemon and client hold: during a transfer of 4 GiB, for further transfers, for idle connections, after many."""

from __future__ import annotations

import argparse
import os
import shutil
import socket
import struct
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

from benchmarks import peers
from benchmarks.measure import Footprint, forget_peak
from ftpsvc_client import connect

# A process begins with the peak of the one that started it, so a small one does, and not this.
_RUN = """
import os, sys
_, status, used = os.wait4(os.posix_spawn(sys.argv[1], sys.argv[1:], os.environ), 0)
print(used.ru_maxrss)
sys.exit(status != 0)
"""
_LARGE = 4 << 30
_TRANSFERS = 16
_IDLE = 200


def run(work: Path, options: argparse.Namespace) -> str:
    """Returns the lines of the report; a part of it everywhere but on Linux would be guesswork, so none is."""
    share = work / "memory-share"
    share.mkdir()
    sparse = work / "sparse"
    with sparse.open("wb") as file:
        file.truncate(_LARGE)
    mib = 1 << 20
    rows: list[tuple[str, str]] = []
    with peers.ftpsvc_server(work / "memory-root", share, "--durability", "relaxed") as (url, pid):
        fresh = Footprint.of(pid)
        rows.append(("daemon, fresh", f"{fresh.resident / mib:.1f} MiB resident, {fresh.threads} threads"))
        fetched = work / "fetched"
        for what, words in (
            ("put", ["put", str(sparse), "--to", "/large"]),
            ("updated by blocks", ["put", str(sparse), "--to", "/large"]),
            ("fetched", ["get", "/large", "--to", str(fetched)]),
        ):
            if what == "updated by blocks":
                with sparse.open("r+b") as file:
                    file.write(b"changed")
            forget_peak(pid)
            command = _peak_of_command(url, words) / mib
            rows.append(
                (
                    f"peak while 4 GiB are {what}",
                    f"{Footprint.of(pid).peak / mib:.1f} MiB, the command {command:.1f} MiB",
                )
            )
        fetched.unlink()
        with connect(url) as client:
            client.remove("/large")
        rows.append(("each further upload under way", _per_transfer(url, pid)))
        rows.append((f"each of {_IDLE} idle connections", _per_idle(url, pid)))
        before = Footprint.of(pid)
        for _ in range(options.connections):
            connect(url).close()
        after = Footprint.of(pid)
        grown = (
            f"{(after.resident - before.resident) / 1024:+.0f} KiB, {after.threads - before.threads:+d} threads, "
            f"{after.descriptors - before.descriptors:+d} descriptors"
        )
        rows.append((f"after {options.connections:,} connections one after another", grown))
    lines = ["## Memory of the daemon and of the command", "", "| | |", "| --- | --- |"]
    return "\n".join(lines + [f"| {name} | {value} |" for name, value in rows]) + "\n"


def _peak_of_command(url: str, words: list[str]) -> int:
    """Runs a command of the client; returns the most bytes that it had resident."""
    program = shutil.which("ftpsvc", path=os.path.dirname(sys.executable)) or "ftpsvc"
    done = subprocess.run(
        [sys.executable, "-c", _RUN, program, "-q", "--server", url, *words],
        check=True,
        stdout=subprocess.PIPE,
        env=peers.clean_environment(),
    )
    return int(done.stdout) * 1024


def _per_transfer(url: str, pid: int) -> str:
    """Uploads that are half way through their payload: each has its thread, its buffer, its staged file."""
    size = 8 << 20
    header = b'{"op":"put","path":"/t%d","size":%d,"algorithm":"blake3"}'
    host, port = url.rpartition("//")[2].split(":")
    with ExitStack() as stack:
        before = Footprint.of(pid)
        for number in range(_TRANSFERS):
            sock = stack.enter_context(socket.create_connection((host, int(port))))
            _greeting(sock)
            request = header % (number, size)
            sock.sendall(struct.pack("!I", len(request)) + request + bytes(size // 2))
        # The next answer of the daemon proves that it has had the time; its buffers fill as data arrives.
        with connect(url) as client:
            client.list("/")
        after = Footprint.of(pid)
    return f"{(after.resident - before.resident) / _TRANSFERS / 1024:.0f} KiB"


def _per_idle(url: str, pid: int) -> str:
    with ExitStack() as stack:
        clients = []
        before = Footprint.of(pid)
        for _ in range(_IDLE):
            clients.append(stack.enter_context(connect(url)))
        for client in clients:
            client.list("/")
        after = Footprint.of(pid)
    return f"{(after.resident - before.resident) / _IDLE / 1024:.0f} KiB, one thread each"


def _greeting(sock: socket.socket) -> None:
    length = struct.unpack("!I", sock.recv(4, socket.MSG_WAITALL))[0]
    sock.recv(length, socket.MSG_WAITALL)
