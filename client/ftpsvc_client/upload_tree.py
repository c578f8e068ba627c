"""A local directory to the server: one connection, requests pipelined, and a report of what could not be sent."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

from ftpsvc.confine.checked import is_stand_in
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
    link: Link,
    local: str,
    remote: str,
    *,
    algorithm: str,
    clobber: bool,
    watcher: Progress | None,
    relink: Callable[[], Link],
) -> TreeReport:
    """Stores the content of a local directory; the other arguments and errors are those of `Client.put_tree`.

    Args:
        link: The connection to begin with.
        relink: Makes another one, in the same directory, when the server ended this one over a single file.
    """
    for feature in ("mkdir",) if clobber else ("mkdir", "no-clobber"):
        if feature not in link.features:
            raise InvalidRequest(f"this server does not offer {feature}, so it cannot take a tree like this")
    if not os.path.isdir(local):
        raise NotADirectory(local)
    if watcher is not None:  # a total that is known from the start is worth a second walk
        watcher.expect(*_measure(local))
    upload = _Upload(link, algorithm, clobber, watcher or Unwatched(), relink)
    for folder in _walk(local, upload.report):
        upload.add(folder, remote)
    upload.settle()
    return upload.report


def _measure(local: str) -> tuple[int, int]:
    """Returns the number of files of a tree and their size, as far as they can be looked at."""
    files = size = 0
    for folder in _walk(local, TreeReport()):
        for entry in folder.files:
            with suppress(
                OSError
            ):  # it went meanwhile, or may not be looked at: the upload itself will say so
                size += entry.stat(follow_symlinks=False).st_size
            files += 1
    return files, size


@dataclass(frozen=True, slots=True)
class _Folder:
    """A directory of the tree: its local path, its names from the top down, its regular files."""

    path: str
    names: tuple[str, ...]
    files: list[os.DirEntry[str]]


class _Job(NamedTuple):
    """A directory to be made, or a file to be sent."""

    path: str
    target: str
    is_folder: bool


class _Upload:
    """The upload of one tree. What the server answers is noted in the report as it comes."""

    def __init__(
        self, link: Link, algorithm: str, clobber: bool, watcher: Progress, relink: Callable[[], Link]
    ) -> None:
        self._link = link
        self._relink = relink
        self._algorithm = algorithm
        self._clobber = clobber
        self._watcher = watcher
        self._unanswered: deque[_Job] = deque()
        self._told: FtpsvcError | None = None
        self.report = TreeReport()

    def add(self, folder: _Folder, remote: str) -> None:
        """Sends a directory and its files; answers may still be due when this returns."""
        where = "/".join([remote.rstrip("/"), *folder.names]) or "/"
        self._do(_Job(folder.path, where, is_folder=True))
        for entry in folder.files:
            path = os.path.join(folder.path, entry.name)
            self._do(_Job(path, f"{where.rstrip('/')}/{check_name(entry.name)}", is_folder=False))

    def settle(self) -> None:
        """Waits for the answers that are due."""
        while self._unanswered:
            try:
                self._link.collect()
            except FtpsvcError as error:
                self._recover(None, error)

    def _do(self, job: _Job) -> None:
        self._unanswered.append(job)
        try:
            if job.is_folder:
                self._link.submit(Mkdir(path=job.target, parents=True), partial(self._answered, job))
            else:
                self._send(job)
        except FtpsvcError as error:
            self._recover(job, error)

    def _send(self, job: _Job) -> None:
        with content.FileSource(job.path) as source:
            request = Put(
                path=job.target, size=source.size, file_size=source.size, algorithm=self._algorithm,
                clobber=self._clobber, modified=max(0, source.modified), mode=source.mode,
            )  # fmt: skip
            self._watcher.begin(job.path, source.size)
            done = False
            try:
                content.send(self._link, request, source, self._watcher, partial(self._answered, job))
                done = True
            finally:
                self._watcher.end(done=done)

    def _answered(self, job: _Job, event: ResponseReceived) -> None:
        self._unanswered.remove(job)
        if event.error is not None:
            self._told = event.error
            self.report.problems.append(Problem(job.path, event.error))
        elif isinstance(event.response, Made):
            self.report.directories += 1
        elif isinstance(event.response, Stored):
            self.report.files += 1
            self.report.size += event.response.file_size

    def _recover(self, job: _Job | None, error: FtpsvcError) -> None:
        """Goes on after an error: one file that could not be sent must not end the tree.

        Raises:
            FtpsvcError: The connection was lost, not ended over one file; or there is no new one.
        """
        if job is not None and self._link.can_go_on:  # it never went out, or was given up in an orderly way
            self._give_up(job, error)
            return
        if isinstance(error, TransportError):
            raise error
        self._link.take_queued()
        self._link.close()
        if error is not self._told:
            # The server answers in order, so a refusal that nobody has taken is about the oldest; without one it was
            # our own side that had to end the connection.
            refused = self._unanswered[0] if error.fatal else job
            if refused is None:
                raise error
            self._give_up(refused, error)
        again, self._unanswered = self._unanswered, deque()
        self._link = self._relink()
        for waiting in again:  # storing again what may have been stored is harmless
            self._do(waiting)

    def _give_up(self, job: _Job, error: FtpsvcError) -> None:
        self._unanswered.remove(job)
        self.report.problems.append(Problem(job.path, error))


def _walk(top: str, report: TreeReport) -> Iterator[_Folder]:
    """Yields the directories of a tree, each before what is in it, in the order of their names.

    What cannot be sent is noted in `report`: links, junctions and the like as skipped; unreadable directories, names
    that the protocol cannot carry, and names that are one and the same to the server, as problems.
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
            if entry.is_dir(follow_symlinks=False) and not _stands_in(entry):
                folders.append((entry.path, (*names, name)))
            elif entry.is_file(follow_symlinks=False):
                files.append(entry)
            else:
                report.skipped.append(Problem(entry.path, NotAFile(entry.path)))
        yield _Folder(path, names, files)
        waiting.extend(reversed(folders))


def _stands_in(entry: os.DirEntry[str]) -> bool:
    """Whether a directory is one elsewhere: a junction of Windows, which is a directory to all but this question."""
    try:
        return is_stand_in(entry.stat(follow_symlinks=False))
    except OSError:  # it went meanwhile; listing it will say so
        return False
