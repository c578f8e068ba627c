"""Servers that are played: what a client meets that our own server never does."""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterator
from contextlib import suppress
from typing import Final

from ftpsvc.homework.kit.base_profile import message
from ftpsvc.homework.kit.gateway import Script

_MOST_HEADER: Final = 65536

GREETING: Final = message({"service": "ftpsvc", "version": 1, "algorithms": ["sha256", "md5"]})


def closes_at_once(connection: socket.socket) -> None:
    """A server that closes."""


def greets_and_closes(connection: socket.socket) -> None:
    """A server that greets and closes."""
    connection.sendall(GREETING)


def says_nothing(connection: socket.socket) -> None:
    """A server that says nothing."""
    while connection.recv(1 << 16):
        pass


def answers_with(greeting: bytes, answer: bytes, *, closes: bool) -> Script:
    """Returns a server that gives the same answer to every request, and then closes or waits.

    Args:
        greeting: What it says first; where it is empty, the answer is that.
        answer: The answer.
        closes: Whether it closes then.
    """

    def played(connection: socket.socket) -> None:
        connection.sendall(greeting or answer)
        if greeting:
            for _ in _requests(connection):
                connection.sendall(answer)
                if closes:
                    break
        if closes:
            connection.shutdown(socket.SHUT_WR)
        with suppress(OSError):
            says_nothing(connection)

    return played


def _requests(connection: socket.socket) -> Iterator[bytes]:
    """Yields each header that comes, until the client closes or sends something else."""
    with connection.makefile("rb") as stream:
        while len(begin := stream.read(4)) == 4:
            (length,) = struct.unpack("!I", begin)
            if length > _MOST_HEADER or len(data := stream.read(length)) < length:
                return
            yield data
