"""The assignments of a server: `ROOT/assignments/ID/`, read when they are asked for.

    catalog = Catalog(root)
    for name in catalog.ids():
        assignment = catalog.get(name)
        dates = catalog.dates(assignment, "alice")

A file that was changed is read again at the next look; a file that cannot be used any more is told as such and harms
no other assignment.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Generic, TypeVar

from ftpsvc.exceptions import ConfigError
from ftpsvc.homework import course, extensions, model
from ftpsvc.homework.course import Course
from ftpsvc.homework.extensions import Extension
from ftpsvc.homework.faults import AssignmentFaults, Fault, HomeworkFaults
from ftpsvc.homework.lateness import Dates, Terms
from ftpsvc.homework.model import Assignment
from ftpsvc.text import printable

FOLDER: Final = "assignments"

_ID: Final = re.compile(model.ID)

_T = TypeVar("_T")


class NoSuchAssignment(ConfigError):
    """There is no assignment of that name."""

    def __init__(self, name: str) -> None:
        super().__init__(
            f"there is no assignment {printable(name)!r}", hint="ftpsvc-server assignment list shows them"
        )


@dataclass(frozen=True, slots=True)
class _Kept(Generic[_T]):
    stamp: tuple[int, ...]
    value: _T


class Catalog:
    """The assignments, extensions and the course under a root. Thread-safe, and keeps no file open.

    Attributes:
        root: The server's root.
        folder: `ROOT/assignments`, which need not exist.
    """

    def __init__(self, root: Path) -> None:
        """Looks at a root; nothing is read yet."""
        self.root: Final = root
        self.folder: Final = root / FOLDER
        self._lock = threading.Lock()
        self._assignments: dict[str, _Kept[Assignment]] = {}
        self._extensions: dict[str, _Kept[tuple[Extension, ...]]] = {}
        self._course: dict[str, _Kept[Course]] = {}

    def ids(self) -> list[str]:
        """Returns the ids of all assignments, also of those that cannot be used, sorted."""
        try:
            names = [one.name for one in self.folder.iterdir() if (one / model.FILE).is_file()]
        except (FileNotFoundError, NotADirectoryError):
            return []
        return sorted(name for name in names if _ID.fullmatch(name))

    def get(self, name: str) -> Assignment:
        """Returns an assignment.

        Raises:
            NoSuchAssignment: There is none of that id; also for what could be no id.
            AssignmentFaults: It cannot be used.
        """
        folder = self.folder / name if _ID.fullmatch(name) else None
        if folder is None or not (folder / model.FILE).is_file():
            raise NoSuchAssignment(name)
        return self._fresh(self._assignments, name, folder / model.FILE, lambda: _load(folder))

    def all(self) -> tuple[list[Assignment], list[AssignmentFaults]]:
        """Returns the assignments that can be used, by due time, and what is wrong with the others.

        One whose extensions cannot be read is among the others: nobody knows until when it is accepted from whom.
        """
        good: list[Assignment] = []
        faulty: list[AssignmentFaults] = []
        for name in self.ids():
            try:
                one = self.get(name)
                self.extensions(one)
                good.append(one)
            except AssignmentFaults as error:
                faulty.append(error)
            except NoSuchAssignment:  # gone meanwhile
                continue
        return sorted(good, key=lambda one: (one.due, one.id)), faulty

    def extensions(self, assignment: Assignment) -> tuple[Extension, ...]:
        """Returns the extensions of an assignment, in the order in which they are applied.

        Raises:
            AssignmentFaults: Their file cannot be used.
        """
        folder = assignment.folder
        file = folder / extensions.FILE
        return self._fresh(self._extensions, assignment.id, file, lambda: extensions.load(folder))

    def dates(self, assignment: Assignment, user: str) -> Dates:
        """Returns when something is accepted from a user, extensions included.

        Raises:
            AssignmentFaults: The extensions cannot be used.
        """
        return extensions.dates(assignment, self.extensions(assignment), user)

    def terms(self, assignment: Assignment, user: str) -> Terms:
        """Returns what an assignment means for a user, for `lateness.standing`.

        Raises:
            AssignmentFaults: The extensions cannot be used.
        """
        return Terms(self.dates(assignment, user), assignment.late, assignment.grading.count)

    def course(self) -> Course:
        """Returns what holds for the whole course; the defaults where there is no `course.toml`.

        Raises:
            HomeworkFaults: It cannot be used.
        """
        return self._fresh(self._course, "", self.root / course.FILE, lambda: course.load(self.root))

    def _fresh(self, kept: dict[str, _Kept[_T]], name: str, file: Path, load: Callable[[], _T]) -> _T:
        """Returns what was loaded from a file, loading it again where the file is another one by now."""
        stamp = _stamp(file)
        with self._lock:
            known = kept.get(name)
        if known is not None and known.stamp == stamp:
            return known.value
        value = load()
        with self._lock:
            kept[name] = _Kept(stamp, value)
        return value


def _stamp(file: Path) -> tuple[int, ...]:
    """Returns what tells one content of a file from another; nothing where there is none."""
    try:
        info = file.stat()
    except OSError:
        return ()
    return info.st_dev, info.st_ino, info.st_size, info.st_mtime_ns, info.st_ctime_ns


def _load(folder: Path) -> Assignment:
    assignment = model.load(folder)
    if assignment.id != folder.name:
        fault = Fault(
            folder / model.FILE, 0, f"its id is {assignment.id!r}, but its folder is {folder.name!r}"
        )
        raise AssignmentFaults(f"assignment {folder.name}", [fault])
    return assignment


__all__ = ["AssignmentFaults", "Catalog", "HomeworkFaults", "NoSuchAssignment"]
