"""One file from the server to the local disk, or into a stream."""

from __future__ import annotations

import errno
import os
from functools import partial
from typing import BinaryIO

from ftpsvc import digests
from ftpsvc.confine import Directory, open_root
from ftpsvc.digests import Bytes
from ftpsvc.exceptions import AlreadyExists, InvalidPath, IsADirectory, NotAFile
from ftpsvc.paths import check_name, portability_problem
from ftpsvc.protocol.connection import ResponseReceived
from ftpsvc.protocol.headers import Content, Get
from ftpsvc_client import content, listing
from ftpsvc_client.link import Link, accepted
from ftpsvc_client.local import Saving, digest_of, existing_file, local_error
from ftpsvc_client.results import RemoteEntry, Transfer
from ftpsvc_client.watching import Progress, Unwatched


def fetch(link: Link, request: Get, target: str, *, overwrite: bool, watcher: Progress) -> Transfer:
    """Fetches a file to a local path; the arguments and errors are those of `Client.get`."""
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
            return Transfer(request.path, path, before.st_size, request.algorithm, found, 0, entry.version)
        fetched: list[Transfer] = []

        def answer(event: ResponseReceived) -> None:
            fetched.append(save(link, event, folder, name, path, clobber=overwrite, watcher=watcher))

        link.submit(request, answer)
        link.settle()
        return fetched[0]


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


def save(
    link: Link,
    event: ResponseReceived,
    folder: Directory,
    name: str,
    path: str,
    *,
    clobber: bool,
    watcher: Progress,
) -> Transfer:
    """Saves the content that an answer to `get` announces.

    Args:
        link: The connection.
        event: The answer.
        folder: The directory to save into.
        name: The name to save under; appears only when everything has arrived and was verified.
        path: The same for people.
        clobber: Whether a file of that name may be replaced.
        watcher: Is told how it goes on.

    Raises:
        FtpsvcError: The refusal, or as `content.receive`, or what the local disk refused. Nothing was saved.
    """
    answer = accepted(event, Content)
    remote = getattr(event.request, "path", "")
    watcher.begin(path, answer.size)
    done = False
    try:
        try:
            saving = Saving(folder, name, mode=answer.mode)
        except OSError as error:
            content.skip(link)
            raise local_error(error, path) from None
        with saving:
            got = content.receive(link, event, saving.write, watcher, path)
            watcher.verifying()
            try:
                saving.keep(modified=answer.modified, clobber=clobber)
            except OSError as error:
                raise local_error(error, path) from None
        done = True
    finally:
        watcher.end(done=done)
    return Transfer(remote, path, got.size, answer.algorithm, got.digest, got.size, answer.version)


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
