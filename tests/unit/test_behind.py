"""Receiving in one thread, hashing and writing in another: the same outcome as in one thread, and nothing left over."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Iterator

import pytest

from ftpsvc.buffers import BUFFER_BYTES, BufferPool
from ftpsvc.exceptions import ConnectionLost
from ftpsvc.protocol.headers import Content, Get
from ftpsvc.transport import Channel
from ftpsvc_client.behind import receive_behind
from tests.helpers.channels import LONG, answer, channels, running

BUFFERS = 4
"""How many go round."""


@contextlib.contextmanager
def payload(content: bytes, announced: int | None = None) -> Iterator[Channel]:
    """A client's channel at the first byte of this content; the server ends the connection behind it."""
    size = len(content) if announced is None else announced
    with channels() as (client, server):
        client.queue(client.connection.send_request(Get(path="/f", algorithm="md5")))
        client.flush()
        server.receive_event(LONG, "a request")
        header = Content(size=size, file_size=size, algorithm="md5")
        server.queue(server.connection.send_response(header, content=True))

        def send() -> None:
            with contextlib.suppress(ConnectionLost):
                for start in range(0, len(content), 1 << 20):
                    server.send_payload(memoryview(content)[start : start + (1 << 20)])
                server.flush()
            server.close()

        with running(send):
            try:
                assert answer(client).error is None
                yield client
            finally:
                client.interrupt()


def large_buffers(pool: BufferPool) -> int:
    """How many large buffers a pool can still lend."""
    with contextlib.ExitStack() as stack:
        lent = 0
        while len(stack.enter_context(pool.borrow())) == BUFFER_BYTES:
            lent += 1
    return lent


@pytest.mark.parametrize("size", [1, BUFFER_BYTES, 9 * BUFFER_BYTES + 12345])
@pytest.mark.parametrize("limit", [0, 2, 64], ids=["no large buffer left", "two left", "many left"])
def test_every_piece_comes_in_order_in_the_other_thread(size: int, limit: int) -> None:
    content = os.urandom(size)
    arrived = bytearray()
    workers: set[int] = set()
    told: list[int] = []
    tellers: set[int] = set()
    pool = BufferPool(limit)

    def work(piece: memoryview) -> None:
        workers.add(threading.get_ident())
        arrived.extend(piece)

    def advance(count: int) -> None:
        tellers.add(threading.get_ident())
        told.append(count)

    with payload(content) as channel:
        receive_behind(channel, pool, work, advance)
        assert channel.connection.incoming_payload == 0
    assert arrived == content
    assert sum(told) == size
    assert tellers == {threading.get_ident()}
    assert len(workers) == 1
    assert threading.get_ident() not in workers
    assert large_buffers(pool) == limit


def test_no_more_than_its_buffers_are_received_ahead_of_the_work() -> None:
    content = bytes(12 * BUFFER_BYTES)
    pool = BufferPool()
    received: list[int] = []
    gate = threading.Event()

    def work(piece: memoryview) -> None:
        gate.wait(60)
        received.append(channel.wire.received)

    with payload(content) as channel:
        before = channel.wire.received
        opener = threading.Timer(0.3, gate.set)
        opener.start()
        receive_behind(channel, pool, work, lambda count: None)
        opener.join()
    # The first piece is worked on while the others of the ring are filled, and not a byte more than those.
    assert received[0] - before <= BUFFERS * BUFFER_BYTES


@pytest.mark.parametrize("kind", [OSError, ValueError, KeyboardInterrupt])
def test_what_the_work_raises_comes_out_and_the_rest_can_be_drained(kind: type[BaseException]) -> None:
    pool = BufferPool()
    pieces: list[int] = []
    told: list[int] = []

    def work(piece: memoryview) -> None:
        if len(pieces) == 2:
            raise kind("full")
        pieces.append(len(piece))

    with payload(bytes(10 * BUFFER_BYTES)) as channel:
        with pytest.raises(kind, match="full"):
            receive_behind(channel, pool, work, told.append)
        assert pieces == [BUFFER_BYTES] * 2
        assert sum(told) == 2 * BUFFER_BYTES
        assert channel.drain(10 * BUFFER_BYTES)
        assert channel.connection.incoming_payload == 0
    assert large_buffers(pool) == 64


def test_the_last_pieces_failure_is_not_missed() -> None:
    def work(piece: memoryview) -> None:
        if len(piece) == 5:
            raise OSError("full")

    with payload(bytes(BUFFER_BYTES + 5)) as channel, pytest.raises(OSError, match="full"):
        receive_behind(channel, BufferPool(), work, lambda count: None)


def test_a_connection_that_ends_leaves_no_thread() -> None:
    pool = BufferPool()
    pieces: list[int] = []
    with payload(bytes(5 * BUFFER_BYTES), announced=1 << 40) as channel:
        with pytest.raises(ConnectionLost):
            receive_behind(channel, pool, lambda piece: pieces.append(len(piece)), lambda count: None)
        assert not [thread for thread in threading.enumerate() if thread.name == "ftpsvc-behind"]
    assert sum(pieces) == 5 * BUFFER_BYTES, "what arrived was not worked on"
    assert large_buffers(pool) == 64


def test_ctrl_c_leaves_no_thread() -> None:
    pool = BufferPool()

    def interrupt(count: int) -> None:
        raise KeyboardInterrupt

    with payload(bytes(20 * BUFFER_BYTES)) as channel:
        with pytest.raises(KeyboardInterrupt):
            receive_behind(channel, pool, lambda piece: None, interrupt)
        assert not [thread for thread in threading.enumerate() if thread.name == "ftpsvc-behind"]
    assert large_buffers(pool) == 64
