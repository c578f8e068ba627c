"""Trying again: what is worth it, how often, and how long to wait in between.

Only what may be done twice is tried again by itself, and only after errors that pass: a lost connection, a server that
is busy or restarts. Source: docs/protocol.md section 7 (`retry`).
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import NamedTuple

from ftpsvc.exceptions import Busy, FtpsvcError, TransportError, Unavailable

FIRST_PAUSE = 0.5
LONGEST_PAUSE = 30.0


class Retry(NamedTuple):
    """One more try that is about to be made.

    Attributes:
        error: What went wrong.
        number: Which try in a row it is, from 1.
        most: How many there will be in a row.
        seconds: How long is waited before it.
    """

    error: FtpsvcError
    number: int
    most: int
    seconds: float


Told = Callable[[Retry], object]


def passes(error: FtpsvcError) -> bool:
    """Returns whether an error is one that may pass by itself."""
    return isinstance(error, TransportError) or (isinstance(error, Busy | Unavailable) and error.retry)


class Tries:
    """The tries of one call. Some progress in between starts the count anew."""

    def __init__(self, most: int, told: Told | None, given_up: threading.Event) -> None:
        """Begins to count.

        Args:
            most: How often in a row it is tried again.
            told: Is told before each wait.
            given_up: Ends a wait, and all tries, from another thread.
        """
        self._most = most
        self._told = told
        self._given_up = given_up
        self._failed = 0

    def progress(self) -> None:
        """Says that something was got done since the last failure."""
        self._failed = 0

    def wait(self, error: FtpsvcError) -> None:
        """Waits until it is time to try again; call it where the error is handled.

        Raises:
            FtpsvcError: `error`, when it is not worth it, or was tried often enough.
        """
        if self._failed >= self._most or not passes(error) or self._given_up.is_set():
            raise error
        import random

        self._failed += 1
        seconds = min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** min(self._failed - 1, 16))
        # Spread, so that a class whose server restarts does not come back all at once.
        seconds *= random.uniform(0.5, 1)  # noqa: S311  # nobody gains by guessing it
        if self._told is not None:
            self._told(Retry(error, self._failed, self._most, seconds))
        if self._given_up.wait(seconds):
            raise error
