"""The leak check itself: it sees what is left over, and lets pass what ends in time."""

import os
import socket
import threading

from hypothesis import given
from hypothesis import strategies as st

from tests.helpers.leaks import Snapshot


def test_a_thread_that_goes_on_is_named_with_its_place() -> None:
    before = Snapshot.take()
    stop = threading.Event()
    thread = threading.Thread(target=stop.wait, name="straggler")
    thread.start()
    try:
        (line,) = before.left_over(within=0.01)
        assert "thread straggler" in line
        assert "wait" in line
    finally:
        stop.set()
        thread.join()
    assert before.left_over(within=1) == []


def test_a_thread_that_is_about_to_end_is_waited_for() -> None:
    before = Snapshot.take()
    stop = threading.Event()
    thread = threading.Thread(target=stop.wait)
    thread.start()
    threading.Timer(0.05, stop.set).start()
    assert before.left_over(within=30) == []


def test_an_open_descriptor_is_found_and_a_closed_one_is_not() -> None:
    before = Snapshot.take()
    with socket.socket() as left:
        (line,) = before.left_over(within=0.01)
        assert line.startswith(f"descriptor {left.fileno()}: ")
    assert before.left_over(within=1) == []


def test_a_number_taken_over_by_something_else_is_found() -> None:
    reading, writing = os.pipe()
    before = Snapshot.take()
    os.close(reading)
    with socket.socket() as other:
        assert other.fileno() == reading  # the lowest free number, says POSIX
        assert len(before.left_over(within=0.01)) == 1
    os.close(writing)


@given(st.integers())
def test_hypothesis_accepts_the_fixtures_round_every_test(number: int) -> None:
    assert number == int(str(number))
