"""The memory that payloads pass through: a bounded number of large buffers, lent for the length of a payload."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from typing import Final

BUFFER_BYTES: Final = 1 << 20
"""A transfer's buffer. Filled completely before it is hashed and written: 1 GiB then takes 0.6 times what it takes
when every receive is hashed as it comes (docs/design.md, "Buffers")."""

SMALL_BUFFER_BYTES: Final = 64 * 1024
"""What is lent when no large buffer is left, or needed."""


class BufferPool:
    """Transfer buffers that are lent for the length of a payload. Thread-safe.

    Nobody ever waits for one: who comes when all are lent gets a small buffer of its own, so that slow peers,
    which keep theirs for long, delay nobody.
    """

    def __init__(self, limit: int = 64) -> None:
        self._lock = threading.Lock()
        self._left = limit
        self._free: list[bytearray] = []

    @contextlib.contextmanager
    def borrow(self, size: int = BUFFER_BYTES) -> Iterator[memoryview]:
        """Lends a buffer for `size` bytes of payload. Its content is anything.

        Its length is `BUFFER_BYTES`, less where the payload is shorter, and 64 KiB at most when all are lent.
        """
        with self._lock:
            large = size > SMALL_BUFFER_BYTES and self._left > 0
            if large:
                self._left -= 1
            buffer = self._free.pop() if large and self._free else None
        if buffer is None:
            buffer = bytearray(BUFFER_BYTES if large else max(1, min(size, SMALL_BUFFER_BYTES)))
        view = memoryview(buffer)
        try:
            yield view
        finally:
            view.release()
            if large:
                with self._lock:
                    self._left += 1
                    if not self._free:  # one is kept for the next transfer, the rest goes back to the system
                        self._free.append(buffer)
