"""One file from the server to the local disk, or into a stream."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from functools import partial
from typing import BinaryIO

from ftpsvc import digests
from ftpsvc.confine import Directory, open_root
from ftpsvc.digests import Bytes, Hasher
from ftpsvc.exceptions import (
    AlreadyExists,
    BadOffset,
    Changed,
    DigestMismatch,
    InvalidPath,
    IsADirectory,
    LocalProtocolError,
    NotAFile,
)
from ftpsvc.paths import check_name, portability_problem
from ftpsvc.protocol.connection import ResponseReceived
from ftpsvc.protocol.headers import Content, Get
from ftpsvc_client import content, listing, parts
from ftpsvc_client.link import Link, accepted
from ftpsvc_client.local import digest_of, existing_file, local_error
from ftpsvc_client.results import RemoteEntry, Transfer
from ftpsvc_client.watching import Progress, Unwatched

HASH_RATE = 20_000_000
"""Bytes per second that a server is granted for reading a file again before its answer counts as late."""


def fetch(
    link: Link,
    request: Get,
    target: str,
    *,
    overwrite: bool,
    resume: bool,
    watcher: Progress,
    moved: Callable[[], object],
) -> Transfer:
    """Fetches a file to a local path; the other arguments and the errors are those of `Client.get`.

    Args:
        link: The connection.
        request: What to fetch.
        moved: Is called whenever something has been saved.
    """
    path = local_path(target, request.path)
    parent, name = os.path.split(path)
    try:
        folder = open_root(parent or os.curdir)
    except OSError as error:
        raise local_error(error, parent or os.curdir) from None
    with folder:
        before = existing_file(folder, name, path)
        if before is not None and not overwrite:
            entry = listing.stat(link, request.path)
            found = same_content(link, request, entry, folder, name, before.st_size)
            if found is None:
                raise AlreadyExists(path)
            parts.clean(folder, name)
            return Transfer(request.path, path, before.st_size, request.algorithm, found, 0, entry.version)
        saver = Saver(link, folder, name, path, clobber=overwrite, watcher=watcher, moved=moved)
        if resume:
            saver.look_for_part()
        else:
            parts.clean(folder, name)
        return saver.fetch(request)


def fetch_to_stream(link: Link, request: Get, stream: BinaryIO, watcher: Progress) -> Transfer:
    """Fetches a file into a binary stream; the errors are those of `Client.get`."""
    fetched: list[Transfer] = []

    def answer(event: ResponseReceived) -> None:
        found = accepted(event, Content)
        watcher.begin(request.path, found.size)
        done = False
        try:
            got = content.receive(link, event, partial(_write_all, stream), watcher, "the given stream")
            done = True
        finally:
            watcher.end(done=done)
        fetched.append(
            Transfer(request.path, None, got.size, found.algorithm, got.digest, got.size, found.version)
        )

    link.submit(request, answer)
    link.settle()
    return fetched[0]


def _write_all(stream: BinaryIO, data: Bytes) -> None:
    """Writes all of `data`: a raw stream may take a part of it and say so, or nothing at all.

    Raises:
        OSError: It takes nothing.
    """
    view = memoryview(data)
    while view:
        count = stream.write(view)
        if not count:
            raise OSError(errno.EIO, "the stream takes no more")
        view = view[count:]


class Saver:
    """Fetches one file and saves it, going on with what an earlier download left. A context manager.

    Whether that is still a part of the file on the server shows twice: by its version before anything is sent, and by
    the digest of the whole at the end. If it is not, it is dropped, `wasted` is set, and the file is to be asked for
    again: contents are never put together that do not belong together.

    Attributes:
        transfer: What came of it; None before.
        wasted: Whether what was left was of no use, so that nothing was saved.
    """

    def __init__(
        self,
        link: Link,
        folder: Directory,
        name: str,
        path: str,
        *,
        clobber: bool,
        watcher: Progress,
        moved: Callable[[], object],
        listed: int | None = None,
    ) -> None:
        """Takes what is to be done.

        Args:
            link: The connection.
            folder: The directory to save into; must stay open as long.
            name: The name to save under; appears only when everything has arrived and was verified.
            path: The same for people.
            clobber: Whether a file of that name may be replaced.
            watcher: Is told how it goes on.
            moved: Is called whenever something has been saved.
            listed: mtime to give it where the answer has none, nanoseconds since 1970 UTC: a listing also tells times
                before 1970.
        """
        self.transfer: Transfer | None = None
        self.wasted = False
        self._link = link
        self._folder = folder
        self._name = name
        self._path = path
        self._clobber = clobber
        self._watcher = watcher
        self._moved = moved
        self._listed = listed
        self._part: parts.Saving | None = None
        self._hasher: Hasher | None = None

    def look_for_part(self) -> None:
        """Finds what an earlier download left, and reads it.

        Raises:
            FtpsvcError: The disk refused.
        """
        if not resumable(self._link):
            return
        try:
            part = parts.left_over(self._folder, self._name)
            if part is None:
                return
            self._part = part
            if part.known is not None:
                self._hasher = digests.new(part.known.algorithm)
                part.hash_into(self._hasher)
        except OSError as error:
            self.close(None)
            raise local_error(error, self._path) from None

    def ask(self, request: Get) -> None:
        """Sends the request, from where the part ends; what comes of it is known when the answer was collected.

        Raises:
            FtpsvcError: As `Link.submit`. What the answer brings comes out of who collects it: the refusal, as
                `content.receive`, or what the local disk refused. Nothing was saved then.
        """
        part, wait = self._part, 0.0
        if part is not None and part.known is not None:
            request = request.model_copy(
                update={
                    "offset": part.offset,
                    "version": part.known.version,
                    "algorithm": part.known.algorithm,
                }
            )
            wait = part.offset / HASH_RATE
        try:
            self._link.submit(request, self.answered, wait=wait)
        except BaseException as error:
            self.close(error)
            raise

    def fetch(self, request: Get) -> Transfer:
        """Asks, waits for what comes, and asks again for the whole where a part was of no use.

        Raises:
            FtpsvcError: As `ask`.
        """
        with self:
            self.ask(request)
            self._link.settle()
        if self.wasted:
            self.ask(request)
            self._link.settle()
        if self.transfer is None:
            raise LocalProtocolError("a download ended without a result")
        return self.transfer

    def close(self, problem: BaseException | None) -> None:
        """Lets go of the part: it stays where it is if `problem` is an interruption."""
        part, self._part = self._part, None
        if part is not None:
            part.__exit__(type(problem), problem, None)

    def __enter__(self) -> Saver:
        return self

    def __exit__(self, kind: object, problem: BaseException | None, trace: object) -> None:
        self.close(problem)

    def answered(self, event: ResponseReceived) -> None:
        """Takes the answer to the request, and saves the content that it announces; errors as `ask`."""
        part, self._part = self._part, None
        if part is None:
            self._save(event, None)
            return
        try:
            with part:
                self._save(event, part)
        except (Changed, BadOffset, DigestMismatch):
            if self._link.closed:
                raise
            self.wasted = True
            self._hasher = None

    def _save(self, event: ResponseReceived, part: parts.Saving | None) -> None:
        answer = accepted(event, Content)
        if part is not None and not _goes_on(part, answer):
            content.skip(self._link)
            raise Changed(self._path)
        self._watcher.begin(self._path, answer.file_size)
        done = False
        try:
            if part is None:
                with self._new_part(answer) as fresh:
                    self.transfer = self._receive(event, answer, fresh)
            else:
                self._watcher.advance(part.offset)
                self.transfer = self._receive(event, answer, part)
            done = True
        finally:
            self._watcher.end(done=done)

    def _new_part(self, answer: Content) -> parts.Saving:
        known = None
        if answer.size >= parts.WORTH_RESUMING and answer.version is not None and resumable(self._link):
            known = parts.Known(answer.version, answer.file_size, answer.algorithm)
        try:
            return parts.begin(self._folder, self._name, mode=answer.mode, known=known)
        except OSError as error:
            content.skip(self._link)
            raise local_error(error, self._path) from None

    def _receive(self, event: ResponseReceived, answer: Content, part: parts.Saving) -> Transfer:
        save, moved = part.write, self._moved

        def write(data: Bytes) -> None:
            save(data)
            moved()

        got = content.receive(self._link, event, write, self._watcher, self._path, self._hasher, apart=True)
        self._watcher.verifying()
        try:
            modified = self._listed if answer.modified is None else answer.modified
            part.keep(modified=modified, mode=answer.mode, clobber=self._clobber)
        except OSError as error:
            raise local_error(error, self._path) from None
        remote = getattr(event.request, "path", "")
        return Transfer(
            remote, self._path, answer.file_size, answer.algorithm, got.digest, got.size, answer.version
        )


def resumable(link: Link) -> bool:
    """Returns whether a download from this server can be gone on with."""
    return "offset" in link.features and "version" in link.features


def _goes_on(part: parts.Saving, answer: Content) -> bool:
    """Returns whether an answer goes on where a part ends."""
    known = part.known
    return (
        known is not None
        and answer.file_size == known.file_size
        and answer.size == known.file_size - part.offset
        and answer.algorithm == known.algorithm
        and answer.version in (None, known.version)
    )


def same_content(
    link: Link, request: Get, entry: RemoteEntry, folder: Directory, name: str, size: int
) -> str | None:
    """Returns the digest that a local and a remote file share, or None where their contents differ.

    Args:
        link: The connection.
        request: The `get` that would fetch the remote file.
        entry: What the server says of it.
        folder: The local directory.
        name: The local file in it.
        size: Its length in bytes.

    Raises:
        FtpsvcError: The remote file cannot be had, or the local one not be read.
    """
    if entry.kind != "file":
        raise (IsADirectory if entry.kind == "dir" else NotAFile)(request.path)
    if entry.size is not None and entry.size != size:
        return None
    try:
        mine = digest_of(folder, name, request.algorithm)
    except OSError as error:
        raise local_error(error, name) from None
    if (entry.algorithm, entry.digest) == (request.algorithm, mine):
        return mine
    theirs = _remote_digest(link, request)
    return mine if digests.equal(mine, theirs) else None


def _remote_digest(link: Link, request: Get) -> str:
    if "digests" in link.features:
        pages = listing.Pages(request.path, digests=True, algorithm=request.algorithm)
        for found in pages.next_page(link):
            if found.digest is not None and found.algorithm == request.algorithm:
                return found.digest
    # A server that has no digests to tell has at least the content.
    seen: list[str] = []
    link.submit(
        request,
        lambda event: seen.append(content.receive(link, event, len, Unwatched(), request.path).digest),
    )
    link.settle()
    return seen[0]


def local_path(target: str, remote: str) -> str:
    """Returns where a remote file goes: `target`, or into it if it is a directory or ends in a separator.

    Raises:
        InvalidPath: The name that the file would have cannot be one here.
    """
    separators = (os.sep, "/") if os.altsep is None else (os.sep, os.altsep)
    if not target.endswith(separators) and not os.path.isdir(target):
        return target
    return os.path.join(target, local_name(remote.rstrip("/").rpartition("/")[2]))


def local_name(name: str) -> str:
    """Returns a name from a server as a name for the local disk.

    Raises:
        InvalidPath: It is no single name, or one that this system cannot hold.
    """
    if name in (".", ".."):
        raise InvalidPath(name, "it is not a name but a direction")
    name = check_name(name)
    if os.name == "nt" and (problem := portability_problem(name)) is not None:
        raise InvalidPath(name, problem)
    try:
        os.fsencode(name)
    except UnicodeEncodeError:
        # A POSIX name is bytes. Where the locale's encoding has none for this one, they are those of UTF-8.
        return os.fsdecode(name.encode())
    return name
