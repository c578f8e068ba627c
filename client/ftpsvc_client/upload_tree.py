"""A local directory to the server: requests pipelined, and a report of what could not be sent."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Literal, NamedTuple

from ftpsvc.exceptions import FtpsvcError, NotFound, TransportError
from ftpsvc.protocol.connection import ResponseReceived
from ftpsvc.protocol.headers import Made, Mkdir, Put, Request, Rm, Stored
from ftpsvc_client import content
from ftpsvc_client.compare import time_on_wire
from ftpsvc_client.delta import is_comparable, update
from ftpsvc_client.link import Link
from ftpsvc_client.results import Problem, TreeReport
from ftpsvc_client.retries import passes
from ftpsvc_client.upload import Resumption, go_on, is_resumable
from ftpsvc_client.watching import Progress

_REMOVE_SECONDS = 600.0
"""What a server is granted for a removal: a large tree takes its time, and silence is all that can be heard of it."""

Mend = Callable[[FtpsvcError | None], Link]
"""Returns a new connection after an error, or at once for None; raises the error where that is not worth it."""

Wait = Callable[[FtpsvcError], object]
"""Waits until it is time to try again; raises the error where that is not worth it (any longer)."""


class _Job(NamedTuple):
    """A directory to be made, a file to be sent (`update`: by what differs), or what on the server is to be removed."""

    path: str
    target: str
    what: Literal["make", "send", "update", "remove"]


class TreeUpload:
    """The upload of one tree, or of a part of it. What the server answers is noted in the report as it comes."""

    def __init__(
        self,
        link: Link,
        algorithm: str,
        *,
        clobber: bool,
        resume: bool,
        watcher: Progress,
        mend: Mend,
        wait: Wait,
        moved: Callable[[], object],
    ) -> None:
        """Takes what is to be done.

        Args:
            link: The connection to begin with.
            algorithm: Digest algorithm.
            clobber: Whether files may be replaced. Where not, a file whose answer was lost is not sent again.
            resume: Whether to go on with what the server holds of large files.
            watcher: Is told how it goes on.
            mend: See `Mend`.
            wait: See `Wait`.
            moved: Is called for each answer that settles something.
        """
        self._link = link
        self._algorithm = algorithm
        self._clobber = clobber
        self._resume = resume
        self._begun: dict[str, Resumption] = {}
        self._watcher = watcher
        self._mend = mend
        self._wait = wait
        self._moved = moved
        self._todo: deque[_Job] = deque()
        self._unanswered: deque[_Job] = deque()
        self._refused: list[tuple[_Job, FtpsvcError]] = []
        self._told: FtpsvcError | None = None
        self.report = TreeReport()

    def add_folder(self, path: str, target: str) -> None:
        """Makes a directory on the server; the answer may still be due when this returns.

        Without a local path it is made in passing, and not counted.

        Raises:
            FtpsvcError: The connection's end.
        """
        self._todo.append(_Job(path, target, "make"))
        self._pump()

    def add_file(self, path: str, target: str, *, update: bool) -> None:
        """Sends a file, as `add_folder`; `update` where another version of it is likely to be there."""
        self._todo.append(_Job(path, target, "update" if update else "send"))
        self._pump()

    def remove(self, target: str) -> None:
        """Removes something on the server with all that is beneath it, as `add_folder`; that it is gone is no error."""
        self._todo.append(_Job(target, target, "remove"))
        self._pump()

    def settle(self) -> None:
        """Waits for the answers that are due, and does again what was refused for the time being.

        Raises:
            FtpsvcError: The connection's end.
        """
        while self._unanswered or self._todo or self._refused:
            self._pump()
            try:
                while self._unanswered:
                    self._link.collect()
            except FtpsvcError as error:
                self._recover(None, error)
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

    def _pump(self) -> None:
        while self._todo:
            job = self._todo.popleft()
            self._unanswered.append(job)
            try:
                if job.what in ("send", "update"):
                    self._send(job)
                    continue
                request: Request = Mkdir(path=job.target, parents=True)
                if job.what == "remove":
                    request = Rm(path=job.target, recursive=True)
                self._link.submit(request, partial(self._answered, job), wait=_REMOVE_SECONDS)
            except FtpsvcError as error:
                self._recover(job, error)

    def _send(self, job: _Job) -> None:
        with content.FileSource(job.path) as source:
            request = Put(
                path=job.target, size=source.size, file_size=source.size, algorithm=self._algorithm,
                clobber=self._clobber, modified=time_on_wire(source.modified), mode=source.mode,
            )  # fmt: skip
            self._watcher.begin(job.path, source.size)
            done = False
            try:
                if job.what == "update" and self._update(job, request, source):
                    done = True
                    return
                hasher = None
                if is_resumable(self._link, source.size):
                    resumption = self._begun.get(job.target)
                    if resumption is None:
                        resumption = Resumption(restart=not self._resume, moved=self._moved)
                        self._begun[job.target] = resumption
                    request, hasher = go_on(self._link, request, source, resumption)
                    self._watcher.advance(request.offset)
                content.send(self._link, request, source, self._watcher, partial(self._answered, job), hasher)
                done = True
            finally:
                self._watcher.end(done=done)

    def _update(self, job: _Job, request: Put, source: content.FileSource) -> bool:
        """Stores a large file by what differs from the version that is there; returns whether that could be done."""
        if not is_comparable(self._link, request, source.size):
            return False
        while len(self._unanswered) > 1:  # what is compared is read in between
            self._link.collect()
        updated = update(self._link, request, source, self._watcher)
        if updated is None:
            if not self._link.usable:
                self._link.close()
                self._link = self._mend(None)
            return False
        self._unanswered.remove(job)
        self._begun.pop(job.target, None)
        self._moved()
        self.report.files += 1
        self.report.size += updated.stored.file_size
        return True

    def _answered(self, job: _Job, event: ResponseReceived) -> None:
        if event.error is not None and self._may_pass(event.error):
            self._unanswered.remove(job)
            self._refused.append((job, event.error))
            return
        self._unanswered.remove(job)
        self._begun.pop(job.target, None)
        self._moved()
        if job.what == "remove" and isinstance(event.error, NotFound):
            return
        if event.error is not None:
            self._told = event.error
            self.report.problems.append(Problem(job.path, event.error))
        elif isinstance(event.response, Made):
            self.report.directories += bool(job.path)
        elif isinstance(event.response, Stored):
            self.report.files += 1
            self.report.size += event.response.file_size

    def _recover(self, job: _Job | None, error: FtpsvcError) -> None:
        """Gets a new connection after an error, if need be: one file that could not be sent must not end the tree.

        Raises:
            FtpsvcError: The connection is lost for good.
        """
        lost = isinstance(error, TransportError)
        if (
            job is not None and not lost and self._link.can_go_on
        ):  # it never went out, or was given up in order
            self._give_up(job, error)
            return
        self._link.take_queued()
        self._link.close()
        reason: FtpsvcError | None = None
        if lost or (error is not self._told and passes(error)):
            reason = error
        elif error is not self._told:
            # The server answers in order, so a refusal that nobody has taken is about the oldest; without one it was
            # our own side that had to end the connection.
            refused = self._unanswered[0] if error.fatal and self._unanswered else job
            if refused is None:
                raise error
            self._give_up(refused, error)
        again, self._unanswered = self._unanswered, deque()
        self._link = self._mend(reason)
        for waiting in reversed(again):
            if self._clobber or waiting.what in ("make", "remove") or reason is None:
                self._todo.appendleft(waiting)  # storing again what may have been stored is harmless
            else:
                self.report.problems.append(Problem(waiting.path, error))
        if reason is not None:  # that was waiting enough
            jobs, self._refused = [waiting for waiting, _ in self._refused], []
            # Directories come before what is to be in them, files behind those that nobody has refused.
            self._todo.extendleft(reversed([waiting for waiting in jobs if waiting.what == "make"]))
            self._todo.extend(waiting for waiting in jobs if waiting.what != "make")

    def _give_up(self, job: _Job, error: FtpsvcError) -> None:
        self._unanswered.remove(job)
        if self._may_pass(error):
            self._refused.append((job, error))
        else:
            self.report.problems.append(Problem(job.path, error))

    def _may_pass(self, error: FtpsvcError) -> bool:
        """Returns whether what was refused is taken up again when all others are through."""
        if isinstance(error, NotFound):  # for want of a directory that was refused itself
            return any(job.what == "make" for job, _ in self._refused)
        return passes(error)
