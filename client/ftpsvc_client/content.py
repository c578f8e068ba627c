"""One file's content over a link: read, hash and send in one pass, or receive, hash and write in one.

docs/protocol.md section 5: payload, then a trailer with the digest of what was read. A side that cannot
finish fills up with zeros and says why in the trailer, so that the connection goes on.
"""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from ftpsvc import digests
from ftpsvc.digests import Bytes, Hasher
from ftpsvc.exceptions import (
    Changed,
    DigestMismatch,
    FtpsvcError,
    IsADirectory,
    NotAFile,
    ReadFailed,
    RemoteProtocolError,
    from_answer,
)
from ftpsvc.protocol.connection import ResponseReceived
from ftpsvc.protocol.headers import Content, Put
from ftpsvc_client.behind import WORTH_IT, receive_behind
from ftpsvc_client.link import Answer, Link, accepted
from ftpsvc_client.local import local_error
from ftpsvc_client.watching import Progress

if TYPE_CHECKING:
    from ftpsvc.protocol.headers import SubmitBegin
    from ftpsvc.transport import Channel

_SLOWEST_DISK = 10_000_000
"""Bytes per second that a server is granted to make an upload durable before its answer counts as late."""

_BUFFER = 1 << 20
_SCATTERS = hasattr(os, "readv")
_DRAIN = 8 << 20
"""What is read and dropped of a file that cannot be saved, before a new connection is the cheaper way on."""


class Source(Protocol):
    """Where an upload's bytes come from."""

    name: str
    size: int

    def read_into(self, view: memoryview) -> int:
        """Reads the next bytes and returns how many; 0 is the end. Raises OSError."""

    def rewind(self) -> None:
        """Goes back to where it began. Raises OSError."""

    def unchanged(self) -> bool:
        """Returns whether it still is what it was when it was opened."""


class FileSource:
    """A local file, opened for an upload. A context manager: leaving it closes.

    Attributes:
        name: Its path as given, for messages.
        size: Its length in bytes when it was opened.
        modified: Its mtime then, nanoseconds since 1970 UTC.
        mode: Its permission bits then.
    """

    __slots__ = ("_fd", "mode", "modified", "name", "size")

    def __init__(self, path: str) -> None:
        """Opens a regular file.

        Raises:
            NotAFile, IsADirectory: It is something else.
            FtpsvcError: It cannot be opened, in the words of the system.
        """
        self.name = path
        self._fd = -1
        try:
            # O_NONBLOCK: a FIFO must be refused, not waited for.
            self._fd = os.open(path, os.O_RDONLY | getattr(os, "O_BINARY", 0) | getattr(os, "O_NONBLOCK", 0))
            info = os.fstat(self._fd)
        except OSError as error:
            self.close()
            if os.path.isdir(path):  # Windows opens no directory, and says "permission denied"
                raise IsADirectory(path) from None
            raise local_error(error, path) from None
        if not stat.S_ISREG(info.st_mode):
            self.close()
            raise (IsADirectory if stat.S_ISDIR(info.st_mode) else NotAFile)(path)
        self.size = info.st_size
        self.modified = info.st_mtime_ns
        self.mode = stat.S_IMODE(info.st_mode)

    def read_into(self, view: memoryview) -> int:
        """Reads the next bytes and returns how many; 0 is the end."""
        if _SCATTERS:
            return os.readv(self._fd, [view])
        data = os.read(self._fd, len(view))
        view[: len(data)] = data
        return len(data)

    def digest(self, algorithm: str) -> str:
        """Returns the digest of the whole, lower-case hex. Raises OSError."""
        hasher = digests.new(algorithm)
        buffer = memoryview(bytearray(_BUFFER))
        while count := self.read_into(buffer):
            hasher.update(buffer[:count])
        return hasher.hexdigest()

    def rewind(self) -> None:
        """Goes back to the first byte."""
        os.lseek(self._fd, 0, os.SEEK_SET)

    def seek(self, offset: int) -> None:
        """Goes on reading at `offset` bytes from the start."""
        os.lseek(self._fd, offset, os.SEEK_SET)

    def unchanged(self) -> bool:
        """Returns whether size and mtime are what they were when it was opened."""
        info = os.fstat(self._fd)
        return info.st_size == self.size and info.st_mtime_ns == self.modified

    def close(self) -> None:
        """Closes the file. May be called more than once."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def __enter__(self) -> FileSource:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


@dataclass(frozen=True, slots=True)
class Received:
    """A content that arrived whole and with the right digest: its digest, and how many bytes went over the wire."""

    digest: str
    size: int


def send(
    link: Link,
    request: Put | SubmitBegin,
    source: Source,
    watcher: Progress,
    answer: Answer,
    hasher: Hasher | None = None,
) -> None:
    """Sends a `put`, or what else has content, with it. The answer is collected later.

    Args:
        link: The connection.
        request: The request; its size is what is left of the source's.
        source: Where the bytes come from, at the request's offset. It may be closed as soon as this returns.
        watcher: Is told of every piece.
        answer: Takes the server's answer; when the source failed, with that as its error.
        hasher: One that has seen what comes before the offset; None for the whole of a file.

    Raises:
        ReadFailed: The source failed so early that only ending the connection could stop the upload.
        FtpsvcError: The connection's end, or the server's reason for it.
    """
    hashing = digests.new(request.algorithm) if hasher is None else hasher
    owed = request.size
    problem: FtpsvcError | None = None

    def answered(event: ResponseReceived) -> None:
        if problem is not None and event.error is not None and not event.error.fatal:
            event = event._replace(error=problem)  # the server only echoes what we told it
        answer(event)

    link.submit(request, answered, wait=request.size / _SLOWEST_DISK)
    channel = link.channel
    if owed <= len(link.scratch):
        owed, problem = _send_bytes(channel, source, owed, hashing, watcher, link.scratch)
    else:
        with link.pool.borrow(owed) as scratch:
            owed, problem = _send_bytes(channel, source, owed, hashing, watcher, scratch)
    if problem is None and not source.unchanged():
        problem = Changed(source.name)
    if problem is not None:
        if owed > link.greeting.limits.drain:
            link.close()
            raise problem
        channel.send_zeros(owed)
        channel.queue(channel.connection.send_trailer(None, problem))
    else:
        channel.queue(channel.connection.send_trailer(hashing.hexdigest()))


def _send_bytes(
    channel: Channel, source: Source, owed: int, hashing: Hasher, watcher: Progress, scratch: memoryview
) -> tuple[int, FtpsvcError | None]:
    """Reads, hashes and sends `owed` bytes; returns how many are still owed, and why."""
    problem: FtpsvcError | None = None
    while owed and problem is None:
        piece = scratch[: min(owed, len(scratch))]
        size, filled = len(piece), 0
        try:
            while filled < size and (count := source.read_into(piece[filled:] if filled else piece)):
                filled += count
            if filled < size:
                problem = ReadFailed(source.name, "it became shorter while it was read")
                piece = piece[:filled]
        except OSError as error:
            problem = ReadFailed(source.name, error.strerror or str(error))
            piece = piece[:filled]
        if filled:
            hashing.update(piece)
            channel.send_payload(piece)
            owed -= filled
            watcher.advance(filled)
    return owed, problem


def receive(
    link: Link,
    event: ResponseReceived,
    write: Callable[[Bytes], object],
    watcher: Progress,
    path: str,
    hasher: Hasher | None = None,
    *,
    apart: bool = False,
) -> Received:
    """Takes the content that the answer to a `get` announced.

    Args:
        link: The connection.
        event: The answer.
        write: Is given every piece, in order; valid until it returns. May raise OSError.
        watcher: Is told of every piece.
        path: The local path, for the text of a local error.
        hasher: One for the algorithm of the answer that has seen what comes before; None for the whole of a file.
        apart: Whether `write` may be called from another thread, which makes long contents faster.

    Raises:
        DigestMismatch: What arrived is not what was sent.
        FtpsvcError: The refusal; or the sender's reason not to finish; or the disk's here; or the connection's end.
    """
    answer = accepted(event, Content)
    if answer.algorithm not in digests.ALGORITHMS:
        link.close()
        raise RemoteProtocolError("the answer to get names a digest algorithm that nobody asked for")
    hashing = digests.new(answer.algorithm) if hasher is None else hasher
    channel = link.channel
    problem: OSError | None = None

    def work(piece: memoryview) -> None:
        hashing.update(piece)
        write(piece)

    try:
        if apart and answer.size >= WORTH_IT:
            receive_behind(channel, link.pool, work, watcher.advance)
        else:
            with contextlib.closing(channel.payload(link.pool)) as pieces:
                for piece in pieces:
                    work(piece)
                    watcher.advance(len(piece))
    except OSError as error:
        problem = error
    if problem is not None and not channel.drain(_DRAIN):
        link.close()
        raise local_error(problem, path)
    trailer = link.trailer()
    if problem is not None:
        raise local_error(problem, path)
    remote = getattr(event.request, "path", "")
    if trailer.error is not None:
        raise from_answer(
            trailer.error.code, trailer.error.message, {"path": remote}, fatal=False, retry=True
        )
    actual = hashing.hexdigest()
    if not digests.equal(actual, trailer.digest or ""):
        raise DigestMismatch(remote, answer.algorithm, trailer.digest or "", actual)
    return Received(actual, answer.size)


def skip(link: Link) -> None:
    """Drops the content that is under way, and its trailer; a long one costs the connection instead."""
    if link.channel.drain(_DRAIN):
        link.trailer()
    else:
        link.close()
