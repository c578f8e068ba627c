"""What is told a student of a hand-in: published as a whole, seen by its owner only, under `/feedback/ID/`.

    ROOT/submissions/ID/USER/feedback/0002/feedback.txt    for people
    ROOT/submissions/ID/USER/feedback/0002/results.json    for programs: Gradescope's format

The newest number is what is seen; one without files takes back what was published. A publication is never changed.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from ftpsvc.exceptions import InvalidPath, NotFound, PermissionDenied, StorageError
from ftpsvc.homework.submissions import Submissions
from ftpsvc.paths import RemotePath
from ftpsvc.storage.base import Begun, Entry, Page, Reader, Space, Storage, Upload

FOLDER: Final = "feedback"
TEXT: Final = "feedback.txt"
RESULTS: Final = "results.json"

_NUMBER: Final = re.compile(r"[0-9]{4,9}")
_READ_ONLY: Final = "feedback is read-only"


@dataclass(frozen=True, slots=True)
class Published:
    """What a student is told.

    Attributes:
        version: Of which version.
        score: Its points, after the penalty.
    """

    version: int
    score: float


def numbers(folder: Path) -> list[int]:
    """Returns the numbers of the publications of a student, ascending.

    Args:
        folder: `ROOT/submissions/ID/USER`.
    """
    try:
        names = os.listdir(folder / FOLDER)
    except (FileNotFoundError, NotADirectoryError):
        return []
    return sorted(int(name) for name in names if _NUMBER.fullmatch(name))


def place(folder: Path, number: int) -> Path:
    """Returns where a publication is, or would be."""
    return folder / FOLDER / f"{number:04}"


def current(folder: Path) -> Path | None:
    """Returns the publication that is seen; None where there is none, or it was taken back."""
    found = numbers(folder)
    newest = place(folder, found[-1]) if found else None
    return newest if newest is not None and (newest / RESULTS).is_file() else None


def read(folder: Path) -> Published | None:
    """Returns what a student is told; None where nothing is published, or nobody can read it."""
    newest = current(folder)
    if newest is None:
        return None
    try:
        content = json.loads((newest / RESULTS).read_bytes())
        return Published(int(content["extra_data"]["ftpsvc"]["version"]), float(content["score"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None


class Feedback(Storage):
    """The feedback of one user, read-only. Thread-safe.

    Every path is led beneath the user's own name before the disk is asked for anything.
    """

    def __init__(
        self, submissions: Submissions, storage: Storage, user: str, check_own: Callable[[], None]
    ) -> None:
        """Shows what was published for a user.

        Args:
            submissions: What was handed in.
            storage: All of `ROOT/submissions`; whoever opened it closes it.
            user: Whose.
            check_own: Raises `PermissionDenied` where what lies there is another's, who had the name before.
        """
        self._check_own = check_own
        self._submissions = submissions
        self._storage = storage
        self._user = user

    def _inner(self, path: RemotePath) -> RemotePath:
        """Returns where a path that has an assignment leads on the disk.

        Raises:
            NotFound: Nothing of it is published.
        """
        self._check_own()
        name, *rest = path.parts
        try:
            newest = current(self._submissions.of(name, self._user))
        except ValueError:  # could be no assignment
            newest = None
        if newest is None:
            raise NotFound(str(path))
        return RemotePath((name, self._user, FOLDER, newest.name, *rest))

    @contextmanager
    def _told(self, path: RemotePath) -> Iterator[None]:
        """Has errors name the path that was asked for, and not where that is."""
        try:
            yield
        except (StorageError, PermissionDenied) as error:
            if error.path:
                error.path = str(path)
            raise
        except InvalidPath as error:
            if error.name.startswith("/"):
                error.name = str(path)
            raise

    def _names(self) -> list[str]:
        """Returns the assignments that something is published of."""
        self._check_own()
        of = self._submissions.of
        return [one for one in self._submissions.assignments() if current(of(one, self._user)) is not None]

    def stat(self, path: RemotePath) -> Entry:
        if path.is_root:
            return Entry("", "dir", mode=0o555)
        with self._told(path):
            return replace(self._storage.stat(self._inner(path)), name=path.name)

    def list(
        self,
        path: RemotePath,
        *,
        after: tuple[str, ...] | None = None,
        limit: int = 1000,
        recursive: bool = False,
    ) -> Page:
        if not path.is_root:
            with self._told(path):
                return self._storage.list(self._inner(path), after=after, limit=limit, recursive=recursive)
        entries: list[Entry] = []
        for name in self._names():
            if after is not None and (name < after[0] or (name == after[0] and not recursive)):
                continue
            beneath = after[1:] or None if after is not None and name == after[0] else None
            if after is None or name != after[0]:
                entries.append(self.stat(RemotePath((name,))))
            if len(entries) >= limit:
                return Page(entries, (name,))
            if recursive:
                room = limit - len(entries)
                page = self.list(RemotePath((name,)), after=beneath, limit=room, recursive=True)
                entries += [replace(entry, where=(name, *entry.where)) for entry in page.entries]
                if page.cursor is not None:
                    return Page(entries, (name, *page.cursor))
        return Page(entries, None)

    def read(self, path: RemotePath) -> Reader:
        if path.is_root:
            raise PermissionDenied("is a directory", str(path))
        with self._told(path):
            return self._storage.read(self._inner(path))

    def space(self) -> Space:
        return Space(None, None, 0, self._storage.space().free)

    def create(
        self,
        path: RemotePath,
        size: int,
        *,
        algorithm: str,
        modified: int | None = None,
        mode: int | None = None,
        clobber: bool = True,
        owner: str = "",
    ) -> Upload:
        raise PermissionDenied(_READ_ONLY, str(path))

    def begin(
        self,
        path: RemotePath,
        size: int,
        *,
        algorithm: str,
        owner: str,
        evict: Callable[[], None],
        restart: bool = False,
        clobber: bool = True,
        look: Callable[[], None] | None = None,
    ) -> Begun:
        raise PermissionDenied(_READ_ONLY, str(path))

    def expire(self, seconds: float) -> int:
        """Does nothing: nothing is ever begun here."""
        return 0

    def make_directory(self, path: RemotePath, *, parents: bool = False) -> bool:
        raise PermissionDenied(_READ_ONLY, str(path))

    def remove(self, path: RemotePath, *, recursive: bool = False) -> int:
        raise PermissionDenied(_READ_ONLY, str(path))

    def rename(self, source: RemotePath, target: RemotePath, *, clobber: bool = True) -> None:
        raise PermissionDenied(_READ_ONLY, str(source))

    def close(self) -> None:
        """Does nothing: the storage is closed by whoever opened it."""
