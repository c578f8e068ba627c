"""All homes as one storage: what teachers and admins see under `/users/`."""

from __future__ import annotations

import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from ftpsvc.exceptions import (
    AlreadyExists,
    IsADirectory,
    NotFound,
    PermissionDenied,
)
from ftpsvc.paths import ROOT, RemotePath
from ftpsvc.server.borrowed import Borrowed, BorrowedBegun, BorrowedUpload, prefixed
from ftpsvc.server.homes import Homes
from ftpsvc.storage.base import Begun, Entry, Page, Reader, Space, Storage, Upload

_NOT_HERE = "a home belongs to its user's account: it is made, moved and removed with that"


class AllHomes(Storage):
    """The homes of all users, each a directory at the top. What is in them is theirs, quota and all.

    Thread-safe. An upload or a reader keeps its home open until it is done.
    """

    def __init__(self, homes: Homes, users: Callable[[], dict[str, int | None]]) -> None:
        """Shows the homes of some users.

        Args:
            homes: Where they are.
            users: Returns the names of the users whose homes are shown, each with its quota in bytes or None.
        """
        self._homes = homes
        self._users = users

    @contextmanager
    def _in(self, path: RemotePath) -> Iterator[tuple[Storage, RemotePath]]:
        """Enters the home that a path leads into; errors that leave it name the path as it was given."""
        name = path.parts[0]
        quotas = self._users()
        if name not in quotas:
            raise NotFound(str(path))
        with prefixed(name), self._homes.visit(name, quotas[name]) as storage:
            yield storage, RemotePath(path.parts[1:])

    def stat(self, path: RemotePath) -> Entry:
        if path.is_root:
            return Entry("", "dir", mode=0o755)
        if len(path.parts) > 1:
            with self._in(path) as (storage, inner):
                return storage.stat(inner)
        if path.name not in self._users():
            raise NotFound(str(path))
        return self._home(path.name)

    def _home(self, name: str) -> Entry:
        """Describes a home, there or not, without opening it: a list of a class would else walk all that it has."""
        info = self._homes.look(name)
        if info is None:  # the user has never logged in
            return Entry(name, "dir", mode=0o700)
        return Entry(name, "dir", modified=info.st_mtime_ns, mode=stat.S_IMODE(info.st_mode))

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
            if len(path.parts) == 1:
                self.stat(path)  # raises for who is no user
                if not self._homes.exists(path.name):
                    return Page([], None)
            with self._in(path) as (storage, inner):
                return storage.list(inner, after=after, limit=limit, recursive=recursive, versions=versions)
        entries: list[Entry] = []
        quotas = self._users()
        for name in sorted(quotas):
            if after is not None and name < after[0]:
                continue
            beneath: tuple[str, ...] | None = None
            if after is not None and name == after[0]:
                if not recursive:
                    continue
                beneath = after[1:] or None
            else:
                entries.append(self._home(name))
            if len(entries) >= limit:
                return Page(entries, (name,))
            if recursive and self._homes.exists(name):
                with prefixed(name), self._homes.visit(name, quotas[name]) as storage:
                    page = storage.list(
                        ROOT, after=beneath, limit=limit - len(entries), recursive=True, versions=versions
                    )
                entries += [entry._replace(where=(name, *entry.where)) for entry in page.entries]
                if page.cursor is not None:
                    return Page(entries, (name, *page.cursor))
        return Page(entries, None)

    def read(self, path: RemotePath) -> Reader:
        if path.is_root:
            raise IsADirectory("/")
        name = path.parts[0]
        storage, inner = self._enter(path)
        try:
            with prefixed(name):
                return Borrowed(storage.read(inner), lambda: self._homes.leave(storage))
        except BaseException:
            self._homes.leave(storage)
            raise

    def _enter(self, path: RemotePath) -> tuple[Storage, RemotePath]:
        quotas = self._users()
        name = path.parts[0]
        if name not in quotas:
            raise NotFound(str(path))
        return self._homes.enter(name, quotas[name]), RemotePath(path.parts[1:])

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
        if len(path.parts) < 2:
            raise IsADirectory(str(path))
        name = path.parts[0]
        storage, inner = self._enter(path)
        try:
            with prefixed(name):
                upload = storage.create(
                    inner,
                    size,
                    algorithm=algorithm,
                    modified=modified,
                    mode=mode,
                    clobber=clobber,
                    owner=owner,
                )
        except BaseException:
            self._homes.leave(storage)
            raise
        return BorrowedUpload(upload, path, lambda: self._homes.leave(storage))

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
        if len(path.parts) < 2:
            raise IsADirectory(str(path))
        name = path.parts[0]
        storage, inner = self._enter(path)
        try:
            with prefixed(name):
                begun = storage.begin(
                    inner,
                    size,
                    algorithm=algorithm,
                    owner=owner,
                    evict=evict,
                    restart=restart,
                    clobber=clobber,
                    look=look,
                )
        except BaseException:
            self._homes.leave(storage)
            raise
        return BorrowedBegun(begun, path, lambda: self._homes.leave(storage))

    def expire(self, seconds: float) -> int:
        """Does nothing: the homes are looked after by whoever opened them."""
        return 0

    def make_directory(self, path: RemotePath, *, parents: bool = False) -> bool:
        if len(path.parts) < 2:
            if parents and (path.is_root or path.name in self._users()):
                return False
            if path.is_root or path.name in self._users():
                raise AlreadyExists(str(path))
            raise PermissionDenied(_NOT_HERE, str(path))
        with self._in(path) as (storage, inner):
            return storage.make_directory(inner, parents=parents)

    def remove(self, path: RemotePath, *, recursive: bool = False) -> int:
        if len(path.parts) < 2:
            raise PermissionDenied(_NOT_HERE, str(path))
        with self._in(path) as (storage, inner):
            return storage.remove(inner, recursive=recursive)

    def rename(self, source: RemotePath, target: RemotePath, *, clobber: bool = True) -> None:
        if len(source.parts) < 2 or len(target.parts) < 2:
            raise PermissionDenied(_NOT_HERE, str(source))
        if source.parts[0] != target.parts[0]:
            raise PermissionDenied("it cannot be moved from one home to another", str(source))
        with self._in(source) as (storage, inner):
            storage.rename(inner, RemotePath(target.parts[1:]), clobber=clobber)

    def space(self) -> Space:
        for name, quota in self._users().items():
            if self._homes.exists(name):
                with self._homes.visit(name, quota) as storage:
                    return Space(None, None, 0, storage.space().free)
        return Space(None, None, 0, 0)

    def close(self) -> None:
        """Does nothing: the homes are closed by whoever opened them."""
