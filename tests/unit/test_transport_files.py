"""Contents straight from the disk, and zeros in place of what cannot be had (docs/protocol.md section 5)."""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from pathlib import Path

import pytest

from ftpsvc.buffers import BufferPool
from ftpsvc.exceptions import (
    ConnectionLost,
    HeaderTooLarge,
    ReadFailed,
    TransferTimeout,
)
from ftpsvc.protocol.connection import (
    RequestReceived,
    TrailerReceived,
)
from ftpsvc.protocol.headers import Content, Get, Pwd, Quit
from ftpsvc.protocol.state import Role
from ftpsvc.transport import Channel
from tests.helpers.channels import (
    LONG,
    SHORT,
    answer,
    channel_and_socket,
    channels,
    md5,
    read_content,
    running,
    send_put,
    serve,
    tiny_unix_pair,
)
from tests.helpers.wire import message


@pytest.fixture
def getting() -> Iterator[tuple[Channel, Channel]]:
    """A client that has asked for a file and a server that is to send it."""
    with channels() as (client, server):
        client.queue(client.connection.send_request(Get(path="f", algorithm="md5")))
        client.flush()
        server.receive_event(LONG, "a request")
        yield client, server


def start_content(server: Channel, size: int) -> None:
    header = Content(size=size, file_size=size, algorithm="md5")
    server.queue(server.connection.send_response(header, content=True))


@pytest.mark.skipif(not hasattr(os, "sendfile"), reason="this system has no sendfile")
@pytest.mark.parametrize("offset", [0, 1, 4096, 2_999_999, 3_000_000])
def test_a_file_is_sent_from_an_offset(getting: tuple[Channel, Channel], offset: int, tmp_path: Path) -> None:
    client, server = getting
    content = os.urandom(3_000_000)
    (tmp_path / "f").write_bytes(content)
    assert server.wire.can_send_file

    def send() -> None:
        start_content(server, len(content) - offset)
        with (tmp_path / "f").open("rb") as file:
            server.send_file(file.fileno(), offset, len(content) - offset, "/f")
        server.queue(server.connection.send_trailer(md5(content[offset:])))
        server.flush()

    with running(send):
        assert answer(client).size == len(content) - offset
        assert read_content(client, BufferPool()) == content[offset:]


@pytest.mark.skipif(not hasattr(os, "sendfile"), reason="this system has no sendfile")
def test_c46_a_file_that_became_shorter_is_filled_up_with_zeros(
    getting: tuple[Channel, Channel], tmp_path: Path
) -> None:
    client, server = getting
    (tmp_path / "f").write_bytes(b"a" * 100_000)

    def send() -> None:
        start_content(server, 300_000)
        with (tmp_path / "f").open("rb") as file, pytest.raises(ReadFailed) as caught:
            server.send_file(file.fileno(), 0, 300_000, "/f")
        assert server.connection.outgoing_payload == 200_000
        server.send_zeros(200_000)
        server.queue(server.connection.send_trailer(None, caught.value))
        server.flush()

    with running(send):
        assert answer(client).size == 300_000
        assert b"".join(map(bytes, client.payload(BufferPool()))) == b"a" * 100_000 + bytes(200_000)
        trailer = client.receive_event(LONG, "a trailer")
        assert isinstance(trailer, TrailerReceived)
        assert trailer.error is not None
        assert trailer.error.code == "read-failed"


@pytest.mark.skipif(not hasattr(os, "sendfile"), reason="this system has no sendfile")
def test_c57_a_client_that_takes_no_file(tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(bytes(1 << 20))
    with channel_and_socket(Role.SERVER, tiny_unix_pair, stall=SHORT) as (server, sock):
        sock.sendall(message({"op": "get", "path": "f", "algorithm": "md5"}))
        server.receive_event(LONG, "a request")
        start_content(server, 1 << 20)
        with (tmp_path / "f").open("rb") as file, pytest.raises(TransferTimeout):
            server.send_file(file.fileno(), 0, 1 << 20, "/f")
        assert server.wire.send_failed


@pytest.mark.skipif(not hasattr(os, "sendfile"), reason="this system has no sendfile")
def test_c04_a_client_that_goes_while_a_file_is_sent(tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(bytes(8 << 20))
    with channel_and_socket(Role.SERVER) as (server, sock):
        sock.sendall(message({"op": "get", "path": "f", "algorithm": "md5"}))
        server.receive_event(LONG, "a request")
        start_content(server, 8 << 20)
        sock.close()
        with (tmp_path / "f").open("rb") as file, pytest.raises(ConnectionLost):
            server.send_file(file.fileno(), 0, 8 << 20, "/f")


@pytest.mark.parametrize("count", [0, 1, 65_536, 200_000])
def test_zeros_are_counted_as_payload(getting: tuple[Channel, Channel], count: int) -> None:
    client, server = getting

    def send() -> None:
        start_content(server, count)
        server.send_zeros(count)
        server.queue(server.connection.send_trailer(md5(bytes(count))))
        server.flush()

    with running(send):
        assert answer(client).size == count
        assert read_content(client, BufferPool()) == bytes(count)


def test_bytes_are_counted_on_both_sides() -> None:
    with channels() as (client, server):
        with running(lambda: serve(server, BufferPool())):
            send_put(client, "f", bytes(100_000))
            answer(client)
            client.queue(client.connection.send_request(Quit()))
            answer(client)
        assert client.wire.sent == server.wire.received > 100_000
        assert server.wire.sent == client.wire.received > 0


def test_c06_a_length_beyond_the_limit_is_refused_before_more_is_read() -> None:
    with channel_and_socket(Role.SERVER) as (server, sock):
        sock.sendall(struct.pack("!I", 2**31 - 1))
        with pytest.raises(HeaderTooLarge):
            server.receive_event(LONG, "a request")


def test_an_expired_deadline_does_not_hide_what_is_there_already() -> None:
    with channels() as (client, server):
        for _ in range(2):
            client.queue(client.connection.send_request(Pwd()))
        client.flush()
        assert isinstance(server.receive_event(LONG, "a request"), RequestReceived)
        assert isinstance(server.receive_event(0, "a request"), RequestReceived)
        with pytest.raises(TransferTimeout):
            server.receive_event(0, "a request")
