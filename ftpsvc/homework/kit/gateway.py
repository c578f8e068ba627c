"""Where a client's connections arrive: bridged to our server over a bad network, or to a server that is played."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Final, TypeAlias

from ftpsvc.homework.kit.chaos import QUIET, Chaos, Pair, Way
from ftpsvc.homework.kit.client_box import ClientBox
from ftpsvc.homework.kit.findings import Fault
from ftpsvc.homework.kit.our_server import OurServer
from ftpsvc.homework.kit.said import said

MOST_BYTES: Final = 64 << 20
"""Bytes that a client may send during one check: all that it puts lies on our disk."""

MOST_CONNECTIONS: Final = 200
"""Connections that a client may make during one check."""

STEP: Final = 256 << 10
"""Bytes of a paced transfer that pass before the client gets its chance to draw a bar."""

DROPS: Final = 160
"""Bytes of an answer of which each is only sent when the client has read the one before; a look at that costs up to
8 ms. What follows is sent byte by byte too, but may be read in pieces."""

_GREETING_DROPS: Final = 24

Script: TypeAlias = Callable[[socket.socket], None]
"""A server that is played on one connection; an OSError ends it, and so does its return."""


class Gateway:
    """Takes a client's connections from when it is made until it is closed.

    Args:
        box: Where the client is; its listener belongs to the gateway.
        server: Our server.

    Attributes:
        connections: How many there were.
        stalled: Set when a stall of the chaos was reached.
    """

    def __init__(self, box: ClientBox, server: OurServer) -> None:
        self.connections = 0
        self.stalled = threading.Event()
        self._box = box
        self._server = server
        self._chaos = Chaos()
        self._paced = False
        self._script: Script | None = None
        self._bytes = 0
        self._lock = threading.Lock()
        self._closed = False
        self._connected = threading.Event()
        self._open: set[socket.socket] = set()
        self._threads: list[threading.Thread] = []
        self._accepting = threading.Thread(target=self._accept, name="gateway")
        self._accepting.start()

    def be(self, chaos: Chaos, script: Script | None = None, *, paced: bool = False) -> None:
        """Says what becomes of the connections from now on.

        Args:
            chaos: What is done to them.
            script: A server that is played in the place of ours.
            paced: Whether bytes pass in steps, each when the client had a moment to show how far it is.
        """
        self._chaos, self._script, self._paced = chaos, script, paced
        self._connected.clear()
        self.stalled.clear()

    def wait_connected(self, seconds: float) -> bool:
        """Waits until there is a connection since `be`; False when there is none in time."""
        return self._connected.wait(seconds)

    def check(self) -> None:
        """Looks whether the client kept within bounds.

        Raises:
            Fault: It did not.
        """
        if self._bytes > MOST_BYTES:
            raise Fault(
                said("what was typed, and no more"),
                said("it floods the server: more than {most} MiB", most=MOST_BYTES >> 20),
            )
        if self.connections > MOST_CONNECTIONS:
            raise Fault(
                said("what was typed, and no more"),
                said("it floods the server: more than {most} connections", most=MOST_CONNECTIONS),
            )

    def close(self) -> None:
        """Ends every connection, and waits until its threads are gone."""
        with self._lock:
            self._closed = True
            for one in self._open:
                with suppress(OSError):
                    one.shutdown(socket.SHUT_RDWR)
        with suppress(OSError):
            self._box.listener.shutdown(socket.SHUT_RDWR)  # which wakes accept(): this runs on Linux only
        self._accepting.join()
        self._box.listener.close()
        for thread in self._threads:
            thread.join()

    def _accept(self) -> None:
        while not self._closed:
            try:
                client, _ = self._box.listener.accept()
            except OSError:
                return
            self.connections += 1
            self._box.activity.touch()
            if self.connections > MOST_CONNECTIONS:
                self._box.activity.flooded = True
                client.close()
                continue
            self._threads.append(
                threading.Thread(target=self._serve, args=(client,), name="gateway connection")
            )
            self._threads[-1].start()
            self._connected.set()

    def _serve(self, client: socket.socket) -> None:
        with client, suppress(OSError), self._known(client):
            if self._script is not None:
                client.settimeout(None)
                self._script(client)
                return
            with self._server.connect() as server, self._known(server):
                link = _Link(self, self._box, client.getpeername()[1], self._chaos, paced=self._paced)
                Pair(client, server, self._chaos, link.passed).run()

    @contextmanager
    def _known(self, one: socket.socket) -> Iterator[None]:
        """Has `close` end a connection."""
        with self._lock:
            if self._closed:
                raise ConnectionAbortedError
            self._open.add(one)
        try:
            yield
        finally:
            with self._lock:
                self._open.discard(one)

    def count(self, size: int) -> None:
        """Counts bytes that the client sent.

        Raises:
            OSError: They are too many.
        """
        with self._lock:
            self._bytes += size
        if self._bytes > MOST_BYTES:
            self._box.activity.flooded = True
            raise ConnectionAbortedError


class _Link:
    """What is done between two pieces of one bridged connection."""

    def __init__(self, gateway: Gateway, box: ClientBox, port: int, chaos: Chaos, *, paced: bool) -> None:
        self._gateway = gateway
        self._box = box
        self._port = port
        self._chaos = chaos
        self._paced = paced
        self._total = {"up": 0, "down": 0}
        self._drops = _GREETING_DROPS
        self._seen = box.activity.written()

    def passed(self, way: Way, size: int) -> None:
        """Counts a piece that passed; the next one waits for this."""
        before, self._total[way] = self._total[way], self._total[way] + size
        self._box.activity.touch()
        if way == "up":
            self._gateway.count(size)
            self._drops = DROPS
        elif self._chaos.dribble and self._drops:
            self._drops -= 1
            self._wait_until_read()
        if (
            self._chaos.stall is not None
            and way in self._chaos.ways
            and self._total[way] >= self._chaos.stall
        ):
            self._wait_until_read()
            self._gateway.stalled.set()
        if self._paced and before // STEP != self._total[way] // STEP:
            self._box.activity.wait_written(self._seen, QUIET)
            self._seen = self._box.activity.written()

    def _wait_until_read(self) -> None:
        try:
            self._box.drained(self._port)
        except Fault as gone:
            raise ConnectionAbortedError from gone
