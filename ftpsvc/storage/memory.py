"""Files in memory, for tests of whatever stands on a storage. It keeps the same contract as a disk."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, NamedTuple, NoReturn, TypeAlias

from ftpsvc import digests
from ftpsvc.digests import Bytes
from ftpsvc.exceptions import (
    AlreadyExists,
    Changed,
    DigestMismatch,
    DirectoryNotEmpty,
    FtpsvcError,
    InvalidPath,
    IsADirectory,
    LocalProtocolError,
    NoSpace,
    NotADirectory,
    NotFound,
    PermissionDenied,
)
from ftpsvc.paths import MAX_DEPTH, RemotePath
from ftpsvc.storage.base import Begun, Digest, Entry, Page, Reader, Space, Storage, Upload
from ftpsvc.storage.faults import wrong_length
from ftpsvc.storage.quota import Quota, Reservation, Unlimited
from ftpsvc.storage.writers import Writer, Writers

_UNLIMITED: Final = Unlimited()
_PLENTY: Final = 1 << 40
_EXECUTABLE: Final = 0o755
_PLAIN: Final = 0o644


@dataclass(frozen=True, slots=True)
class _File:
    """A file; one that is replaced stays as it was for whoever reads it."""

    content: bytes
    modified: int
    mode: int
    version: str
    digest: Digest

    def entry(self, name: str, where: tuple[str, ...] = ()) -> Entry:
        size = len(self.content)
        return Entry(name, "file", size, self.modified, self.mode, self.version, self.digest, where)


@dataclass(slots=True)
class _Folder:
    """A directory."""

    modified: int
    children: dict[str, _Node] = field(default_factory=dict)

    def entry(self, name: str, where: tuple[str, ...] = ()) -> Entry:
        return Entry(name, "dir", modified=self.modified, mode=_EXECUTABLE, where=where)


class _Partial(NamedTuple):
    """What is left of an upload that broke off, and since when, by the monotonic clock."""

    content: bytearray
    since: float


_Node: TypeAlias = "_File | _Folder"


class MemoryStorage(Storage):
    """Files and directories in this process's memory; nothing of it survives the process.

    Args:
        quota: Who keeps the books.
        capacity: Bytes that this disk has, uploads under way among them; None is plenty.
    """

    def __init__(self, quota: Quota = _UNLIMITED, capacity: int | None = None) -> None:
        self._quota = quota
        self._capacity = _PLENTY if capacity is None else capacity
        self._used = 0
        self._lock = threading.RLock()
        self._versions = itertools.count(1)
        self._writers = Writers()
        self._partials: dict[tuple[RemotePath, str], _Partial] = {}
        self._root = _Folder(time.time_ns())

    def stat(self, path: RemotePath) -> Entry:
        with self._lock:
            return self._node(path).entry(path.name)

    def list(
        self,
        path: RemotePath,
        *,
        after: tuple[str, ...] | None = None,
        limit: int = 1000,
        recursive: bool = False,
        versions: bool = True,
    ) -> Page:
        with self._lock:
            node = self._node(path)
            if isinstance(node, _File):
                return Page([] if after else [_told(node.entry(path.name), versions)], None)
            entries = [entry for entry in _inside(node, (), recursive) if not after or _key(entry) > after]
        limit = max(1, limit)
        page = [_told(entry, versions) for entry in entries[:limit]]
        return Page(page, _key(page[-1]) if len(entries) > limit else None)

    def read(self, path: RemotePath) -> Reader:
        with self._lock:
            node = self._node(path)
        if isinstance(node, _Folder):
            raise IsADirectory(str(path))
        return _MemoryReader(path, node)

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
        if path.is_root:
            raise IsADirectory(str(path))
        hasher = digests.new(algorithm)
        self._writers.check(path, owner)
        with self._lock:
            reservation = self._reserve(path, size, 0, clobber=clobber)
        upload = _MemoryUpload(self, path, size, algorithm, hasher, reservation)
        upload.describe(modified=modified, mode=mode, clobber=clobber)
        return upload

    def _reserve(self, path: RemotePath, size: int, held: int, *, clobber: bool) -> Reservation:
        there = self._target(path, clobber=clobber)
        free = self._capacity - self._used
        if size - held > free:
            raise NoSpace(str(path), size - held, free)
        return self._quota.reserve(path, size, None if there is None else len(there.content), held)

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
        if path.is_root:
            raise IsADirectory(str(path))
        hasher = digests.new(algorithm)
        writer = self._writers.take(path, owner, evict)
        try:
            with self._lock:
                partial = self._partials.get((path, owner))
                if partial is not None and (restart or len(partial.content) > size):
                    self._drop(path, owner)
                    partial = None
                content = partial.content if partial is not None else bytearray()
                hasher.update(content)
                reservation = self._reserve(path, size, len(content), clobber=clobber)
                self._partials.pop((path, owner), None)
        except BaseException:
            writer.release()
            raise
        return _MemoryBegun(self, path, size, algorithm, hasher, reservation, content, writer)

    def _drop(self, path: RemotePath, owner: str) -> None:
        size = len(self._partials.pop((path, owner)).content)
        self._used -= size
        self._quota.removed(size, 1)

    def _keep(self, writer: Writer, content: bytearray, reservation: Reservation) -> None:
        """Keeps what was written, as far as the quota has room for it."""
        with self._lock:
            kept = reservation.keep(len(content))
            self._used -= len(content) - kept
            if kept:
                self._partials[writer.path, writer.owner] = _Partial(content[:kept], time.monotonic())

    def expire(self, seconds: float) -> int:
        oldest = time.monotonic() - seconds
        with self._lock:
            old = [key for key, partial in self._partials.items() if partial.since < oldest]
            for path, owner in old:
                self._drop(path, owner)
        return len(old)

    def _target(self, path: RemotePath, *, clobber: bool) -> _File | None:
        there = self._folder(path.parent).children.get(path.name)
        if isinstance(there, _Folder):
            raise IsADirectory(str(path))
        if there is not None and not clobber:
            raise AlreadyExists(str(path))
        return there

    def _take(self, path: RemotePath, size: int) -> None:
        """Uses room on the disk, or gives it back."""
        with self._lock:
            if size > self._capacity - self._used:
                raise NoSpace(str(path), size, self._capacity - self._used)
            self._used += size

    def _put(self, path: RemotePath, file: _File, reservation: Reservation, *, clobber: bool) -> None:
        with self._lock:
            there = self._target(path, clobber=clobber)
            reservation.confirm(None if there is None else len(there.content))
            self._folder(path.parent).children[path.name] = file
            if there is not None:
                self._used -= len(there.content)
            reservation.settle(len(file.content), None if there is None else len(there.content))

    def make_directory(self, path: RemotePath, *, parents: bool = False) -> bool:
        with self._lock:
            made = False
            if path.is_root and not parents:
                raise AlreadyExists(str(path))
            for depth in range(1 if parents else len(path.parts), len(path.parts) + 1):
                here = RemotePath(path.parts[:depth])
                children = self._folder(here.parent).children
                there = children.get(here.name)
                if there is not None and not (parents and isinstance(there, _Folder)):
                    raise AlreadyExists(str(path)) if here == path else NotADirectory(str(path))
                made = there is None
                if made:
                    children[here.name] = _Folder(time.time_ns())
            return made

    def remove(self, path: RemotePath, *, recursive: bool = False) -> int:
        if path.is_root:
            raise PermissionDenied("the top folder cannot be removed", str(path))
        with self._lock:
            node = self._node(path)
            gone = [node.entry(path.name)]
            if isinstance(node, _Folder):
                if node.children and not recursive:
                    raise DirectoryNotEmpty(str(path))
                gone += _inside(node, (), True)
            del self._folder(path.parent).children[path.name]
            size = sum(entry.size for entry in gone)
            self._used -= size
        if files := sum(entry.kind == "file" for entry in gone):
            self._quota.removed(size, files)
        return len(gone)

    def rename(self, source: RemotePath, target: RemotePath, *, clobber: bool = True) -> None:
        for path in (source, target):
            if path.is_root:
                raise PermissionDenied("the top folder cannot be moved or replaced", str(path))
        if target != source and target.starts_with(source):
            raise InvalidPath(str(target), "it lies in the directory that is to be moved")
        with self._lock:
            node = self._node(source)
            there = self._folder(target.parent).children.get(target.name)
            replaceable = isinstance(there, _File) and isinstance(node, _File) and clobber
            if there is not None and not replaceable and not (source == target and clobber):
                raise AlreadyExists(str(target))
            if source == target:
                return
            moves_down = len(target.parts) > len(source.parts)
            if moves_down and len(target.parts) + _height(node) > MAX_DEPTH:
                raise InvalidPath(
                    str(target), f"what is in it would be more than {MAX_DEPTH} directories deep"
                )
            del self._folder(source.parent).children[source.name]
            self._folder(target.parent).children[target.name] = node
            if isinstance(there, _File):
                self._used -= len(there.content)
                self._quota.removed(len(there.content), 1)

    def space(self) -> Space:
        limit, used, reserved = self._quota.books()
        with self._lock:
            return Space(limit, used, reserved, self._capacity - self._used)

    def close(self) -> None:
        pass

    def _node(self, path: RemotePath) -> _Node:
        node: _Node = self._root
        for name in path.parts:
            if isinstance(node, _File):
                raise NotADirectory(str(path))
            if name not in node.children:
                raise NotFound(str(path))
            node = node.children[name]
        return node

    def _folder(self, path: RemotePath) -> _Folder:
        node = self._node(path)
        if isinstance(node, _File):
            raise NotADirectory(str(path))
        return node


def _height(node: _Node) -> int:
    """Returns how many levels lie beneath a node."""
    if isinstance(node, _File):
        return 0
    return max((1 + _height(child) for child in node.children.values()), default=0)


def _told(entry: Entry, versions: bool) -> Entry:
    return entry if versions else entry._replace(version="", digest=None)


def _inside(folder: _Folder, where: tuple[str, ...], recursive: bool) -> list[Entry]:
    found = []
    for name, node in sorted(folder.children.items()):
        found.append(node.entry(name, where))
        if recursive and isinstance(node, _Folder):
            found += _inside(node, (*where, name), True)
    return found


def _key(entry: Entry) -> tuple[str, ...]:
    return (*entry.where, entry.name)


class _MemoryReader(Reader):
    def __init__(self, path: RemotePath, file: _File) -> None:
        self.entry = file.entry(path.name)
        self._view = memoryview(file.content)
        self._at = 0

    def read_into(self, view: memoryview) -> int:
        part = self._view[self._at : self._at + len(view)]
        view[: len(part)] = part
        self._at += len(part)
        return len(part)

    def seek(self, offset: int) -> None:
        self._at = offset

    def fileno(self) -> int | None:
        return None

    def check_unchanged(self) -> None:
        """Nothing changes a file here: it is only ever replaced."""

    def record(self, digest: Digest) -> None:
        """Every file here has the record of its upload, which stays."""

    def close(self) -> None:
        self._view.release()


class _MemoryUpload(Upload):
    def __init__(
        self,
        storage: MemoryStorage,
        path: RemotePath,
        size: int,
        algorithm: str,
        hasher: digests.Hasher,
        reservation: Reservation,
        content: bytearray | None = None,
    ) -> None:
        self.path = path
        self.written = len(content) if content is not None else 0
        self._storage = storage
        self._size = size
        self._algorithm = algorithm
        self._hasher = hasher
        self._modified: int | None = None
        self._mode = _PLAIN
        self._clobber = True
        self._reservation = reservation
        self._content: bytearray | None = bytearray() if content is None else content
        self._failed: FtpsvcError | None = None

    def describe(self, *, modified: int | None, mode: int | None, clobber: bool) -> None:
        self._modified = modified
        self._mode = _EXECUTABLE if mode is not None and mode & 0o100 else _PLAIN
        self._clobber = clobber

    def write(self, data: Bytes) -> None:
        self.place(data, self.written)
        self._count(data)

    def place(self, data: Bytes, offset: int) -> None:
        end = offset + len(data)
        content = self._grow(end)
        content[offset:end] = data

    def take(self, count: int, source: Reader | None, scratch: memoryview) -> None:
        end = self.written + count
        content = self._grow(end)
        if source is not None:
            source.seek(self.written)
            at = self.written
            while at < end:
                piece = scratch[: min(end - at, len(scratch))]
                got = source.read_into(piece)
                if not got:
                    self._fail(Changed(str(self.path)))
                content[at : at + got] = piece[:got]
                at += got
        self._count(content[self.written : end])

    def _grow(self, size: int) -> bytearray:
        """Returns the content, with room for `size` bytes."""
        content = self._content
        if content is None:
            raise self._failed or LocalProtocolError("write after commit or abort")
        more = size - len(content)
        try:
            if size > self._size:
                raise wrong_length(self.path, self._size, size)
            if more > 0:
                self._storage._take(self.path, more)
                content += bytes(more)
        except FtpsvcError as problem:
            self._fail(problem)
        return content

    def _count(self, data: Bytes) -> None:
        self._hasher.update(data)
        self.written += len(data)

    def _fail(self, problem: FtpsvcError) -> NoReturn:
        self._failed = problem
        self.abort()
        raise problem

    def commit(self, digest: str | None) -> Entry:
        content = self._content
        if content is None:
            raise self._failed or LocalProtocolError("commit after commit or abort")
        try:
            if self.written != self._size:
                raise wrong_length(self.path, self._size, self.written)
            actual = Digest(self._algorithm, self._hasher.hexdigest())
            if digest is not None and not digests.equal(digest, actual.value):
                raise DigestMismatch(str(self.path), self._algorithm, digest, actual.value)
            modified = time.time_ns() if self._modified is None else self._modified
            version = f"m{next(self._storage._versions):x}"
            file = _File(bytes(content), modified, self._mode, version, actual)
            self._storage._put(self.path, file, self._reservation, clobber=self._clobber)
            self._content = None
        finally:
            self.abort()
        return file.entry(self.path.name)

    def abort(self) -> None:
        content, self._content = self._content, None
        if content is not None:
            self._storage._take(self.path, -len(content))
            self._reservation.release()

    def __del__(self) -> None:
        if getattr(self, "_content", None) is not None:
            self.abort()


class _MemoryBegun(_MemoryUpload, Begun):
    def __init__(
        self,
        storage: MemoryStorage,
        path: RemotePath,
        size: int,
        algorithm: str,
        hasher: digests.Hasher,
        reservation: Reservation,
        content: bytearray,
        writer: Writer,
    ) -> None:
        super().__init__(storage, path, size, algorithm, hasher, reservation, content)
        self._writer = writer

    def digest(self) -> str:
        return self._hasher.hexdigest()

    def commit(self, digest: str | None) -> Entry:
        try:
            return super().commit(digest)
        finally:
            self._writer.release()

    def suspend(self, size: int | None = None) -> None:
        content = self._content
        if content is None:
            return
        keep = len(content) if size is None else min(size, len(content))
        if not keep:
            self.abort()
            return
        self._content = None
        if keep < len(content):
            self._storage._take(self.path, keep - len(content))
            del content[keep:]
        self._storage._keep(self._writer, content, self._reservation)
        self._writer.release()

    def abort(self) -> None:
        super().abort()
        self._writer.release()
