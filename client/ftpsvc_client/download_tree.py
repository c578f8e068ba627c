"""A remote directory to the local disk: listed in pages, fetched pipelined, saved through the one door.

Every name comes from the server and is trusted with nothing: it must pass the rules for names, it is walked one
component at a time from the target's descriptor, and no link is followed there (CASES C21).
"""

from __future__ import annotations

import os
import sys
from collections import OrderedDict, deque
from collections.abc import Callable
from functools import partial
from typing import NamedTuple, TypeVar

from ftpsvc.confine import Directory, open_root
from ftpsvc.exceptions import (
    AlreadyExists,
    FtpsvcError,
    InvalidPath,
    NoSpace,
    NotADirectory,
    NotAFile,
    NotFound,
    ProtocolError,
    TransportError,
)
from ftpsvc.paths import twin_key
from ftpsvc.protocol.connection import ResponseReceived
from ftpsvc.protocol.headers import Get
from ftpsvc_client import content, listing
from ftpsvc_client.download import local_name, same_content, save
from ftpsvc_client.link import Link
from ftpsvc_client.local import existing_file, local_error
from ftpsvc_client.results import Problem, RemoteEntry, TreeReport
from ftpsvc_client.watching import Progress, Unwatched

_OPEN_FOLDERS = 8
_FOLDS_CASE = os.name == "nt" or sys.platform == "darwin"
"""Whether the usual file system here takes `A` and `a` for one name."""

_Answer = TypeVar("_Answer")


def get_tree(
    link: Link,
    remote: str,
    local: str,
    *,
    algorithm: str,
    overwrite: bool,
    watcher: Progress | None,
    relink: Callable[[], Link],
) -> TreeReport:
    """Fetches the content of a remote directory; the other arguments and errors are those of `Client.get_tree`.

    Args:
        link: The connection to begin with.
        relink: Makes another one, in the same directory, when this one had to be ended over a single file.
    """
    if not listing.is_directory(link, remote):
        if listing.exists(link, remote):
            raise NotADirectory(remote)
        raise NotFound(remote)
    try:
        os.makedirs(local, exist_ok=True)
        root = open_root(local)
    except OSError as error:
        raise local_error(error, local) from None
    with root:
        download = _Download(link, root, remote, local, algorithm, overwrite, watcher or Unwatched(), relink)
        try:
            pages = listing.Pages(remote, recursive=True)
            while not pages.done:
                for entry in download.ask(pages.next_page):
                    download.add(entry)
            download.settle()
        finally:
            download.close()
        return download.report


class _Job(NamedTuple):
    """A file that was asked for: what was asked, its names from the top down, its local path."""

    request: Get
    names: tuple[str, ...]
    path: str


class _Download:
    """The download of one tree. What arrives is saved, and noted in the report, as answers come in."""

    def __init__(
        self,
        link: Link,
        root: Directory,
        remote: str,
        local: str,
        algorithm: str,
        overwrite: bool,
        watcher: Progress,
        relink: Callable[[], Link],
    ) -> None:
        self._link = link
        self._relink = relink
        self._unanswered: deque[_Job] = deque()
        self._given_up = False
        self._root = root
        self._remote = remote.rstrip("/")
        self._local = local
        self._algorithm = algorithm
        self._overwrite = overwrite
        self._watcher = watcher
        self._folders: OrderedDict[tuple[str, ...], Directory] = OrderedDict()
        self._twins: dict[tuple[str, ...], set[str]] = {}
        self._expected = [0, 0]
        self.report = TreeReport()

    def add(self, entry: RemoteEntry) -> None:
        """Makes a directory, or asks for a file; what is asked for may arrive later."""
        path = entry.path
        try:
            if entry.note is not None:
                raise InvalidPath(path, entry.note)
            names = tuple(local_name(name) for name in path.split("/"))
            path = os.path.join(self._local, *names)
            if _FOLDS_CASE:
                self._refuse_twins(names, path)
            if entry.kind == "dir":
                self._folder(names, path)
                self.report.directories += 1
            elif entry.kind == "file":
                self._ask(entry, names, path)
            else:
                self.report.skipped.append(Problem(path, NotAFile(path)))
        except (TransportError, NoSpace):
            raise
        except FtpsvcError as error:
            if self._link.closed:
                raise
            self.report.problems.append(Problem(path, error))

    def ask(self, question: Callable[[Link], _Answer]) -> _Answer:
        """Asks something else meanwhile, again if the connection had to be ended over a file that came first.

        Raises:
            FtpsvcError: The connection's end for another reason; or what the question raises.
        """
        while True:
            try:
                return question(self._link)
            except FtpsvcError as error:
                self._recover(error)

    def settle(self) -> None:
        """Waits for what was asked for."""
        self.ask(lambda link: link.settle())

    def close(self) -> None:
        """Closes the directories that are held open."""
        while self._folders:
            self._folders.popitem()[1].close()

    def _ask(self, entry: RemoteEntry, names: tuple[str, ...], path: str) -> None:
        # Without the version: a file that is replaced between listing and fetching is fetched as it is now.
        request = Get(path=f"{self._remote}/{entry.path}", algorithm=self._algorithm)
        folder = self._folder(names[:-1], os.path.dirname(path))
        before = existing_file(folder, names[-1], path)
        if before is not None and not self._overwrite:
            size = before.st_size
            if self.ask(lambda link: same_content(link, request, entry, folder, names[-1], size)) is None:
                raise AlreadyExists(path)
            self.report.present += 1
            return
        self._expected[0] += 1
        self._expected[1] += entry.size or 0
        self._watcher.expect(*self._expected)
        self._do(_Job(request, names, path))

    def _do(self, job: _Job) -> None:
        self._unanswered.append(job)
        try:
            self._link.submit(job.request, partial(self._arrived, job))
        except FtpsvcError as error:
            if not self._link.closed:  # it never went out
                self._unanswered.remove(job)
            self._recover(error)

    def _recover(self, error: FtpsvcError) -> None:
        """Goes on after an error over a new connection: one file that cannot be saved must not end the tree.

        Raises:
            FtpsvcError: It is another error than that; or there is no new connection.
        """
        if not self._given_up:
            raise error
        self._given_up = False
        again, self._unanswered = self._unanswered, deque()
        self._link = self._relink()
        for job in again:
            self._do(job)

    def _arrived(self, job: _Job, event: ResponseReceived) -> None:
        _, names, path = job
        self._unanswered.remove(job)
        try:
            folder = self._folder_for_content(names[:-1], os.path.dirname(path), event)
            transfer = save(
                self._link, event, folder, names[-1], path, clobber=self._overwrite, watcher=self._watcher
            )
        except (TransportError, NoSpace):
            raise
        except FtpsvcError as error:
            if self._link.closed and isinstance(error, ProtocolError):
                raise
            self.report.problems.append(Problem(path, error))
            if self._link.closed:  # too much was still to come; who waits for answers goes on elsewhere
                self._given_up = True
                raise
        else:
            self.report.files += 1
            self.report.size += transfer.size

    def _folder_for_content(self, names: tuple[str, ...], path: str, event: ResponseReceived) -> Directory:
        try:
            return self._folder(names, path)
        except FtpsvcError:
            if (
                event.error is None
            ):  # what is announced is on its way, and must not be taken for the next answer
                content.skip(self._link)
            raise

    def _folder(self, names: tuple[str, ...], path: str) -> Directory:
        """Returns the directory, made if it is missing, and keeps the last few open: entries come in tree order."""
        folder = self._folders.get(names)
        if folder is not None:
            self._folders.move_to_end(names)
            return folder
        try:
            self._root.make_directories(names)
            folder = self._root.walk(names)
        except OSError as error:
            raise local_error(error, path) from None
        self._folders[names] = folder
        if len(self._folders) > _OPEN_FOLDERS:
            self._folders.popitem(last=False)[1].close()
        return folder

    def _refuse_twins(self, names: tuple[str, ...], path: str) -> None:
        parent = names[:-1]
        if parent not in self._twins:
            # Entries come in tree order, so only the directories on the way down can still get more of them.
            self._twins = {
                above: keys for above, keys in self._twins.items() if parent[: len(above)] == above
            }
            self._twins[parent] = set()
        key = twin_key(names[-1])
        if key in self._twins[parent]:
            raise AlreadyExists(path)
        self._twins[parent].add(key)
