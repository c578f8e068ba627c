"""The gradebook as a table: pure functions of results, lateness and points by hand.

Nothing of it is stored; each look works it out again, so an extension or a regrade sets it right by itself. Nobody gets
a 0 by an omission: where there is no result, or points by hand are still to come, the state says so.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Final

from ftpsvc.homework.grading.results import Result
from ftpsvc.homework.lateness import Lateness

_DIGITS: Final = 6


class State(StrEnum):
    """What is known of one student's hand-in for one assignment."""

    GRADED = "graded"
    BY_HAND = "by hand"
    """Points by hand are still to come; the score is of what there is."""
    WAITING = "not graded"
    FAILED = "error"
    """Grading failed, and there is no earlier result."""
    DAMAGED = "damaged"
    """A receipt is gone or cannot be read, so nobody knows what counts."""
    MISSING = "missing"


@dataclass(frozen=True, slots=True)
class Student:
    """One student, as far as the roster knows them.

    Attributes:
        name: What they log in as.
        display_name: What people call them; may be empty.
        student_id: May be empty.
        group: Section of the class; may be empty.
    """

    name: str
    display_name: str = ""
    student_id: str = ""
    group: str = ""


@dataclass(frozen=True, slots=True)
class Column:
    """One assignment.

    Attributes:
        id: Its id.
        title: Its name for people.
        due: Everybody's due time.
        points: What it is worth.
        sha256: Of its file, to tell results that were made by another one.
        manual: What the tests are worth that a person judges, by name.
    """

    id: str
    title: str
    due: datetime
    points: float
    sha256: str = ""
    manual: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Fact:
    """What lies on the disk of one student and assignment.

    Attributes:
        versions: How many were handed in.
        counting: Number of the version that counts; None where there is none.
        handed_in: The time that it counts as handed in at, or None.
        due: The student's due time.
        lateness: Of the version that counts; None where there is none.
        result: Its newest result; None where there is none.
        by_hand: Points by hand for it, by the name of the test.
        failure: Why the attempt after that result failed; None where it did not.
        damaged: What is wrong with what lies there, or None.
    """

    versions: int
    due: datetime
    counting: int | None = None
    handed_in: datetime | None = None
    lateness: Lateness | None = None
    result: Result | None = None
    by_hand: Mapping[str, float] = field(default_factory=dict)
    failure: str | None = None
    damaged: str | None = None


@dataclass(frozen=True, slots=True)
class Mark:
    """One test of a cell.

    Attributes:
        number: Its place, as in the result.
        name: Its name.
        score: Points; None where nobody can say.
        worth: What there is to get.
        verdict: Of the grader; "by hand" where a person judges.
    """

    number: str
    name: str
    score: float | None
    worth: float
    verdict: str


@dataclass(frozen=True, slots=True)
class Cell:
    """What one student has for one assignment.

    Attributes:
        state: What is known.
        fact: Where it comes from.
        worth: Points that there are.
        raw: Points before the penalty, those by hand included; None without a result.
        score: Points after it. What is lost by lateness is lost of points by hand too.
        marks: The tests; empty without a result.
        stale: Whether it was graded by another assignment file than there is now.
    """

    state: State
    fact: Fact
    worth: float
    raw: float | None = None
    score: float | None = None
    marks: tuple[Mark, ...] = ()
    stale: bool = False

    @property
    def final(self) -> float | None:
        """The score where nothing of it is still to come, or None."""
        return self.score if self.state is State.GRADED else None

    @property
    def late(self) -> bool:
        """Whether it costs something to be as late as this."""
        return self.fact.lateness is not None and not self.fact.lateness.on_time


@dataclass(frozen=True, slots=True)
class Row:
    """One student.

    Attributes:
        student: Who.
        cells: By assignment, one for each column.
        total: Sum of the scores that there are; None where there is none.
        late_days_left: Of the pool.
    """

    student: Student
    cells: Mapping[str, Cell]
    total: float | None
    late_days_left: int


@dataclass(frozen=True, slots=True)
class Gradebook:
    """All of it.

    Attributes:
        title: The course's; may be empty.
        columns: The assignments, by due time.
        rows: The students, by name.
        late_days: Late days that each student began with.
    """

    title: str
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    late_days: int

    def where(self, column: Column, *states: State) -> list[Row]:
        """Returns the students whose cell is in one of these states."""
        return [row for row in self.rows if row.cells[column.id].state in states]

    def scores(self, column: Column) -> list[float]:
        """Returns the final scores of an assignment, ascending."""
        finals = (row.cells[column.id].final for row in self.rows)
        return sorted(one for one in finals if one is not None)


@dataclass(frozen=True, slots=True)
class Summary:
    """One assignment in numbers; those of points are None where nobody has any."""

    students: int
    handed_in: int
    graded: int
    late: int
    mean: float | None
    median: float | None
    least: float | None
    most: float | None


def cell(column: Column, fact: Fact) -> Cell:
    """Returns what a student has for an assignment."""
    if fact.damaged is not None:
        return Cell(State.DAMAGED, fact, column.points)
    if fact.counting is None:
        return Cell(State.MISSING, fact, column.points)
    if fact.result is None:
        return Cell(State.WAITING if fact.failure is None else State.FAILED, fact, column.points)
    result = fact.result
    marks = tuple(
        Mark(one.number, one.name, one.score, one.max_score, one.extra_data.verdict)
        if one.extra_data.verdict is not None
        else Mark(one.number, one.name, fact.by_hand.get(one.name), one.max_score, "by hand")
        for one in result.tests
    )
    by_hand = [mark for mark in marks if mark.verdict == "by hand"]
    raw = _rounded(result.ours.raw + sum(mark.score or 0.0 for mark in by_hand))
    score = raw if fact.lateness is None else _rounded(fact.lateness.after_penalty(raw))
    whole = all(mark.score is not None for mark in by_hand)
    return Cell(
        State.GRADED if whole else State.BY_HAND,
        fact,
        result.ours.max,
        raw,
        score,
        marks,
        bool(column.sha256) and result.ours.assignment_sha256 != column.sha256,
    )


def gradebook(
    title: str,
    late_days: int,
    columns: Sequence[Column],
    students: Iterable[Student],
    facts: Mapping[tuple[str, str], Fact],
    late_days_left: Mapping[str, int],
) -> Gradebook:
    """Returns the gradebook.

    Args:
        title: Of the course; may be empty.
        late_days: That each student began with.
        columns: The assignments.
        students: The students.
        facts: By student and assignment; one for each pair.
        late_days_left: By student; who is not there has them all.
    """
    rows = []
    for student in sorted(students, key=lambda one: one.name):
        cells = {column.id: cell(column, facts[student.name, column.id]) for column in columns}
        scores = [one.score for one in cells.values() if one.score is not None]
        total = _rounded(sum(scores)) if scores else None
        rows.append(Row(student, cells, total, late_days_left.get(student.name, late_days)))
    return Gradebook(title, tuple(columns), tuple(rows), late_days)


def summary(book: Gradebook, column: Column) -> Summary:
    """Returns an assignment in numbers."""
    cells = [row.cells[column.id] for row in book.rows]
    scores = book.scores(column)
    return Summary(
        students=len(cells),
        handed_in=sum(one.fact.versions > 0 for one in cells),
        graded=len(scores),
        late=sum(one.late for one in cells),
        mean=_rounded(statistics.fmean(scores)) if scores else None,
        median=_rounded(statistics.median(scores)) if scores else None,
        least=scores[0] if scores else None,
        most=scores[-1] if scores else None,
    )


def histogram(scores: Iterable[float], worth: float, bins: int = 10) -> list[int]:
    """Returns how many scores lie in each of `bins` equal parts of what there is to get.

    The upper end of a part belongs to the next one; full points, and more, to the last.
    """
    found = [0] * bins
    for score in scores:
        part = int(score / worth * bins + 1e-9) if worth > 0 else bins - 1
        found[max(0, min(part, bins - 1))] += 1
    return found


def points(value: float | None) -> str:
    """Returns points for a person: at most two decimals, and nothing for None."""
    return "" if value is None else f"{value:.2f}".rstrip("0").rstrip(".")


def _rounded(value: float) -> float:
    return round(value, _DIGITS)
