"""Pages of a listing: ordered, gone on with from a cursor alone, in memory bounded by the page."""

from __future__ import annotations

import errno
import heapq
import os
import stat
from collections.abc import Iterator
from typing import Final

from ftpsvc.confine import Directory
from ftpsvc.paths import MAX_DEPTH, MAX_PATH_BYTES, RemotePath
from ftpsvc.storage.base import Digest, Entry, Kind, Page
from ftpsvc.storage.faults import OTHER_FILE_SYSTEM
from ftpsvc.storage.names import Shown, is_hidden, show
from ftpsvc.storage.records import Record
from ftpsvc.storage.volume import Volume

_GONE = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.EXDEV})
_UNREADABLE: Final = "the server's own rights do not allow reading it"


def describe(
    volume: Volume,
    directory: Directory,
    raw: bytes,
    info: os.stat_result,
    name: str,
    where: tuple[str, ...] = (),
    *,
    versions: bool = True,
) -> Entry:
    """Returns the entry for something in `directory`, given its `lstat`; without `versions` its record is not read."""
    if stat.S_ISREG(info.st_mode):
        if not versions:
            mode = stat.S_IMODE(info.st_mode)
            return Entry(name, "file", info.st_size, info.st_mtime_ns, mode, where=where)
        return file_entry(name, info, volume.records.find(directory, raw, info), where)
    return Entry(
        name=name,
        kind=_kind(info),
        modified=info.st_mtime_ns,
        mode=stat.S_IMODE(info.st_mode),
        where=where,
        note=OTHER_FILE_SYSTEM if volume.root.foreign(info) else None,
    )


def file_entry(name: str, info: os.stat_result, record: Record | None, where: tuple[str, ...] = ()) -> Entry:
    """Returns the entry of a regular file, given a record that fits or None."""
    stored = record.digest if record is not None and record.stored else None
    return Entry(
        name=name,
        kind="file",
        size=info.st_size,
        modified=info.st_mtime_ns,
        mode=stat.S_IMODE(info.st_mode),
        version=version_of(info, stored),
        digest=None if record is None else record.digest,
        where=where,
    )


def version_of(info: os.stat_result, stored: Digest | None) -> str:
    """Returns the version of a file: size, mtime, and what it had inside when it was stored.

    The digest counts only when it was recorded at the upload: one that is recorded later, by the first reader of a
    file that was put there by hand, must not change the version of a file that did not change. Such a file
    has its inode number instead.
    """
    last = f"i{info.st_ino:x}" if stored is None else stored.value[:16]
    return f"{info.st_size:x}-{info.st_mtime_ns:x}-{last}"


def _kind(info: os.stat_result) -> Kind:
    if stat.S_ISDIR(info.st_mode):
        return "dir"
    return "link" if stat.S_ISLNK(info.st_mode) else "other"


def page(
    volume: Volume,
    path: RemotePath,
    directory: Directory,
    *,
    after: tuple[str, ...] | None,
    limit: int,
    recursive: bool,
    versions: bool,
) -> Page:
    """Returns one page of what is in `directory`, which is open at `path`. Raises OSError for that one only."""
    walk = _Walk(volume, path, limit, recursive, versions)
    walk.run(directory, (), after or None)
    entries = walk.entries
    if len(entries) <= limit:
        return Page(entries, None)
    entries.pop()
    last = entries[-1]
    return Page(entries, (*last.where, last.name))


class _Walk:
    """Collects one entry more than a page has, so that the last page is known to be the last."""

    def __init__(self, volume: Volume, path: RemotePath, limit: int, recursive: bool, versions: bool) -> None:
        self.entries: list[Entry] = []
        self._volume = volume
        self._depth = len(path.parts)
        self._length = len(str(path).encode())
        self._at_top = path.is_root
        self._wanted = limit + 1
        self._recursive = recursive
        self._versions = versions

    def run(self, directory: Directory, where: tuple[str, ...], after: tuple[str, ...] | None) -> None:
        """Collects what is in `directory`, beyond the cursor `after` that is relative to it."""
        # The cursor's first component was listed before, but what is in it perhaps not to the end.
        floor = after[0] if after else None
        resume = after[1:] if after and self._recursive else None
        used = self._length + sum(len(name.encode()) + 1 for name in where)
        while missing := self._wanted - len(self.entries):
            asked = missing + (resume is not None)
            names = self._select(
                directory, floor, resume is not None, asked, at_top=self._at_top and not where
            )
            for shown in names:
                if resume is not None and shown.text == floor:
                    self._descend(directory, shown, where, resume or None)
                else:
                    self._take(directory, shown, where, used)
                if len(self.entries) >= self._wanted:
                    return
            if len(names) < asked:
                return
            # Only when entries vanished between the scan and the look at them.
            floor, resume = names[-1].text, None

    def _select(
        self, directory: Directory, floor: str | None, inclusive: bool, count: int, *, at_top: bool
    ) -> list[Shown]:
        """Returns the first `count` names above `floor`, holding no more than that many."""
        with directory.scan() as found:
            return heapq.nsmallest(count, _above(directory, found, floor, inclusive, at_top))

    def _take(self, directory: Directory, shown: Shown, where: tuple[str, ...], used: int) -> None:
        note = shown.note
        if note is None:
            if self._depth + len(where) >= MAX_DEPTH:
                note = f"it is more than {MAX_DEPTH} directories deep"
            elif used + 1 + len(shown.raw) > MAX_PATH_BYTES:
                note = f"its path is longer than {MAX_PATH_BYTES} bytes"
        try:
            info = directory.lstat(shown.raw)
            entry = describe(
                self._volume, directory, shown.raw, info, shown.text, where, versions=self._versions
            )
        except FileNotFoundError:
            return
        except OSError:
            entry, note = Entry(shown.text, "other", where=where), _UNREADABLE
        if note is not None:
            entry = _noted(entry, note)
        if entry.kind != "dir" or entry.note is not None or not self._recursive:
            self.entries.append(entry)
            return
        try:
            child = directory.directory(shown.raw)
        except (FileNotFoundError, NotADirectoryError):
            return
        except OSError:
            self.entries.append(_noted(entry, _UNREADABLE))
            return
        with child:
            number = len(self.entries)
            self.entries.append(entry)
            if len(self.entries) < self._wanted:
                try:
                    self._descend_into(child, (*where, shown.text), None)
                except OSError:
                    # The rest is listed all the same, but nobody may take what is missing for gone.
                    self.entries[number] = _noted(entry, _UNREADABLE)

    def _descend(
        self, directory: Directory, shown: Shown, where: tuple[str, ...], after: tuple[str, ...] | None
    ) -> None:
        if shown.note is not None or self._depth + len(where) >= MAX_DEPTH:
            return
        try:
            child = directory.directory(shown.raw)
        except OSError as problem:
            if problem.errno not in _GONE:
                raise
            return  # what was a directory at the last page is none now
        number = len(self.entries)
        with child:
            try:
                self._descend_into(child, (*where, shown.text), after)
            except OSError:
                if self._wanted <= 2:  # a page of one entry, which would be this one for ever
                    raise
                # It was listed on an earlier page as if all were well.
                info = directory.lstat(shown.raw)
                entry = describe(self._volume, directory, shown.raw, info, shown.text, where)
                self.entries.insert(number, _noted(entry, _UNREADABLE))

    def _descend_into(self, child: Directory, where: tuple[str, ...], after: tuple[str, ...] | None) -> None:
        try:
            self.run(child, where, after)
        except OSError as problem:
            if problem.errno not in _GONE:  # removed in the middle is no failure
                raise


def _above(
    directory: Directory, found: Iterator[os.DirEntry[str]], floor: str | None, inclusive: bool, at_top: bool
) -> Iterator[Shown]:
    for entry in found:
        shown = show(directory, entry.name)
        if floor is not None and (shown.text < floor or (shown.text == floor and not inclusive)):
            continue
        if at_top and is_hidden((shown.text,)):
            continue
        yield shown


def _noted(entry: Entry, note: str) -> Entry:
    return Entry(
        name=entry.name,
        kind=entry.kind,
        size=entry.size,
        modified=entry.modified,
        mode=entry.mode,
        where=entry.where,
        note=note,
    )
