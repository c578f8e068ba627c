"""Files and directories on a local disk (docs/storage.md)."""

from __future__ import annotations

import errno
import os
import stat
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Final

from ftpsvc import digests
from ftpsvc.confine import Directory
from ftpsvc.digests import Hasher
from ftpsvc.exceptions import (
    AlreadyExists,
    Changed,
    FtpsvcError,
    InvalidPath,
    IsADirectory,
    NoSpace,
    NotADirectory,
    NotAFile,
    NotFound,
    PermissionDenied,
    ReadFailed,
    TooLarge,
)
from ftpsvc.paths import MAX_DEPTH, RemotePath, twin_key
from ftpsvc.storage import listing
from ftpsvc.storage.base import Begun, Digest, Durability, Entry, Page, Reader, Space, Storage, Upload
from ftpsvc.storage.begun import LocalBegun
from ftpsvc.storage.faults import OTHER_FILE_SYSTEM, storage_error, translated
from ftpsvc.storage.partials import PASSING, partial_name
from ftpsvc.storage.quota import Quota, Reservation, Unlimited
from ftpsvc.storage.records import encode
from ftpsvc.storage.together import Syncers, commit_together
from ftpsvc.storage.upload import LocalUpload, check_target
from ftpsvc.storage.volume import Tally, Volume
from ftpsvc.storage.writers import Writer

_SETTLED_NS: Final = 2_000_000_000
"""How long a file must have been left alone before a digest of it is recorded: within the coarsest step of an mtime
(2 s on FAT) it may change once more and look the same."""

_NOBODY_COUNTS: Final = 1 << 62
"""Free bytes of a file system that does not tell its size (ramfs, some FUSE ones): refused only when it is full."""

_OWNER_EXECUTES: Final = 0o100
_UNLIMITED: Final = Unlimited()


class LocalStorage(Storage):
    """A folder of a local disk, served through the one door of `ftpsvc.confine`.

    Args:
        root: The folder. It is used by one process at a time (unless read-only), which a lock ensures.
        durability: Whether answers wait for the disk.
        quota: Who keeps the books.
        read_only: Whether nothing in the folder may be changed, nor is anything made there for the server's own use.
        max_file_size: Largest file accepted in bytes; None is no limit.
        syncers: Who syncs uploads that are committed together; None: they are committed one by one.

    Raises:
        ConfigError: The folder cannot be served: it is missing, another server has it, or its file system cannot keep
            the promise.
    """

    def __init__(
        self,
        root: Path,
        *,
        durability: Durability = Durability.FULL,
        quota: Quota = _UNLIMITED,
        read_only: bool = False,
        max_file_size: int | None = None,
        syncers: Syncers | None = None,
    ) -> None:
        self._volume = Volume(root, durable=durability is Durability.FULL, quota=quota, read_only=read_only)
        self._max_file_size = max_file_size
        self._room = 0
        self._syncers = syncers

    def stat(self, path: RemotePath) -> Entry:
        with translated(path), self._looking_at(path) as (directory, raw, info):
            if info is None:
                raise NotFound(str(path))
            return listing.describe(self._volume, directory, raw, info, path.name)

    def list(
        self,
        path: RemotePath,
        *,
        after: tuple[str, ...] | None = None,
        limit: int = 1000,
        recursive: bool = False,
        versions: bool = True,
    ) -> Page:
        with translated(path), self._looking_at(path) as (above, raw, info):
            if info is None:
                raise NotFound(str(path))
            if not stat.S_ISDIR(info.st_mode):
                return Page(
                    [listing.describe(self._volume, above, raw, info, path.name, versions=versions)]
                    if not after
                    else [],
                    None,
                )
            with above.walk(()) if path.is_root else above.directory(raw) as directory:
                return listing.page(
                    self._volume,
                    path,
                    directory,
                    after=after,
                    limit=max(1, limit),
                    recursive=recursive,
                    versions=versions,
                )

    @contextmanager
    def _looking_at(self, path: RemotePath) -> Iterator[tuple[Directory, bytes, os.stat_result | None]]:
        """Gives the open directory that `path` is in, its spelling there and its `lstat`; the root is in itself."""
        volume = self._volume
        volume.check_visible(path)
        with volume.enter(path.parts[:-1]) as directory:
            if path.is_root:
                yield directory, b"", os.fstat(_descriptor(directory))
            else:
                yield directory, *volume.find(directory, path.name)

    def read(self, path: RemotePath) -> Reader:
        volume = self._volume
        volume.check_visible(path)
        if path.is_root:
            raise IsADirectory(str(path))
        try:
            with volume.enter_near(path.parts[:-1]) as directory:
                name = path.parts[-1]
                try:
                    fd = directory.open_file(name.encode())
                except FileNotFoundError:
                    fd = directory.open_file(volume.find(directory, name)[0])
        except OSError as problem:
            raise storage_error(problem, path) from problem
        try:
            return LocalReader(volume, path, fd)
        except BaseException:
            os.close(fd)
            raise

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
        volume = self._volume
        self._check_upload(path, size)
        hasher = digests.new(algorithm)
        volume.writers.check(path, owner)
        reservation: Reservation | None = None
        try:
            replaced = self._look_at_target(path, clobber=clobber)
            self._check_room(path, size)
            reservation = volume.quota.reserve(path, size, replaced)
            executable = mode is not None and mode & _OWNER_EXECUTES
            staged = volume.stage(0o777 if executable else 0o666)
        except OSError as problem:
            if reservation is not None:
                reservation.release()
            raise storage_error(problem, path) from problem
        return LocalUpload(
            volume,
            path,
            size,
            algorithm=algorithm,
            hasher=hasher,
            modified=modified,
            clobber=clobber,
            staged=staged,
            reservation=reservation,
        )

    def commit_all(self, uploads: Sequence[tuple[Upload, str]]) -> Sequence[Entry | FtpsvcError]:
        ours = [(upload, digest) for upload, digest in uploads if isinstance(upload, LocalUpload)]
        if self._syncers is None or len(ours) < 2 or len(ours) < len(uploads):
            return super().commit_all(uploads)
        return commit_together(self._volume, ours, self._syncers)

    def _check_upload(self, path: RemotePath, size: int) -> None:
        if path.is_root:
            raise IsADirectory(str(path))
        self._volume.check_writable(path)
        if self._max_file_size is not None and size > self._max_file_size:
            raise TooLarge(str(path), size, self._max_file_size)

    def _look_at_target(self, path: RemotePath, *, clobber: bool) -> int | None:
        """Refuses an upload that the target stands against; returns the length of the file there, None for no file."""
        with self._volume.enter_near(path.parts[:-1]) as directory:
            _, info = self._volume.find(directory, path.parts[-1])
            check_target(self._volume, path, info, clobber=clobber)
        return None if info is None else info.st_size

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
        volume = self._volume
        self._check_upload(path, size)
        hasher = digests.new(algorithm)
        writer = volume.writers.take(path, owner, evict)
        reservation: Reservation | None = None
        try:
            replaced = self._look_at_target(path, clobber=clobber)
            partials = volume.partials
            held = self._take_up(writer, hasher, -1 if restart else size, look)
            self._check_room(path, size - held)
            reservation = volume.quota.reserve(path, size, replaced, held)
            return LocalBegun(
                volume,
                path,
                size,
                algorithm=algorithm,
                hasher=hasher,
                held=held,
                staged=partials.open(path, owner, held),
                reservation=reservation,
                partials=partials,
                writer=writer,
            )
        except OSError as problem:
            if reservation is not None:
                self._put_down(
                    reservation, partial_name(path, owner), held if problem.errno in PASSING else 0
                )
            writer.release()
            raise storage_error(problem, path) from problem
        except BaseException:
            writer.release()
            raise

    def _take_up(self, writer: Writer, hasher: Hasher, size: int, look: Callable[[], None] | None) -> int:
        """Hashes what is held of a file of `size` bytes; what is of a longer one, or cannot be read, is dropped.

        Returns:
            How many bytes are held.
        """
        partials = self._volume.partials
        name = partial_name(writer.path, writer.owner)
        held = partials.held(name)
        try:
            if held and held <= size:
                partials.hash(name, held, hasher, look)
                return held
        except OSError as problem:
            if problem.errno in PASSING:
                raise
        if held:
            self._drop(writer)
        return 0

    def _put_down(self, reservation: Reservation, name: bytes, held: int) -> None:
        """Gives back a promise that what was held is part of by then; so many bytes of that stay, if they may."""
        partials = self._volume.partials
        if held:
            kept = reservation.keep(held)
        else:
            reservation.release()
            kept = 0
        try:
            if kept < held:
                partials.cut(name, kept)
        except OSError:
            self._volume.quota.removed(kept, 1)
            kept = 0
        if not kept:
            partials.drop(name)

    def _drop(self, writer: Writer) -> None:
        """Drops what is held."""
        partials = self._volume.partials
        name = partial_name(writer.path, writer.owner)
        if held := partials.held(name):
            partials.drop(name)
            self._volume.quota.removed(held, 1)

    def forget(self, path: RemotePath, owner: str) -> None:
        """Drops what is held of an upload that nobody will go on with. One that is under way is left alone.

        Args:
            path: Where the file was to be.
            owner: Who began it.
        """
        writer = self._volume.writers.take_free(path, owner)
        if writer is not None:
            try:
                self._drop(writer)
            finally:
                writer.release()

    def expire(self, seconds: float) -> int:
        volume = self._volume
        gone = 0
        with translated(RemotePath()):
            old = [] if volume.read_only else list(volume.partials.expired(seconds))
        for name, note in old:
            writer = volume.writers.take_free(RemotePath.parse(note.path), note.owner)
            if writer is None:
                continue
            try:
                # Looked at once more: somebody may have come back for it and gone again since the list was made.
                if volume.partials.is_old(name, seconds):
                    self._drop(writer)
                    gone += 1
            finally:
                writer.release()
        return gone

    def _check_room(self, path: RemotePath, size: int) -> None:
        """Refuses what the disk has no room for now. One look at the disk is good for half of what was free then."""
        if size <= self._room:
            self._room -= size
            return
        free = self._free()
        if size > free:
            raise NoSpace(str(path), size, free)
        self._room = free // 2 - size

    def _free(self) -> int:
        about = os.fstatvfs(_descriptor(self._volume.root))
        if about.f_blocks == 0:
            return _NOBODY_COUNTS
        return about.f_bavail * about.f_frsize

    def make_directory(self, path: RemotePath, *, parents: bool = False) -> bool:
        volume = self._volume
        volume.check_writable(path)
        if path.is_root:
            if parents:
                return False
            raise AlreadyExists(str(path))
        made = False
        # From the top down, so that each one made is durable before anything is made in it.
        for depth in range(1 if parents else len(path.parts), len(path.parts) + 1):
            made = self._make_one(RemotePath(path.parts[:depth]), path, parents=parents)
        return made

    def _make_one(self, path: RemotePath, wanted: RemotePath, *, parents: bool) -> bool:
        volume = self._volume
        with translated(wanted), volume.enter(path.parts[:-1]) as directory:
            with volume.lock(directory, path.name):
                raw, info = volume.find(directory, path.name)
                if info is not None:
                    if not parents:
                        raise AlreadyExists(str(wanted))
                    if stat.S_ISDIR(info.st_mode):
                        return False
                    if path == wanted:
                        raise AlreadyExists(str(wanted))
                    raise NotADirectory(str(wanted))
                volume.names_in_flux(+1)
                try:
                    directory.mkdir(raw)
                except OSError:
                    volume.names_in_flux(-1)
                    raise
            try:
                volume.sync_names(path.parts[:-1], directory, own=1)
            except OSError:
                with suppress(OSError):
                    directory.rmdir(raw)
                raise
            volume.names_in_flux(-1)
        return True

    def remove(self, path: RemotePath, *, recursive: bool = False) -> int:
        volume = self._volume
        if path.is_root:
            raise PermissionDenied("the top folder cannot be removed", str(path))
        volume.check_visible(path)
        volume.check_writable(path)
        tally = Tally(volume.records)
        with translated(path), volume.enter(path.parts[:-1]) as directory:
            away = None
            with volume.lock(directory, path.name):
                raw, info = volume.find(directory, path.name)
                if info is None:
                    raise NotFound(str(path))
                if volume.root.foreign(info):
                    raise PermissionDenied(OTHER_FILE_SYSTEM, str(path))
                if not stat.S_ISDIR(info.st_mode):
                    directory.unlink(raw)
                    tally.add(info)
                else:
                    away = self._remove_directory(directory, raw, info, tally, recursive=recursive)
            volume.sync_names(path.parts[:-1], directory)
            if away is not None:
                self._clear(away, directory, raw, path, tally)
        if tally.files:
            volume.quota.removed(tally.size, tally.files)
        return tally.names

    def _remove_directory(
        self, directory: Directory, raw: bytes, info: os.stat_result, tally: Tally, *, recursive: bool
    ) -> bytes | None:
        """Removes an empty directory, or takes a full one out of sight; returns its name there in the second case."""
        try:
            directory.rmdir(raw)
        except OSError as problem:
            if not recursive or problem.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                raise
        else:
            tally.add(info)
            return None
        # In one step, so that nobody meets a half removed tree, and nothing is put into it any more.
        return self._volume.take_away(directory, raw)

    def _clear(self, away: bytes, directory: Directory, raw: bytes, path: RemotePath, tally: Tally) -> None:
        volume = self._volume
        try:
            volume.clear(away, tally)
        except OSError:
            # Something in it cannot go (no right to, another file system mounted): what is left is put back in sight.
            # Until that is durable the next start would remove it, with all that is put into it meanwhile.
            volume.names_in_flux(+1)
            with suppress(OSError):
                with volume.lock(directory, path.name):
                    volume.bring_back(away, directory, raw)
                volume.sync_names(path.parts[:-1], directory, own=1)
                volume.names_in_flux(-1)
            volume.quota.removed(tally.size, tally.files)
            raise

    def rename(self, source: RemotePath, target: RemotePath, *, clobber: bool = True) -> None:
        volume = self._volume
        for path in (source, target):
            if path.is_root:
                raise PermissionDenied("the top folder cannot be moved or replaced", str(path))
        volume.check_visible(source)
        volume.check_writable(source)
        volume.check_writable(target)
        if target != source and target.starts_with(source):
            raise InvalidPath(str(target), "it lies in the directory that is to be moved")
        with translated(source):
            old = volume.enter(source.parts[:-1])
        with old, translated(target), volume.enter(target.parts[:-1]) as new:
            if len(target.parts) > len(source.parts):
                self._check_depth(source, old, target)
            with ExitStack() as held:
                for lock in volume.locks((old, source.name), (new, target.name)):
                    held.enter_context(lock)
                moved = self._move(source, old, target, new, clobber=clobber)
            if moved is None:
                return
            is_directory = stat.S_ISDIR(moved.st_mode)
            # The new name first: a power cut in between must not leave the file without any.
            volume.sync_names(target.parts[:-1], new, own=is_directory)
            volume.sync_names(source.parts[:-1], old, own=is_directory)
            if is_directory:
                volume.names_in_flux(-1)

    def _check_depth(self, source: RemotePath, old: Directory, target: RemotePath) -> None:
        """Refuses to move a directory so far down that something in it could not be named any more.

        Moved into one another, trees would else grow to any depth, and every walk from the top with its square.
        """
        raw, info = self._volume.find(old, source.name)
        if info is None or not stat.S_ISDIR(info.st_mode) or self._volume.root.foreign(info):
            return
        with old.directory(raw) as top:
            if _is_deeper(top, MAX_DEPTH - len(target.parts)):
                raise InvalidPath(
                    str(target), f"what is in it would be more than {MAX_DEPTH} directories deep"
                )

    def _move(
        self, source: RemotePath, old: Directory, target: RemotePath, new: Directory, *, clobber: bool
    ) -> os.stat_result | None:
        """Moves between two open directories, under the locks of both paths.

        Returns:
            What was moved, a directory counted as in flux; None when source and target are the same.
        """
        volume = self._volume
        raw, info = volume.find(old, source.name)
        if info is None:
            raise NotFound(str(source))
        is_directory = stat.S_ISDIR(info.st_mode)
        if volume.root.foreign(info):
            raise PermissionDenied(OTHER_FILE_SYSTEM, str(source))
        if not is_directory and not stat.S_ISREG(info.st_mode):
            raise NotAFile(str(source))
        raw_target, there = volume.find(new, target.name)
        same = there is not None and os.path.samestat(info, there)
        # On a file system that does not tell case, `mv a A` finds itself at the target.
        respelled = same and source.parent == target.parent and twin_key(source.name) == twin_key(target.name)
        if there is not None and not (respelled and source != target):
            self._check_taken(target, there, is_directory=is_directory, clobber=clobber)
        if source == target:
            return None
        if is_directory:
            volume.names_in_flux(+1)
        try:
            if same and not respelled:
                old.unlink(raw)  # two hard links to one file: rename(2) would leave both
            elif clobber or is_directory or respelled:
                # A directory replaces at most an empty one that was made by hand this instant: rename(2) sees to it.
                if there is not None and not same:
                    volume.records.forget(there)
                old.rename(raw, new, raw_target)
            else:
                old.move_file(raw, new, raw_target)
        except OSError:
            if is_directory:
                volume.names_in_flux(-1)
            raise
        if there is not None and not respelled:
            volume.quota.removed(there.st_size, 1)
        return info

    def _check_taken(
        self, path: RemotePath, there: os.stat_result, *, is_directory: bool, clobber: bool
    ) -> None:
        """Refuses to move onto what is there, unless it is a file, replacing is wanted, and a file comes."""
        if stat.S_ISDIR(there.st_mode):
            raise AlreadyExists(str(path))
        check_target(self._volume, path, there, clobber=clobber and not is_directory)

    def space(self) -> Space:
        limit, used, reserved = self._volume.quota.books()
        with translated(RemotePath()):
            return Space(limit, used, reserved, self._free())

    def close(self) -> None:
        self._volume.close()


class LocalReader(Reader):
    """See `ftpsvc.storage.base.Reader`; made by `LocalStorage.read`."""

    __slots__ = ("_fd", "_path", "_volume", "entry")

    def __init__(self, volume: Volume, path: RemotePath, fd: int) -> None:
        """Takes over `fd`, once this returned."""
        self._volume = volume
        self._path = path
        self._fd = -1
        info = os.fstat(fd)
        self.entry = listing.file_entry(path.parts[-1], info, volume.records.read(fd, info))
        self._fd = fd

    def read_into(self, view: memoryview) -> int:
        try:
            return os.readv(self._fd, [view])
        except OSError as problem:
            raise ReadFailed(str(self._path), os.strerror(problem.errno or errno.EIO)) from problem

    def seek(self, offset: int) -> None:
        os.lseek(self._fd, offset, os.SEEK_SET)

    def fileno(self) -> int | None:
        return self._fd

    def check_unchanged(self) -> None:
        if self._moved_on(os.fstat(self._fd)):
            raise Changed(str(self._path))

    def _moved_on(self, info: os.stat_result) -> bool:
        return info.st_size != self.entry.size or info.st_mtime_ns != self.entry.modified

    def record(self, digest: Digest) -> None:
        info = os.fstat(self._fd)
        if self._moved_on(info) or time.time_ns() - info.st_mtime_ns < _SETTLED_NS:
            return
        records = self._volume.records
        # One that is valid stays: that of the upload tells bits that rotted from bits that were sent.
        if records.read(self._fd, info) is None:
            records.keep(self._fd, info, encode(digest, info.st_size, info.st_mtime_ns, stored=False))

    def close(self) -> None:
        fd, self._fd = self._fd, -1
        if fd >= 0:
            os.close(fd)

    def __del__(self) -> None:
        if getattr(self, "_fd", -1) >= 0:
            self.close()


def _is_deeper(directory: Directory, levels: int) -> bool:
    """Returns whether anything lies more than so many levels beneath a directory."""
    with directory.scan() as entries:
        if levels <= 0:
            return next(entries, None) is not None
        names = [os.fsencode(entry.name) for entry in entries if entry.is_dir(follow_symlinks=False)]
    for name in names:
        # What is gone by now, or belongs to another file system, does not count.
        with suppress(OSError), directory.directory(name) as child:
            if _is_deeper(child, levels - 1):
                return True
    return False


def _descriptor(directory: Directory) -> int:
    """Returns the descriptor of a directory of a volume, which always has one."""
    if directory.fd is None:
        raise OSError(errno.EBADF, os.strerror(errno.EBADF))
    return directory.fd
