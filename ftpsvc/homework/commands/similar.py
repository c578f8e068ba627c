"""The command `ftpsvc-grade similar` (docs/gradebook.md)."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from ftpsvc.homework.commands.place import root_option, say
from ftpsvc.homework.commands.report import roster_options
from ftpsvc.server.exits import Exit
from ftpsvc.text import count, printable


@click.command("similar")
@click.argument("assignment")
@click.option(
    "--threshold", type=click.FloatRange(1, 100), default=33.0, show_default=True, metavar="PERCENT",
    help="Show files of which at least so much is in the other.",
)  # fmt: skip
@click.option(
    "--html",
    type=click.Path(dir_okay=False),
    metavar="FILE",
    help="Write a page with them side by side; - is stdout.",
)
@roster_options
@root_option
def similar(
    *,
    assignment: str,
    threshold: float,
    html: str | None,
    group: str | None,
    database: str | None,
    root: Path,
) -> None:
    """List files of different students that are alike, of the versions that count of ASSIGNMENT.

    What is in starter/, handout/ and the folders of [similarity] base does not count. Exits with 0, also where some are
    alike; with 5 where a hand-in is damaged and left out.
    """
    from ftpsvc.homework.commands.collect import items_of
    from ftpsvc.homework.gradebook import similar as alike
    from ftpsvc.homework.gradebook import terminal
    from ftpsvc.homework.gradebook.files import write
    from ftpsvc.homework.gradebook.gather import gather

    gathered = gather(root, assignment, group=group, database=database)
    items, damaged = items_of(root, gathered.book)
    found = gathered.assignments[assignment]
    folders = {found.starter, found.handout}
    folders |= {
        found.folder / name for name in (found.similarity.base if found.similarity is not None else ())
    }
    base = [text for folder in sorted(folders) for text in alike.texts("", folder)]
    given = [text for item in items for text in alike.texts(item.student.name, item.version.files)]
    pairs = alike.compare(given, base, threshold / 100)
    if html is not None:
        write(html, alike.page(f"{found.id}: {found.title}", pairs, threshold / 100))
    if html != "-":
        rows = [
            (pair.first.user, pair.first.path, f"{pair.shares[0]:.0%}", pair.second.user, pair.second.path,
             f"{pair.shares[1]:.0%}")
            for pair in pairs
        ]  # fmt: skip
        head = ("USER", "FILE", "SHARE", "OTHER", "ITS FILE", "ITS SHARE")
        for line in terminal.columns(head, rows, right=("SHARE", "ITS SHARE")):
            click.echo(line)
    for user in damaged:
        say(f"{printable(user)}: damaged, and left out")
    say(
        f"{count(len(given), 'file')} of {count(len(items), 'student')} compared, {count(len(pairs), 'pair')} alike"
    )
    sys.exit(Exit.FAULTS if damaged else Exit.CLEAN)
