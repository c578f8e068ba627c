"""Bars on a real terminal, drawn by the real command."""

from __future__ import annotations

import hashlib
import re
import socket
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from ftpsvc_client.progress import DELAY
from tests.helpers.cli import GUARD, Cli
from tests.helpers.raw_server import Header, RawServer, raw_server
from tests.helpers.terminal import Terminal

SIZE = 48 << 20
PIECE = 1 << 20


class Slow:
    """A server's bend: transfers take longer than it takes a bar to appear, and end when the test says so."""

    def __init__(self) -> None:
        self.go_on = threading.Event()

    def pause(self) -> None:
        # Nothing to wait for: it has to be slow.
        threading.Event().wait(DELAY * 1.2)

    def __call__(self, server: RawServer, request: Header, conn: socket.socket) -> bool:
        if request["op"] == "put":
            self.pause()
            server.exactly(conn, SIZE // 2)
            assert self.go_on.wait(GUARD)
            server.exactly(conn, SIZE - SIZE // 2)
            trailer = server.receive(conn) or {}
            server.send(
                conn, {"status": "ok", "path": "/big", "file_size": SIZE, "algorithm": "sha256"} | trailer
            )
            return True
        if request["op"] == "get":
            data = bytes(SIZE)
            server.send(conn, {"status": "ok", "size": SIZE, "file_size": SIZE, "algorithm": "sha256"})
            sent = SIZE // 4
            conn.sendall(data[:sent])
            # A client that stalls begins to count late: there is always another piece that may be the one to show.
            while not self.go_on.wait(DELAY / 2) and sent < SIZE - PIECE:
                conn.sendall(data[:PIECE])
                sent += PIECE
            assert self.go_on.wait(GUARD)
            conn.sendall(data[sent:])
            server.send(conn, {"digest": hashlib.sha256(data).hexdigest()})
            return True
        return False


@pytest.mark.parametrize("command", ["put", "get"])
def test_c60_a_bar_on_a_terminal_goes_away_when_the_file_is_there(tmp_path: Path, command: str) -> None:
    slow = Slow()
    if command == "put":
        (tmp_path / "big").write_bytes(bytes(SIZE))
    with raw_server({"/big": b""}, slow) as (url, _):
        cli = Cli(tmp_path, url)
        with Terminal([cli.program, command, "big"], env=cli.environment(), cwd=tmp_path) as terminal:
            terminal.shows(r"big: +\d+%\|.*/48\.0M \[.*B/s\]")
            slow.go_on.set()
            assert terminal.code() == 0
            (line,) = terminal.paper.text.strip().splitlines()
    assert re.fullmatch(r"big -> /?big  48\.0 MiB  sha256 [0-9a-f]{64}", line)


@pytest.mark.parametrize("how", ["quiet", "pipe"])
def test_c60_no_bar_where_none_is_wanted_or_there_is_no_terminal(tmp_path: Path, how: str) -> None:
    slow = Slow()
    slow.go_on.set()
    (tmp_path / "big").write_bytes(bytes(SIZE))
    with raw_server({}, slow) as (url, _):
        cli = Cli(tmp_path, url)
        if how == "pipe":
            assert cli.ok("put", "big").err == ""
            return
        with Terminal([cli.program, "put", "-q", "big"], env=cli.environment(), cwd=tmp_path) as terminal:
            assert terminal.code() == 0
        assert terminal.raw == b""


def test_ctrl_c_below_a_bar_tells_on_a_line_of_its_own(tmp_path: Path) -> None:
    slow = Slow()
    (tmp_path / "big").write_bytes(bytes(SIZE))
    with raw_server({}, slow) as (url, _):
        cli = Cli(tmp_path, url)
        with Terminal([cli.program, "put", "big"], env=cli.environment(), cwd=tmp_path) as terminal:
            terminal.shows(r"big: +\d+%\|")
            terminal.send("\x03")
            assert terminal.code() == 130
            slow.go_on.set()
    assert terminal.paper.text.strip().splitlines()[-1] == "ftpsvc: interrupted: big was not stored"


def _tree(folder: Path, count: int) -> Callable[[RawServer, Header, socket.socket], bool]:
    folder.mkdir()
    for number in range(count):
        (folder / f"{number:03}").write_bytes(bytes(100_000))
    seen = 0

    def slowly(server: RawServer, request: Header, conn: socket.socket) -> bool:
        nonlocal seen
        if request["op"] == "mkdir":
            server.send(conn, {"status": "ok", "path": "/t", "created": True})
            return True
        if request["op"] == "put":
            seen += 1
            if seen == count // 2:
                threading.Event().wait(DELAY * 1.2)
        return False

    return slowly


def test_c60_a_tree_has_a_bar_that_counts_files(tmp_path: Path) -> None:
    count = 200
    with raw_server({}, _tree(tmp_path / "t", count), features=["mkdir"]) as (url, _):
        cli = Cli(tmp_path, url)
        with Terminal([cli.program, "put", "-r", "t"], env=cli.environment(), cwd=tmp_path) as terminal:
            assert terminal.code() == 0
    assert re.search(rf"\d+/{count} files: +\d+%".encode(), terminal.raw)
    assert terminal.paper.text.strip() == "t -> t  200 files, 19.1 MiB"
