"""What the operator's commands share: where the users are, options, errors in one line, tables."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

import click

from ftpsvc.exceptions import ConfigError, FtpsvcError, Unavailable
from ftpsvc.text import format_size, padded, printable, width

if TYPE_CHECKING:
    from ftpsvc.accounts.store import Accounts

FAILED: Final = 1
USAGE: Final = 2
BUSY: Final = 14
PARTIAL: Final = 20

_UNITS: Final = {"": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30, "t": 1 << 40}
_SIZE = re.compile(r"(\d{1,15}(?:\.\d{1,6})?)\s*([kmgt]?)(?:i?b)?", re.IGNORECASE)
_SPANS: Final = {"m": 60, "h": 3600, "d": 86400, "w": 604800}
_SPAN = re.compile(r"(\d{1,5})([mhdw])", re.IGNORECASE)

_Command = TypeVar("_Command", bound=Callable[..., object])


@dataclass(frozen=True, slots=True)
class Place:
    """Where the users are. A command that these groups are attached to may put its own as the context's object.

    Attributes:
        root: The server's root.
        database: A SQLAlchemy URL, or None for the file under the root.
    """

    root: Path = Path("server_storage")
    database: str | None = None


class Size(click.ParamType[int]):
    """A number of bytes: `500M`, `5GiB`, `1000000`; or `none`, which becomes -1."""

    name = "size"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Returns the bytes."""
        if isinstance(value, int):
            return value
        if value.strip().lower() == "none":
            return -1
        match = _SIZE.fullmatch(value.strip())
        if match is None:
            self.fail(f"{value!r} is no size; write 500M, 5GiB or none", param, ctx)
        return int(float(match[1]) * _UNITS[match[2].lower()])


class Span(click.ParamType[int]):
    """A time: `30m`, `12h`, `14d`, `2w`. Becomes seconds."""

    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Returns the seconds."""
        if isinstance(value, int):
            return value
        match = _SPAN.fullmatch(value.strip())
        if match is None or not int(match[1]):
            self.fail(f"{value!r} is no time; write 30m, 12h, 14d or 2w", param, ctx)
        return int(match[1]) * _SPANS[match[2].lower()]


class Group(click.Group):
    """A group whose errors are told in one line, with a hint where there is one."""

    def invoke(self, ctx: click.Context) -> Any:
        """Runs the command."""
        return self.told(ctx, lambda: super(Group, self).invoke(ctx))

    @staticmethod
    def told(ctx: click.Context, run: Callable[[], Any]) -> Any:
        """Runs something, and ends with what became of it in one line and an exit code."""
        try:
            return run()
        except FtpsvcError as problem:
            from ftpsvc.accounts.roster import RosterFaulty  # late: it brings the database

            if isinstance(problem, RosterFaulty):
                list_faults(problem.faults)
            say(f"error: {problem}")
            if problem.hint:
                say(f"hint: {problem.hint}")
            if isinstance(problem, Unavailable):
                ctx.exit(BUSY)
            ctx.exit(USAGE if isinstance(problem, (ConfigError, ValueError)) else FAILED)


def say(line: str) -> None:
    """Writes a line for a person to stderr."""
    click.echo(f"ftpsvc-server: {printable(line)}", err=True)


def list_faults(faults: Iterable[object]) -> None:
    """Writes what is wrong in a roster to stderr, a line each."""
    for fault in faults:
        click.echo(printable(str(fault)), err=True)


def place_options(command: _Command) -> _Command:
    """Adds --root and --database."""
    for option in (
        click.option(
            "--database", metavar="URL", envvar="FTPSVCD_DATABASE",
            help="SQLAlchemy URL of the user database. [default: .ftpsvc/ftpsvc.db in the root]",
        ),
        click.option(
            "--root", type=click.Path(path_type=Path), metavar="DIR", envvar="FTPSVCD_ROOT",
            help="The server's root. [default: ./server_storage]",
        ),
    ):  # fmt: skip
        command = option(command)
    return command


def set_place(ctx: click.Context, root: Path | None, database: str | None) -> None:
    """Keeps where the users are for the commands of a group."""
    known = ctx.find_object(Place) or Place()
    ctx.obj = Place(root or known.root, database or known.database)


def open_accounts(place: Place) -> Accounts:
    """Opens the users; the caller closes."""
    from ftpsvc.accounts.store import Accounts  # late: --help needs no database

    return Accounts(place.root, place.database)


def quota_of(value: int) -> int | None:
    """Returns a quota as it is kept, of what `Size` made."""
    return None if value < 0 else value


def size_text(quota: int | None) -> str:
    """Returns a quota for a person."""
    return "none" if quota is None else format_size(quota)


def moment(seconds: int) -> str:
    """Returns a time for a person, in the zone of this machine."""
    return time.strftime("%Y-%m-%d %H:%M", time.localtime(seconds))


def print_json(value: dict[str, Any]) -> None:
    """Prints an object on one line."""
    click.echo(json.dumps(value))


def print_table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> None:
    """Prints columns of text; the last is as long as it is. Nothing at all where there are no rows."""
    if not rows:
        return
    lines = [head, *(tuple(printable(cell) for cell in row) for row in rows)]
    widths = [max(width(line[column]) for line in lines) for column in range(len(head) - 1)]
    for line in lines:
        cells = [padded(cell, columns) for cell, columns in zip(line, widths, strict=False)]
        click.echo("  ".join([*cells, line[-1]]).rstrip())
