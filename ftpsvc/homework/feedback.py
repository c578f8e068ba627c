"""What is told a student of a hand-in: published as a whole, seen by its owner only, under `/feedback/ID/`.

    ROOT/submissions/ID/USER/feedback/0002/feedback.txt    for people
    ROOT/submissions/ID/USER/feedback/0002/results.json    for programs: Gradescope's format

The newest number is what is seen; one without files takes back what was published. A publication is never changed.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from ftpsvc.exceptions import NotFound
from ftpsvc.homework.ownview import OwnView
from ftpsvc.homework.submissions import Submissions
from ftpsvc.paths import RemotePath
from ftpsvc.storage.base import Storage

FOLDER: Final = "feedback"
TEXT: Final = "feedback.txt"
RESULTS: Final = "results.json"

_NUMBER: Final = re.compile(r"[0-9]{4,9}")


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


class Feedback(OwnView):
    """The feedback of one user. Thread-safe."""

    refusal = "feedback is read-only"

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
        super().__init__(storage)
        self._check_own = check_own
        self._submissions = submissions
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

    def _names(self) -> list[str]:
        """Returns the assignments that something is published of."""
        self._check_own()
        of = self._submissions.of
        return [one for one in self._submissions.assignments() if current(of(one, self._user)) is not None]
