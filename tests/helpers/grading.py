"""Assignments for tests: a folder with an assignment.toml and what lies beside it."""

from pathlib import Path

from ftpsvc.homework.model import Assignment, load

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
