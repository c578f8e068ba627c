"""The commands `ftpsvc-grade report` and `missing` (docs/gradebook.md)."""

from __future__ import annotations

import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from ftpsvc.homework.commands.place import root_option, say
from ftpsvc.server.exits import Exit
from ftpsvc.text import count, printable

if TYPE_CHECKING:
    from ftpsvc.homework.gradebook.exports import Identifier
    from ftpsvc.homework.gradebook.gather import Gathered

_Command = TypeVar("_Command", bound=Callable[..., Any])


def roster_options(command: _Command) -> _Command:
    """Adds what says whose: `--group` and `--database`."""
    group = click.option("--group", metavar="NAME", help="Only students of this group of the roster.")
    database = click.option(
        "--database", metavar="URL", envvar="FTPSVCD_DATABASE",
        help="SQLAlchemy URL of the user database. [default: .ftpsvc/ftpsvc.db in the root]",
    )  # fmt: skip
    return group(database(command))


def _file(name: str, help_: str) -> Callable[[_Command], _Command]:
    return click.option(name, type=click.Path(dir_okay=False), metavar="FILE", help=help_)


@click.command("report")
@click.argument("assignment", required=False)
@click.option("--all", "everything", is_flag=True, help="All assignments: students by assignments.")
@_file("--csv", "Write a line for each student and assignment, in nbgrader's columns and ours; - is stdout.")
@click.option("--tests", is_flag=True, help="With --csv: a column for each test.")
@_file("--canvas", "Write what Canvas imports; - is stdout.")
@_file("--moodle", "Write what Moodle imports; - is stdout.")
@click.option(
    "--moodle-id", type=click.Choice(("username", "idnumber")), default="username", show_default=True,
    help="What Moodle knows its users by; idnumber is the student_id of the roster.",
)  # fmt: skip
@_file("--html", "Write one page with points, distributions, lists and links; - is stdout.")
@roster_options
@root_option
def report(
    *,
    assignment: str | None,
    everything: bool,
    csv: str | None,
    tests: bool,
    canvas: str | None,
    moodle: str | None,
    moodle_id: Identifier,
    html: str | None,
    group: str | None,
    database: str | None,
    root: Path,
) -> None:
    """Show the points of ASSIGNMENT, or of all of them, or write them to files.

    Students who handed in nothing are in it, and whoever is in no roster but handed in something. Exits with 0; with 5
    where something is damaged or could not be graded.
    """
    from ftpsvc.homework.gradebook import exports, page, terminal
    from ftpsvc.homework.gradebook.files import write
    from ftpsvc.homework.gradebook.gather import gather

    if everything == (assignment is not None):
        raise click.UsageError("name an assignment, or say --all")
    if tests and csv is None:
        raise click.UsageError("--tests goes with --csv")
    found = gather(root, assignment, group=group, database=database)
    book = found.book
    if csv is not None:
        write(csv, exports.plain(book, tests=tests))
    if canvas is not None:
        write(canvas, exports.canvas(book))
    if moodle is not None:
        write(moodle, exports.moodle(book, moodle_id))
    if html is not None:
        beside = None if html == "-" else Path(html).parent
        write(html, page.render(book, root, beside, datetime.now(UTC), found.zone))
    shown = not (csv or canvas or moodle or html)
    if shown:
        for line in terminal.all_(book) if everything else terminal.one(book, book.columns[0]):
            click.echo(line)
    if moodle is not None and (without := exports.unknown(book, moodle_id)):
        say(f"no line for {', '.join(map(printable, without))}: the roster has no student_id of theirs")
    sys.exit(_told(found, quiet=shown))


def _told(gathered: Gathered, *, quiet: bool) -> Exit:
    """Says what is not in the files, and returns the exit code."""
    from ftpsvc.homework.gradebook.table import State

    for fault in gathered.faulty:
        for line in fault.lines():
            say(line)
    bad = bool(gathered.faulty)
    for column in gathered.book.columns:
        rows = gathered.book.rows
        counts = {state: sum(row.cells[column.id].state is state for row in rows) for state in State}
        bad = bad or bool(counts[State.FAILED] or counts[State.DAMAGED])
        open_ = counts[State.WAITING] + counts[State.BY_HAND] + counts[State.FAILED] + counts[State.DAMAGED]
        if open_ and not quiet:
            say(f"{column.id}: {count(open_, 'hand-in')} without a final score; Canvas and Moodle get none")
    return Exit.FAULTS if bad else Exit.CLEAN


@click.command("missing")
@click.argument("assignment")
@roster_options
@root_option
def missing(*, assignment: str, group: str | None, database: str | None, root: Path) -> None:
    """List the students who handed in nothing for ASSIGNMENT, with their own due time.

    The first column is names only, for scripts. Exits with 0, also where nobody is missing.
    """
    from ftpsvc.homework.gradebook import terminal
    from ftpsvc.homework.gradebook.gather import gather

    found = gather(root, assignment, group=group, database=database)
    book = found.book
    lines = terminal.missing(book, book.columns[0], found.zone)
    for line in lines:
        click.echo(line)
    say(f"{len(lines) - 1 if lines else 0} of {count(len(book.rows), 'student')} handed in nothing")
