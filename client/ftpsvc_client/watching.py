"""Who is told how a transfer goes on. `progress` draws bars with it; a program may do what it likes.

Kept apart from `progress` so that only that module imports tqdm.
"""

from __future__ import annotations

from typing import Protocol


class Progress(Protocol):
    """A watcher of transfers. It is called from the thread that transfers, and must be quick.

    For every file: `begin`, any number of `advance`, at most one `verifying`, one `end`. A file that is
    updated by blocks has phases, each with `advance` of its own.
    """

    def expect(self, files: int, size: int) -> None:
        """Says how much there will be in all, as far as is known: `files` files of `size` bytes. May grow."""

    def begin(self, name: str, size: int) -> None:
        """A file of `size` bytes starts. `name` is not trusted: escape it before showing it."""

    def advance(self, count: int) -> None:
        """`count` more bytes were moved."""

    def phase(self, name: str, size: int) -> None:
        """The file under way enters a phase, `comparing` or `sending`, in which `size` bytes are moved from now on."""

    def verifying(self) -> None:
        """All bytes were moved; now the digests are compared and the file is made durable."""

    def end(self, *, done: bool) -> None:
        """The file is finished (`done`), or was given up."""


class Unwatched:
    """A watcher that does nothing."""

    def expect(self, files: int, size: int) -> None:
        """Ignores it."""

    def begin(self, name: str, size: int) -> None:
        """Ignores it."""

    def advance(self, count: int) -> None:
        """Ignores it."""

    def phase(self, name: str, size: int) -> None:
        """Ignores it."""

    def verifying(self) -> None:
        """Ignores it."""

    def end(self, *, done: bool) -> None:
        """Ignores it."""
