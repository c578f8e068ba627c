"""What a test left running or open: threads and descriptors, compared with a snapshot from before it."""

import os
import stat
import sys
import threading
import time
import traceback
from dataclasses import dataclass
from pathlib import Path
from typing import Self

GRACE = 5.0
"""Seconds that threads get to end, and descriptors to close, after a test: what has begun to end is no leak."""

_DESCRIPTORS = next((path for path in (Path("/proc/self/fd"), Path("/dev/fd")) if path.is_dir()), None)

Identity = tuple[int, int, int]


def open_descriptors() -> dict[int, Identity]:
    """Maps each open descriptor to what it is open on: device, inode, file type. Empty where the system has no list."""
    found: dict[int, Identity] = {}
    if _DESCRIPTORS is None:
        return found
    for name in os.listdir(_DESCRIPTORS):
        try:
            status = os.fstat(int(name))
        except OSError:
            continue  # the descriptor that listdir itself used, or one that another thread closed meanwhile
        found[int(name)] = (status.st_dev, status.st_ino, stat.S_IFMT(status.st_mode))
    return found


@dataclass(frozen=True)
class Snapshot:
    """The threads and descriptors of this process at one moment."""

    threads: frozenset[threading.Thread]
    descriptors: dict[int, Identity]

    @classmethod
    def take(cls) -> Self:
        """Looks at the process as it is now."""
        return cls(frozenset(threading.enumerate()), open_descriptors())

    def left_over(self, within: float) -> list[str]:
        """Describes what is there that was not there before; empty when nothing is left.

        Args:
            within: Seconds to wait, altogether, for what is about to end.
        """
        deadline = time.monotonic() + within
        for thread in self._new_threads():
            thread.join(max(0.0, deadline - time.monotonic()))
        # A descriptor has no event to wait for: whoever closes it may be a thread of the interpreter's own.
        poll = threading.Event()
        while self._new_descriptors() and time.monotonic() < deadline:
            poll.wait(0.02)
        return [_describe_thread(thread) for thread in self._new_threads()] + [
            _describe_descriptor(number) for number in self._new_descriptors()
        ]

    def _new_threads(self) -> list[threading.Thread]:
        return [thread for thread in threading.enumerate() if thread not in self.threads]

    def _new_descriptors(self) -> list[int]:
        return [number for number, what in open_descriptors().items() if self.descriptors.get(number) != what]


def _describe_thread(thread: threading.Thread) -> str:
    frame = sys._current_frames().get(thread.ident or 0)
    where = "".join(traceback.format_stack(frame)[-3:]) if frame else ""
    return f"thread {thread.name}\n{where}"


def _describe_descriptor(number: int) -> str:
    try:
        target = os.readlink(f"/proc/self/fd/{number}")
    except OSError:
        target = "unknown"
    return f"descriptor {number}: {target}"
