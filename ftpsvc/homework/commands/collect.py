"""The command `ftpsvc-grade collect` (docs/gradebook.md)."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ftpsvc.homework.commands.place import root_option, say
from ftpsvc.homework.commands.report import roster_options
from ftpsvc.server.exits import Exit
from ftpsvc.text import count, printable

if TYPE_CHECKING:
    from ftpsvc.homework.gradebook.collect import Item
    from ftpsvc.homework.gradebook.table import Gradebook


@click.command("collect")
@click.argument("assignment")
@click.argument("out", type=click.Path(path_type=Path))
@click.option("--zip", "zipped", is_flag=True, help="A zip for each student in the place of a folder.")
@click.option("--anonymous", is_flag=True, help="Say nowhere whose it is; OUT.key.csv says it, beside OUT.")
@roster_options
@root_option
def collect(
    *,
    assignment: str,
    out: Path,
    zipped: bool,
    anonymous: bool,
    group: str | None,
    database: str | None,
    root: Path,
) -> None:
    """Copy what was handed in for ASSIGNMENT to a new folder OUT: of each student the version that counts.

    Exits with 0; with 5 where a hand-in is damaged and left out.
    """
    from ftpsvc.homework.gradebook import collect as collecting
    from ftpsvc.homework.gradebook.gather import gather

    found = gather(root, assignment, group=group, database=database)
    items, damaged = items_of(root, found.book)
    rules = found.assignments[assignment].files
    fixed = frozenset(name for name in rules.required if not set("*?[") & set(name))
    done = collecting.collect(items, out, zipped=zipped, anonymous=anonymous, fixed=fixed)
    for one in done:
        for name in one.naming:
            say(f"{one.name}: {printable(name)} says in its content whose it is")
    for user in damaged:
        say(f"{printable(user)}: damaged, and left out")
    say(f"{assignment}: {count(len(done), 'hand-in')} in {printable(str(out))}")
    sys.exit(Exit.FAULTS if damaged else Exit.CLEAN)


def items_of(root: Path, book: Gradebook) -> tuple[list[Item], list[str]]:
    """Returns the versions that count of a gradebook of one assignment, and who has a damaged one."""
    from ftpsvc.homework.gradebook.collect import Item
    from ftpsvc.homework.gradebook.table import State
    from ftpsvc.homework.submissions import Submissions

    submissions = Submissions(root)
    (column,) = book.columns
    items, damaged = [], []
    for row in book.rows:
        cell = row.cells[column.id]
        if cell.state is State.DAMAGED:
            damaged.append(row.student.name)
        elif cell.fact.counting is not None:
            version = submissions.version(column.id, row.student.name, cell.fact.counting)
            items.append(Item(row.student, version, cell))
    return items, damaged
