"""Lesson 02 of the course: the phone call."""

from __future__ import annotations

import socket
import struct

from tests.helpers.course import GUARD, run, running, shown


def test_the_first_version_serves_one_caller_and_ends_with_it() -> None:
    with running("02-phone-call/echo_once_server.py", "127.0.0.1", 0) as server:
        port = server.port()
        assert run("02-phone-call/echo_client.py", "127.0.0.1", port, said="hello\n") == ["HELLO"]
        assert server.rest()[-2:] == ["heard b'hello'", "the phone is put away"]


def test_the_loops_serve_many_callers_each_as_long_as_it_likes() -> None:
    with running("02-phone-call/echo_server.py", "127.0.0.1", 0) as server:
        port = server.port()
        for word in ("one", "two"):
            shown = run("02-phone-call/echo_client.py", "127.0.0.1", port, said=f"{word}\n\nmore\n")
            assert shown == [word.upper(), "say something", "MORE"]
            server.wait_for("hung up")


def test_a_caller_that_vanishes_does_not_take_the_server_along() -> None:
    with running("02-phone-call/echo_server.py", "127.0.0.1", 0) as server:
        port = server.port()
        with socket.create_connection(("127.0.0.1", port), GUARD) as sock:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        assert server.wait_for("vanished") == "vanished: ConnectionResetError"
        assert run("02-phone-call/echo_client.py", "127.0.0.1", port, said="still\n") == ["STILL"]


def test_an_answer_that_ends_inside_a_character_is_shown() -> None:
    with running("02-phone-call/echo_server.py", "127.0.0.1", 0) as server:
        (line,) = run("02-phone-call/echo_client.py", "127.0.0.1", server.port(), said="世" * 400 + "\n")
    assert line == "世" * 341 + "\N{REPLACEMENT CHARACTER}"


def test_how_a_peer_goes_decides_what_recv_does() -> None:
    assert run("02-phone-call/vanished_peer.py", "127.0.0.1", 0) == shown("02-phone-call", "vanished_peer.py")


def test_an_empty_send_reaches_nobody() -> None:
    assert run("02-phone-call/empty_input.py", "127.0.0.1", 0) == [
        "the client sends 0 bytes",
        "sides that have something to read: 0",
        "after five bytes the server has: b'hello'",
    ]
