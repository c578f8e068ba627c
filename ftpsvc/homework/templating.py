"""Assignments out of the box: folders that come with ftpsvc, and become a teacher's own by their id and dates.

    templates/NAME/    an assignment as docs/homework.md has it, but that its `starter/` is not in `handout/` yet

The solution of a template may be a link to a lesson's programs: in a wheel, an installed package, and where it was
written to, it is a file like any other.
"""

from __future__ import annotations

import re
import shutil
import tempfile
from dataclasses import dataclass
from datetime import datetime, time, timedelta, tzinfo
from pathlib import Path
from typing import Final

from ftpsvc.exceptions import ConfigError
from ftpsvc.homework import model
from ftpsvc.homework.extensions import quoted
from ftpsvc.homework.model import FILE, HANDOUT, STARTER
from ftpsvc.text import printable

FOLDER: Final = Path(__file__).with_name("templates")

SPAN: Final = timedelta(days=14)
"""From the opening to the day on which it is due, where nobody says anything else."""

LATER: Final = timedelta(days=3)
"""From the due time until nothing is accepted any more."""

END_OF_DAY: Final = time(23, 59)

_ID: Final = re.compile(model.ID)
_KEY: Final = r"^({name}\s*=\s*).*$"
_CACHE: Final = "__pycache__"  # made beside programs by whoever installs a wheel


@dataclass(frozen=True, slots=True)
class Own:
    """What makes a template somebody's assignment. The three times have an offset, and are in their order.

    Attributes:
        course: The course that it belongs to; "" is the template's word for it.
    """

    id: str
    course: str
    open: datetime
    due: datetime
    close: datetime


def names() -> list[str]:
    """Returns the names of the templates, sorted."""
    return sorted(one.name for one in FOLDER.iterdir() if (one / FILE).is_file())


def check(name: str) -> None:
    """Checks that there is a template.

    Raises:
        ConfigError: There is none of that name; the hint has those that there are.
    """
    if name not in names():
        raise ConfigError(
            f"there is no template {printable(name)!r}", hint=f"the templates are: {', '.join(names())}"
        )


def check_id(name: str) -> None:
    """Checks what an assignment is to be called.

    Raises:
        ConfigError: None can be called so.
    """
    if not _ID.fullmatch(name) or name.endswith(".") or ".." in name:
        raise ConfigError(
            f"no assignment can be called {printable(name)!r}",
            hint="1 to 40 of a-z, 0-9, dot, dash and underscore, a letter or digit first",
        )


def dates(
    opens: datetime | None, due: datetime | None, zone: tzinfo | None, now: datetime
) -> tuple[datetime, datetime, datetime]:
    """Returns when an assignment opens, is due and closes.

    Args:
        opens: None: now.
        due: None: at the end of a day two weeks after the opening.
        zone: Whose days; None is this machine's.
        now: With an offset.

    Raises:
        ConfigError: It would be due before it opens, or the end of time comes first.
    """
    opens = (opens or now).replace(microsecond=0)
    opens = opens.astimezone(zone) if zone is not None else opens.astimezone()
    try:
        # Without a zone it is a day of this machine's, whose clocks may change until then.
        last = datetime.combine((opens + SPAN).date(), END_OF_DAY)
        due = due or (last.replace(tzinfo=zone) if zone is not None else last.astimezone())
        close = due + LATER
    except OverflowError:
        raise ConfigError("the due time is too far away") from None
    if close.year > model.LAST_YEAR:
        raise ConfigError("the due time is too far away")
    if due <= opens:
        raise ConfigError(f"it would be due at {due.isoformat()}, before it opens at {opens.isoformat()}")
    return opens, due, close


def write(name: str, target: Path, own: Own) -> None:
    """Writes a template as somebody's assignment: all of it, or nothing.

    Args:
        name: A template that there is.
        target: The folder that becomes the assignment; it must not exist.
        own: What makes it theirs.

    Raises:
        ConfigError: It cannot be written; nothing was.
    """
    target = target.absolute()
    if target.exists():
        raise ConfigError(f"{target} is there already")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".ftpsvc-", dir=target.parent) as beside:
            made = Path(beside, target.name)
            _fill(FOLDER / name, made, own)
            made.rename(target)
    except (OSError, shutil.Error) as error:
        raise ConfigError(f"cannot write {target}: {getattr(error, 'strerror', None) or error}") from None


def _fill(template: Path, made: Path, own: Own) -> None:
    for source, copy in ((template, made), (template / STARTER, made / HANDOUT)):
        # The content alone: who installed the package may have let nobody write to it.
        ignore = shutil.ignore_patterns(_CACHE)
        shutil.copytree(source, copy, ignore=ignore, copy_function=shutil.copyfile, dirs_exist_ok=True)
    for page in (made / HANDOUT).glob("README*"):
        page.write_text(page.read_text("utf-8").replace(template.name, own.id), "utf-8")
    values = {name: getattr(own, name).isoformat() for name in ("open", "due", "close")}
    values["id"] = quoted(own.id)
    if own.course:
        values["course"] = quoted(own.course)
    file = made / FILE
    text = file.read_text("utf-8").replace(f"check {template.name}", f"check {own.id}")
    for key, value in values.items():
        before, begin, rest = re.split(_KEY.format(name=key), text, maxsplit=1, flags=re.MULTILINE)
        text = f"{before}{begin}{value}{rest}"
    file.write_text(text, "utf-8")
