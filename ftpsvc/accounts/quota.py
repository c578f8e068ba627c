"""The books of one home: what is used, what is promised, in one atomic step each (invariant 6).

The books are kept in memory and counted anew from the home itself when it is opened. The files are the truth: whatever
kill -9 interrupted, the count is right afterwards, where books in a database would need a transaction, with its sync,
for each of 10,000 small files and could still disagree with the disk. One process serves a home (the volume's lock
sees to that); several would have to share the books behind the same interface, `ftpsvc.storage.quota.Quota`.
"""

from __future__ import annotations

import os
import stat
import threading
from typing import Final

from ftpsvc.confine import Directory
from ftpsvc.exceptions import PermissionDenied, QuotaExceeded
from ftpsvc.paths import RemotePath

HIDDEN: Final = ".ftpsvc"
"""The storage's own folder at the top of a home is not the user's; of it only partials are counted."""

PARTIALS: Final = "partials"
"""The folder in it that holds what is left of uploads that broke off (docs/storage.md section 7)."""


class Books:
    """Quota of one user. Thread-safe. Always holds: used + promised never grows beyond the limit."""

    def __init__(self, limit: int | None, used: int, files: int, *, max_files: int | None = None) -> None:
        """Begins with what is there.

        Args:
            limit: Bytes that the user may have; None is no limit. There may be more already: then nothing may be added.
            used: Bytes in files, from `recount`.
            files: Number of files, from `recount`.
            max_files: Number of files that the user may have; None is no limit.
        """
        self._lock = threading.Lock()
        self._limit = limit
        self._max_files = max_files
        self._used = used
        self._files = files
        self._reserved = 0
        self._new_files = 0
        self._credited: set[RemotePath] = set()

    def reserve(self, path: RemotePath, size: int, replaced: int | None, held: int = 0) -> Room:
        """Promises room for `size` bytes in place of `replaced` (None: a new file).

        The bytes of the file that will be replaced count as free, up to `size`, for the first upload to a path only.
        `held` bytes that are charged as a partial become part of the promise.

        Raises:
            QuotaExceeded: It does not fit.
            PermissionDenied: The user has as many files as are allowed.
        """
        with self._lock:
            credit = 0 if replaced is None or path in self._credited else min(replaced, size)
            room = Room(self, path, size, size - credit, new=replaced is None, credited=credit > 0)
            self._check(path, room.promised, new_files=int(room.new), held=held)
            if room.credited:
                self._credited.add(path)
            if held:
                self._used -= held
                self._files -= 1
            self._reserved += room.promised
            self._new_files += room.new
            return room

    def adopt(self, size: int) -> int:
        """Charges a partial that was found, as far as it fits; returns how many bytes of it may stay."""
        with self._lock:
            return self._keep(size)

    def _keep(self, size: int) -> int:
        if self._limit is not None:
            size = min(size, max(0, self._limit - self._used - self._reserved))
        if size:
            self._used += size
            self._files += 1
        return size

    def removed(self, size: int, files: int) -> None:
        """Notes that `files` files, or partials, of `size` bytes in all are gone."""
        with self._lock:
            # Never below nothing: files may have been put there by hand since the count.
            self._used = max(0, self._used - size)
            self._files = max(0, self._files - files)

    def books(self) -> tuple[int | None, int | None, int]:
        """Returns limit, used and reserved bytes; limit None is no limit."""
        with self._lock:
            return self._limit, self._used, self._reserved

    @property
    def files(self) -> int:
        """Number of files in use; those that are being uploaded for the first time are not counted yet."""
        return self._files

    def set_limit(self, limit: int | None) -> None:
        """Changes the limit in bytes; what was promised before is kept. None is no limit."""
        with self._lock:
            self._limit = limit

    def _check(self, path: RemotePath, more: int, *, new_files: int, held: int = 0) -> None:
        taken = self._used + self._reserved
        more -= held
        # An overwrite that needs nothing more is allowed also where the limit was lowered below what is used.
        if self._limit is not None and more > 0 and taken + more > self._limit:
            raise QuotaExceeded(str(path), more, taken, self._limit)
        new_files -= held > 0  # a partial counts as a file
        if self._max_files is not None and new_files > 0 and self._files + self._new_files >= self._max_files:
            raise PermissionDenied(f"{self._max_files:,} files are allowed and there", str(path))

    def _confirm(self, room: Room, displaced: int | None) -> None:
        with self._lock:
            if not room.open:
                return
            promised = max(0, room.size - (displaced or 0))
            new = displaced is None
            more_files = int(new and not room.new)
            if promised > room.promised or more_files:
                self._check(room.path, promised - room.promised, new_files=more_files)
            self._reserved += promised - room.promised
            self._new_files += new - room.new
            room.promised, room.new = promised, new

    def _settle(self, room: Room, size: int, displaced: int | None) -> None:
        with self._lock:
            if not room.open:
                return
            self._close(room)
            self._used = max(0, self._used + size - (displaced or 0))
            self._files += displaced is None

    def _keep_partial(self, room: Room, size: int) -> int:
        with self._lock:
            if not room.open:
                return 0
            self._close(room)
            return self._keep(size)

    def _release(self, room: Room) -> None:
        with self._lock:
            if room.open:
                self._close(room)

    def _close(self, room: Room) -> None:
        room.open = False
        self._reserved -= room.promised
        self._new_files -= room.new
        if room.credited:
            self._credited.discard(room.path)


class Room:
    """What was promised to one upload: see `ftpsvc.storage.quota.Reservation`. Made by `Books.reserve`."""

    __slots__ = ("_books", "credited", "new", "open", "path", "promised", "size")

    def __init__(
        self, books: Books, path: RemotePath, size: int, promised: int, *, new: bool, credited: bool
    ) -> None:
        self._books = books
        self.path = path
        self.size = size
        self.promised = promised
        self.new = new
        self.credited = credited
        self.open = True

    def confirm(self, displaced: int | None) -> None:
        """Exchanges the credit for what the rename will really displace; to be called under the path's lock, before it.

        Since the promise was made the file may have been moved away or made smaller, and its bytes are used elsewhere
        by now: without this step an upload could so be brought past the limit.

        Raises:
            QuotaExceeded: It does not fit any more. The promise is as it was, to be released.
        """
        self._books._confirm(self, displaced)

    def settle(self, size: int, displaced: int | None) -> None:
        """Charges what the commit really did: `size` bytes are new, `displaced` went (None: no file was there)."""
        self._books._settle(self, size, displaced)

    def keep(self, size: int) -> int:
        """Charges a partial of `size` bytes in place of the promise; returns how many of them fit, and may stay."""
        return self._books._keep_partial(self, size)

    def release(self) -> None:
        """Gives the promise back. Does nothing after `settle` or `release`."""
        self._books._release(self)


def recount(home: Directory, *, partials: bool = True) -> tuple[int, int]:
    """Returns the bytes and the number of regular files and partials in a home, by walking all of it.

    To be called before the home is served: a file that comes or goes meanwhile may be counted or not. Links are not
    followed and other file systems not entered; a file of two names counts twice, as removing it by both would.

    Args:
        home: The home.
        partials: Whether to count partials too, which a storage adopts by itself when it is opened.

    Raises:
        OSError: The home cannot be read. What vanishes during the walk is left out.
    """
    used, files = _count_partials(home) if partials else (0, 0)
    todo: list[tuple[str | bytes, ...]] = [()]
    while todo:
        path = todo.pop()
        # One open directory at a time: a deep tree must not cost a descriptor for each level.
        try:
            here = home.walk(path)
        except (FileNotFoundError, NotADirectoryError):
            if not path:
                raise
            continue
        with here, here.scan() as entries:
            for entry in entries:
                try:
                    info = entry.stat(follow_symlinks=False)
                except FileNotFoundError:
                    continue
                if stat.S_ISREG(info.st_mode):
                    used += info.st_size
                    files += 1
                elif stat.S_ISDIR(info.st_mode) and not here.foreign(info) and (path or entry.name != HIDDEN):
                    todo.append((*path, os.fsencode(entry.name)))
    return used, files


def _count_partials(home: Directory) -> tuple[int, int]:
    try:
        folder = home.walk([HIDDEN, PARTIALS])
    except (FileNotFoundError, NotADirectoryError):
        return 0, 0
    with folder, folder.scan() as entries:
        sizes = [entry.stat(follow_symlinks=False).st_size for entry in entries if "." not in entry.name]
    return sum(sizes), sum(size > 0 for size in sizes)
