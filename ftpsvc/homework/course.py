"""What holds for the whole course: `course.toml` in the server's root, which need not be there (docs/homework.md)."""

from datetime import UTC, tzinfo
from pathlib import Path
from typing import Annotated, Final
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, Field, StringConstraints, ValidationError

from ftpsvc.homework import tomltext
from ftpsvc.homework.faults import Fault, HomeworkFaults
from ftpsvc.homework.loading import explained
from ftpsvc.homework.model import Section

FILE: Final = "course.toml"


def _zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (OSError, ValueError, KeyError):
        raise ValueError(
            f"{name!r} is no time zone that this system knows (as Europe/Berlin; they come with the package tzdata)"
        ) from None
    return name


class Course(Section):
    """A course.

    Attributes:
        title: Its name for people; empty where nobody said it.
        late_days: Days that each student may be late by over all assignments that use them, at no cost.
        time_zone: What times without an offset on the command line are in, and times are shown in; None: nobody said.
    """

    title: Annotated[str, StringConstraints(max_length=200)] = ""
    late_days: Annotated[int, Field(ge=0, le=1000)] = 0
    time_zone: Annotated[str, AfterValidator(_zone)] | None = None

    @property
    def zone(self) -> tzinfo | None:
        """The time zone; None where nobody said it."""
        return None if self.time_zone is None else ZoneInfo(self.time_zone)

    def zone_or_utc(self) -> tzinfo:
        """Returns the time zone, or UTC."""
        return self.zone or UTC


def load(root: Path) -> Course:
    """Reads the course of a server's root; one of all defaults where there is no file.

    Raises:
        HomeworkFaults: It cannot be used; all that is wrong.
    """
    file = root / FILE
    if not file.exists():
        return Course()
    read = tomltext.read(file)
    if isinstance(read, Fault):
        raise HomeworkFaults(FILE, [read])
    try:
        return Course.model_validate(read.values)
    except ValidationError as error:
        raise HomeworkFaults(FILE, explained(read, error, Course)) from None
