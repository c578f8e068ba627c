"""The contract between the service and whatever keeps the files.

In words (tests/contract runs every line of it against every backend):

* A path names a file, a directory, or nothing. Names compare exactly, after NFC; `a` and `A` are two names wherever
  the backend can hold both.
* **Nothing half.** A reader sees the old content or the new, never a mixture or a prefix. An upload that is aborted,
  or dropped without `commit`, leaves no trace that any operation can see.
* **An answer means durable.** When `commit`, `make_directory`, `remove` or `rename` return under `Durability.FULL`,
  the change survives a power cut, and so do the directories made on the way. When `commit` raises, the old content is
  untouched and the upload is gone; but for one case, Unavailable because the new name is in place and cannot be made
  durable: what is seen then is the new content, whole, and nobody knows what a power cut would leave.
* **A digest is of what was written.** `Upload` hashes the bytes it writes; `commit` compares with what the sender
  says, before anything becomes visible, and records digest, algorithm, size and mtime with the file.
  `Entry.digest` is such a record that is still valid (size and mtime match), else None.
* **An upload that was begun can be resumed.** What was written to an `Upload` of `begin` stays when it is suspended, or
  when the process dies, for its owner and path, seen by nobody and counted by the quota; `begin` goes on there. One
  writer at a time has begun to write to a path.
* What is neither a regular file nor a directory is listed as `link` or `other` and otherwise refused: NotAFile.
  Links are never followed.
* Errors are classes of `ftpsvc.exceptions` that carry the remote path. No other exception leaves a backend for a
  reason that the disk or a peer can cause, and no real path is in any text.
* Thread-safe: every method may be called from any thread. A `Reader` or an `Upload` belongs to one thread at a time.
"""

from __future__ import annotations

import enum
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Literal, NamedTuple, Self

from ftpsvc.digests import Bytes
from ftpsvc.exceptions import FtpsvcError
from ftpsvc.paths import RemotePath

Kind = Literal["file", "dir", "link", "other"]


class Durability(enum.Enum):
    """What an answer promises.

    FULL: content, name and directories are on the disk. RELAXED: they are with the operating system, and a power cut
    may take back the last seconds (never a half file where the file system keeps the order of data and rename).
    """

    FULL = "full"
    RELAXED = "relaxed"


class Digest(NamedTuple):
    """A digest and what made it: `algorithm` is a name of `ftpsvc.digests`, `value` lower-case hex."""

    algorithm: str
    value: str


class Entry(NamedTuple):
    """What is known of one name.

    Attributes:
        name: Last component in NFC; empty for the root. For a name on disk that cannot be addressed, an escaped
            form that is only good for showing.
        kind: `file`, `dir`, `link` (never followed) or `other` (FIFO, device, socket).
        size: Length in bytes of a file; 0 for everything else.
        modified: Last change of the content, nanoseconds since 1970 UTC.
        mode: Permission bits (`0o7777` at most).
        version: Opaque token that changes when the content does; empty for what is no file.
        digest: A recorded digest that is still valid, or None.
        where: Components of the directory that it is in, relative to the one that was listed.
        note: Why the name cannot be addressed, or None.
    """

    name: str
    kind: Kind
    size: int = 0
    modified: int = 0
    mode: int = 0
    version: str = ""
    digest: Digest | None = None
    where: tuple[str, ...] = ()
    note: str | None = None


@dataclass(frozen=True, slots=True)
class Page:
    """A part of a listing.

    Attributes:
        entries: Ordered by components (Unicode code points), a directory before what is in it.
        cursor: Components, relative to the listed directory, of the entry to go on after; None when this was the
            last page.
    """

    entries: Sequence[Entry]
    cursor: tuple[str, ...] | None


@dataclass(frozen=True, slots=True)
class Space:
    """Room on a volume in bytes. `limit` is None without a quota, and `used` is None where nobody counts."""

    limit: int | None
    used: int | None
    reserved: int
    free: int


class Reader(ABC):
    """An open file to be sent. A context manager: leaving it closes.

    Attributes:
        entry: What the file was when it was opened.
    """

    entry: Entry

    @abstractmethod
    def read_into(self, view: memoryview) -> int:
        """Reads the next bytes into `view` and returns how many; 0 is the end.

        Raises:
            ReadFailed: The disk failed.
        """

    @abstractmethod
    def seek(self, offset: int) -> None:
        """Goes on reading at `offset` bytes from the start."""

    @abstractmethod
    def fileno(self) -> int | None:
        """Returns the descriptor for `os.sendfile`, or None where there is none. It stays the reader's own."""

    @abstractmethod
    def check_unchanged(self) -> None:
        """Compares the file as it is now with `entry`.

        Raises:
            Changed: Size, mtime or version differ.
        """

    @abstractmethod
    def record(self, digest: Digest) -> None:
        """Keeps a digest that was computed over the whole unchanged file, where the backend can; else does nothing."""

    @abstractmethod
    def close(self) -> None:
        """Closes the file. May be called more than once."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class Upload(ABC):
    """A file being stored: invisible until `commit`. A context manager: leaving it without a commit aborts.

    Attributes:
        path: Where it will be.
        written: Bytes written so far.
    """

    path: RemotePath
    written: int

    @abstractmethod
    def write(self, data: Bytes) -> None:
        """Appends and hashes all of `data`.

        Raises:
            NoSpace: The disk is full. Unavailable: the disk failed. InvalidRequest: this would be more than was
                announced. The upload is aborted then, and `commit` raises the same again.
        """

    @abstractmethod
    def place(self, data: Bytes, offset: int) -> None:
        """Writes `data` ahead of its turn, at `offset` bytes from the file's start: it counts when `take` comes to it.

        An upload is either written or put together by `place` and `take`.

        Raises:
            As `write`.
        """

    @abstractmethod
    def take(self, count: int, source: Reader | None, scratch: memoryview) -> None:
        """Appends and hashes `count` bytes of which no copy has to be sent.

        Args:
            count: How many.
            source: A file of the same storage: they are its bytes from the same offset on. None: they are those that
                were placed there.
            scratch: A buffer for them, not empty.

        Raises:
            Changed: `source` ends before. ReadFailed: it could not be read. The upload can still be aborted only.
            As `write`.
        """

    @abstractmethod
    def commit(self, digest: str | None) -> Entry:
        """Makes the file durable and visible, replacing what was there, and returns what is there now.

        Args:
            digest: What the sender computed over the bytes that it read; None when the sender did not say.

        Raises:
            DigestMismatch: `digest` is not that of the bytes written.
            InvalidRequest: Another number of bytes was written than was announced.
            AlreadyExists: The name is taken, and this upload was not to replace.
            IsADirectory, NotADirectory, NotFound, NoSpace, Unavailable: As for `Storage.create`.
            Every error leaves the old file as it was, and the upload aborted.
        """

    @abstractmethod
    def abort(self) -> None:
        """Drops what was written and gives back what was reserved. Does nothing after a commit or an abort."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.abort()


class Begun(Upload):
    """An upload that can be resumed, made by `Storage.begin`. What others say of `Upload` holds, but for two things.

    `written` begins with what was held, and `suspend` ends it in a third way: not visible, and not lost. Leaving it as
    a context manager aborts it, as any other: then nothing is held any more.
    """

    @abstractmethod
    def digest(self) -> str:
        """Returns the digest of what was written so far, lower-case hex."""

    @abstractmethod
    def describe(self, *, modified: int | None, mode: int | None, clobber: bool) -> None:
        """Says what `Storage.create` is told at once; to be called before `commit`."""

    @abstractmethod
    def suspend(self, size: int | None = None) -> None:
        """Ends the upload and keeps what was written, as far as the quota has room for it. Never raises.

        What cannot be kept is dropped: `begin` says what there is. Does nothing after a commit or an abort.

        Args:
            size: Keep so many bytes at most; None is all.
        """


def _commit(upload: Upload, digest: str) -> Entry | FtpsvcError:
    try:
        return upload.commit(digest)
    except FtpsvcError as error:
        return error


class Storage(ABC):
    """Files and directories beneath one root. All paths are seen from that root."""

    @abstractmethod
    def stat(self, path: RemotePath) -> Entry:
        """Returns what is at `path`.

        Raises:
            NotFound: Nothing is. NotADirectory: a file stands on the way.
        """

    @abstractmethod
    def list(
        self,
        path: RemotePath,
        *,
        after: tuple[str, ...] | None = None,
        limit: int = 1000,
        recursive: bool = False,
        versions: bool = True,
    ) -> Page:
        """Returns one page of a directory's entries; of a file, just its own entry.

        Args:
            path: What to list.
            after: Cursor of the page before; None starts.
            limit: Most entries of the page. Memory is bounded by it, not by the directory.
            recursive: Whether to descend. Links are not followed.
            versions: Whether entries have versions and recorded digests. Without them no record has to be read.

        Raises:
            NotFound, NotADirectory, PermissionDenied, Unavailable.
        """

    @abstractmethod
    def read(self, path: RemotePath) -> Reader:
        """Opens a regular file.

        Raises:
            NotFound, NotADirectory, IsADirectory, NotAFile, PermissionDenied, Unavailable.
        """

    @abstractmethod
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
        """Starts an upload; everything that can be refused is refused here, before the first byte.

        Args:
            path: Where the file will be. Its directory must exist.
            size: Exact length in bytes. Writing more or less makes `commit` fail.
            algorithm: The digest to compute.
            modified: mtime to set, nanoseconds since 1970 UTC; None leaves the time of writing.
            mode: Permission bits wanted; only the executable bit for the owner is taken from it, since the rest is
                the operator's. None is not executable.
            clobber: Whether an existing file may be replaced.
            owner: Who it is: any text that tells users apart.

        Raises:
            NotFound: The directory is missing. NotADirectory, IsADirectory, NotAFile: something else is there.
            AlreadyExists: The name is taken and `clobber` is False.
            InvalidRequest: There is no such algorithm.
            Busy: Another owner has begun an upload to this path.
            TooLarge, QuotaExceeded, NoSpace, PermissionDenied, Unavailable.
        """

    def commit_all(self, uploads: Sequence[tuple[Upload, str]]) -> Sequence[Entry | FtpsvcError]:
        """Commits uploads of this storage to different paths, none of which lies beneath another.

        A backend that waits for a disk makes them durable together before it makes the first of them visible.

        Args:
            uploads: Each with the sender's digest.

        Returns:
            For each what its `commit` would have returned or raised: one that fails harms no other.
        """
        return [_commit(upload, digest) for upload, digest in uploads]

    @abstractmethod
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
        """Starts an upload that can be resumed, or resumes one; everything that can be refused is refused here.

        An older one of the same owner that is under way is ended first, and resumed.

        Args:
            path: Where the file will be. Its directory must exist.
            size: Its exact length in bytes. What is held of a longer one is dropped.
            algorithm: The digest to compute; another one than before will do.
            owner: Whose it is. Nobody else sees or resumes it.
            evict: Is called, from any thread, when a newer one of the same owner wants the path. It does not wait for
                anything, and the upload has to be ended soon afterwards.
            restart: Whether to drop what is held.
            clobber: Whether an existing file may be replaced.
            look: Is called now and then while what is held is hashed, and raises to end that.

        Raises:
            Busy: Another owner has begun an upload to this path, or the older one does not end.
            What `create` raises. What is held stays then.
        """

    @abstractmethod
    def expire(self, seconds: float) -> int:
        """Drops what is held of uploads that nobody wrote to for so many seconds; returns how many those were."""

    @abstractmethod
    def make_directory(self, path: RemotePath, *, parents: bool = False) -> bool:
        """Makes a directory; returns False when `parents` is set and it was there already.

        Raises:
            AlreadyExists: The name is taken (with `parents`: by what is no directory).
            NotFound: The parent is missing and `parents` is False.
            NotADirectory, NoSpace, PermissionDenied, Unavailable.
        """

    @abstractmethod
    def remove(self, path: RemotePath, *, recursive: bool = False) -> int:
        """Removes a file, a link itself, or a directory, and returns how many names went.

        Raises:
            NotFound. DirectoryNotEmpty: a directory with content, and `recursive` is False.
            PermissionDenied: `path` is the root. Unavailable.
        """

    @abstractmethod
    def rename(self, source: RemotePath, target: RemotePath, *, clobber: bool = True) -> None:
        """Gives a file or directory another name, replacing a file there when `clobber`.

        Raises:
            NotFound: `source`, or the directory of `target`, is missing.
            AlreadyExists: `target` is taken and `clobber` is False, or it is a directory.
            InvalidPath: `target` lies beneath `source`, or something in it would lie deeper than can be named.
            PermissionDenied: One of them is the root.
            NotADirectory, Unavailable.
        """

    @abstractmethod
    def space(self) -> Space:
        """Returns how much room there is."""

    @abstractmethod
    def close(self) -> None:
        """Gives back what the storage holds. Uploads and readers must be done before."""
