"""The directory that a thread's last file was in, kept open for the next one, which most often is its neighbour.

To walk there anew is a tenth of what a small file costs. But a directory may be moved or replaced between two files, so
one is kept only for requests that had all arrived when it was opened: whoever moves it meanwhile does so while they are
being served, and they may as well have been done before. Therefore a thread that keeps one has to `leave` it before it
waits for its client, and before it does anything for it that is not a file.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from ftpsvc.confine import Directory


class _Kept(threading.local):
    wanted = False
    place: tuple[object, tuple[str, ...]] | None = None
    directory: Directory | None = None


_kept = _Kept()


@contextmanager
def keeping() -> Iterator[None]:
    """Lets the calling thread keep a directory open from now on to the end of the block."""
    _kept.wanted = True
    try:
        yield
    finally:
        _kept.wanted = False
        leave()


def leave() -> None:
    """Closes what the calling thread keeps open, if anything."""
    directory, _kept.place, _kept.directory = _kept.directory, None, None
    if directory is not None:
        directory.close()


def enter(volume: object, parts: tuple[str, ...], walk: Callable[[tuple[str, ...]], Directory]) -> Directory:
    """Returns the directory with these components, which the caller closes before the thread leaves it.

    Args:
        volume: What it is a part of.
        parts: Its components.
        walk: Opens it. What it raises comes out.
    """
    if not _kept.wanted:
        return walk(parts)
    place = volume, parts
    if _kept.directory is None or _kept.place != place:
        leave()
        _kept.directory = walk(parts)
        _kept.place = place
    return _kept.directory.walk(())
