"""Answers that arrive while requests are still being sent: each must find its own payload, also an empty one."""

from __future__ import annotations

import socket
from collections.abc import Callable

import pytest

from ftpsvc.buffers import BufferPool
from ftpsvc.protocol.connection import Connection, ResponseReceived, TrailerReceived
from ftpsvc.protocol.headers import Content, Get, Greeting, Listing, Ls, Request
from ftpsvc.protocol.state import Role
from ftpsvc.transport import Channel

_SECONDS = 30


def _content(data: bytes, server: Connection) -> bytes:
    size = len(data)
    answer = server.send_response(Content(size=size, file_size=size, algorithm="md5"), content=True)
    if size:
        server.payload_sent(size)
    return answer + data + server.send_trailer("0" * 32)


def _listing(data: bytes, server: Connection) -> bytes:
    answer = server.send_response(Listing(size=len(data)))
    if data:
        server.payload_sent(len(data))
    return answer + data


@pytest.mark.parametrize("first", [b"", b"abc"])
@pytest.mark.parametrize(
    ("requests", "answer"),
    [
        ([Get(path="a", algorithm="md5"), Get(path="b", algorithm="md5")], _content),
        ([Ls(path="a"), Ls(path="b")], _listing),
    ],
    ids=["get", "ls"],
)
def test_an_answer_taken_in_ahead_keeps_its_own_payload(
    first: bytes, requests: list[Request], answer: Callable[[bytes, Connection], bytes]
) -> None:
    ours, theirs = socket.socketpair()
    with theirs:
        client = Channel(ours, Connection(Role.CLIENT), stall=_SECONDS, header=_SECONDS)
        server = Connection(Role.SERVER)
        theirs.sendall(server.send_greeting(Greeting(algorithms=["md5"])))
        client.receive_event(_SECONDS, "the greeting")
        for request in requests:
            client.queue(client.connection.send_request(request))
        # Everything is there before the first request is sent, so that sending takes it all in.
        theirs.sendall(answer(first, server) + answer(b"second", server))
        client.flush()
        contents = []
        for _ in requests:
            event = client.receive_event(_SECONDS, "an answer")
            assert isinstance(event, ResponseReceived)
            contents.append(b"".join(bytes(piece) for piece in client.payload(BufferPool())))
            if isinstance(event.request, Get):
                assert isinstance(client.receive_event(_SECONDS, "a trailer"), TrailerReceived)
        client.close()
    assert contents == [first, b"second"]
