"""A folder that shows a user what lies beneath their name in `ROOT/submissions`, by assignment, and is read-only.

Every path is led beneath the user's own name before the disk is asked for anything, so what others have, or whether
they have anything, changes no answer.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import ClassVar

from ftpsvc.exceptions import InvalidPath, PermissionDenied, StorageError
from ftpsvc.paths import RemotePath
from ftpsvc.storage.base import Begun, Entry, Page, Reader, Space, Storage, Upload


class OwnView(Storage):
    """What one user sees: a folder for each assignment that has something for them. Thread-safe.

    Attributes:
        refusal: What is said to who wants to change something.
    """

    refusal: ClassVar[str]

    def __init__(self, storage: Storage) -> None:
        """Shows parts of a storage: all of `ROOT/submissions`. Whoever opened it closes it."""
        self._storage = storage

    @abstractmethod
    def _names(self) -> list[str]:
        """Returns the assignments that have something for the user, in the order of their names."""

    @abstractmethod
    def _inner(self, path: RemotePath) -> RemotePath:
        """Returns where a path that has an assignment leads in the storage.

        Raises:
            NotFound: The assignment has nothing for the user.
        """

    @contextmanager
    def _told(self, path: RemotePath) -> Iterator[None]:
        """Has errors name the path that was asked for, and not where that is."""
        try:
            yield
        except (StorageError, PermissionDenied) as error:
            if error.path:
                error.path = str(path)
            raise
        except InvalidPath as error:
            if error.name.startswith("/"):
                error.name = str(path)
            raise

    def stat(self, path: RemotePath) -> Entry:
        if path.is_root:
            return Entry("", "dir", mode=0o555)
        with self._told(path):
            return self._storage.stat(self._inner(path))._replace(name=path.name)

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
            with self._told(path):
                return self._storage.list(
                    self._inner(path), after=after, limit=limit, recursive=recursive, versions=versions
                )
        entries: list[Entry] = []
        for name in self._names():
            if after is not None and (name < after[0] or (name == after[0] and not recursive)):
                continue
            beneath = after[1:] or None if after is not None and name == after[0] else None
            if after is None or name != after[0]:
                entries.append(self.stat(RemotePath((name,))))
            if len(entries) >= limit:
                return Page(entries, (name,))
            if recursive:
                room = limit - len(entries)
                page = self.list(
                    RemotePath((name,)), after=beneath, limit=room, recursive=True, versions=versions
                )
                entries += [entry._replace(where=(name, *entry.where)) for entry in page.entries]
                if page.cursor is not None:
                    return Page(entries, (name, *page.cursor))
        return Page(entries, None)

    def read(self, path: RemotePath) -> Reader:
        if len(path.parts) < 2:
            self.stat(path)
            raise PermissionDenied("is a directory", str(path))
        with self._told(path):
            return self._storage.read(self._inner(path))

    def space(self) -> Space:
        return Space(None, None, 0, self._storage.space().free)

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
        raise PermissionDenied(self.refusal, str(path))

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
        raise PermissionDenied(self.refusal, str(path))

    def expire(self, seconds: float) -> int:
        """Does nothing: whoever opened the storage looks after it."""
        return 0

    def make_directory(self, path: RemotePath, *, parents: bool = False) -> bool:
        raise PermissionDenied(self.refusal, str(path))

    def remove(self, path: RemotePath, *, recursive: bool = False) -> int:
        raise PermissionDenied(self.refusal, str(path))

    def rename(self, source: RemotePath, target: RemotePath, *, clobber: bool = True) -> None:
        raise PermissionDenied(self.refusal, str(source))

    def close(self) -> None:
        """Does nothing: the storage is closed by whoever opened it."""
