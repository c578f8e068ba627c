"""The gradebook for a terminal: lines of plain text that no name in them can turn into anything else."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import tzinfo

from ftpsvc.homework.gradebook.table import Cell, Column, Gradebook, State, points, summary
from ftpsvc.text import count, padded, printable, width


def one(book: Gradebook, column: Column) -> list[str]:
    """Returns the table of one assignment: a line for each student, then it in numbers."""
    head = ("USER", "NAME", "GROUP", "VERSION", "POINTS", "LATE", "STATE")
    rows = []
    for row in book.rows:
        cell = row.cells[column.id]
        version = "" if cell.fact.counting is None else f"{cell.fact.counting} of {cell.fact.versions}"
        rows.append(
            (
                row.student.name, row.student.display_name, row.student.group, version, points(cell.score), late(cell),
                note(cell),
            )
        )  # fmt: skip
    return [*columns(head, rows, right=("POINTS",)), "", *in_numbers(book, column)]


def all_(book: Gradebook) -> list[str]:
    """Returns the matrix of students by assignments, then each assignment in numbers."""
    head = ("USER", "GROUP", *(column.id for column in book.columns), "TOTAL")
    rows = []
    for row in book.rows:
        cells = [short(row.cells[column.id]) for column in book.columns]
        rows.append((row.student.name, row.student.group, *cells, points(row.total)))
    out = columns(head, rows, right=head[2:])
    if book.rows:
        out += ["", *legend(book)]
    for column in book.columns:
        out += in_numbers(book, column)
    return out


def legend(book: Gradebook) -> list[str]:
    """Returns what the signs of the matrix mean, as far as they are in it."""
    signs = {
        "+": (State.BY_HAND, "points by hand are still to come"),
        "?": (State.WAITING, "not graded yet"),
        "!": (State.FAILED, "could not be graded"),
        "#": (State.DAMAGED, "damaged"),
        "-": (State.MISSING, "nothing handed in"),
    }
    there = {cell.state for row in book.rows for cell in row.cells.values()}
    said = [f"{sign} {text}" for sign, (state, text) in signs.items() if state in there]
    if any(cell.late for row in book.rows for cell in row.cells.values()):
        said.append("L late")
    return [", ".join(said)] if said else []


def short(cell: Cell) -> str:
    """Returns a cell of the matrix."""
    mark = {State.WAITING: "?", State.FAILED: "!", State.DAMAGED: "#", State.MISSING: "-"}.get(cell.state)
    text = mark or points(cell.score) + ("+" if cell.state is State.BY_HAND else "")
    return f"{text} L" if cell.late else text


def note(cell: Cell) -> str:
    """Returns the state of a cell, and why where there is something to say."""
    text = cell.state.value
    if cell.state is State.BY_HAND:
        names = ", ".join(
            mark.name for mark in cell.marks if mark.verdict == "by hand" and mark.score is None
        )
        text = f"to be graded by hand: {names}"
    elif cell.state is State.DAMAGED:
        text = f"damaged: {cell.fact.damaged}"
    elif cell.state is State.FAILED:
        text = f"error: {cell.fact.failure}"
    elif cell.fact.failure is not None:
        text += f"; the next attempt failed: {cell.fact.failure}"
    return text + ("; by an assignment that was changed since" if cell.stale else "")


def late(cell: Cell) -> str:
    """Returns how late the version that counts is and what that costs; empty where it is on time."""
    found = cell.fact.lateness
    if found is None or found.on_time:
        return ""
    cost = [f"-{found.percent:g} %"] if found.percent else []
    if found.late_days_used:
        cost.append(count(found.late_days_used, "late day"))
    return f"{span(found.seconds)}" + (f", {', '.join(cost)}" if cost else "")


def span(seconds: int) -> str:
    """Returns a length of time: `2 d 3 h`, `3 h 5 min`, `5 min`, `12 s`."""
    days, rest = divmod(seconds, 86400)
    hours, rest = divmod(rest, 3600)
    minutes, rest = divmod(rest, 60)
    parts = [(days, "d"), (hours, "h"), (minutes, "min")]
    first = next((place for place, (value, _) in enumerate(parts) if value), None)
    if first is None:
        return f"{rest} s"
    return " ".join(f"{value} {unit}" for value, unit in parts[first : first + 2] if value)


def in_numbers(book: Gradebook, column: Column) -> list[str]:
    """Returns an assignment in one line."""
    found = summary(book, column)
    text = (
        f"{printable(column.id)}: {count(found.students, 'student')}, {found.handed_in} handed in, "
        f"{found.graded} graded, {found.late} late"
    )
    if found.mean is not None:
        text += (
            f"; of {points(column.points)} points: mean {points(found.mean)}, median {points(found.median)}, "
            f"from {points(found.least)} to {points(found.most)}"
        )
    return [text]


def missing(book: Gradebook, column: Column, zone: tzinfo | None) -> list[str]:
    """Returns who handed in nothing: a line each, with their own due time."""
    rows = [
        (
            row.student.name, row.student.display_name, row.student.group,
            row.cells[column.id].fact.due.astimezone(zone).strftime("%Y-%m-%d %H:%M %z"),
        )
        for row in book.where(column, State.MISSING)
    ]  # fmt: skip
    return columns(("USER", "NAME", "GROUP", "DUE"), rows)


def columns(head: Sequence[str], rows: Sequence[Sequence[str]], right: Sequence[str] = ()) -> list[str]:
    """Returns lines of columns; nothing at all where there are no rows.

    Args:
        head: Names of the columns.
        rows: Their texts, which are escaped here.
        right: Names of the columns that are aligned to the right.
    """
    if not rows:
        return []
    lines = [[printable(text) for text in line] for line in (head, *rows)]
    widths = [max(width(line[place]) for line in lines) for place in range(len(head))]
    out = []
    for line in lines:
        cells = []
        for place, text in enumerate(line):
            cells.append(padded(text, widths[place], right=head[place] in right))
        out.append("  ".join(cells).rstrip())
    return out
