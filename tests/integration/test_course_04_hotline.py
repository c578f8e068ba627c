"""Lesson 04 of the course: the robot at the hotline."""

from __future__ import annotations

import importlib.util
import socket

import pytest

from tests.helpers.course import COURSE, GUARD, run, running

SERVERS = ["04-hotline/one_line_server.py", "04-hotline/many_lines_server.py"]


def _line(sock: socket.socket) -> str:
    with sock.makefile("r", encoding="utf-8") as lines:
        return lines.readline()


@pytest.mark.parametrize("program", SERVERS)
def test_menu_person_and_exit(program: str) -> None:
    with running(program, "127.0.0.1", 0) as server:
        port = server.port()
        hello, hours, balance, what, person = run(
            "04-hotline/caller.py", "127.0.0.1", port, said="1\n2\n5\n0\nnever heard\n"
        )
        assert hello.startswith("Welcome to the hotline. Press 1")
        assert hours.startswith("We are open")
        assert balance.startswith("You have asked 2 times")
        assert what.startswith("I did not understand")
        assert person == "I connect you with a person: number 8001. Goodbye"
        assert run("04-hotline/caller.py", "127.0.0.1", port, said="2\nexit\n")[1:] == [
            "You have asked 1 times, and it is free. " + hello.partition(". ")[2],
            "Goodbye",
        ]


@pytest.mark.parametrize("program", SERVERS)
def test_what_is_said_in_one_breath_is_answered_line_by_line(program: str) -> None:
    with (
        running(program, "127.0.0.1", 0) as server,
        socket.create_connection(("127.0.0.1", server.port()), GUARD) as sock,
    ):
        sock.sendall(b"1\n2\nexit\n")
        with sock.makefile("r", encoding="utf-8") as lines:
            heard = [line.split(maxsplit=3)[:3] for line in lines]
    assert heard == [["Welcome", "to", "the"], ["We", "are", "open"], ["You", "have", "asked"], ["Goodbye"]]


def test_the_server_with_many_lines_serves_a_second_caller_while_the_first_is_silent() -> None:
    with running("04-hotline/many_lines_server.py", "127.0.0.1", 0) as server:
        port = server.port()
        with socket.create_connection(("127.0.0.1", port), GUARD) as silent:
            assert _line(silent).startswith("Welcome")
            assert run("04-hotline/caller.py", "127.0.0.1", port, said="exit\n")[-1] == "Goodbye"


def test_the_server_with_one_line_lets_the_second_caller_wait_until_the_first_hangs_up() -> None:
    with running("04-hotline/one_line_server.py", "127.0.0.1", 0) as server:
        port = server.port()
        with (
            socket.create_connection(("127.0.0.1", port), GUARD) as first,
            socket.create_connection(("127.0.0.1", port), 0.3) as second,
        ):
            assert _line(first).startswith("Welcome")
            with pytest.raises(TimeoutError):
                second.recv(1)
            first.close()
            second.settimeout(GUARD)
            assert _line(second).startswith("Welcome")


def test_the_dialogue_needs_no_socket() -> None:
    spec = importlib.util.spec_from_file_location("dialogue", COURSE / "04-hotline/dialogue.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    dialogue = module.Dialogue()
    assert dialogue.answer(" EXIT \n") == "Goodbye"
    assert dialogue.over
