"""Seats: counted, given back, and none after the stop has begun."""

import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from ftpsvc.exceptions import Busy
from ftpsvc.server.registry import Registry, Seat


@pytest.fixture
def sockets() -> Iterator[list[socket.socket]]:
    with ExitStack() as stack:
        yield [stack.enter_context(socket.socket()) for _ in range(6)]


def seated(registry: Registry, sock: socket.socket, group: str) -> Seat:
    """A seat of a guest who is served: strangers have limits of their own (tests/unit/test_registry.py)."""
    seat = registry.admit(sock, group)
    seat.take_for(None)
    return seat


def test_limits_in_all_and_for_each_address(sockets: list[socket.socket]) -> None:
    registry = Registry(4, 2)
    numbers = [seated(registry, sockets[index], group).number for index, group in enumerate(["a", "a", "b"])]
    assert numbers == [1, 2, 3]
    with pytest.raises(Busy, match="all 2 connections that one address may have") as caught:
        registry.admit(sockets[3], "a")
    assert caught.value.limit == 2
    seated(registry, sockets[3], "b")
    with pytest.raises(Busy, match="all 4 connections of the server") as caught:
        registry.admit(sockets[4], "c")
    assert caught.value.limit == 4
    registry.release(sockets[0], None)
    registry.release(sockets[0], None)  # once more does nothing
    assert len(registry) == 3
    assert registry.admit(sockets[4], "a").number == 5
    for sock in sockets[1:5]:
        registry.release(sock, None)
    assert registry.wait_empty(0)


def test_no_seat_once_it_stops(sockets: list[socket.socket]) -> None:
    registry = Registry(4, 4)
    seat = registry.admit(sockets[0], "a")
    assert seat.begin_waiting()
    assert seat.begin_working()
    registry.stop()
    assert not seat.begin_waiting()
    assert not seat.begin_working()
    with pytest.raises(Busy, match="stopping"):
        registry.admit(sockets[1], "a")
    assert not registry.wait_empty(0)
    assert registry.cut() == 0  # it works no more, so nothing is lost


def test_only_those_at_work_count_as_cut(sockets: list[socket.socket]) -> None:
    registry = Registry(4, 4)
    waiting, working, ending, fresh = (seated(registry, sock, "a") for sock in sockets[:4])
    waiting.begin_waiting()
    working.begin_working()
    ending.begin_ending()
    assert fresh.number == 4
    assert registry.cut() == 1


def test_an_end_wakes_who_waits_for_it(sockets: list[socket.socket]) -> None:
    registry = Registry(4, 4)
    registry.admit(sockets[0], "a")
    thread = threading.Thread(target=lambda: registry.release(sockets[0], threading.current_thread()))
    thread.start()
    assert registry.wait_empty(60)
    registry.join_ended()
    assert not thread.is_alive()
