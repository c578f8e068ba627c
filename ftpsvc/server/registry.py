"""The connections that are being served: how many, whose, from where, and how each one is ended (invariants 7 and 8).

`server_close()` of a default ThreadingTCPServer waits for ever for a client that just stays, and daemon threads are cut
in mid-write. So every connection has a seat here, and whoever stops the server can tell those that wait for a request
from those that work.

Who has not logged in and is no guest either is a *stranger*. Strangers have a part of the seats only, and one who has
had his for longer than `PATIENCE` gives it up when somebody new comes and none is free: so neither many machines that
connect and say nothing nor one of a hundred behind one address keep users out (docs/server.md, "Limits").
"""

from __future__ import annotations

import enum
import itertools
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from ftpsvc.exceptions import Busy
from ftpsvc.transport import Channel

PATIENCE: Final = 2.0
"""Seconds that a stranger has for sure: a log-in by a program takes milliseconds, also while many log in at once."""

CROWD: Final = 64
"""Strangers that one address may have at least, however full it is, before they lose that time to other addresses."""


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
        since: When it was given, by the registry's clock.
        dismissed: Whether it was taken away to make room.
    """

    def __init__(
        self, registry: Registry, sock: socket.socket, number: int, group: str, since: float = 0.0
    ) -> None:
        self.number = number
        self.group = group
        self.since = since
        self.dismissed = False
        self._user: str | None = None
        self._registry = registry
        self._lock = registry.lock
        self._socket = sock
        self._wrapped = False
        self._channel: Channel | None = None
        self._phase = _Phase.STARTING

    def wrap(self, wrap: Callable[[socket.socket], socket.socket]) -> socket.socket:
        """Puts another object over the connection's socket, as TLS does, and returns it.

        Args:
            wrap: Makes it, without waiting for anything. The bare socket may lose its descriptor to it.

        Raises:
            OSError: It cannot be done.
        """
        with self._lock:  # so that `_cut` finds the one that has the descriptor
            self._socket = wrap(self._socket)
            self._wrapped = True
            if self._registry.stopping or self.dismissed:
                self._shut_down()
            return self._socket

    def attach(self, channel: Channel) -> None:
        """Notes what ends the connection from now on in place of its bare socket."""
        with self._lock:
            self._channel = channel

    def take_for(self, user: str | None, always: bool = False) -> None:
        """Notes that it is no stranger's any more.

        Args:
            user: Who has logged in; None is a guest.
            always: Whether the user has it also when it is one more than a user may have.

        Raises:
            Busy: The user has as many connections as a user may have. It stays a stranger's.
        """
        self._registry._take_for(self, user, always=always)

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
        elif self._wrapped and self._channel is None:  # in its handshake: there is nothing to say goodbye in
            self._shut_down()

    def _shut_down(self) -> None:
        with suppress(OSError):
            # The bare socket's own: that of a TLS socket would forget its TLS under the hands of its thread.
            socket.socket.shutdown(self._socket, socket.SHUT_RDWR)

    def _cut(self) -> bool:
        if self._channel is not None:
            self._channel.interrupt()
        else:
            self._shut_down()
        return self._phase is _Phase.WORKING


class Registry:
    """All seats. Thread-safe.

    Attributes:
        lock: Guards the seats' phases; held for a moment only.
        stopping: Whether no request is begun any more.
    """

    def __init__(
        self,
        limit: int,
        per_group: int,
        *,
        per_user: int | None = None,
        strangers: int | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Takes the limits.

        Args:
            limit: Most connections at the same time.
            per_group: Most of them from one address.
            per_user: Most of them of one user; None is no limit.
            strangers: Most of them of strangers; None is no limit. A quarter of `limit` is never theirs, if that is
                one at least.
            clock: Seconds, going forward.
        """
        self.lock = threading.Lock()
        self.stopping = False
        self._limit: Final = limit
        self._per_group: Final = per_group
        self._numbers = itertools.count(1)
        self._per_user: Final = per_user
        self._max_strangers: Final = min(limit if strangers is None else strangers, limit - limit // 4)
        self._clock = clock
        self._seats: dict[socket.socket, Seat] = {}
        # Seats that count; one that is being cleared by who was dismissed does not.
        self._taken = 0
        self._groups: Counter[str] = Counter()
        self._users: Counter[str] = Counter()
        # By group, each in the order of time: the first of each has been there for longest.
        self._strangers: dict[str, dict[Seat, None]] = {}
        self._strangers_taken = 0
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
            now = self._clock()
            if self._groups[group] >= self._per_group and not self._make_room(now, group):
                raise Busy(
                    "",
                    f"all {self._per_group} connections that one address may have are in use",
                    self._per_group,
                )
            if self._taken >= self._limit and not self._make_room(now, newcomer=group):
                raise Busy("", f"all {self._limit} connections of the server are in use", self._limit)
            if self._strangers_taken >= self._max_strangers and not self._make_room(now, newcomer=group):
                raise Busy(
                    "",
                    f"all {self._max_strangers} connections for clients that have not logged in are in use",
                    self._max_strangers,
                )
            self._groups[group] += 1
            self._taken += 1
            seat = self._seats[sock] = Seat(self, sock, next(self._numbers), group, now)
            self._strangers.setdefault(group, {})[seat] = None
            self._strangers_taken += 1
            return seat

    def _make_room(self, now: float, group: str | None = None, newcomer: str | None = None) -> bool:
        """Dismisses the stranger that has been there for longest, of a group or of the group that has most.

        One of a group that fills more than its part is dismissed for another group's newcomer also before its time:
        else one machine that connects a thousand times a second would take each place again within `PATIENCE`.
        """
        if group is None:
            group = max(self._strangers, key=lambda name: len(self._strangers[name]), default=None)
        here = self._strangers.get(group or "", {})
        first = next(iter(here), None)
        if first is None:
            return False
        part = max(CROWD, self._max_strangers // 4)
        too_many = len(here) > part and newcomer is not None and len(self._strangers.get(newcomer, ())) < part
        if now - first.since < PATIENCE and not too_many:
            return False
        first.dismissed = True
        self._leave(first)
        first._cut()
        return True

    def _take_for(self, seat: Seat, user: str | None, *, always: bool) -> None:
        with self.lock:
            if seat.dismissed:
                return  # its connection is gone, as its thread will find out
            if user is not None:
                if self._per_user is not None and self._users[user] >= self._per_user and not always:
                    raise Busy(
                        "",
                        f"all {self._per_user} connections that one user may have are in use",
                        self._per_user,
                    )
                self._users[user] += 1
                seat._user = user
            self._no_stranger(seat)

    def _no_stranger(self, seat: Seat) -> None:
        here = self._strangers.get(seat.group, {})
        if seat in here:
            del here[seat]
            self._strangers_taken -= 1
            if not here:
                del self._strangers[seat.group]

    def _leave(self, seat: Seat) -> None:
        """Takes a seat out of all counts."""
        self._no_stranger(seat)
        self._taken -= 1
        for counter, key in ((self._groups, seat.group), (self._users, seat._user)):
            if key is not None:
                counter[key] -= 1
                if not counter[key]:
                    del counter[key]

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
            if not seat.dismissed:
                self._leave(seat)
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
