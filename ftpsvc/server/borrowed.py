"""What a folder made of several storages lends: each keeps what it was lent of open until it is closed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from ftpsvc.digests import Bytes
from ftpsvc.exceptions import InvalidPath, PermissionDenied, StorageError
from ftpsvc.paths import RemotePath
from ftpsvc.storage.base import Begun, Digest, Entry, Reader, Upload


@contextmanager
def prefixed(name: str) -> Iterator[None]:
    """Has errors name a path as it is seen from outside: below a folder of that name."""
    try:
        yield
    except (StorageError, PermissionDenied) as error:
        if error.path:
            error.path = f"/{name}{error.path}".rstrip("/")
        raise
    except InvalidPath as error:
        if error.name.startswith("/"):
            error.name = f"/{name}{error.name}"
        raise


class Borrowed(Reader):
    """A reader that keeps its home, or what else it was lent of, open."""

    def __init__(self, reader: Reader, leave: Callable[[], None]) -> None:
        self.entry = reader.entry
        self._reader = reader
        self._leave: Callable[[], None] | None = leave

    def read_into(self, view: memoryview) -> int:
        return self._reader.read_into(view)

    def seek(self, offset: int) -> None:
        self._reader.seek(offset)

    def fileno(self) -> int | None:
        return self._reader.fileno()

    def check_unchanged(self) -> None:
        self._reader.check_unchanged()

    def record(self, digest: Digest) -> None:
        self._reader.record(digest)

    def close(self) -> None:
        self._reader.close()
        leave, self._leave = self._leave, None
        if leave is not None:
            leave()


class BorrowedUpload(Upload):
    """An upload that keeps its home open."""

    def __init__(self, upload: Upload, path: RemotePath, leave: Callable[[], None]) -> None:
        self.path = path
        self._upload = upload
        self._leave: Callable[[], None] | None = leave

    @property
    def written(self) -> int:  # type: ignore[override]  # read only, as everybody but the upload itself treats it
        return self._upload.written

    def write(self, data: Bytes) -> None:
        with prefixed(self.path.parts[0]):
            self._upload.write(data)

    def place(self, data: Bytes, offset: int) -> None:
        with prefixed(self.path.parts[0]):
            self._upload.place(data, offset)

    def take(self, count: int, source: Reader | None, scratch: memoryview) -> None:
        # Not the wrapper round a reader: that one closes its home, which has nothing to do with reading.
        with prefixed(self.path.parts[0]):
            self._upload.take(count, source, scratch)

    def commit(self, digest: str | None) -> Entry:
        with prefixed(self.path.parts[0]):
            return self._upload.commit(digest)

    def abort(self) -> None:
        self._upload.abort()
        self._go()

    def _go(self) -> None:
        leave, self._leave = self._leave, None
        if leave is not None:
            leave()


class BorrowedBegun(BorrowedUpload, Begun):
    """The same of one that can be resumed."""

    def __init__(self, begun: Begun, path: RemotePath, leave: Callable[[], None]) -> None:
        super().__init__(begun, path, leave)
        self._begun = begun

    def digest(self) -> str:
        return self._begun.digest()

    def describe(self, *, modified: int | None, mode: int | None, clobber: bool) -> None:
        self._begun.describe(modified=modified, mode=mode, clobber=clobber)

    def suspend(self, size: int | None = None) -> None:
        self._begun.suspend(size)
        self._go()
