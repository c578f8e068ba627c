"""Lesson 01 of the course: socket, bind, listen, accept, connect, close."""

from __future__ import annotations

import errno
import re
import socket

from tests.helpers.course import run, running, shown


def test_the_greeting_server_thanks_one_caller_after_another_on_every_address() -> None:
    with running("01-greeting/greet_server.py", "", 0) as server:
        port = server.port()
        assert f"this machine calls itself {socket.gethostname()}" in server.lines
        for _ in range(2):
            first, second = run("01-greeting/greet_client.py", "127.0.0.1", port)
            assert first.endswith(f"talk to ('127.0.0.1', {port})")
            assert second == "Thank you for calling!"
            assert first.split(" and ")[0].removeprefix("I am ") in server.wait_for("a call from")


def test_connect_ex_returns_the_error_that_connect_raises() -> None:
    raised, returned = run("01-greeting/connect_ex.py", "127.0.0.1")
    assert raised == "connect raised ConnectionRefusedError"
    assert returned.startswith(f"connect_ex returned {errno.errorcode[errno.ECONNREFUSED]} = ")
    with running("01-greeting/greet_server.py", "127.0.0.1", 0) as server:
        assert run("01-greeting/connect_ex.py", "127.0.0.1", server.port()) == [
            "connect: connected",
            "connect_ex returned 0: connected",
        ]


def test_port_zero_can_be_used() -> None:
    asked, reached, called = lines = run("01-greeting/port_zero.py", "127.0.0.1")
    told, on_the_page = (
        [re.sub(r"\d{2,}", "PORT", line) for line in said]
        for said in (lines, shown("01-greeting", "port_zero.py"))
    )
    assert told == on_the_page
    one, two = map(int, asked.split()[-2:])
    assert one
    assert two
    assert one != two
    assert int(reached.split()[-1]) > 0
    assert called == "a call to port 0 itself fails: True"


def test_a_low_port_needs_a_privilege_or_this_user_has_it() -> None:
    try:
        with socket.create_server(("127.0.0.1", 1021)):
            expected = "bound port 1021"
    except PermissionError:
        expected = "port 1021 needs a privilege: PermissionError"
    assert run("01-greeting/low_port.py", "127.0.0.1", 1021)[-1] == expected
