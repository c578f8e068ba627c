"""Committing many uploads together: the system writes what several threads sync at once in fewer steps.

Where nothing is synced it still is a sixth of the server's time less: what they have in common is done once.

Source: docs/storage.md section 3.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Final

from ftpsvc.confine import Directory
from ftpsvc.exceptions import FtpsvcError
from ftpsvc.storage.base import Entry
from ftpsvc.storage.faults import storage_error
from ftpsvc.storage.upload import LocalUpload
from ftpsvc.storage.volume import Volume

THREADS: Final = 8
"""More gained nothing where it was measured (docs/design.md, "Group commit")."""


class Syncers:
    """Threads that sync, for all volumes of a process. Thread-safe; the threads are made when they are first needed."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(THREADS, thread_name_prefix="sync")

    def each(self, works: Sequence[Callable[[], None]]) -> None:
        """Does all of the works, which raise nothing, and returns when all are done."""
        if len(works) < 2:
            for work in works:
                work()
            return
        slices = [works[start::THREADS] for start in range(min(THREADS, len(works)))]
        running: list[Future[None]] = [self._pool.submit(_in_turn, part) for part in slices[1:]]
        try:
            _in_turn(slices[0])
        finally:
            for future in running:
                future.result()

    def close(self) -> None:
        """Ends the threads."""
        self._pool.shutdown()


def _in_turn(works: Sequence[Callable[[], None]]) -> None:
    for work in works:
        work()


class _Commit:
    """One upload of several that are committed together, and what comes of it."""

    __slots__ = ("outcome", "upload")

    def __init__(self, upload: LocalUpload, digest: str) -> None:
        self.upload = upload
        self.outcome: Entry | FtpsvcError | None = None
        self._try(lambda: upload.seal(digest))

    def _try(self, step: Callable[[], Entry | None]) -> None:
        """Takes a step of the commit, if all before it went well."""
        if isinstance(self.outcome, FtpsvcError):
            return
        try:
            self.outcome = step() or self.outcome
        except FtpsvcError as error:
            self.outcome = error
        except OSError as problem:
            self.upload.abort()
            self.outcome = storage_error(problem, self.upload.path)

    def sync(self) -> None:
        """Makes the file durable."""
        self._try(self.upload.sync)

    def publish(self, directory: Callable[[], Directory]) -> None:
        """Puts it in place."""
        self._try(lambda: self.upload.publish(directory()))

    def names_failed(self, problem: OSError) -> None:
        """Notes that its name is in place and cannot be made durable."""
        if isinstance(self.outcome, Entry):
            self.outcome = storage_error(problem, self.upload.path)


def commit_together(
    volume: Volume, uploads: Sequence[tuple[LocalUpload, str]], syncers: Syncers
) -> list[Entry | FtpsvcError]:
    """Commits uploads to different paths of a volume: all are durable before the first of them is visible.

    Args:
        volume: The volume.
        uploads: Each with the sender's digest.
        syncers: Who syncs.

    Returns:
        For each what `commit` would have returned or raised: one that fails harms no other.
    """
    commits = [_Commit(upload, digest) for upload, digest in uploads]
    opened: dict[tuple[str, ...], Directory] = {}
    members: dict[tuple[str, ...], list[_Commit]] = {}
    try:
        if volume.durable:
            syncers.each([commit.sync for commit in commits])
        for commit in commits:
            parts = commit.upload.path.parts[:-1]

            def directory(parts: tuple[str, ...] = parts) -> Directory:
                # Walked anew, once for all: since the uploads began, a directory on the way may have been moved.
                if parts not in opened:
                    opened[parts] = volume.enter(parts)
                return opened[parts]

            commit.publish(directory)
            members.setdefault(parts, []).append(commit)

        def sync_names(parts: tuple[str, ...]) -> None:
            try:
                volume.sync_names(parts, opened[parts])
            except OSError as problem:
                for commit in members[parts]:
                    commit.names_failed(problem)

        if volume.durable:
            syncers.each([lambda parts=parts: sync_names(parts) for parts in opened])  # type: ignore[misc]
    finally:
        for each in opened.values():
            each.close()
        for commit in commits:
            commit.upload.abort()  # nothing to do but after an error that nobody expected
    return [_told(commit.outcome) for commit in commits]


def _told(outcome: Entry | FtpsvcError | None) -> Entry | FtpsvcError:
    if outcome is None:
        raise RuntimeError("an upload was committed and nothing came of it")
    return outcome
