"""A remote directory to the local disk: listed in pages, fetched pipelined, saved through the one door.

Every name comes from the server and is trusted with nothing: it must pass the rules for names, it is walked one
component at a time from the target's descriptor, and no link is followed there (CASES C21).
"""

from __future__ import annotations

import os
import sys
from collections import OrderedDict
from functools import partial

from ftpsvc.confine import Directory, open_root
from ftpsvc.exceptions import (
    AlreadyExists,
    FtpsvcError,
    InvalidPath,
    NoSpace,
    NotADirectory,
    NotAFile,
    NotFound,
    TransportError,
)
from ftpsvc.paths import twin_key
from ftpsvc.protocol.connection import ResponseReceived
from ftpsvc.protocol.headers import Get
from ftpsvc_client import listing
from ftpsvc_client.download import local_name, same_content, save
from ftpsvc_client.link import Link
from ftpsvc_client.local import existing_file, local_error
from ftpsvc_client.results import Problem, RemoteEntry, TreeReport
from ftpsvc_client.watching import Progress, Unwatched

_OPEN_FOLDERS = 8
_FOLDS_CASE = os.name == "nt" or sys.platform == "darwin"
"""Whether the usual file system here takes `A` and `a` for one name."""


def get_tree(
    link: Link, remote: str, local: str, *, algorithm: str, overwrite: bool, watcher: Progress | None
) -> TreeReport:
    """Fetches the content of a remote directory; the arguments and errors are those of `Client.get_tree`."""
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
        download = _Download(link, root, remote, local, algorithm, overwrite, watcher or Unwatched())
        try:
            pages = listing.Pages(remote, recursive=True)
            while not pages.done:
                for entry in pages.next_page(link):
                    download.add(entry)
            link.settle()
        finally:
            download.close()
        return download.report


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
    ) -> None:
        self._link = link
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
            if same_content(self._link, request, entry, folder, names[-1], before.st_size) is None:
                raise AlreadyExists(path)
            self.report.present += 1
            return
        self._expected[0] += 1
        self._expected[1] += entry.size or 0
        self._watcher.expect(*self._expected)
        self._link.submit(request, partial(self._arrived, names, path))

    def _arrived(self, names: tuple[str, ...], path: str, event: ResponseReceived) -> None:
        try:
            folder = self._folder(names[:-1], os.path.dirname(path))
            transfer = save(
                self._link, event, folder, names[-1], path, clobber=self._overwrite, watcher=self._watcher
            )
        except (TransportError, NoSpace):
            raise
        except FtpsvcError as error:
            if self._link.closed:
                raise
            self.report.problems.append(Problem(path, error))
        else:
            self.report.files += 1
            self.report.size += transfer.size

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
