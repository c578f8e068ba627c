"""A local directory to the server: one connection, requests pipelined, and a report of what could not be sent."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

from ftpsvc.exceptions import (
    AlreadyExists,
    FtpsvcError,
    InvalidRequest,
    NotADirectory,
    NotAFile,
    TransportError,
)
from ftpsvc.paths import check_name
from ftpsvc.protocol.connection import ResponseReceived
from ftpsvc.protocol.headers import Made, Mkdir, Put, Stored
from ftpsvc_client import content
from ftpsvc_client.link import Link
from ftpsvc_client.local import local_error
from ftpsvc_client.results import Problem, TreeReport
from ftpsvc_client.watching import Progress, Unwatched


def put_tree(
    link: Link, local: str, remote: str, *, algorithm: str, clobber: bool, watcher: Progress | None
) -> TreeReport:
    """Stores the content of a local directory; the arguments and errors are those of `Client.put_tree`."""
    for feature in ("mkdir",) if clobber else ("mkdir", "no-clobber"):
        if feature not in link.features:
            raise InvalidRequest(f"this server does not offer {feature}, so it cannot take a tree like this")
    if not os.path.isdir(local):
        raise NotADirectory(local)
    if watcher is not None:  # a total that is known from the start is worth a second walk
        files = [entry for folder in _walk(local, TreeReport()) for entry in folder.files]
        watcher.expect(len(files), sum(entry.stat(follow_symlinks=False).st_size for entry in files))
    upload = _Upload(link, algorithm, clobber, watcher or Unwatched())
    for folder in _walk(local, upload.report):
        upload.add(folder, remote)
    link.settle()
    return upload.report


@dataclass(frozen=True, slots=True)
class _Folder:
    """A directory of the tree: its local path, its names from the top down, its regular files."""

    path: str
    names: tuple[str, ...]
    files: list[os.DirEntry[str]]


class _Upload:
    """The upload of one tree. What the server answers is noted in the report as it comes."""

    def __init__(self, link: Link, algorithm: str, clobber: bool, watcher: Progress) -> None:
        self._link = link
        self._algorithm = algorithm
        self._clobber = clobber
        self._watcher = watcher
        self.report = TreeReport()

    def add(self, folder: _Folder, remote: str) -> None:
        """Sends a directory and its files; answers may still be due when this returns."""
        where = "/".join([remote.rstrip("/"), *folder.names]) or "/"
        self._link.submit(Mkdir(path=where, parents=True), partial(self._made, folder.path))
        for entry in folder.files:
            path = os.path.join(folder.path, entry.name)
            try:
                self._send(path, f"{where.rstrip('/')}/{check_name(entry.name)}")
            except TransportError:
                raise
            except FtpsvcError as error:
                if self._link.closed:
                    raise
                self.report.problems.append(Problem(path, error))

    def _send(self, path: str, target: str) -> None:
        with content.FileSource(path) as source:
            request = Put(
                path=target, size=source.size, file_size=source.size, algorithm=self._algorithm,
                clobber=self._clobber, modified=max(0, source.modified), mode=source.mode,
            )  # fmt: skip
            self._watcher.begin(path, source.size)
            content.send(self._link, request, source, self._watcher, partial(self._stored, path))
            self._watcher.end(done=True)

    def _made(self, path: str, event: ResponseReceived) -> None:
        if event.error is not None:
            self.report.problems.append(Problem(path, event.error))
        elif isinstance(event.response, Made):
            self.report.directories += 1

    def _stored(self, path: str, event: ResponseReceived) -> None:
        if event.error is not None:
            self.report.problems.append(Problem(path, event.error))
        elif isinstance(event.response, Stored):
            self.report.files += 1
            self.report.size += event.response.file_size


def _walk(top: str, report: TreeReport) -> Iterator[_Folder]:
    """Yields the directories of a tree, each before what is in it, in the order of their names.

    What cannot be sent is noted in `report`: links and the like as skipped; unreadable directories, names that the
    protocol cannot carry, and names that are one and the same to the server, as problems.
    """
    waiting: list[tuple[str, tuple[str, ...]]] = [(top, ())]
    while waiting:
        path, names = waiting.pop()
        try:
            with os.scandir(path) as found:
                entries = sorted(found, key=lambda entry: entry.name)
        except OSError as error:
            report.problems.append(Problem(path, local_error(error, path)))
            continue
        files: list[os.DirEntry[str]] = []
        folders: list[tuple[str, tuple[str, ...]]] = []
        taken: set[str] = set()
        for entry in entries:
            try:
                name = check_name(entry.name)
                if name in taken:  # the same name in another Unicode form: the second would replace the first
                    raise AlreadyExists(entry.path)
            except FtpsvcError as error:
                report.problems.append(Problem(entry.path, error))
                continue
            taken.add(name)
            if entry.is_dir(follow_symlinks=False):
                folders.append((entry.path, (*names, name)))
            elif entry.is_file(follow_symlinks=False):
                files.append(entry)
            else:
                report.skipped.append(Problem(entry.path, NotAFile(entry.path)))
        yield _Folder(path, names, files)
        waiting.extend(reversed(folders))
