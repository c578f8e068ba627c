"""Waits in slices, as Windows needs them: what comes of them is the same as of one long wait."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator

import pytest

from ftpsvc.deadline import Deadline
from ftpsvc.exceptions import TransferTimeout
from ftpsvc.wire import Wire
from tests.helpers.channels import LONG, running

SLICE = 0.01


@pytest.fixture
def pair() -> Iterator[tuple[Wire, socket.socket]]:
    ours, theirs = socket.socketpair()
    wire = Wire(ours, slice_seconds=SLICE)
    with theirs:
        yield wire, theirs
    wire.close()


def later(action: Callable[[], object]) -> Callable[[], None]:
    """Does it after some slices."""

    def wait_and_act() -> None:
        threading.Event().wait(10 * SLICE)
        action()

    return wait_and_act


def test_what_comes_after_some_slices_is_received(pair: tuple[Wire, socket.socket]) -> None:
    wire, peer = pair
    with running(later(lambda: peer.sendall(b"ab"))):
        assert wire.receive_into(memoryview(bytearray(2)), Deadline(LONG, "data")) == 2
    with running(later(lambda: peer.sendall(b"ab"))):
        assert wire.readable(LONG)
    assert wire.receive_into(memoryview(bytearray(2)), Deadline(None, "data")) == 2


def test_the_whole_time_is_what_an_error_names(pair: tuple[Wire, socket.socket]) -> None:
    wire, _ = pair
    with pytest.raises(TransferTimeout, match=r"after 0\.05 s waiting for data"):
        wire.receive_into(memoryview(bytearray(2)), Deadline(5 * SLICE, "data"))
    assert not wire.readable(5 * SLICE)
    assert not wire.readable(0)
    with pytest.raises(TransferTimeout, match=r"after 0\.05 s waiting for the peer to take data"):
        wire.send_all(memoryview(bytes(64 << 20)), 5 * SLICE)
    assert wire.send_failed


def test_all_is_sent_though_the_peer_begins_late(pair: tuple[Wire, socket.socket]) -> None:
    wire, peer = pair
    data = bytes(range(256)) * 16_384
    taken = bytearray()

    def take() -> None:
        while len(taken) < len(data):
            taken.extend(peer.recv(1 << 20))

    with running(later(take)):
        wire.send_all(memoryview(data), LONG)
    assert taken == data
    assert wire.sent == len(data)


def test_no_call_of_the_system_waits_longer_than_a_slice(pair: tuple[Wire, socket.socket]) -> None:
    wire, peer = pair
    with running(later(lambda: peer.sendall(b"a"))):
        wire.receive_into(memoryview(bytearray(1)), Deadline(LONG, "data"))
    assert wire._socket.gettimeout() == SLICE
