"""More time for one student, or other times for all: `extensions.toml` beside an assignment (docs/homework.md).

The file is a list that is added to at its end and applied from the top: a later entry goes over an earlier one. The
assignment itself is never edited for it, and the list says who got what and why.
"""

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Annotated, Final

from pydantic import Field, ValidationError, model_validator

from ftpsvc.homework import tomltext
from ftpsvc.homework.faults import AssignmentFaults, Fault
from ftpsvc.homework.lateness import Dates
from ftpsvc.homework.loading import explained
from ftpsvc.homework.model import Assignment, AsTuple, Line, Moment, Section

FILE: Final = "extensions.toml"
EVERYBODY: Final = "*"


class Extension(Section):
    """One entry.

    Attributes:
        user: Whose; `*` is everybody's.
        due: The new due time; None leaves it.
        close: The new close; None leaves it, but never before a new `due`.
        reason: Why, for teachers.
        given: When, and None where that was not written down.
    """

    user: Line
    due: Moment | None = None
    close: Moment | None = None
    reason: str = ""
    given: Moment | None = None

    @model_validator(mode="after")
    def _says_something(self) -> "Extension":
        if self.due is None and self.close is None:
            raise ValueError("says neither due nor close")
        if self.due is not None and self.close is not None and self.close < self.due:
            raise ValueError("close must not be earlier than due")
        return self


class _File(Section):
    extension: Annotated[tuple[Extension, ...], AsTuple, Field()] = ()


def load(folder: Path) -> tuple[Extension, ...]:
    """Reads the extensions of the assignment in a folder; none where there is no file.

    Raises:
        AssignmentFaults: They cannot be used; all that is wrong.
    """
    file = folder / FILE
    if not file.exists():
        return ()
    read = tomltext.read(file)
    if isinstance(read, Fault):
        raise AssignmentFaults(FILE, [read])
    try:
        return _File.model_validate(read.values).extension
    except ValidationError as error:
        raise AssignmentFaults(f"{FILE} of {folder.name}", explained(read, error, _File)) from None


def dates(assignment: Assignment, extensions: Sequence[Extension], user: str) -> Dates:
    """Returns when something is accepted from a user."""
    due, close = assignment.due, assignment.close
    for one in extensions:
        if one.user not in (user, EVERYBODY):
            continue
        if one.due is not None:
            due = one.due
            close = max(close, due)
        if one.close is not None:
            close = one.close
    # Closed before it was due: then that is when it was due.
    return Dates(assignment.open, min(due, close), close)


def entry(extension: Extension) -> str:
    """Returns the lines that say an extension in the file, with an empty one before them."""
    lines = ["", "[[extension]]", f"user = {quoted(extension.user)}"]
    for name in ("due", "close", "given"):
        value: datetime | None = getattr(extension, name)
        if value is not None:
            lines.append(f"{name} = {value.isoformat()}")
    if extension.reason:
        lines.append(f"reason = {quoted(extension.reason)}")
    return "\n".join([*lines, ""])


def quoted(text: str) -> str:
    """Returns a TOML basic string: what JSON escapes, and what else TOML wants escaped."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return '"' + "".join(c if c >= " " and c != "\x7f" else f"\\u{ord(c):04x}" for c in escaped) + '"'
