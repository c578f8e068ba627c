"""Tells whether anything touched folders, be it only to look: what the kernel says of them (inotify, Linux only)."""

import ctypes
import os
import struct
import sys
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import Self

AVAILABLE = sys.platform == "linux"

_EVENTS = {
    0x1: "read", 0x2: "written", 0x4: "attributes", 0x8: "closed", 0x10: "closed", 0x20: "opened", 0x40: "moved away",
    0x80: "moved here", 0x100: "made", 0x200: "removed", 0x400: "removed", 0x800: "moved",
}  # fmt: skip
_ALL = 0xFFF
_OVERFLOW = 0x4000


class Watcher:
    """Watches folders with all that is beneath them. A context manager."""

    def __init__(self, folders: Iterable[Path]) -> None:
        """Takes the folders; links in them are not followed."""
        libc = ctypes.CDLL(None, use_errno=True)
        self._fd = libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
        if self._fd < 0:
            raise OSError(ctypes.get_errno(), "inotify_init1")
        self._places: dict[int, str] = {}
        inner = [Path(found) for folder in folders for found, _, _ in os.walk(folder)]
        for place in inner:
            number = libc.inotify_add_watch(self._fd, os.fsencode(place), _ALL)
            if number < 0:
                raise OSError(ctypes.get_errno(), f"inotify_add_watch {place}")
            self._places[number] = str(place)
        self.seen()  # our own looking about is none of it

    def seen(self) -> list[str]:
        """What happened since the last time, in words."""
        found: list[str] = []
        while True:
            try:
                data = os.read(self._fd, 1 << 16)
            except BlockingIOError:
                return found
            at = 0
            while at < len(data):
                number, mask, _, length = struct.unpack_from("iIII", data, at)
                name = data[at + 16 : at + 16 + length].rstrip(b"\0").decode("utf-8", "backslashreplace")
                at += 16 + length
                assert not mask & _OVERFLOW, "more happened than the kernel keeps"
                what = "/".join(word for bit, word in _EVENTS.items() if mask & bit)
                if what:
                    found.append(f"{self._places.get(number, '?')}/{name} {what}")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.close(self._fd)
