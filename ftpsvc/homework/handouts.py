"""`/handouts` with the assignments in it: `/handouts/ID/` is what an assignment hands out, read-only.

Beside it stays what teachers themselves keep under `/handouts`. An assignment that is not open yet is nothing at
all to students: its name, when said, is answered as any name that does not exist.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from ftpsvc.exceptions import (
    ConfigError,
    FtpsvcError,
    NotFound,
    PermissionDenied,
    Unavailable,
)
from ftpsvc.homework.catalog import Catalog
from ftpsvc.paths import RemotePath
from ftpsvc.server.borrowed import Borrowed, prefixed
from ftpsvc.storage.base import Begun, Entry, Page, Reader, Space, Storage, Upload
from ftpsvc.storage.local import LocalStorage

_READ_ONLY: Final = "what an assignment hands out is changed on the server, by ftpsvc-server assignment"


@dataclass(slots=True)
class _Folder:
    storage: LocalStorage
    identity: tuple[int, int]
    users: int = 0
    current: bool = True


class Folders:
    """The hand-out folders of assignments, opened when they are asked for. Thread-safe.

    A folder that was replaced by another is closed when the last who reads it is done.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._open: dict[Path, _Folder] = {}

    def take(self, path: Path) -> _Folder:
        """Returns a folder, open until `leave`.

        Raises:
            NotFound: There is none. Unavailable: It cannot be opened.
        """
        try:
            info = path.stat()
        except OSError:
            raise NotFound("/") from None
        identity = (info.st_dev, info.st_ino)
        with self._lock:
            folder = self._open.get(path)
            if folder is not None and folder.identity != identity:
                folder.current = False
                if not folder.users:
                    folder.storage.close()
                folder = None
            if folder is None:
                try:
                    folder = self._open[path] = _Folder(LocalStorage(path, read_only=True), identity)
                except ConfigError as error:
                    self._open.pop(path, None)
                    raise Unavailable("/", "the hand-out cannot be opened") from error
            folder.users += 1
            return folder

    def leave(self, folder: _Folder) -> None:
        """Ends what `take` began."""
        with self._lock:
            folder.users -= 1
            if not folder.users and not folder.current:
                folder.storage.close()

    def close(self) -> None:
        """Closes all. Nobody may be in one."""
        with self._lock:
            for folder in self._open.values():
                folder.storage.close()
            self._open.clear()


class Handouts(Storage):
    """What one kind of user sees under `/handouts`. Thread-safe."""

    def __init__(
        self,
        catalog: Catalog,
        common: Storage,
        folders: Folders,
        *,
        early: bool,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """Shows the hand-outs.

        Args:
            catalog: The assignments.
            common: What else is under `/handouts`; an assignment of the same name covers it.
            folders: Where the assignments' folders are opened.
            early: Whether to show those of assignments that are not open yet.
            clock: Returns the time, with an offset.
        """
        self._catalog = catalog
        self._common = common
        self._folders = folders
        self._early = early
        self._clock = clock

    def _shown(self) -> dict[str, Path]:
        """Returns the hand-out folders of the assignments that are shown, by id."""
        folders = ((name, self._folder(name)) for name in self._catalog.ids())
        return {name: folder for name, folder in folders if folder is not None}

    def _assignment(self, path: RemotePath) -> Path | None:
        """Returns the hand-out folder that a path leads into, or None where it is one of the common ones."""
        return None if path.is_root else self._folder(path.parts[0])

    def _folder(self, name: str) -> Path | None:
        """Returns the hand-out folder of an assignment, or None where nothing is shown of it."""
        try:
            one = self._catalog.get(name)
        except ConfigError:  # none, or one that cannot be used: nobody but the operator is told which
            return None
        if (self._early or one.open <= self._clock()) and one.handout.is_dir():
            return one.handout
        return None

    @contextmanager
    def _in(self, path: RemotePath) -> Iterator[tuple[Storage, RemotePath]]:
        """Enters what a path leads into; errors that leave it name the path as it was given."""
        place = self._assignment(path)
        if place is None:
            yield self._common, path
            return
        with prefixed(path.parts[0]):
            folder = self._folders.take(place)
            try:
                yield folder.storage, RemotePath(path.parts[1:])
            finally:
                self._folders.leave(folder)

    def stat(self, path: RemotePath) -> Entry:
        with self._in(path) as (storage, inner):
            entry = storage.stat(inner)
        return entry._replace(name="" if path.is_root else path.name)

    def list(
        self,
        path: RemotePath,
        *,
        after: tuple[str, ...] | None = None,
        limit: int = 1000,
        recursive: bool = False,
        versions: bool = True,
    ) -> Page:
        if not path.is_root:
            with self._in(path) as (storage, inner):
                return storage.list(inner, after=after, limit=limit, recursive=recursive, versions=versions)
        shown = self._shown()
        common = self._common.list(path, after=after, limit=limit, recursive=recursive, versions=versions)
        entries = [one for one in common.entries if _place(one)[0] not in shown]
        ends = [] if common.cursor is None else [common.cursor]
        for name in sorted(shown):
            if after is not None and name < after[0]:
                continue
            beneath: tuple[str, ...] | None = None
            if after is None or (name,) > after:
                entries.append(self.stat(RemotePath((name,))))
            elif len(after) > 1:
                beneath = after[1:]
            if recursive:
                with self._in(RemotePath((name,))) as (storage, inner):
                    page = storage.list(inner, after=beneath, limit=limit, recursive=True, versions=versions)
                entries += [one._replace(where=(name, *one.where)) for one in page.entries]
                if page.cursor is not None:
                    ends.append((name, *page.cursor))
        entries.sort(key=_place)
        # What lies behind the end of one source may have something of that source before it.
        end = min(ends, default=None)
        whole = [one for one in entries if end is None or _place(one) <= end]
        if len(whole) > limit:
            return Page(whole[:limit], _place(whole[limit - 1]))
        return Page(whole, end)

    def read(self, path: RemotePath) -> Reader:
        place = self._assignment(path)
        if place is None:
            return self._common.read(path)
        with prefixed(path.parts[0]):
            folder = self._folders.take(place)
            try:
                reader = folder.storage.read(RemotePath(path.parts[1:]))
                return Borrowed(reader, lambda: self._folders.leave(folder))
            except BaseException:
                self._folders.leave(folder)
                raise

    def _writable(self, path: RemotePath) -> Storage:
        """Returns where a path can be changed.

        Raises:
            PermissionDenied: It belongs to an assignment.
        """
        if self._assignment(path) is not None:
            raise PermissionDenied(_READ_ONLY, str(path))
        return self._common

    def create(
        self,
        path: RemotePath,
        size: int,
        *,
        algorithm: str,
        modified: int | None = None,
        mode: int | None = None,
        clobber: bool = True,
        owner: str = "",
    ) -> Upload:
        return self._writable(path).create(
            path, size, algorithm=algorithm, modified=modified, mode=mode, clobber=clobber, owner=owner
        )

    def begin(
        self,
        path: RemotePath,
        size: int,
        *,
        algorithm: str,
        owner: str,
        evict: Callable[[], None],
        restart: bool = False,
        clobber: bool = True,
        look: Callable[[], None] | None = None,
    ) -> Begun:
        return self._writable(path).begin(
            path, size, algorithm=algorithm, owner=owner, evict=evict, restart=restart, clobber=clobber, look=look
        )  # fmt: skip

    def commit_all(self, uploads: Sequence[tuple[Upload, str]]) -> Sequence[Entry | FtpsvcError]:
        return self._common.commit_all(uploads)

    def expire(self, seconds: float) -> int:
        """Does nothing: the common hand-outs are looked after by whoever opened them."""
        return 0

    def make_directory(self, path: RemotePath, *, parents: bool = False) -> bool:
        if parents and len(path.parts) == 1 and self._assignment(path) is not None:
            return False
        return self._writable(path).make_directory(path, parents=parents)

    def remove(self, path: RemotePath, *, recursive: bool = False) -> int:
        return self._writable(path).remove(path, recursive=recursive)

    def rename(self, source: RemotePath, target: RemotePath, *, clobber: bool = True) -> None:
        self._writable(source)
        self._writable(target).rename(source, target, clobber=clobber)

    def space(self) -> Space:
        return self._common.space()

    def close(self) -> None:
        """Does nothing: what is shown is closed by whoever opened it."""


def _place(entry: Entry) -> tuple[str, ...]:
    return (*entry.where, entry.name)
