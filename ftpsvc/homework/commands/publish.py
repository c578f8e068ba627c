"""The command `ftpsvc-grade publish` (docs/gradebook.md)."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from pathlib import Path

import click

from ftpsvc.exceptions import ConfigError
from ftpsvc.homework.commands.place import root_option, say
from ftpsvc.homework.commands.report import roster_options
from ftpsvc.server.exits import Exit
from ftpsvc.text import count, printable


@click.command("publish")
@click.argument("assignment")
@click.option(
    "--user", "users", multiple=True, metavar="USER", help="Only this one's; may be given several times."
)
@click.option("--partial", is_flag=True, help="Also where points by hand are still to come.")
@click.option("--withdraw", is_flag=True, help="Take back what was published.")
@click.option("--author", metavar="NAME", help="Who does it. [default: the name that you are logged in by]")
@roster_options
@root_option
def publish(
    *,
    assignment: str,
    users: tuple[str, ...],
    partial: bool,
    withdraw: bool,
    author: str | None,
    group: str | None,
    database: str | None,
    root: Path,
) -> None:
    """Show students the feedback on what they handed in for ASSIGNMENT, each only their own, under /feedback.

    What is published stays as it is until it is published again. Exits with 0; with 5 where something that was handed
    in has no final score yet, and is not published.
    """
    from ftpsvc.homework.commands.set import operator
    from ftpsvc.homework.gradebook import publish as publishing
    from ftpsvc.homework.gradebook import terminal
    from ftpsvc.homework.gradebook.gather import gather
    from ftpsvc.homework.gradebook.table import State
    from ftpsvc.homework.submissions import Submissions
    from ftpsvc.server.audit import record_beside

    by = author or operator()
    book = gather(root, assignment, group=group, database=database).book
    (column,) = book.columns
    rows = [row for row in book.rows if not users or row.student.name in users]
    if unknown := sorted(set(users) - {row.student.name for row in rows}):
        raise ConfigError(
            f"no student is called {', '.join(map(printable, unknown))}",
            hint="ftpsvc-server user list shows them",
        )
    good = (State.GRADED, State.BY_HAND) if partial else (State.GRADED,)
    submissions, now = Submissions(root), datetime.now(UTC)
    changed = same = left = 0
    for row in rows:
        cell, folder = row.cells[column.id], submissions.of(column.id, row.student.name)
        if withdraw:
            changed += publishing.withdraw(folder)
        elif cell.state in good:
            done = publishing.publish(folder, column, row.student.name, cell, now)
            changed, same = changed + done, same + (not done)
        elif cell.state is not State.MISSING:
            left += 1
            say(f"{printable(row.student.name)}: not published: {printable(terminal.note(cell))}")
    if changed:
        what = "withdraw" if withdraw else f"partial={str(partial).lower()}"
        record_beside(
            root, "operator", address="console", operator=by, command="grade publish",
            arguments=f"{assignment} {what} changed={changed} users={','.join(users) or group or '*'}",
        )  # fmt: skip
    if withdraw:
        say(f"{assignment}: took back the feedback of {count(changed, 'student')}")
    else:
        as_before = f", {same} as before" if same else ""
        say(
            f"{assignment}: published for {count(changed, 'student')}{as_before}"
            + (f", {left} left out" if left else "")
        )
    sys.exit(Exit.FAULTS if left else Exit.CLEAN)
