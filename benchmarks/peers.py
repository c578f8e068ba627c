"""The servers under test, each a process of its own on a free port of the loopback."""

from __future__ import annotations

import contextlib
import ftplib
import os
import re
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

_BUFFER = 1 << 20
_START_SECONDS = 30


def clean_environment() -> dict[str, str]:
    """Returns the variables for commands: as installed, where bytecode is compiled once and kept."""
    return {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}


class Running(NamedTuple):
    """A server: what a client is to be told (a URL or a port), and its process."""

    where: str
    pid: int


@contextlib.contextmanager
def ftpsvc_server(
    root: Path,
    share: Path,
    *flags: str,
    listen: str = "ftpsvc+tcp://127.0.0.1:0",
    environment: Mapping[str, str] | None = None,
) -> Iterator[Running]:
    """Serves `share` to guests who may write; yields the URL and the process id."""
    command = [
        sys.executable, "-m", "ftpsvc.server", "--root", str(root), "--listen", listen,
        "--share", str(share), "--guest", "write", *flags,
    ]  # fmt: skip
    with _process(command, r"listening on (\S+)", environment) as running:
        yield running


def fingerprint(root: Path) -> str:
    """Returns the fingerprint of the certificate of a root, SHA-256 in hex."""
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.x509 import load_pem_x509_certificate

    (path,) = (path for path in (root / ".ftpsvc").glob("**/*.pem") if b"BEGIN CERT" in path.read_bytes())
    return load_pem_x509_certificate(path.read_bytes()).fingerprint(SHA256()).hex()


@contextlib.contextmanager
def pyftpdlib_server(share: Path, kind: str = "threads") -> Iterator[tuple[int, int]]:
    """Serves `share` by pyftpdlib, in `threads` or `async` in one loop; yields the port and the process id."""
    command = [sys.executable, "-m", "benchmarks.ftp_peer", str(share), kind]
    with _process(command, r"listening on (\d+)") as (port, pid):
        yield int(port), pid


@contextlib.contextmanager
def bare_tls_server(certificate: Path) -> Iterator[tuple[int, int]]:
    """Holds TLS connections, a thread each, and does nothing; yields the port and the process id."""
    command = [sys.executable, "-m", "benchmarks.bare_tls", str(certificate)]
    with _process(command, r"listening on (\d+)") as (port, pid):
        yield int(port), pid


@contextlib.contextmanager
def rsync_daemon(work: Path, share: Path) -> Iterator[Running | None]:
    """Serves `share` by rsync's own daemon; yields the URL of its module and the process id, or None without rsync."""
    program = shutil.which("rsync")
    if program is None:
        yield None
        return
    with socket.create_server(("127.0.0.1", 0)) as free:  # rsync cannot say which port it found
        port = free.getsockname()[1]
    settings = work / "rsyncd.conf"
    settings.write_text(
        f"use chroot = no\nreverse lookup = no\nuid = {os.getuid()}\ngid = {os.getgid()}\n"
        f"log file = {work / 'rsyncd.log'}\n[b]\npath = {share}\nread only = no\n"
    )
    command = [
        program,
        "--daemon",
        "--no-detach",
        "--address=127.0.0.1",
        f"--port={port}",
        f"--config={settings}",
    ]
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL)
    try:
        _wait_for(port)
        yield Running(f"rsync://127.0.0.1:{port}/b", process.pid)
    finally:
        process.terminate()
        process.wait(_START_SECONDS)


def _wait_for(port: int) -> None:
    end = time.monotonic() + _START_SECONDS
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            if time.monotonic() > end:
                raise
            threading.Event().wait(0.05)


@contextlib.contextmanager
def _process(
    command: list[str], pattern: str, environment: Mapping[str, str] | None = None
) -> Iterator[Running]:
    process = subprocess.Popen(
        command, stderr=subprocess.PIPE, text=True, env=clean_environment() | dict(environment or {})
    )
    drain: threading.Thread | None = None
    try:
        assert process.stderr is not None
        for line in process.stderr:
            if found := re.search(pattern, line):
                # What it says later is read and dropped, so that a full pipe never stops it.
                drain = threading.Thread(target=process.stderr.read)
                drain.start()
                yield Running(found[1], process.pid)
                break
        else:
            raise RuntimeError(f"{command[2]} did not start")
    finally:
        process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(_START_SECONDS)
        process.kill()
        process.wait()
        if drain is not None:
            drain.join()
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

    def put_tree(self, source: Path, name: str) -> None:
        """Stores a tree, one file after the other, unverified."""
        for folder, _, files in os.walk(source):
            there = "/".join([name, *Path(folder).relative_to(source).parts])
            self._ftp.mkd(there)
            for file in files:
                with open(os.path.join(folder, file), "rb") as content:
                    self._ftp.storbinary(f"STOR {there}/{file}", content, _BUFFER)

    def get_tree(self, name: str, target: Path) -> None:
        """Fetches a tree, one file after the other, unverified."""
        target.mkdir()
        for entry, facts in list(self._ftp.mlsd(name, ["type"])):
            if facts["type"] == "dir":
                self.get_tree(f"{name}/{entry}", target / entry)
            elif facts["type"] == "file":
                with (target / entry).open("wb") as file:
                    self._ftp.retrbinary(f"RETR {name}/{entry}", file.write, _BUFFER)

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
