"""The end of a connection: what is still said, and what can no longer be."""

import json
import socket
from collections.abc import Iterator

import pytest

from ftpsvc.exceptions import Busy
from ftpsvc.protocol.connection import Connection
from ftpsvc.protocol.headers import Content, Greeting
from ftpsvc.protocol.state import Role
from ftpsvc.server.conversation import _end
from ftpsvc.transport import Channel


@pytest.fixture
def pair() -> Iterator[tuple[Channel, socket.socket]]:
    ours, theirs = socket.socketpair()
    channel = Channel(ours, Connection(Role.SERVER), stall=5, header=5)
    channel.queue(channel.connection.send_greeting(Greeting(algorithms=["md5"])))
    channel.flush()
    with theirs:
        theirs.settimeout(60)
        theirs.recv(65536)
        theirs.shutdown(socket.SHUT_WR)
        yield channel, theirs
    channel.close()


def test_the_reason_is_the_last_message(pair: tuple[Channel, socket.socket]) -> None:
    channel, peer = pair
    _end(channel, Busy("", "it is late"), politely=False)
    answer = json.loads(peer.recv(65536)[4:])
    assert (answer["code"], answer["fatal"]) == ("busy", True)
    assert peer.recv(1) == b""


def test_nothing_follows_half_a_message(pair: tuple[Channel, socket.socket]) -> None:
    channel, peer = pair
    channel.wire.send_failed = True
    _end(channel, Busy("", "it is late"), politely=False)
    assert peer.recv(1) == b""


def test_nothing_is_said_in_the_middle_of_a_payload(pair: tuple[Channel, socket.socket]) -> None:
    channel, peer = pair
    header = channel.connection.send_response(Content(size=5, file_size=5, algorithm="md5"), content=True)
    channel.queue(header)
    channel.flush()
    _end(channel, Busy("", "it is late"), politely=False)
    assert peer.recv(len(header)) == header
    assert peer.recv(1) == b""
