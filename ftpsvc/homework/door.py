"""The rules at the door: what is wrong with a list of files, all at once, before a byte of it is sent (rule 3)."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final, NamedTuple

from ftpsvc.exceptions import InvalidPath
from ftpsvc.homework.globs import matches, matches_any
from ftpsvc.homework.lateness import Dates
from ftpsvc.homework.model import Assignment
from ftpsvc.receipts.tree import File, checked_path, collisions, in_order
from ftpsvc.text import count, format_size, printable

MAX_VERSIONS: Final = 200
"""Versions of one user for one assignment: what is kept for good must have a bound."""

MAX_OFFERED: Final = 5000
"""Files that are looked at, those included that an assignment drops."""

MAX_FOLDERS: Final = 1000
"""Folders that files of a version lie in: a thousand files could else make the server a hundred thousand of them."""

MAX_NAMES: Final = 256 * 1024
"""Bytes of all paths together: they stand in the receipt, which is kept for good and read at each look."""

_NAMED: Final = 10
"""Faults of one kind that are told one by one."""


class Looked(NamedTuple):
    """What the door makes of a list of files.

    Attributes:
        kept: What would be part of the version, in the order of the tree digest.
        dropped: Paths that the assignment does not want, in order.
        faults: What is wrong, a sentence each; empty: it may come in.
    """

    kept: list[File]
    dropped: list[str]
    faults: list[str]


def look(assignment: Assignment, offered: Sequence[File]) -> Looked:
    """Checks the files of a hand-in against the rules of its assignment."""
    faults: list[str] = []
    files: list[File] = []
    if len(offered) > MAX_OFFERED:
        return Looked(
            [], [], [f"{count(len(offered), 'file')} were offered, at most {MAX_OFFERED} are looked at"]
        )
    names = sum(len(file.path.encode("utf-8", "surrogatepass")) for file in offered)
    if names > MAX_NAMES:
        most = format_size(MAX_NAMES)
        reason = f"its paths have {format_size(names)}, at most {most} are looked at: name fewer files"
        return Looked([], [], [reason])
    for file in offered:
        try:
            files.append(file._replace(path=checked_path(file.path)))
        except InvalidPath as error:
            faults.append(str(error))
    faults += [printable(fault) for fault in collisions(files)]
    rules = assignment.files
    wanted = (*rules.required, *rules.optional)
    strange = [file for file in files if rules.extra != "keep" and not matches_any(wanted, file.path)]
    if rules.extra == "refuse":
        faults += [f"{printable(file.path)}: no such file is wanted" for file in strange]
    out = {file.path for file in strange} if rules.extra == "drop" else set()
    kept = in_order(file for file in files if file.path not in out)
    faults += [
        f"{pattern} is missing" if pattern.isidentifier() or "*" not in pattern else f"no file fits {pattern}"
        for pattern in rules.required
        if not any(matches(pattern, file.path) for file in kept)
    ]
    if not kept and not faults:
        faults.append("there is no file in it that is wanted")
    if len(kept) > rules.max_files:
        faults.append(f"it has {count(len(kept), 'file')}, at most {rules.max_files} are accepted")
    folders = {
        tuple(parts[:end])
        for parts in (file.path.split("/") for file in kept)
        for end in range(1, len(parts))
    }
    if len(folders) > MAX_FOLDERS:
        faults.append(f"it has {count(len(folders), 'folder')}, at most {MAX_FOLDERS} are accepted")
    size = sum(file.size for file in kept)
    if size > rules.max_bytes:
        faults.append(f"it has {format_size(size)}, at most {format_size(rules.max_bytes)} are accepted")
    return Looked(kept, sorted(out, key=str.encode), _bounded(faults))


def shut(dates: Dates, moment: datetime) -> str | None:
    """Returns why nothing is accepted at a moment, or None."""
    if moment < dates.open:
        return f"it opens at {_shown(dates.open)}"
    if moment > dates.close:
        ago = timedelta(seconds=int((moment - dates.close).total_seconds()))
        return f"it closed at {_shown(dates.close)}, {ago} ago"
    return None


def _shown(when: datetime) -> str:
    return when.strftime("%Y-%m-%d %H:%M %z")


def _bounded(faults: list[str]) -> list[str]:
    """Returns faults that fit an answer: names may be long and many."""
    shown = [fault if len(fault) <= 160 else fault[:157] + "..." for fault in faults[:_NAMED]]
    if len(faults) > _NAMED:
        shown.append(f"and {count(len(faults) - _NAMED, 'fault')} more")
    return shown
