"""The minimum rate: how slowly a client may send or take a payload (docs/server.md, "Minimum rate").

Only time spent waiting for the client counts, not what the server's own disk or limits take. It is summed up over all
payloads of a connection: many small payloads that each dribble in are as slow as a large one.
"""

from __future__ import annotations

from ftpsvc.exceptions import TransferTimeout
from ftpsvc.text import format_size


class Pace:
    """Watches one connection. Belongs to its thread."""

    __slots__ = ("_bytes", "_least", "_seconds", "_window")

    def __init__(self, least: int, window: float) -> None:
        """Begins to count.

        Args:
            least: Bytes per second, on the average of `window` seconds.
            window: Seconds of waiting for the client after which it is judged, and counting begins anew.
        """
        self._least = least
        self._window = window
        self._bytes = 0
        self._seconds = 0.0

    def moved(self, count: int, seconds: float) -> None:
        """Notes that `count` bytes of payload moved, after `seconds` of waiting for the client.

        Raises:
            TransferTimeout: The client is slower than it may be.
        """
        self._bytes += count
        self._seconds += seconds
        if self._seconds < self._window:
            return
        if self._bytes < self._least * self._seconds:
            found = format_size(int(self._bytes / self._seconds))
            raise TransferTimeout(
                f"{format_size(self._least)} of payload per second or more, {found} per second moved",
                self._window,
            )
        self._bytes = 0
        self._seconds = 0.0
