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
from typing import NamedTuple

from ftpsvc.confine import Directory
from ftpsvc.exceptions import (
    AlreadyExists,
    ConnectionLost,
    FtpsvcError,
    InvalidPath,
    LocalProtocolError,
    NoSpace,
    NotAFile,
    ProtocolError,
    TransportError,
)
from ftpsvc.paths import twin_key
from ftpsvc.protocol.connection import ResponseReceived
from ftpsvc.protocol.headers import Get
from ftpsvc_client import content, listing, parts
from ftpsvc_client.compare import same_time
from ftpsvc_client.download import Saver, local_name, resumable, same_content
from ftpsvc_client.link import Link
from ftpsvc_client.local import existing_file, local_error
from ftpsvc_client.results import Problem, RemoteEntry, TreeReport
from ftpsvc_client.retries import passes
from ftpsvc_client.watching import Progress

_OPEN_FOLDERS = 8
FOLDS_CASE = os.name == "nt" or sys.platform == "darwin"
"""Whether the usual file system here takes `A` and `a` for one name."""

Mend = Callable[[FtpsvcError | None], Link]
"""Returns a new connection after an error, or at once for None; raises the error where that is not worth it."""

Wait = Callable[[FtpsvcError], object]
"""Waits until it is time to try again; raises the error where that is not worth it (any longer)."""


class Wishes(NamedTuple):
    """How a tree is fetched.

    Attributes:
        algorithm: Digest algorithm.
        overwrite: Whether files with another content may be replaced.
        resume: Whether to go on with parts of files.
        quick: Whether a file of the same size and time counts as present.
    """

    algorithm: str
    overwrite: bool
    resume: bool
    quick: bool


class _Job(NamedTuple):
    """A file to be fetched: what the server says of it, its names from the target down, its path for people."""

    entry: RemoteEntry
    names: tuple[str, ...]
    path: str


class _Folder(NamedTuple):
    """A directory of the target.

    Attributes:
        directory: It, open.
        left_over: Names in it of which there are parts.
        taken: Names in it that were asked for, where it was made by us: all others are free, and need no look. What
            somebody else puts there meanwhile is found when a file gets its name, as it would be after a look. None:
            it was there before.
    """

    directory: Directory
    left_over: set[str]
    taken: set[str] | None


class _Ended(ConnectionLost):
    """The connection was given up over one file, which has been reported: the others need a new one."""

    def __init__(self) -> None:
        super().__init__("it was given up over one file")


class TreeDownload:
    """The download of one tree, or of a part of it. What arrives is saved, and noted in the report, as answers come in.

    A context manager: leaving it closes the directories that are held open, but not the target.
    """

    def __init__(
        self,
        link: Link,
        root: Directory | None,
        remote: str,
        local: str,
        wishes: Wishes,
        watcher: Progress,
        mend: Mend,
        wait: Wait,
        moved: Callable[[], object],
    ) -> None:
        """Takes what is to be done.

        Args:
            link: The connection to begin with.
            root: The target; None where nothing is to be saved.
            remote: The directory that the entries' paths are relative to.
            local: The target, for people.
            wishes: How.
            watcher: Is told how it goes on.
            mend: See `Mend`.
            wait: See `Wait`.
            moved: Is called whenever something has been saved.
        """
        self._link = link
        self._root = root
        self._remote = "" if remote == "/" else remote.rstrip("/")
        self._local = local
        self._wishes = wishes
        self._watcher = watcher
        self._mend = mend
        self._wait = wait
        self._moved = moved
        self._todo: deque[_Job] = deque()
        self._unanswered: deque[_Job] = deque()
        self._refused: list[tuple[_Job, FtpsvcError]] = []
        self._folders: OrderedDict[tuple[str, ...], _Folder] = OrderedDict()
        self._twins: dict[tuple[str, ...], set[str]] = {}
        self._expected = [0, 0]
        self.report = TreeReport()
        self.jobs: list[tuple[RemoteEntry, tuple[str, ...]]] = []
        self._collects = False

    def __enter__(self) -> TreeDownload:
        return self

    def __exit__(self, *_: object) -> None:
        while self._folders:
            self._folders.popitem()[1].directory.close()

    def pages(self, path: str, *, digests: bool = False) -> listing.Pages:
        """Returns a listing of all that is beneath a path, for `next_page`."""
        return listing.Pages(
            path, recursive=True, digests=digests, algorithm=self._wishes.algorithm, versions=False
        )

    def next_page(self, pages: listing.Pages) -> list[RemoteEntry]:
        """Returns the next page of a listing, also over a new connection.

        Raises:
            FtpsvcError: The server's refusal, or the connection's end.
        """
        while True:
            try:
                return pages.next_page(self._link)
            except FtpsvcError as error:
                self._recover(error)

    def names_of(self, entry: RemoteEntry) -> tuple[str, ...]:
        """Returns the local names of an entry, from the target down.

        Raises:
            InvalidPath: It has none. AlreadyExists: It is the same here as an earlier one.
        """
        if entry.note is not None:
            raise InvalidPath(entry.path, entry.note)
        names = tuple(local_name(name) for name in entry.path.split("/"))
        if FOLDS_CASE:
            self._refuse_twins(names)
        return names

    def add(self, entry: RemoteEntry) -> None:
        """Makes a directory, or asks for a file; what is asked for may arrive later.

        Raises:
            FtpsvcError: The connection's end, or a full disk.
        """
        try:
            names = self.names_of(entry)
        except FtpsvcError as error:
            self.report.problems.append(Problem(entry.path, error))
        else:
            self.add_named(entry, names)

    def add_named(self, entry: RemoteEntry, names: tuple[str, ...]) -> None:
        """As `add`, for an entry whose names have been had from `names_of`."""
        path = os.path.join(self._local, *names)
        try:
            if entry.kind == "dir":
                self._folder(names)
                self.report.directories += 1
            elif entry.kind == "file":
                self._fetch(entry, names, path)
            else:
                self.report.skipped.append(Problem(path, NotAFile(path)))
        except FtpsvcError as error:
            if self.lost(error):
                raise
            self.report.problems.append(Problem(path, error))

    def lost(self, error: FtpsvcError) -> bool:
        """Returns whether an error is of more than one name, and ends the download."""
        return isinstance(error, TransportError | NoSpace) or error.fatal or self._link.closed

    def collect_jobs(self) -> None:
        """Makes `fetch` keep its files for `take_jobs`, which others will fetch."""
        self._collects = True

    def take_jobs(self) -> list[tuple[RemoteEntry, tuple[str, ...]]]:
        """Returns the files that `fetch` was called for since the last time."""
        taken, self.jobs = self.jobs, []
        return taken

    def fetch(self, entry: RemoteEntry, names: tuple[str, ...]) -> None:
        """Asks for a file; errors as `add`."""
        self._fetch(entry, names, os.path.join(self._local, *names))

    def _fetch(self, entry: RemoteEntry, names: tuple[str, ...], path: str) -> None:
        if self._collects:
            self.jobs.append((entry, names))
            return
        self._todo.append(_Job(entry, names, path))
        self._pump()

    def settle(self) -> None:
        """Waits for what was asked for, and asks again for what was refused for the time being; errors as `add`."""
        while self._unanswered or self._todo or self._refused:
            self._pump()
            try:
                self._link.settle()
            except FtpsvcError as error:
                self._recover(error)
            if not self._unanswered and not self._todo:
                self._take_up_refused()

    def _take_up_refused(self) -> None:
        refused, self._refused = self._refused, []
        if not refused:
            return
        try:
            self._wait(refused[0][1])
        except FtpsvcError:
            self.report.problems += [Problem(job.path, error) for job, error in refused]
        else:
            self._todo.extend(job for job, _ in refused)

    # ------------------------------------------------------------ one file after the other

    def _pump(self) -> None:
        while self._todo:
            job = self._todo.popleft()
            self._unanswered.append(job)
            try:
                self._ask(job)
            except FtpsvcError as error:
                if isinstance(error, TransportError | NoSpace) or error.fatal:
                    self._recover(error)
                    continue
                if self._link.closed and isinstance(error, ProtocolError):
                    raise
                self._failed(job, error)
                if self._link.closed:
                    self._recover(_Ended())

    def _recover(self, error: FtpsvcError) -> None:
        """Gets a new connection, and has what is unanswered asked for again.

        Raises:
            FtpsvcError: That is not worth it.
        """
        if not isinstance(error, _Ended) and not passes(error):
            raise error
        self._link.close()
        if self._unanswered:
            # What was under way has left a part by now, which nobody has seen yet.
            names = self._unanswered[0].names
            if names[:-1] in self._folders:
                self._folders[names[:-1]].left_over.add(names[-1])
        for job in reversed(self._unanswered):
            self._todo.appendleft(job)
            self._expected[0] -= 1
            self._expected[1] -= job.entry.size or 0
        self._unanswered.clear()
        self._link = self._mend(None if isinstance(error, _Ended) else error)

    def _ask(self, job: _Job) -> None:
        entry, names, path = job
        # Without the version: a file that is replaced between listing and fetching is fetched as it is now.
        request = Get(path=f"{self._remote}/{entry.path}", algorithm=self._wishes.algorithm)
        folder, left_over, taken = self._folder(names[:-1])
        name = names[-1]
        before = None
        if taken is None or name in taken:
            before = existing_file(folder, name, path)
        else:
            taken.add(name)
        if before is not None:
            quick = self._wishes.quick and entry.size == before.st_size and same_time(entry.modified, before)
            if not quick and not self._wishes.overwrite:
                if same_content(self._link, request, entry, folder, name, before.st_size) is None:
                    raise AlreadyExists(path)
                quick = True
            if quick:
                self.report.present += 1
                self._answered(job)
                return
        if name in left_over:
            self._go_on(job, request, folder, left_over)
            return
        self._expect(entry)
        self._link.submit(request, partial(self._arrived, job))

    def _go_on(self, job: _Job, request: Get, folder: Directory, left_over: set[str]) -> None:
        """Fetches a file of which a part is there, on its own: the part's lock is held meanwhile."""
        while len(self._unanswered) > 1:
            self._link.collect()
        # A handle of its own: collecting may have closed the one that was lent.
        folder = self._folder(job.names[:-1]).directory
        saver = self._saver(job, folder)
        if self._wishes.resume:
            saver.look_for_part()
        else:
            parts.clean(folder, job.names[-1])
        self._expect(job.entry)
        transfer = saver.fetch(request)
        left_over.discard(job.names[-1])
        self._answered(job)
        self.report.files += 1
        self.report.size += transfer.size

    def _arrived(self, job: _Job, event: ResponseReceived) -> None:
        try:
            saver = self._saver(job, self._folder_for_content(job, event))
            saver.answered(event)
        except (TransportError, NoSpace):
            raise
        except FtpsvcError as error:
            if error.fatal or (self._link.closed and isinstance(error, ProtocolError)):
                raise
            self._failed(job, error)
            if self._link.closed:
                raise _Ended from None
        else:
            self._answered(job)
            self.report.files += 1
            self.report.size += 0 if saver.transfer is None else saver.transfer.size

    def _folder_for_content(self, job: _Job, event: ResponseReceived) -> Directory:
        try:
            return self._folder(job.names[:-1]).directory
        except FtpsvcError:
            # What is announced is on its way, and must not be taken for the next answer.
            if event.error is None:
                content.skip(self._link)
            raise

    def _answered(self, job: _Job) -> None:
        self._unanswered.remove(job)
        self._moved()

    def _failed(self, job: _Job, error: FtpsvcError) -> None:
        if passes(error):
            self._unanswered.remove(job)
            self._refused.append((job, error))  # taken up again when all others are through
        else:
            self._answered(job)
            self.report.problems.append(Problem(job.path, error))

    def _saver(self, job: _Job, folder: Directory) -> Saver:
        return Saver(
            self._link, folder, job.names[-1], job.path, clobber=self._wishes.overwrite, watcher=self._watcher,
            moved=self._moved, listed=job.entry.modified,
        )  # fmt: skip

    def _expect(self, entry: RemoteEntry) -> None:
        self._expected[0] += 1
        self._expected[1] += entry.size or 0
        self._watcher.expect(*self._expected)

    # ------------------------------------------------------------ directories

    def _folder(self, names: tuple[str, ...]) -> _Folder:
        """Returns a directory, made if it is missing.

        The last few are kept open: entries come in tree order.
        """
        found = self._folders.get(names)
        if found is not None:
            self._folders.move_to_end(names)
            return found
        if self._root is None:
            raise LocalProtocolError("a download without a target")
        try:
            made = self._root.make_directories(names)
            folder = self._root.walk(names)
        except OSError as error:
            raise local_error(error, os.path.join(self._local, *names)) from None
        left_over: set[str] = set()
        if not made and resumable(self._link):
            left_over = parts.find_all(folder)
        found = self._folders[names] = _Folder(folder, left_over, set() if made else None)
        if len(self._folders) > _OPEN_FOLDERS:
            self._folders.popitem(last=False)[1].directory.close()
        return found

    def _refuse_twins(self, names: tuple[str, ...]) -> None:
        parent = names[:-1]
        if parent not in self._twins:
            # Entries come in tree order, so only the directories on the way down can still get more of them.
            self._twins = {
                above: keys for above, keys in self._twins.items() if parent[: len(above)] == above
            }
            self._twins[parent] = set()
        key = twin_key(names[-1])
        if key in self._twins[parent]:
            raise AlreadyExists(os.path.join(self._local, *names))
        self._twins[parent].add(key)
