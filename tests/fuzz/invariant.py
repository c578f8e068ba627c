"""What holds for the message parser, whatever bytes arrive; and where a fuzzer best begins.

The invariant, for each role, each limit of a header, and bytes cut into pieces in any way:

1. Nothing but RemoteProtocolError is ever raised, and the same one again afterwards.
2. The buffer never holds more than 256 KiB, however much is announced.
3. The events, the payloads and the error do not depend on how the bytes were cut.
4. Every event takes bytes off: nobody can keep the parser busy without sending.
5. What was accepted as a request means the same when it is sent on.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from ftpsvc.exceptions import RemoteProtocolError
from ftpsvc.protocol.connection import Connection, Event, GreetingReceived, RequestReceived
from ftpsvc.protocol.headers import Cd, Get, Greeting, Ls, Put, Pwd, Quit, Request
from ftpsvc.protocol.state import Role
from tests.helpers.examples import load

LARGEST_BUFFER = 256 * 1024
_LIMITS = (4096, 65536, 256)
_EMPTY = Put(path="f", size=0, algorithm="md5")
_ASKED: tuple[Request, ...] = (
    _EMPTY, Ls(), Get(path="f", algorithm="md5"), Cd(path="d"), Pwd(), Ls(), Get(path="g", algorithm="md5"), Quit(),
)  # fmt: skip


def check(data: bytes) -> None:
    """Checks the invariant for one input.

    Args:
        data: The first byte chooses role and limit, the second how the rest is cut; the rest arrives.

    Raises:
        AssertionError: It does not hold.
    """
    if len(data) < 2:
        return
    role = Role.SERVER if data[0] & 1 else Role.CLIENT
    limit = _LIMITS[(data[0] >> 1) % len(_LIMITS)]
    whole = _Listener(role, limit)
    whole.hear(data[2:])
    pieces = _Listener(role, limit)
    for piece in _cut(data[2:], data[1]):
        pieces.hear(piece)
    assert pieces.heard == whole.heard, "how it was cut changed what it means"


class _Listener:
    """A connection that something arrives at, and notes on what came of it."""

    def __init__(self, role: Role, limit: int) -> None:
        self.heard: list[object] = []
        self._connection = Connection(role, max_header=limit)
        if role is Role.SERVER:
            self._connection.send_greeting(Greeting(algorithms=["md5"]))
        self._payload = bytearray()
        self._over = False

    def hear(self, data: bytes) -> None:
        buffer = self._connection.buffer
        view = memoryview(data)
        while view and not self._over:
            room = buffer.writable()
            assert 0 < len(room) + len(buffer) <= LARGEST_BUFFER, "the buffer has no bound"
            count = min(len(room), len(view))
            room[:count] = view[:count]
            buffer.filled(count)
            view = view[count:]
            self._take()

    def _take(self) -> None:
        connection, buffer = self._connection, self._connection.buffer
        while not self._over:
            before = len(buffer)
            if due := connection.incoming_payload:
                piece = bytes(buffer.peek(due))
                if not piece:
                    return
                self._payload += piece
                buffer.discard(len(piece))
                connection.payload_received(len(piece))
                if not connection.incoming_payload:
                    self.heard.append(bytes(self._payload))
                    self._payload.clear()
                continue
            try:
                event = connection.next_event()
            except RemoteProtocolError as error:
                self._broken(error)
                return
            if event is None:
                self._over = connection.incoming.value == "closed"
                return
            assert len(buffer) < before, "an event came of nothing"
            self._note(event)

    def _note(self, event: Event) -> None:
        error = getattr(event, "error", None)
        if isinstance(error, Exception):
            assert str(error).isprintable() or isinstance(event, RequestReceived)
            self.heard.append((type(event), type(error), str(error)))
        else:
            self.heard.append(event)
        if isinstance(event, GreetingReceived):
            for request in _ASKED:
                self._connection.send_request(request)
                if request is _EMPTY:
                    self._connection.send_trailer("0" * 32)
        if isinstance(event, RequestReceived) and event.request is not None:
            self._send_on(event.request)

    def _broken(self, error: RemoteProtocolError) -> None:
        self._over = True
        self.heard.append((type(error), str(error)))
        with pytest.raises(RemoteProtocolError) as again:
            self._connection.next_event()
        assert again.value is error

    def _send_on(self, request: Request) -> None:
        other, here = Connection(Role.SERVER), Connection(Role.CLIENT)
        here.buffer.feed(other.send_greeting(Greeting(algorithms=["md5"])))
        here.next_event()
        other.buffer.feed(here.send_request(request))
        event = other.next_event()
        assert isinstance(event, RequestReceived)
        assert event.request == request


def _cut(data: bytes, how: int) -> Iterator[bytes]:
    step = how % 61 + 1
    if how < 128:
        for start in range(0, len(data), step):
            yield data[start : start + step]
    else:
        yield data[:step]
        yield data[step:]


def seeds() -> Iterator[bytes]:
    """Yields inputs to begin with: both sides of the conversations in docs/protocol.md, and their single messages."""
    for example in load():
        for role, sender in ((b"\x01", "C"), (b"\x00", "S")):
            said = [message.data for message in example.said_by(sender)]
            yield role + b"\x07" + b"".join(said)
            if sender == "C":
                for data in said:
                    yield role + b"\xff" + data
