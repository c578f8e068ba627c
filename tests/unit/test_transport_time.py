"""Silence in each phase (docs/protocol.md section 3.5, CASES C57)."""

from __future__ import annotations

import contextlib
import threading

import pytest

from ftpsvc.buffers import BufferPool
from ftpsvc.deadline import Deadline
from ftpsvc.exceptions import (
    ConnectionLost,
    TransferTimeout,
)
from ftpsvc.protocol.connection import (
    RequestReceived,
)
from ftpsvc.protocol.headers import Content, Located, Pwd
from ftpsvc.protocol.state import Role
from tests.helpers.channels import (
    LONG,
    SHORT,
    answer,
    channel_and_socket,
    channels,
    put,
    running,
    tiny_unix_pair,
)
from tests.helpers.wire import message


def test_c57_silence_before_a_request() -> None:
    with channels() as (_client, server), pytest.raises(TransferTimeout) as caught:
        server.receive_event(SHORT, "a request")
    assert (caught.value.phase, caught.value.seconds) == ("a request", SHORT)


def test_c57_silence_after_the_idle_memory_was_given_back() -> None:
    with channels() as (client, server):
        with pytest.raises(TransferTimeout):
            server.receive_event(0.3, "a request")
        client.queue(client.connection.send_request(Pwd()))
        client.flush()
        assert isinstance(server.receive_event(LONG, "a request"), RequestReceived)


def test_c57_a_header_that_dribbles_in_has_a_deadline_for_the_whole_of_it() -> None:
    """Each byte comes in time; together they do not."""
    with channel_and_socket(Role.SERVER, header=0.3) as (server, sock):
        stop = threading.Event()

        def dribble() -> None:
            with contextlib.suppress(OSError):
                sock.sendall(b"\x00\x00\x10\x00{")
                while not stop.wait(0.02):
                    sock.sendall(b" ")

        with running(dribble):
            with pytest.raises(TransferTimeout, match="the rest of a header"):
                server.receive_event(LONG, "a request")
            stop.set()


@pytest.mark.parametrize("size", [1000, 1 << 20], ids=["small", "large"])
def test_c57_a_payload_that_stalls(size: int) -> None:
    with channel_and_socket(Role.SERVER, stall=SHORT) as (server, sock):
        sock.sendall(message({"op": "put", "path": "f", "size": size, "algorithm": "md5"}) + b"x" * 500)
        server.receive_event(LONG, "a request")
        with pytest.raises(TransferTimeout, match="data"):
            for _ in server.payload(BufferPool()):
                pass


def test_c57_a_payload_that_stalls_while_it_is_drained() -> None:
    with channel_and_socket(Role.SERVER, stall=SHORT) as (server, sock):
        sock.sendall(message({"op": "put", "path": "f", "size": 10, "algorithm": "md5"}) + b"12345")
        server.receive_event(LONG, "a request")
        with pytest.raises(TransferTimeout):
            server.drain(10)


@pytest.mark.parametrize("requests", [1, 2], ids=["alone", "pipelined"])
def test_c57_a_server_that_takes_no_data(requests: int) -> None:
    with channel_and_socket(Role.CLIENT, tiny_unix_pair, stall=SHORT) as (client, _sock):
        for _ in range(requests - 1):
            client.queue(client.connection.send_request(Pwd()))
        client.queue(client.connection.send_request(put("f", 1 << 20)))
        with pytest.raises(TransferTimeout, match="to take data"):
            client.send_payload(memoryview(bytes(1 << 20)))
        assert client.wire.send_failed


def test_c57_a_client_that_takes_no_data() -> None:
    with channel_and_socket(Role.SERVER, tiny_unix_pair, stall=SHORT) as (server, sock):
        sock.sendall(message({"op": "get", "path": "f", "algorithm": "md5"}))
        server.receive_event(LONG, "a request")
        header = Content(size=1 << 20, file_size=1 << 20, algorithm="md5")
        server.queue(server.connection.send_response(header, content=True))
        with pytest.raises(TransferTimeout, match="to take data"):
            server.send_payload(memoryview(bytes(1 << 20)))


def test_c57_linger_ends_though_the_peer_does_neither_read_nor_close() -> None:
    with channel_and_socket(Role.SERVER, tiny_unix_pair, stall=600) as (server, _sock):
        server.queue(b"x" * 60_000)  # more than the peer's buffers hold
        server.linger(SHORT)
        with pytest.raises(ConnectionLost):
            server.receive_event(LONG, "nothing")


def never_again(count: int, seconds: float) -> None:
    raise TransferTimeout("a log-in", 1)


def test_c57_a_time_that_is_over_behind_a_whole_message_leaves_room_for_the_reason() -> None:
    with channels() as (client, server):
        client.queue(client.connection.send_request(Pwd()))
        client.flush()
        server.receive_event(LONG, "a request")
        server.watch = never_again
        server.queue(server.connection.send_response(Located(path="/")))
        with pytest.raises(TransferTimeout, match="a log-in"):
            server.flush()
        assert not server.wire.send_failed
        assert answer(client).response == Located(path="/")


def test_c57_a_time_that_is_over_in_a_message_leaves_none() -> None:
    with channel_and_socket(Role.SERVER, tiny_unix_pair) as (server, _sock):
        server.watch = never_again
        server.queue(bytes(60_000))  # more than the peer's buffers hold
        with pytest.raises(TransferTimeout, match="a log-in"):
            server.flush()
        assert server.wire.send_failed


def test_of_two_deadlines_the_error_names_the_one_that_ends_first() -> None:
    soon, late, endless = Deadline(LONG, "soon"), Deadline(2 * LONG, "late"), Deadline(None, "never")
    assert soon.or_sooner(late) is late.or_sooner(soon) is soon
    assert soon.or_sooner(endless) is endless.or_sooner(soon) is soon
    assert soon.or_sooner(None) is soon
    assert endless.or_sooner(None) is endless


def test_a_deadline() -> None:
    endless = Deadline(None, "nothing")
    assert endless.remaining() is None
    ahead = Deadline(LONG, "something")
    left = ahead.remaining()
    assert left is not None
    assert 0 < left <= LONG
    passed = Deadline(0, "a request")
    with pytest.raises(TransferTimeout, match=r"timed out after 0 s waiting for a request"):
        passed.remaining()
