"""Lesson 08 of the course: many at once."""

from __future__ import annotations

import importlib.util
import re
import select
import socket
import sys
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest

from tests.helpers.course import GUARD, run, running

SERVERS = [
    "08-many-at-once/threads_server.py",
    "08-many-at-once/socketserver_server.py",
    "08-many-at-once/pool_server.py",
    "08-many-at-once/selectors_server.py",
    pytest.param(
        "08-many-at-once/epoll_server.py",
        marks=pytest.mark.skipif(not hasattr(select, "epoll"), reason="only Linux has epoll"),
    ),
]
COUNT = 6


@pytest.mark.parametrize("program", SERVERS)
def test_all_callers_are_served_in_turns_and_a_vanished_one_harms_nobody(program: str) -> None:
    with running(program, "127.0.0.1", 0) as server:
        port = server.port()
        callers = [socket.create_connection(("127.0.0.1", port), GUARD) for _ in range(COUNT)]
        files = [caller.makefile("rb") for caller in callers]
        for turn in range(3):
            for number, (caller, file) in enumerate(zip(callers, files, strict=True)):
                said = f"caller {number} turn {turn}\n".encode()
                caller.sendall(said[:5])  # half a line must not be taken for a line
                caller.sendall(said[5:])
                assert file.readline() == said.upper()
        callers[0].sendall(b"never ended")
        for closing in (callers[0], files[0]):
            closing.close()
        callers[1].sendall(b"one\ntwo\nthree\n")
        assert files[1].readline() + files[1].readline() + files[1].readline() == b"ONE\nTWO\nTHREE\n"
        for caller, file in zip(callers, files, strict=True):
            file.close()
            caller.close()


def test_the_pool_serves_so_many_lets_so_many_wait_and_tells_the_next_that_it_is_busy() -> None:
    with running("08-many-at-once/pool_server.py", "127.0.0.1", 0, 1, 1) as server:
        where = ("127.0.0.1", server.port())
        with socket.create_connection(where, GUARD) as first, first.makefile("rb") as answers:
            first.sendall(b"a\n")
            assert answers.readline() == b"A\n"  # the one worker is taken
            with socket.create_connection(where, GUARD) as second:
                second.sendall(b"b\n")
                with socket.create_connection(where, GUARD) as third:
                    assert third.recv(100) == b"busy\n"
                    assert third.recv(100) == b""
                answers.close()
                first.close()
                assert second.recv(100) == b"B\n"


@pytest.mark.skipif(
    sys.platform != "linux", reason="only Linux lets us take descriptors from a process that runs"
)
@pytest.mark.parametrize("name", ["threads", "pool", "selectors", "epoll"])
def test_one_caller_more_than_descriptors_ends_the_server_as_the_page_says(name: str) -> None:
    import resource  # Windows has none

    with running(f"08-many-at-once/{name}_server.py", "127.0.0.1", 0) as server, ExitStack() as stack:
        where = ("127.0.0.1", server.port())
        resource.prlimit(server.process.pid, resource.RLIMIT_NOFILE, (12, 12))
        with suppress(ConnectionError):  # the last ones may come too late
            for _ in range(12):
                stack.enter_context(socket.create_connection(where, GUARD))
        assert "Too many open files" in server.wait_for("Error")
        assert server.process.wait(GUARD) == 1


def test_the_measurement_runs_every_server_and_draws_where_it_can(tmp_path: Path) -> None:
    plot = tmp_path / "plot.svg"
    lines = run(
        "08-many-at-once/measure.py", "--clients", "1,3", "--calls", "30", "--rounds", "1", "--plot", plot
    )
    assert re.match(r"\d{4}-\d\d-\d\d, \d+ x .*, Python 3\.\d+\.\d+.*, best of 1$", lines[0])
    rows = [line.split() for line in lines if line.endswith("#")]
    names = ["threads", "socketserver", "pool", "selectors"] + ["epoll"] * hasattr(select, "epoll")
    assert [(row[0], row[1]) for row in rows] == [(name, count) for name in names for count in ("1", "3")]
    if importlib.util.find_spec("matplotlib") is None:
        assert lines[-1].startswith("no matplotlib here")
        assert not plot.exists()
    else:
        assert lines[-1] == f"written: {plot}"
        assert "<svg" in plot.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    "words", [("--clients", "1,0"), ("--rounds", "0"), ("--calls", "-1"), ("--clients", "many")]
)
def test_the_measurement_takes_no_number_below_one(words: tuple[str, str]) -> None:
    assert run("08-many-at-once/measure.py", *words, code=2)[-1].startswith("measure.py: error: argument ")


def test_the_measurement_says_in_a_line_that_its_picture_has_no_place(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    words = ("--clients", "1", "--calls", "1", "--rounds", "1", "--plot", tmp_path / "none" / "plot.svg")
    assert run("08-many-at-once/measure.py", *words, code=1)[-1].startswith("FileNotFoundError: ")
