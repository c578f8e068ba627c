"""An upload to a local disk: staged, hashed as it is written, and put in place in one step (invariants 1 to 3)."""

from __future__ import annotations

import os
import stat
from types import TracebackType
from typing import NoReturn

from ftpsvc import digests
from ftpsvc.confine import Directory, Staged
from ftpsvc.digests import Bytes, Hasher
from ftpsvc.exceptions import (
    AlreadyExists,
    Changed,
    DigestMismatch,
    FtpsvcError,
    IsADirectory,
    LocalProtocolError,
    NotAFile,
    PermissionDenied,
)
from ftpsvc.paths import RemotePath
from ftpsvc.storage.base import Digest, Entry, Reader, Upload
from ftpsvc.storage.faults import OTHER_FILE_SYSTEM, storage_error, wrong_length
from ftpsvc.storage.listing import version_of
from ftpsvc.storage.quota import Reservation
from ftpsvc.storage.records import encode
from ftpsvc.storage.volume import Volume


def check_target(volume: Volume, path: RemotePath, info: os.stat_result | None, *, clobber: bool) -> None:
    """Refuses to put a file where `info` is what is there now."""
    if info is None:
        return
    if volume.root.foreign(info):
        raise PermissionDenied(OTHER_FILE_SYSTEM, str(path))
    if stat.S_ISDIR(info.st_mode):
        raise IsADirectory(str(path))
    if not stat.S_ISREG(info.st_mode):  # a link is neither followed nor replaced, where it points matters not
        raise NotAFile(str(path))
    if not clobber:
        raise AlreadyExists(str(path))


class _OrAbort:
    """See `LocalUpload._or_abort`. A class, since it costs each small file twice a third of what a generator does."""

    __slots__ = ("_upload",)

    def __init__(self, upload: LocalUpload) -> None:
        self._upload = upload

    def __enter__(self) -> None:
        pass

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        if problem is None:
            return
        self._upload.abort()
        if isinstance(problem, OSError):
            raise storage_error(problem, self._upload.path) from problem


class LocalUpload(Upload):
    """See `ftpsvc.storage.base.Upload`; made by `LocalStorage.create`."""

    __slots__ = (
        "_algorithm",
        "_clobber",
        "_failed",
        "_hasher",
        "_modified",
        "_reservation",
        "_sealed",
        "_size",
        "_staged",
        "_volume",
        "path",
        "written",
    )

    def __init__(
        self,
        volume: Volume,
        path: RemotePath,
        size: int,
        *,
        algorithm: str,
        hasher: Hasher,
        modified: int | None,
        clobber: bool,
        staged: Staged,
        reservation: Reservation,
    ) -> None:
        self.path = path
        self.written = 0
        self._volume = volume
        self._size = size
        self._algorithm = algorithm
        self._hasher = hasher
        self._modified = modified
        self._clobber = clobber
        self._staged: Staged | None = staged
        self._reservation = reservation
        self._failed: FtpsvcError | None = None
        self._sealed: tuple[os.stat_result, Digest] | None = None

    def write(self, data: Bytes) -> None:
        total = self.written + len(data)
        staged = self._open_for(total)
        try:
            staged.write(data)
        except OSError as problem:
            self._fail(storage_error(problem, self.path))
        self._hasher.update(data)
        self.written = total

    def place(self, data: Bytes, offset: int) -> None:
        staged = self._open_for(offset + len(data))
        try:
            staged.write_at(data, offset)
        except OSError as problem:
            self._fail(storage_error(problem, self.path))

    def take(self, count: int, source: Reader | None, scratch: memoryview) -> None:
        staged = self._open_for(self.written + count)
        if source is not None:
            source.seek(self.written)
        while count:
            piece = scratch[: min(count, len(scratch))]
            try:
                got = staged.read_at(piece, self.written) if source is None else source.read_into(piece)
                if not got:
                    self._fail(Changed(str(self.path)))
                if source is not None:
                    staged.write_at(piece[:got], self.written)
            except OSError as problem:
                self._fail(storage_error(problem, self.path))
            self._hasher.update(piece[:got])
            self.written += got
            count -= got

    def _open_for(self, size: int) -> Staged:
        """Returns the staged file, if so many bytes of it were promised."""
        if self._staged is None:
            raise self._failed or LocalProtocolError("write after commit or abort")
        if size > self._size:
            self._fail(wrong_length(self.path, self._size, size))
        return self._staged

    def _fail(self, problem: FtpsvcError) -> NoReturn:
        self._failed = problem
        self.abort()
        raise problem

    def commit(self, digest: str | None) -> Entry:
        self.seal(digest)
        self.sync()
        parts = self.path.parts[:-1]
        # Walked anew if the content had to be waited for: a directory on the way may have been moved or replaced.
        with self._or_abort(), self._volume.enter_near(parts) as directory:
            entry = self.publish(directory)
            self._volume.sync_names(parts, directory)
        return entry

    def seal(self, digest: str | None) -> None:
        """Takes the first step of a commit: checks what was written, and gives the staged file its mtime and record.

        Raises:
            As `commit`.
        """
        with self._or_abort():
            staged = self._staged
            if staged is None:
                raise self._failed or LocalProtocolError("commit after commit or abort")
            if self.written != self._size:
                raise wrong_length(self.path, self._size, self.written)
            actual = Digest(self._algorithm, self._hasher.hexdigest())
            if digest is not None and not digests.equal(digest, actual.value):
                raise DigestMismatch(str(self.path), self._algorithm, digest, actual.value)
            self._prepare(staged)
            if self._modified is not None:
                staged.set_modified(self._modified)
            # Asked back: the file system may keep time less finely than it was told.
            info = staged.stat()
            record = encode(actual, info.st_size, info.st_mtime_ns, stored=True)
            self._volume.records.attach(staged, info, record)
            self._sealed = info, actual

    def _prepare(self, staged: Staged) -> None:
        """Gives the staged file what it did not have from the start: nothing, here."""

    def sync(self) -> None:
        """Takes the second step: content, mtime and record become durable.

        Raises:
            As `commit`.
        """
        with self._or_abort():
            if self._volume.durable and self._staged is not None:
                self._staged.sync()

    def publish(self, directory: Directory) -> Entry:
        """Takes the third step: puts the file in place, under the path's lock. Its name is not durable yet.

        Args:
            directory: That of the path, as it is now.

        Raises:
            As `commit`.
        """
        volume, path = self._volume, self.path
        with self._or_abort():
            staged, sealed = self._staged, self._sealed
            if staged is None or sealed is None:
                raise self._failed or LocalProtocolError("a commit without its first steps")
            with volume.lock(directory, path.parts[-1]):
                raw, info = volume.find(directory, path.parts[-1])
                check_target(volume, path, info, clobber=self._clobber)
                displaced = None if info is None else info.st_size
                # First: when it does not fit any more, the old file and its record must be as they were.
                self._reservation.confirm(displaced)
                if info is not None:
                    volume.records.forget(info)
                staged.publish(directory, raw, clobber=self._clobber)
                self._staged = None
                self._reservation.settle(self._size, displaced)
            self._published()
        info, actual = sealed
        mode, version = stat.S_IMODE(info.st_mode), version_of(info, actual)
        return Entry(path.parts[-1], "file", info.st_size, info.st_mtime_ns, mode, version, actual)

    def _published(self) -> None:
        """Tidies up after the file has its name: there is nothing to tidy up, here."""

    def _or_abort(self) -> _OrAbort:
        """Lets a step of a commit succeed, or ends the upload with what the disk says as an error of ours."""
        return _OrAbort(self)

    def abort(self) -> None:
        staged, self._staged = self._staged, None
        if staged is not None:
            staged.discard()
            self._reservation.release()

    def __del__(self) -> None:
        # Dropped without abort: the staged file and the reservation must not outlive it. A failed __init__ has neither.
        if getattr(self, "_staged", None) is not None:
            self.abort()
