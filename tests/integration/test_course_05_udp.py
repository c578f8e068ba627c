"""Lesson 05 of the course: UDP."""

from __future__ import annotations

import sys

import pytest

from tests.helpers.course import run, running


def test_each_line_is_a_datagram_the_empty_one_too() -> None:
    with running("05-udp/upper_server.py", "127.0.0.1", 0) as server:
        port = server.port()
        shown = run("05-udp/upper_client.py", "127.0.0.1", port, said="hello\n\nlast\n")
        assert shown == ["5 bytes: HELLO", "0 bytes: ", "4 bytes: LAST"]
        assert server.wait_for("0 bytes from").startswith("0 bytes from ('127.0.0.1', ")


def test_the_ok_demo_ends_by_exit() -> None:
    with running("05-udp/ok_server.py", "127.0.0.1", 0) as server:
        port = server.port()
        assert run("05-udp/ok_client.py", "127.0.0.1", port, said="hello\nexit\nlater\n") == ["ok", "bye"]
        assert server.rest()[1:] == ["heard hello", "exit"]


def test_an_empty_datagram_is_sent_and_an_empty_send_over_tcp_is_not() -> None:
    assert run("05-udp/empty_datagram.py", "127.0.0.1", 0) == [
        "UDP: received b'' from the sender",
        "TCP: received nothing",
    ]


@pytest.mark.skipif(sys.platform != "linux", reason="what is expected here is what Linux does")
def test_what_does_not_fit_the_buffer_of_recvfrom_is_gone() -> None:
    assert run("05-udp/truncated.py", "127.0.0.1", 0) == [
        "received b'hello'",
        "received b'next'",
        "recvmsg tells: b'hello' truncated",
        "one byte more than a datagram holds: EMSGSIZE",
    ]


def test_datagrams_are_lost_without_an_error() -> None:
    sent, received = run("05-udp/lost.py", "127.0.0.1", 0)
    assert sent == "sent 1000 datagrams of 1000 bytes without an error"
    assert 0 < int(received.split()[1]) < 1000
    assert received.endswith("in order: True")


@pytest.mark.skipif(sys.platform != "linux", reason="what is expected here is what Linux does")
def test_only_a_connected_socket_hears_that_nobody_is_there() -> None:
    assert run("05-udp/nobody.py", "127.0.0.1") == [
        "sendto says 8",
        "unconnected, recvfrom: TimeoutError",
        "send says 8",
        "connected, recv: ConnectionRefusedError",
    ]
