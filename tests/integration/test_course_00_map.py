"""Lesson 00 of the course: the map."""

from __future__ import annotations

import re
import sys

import pytest

from tests.helpers.course import run


def test_one_number_is_free_for_each_protocol_and_taken_for_the_same_one() -> None:
    lines = run("00-map/triple.py", "127.0.0.1", 0)
    tcp, udp, again, other, process = lines
    assert tcp.removeprefix("TCP: bound to ") == udp.removeprefix("UDP, the same number: bound to ")
    assert again == "TCP again: EADDRINUSE"
    assert other.startswith("TCP, another number: bound to ('127.0.0.1', ")
    assert re.match(r"process \d+ holds all", process)


def test_a_socket_is_read_and_written_as_a_file_but_has_no_place() -> None:
    lines = run("00-map/no_file.py", "127.0.0.1", 0)
    assert lines[:4] == [
        "it has a descriptor, as a file has: True",
        "and can be read like one: b'written with os.write'",
        "stat calls it a socket: True",
        "but nothing can be sought in it: ESPIPE",
    ]


def test_a_pipe_and_a_socket_reach_another_process() -> None:
    parent, pipe, socket = (line.split() for line in run("00-map/local.py", "127.0.0.1", 0))
    assert (pipe[3], socket[3]) == ("PIPE", "SOCKET")
    assert len({parent[1], pipe[2], socket[2]}) == 3


@pytest.mark.skipif(sys.platform != "linux", reason="the program asks Linux for the states")
def test_the_kernel_shows_the_states_of_handshake_and_close() -> None:
    states = [line.split(":")[1].split()[0] for line in run("00-map/states.py", "127.0.0.1", 0)]
    assert states == [
        "LISTEN",
        "ESTABLISHED",
        "ESTABLISHED",
        "LISTEN",
        "CLOSE_WAIT",
        "FIN_WAIT2",
        "TIME_WAIT",
    ]
