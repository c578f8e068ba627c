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
        try:
            upload.seal(digest)
        except FtpsvcError as error:
            self.outcome = error

    def sync(self) -> None:
        """Makes the file durable, if it was sealed."""
        if self.outcome is None:
            try:
                self.upload.sync()
            except FtpsvcError as error:
                self.outcome = error

    def publish(self, directory: Callable[[tuple[str, ...]], Directory]) -> None:
        """Puts it in place, if all before went well; `directory` opens that of its path."""
        if self.outcome is None:
            try:
                self.outcome = self.upload.publish(directory(self.upload.path.parts[:-1]))
            except FtpsvcError as error:
                self.outcome = error
            except OSError as problem:  # the directory's
                self.upload.abort()
                self.outcome = storage_error(problem, self.upload.path)

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
    try:
        if volume.durable:
            syncers.each([commit.sync for commit in commits])

        def directory(parts: tuple[str, ...]) -> Directory:
            # Walked anew, once for all: since the uploads began, a directory on the way may have been moved.
            found = opened.get(parts)
            if found is None:
                found = opened[parts] = volume.enter(parts)
            return found

        for commit in commits:
            commit.publish(directory)

        def sync_names(parts: tuple[str, ...]) -> None:
            try:
                volume.sync_names(parts, opened[parts])
            except OSError as problem:
                for commit in commits:
                    if commit.upload.path.parts[:-1] == parts:
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
