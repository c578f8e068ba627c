"""The connections that are being served: how many, from where, and how each one is ended (invariants 7 and 8).

`server_close()` of a default ThreadingTCPServer waits for ever for a client that just stays, and daemon threads are cut
in mid-write. So every connection has a seat here, and whoever stops the server can tell those that wait for a request
from those that work.
"""

from __future__ import annotations

import enum
import itertools
import socket
import threading
from collections import Counter
from contextlib import suppress
from typing import Final

from ftpsvc.exceptions import Busy
from ftpsvc.transport import Channel


class _Phase(enum.Enum):
    STARTING = "starting"
    WAITING = "waiting"
    WORKING = "working"
    ENDING = "ending"


class Seat:
    """A connection's place. All its methods may be called from any thread.

    Attributes:
        number: Counts the connections since the start.
        group: What it is counted with for the limit per address.
    """

    def __init__(self, registry: Registry, sock: socket.socket, number: int, group: str) -> None:
        self.number = number
        self.group = group
        self._registry = registry
        self._lock = registry.lock
        self._socket = sock
        self._channel: Channel | None = None
        self._phase = _Phase.STARTING

    def attach(self, channel: Channel) -> None:
        """Notes what ends the connection from now on in place of its bare socket."""
        with self._lock:
            self._channel = channel

    def begin_waiting(self) -> bool:
        """Notes that the connection waits for a request; returns False when it is to end instead."""
        return self._begin(_Phase.WAITING)

    def begin_working(self) -> bool:
        """Notes that a request is being served; returns False when the connection is to end instead."""
        return self._begin(_Phase.WORKING)

    def _begin(self, phase: _Phase) -> bool:
        with self._lock:
            self._phase = _Phase.ENDING if self._registry.stopping else phase
            return self._phase is phase

    def begin_ending(self) -> None:
        """Notes that nothing is lost any more when the connection is cut."""
        with self._lock:
            self._phase = _Phase.ENDING

    def _stop_waiting(self) -> None:
        if self._phase is _Phase.WAITING and self._channel is not None:
            self._channel.stop_reading()

    def _cut(self) -> bool:
        if self._channel is not None:
            self._channel.interrupt()
        else:
            with suppress(OSError):
                self._socket.shutdown(socket.SHUT_RDWR)
        return self._phase is _Phase.WORKING


class Registry:
    """All seats. Thread-safe.

    Attributes:
        lock: Guards the seats' phases; held for a moment only.
        stopping: Whether no request is begun any more.
    """

    def __init__(self, limit: int, per_group: int) -> None:
        """Takes the limits.

        Args:
            limit: Most connections at the same time.
            per_group: Most of them from one address.
        """
        self.lock = threading.Lock()
        self.stopping = False
        self._limit: Final = limit
        self._per_group: Final = per_group
        self._numbers = itertools.count(1)
        self._seats: dict[socket.socket, Seat] = {}
        self._groups: Counter[str] = Counter()
        self._empty = threading.Condition(self.lock)
        self._ended: list[threading.Thread] = []

    def __len__(self) -> int:
        """The number of connections that have a seat."""
        return len(self._seats)

    def admit(self, sock: socket.socket, group: str) -> Seat:
        """Gives a new connection a seat.

        Raises:
            Busy: None is free. Nothing changed.
        """
        self.join_ended()
        with self.lock:
            if self.stopping:
                raise Busy("", "the server is stopping")
            if len(self._seats) >= self._limit:
                raise Busy("", f"all {self._limit} connections of the server are in use", self._limit)
            if self._groups[group] >= self._per_group:
                raise Busy(
                    "",
                    f"all {self._per_group} connections that one address may have are in use",
                    self._per_group,
                )
            self._groups[group] += 1
            seat = self._seats[sock] = Seat(self, sock, next(self._numbers), group)
            return seat

    def seat_of(self, sock: socket.socket) -> Seat:
        """Returns the seat that `admit` gave."""
        return self._seats[sock]

    def release(self, sock: socket.socket, thread: threading.Thread | None) -> None:
        """Takes a seat back.

        Args:
            sock: Whose seat it is.
            thread: The thread of the connection, which calls this as the last thing it does; None if it has none.
        """
        with self.lock:
            seat = self._seats.pop(sock, None)
            if seat is None:
                return
            self._groups[seat.group] -= 1
            if not self._groups[seat.group]:
                del self._groups[seat.group]
            if thread is not None:
                self._ended.append(thread)
            if not self._seats:
                self._empty.notify_all()

    def stop(self) -> None:
        """Lets no request begin any more, and ends the connections that wait for one."""
        with self.lock:
            self.stopping = True
            for seat in self._seats.values():
                seat._stop_waiting()

    def cut(self) -> int:
        """Ends every connection at once; returns how many were in the middle of a request."""
        with self.lock:
            self.stopping = True
            return sum([seat._cut() for seat in self._seats.values()])

    def wait_empty(self, seconds: float | None) -> bool:
        """Waits until no connection is left; returns False when the time is over before."""
        with self.lock:
            return self._empty.wait_for(lambda: not self._seats, seconds)

    def join_ended(self) -> None:
        """Joins the threads whose connections have ended: they have nothing left to do."""
        with self.lock:
            ended, self._ended = self._ended, []
        for thread in ended:
            thread.join()
