"""Who has begun to write where: one writer for each path at a time (docs/protocol.md section 5.6)."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Final

from ftpsvc.exceptions import Busy
from ftpsvc.paths import RemotePath

PATIENCE: Final = 30.0
"""Seconds that an older upload of the same user gets to end: it may have to sync what had arrived."""


class Writer:
    """The right to write to one path, until `release`. Made by `Writers.take`.

    Attributes:
        path: The path.
        owner: Whose it is.
    """

    __slots__ = ("_evict", "_table", "evicted", "owner", "path")

    def __init__(self, table: Writers, path: RemotePath, owner: str, evict: Callable[[], None]) -> None:
        self.path = path
        self.owner = owner
        self.evicted = False
        self._table = table
        self._evict = evict

    def evict(self) -> None:
        """Has the upload ended, once; it goes on until it has noticed."""
        if not self.evicted:
            self.evicted = True
            self._evict()

    def release(self) -> None:
        """Gives the path back. Does nothing the second time."""
        self._table._release(self)


class Writers:
    """The writers of one volume. Thread-safe.

    It is memory of one process: several on one volume would have to share it (docs/design.md, "Several processes").
    """

    def __init__(self) -> None:
        self._at: dict[RemotePath, Writer] = {}
        self._changed = threading.Condition()

    def check(self, path: RemotePath, owner: str) -> None:
        """Refuses what another user is writing to.

        Raises:
            Busy: Somebody else is.
        """
        # Without the lock: nearly always nobody writes anywhere, and ten thousand small files ask.
        writer = self._at.get(path)
        if writer is not None and writer.owner != owner:
            raise Busy(str(path))

    def take(
        self, path: RemotePath, owner: str, evict: Callable[[], None], *, patience: float = PATIENCE
    ) -> Writer:
        """Gives a path to a new writer, after an older one of the same owner has ended.

        Args:
            path: The path.
            owner: Who wants it.
            evict: Is called, from another thread and without waiting for anything, when a newer one of the same owner
                wants it: the writer is to release it soon.
            patience: Seconds to wait for an older one.

        Raises:
            Busy: Somebody else has it, or the older one does not end.
        """
        end = time.monotonic() + patience
        with self._changed:
            while (older := self._at.get(path)) is not None:
                if older.owner != owner:
                    raise Busy(str(path))
                older.evict()
                left = end - time.monotonic()
                if left <= 0:
                    raise Busy(
                        str(path), "is in use by an older connection of the same user, which is ending"
                    )
                self._changed.wait(left)
            writer = self._at[path] = Writer(self, path, owner, evict)
            return writer

    def take_free(self, path: RemotePath, owner: str) -> Writer | None:
        """Gives a path to somebody who has nothing to lose; None where it is taken."""
        with self._changed:
            if path in self._at:
                return None
            writer = self._at[path] = Writer(self, path, owner, _stay)
            return writer

    def _release(self, writer: Writer) -> None:
        with self._changed:
            if self._at.get(writer.path) is writer:
                del self._at[writer.path]
                self._changed.notify_all()


def _stay() -> None:
    """Ends nothing: whoever has a path for a moment only gives it back by itself."""
