"""Publishes feedback: what a student may know of the version that counts, as files that the daemon shows its owner.

A publication is written aside and renamed, so a student sees it whole or not at all; the one before stays until then.
What a test's visibility hides, nothing in it names, but the points of all tests are in the score.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from ftpsvc.homework import feedback
from ftpsvc.homework.gradebook import terminal
from ftpsvc.homework.gradebook.table import Cell, Column, Mark, points
from ftpsvc.homework.grading.results import NOT_SCORED, TestResult
from ftpsvc.text import count, printable

_STAGED: Final = ".staged-"


def publish(folder: Path, column: Column, user: str, cell: Cell, now: datetime) -> bool:
    """Publishes a cell. Returns False, and changes nothing, where just this is published.

    Args:
        folder: `ROOT/submissions/ID/USER`.
        column: The assignment.
        user: Whose.
        cell: What is told; it has a result.
        now: Decides what is visible after the due time; with an offset.

    Raises:
        OSError: It cannot be written. What was published before stays.
        ValueError: The cell has no result.
    """
    shown, hidden = _shown(cell, now)
    files = {
        feedback.TEXT: _text(column, cell, shown, hidden).encode("utf-8", "replace"),
        feedback.RESULTS: _results(column, user, cell, shown),
    }
    newest = feedback.current(folder)
    if newest is not None and all(_same(newest / name, content) for name, content in files.items()):
        return False
    _write(folder, files)
    return True


def withdraw(folder: Path) -> bool:
    """Takes back what was published for a student. Returns False where nothing was.

    Raises:
        OSError: It cannot be written.
    """
    if feedback.current(folder) is None:
        return False
    _write(folder, {})
    return True


def _shown(cell: Cell, now: datetime) -> tuple[list[tuple[Mark, TestResult]], list[Mark]]:
    """Returns the tests that a student may see now, and those that not."""
    if cell.fact.result is None:
        raise ValueError("nothing is known of what has no result")
    shown, hidden = [], []
    for mark, test in zip(cell.marks, cell.fact.result.tests, strict=True):
        early = test.visibility == "after_due_date" and now < cell.fact.due
        if test.visibility == "hidden" or early:
            hidden.append(mark)
        else:
            shown.append((mark, test))
    if hidden:
        shown = [(mark, _without_names(test)) for mark, test in shown]
    return shown, hidden


def _without_names(test: TestResult) -> TestResult:
    """Returns a test that does not say which others it needs: that may be a hidden one."""
    if test.extra_data.verdict != "SKIP" or NOT_SCORED in test.tags:
        return test
    return test.model_copy(update={"output": "not run, because a test that it needs failed"})


def _results(column: Column, user: str, cell: Cell, shown: list[tuple[Mark, TestResult]]) -> bytes:
    """Returns Gradescope's results.json, without what is only for teachers: other tests, the machine, the reasons."""
    fact, result = cell.fact, cell.fact.result
    if result is None or fact.lateness is None:
        raise ValueError("nothing is known of what has no result")
    tests = []
    for mark, test in shown:
        one: dict[str, Any] = test.model_dump(mode="json")
        one["score"] = mark.score
        tests.append({key: value for key, value in one.items() if value is not None or key == "extra_data"})
    ours = {
        "schema": 1, "course": result.ours.submission.partition("/")[0], "assignment": column.id, "user": user,
        "version": fact.counting, "tree_sha256": result.ours.tree_sha256, "raw": cell.raw, "max": cell.worth,
        "late": {
            "seconds": fact.lateness.seconds, "percent": fact.lateness.percent,
            "late_days_used": fact.lateness.late_days_used,
        },
    }  # fmt: skip
    data = {
        "score": cell.score, "output": "", "visibility": "visible", "tests": tests, "extra_data": {"ftpsvc": ours},
    }  # fmt: skip
    return json.dumps(data, indent=1).encode("ascii") + b"\n"


def _text(column: Column, cell: Cell, shown: list[tuple[Mark, TestResult]], hidden: list[Mark]) -> str:
    fact = cell.fact
    late = terminal.late(cell)
    when = "" if fact.handed_in is None else fact.handed_in.astimezone(UTC).strftime("%Y-%m-%d %H:%M UTC")
    lines = [
        f"{column.id}: {printable(column.title)}",
        f"version {fact.counting} of {fact.versions}, handed in {when}" + (f", {late} late" if late else ""),
        f"points: {points(cell.score)} of {points(cell.worth)}"
        + (f" ({points(cell.raw)} before the penalty)" if cell.raw != cell.score else ""),
        "",
    ]
    for mark, test in shown:
        got = "-" if mark.score is None else points(mark.score)
        lines.append(f"{mark.number} {printable(mark.name)}: {mark.verdict}, {got} of {points(mark.worth)}")
        if mark.verdict not in ("AC", "by hand"):
            lines += [f"    {printable(line)}".rstrip() for line in test.output.splitlines()]
    if hidden:
        got = points(sum(mark.score or 0.0 for mark in hidden))
        worth = points(sum(mark.worth for mark in hidden))
        lines += ["", f"not shown: {count(len(hidden), 'test')}, {got} of {worth}"]
    return "\n".join(lines) + "\n"


def _same(path: Path, content: bytes) -> bool:
    try:
        return path.read_bytes() == content
    except OSError:
        return False


def _write(folder: Path, files: dict[str, bytes]) -> None:
    """Makes a publication, which is on the disk when this returns."""
    above = folder / feedback.FOLDER
    above.mkdir(mode=0o700, exist_ok=True)
    descriptor = os.open(above, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)  # two teachers at once
        _replace(folder, above, files)
    finally:
        os.close(descriptor)


def _replace(folder: Path, above: Path, files: dict[str, bytes]) -> None:
    for name in os.listdir(above):
        if name.startswith(_STAGED):  # of a command that was killed
            shutil.rmtree(above / name)
    known = feedback.numbers(folder)
    target = feedback.place(folder, known[-1] + 1 if known else 1)
    staged = above / f"{_STAGED}{target.name}"
    staged.mkdir(mode=0o700)
    for name, content in files.items():
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        with open(os.open(staged / name, flags, 0o444), "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
    _sync(staged)
    staged.rename(target)
    _sync(above)
    _sync(folder)


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
