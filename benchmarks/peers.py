"""The servers under test, each a process of its own on a free port of the loopback."""

from __future__ import annotations

import contextlib
import ftplib
import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

_BUFFER = 1 << 20
_START_SECONDS = 30


@contextlib.contextmanager
def ftpsvc_server(
    root: Path, share: Path, *flags: str, listen: str = "ftpsvc+tcp://127.0.0.1:0"
) -> Iterator[tuple[str, int]]:
    """Serves `share` to guests who may write; yields the URL and the process id."""
    command = [
        sys.executable, "-m", "ftpsvc.server", "--root", str(root), "--listen", listen,
        "--share", str(share), "--guest", "write", *flags,
    ]  # fmt: skip
    with _process(command, r"listening on (\S+)") as (url, pid):
        yield url, pid


@contextlib.contextmanager
def pyftpdlib_server(share: Path) -> Iterator[tuple[int, int]]:
    """Serves `share` by pyftpdlib, threads, sendfile; yields the port and the process id."""
    command = [sys.executable, "-m", "benchmarks.ftp_peer", str(share)]
    with _process(command, r"listening on (\d+)") as (port, pid):
        yield int(port), pid


@contextlib.contextmanager
def bare_tls_server(certificate: Path) -> Iterator[tuple[int, int]]:
    """Holds TLS connections, a thread each, and does nothing; yields the port and the process id."""
    command = [sys.executable, "-m", "benchmarks.bare_tls", str(certificate)]
    with _process(command, r"listening on (\d+)") as (port, pid):
        yield int(port), pid


@contextlib.contextmanager
def _process(command: list[str], pattern: str) -> Iterator[tuple[str, int]]:
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    try:
        assert process.stderr is not None
        for line in process.stderr:
            if found := re.search(pattern, line):
                yield found[1], process.pid
                break
        else:
            raise RuntimeError(f"{command[2]} did not start")
    finally:
        process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(_START_SECONDS)
        process.kill()
        process.wait()
        if process.stderr is not None:
            process.stderr.close()


class Ftp:
    """An FTP session by ftplib that moves bytes the fastest way ftplib leaves open: sendfile and recv_into."""

    def __init__(self, port: int) -> None:
        self._ftp = ftplib.FTP()  # noqa: S321  # the peer under test is FTP
        self._ftp.connect("127.0.0.1", port, timeout=60)
        self._ftp.login()
        self._ftp.voidcmd("TYPE I")
        self._view = memoryview(bytearray(_BUFFER))

    def put(self, source: Path, name: str) -> None:
        """Stores a file, unverified."""
        with source.open("rb") as file, self._ftp.transfercmd(f"STOR {name}") as data:
            data.sendfile(file)
        self._ftp.voidresp()

    def get(self, name: str, target: Path) -> None:
        """Fetches a file, unverified."""
        with target.open("wb", buffering=0) as file, self._ftp.transfercmd(f"RETR {name}") as data:
            while count := data.recv_into(self._view):
                file.write(self._view[:count])
        self._ftp.voidresp()

    def close(self) -> None:
        """Ends the session."""
        self._ftp.quit()


def lftp(port: int, command: str) -> list[str] | None:
    """Returns an lftp command line, or None where lftp is not installed."""
    program = shutil.which("lftp")
    if program is None:
        return None
    settings = "set net:timeout 60; set xfer:clobber yes; set ftp:ssl-allow no; "
    return [program, "-c", f"{settings}open -u anonymous,x -p {port} ftp://127.0.0.1; {command}"]


def raw_copy(source: Path, target: Path) -> None:
    """Moves a file over a bare socket between two processes: read, sendall, recv until full, write; no digest."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        receiver = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.raw_receiver", str(target), str(listener.fileno())],
            pass_fds=[listener.fileno()],
            stdout=subprocess.PIPE,
        )
        with (
            receiver,
            socket.create_connection(listener.getsockname()) as sock,
            source.open("rb", buffering=0) as file,
        ):
            view = memoryview(bytearray(_BUFFER))
            while count := file.readinto(view):
                sock.sendall(view[:count])
            sock.shutdown(socket.SHUT_WR)
            receiver.wait()
