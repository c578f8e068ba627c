"""Reads a root for the gradebook: the roster, the assignments, and what was handed in and graded.

One damaged hand-in, or one assignment that cannot be used, harms no other: it is told as such.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from pathlib import Path
from typing import Final

from ftpsvc.accounts.model import Role, User
from ftpsvc.exceptions import BadReceipt, ConfigError
from ftpsvc.homework import lateness
from ftpsvc.homework.catalog import Catalog
from ftpsvc.homework.engine import standing_of
from ftpsvc.homework.faults import HomeworkFaults
from ftpsvc.homework.gradebook.table import Column, Fact, Gradebook, Student, gradebook
from ftpsvc.homework.grading import byhand
from ftpsvc.homework.grading.store import Results
from ftpsvc.homework.lateness import Standing
from ftpsvc.homework.model import Assignment
from ftpsvc.homework.submissions import Submissions
from ftpsvc.text import printable

_DATABASE: Final = Path(".ftpsvc") / "ftpsvc.db"


@dataclass(frozen=True, slots=True)
class Gathered:
    """A root, read.

    Attributes:
        book: The gradebook.
        assignments: Its assignments, by id.
        zone: Of `course.toml`; None: nobody said.
        faulty: What is wrong with the assignments that were asked for and are not in it.
    """

    book: Gradebook
    assignments: dict[str, Assignment]
    zone: tzinfo | None
    faulty: tuple[HomeworkFaults, ...] = ()


def gather(
    root: Path, assignment: str | None = None, *, group: str | None = None, database: str | None = None
) -> Gathered:
    """Reads the gradebook of one assignment, or of all.

    Args:
        root: The server's root.
        assignment: Its id; None is all that can be used.
        group: Only students of this one; None is everybody.
        database: SQLAlchemy URL of the user database; None is the one in the root.

    Raises:
        NoSuchAssignment, AssignmentFaults: The assignment is none, or cannot be used.
        HomeworkFaults: `course.toml` cannot be used.
        ConfigError: There is nobody in that group.
        FtpsvcError: The user database cannot be read.
        OSError: Something else cannot.
    """
    catalog, submissions = Catalog(root), Submissions(root)
    faulty: list[HomeworkFaults] = []
    if assignment is None:
        found, bad = catalog.all()
        faulty += bad
    else:
        found = [catalog.get(assignment)]
        catalog.extensions(found[0])  # tells at once what would spoil each row
    course = catalog.course()
    students = _students(root, submissions, [one.id for one in found], database)
    if group is not None:
        students = [one for one in students if one.group == group]
        if not students:
            raise ConfigError(
                f"no student is in the group {printable(group)!r}", hint="ftpsvc-server user list shows them"
            )
    columns = [_column(one) for one in found]
    facts, left = {}, {}
    for student in students:
        try:
            standing = standing_of(catalog, submissions, student.name)
        except (
            OSError,
            ValueError,
        ):  # a result that is needed to say what counts; each cell says that it is damaged
            standing = Standing(late_days_left=course.late_days)
        left[student.name] = standing.late_days_left
        for one in found:
            facts[student.name, one.id] = _fact(catalog, submissions, one, student.name, standing)
    book = gradebook(course.title, course.late_days, columns, students, facts, left)
    return Gathered(book, {one.id: one for one in found}, course.zone, tuple(faulty))


def _students(root: Path, submissions: Submissions, names: list[str], database: str | None) -> list[Student]:
    """Returns the students of the roster, and who handed something in without being there any more.

    What teachers hand in to try it is not in the gradebook. Where a name was another's before, its points are the
    other's, of whom the roster says nothing now.
    """
    handed_in = {user for name in names for user in submissions.users(name)}
    users = [
        user
        for user in _users(root, database)
        if user.name not in handed_in or not _others(submissions, user)
    ]
    known = {
        user.name: Student(user.name, user.display_name, user.student_id, user.group)
        for user in users
        if user.role is Role.STUDENT and (not user.disabled or user.name in handed_in)
    }
    others = handed_in - {user.name for user in users}
    return [*known.values(), *(Student(name) for name in sorted(others))]


def _others(submissions: Submissions, user: User) -> bool:
    """Returns whether something was handed in under a name before there was this account."""
    since = datetime.fromtimestamp(user.created, UTC)
    for name in submissions.assignments():
        numbers = submissions.numbers(name, user.name)
        with suppress(BadReceipt):
            if numbers and submissions.version(name, user.name, numbers[0]).stamps.begun < since:
                return True
    return False


def _users(root: Path, database: str | None) -> list[User]:
    from ftpsvc.accounts.store import Accounts  # late: --help needs no database

    if database is None and not (root / _DATABASE).is_file():
        return []  # to read a root must not make a database in it
    with Accounts(root, database) as accounts:
        return accounts.users()


def _column(one: Assignment) -> Column:
    manual = {test.name: test.points for test in one.tests if test.kind == "manual"}
    return Column(one.id, one.title, one.due, one.points, one.sha256, manual)


def _fact(
    catalog: Catalog, submissions: Submissions, assignment: Assignment, user: str, standing: Standing
) -> Fact:
    name = assignment.id
    due = catalog.dates(assignment, user).due
    numbers = submissions.numbers(name, user)
    counting = standing.counting.get(name)
    if counting is None:
        damaged = "a receipt or a result is damaged: nobody knows which version counts" if numbers else None
        return Fact(len(numbers), due, damaged=damaged)
    folder = submissions.of(name, user)
    results = Results(folder)
    try:
        version = submissions.version(name, user, counting)
        newest, failure = results.newest(counting), results.failure(counting)
    except BadReceipt as error:
        return Fact(len(numbers), due, damaged=str(error))
    except (OSError, ValueError, TypeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is none of ours"
        return Fact(len(numbers), due, damaged=f"the result of version {counting} cannot be read: {reason}")
    return Fact(
        len(numbers),
        due,
        counting=counting,
        handed_in=lateness.moment(version.stamps, assignment.late),
        lateness=standing.penalty(name),
        result=newest,
        by_hand=byhand.points(byhand.read(folder), counting),
        failure=None if failure is None else failure.reason,
    )
