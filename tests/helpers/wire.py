"""Messages as bytes, and every way in which they can arrive (docs/protocol.md section 2)."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from ftpsvc.exceptions import RemoteProtocolError
from ftpsvc.protocol.connection import Connection, Event

GARBAGE = b"\xff\xfe garbage \x00\xff"
"""What no conversation goes on with: its first four bytes are a length beyond every limit."""

Outcome = Event | bytes | RemoteProtocolError


def message(fields: dict[str, Any] | bytes, payload: bytes = b"") -> bytes:
    """Returns prefix, header and payload; a header given as bytes is taken as it is."""
    header = fields if isinstance(fields, bytes) else json.dumps(fields).encode()
    return struct.pack("!I", len(header)) + header + payload


def messages(data: bytes) -> Iterator[tuple[dict[str, Any], bytes]]:
    """Yields header and payload of each message in `data`, which must be whole messages."""
    start = 0
    while start < len(data):
        (length,) = struct.unpack_from("!I", data, start)
        header = json.loads(data[start + 4 : start + 4 + length])
        start += 4 + length
        size = header.get("size", 0)
        yield header, data[start : start + size]
        start += size
    assert start == len(data), "the last message is cut"


def drive(connection: Connection, chunks: Iterable[bytes]) -> list[Outcome]:
    """Feeds chunks and returns what comes of them: events, whole payloads, and the error that ended it, if one did.

    A payload that is still incomplete at the end counts as what came of it, unless nothing did.
    """
    outcomes: list[Outcome] = []
    payload = bytearray()
    for chunk in chunks:
        connection.buffer.feed(chunk)
        while True:
            if due := connection.incoming_payload:
                piece = connection.buffer.peek(due)
                if not piece:
                    break
                count = len(piece)
                payload += piece
                connection.buffer.discard(count)
                connection.payload_received(count)
                if not connection.incoming_payload:
                    outcomes.append(bytes(payload))
                    payload.clear()
                continue
            try:
                event = connection.next_event()
            except RemoteProtocolError as error:
                outcomes.append(error)
                return outcomes
            if event is None:
                break
            outcomes.append(event)
    if payload:
        outcomes.append(bytes(payload))
    return outcomes


def ways(data: bytes) -> Iterator[tuple[str, list[bytes]]]:
    """Yields `data` whole, byte by byte, and cut in two at every place (of a long one: near its ends, and between)."""
    yield "whole", [data]
    length = len(data)
    if length <= 5000:
        yield "byte by byte", [data[at : at + 1] for at in range(length)]
    places = range(1, length) if length <= 700 else [*range(1, 40), length // 3, *range(length - 40, length)]
    for at in places:
        yield f"cut at {at}", [data[:at], data[at:]]


def arrive(fresh: Callable[[], Connection], data: bytes) -> list[Outcome]:
    """Lets `data` arrive in every way, with and without garbage behind it, and returns what always came of it.

    Args:
        fresh: Makes the connection that it arrives at, anew for each way.
        data: What arrives. Its outcome must not depend on the way, nor on what comes behind it.
    """
    expected = drive(fresh(), [data])
    for way, chunks in ways(data):
        assert same(drive(fresh(), chunks), expected), way
        behind = drive(fresh(), [*chunks[:-1], chunks[-1] + GARBAGE] if chunks else [GARBAGE])
        if not expected or not isinstance(expected[-1], RemoteProtocolError):
            connection = fresh()
            drive(connection, [data])
            if connection.incoming_payload or len(connection.buffer) or not can_fail(connection):
                continue  # what comes next is no header, so garbage may be anything
            assert isinstance(behind.pop(), RemoteProtocolError), way
        assert same(behind, expected), f"{way}, and garbage"
    return expected


def can_fail(connection: Connection) -> bool:
    """Whether the connection still looks at what comes: after the last message nobody does."""
    return connection.incoming.value != "closed"


def same(one: list[Outcome], other: list[Outcome]) -> bool:
    """Compares outcomes; errors by class and text."""
    return list(map(_plain, one)) == list(map(_plain, other))


def _plain(outcome: Outcome) -> object:
    if isinstance(outcome, RemoteProtocolError):
        return type(outcome), str(outcome)
    error = getattr(outcome, "error", None)
    if isinstance(error, Exception):  # exceptions compare by identity
        fields = {name: getattr(outcome, name) for name in outcome.__slots__ if name != "error"}  # type: ignore[union-attr]
        return type(outcome), fields, type(error), str(error)
    return outcome
