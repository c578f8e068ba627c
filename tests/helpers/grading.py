"""Assignments for tests: a folder with an assignment.toml and what lies beside it."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from ftpsvc.homework.catalog import Catalog
from ftpsvc.homework.desk import Desk
from ftpsvc.homework.grading.store import Results
from ftpsvc.homework.model import Assignment, load
from ftpsvc.homework.submissions import Submissions
from tests.helpers.receipts import files_of

HEAD = """
schema = 1
course = "prog1"
id = "{id}"
title = "A test"
open = 2026-01-01T00:00:00Z
due = {due}
close = 2100-01-01T00:00:00Z
[files]
extra = "keep"
[limits]
cpu = 100
wall = 110
{more}
"""


def assignment(
    folder: Path,
    tests: str,
    *,
    files: dict[str, str] | None = None,
    due: str = "2099-01-01T00:00:00Z",
    more: str = "",
) -> Assignment:
    """Writes and loads an assignment; its id is the folder's name.

    Args:
        folder: Where; it is made.
        tests: TOML of the tests.
        files: Further files, by their path in the folder.
        due: When it is due.
        more: TOML to stand before the tests.
    """
    write(
        folder, {"assignment.toml": HEAD.format(id=folder.name, due=due, more=more) + tests, **(files or {})}
    )
    return load(folder)


def write(folder: Path, files: dict[str, str]) -> Path:
    """Writes files, making their folders, and returns the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(content, "utf-8")
    return folder


class Course:
    """A server's root with assignments and hand-ins that a real desk took.

    Attributes:
        root: The root.
        now: What the desk's clock says.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.now = datetime(2026, 6, 1, tzinfo=UTC)
        self._desk: Desk | None = None

    def assignment(self, name: str, tests: str, **more: Any) -> Assignment:
        """Adds an assignment (`assignment`)."""
        return assignment(self.root / "assignments" / name, tests, **more)

    def hand_in(self, name: str, user: str, files: dict[str, str], at: datetime | None = None) -> int:
        """Hands something in, and returns the number of the version."""
        if self._desk is None:
            self._desk = Desk(self.root, Catalog(self.root), durable=False, now=lambda: self.now)
        desk = self._desk
        self.now = at or self.now + timedelta(seconds=1)
        contents = {path: text.encode() for path, text in files.items()}
        under = desk.begin(name, user, files_of(contents)).under
        folder = desk.submissions.of(name, user) / "incoming" / "files"
        for path, content in contents.items():
            (folder / path).write_bytes(content)
        return desk.commit(name, user, under.tree_sha256, under.begun, late=True).number

    def results(self, name: str, user: str) -> Results:
        """Returns the results of a user."""
        return Results(Submissions(self.root).of(name, user))
