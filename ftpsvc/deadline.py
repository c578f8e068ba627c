"""Times that run out: a wait has one of these, and what it was for is in the error that ends it."""

from __future__ import annotations

import time

from ftpsvc.exceptions import TransferTimeout


class Deadline:
    """A point in time by which a phase has to be over.

    Attributes:
        seconds: The time allowed; None is no limit.
        phase: What is being waited for, for the error's text.
    """

    __slots__ = ("_end", "phase", "seconds")

    def __init__(self, seconds: float | None, phase: str) -> None:
        self.seconds = seconds
        self.phase = phase
        self._end = None if seconds is None else time.monotonic() + seconds

    def remaining(self) -> float | None:
        """Returns the seconds left, always more than 0, or None without a limit.

        Raises:
            TransferTimeout: None are left.
        """
        if self._end is None:
            return None
        left = self._end - time.monotonic()
        if left <= 0:
            raise self.expired()
        return left

    def or_sooner(self, other: Deadline | None) -> Deadline:
        """Returns which of the two ends first, so that an error names what was really too slow; None never ends."""
        if other is None or other._end is None:
            return self
        return other if self._end is None or other._end < self._end else self

    def expired(self) -> TransferTimeout:
        """Returns the error that says so."""
        return TransferTimeout(self.phase, self.seconds or 0)
