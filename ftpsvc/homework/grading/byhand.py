"""Points that a person gives: `ROOT/submissions/ID/USER/manual.jsonl`, which is only ever appended to.

A line is about one test of one version; a later line about the same goes over it. Who wrote it and why stands in it,
and in the audit.
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

FILE: Final = "manual.jsonl"


@dataclass(frozen=True, slots=True)
class Entry:
    """One line.

    Attributes:
        time: When, UTC, `2026-03-01T08:15:30.123Z`.
        author: Who gave them.
        version: The version that they are for.
        test: Name of the test.
        points: From 0 to what the test is worth; None takes earlier points back.
        reason: Why.
    """

    time: str
    author: str
    version: int
    test: str
    points: float | None
    reason: str


def append(folder: Path, entry: Entry) -> None:
    """Adds a line, which is on the disk when this returns.

    Args:
        folder: `ROOT/submissions/ID/USER`.
        entry: What it says.

    Raises:
        OSError: It cannot be written.
    """
    flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW
    descriptor = os.open(folder / FILE, flags, 0o600)
    with open(descriptor, "ab") as file:
        size = os.fstat(descriptor).st_size
        torn = size > 0 and os.pread(descriptor, 1, size - 1) != b"\n"
        file.write((b"\n" if torn else b"") + json.dumps(asdict(entry)).encode("ascii") + b"\n")
        file.flush()
        os.fsync(descriptor)


def read(folder: Path) -> list[Entry]:
    """Returns the lines, oldest first; half a line of a killed process is left out.

    Raises:
        OSError: They cannot be read.
    """
    try:
        lines = (folder / FILE).read_bytes().split(b"\n")
    except (FileNotFoundError, NotADirectoryError):
        return []
    entries = []
    for line in lines:
        try:
            entries.append(Entry(**json.loads(line)))
        except (ValueError, TypeError):
            continue
    return entries


def points(entries: list[Entry], version: int) -> dict[str, float]:
    """Returns the points that hold for a version, by the name of the test."""
    found: dict[str, float] = {}
    for one in entries:
        if one.version == version:
            found.pop(one.test, None)
            if one.points is not None:
                found[one.test] = one.points
    return found
