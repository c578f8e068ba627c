"""Drops what nobody came back for: partials that are older than the setting `timeouts.partial` allows."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from typing import Final

from ftpsvc.exceptions import FtpsvcError
from ftpsvc.server import log

_MOST_SECONDS: Final = 3600.0
_LEAST_SECONDS: Final = 1.0

_log = logging.getLogger("ftpsvc.server.sweeper")


class Sweeper:
    """A thread that looks at once, and then every hour, or sooner where things expire sooner."""

    def __init__(self, seconds: float, places: Sequence[Callable[[float], int]]) -> None:
        """Starts it.

        Args:
            seconds: How long a partial is kept.
            places: Each drops what is older in one place, and returns how many that were.
        """
        self._seconds = seconds
        self._places = places
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="sweeper")
        self._thread.start()

    def stop(self) -> None:
        """Ends the thread and joins it."""
        self._ended.set()
        self._thread.join()

    def _run(self) -> None:
        pause = min(_MOST_SECONDS, max(_LEAST_SECONDS, self._seconds / 4))
        while not self._ended.is_set():
            gone = sum(self._sweep(place) for place in self._places)
            if gone:
                log.event(_log, logging.INFO, "expired", partials=gone)
            self._ended.wait(pause)

    def _sweep(self, place: Callable[[float], int]) -> int:
        try:
            return place(self._seconds)
        except FtpsvcError as error:
            log.event(_log, logging.WARNING, "not-swept", reason=str(error))
            return 0
