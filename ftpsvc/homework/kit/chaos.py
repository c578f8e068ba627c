"""A proxy that does to a TCP connection what a bad network does (docs/kit.md, "The chaos proxy").

It copies bytes and knows no protocol, so it fits between any client and any server. What it does is the same for every
connection and counted from the first byte of each direction: a run can be repeated.
"""

from __future__ import annotations

import select
import socket
import struct
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Final, Literal, Self, TypeAlias

from ftpsvc.text import count

Way: TypeAlias = Literal["up", "down"]
"""up: from the client to the server."""

WAYS: Final[tuple[Way, ...]] = ("up", "down")

QUIET: Final = 0.05
"""Seconds of silence after which `coalesce` takes what it holds for all that is coming for now."""

_PIECE: Final = 1 << 16
_LOOK: Final = 0.1  # seconds between two looks at whether a connection that waits is over
_HUNG_UP: Final = select.POLLHUP | select.POLLERR | getattr(select, "POLLRDHUP", 0)
_RESET: Final = struct.pack("ii", 1, 0)  # SO_LINGER of no time: a close resets


@dataclass(frozen=True, slots=True, kw_only=True)
class Chaos:
    """What is done to the bytes of one direction; counts are in bytes, from 0, times in seconds.

    Attributes:
        ways: The directions that it is done to; the other is only copied.
        dribble: Each byte is sent by itself.
        coalesce: Bytes are held back until the sender is quiet for `QUIET` or 64 KiB are there, and sent as one piece.
        delay: How long each piece is held before it is sent; with `dribble` that is each byte.
        corrupt: The byte of this number has its lowest bit flipped; None: no byte.
        stall: After so many bytes no more pass, until one side closes; None: never.
        cut: After so many bytes both connections are reset; None: never.
    """

    ways: tuple[Way, ...] = WAYS
    dribble: bool = False
    coalesce: bool = False
    delay: float = 0.0
    corrupt: int | None = None
    stall: int | None = None
    cut: int | None = None


class ChaosProxy:
    """A proxy that listens from when it is made until it is closed. Use it as a context manager, or call `close`.

    Args:
        to: Host and port of the server.
        chaos: What is done to each connection.
        listen: Host and port; port 0 lets the system choose, and `address` tells.
        told: Called with one line for each connection that ended, from the connection's own thread.

    Raises:
        OSError: It cannot listen there.
    """

    def __init__(
        self,
        to: tuple[str, int],
        chaos: Chaos,
        *,
        listen: tuple[str, int] = ("127.0.0.1", 0),
        told: Callable[[str], None] | None = None,
    ) -> None:
        self._to = to
        self._chaos = chaos
        self._told = told
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._open: set[Pair] = set()
        self._threads: set[threading.Thread] = set()
        family = socket.AF_INET6 if ":" in listen[0] else socket.AF_INET
        self._listener = socket.create_server(listen, family=family, backlog=128)
        self._count = 0
        self._accepting = threading.Thread(target=self._accept, name="chaos")
        self._accepting.start()

    @property
    def address(self) -> tuple[str, int]:
        """Host and port that it listens on."""
        host, port = self._listener.getsockname()[:2]
        return str(host), int(port)

    def close(self) -> None:
        """Ends every connection and waits until its threads are gone. A second call does nothing."""
        if self._stop.is_set():
            return
        self._stop.set()
        # A thread that waits in accept() does not notice a close on every system: it is called once more.
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        with suppress(OSError), socket.create_connection(self.address, 5):
            pass
        self._accepting.join()
        self._listener.close()
        with self._lock:
            pairs, threads = list(self._open), list(self._threads)
        for pair in pairs:
            pair.end()
        for thread in threads:
            thread.join()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _accept(self) -> None:
        while not self._stop.is_set():
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            if self._stop.is_set():
                client.close()
                return
            self._count += 1
            thread = threading.Thread(target=self._serve, args=(client, self._count), name="chaos connection")
            with self._lock:
                self._threads.add(thread)
            thread.start()

    def _serve(self, client: socket.socket, number: int) -> None:
        said = ""
        try:
            try:
                server = socket.create_connection(self._to, 30)
            except OSError as error:
                client.close()
                said = f"connection {number}: the server cannot be reached: {error.strerror or error}"
                return
            server.settimeout(None)
            pair = Pair(client, server, self._chaos)
            with self._lock:
                self._open.add(pair)
            if self._stop.is_set():  # closed before this pair could be seen
                pair.end()
            said = f"connection {number}: {pair.run()}"
            with self._lock:
                self._open.discard(pair)
        finally:
            if said and self._told is not None:
                self._told(said)
            with self._lock:
                self._threads.discard(threading.current_thread())


class Pair:
    """One connection on either side; both belong to it. They may be of TCP or of AF_UNIX.

    Args:
        client: What the client has at its other end.
        server: What the server has at its other end.
        chaos: What is done to the bytes.
        passed: Called with way and bytes after each piece that was sent on, from that way's thread; the next piece
            waits for it. An OSError that it raises ends the pair.
    """

    def __init__(
        self,
        client: socket.socket,
        server: socket.socket,
        chaos: Chaos,
        passed: Callable[[Way, int], None] | None = None,
    ) -> None:
        self._ends = {"up": (client, server), "down": (server, client)}
        self._chaos = chaos
        self._over = threading.Event()
        self._passed = {"up": 0, "down": 0}
        self._done: list[str] = []
        self._told = passed
        for one in (client, server):
            if one.family != socket.AF_UNIX:
                one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def run(self) -> str:
        """Copies until both directions ended, closes both connections, and returns what was done."""
        down = threading.Thread(target=self._pump, args=("down",), name="chaos down")
        down.start()
        self._pump("up")
        down.join()
        for one in self._ends["up"]:
            one.close()
        done = "".join(f", {one}" for one in self._done)
        return f"{count(self._passed['up'], 'byte')} up, {count(self._passed['down'], 'byte')} down{done}"

    def end(self) -> None:
        """Has `run` return soon. May be called from any thread, at any time."""
        self._over.set()
        for one in self._ends["up"]:
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)

    def _pump(self, way: Way) -> None:
        source, target = self._ends[way]
        chaos = self._chaos if way in self._chaos.ways else Chaos()
        try:
            while not self._over.is_set():
                data = self._coalesced(source) if chaos.coalesce else source.recv(_PIECE)
                if not data:
                    if not self._over.is_set():
                        target.shutdown(socket.SHUT_WR)
                    return
                if not self._pass(way, target, chaos, data):
                    return
        except OSError:  # one side is gone: so is the other
            self.end()

    def _coalesced(self, source: socket.socket) -> bytes:
        held = bytearray(source.recv(_PIECE))
        ended = not held
        while not ended and len(held) < _PIECE:
            # Not a timeout of the socket: the other direction's thread sends on it.
            if not _ready(source, select.POLLIN, QUIET):
                break
            piece = source.recv(_PIECE - len(held))
            ended = not piece
            held += piece
        return bytes(held)

    def _pass(self, way: Way, target: socket.socket, chaos: Chaos, data: bytes) -> bool:
        """Sends a piece as the chaos wants it; False when nothing more passes this way."""
        passed = self._passed[way]
        if chaos.corrupt is not None and passed <= chaos.corrupt < passed + len(data):
            changed = bytearray(data)
            changed[chaos.corrupt - passed] ^= 1
            data = bytes(changed)
            self._done.append(f"byte {chaos.corrupt} {way} corrupted")
        limits = [one for one in (chaos.cut, chaos.stall) if one is not None]
        room = min(limits) - passed if limits else len(data)
        for piece in _pieces(data[: max(0, room)], 1 if chaos.dribble else _PIECE):
            if chaos.delay and self._over.wait(chaos.delay):
                return False
            self._send(target, piece)
            self._passed[way] += len(piece)
            if self._told is not None:
                self._told(way, len(piece))
        if not limits or self._passed[way] < min(limits):
            return True
        if chaos.cut is not None and chaos.cut <= self._passed[way]:
            self._cut(way)
        else:
            self._done.append(f"{way} stalled")
            while not (self._over.wait(_LOOK) or any(map(_hung_up, self._ends[way]))):
                pass
            with suppress(OSError):
                target.shutdown(socket.SHUT_WR)
        return False

    def _send(self, target: socket.socket, data: bytes) -> None:
        """Sends all of it. A peer that does not read holds up its own connection only, and not its end."""
        rest = memoryview(data)
        while rest and not self._over.is_set():
            try:
                rest = rest[target.send(rest, socket.MSG_DONTWAIT) :]
            except BlockingIOError:
                _ready(target, select.POLLOUT, _LOOK)

    def _cut(self, way: Way) -> None:
        self._done.append(f"cut {way}")
        for one in self._ends["up"]:
            with suppress(OSError):
                one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        self._over.set()
        # Only the last close resets, and a shutdown before it would send an orderly end: reading alone is ended here.
        for one in self._ends["up"]:
            with suppress(OSError):
                one.shutdown(socket.SHUT_RD)


def _pieces(data: bytes, size: int) -> list[bytes]:
    return [data[start : start + size] for start in range(0, len(data), size)]


def _ready(one: socket.socket, events: int, seconds: float) -> bool:
    poll = select.poll()
    poll.register(one, events)
    return bool(poll.poll(seconds * 1000))


def _hung_up(one: socket.socket) -> bool:
    return _ready(one, _HUNG_UP, 0)
