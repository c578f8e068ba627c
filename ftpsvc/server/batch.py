"""Small uploads that are complete, and wait to be committed together (docs/storage.md section 3).

A pipelined upload is answered when it is durable, and syncing each by itself would take most of the time. So those
that come without a pause are collected. A batch is closed as soon as nothing more has arrived, at a number of files,
bytes and milliseconds, before any other request, and when a path comes twice or lies beneath another one.
"""

from __future__ import annotations

import threading
import time
from typing import Final, NamedTuple

from ftpsvc.protocol.connection import RequestReceived
from ftpsvc.protocol.headers import Put
from ftpsvc.server.namespace import Place
from ftpsvc.storage.base import Upload

MAX_FILES: Final = 128
"""Half the default window: while one half is made durable, the other one is on its way."""
MAX_BYTES: Final = 8 << 20
MAX_SECONDS: Final = 0.1
SMALL: Final = 128 * 1024
"""Larger files are committed one by one: then syncing is no longer most of it."""


class Budget:
    """How many uploads of the whole process may wait, since each holds a descriptor. Thread-safe."""

    def __init__(self, limit: int) -> None:
        self._free = threading.Semaphore(limit)

    def take(self) -> bool:
        """Takes one place; returns False when none is left."""
        return self._free.acquire(blocking=False)

    def give_back(self, count: int) -> None:
        """Gives places back."""
        if count:
            self._free.release(count)


class Later(NamedTuple):
    """What a `put` has come to that waits: everything is there but the commit.

    Attributes:
        request: The request.
        place: Where it goes.
        upload: Its content.
        digest: The sender's.
    """

    request: Put
    place: Place
    upload: Upload
    digest: str


class Waiting(NamedTuple):
    """One upload of a batch.

    Attributes:
        event: Its request.
        later: What it has come to.
        about: What the audit is told.
        started: When it began, by the monotonic clock.
    """

    event: RequestReceived
    later: Later
    about: dict[str, str | int]
    started: float


class Batch:
    """The uploads of one connection that wait. Belongs to the thread of the connection."""

    def __init__(self, budget: Budget | None) -> None:
        """Takes the process's budget; None: nothing ever waits."""
        self._budget = budget
        self._waiting: list[Waiting] = []
        self._paths: set[tuple[str, ...]] = set()
        self._bytes = 0
        self._since = 0.0

    def __len__(self) -> int:
        return len(self._waiting)

    def may_wait(self, request: Put) -> bool:
        """Returns whether an upload may wait, and takes a place for it then: `add` is to follow."""
        return self._budget is not None and request.size <= SMALL and self._budget.take()

    def add(self, waiting: Waiting) -> None:
        """Adds an upload that may wait."""
        if not self._waiting:
            self._since = time.monotonic()
        self._waiting.append(waiting)
        self._paths.add(waiting.later.place.path.parts)
        self._bytes += waiting.later.request.size

    def touches(self, path: tuple[str, ...]) -> bool:
        """Returns whether a path is one of those that wait, or lies beneath one."""
        return any(path[:depth] in self._paths for depth in range(1, len(path) + 1))

    @property
    def full(self) -> bool:
        """Whether it is to be closed now, whatever else has come."""
        return (
            len(self._waiting) >= MAX_FILES
            or self._bytes >= MAX_BYTES
            or time.monotonic() - self._since >= MAX_SECONDS
        )

    def close(self) -> list[Waiting]:
        """Returns those that wait, and begins anew. Their places are free again."""
        waiting, self._waiting = self._waiting, []
        self._paths.clear()
        self._bytes = 0
        if self._budget is not None:
            self._budget.give_back(len(waiting))
        return waiting
