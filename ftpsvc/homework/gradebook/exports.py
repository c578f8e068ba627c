"""The gradebook as files that other programs read: CSV as nbgrader has it, and what Canvas and Moodle take.

Only what is final is exported as a score; everything else is an empty field, which both leave as it is. Each text
that a spreadsheet could take for a formula is made a text: names come from people.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Final, Literal, TypeAlias

from ftpsvc.homework.gradebook.table import Cell, Gradebook

Identifier: TypeAlias = Literal["username", "idnumber"]

NBGRADER: Final = (
    "assignment", "duedate", "timestamp", "student_id", "last_name", "first_name", "email", "raw_score",
    "late_submission_penalty", "score", "max_score",
)  # fmt: skip
"""The columns of nbgrader's own CSV."""
OURS: Final = (
    "state", "version", "versions", "late_seconds", "late_percent", "late_days_used", "group", "student_number",
)  # fmt: skip
"""Those that follow."""

_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")


def plain(book: Gradebook, *, tests: bool = False) -> str:
    """Returns a line for each student and assignment.

    `student_id` is what the student logs in as, as nbgrader has it; `student_number` is the roster's student_id. Times
    are UTC. `score` and `max_score` are after the penalty, which `late_submission_penalty` has in points.

    Args:
        book: The gradebook.
        tests: Whether each test gets a column `ASSIGNMENT: NAME` with its points.
    """
    names = _tests(book) if tests else []
    lines: list[Sequence[object]] = [(*NBGRADER, *OURS, *(f"{column}: {name}" for column, name in names))]
    for column in book.columns:
        for row in book.rows:
            cell, who = row.cells[column.id], row.student
            found = cell.fact.lateness
            penalty = None if cell.raw is None or cell.score is None else cell.raw - cell.score
            scores = {(column.id, mark.name): mark.score for mark in cell.marks}
            lines.append(
                (
                    column.id, _time(cell.fact.due), _time(cell.fact.handed_in), who.name, "", who.display_name, "",
                    _number(cell.raw), _number(penalty), _number(cell.score), _number(cell.worth),
                    cell.state.value, cell.fact.counting or "", cell.fact.versions,
                    "" if found is None else found.seconds, "" if found is None else _number(found.percent),
                    "" if found is None else found.late_days_used, who.group, who.student_id,
                    *(_number(scores.get(name)) for name in names),
                )
            )  # fmt: skip
    return _csv(lines)


def canvas(book: Gradebook) -> str:
    """Returns what Canvas takes under Grades, Import: a line for each student, with those that are known by log-in."""
    head = ["Student", "ID", "SIS User ID", "SIS Login ID", "Section"]
    possible: list[object] = ["Points Possible", "", "", "", ""]
    lines: list[Sequence[object]] = [
        [*head, *(f"{column.title} ({column.id})" for column in book.columns)],
        [*possible, *(_number(column.points) for column in book.columns)],
    ]
    for row in book.rows:
        who = row.student
        scores = [_final(row.cells[column.id]) for column in book.columns]
        lines.append([who.display_name or who.name, "", who.student_id, who.name, who.group, *scores])
    return _csv(lines)


def moodle(book: Gradebook, identifier: Identifier = "username") -> str:
    """Returns what Moodle takes under Grades, Import, CSV file. Who has no such identifier is left out (`unknown`).

    Args:
        book: The gradebook.
        identifier: The field of Moodle's users that the first column is to be mapped to: the log-in name, or the
            student's number.
    """
    lines: list[Sequence[object]] = [
        [identifier, *(f"{column.title} ({column.id})" for column in book.columns)]
    ]
    for row in book.rows:
        who = row.student.name if identifier == "username" else row.student.student_id
        if who:
            lines.append([who, *(_final(row.cells[column.id]) for column in book.columns)])
    return _csv(lines)


def unknown(book: Gradebook, identifier: Identifier) -> list[str]:
    """Returns the users that Moodle's file has no line for."""
    return [row.student.name for row in book.rows if identifier == "idnumber" and not row.student.student_id]


def guarded(text: str) -> str:
    """Returns a text that no spreadsheet takes for a formula."""
    return f"'{text}" if text.lstrip(" \u00a0").startswith(_FORMULA) or text.startswith(_FORMULA) else text


def _tests(book: Gradebook) -> list[tuple[str, str]]:
    """Returns the tests that anybody has a result of, in their order."""
    found: dict[tuple[str, str], None] = {}
    for column in book.columns:
        for row in book.rows:
            found |= {(column.id, mark.name): None for mark in row.cells[column.id].marks}
    return list(found)


def _final(cell: Cell) -> str:
    return _number(cell.final)


def _number(value: float | None) -> str:
    return "" if value is None else f"{round(value, 6):.6f}".rstrip("0").rstrip(".")


def _time(value: datetime | None) -> str:
    return "" if value is None else value.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S")


def _csv(lines: Iterable[Sequence[object]]) -> str:
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerows([_field(one) for one in line] for line in lines)
    return out.getvalue()


def _field(value: object) -> str:
    text = str(value)
    if _is_number(text):
        return text  # also below zero
    return guarded(text.replace("\x00", "\ufffd"))


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return text.isascii() and text.strip() == text and text[:1] != "+"


__all__ = ["Identifier", "canvas", "guarded", "moodle", "plain", "unknown"]
