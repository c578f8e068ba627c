"""Messages, payloads and buffers on real sockets; pipelining without deadlock (docs/protocol.md section 3.3)."""

from __future__ import annotations

import contextlib
import os
import threading
import tracemalloc

import pytest

from ftpsvc.buffers import BUFFER_BYTES, BufferPool
from ftpsvc.exceptions import (
    ConnectionLost,
    LocalProtocolError,
    NotFound,
    TransferTimeout,
)
from ftpsvc.protocol.connection import (
    Connection,
    RequestReceived,
    TrailerReceived,
)
from ftpsvc.protocol.headers import Get, Located, Ls, Pwd, Quit, Stat, Stored
from ftpsvc.protocol.state import Role, State
from ftpsvc.transport import Channel
from tests.helpers.channels import (
    DIGEST,
    LONG,
    Pair,
    answer,
    channel_and_socket,
    channels,
    deliver,
    md5,
    put,
    read_content,
    running,
    send_put,
    serve,
    tcp_pair,
    tiny_tcp_pair,
    tiny_unix_pair,
    unix_pair,
)
from tests.helpers.wire import message

# TCP with the least buffers moves some kilobytes for each delayed acknowledgement.
pairs = pytest.mark.parametrize(
    ("pair", "scale"),
    [(unix_pair, 1), (tcp_pair, 1), (tiny_unix_pair, 1), (tiny_tcp_pair, 10)],
    ids=["unix", "tcp", "tiny unix", "tiny tcp"],
)
SIZES = (
    0, 1, 4095, 4096, 65_536, 65_537, 128 * 1024, 128 * 1024 + 1, 300_000, BUFFER_BYTES, 3 * BUFFER_BYTES + 17,
)  # fmt: skip


@pairs
def test_c01_c02_c03_contents_of_every_size_there_and_back_without_waiting(pair: Pair, scale: int) -> None:
    contents = {f"/{size}": os.urandom(size) for size in SIZES if size * scale < 14_000_000}
    pool = BufferPool()
    with channels(pair) as (client, server):
        stored: dict[str, str] = {}
        with running(lambda: stored.update(serve(server, pool, contents))):
            for path, content in contents.items():
                send_put(client, path, content)
            for path in contents:
                response = answer(client).response
                assert isinstance(response, Stored)
                assert response.path == path
            for path in contents:
                client.queue(client.connection.send_request(Get(path=path, algorithm="md5")))
            for path, content in contents.items():
                assert answer(client).size == len(content)
                assert read_content(client, pool) == content, path
            client.queue(client.connection.send_request(Quit()))
            assert answer(client).request == Quit()
            assert client.receive_event(LONG, "nothing") is None
        assert stored == {path: md5(content) for path, content in contents.items()}


def test_c01_one_byte_at_a_time() -> None:
    content = os.urandom(1000)
    digest = md5(content)
    data = message({"op": "put", "path": "f", "size": 1000, "algorithm": "md5"}, content)
    data += message({"digest": digest}) + message({"op": "quit"})
    with channel_and_socket(Role.SERVER) as (server, sock):

        def dribble() -> None:
            for at in range(len(data)):
                sock.sendall(data[at : at + 1])

        with running(dribble):
            assert serve(server, BufferPool()) == {"f": digest}


def test_c02_sticky_messages_in_one_segment() -> None:
    data = b"".join(message({"op": "stat", "path": str(number)}) for number in range(500))
    with channel_and_socket(Role.SERVER) as (server, sock), running(lambda: sock.sendall(data)):
        for number in range(500):
            event = server.receive_event(LONG, "a request")
            assert isinstance(event, RequestReceived)
            assert event.request == Stat(path=str(number))


@pytest.mark.parametrize("size", [0, 1, 5000, 128 * 1024, 128 * 1024 + 1, 400_000])
def test_c03_a_payload_does_not_eat_what_follows(size: int) -> None:
    """The trailer and the next request come in the same segment."""
    content = os.urandom(size)
    data = message({"op": "put", "path": "f", "size": size, "algorithm": "md5"}, content)
    data += message({"digest": DIGEST}) + message({"op": "pwd"})
    with channel_and_socket(Role.SERVER) as (server, sock), running(lambda: sock.sendall(data)):
        event = server.receive_event(LONG, "a request")
        assert isinstance(event, RequestReceived)
        assert b"".join(map(bytes, server.payload(BufferPool()))) == content
        assert server.receive_event(LONG, "a trailer") == TrailerReceived(DIGEST, None)
        event = server.receive_event(LONG, "a request")
        assert isinstance(event, RequestReceived)
        assert event.request == Pwd()


@pytest.mark.parametrize("size", [5, 300_000])
def test_what_was_queued_is_sent_before_a_payload_is_waited_for(size: int) -> None:
    """A client may send the next request's payload only once it has the answer to the one before."""
    with channels() as (client, server):

        def serve_two() -> None:
            server.receive_event(LONG, "a request")
            server.queue(server.connection.send_response(Located(path="/")))
            server.receive_event(LONG, "a request")
            assert sum(map(len, server.payload(BufferPool()))) == size

        with running(serve_two):
            client.queue(client.connection.send_request(Pwd()))
            client.queue(client.connection.send_request(put("f", size)))
            assert isinstance(answer(client).response, Located)
            client.send_payload(memoryview(bytes(size)))
            client.flush()


def test_a_queue_sends_by_itself_before_it_grows_large() -> None:
    with channels() as (client, server):
        before = server.wire.sent
        for _ in range(100):
            server.queue(bytes(1000))
        assert server.wire.sent - before >= 64 * 1024
        assert client.wire.received < server.wire.sent


@pytest.mark.parametrize("size", [5, 100_000, 300_000])
def test_c10_a_caller_that_stops_early_drains_the_rest(size: int) -> None:
    with channels() as (client, server):

        def send() -> None:
            send_put(client, "f", bytes(size))
            client.queue(client.connection.send_request(Pwd()))
            client.flush()

        with running(send):
            server.receive_event(LONG, "a request")
            for _ in server.payload(BufferPool()):
                break
            assert server.drain(1 << 20)
            assert isinstance(server.receive_event(LONG, "a trailer"), TrailerReceived)
            event = server.receive_event(LONG, "a request")
            assert isinstance(event, RequestReceived)
            assert event.request == Pwd()


def test_a_message_cannot_be_asked_for_while_a_payload_is_unread() -> None:
    """Whoever tried would have collected the payload in memory, however long it is."""
    with channels() as (client, server):
        send_put(client, "f", b"12345")
        client.flush()
        server.receive_event(LONG, "a request")
        with pytest.raises(LocalProtocolError):
            server.receive_event(LONG, "a trailer")
        for _ in server.payload(BufferPool()):
            with pytest.raises(LocalProtocolError):
                server.receive_event(LONG, "a trailer")
        assert isinstance(server.receive_event(LONG, "a trailer"), TrailerReceived)


def test_draining_more_than_the_limit_reads_nothing() -> None:
    with channels() as (client, server):
        send_put(client, "f", b"12345")
        client.flush()
        server.receive_event(LONG, "a request")
        assert not server.drain(4)
        assert server.connection.incoming_payload == 5
        assert server.drain(5)
        assert server.connection.incoming is State.TRAILER


def test_draining_takes_what_is_in_the_buffer_and_what_is_not() -> None:
    with (
        channels() as (client, server),
        running(lambda: deliver(client, "f", bytes(3 << 20))),
    ):
        server.receive_event(LONG, "a request")
        assert server.drain(3 << 20)
        assert isinstance(server.receive_event(LONG, "a trailer"), TrailerReceived)


@pairs
def test_c09_five_hundred_puts_and_stats_while_the_answers_pile_up(pair: Pair, scale: int) -> None:
    """Two `sendall` that wait for each other are the end of naive pipelining."""
    with channels(pair) as (client, server), running(lambda: serve(server, BufferPool())):
        for number in range(500):
            send_put(client, str(number), b"x" * number)
        for number in range(500):
            client.queue(client.connection.send_request(Stat(path="a long name " * 20 + str(number))))
        for number in range(500):
            event = answer(client)
            assert event.request == put(str(number), number)
            assert isinstance(event.response, Stored)
        for number in range(500):
            event = answer(client)
            assert isinstance(event.request, Stat)
            assert event.request.path.endswith(f" {number}")
            assert isinstance(event.error, NotFound)
        client.queue(client.connection.send_request(Quit()))
        answer(client)


@pairs
def test_c09_requests_behind_contents_that_nobody_has_read_yet(pair: Pair, scale: int) -> None:
    """The server reads no request while it sends, so a client that insisted on sending would wait for ever."""
    content = os.urandom((2 << 20) // scale)
    lines = b"{}\n" * (40_000 // scale)
    pool = BufferPool()
    with channels(pair) as (client, server), running(lambda: serve(server, pool, {"f": content, "d": lines})):
        for _ in range(6):
            client.queue(client.connection.send_request(Get(path="f", algorithm="md5")))
            client.queue(client.connection.send_request(Ls(path="d")))
        for number in range(6):
            answer(client)
            more = Stat(path="x" * (30_000 // scale) + str(number))
            content_read = bytearray()
            for piece in client.payload(pool):
                if not content_read:
                    client.queue(client.connection.send_request(more))
                content_read += piece
            assert content_read == content
            assert isinstance(client.receive_event(LONG, "a trailer"), TrailerReceived)
            assert answer(client).size == len(lines)
            assert b"".join(map(bytes, client.payload(pool))) == lines
        for number in range(6):
            event = answer(client)
            assert isinstance(event.request, Stat)
            assert event.request.path.endswith(f"x{number}")
        client.queue(client.connection.send_request(Quit()))
        answer(client)


def test_c09_a_piece_stays_what_it_is_while_more_is_sent() -> None:
    """A piece of a small payload lies in the buffer that answers are received into."""
    lines = os.urandom(60_000)
    with channels() as (client, server), running(lambda: serve(server, BufferPool(), {"d": lines})):
        client.queue(client.connection.send_request(Ls(path="d")))
        for number in range(300):
            client.queue(client.connection.send_request(Stat(path="y" * 500 + str(number))))
        assert answer(client).size == len(lines)
        for piece in client.payload(BufferPool()):
            for number in range(300):
                client.queue(client.connection.send_request(Stat(path="z" * 500 + str(number))))
            client.flush()
            assert piece == lines
        for letter in "yz":
            for number in range(300):
                request = answer(client).request
                assert isinstance(request, Stat)
                assert request.path == letter * 500 + str(number)
        client.queue(client.connection.send_request(Quit()))
        answer(client)


def test_c08_an_empty_listing_is_not_given_the_payload_behind_it() -> None:
    """Its answer was taken in while requests were sent, and the answer behind it announces a payload."""
    content = os.urandom(5000)
    with (
        channels(tiny_unix_pair) as (client, server),
        running(lambda: serve(server, BufferPool(), {"d": b"", "f": content})),
    ):
        client.queue(client.connection.send_request(Ls(path="d")))
        client.queue(client.connection.send_request(Get(path="f", algorithm="md5")))
        for number in range(500):
            client.queue(client.connection.send_request(Stat(path="a long name " * 20 + str(number))))
        client.flush()
        assert answer(client).size == 0
        assert b"".join(map(bytes, client.payload(BufferPool()))) == b""
        assert answer(client).size == len(content)
        assert read_content(client, BufferPool()) == content
        for _ in range(500):
            assert isinstance(answer(client).error, NotFound)
        client.queue(client.connection.send_request(Quit()))
        answer(client)


def test_payload_behind_an_unread_payload_is_an_error_of_ours_not_a_deadlock() -> None:
    content = os.urandom(4 << 20)
    with (
        channels(tiny_unix_pair) as (client, server),
        running(lambda: _serve_quietly(server, content)),
    ):
        client.queue(client.connection.send_request(Get(path="f", algorithm="md5")))
        answer(client)
        client.queue(client.connection.send_request(put("g", len(content))))
        with pytest.raises(LocalProtocolError):
            client.send_payload(memoryview(content))
        client.close()


def _serve_quietly(server: Channel, content: bytes) -> None:
    with contextlib.suppress(ConnectionLost):
        serve(server, BufferPool(), {"f": content})


def test_the_pool_lends_a_bounded_number_of_large_buffers() -> None:
    pool = BufferPool(limit=2)
    with contextlib.ExitStack() as stack:
        lengths = [len(stack.enter_context(pool.borrow())) for _ in range(4)]
    assert lengths == [BUFFER_BYTES, BUFFER_BYTES, 64 * 1024, 64 * 1024]
    with pool.borrow() as view:
        assert len(view) == BUFFER_BYTES


def test_the_pool_keeps_one_buffer_and_gives_the_rest_back() -> None:
    tracemalloc.start()
    try:
        pool = BufferPool()
        with contextlib.ExitStack() as stack:
            for _ in range(16):
                stack.enter_context(pool.borrow())
            assert tracemalloc.get_traced_memory()[0] > 16 * BUFFER_BYTES
        assert tracemalloc.get_traced_memory()[0] < 1.1 * BUFFER_BYTES
    finally:
        tracemalloc.stop()


def test_the_pool_gets_a_buffer_back_whatever_happened() -> None:
    pool = BufferPool(limit=1)
    for _ in range(3):
        with contextlib.suppress(ZeroDivisionError), pool.borrow() as view:
            assert len(view) == BUFFER_BYTES
            raise ZeroDivisionError
    with (
        channels() as (client, server),
        running(lambda: deliver(client, "f", bytes(3 << 20))),
    ):
        server.receive_event(LONG, "a request")
        for piece in server.payload(pool):
            assert len(piece) == BUFFER_BYTES
            break
        with pool.borrow() as view:
            assert len(view) == BUFFER_BYTES, "a payload that was given up kept its buffer"
        server.drain(3 << 20)


def test_the_pool_is_shared_by_threads() -> None:
    pool = BufferPool(limit=4)
    lent = 0
    most = 0
    lock = threading.Lock()

    def borrow() -> None:
        nonlocal lent, most
        for _ in range(200):
            with pool.borrow() as view:
                if len(view) == BUFFER_BYTES:
                    with lock:
                        lent += 1
                        most = max(most, lent)
                    view[0] = view[-1] = 1
                    with lock:
                        lent -= 1

    threads = [threading.Thread(target=borrow) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert 1 <= most <= 4


@pytest.mark.parametrize("size", [1, 100, 64 * 1024, 64 * 1024 + 1, BUFFER_BYTES, 1 << 40])
def test_a_short_payload_costs_a_short_buffer(size: int) -> None:
    with BufferPool().borrow(size) as view:
        assert len(view) == (BUFFER_BYTES if size > 64 * 1024 else size)


def test_an_idle_channel_gives_back_what_a_transfer_needed() -> None:
    with channels() as (client, server):
        with running(lambda: deliver(client, "f", bytes(100_000))):
            server.receive_event(LONG, "a request")
            for _ in server.payload(BufferPool()):
                pass
            server.receive_event(LONG, "a trailer")
        assert len(server.connection.buffer.writable()) > 100_000
        with pytest.raises(TransferTimeout):
            server.receive_event(0.25, "a request")
        assert len(server.connection.buffer.writable()) == 4096


def test_an_idle_channel_holds_next_to_nothing() -> None:
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(sock) for _ in range(50) for sock in unix_pair()]
        tracemalloc.start()
        try:
            idle = [Channel(sock, Connection(Role.SERVER), stall=LONG, header=LONG) for sock in sockets]
            assert tracemalloc.get_traced_memory()[0] < len(idle) * 4096
        finally:
            tracemalloc.stop()
