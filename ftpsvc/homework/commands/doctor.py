"""The command `ftpsvc-grade doctor` (docs/grading.md)."""

from __future__ import annotations

import json
import sys

import click

from ftpsvc.server.exits import Exit


@click.command("doctor")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.option("--bwrap", metavar="PATH", help="This bubblewrap, not the one that would be found.")
def doctor(*, as_json: bool, bwrap: str | None) -> None:
    """Try which sandbox works here, and which limits are really in force.

    Exits with 0 when homework can be graded here, with 3 when not.
    """
    from ftpsvc.homework.sandbox.doctor import examine

    report = examine(program=bwrap)
    if as_json:
        click.echo(json.dumps(report.as_json(), indent=2))
    else:
        click.echo("\n".join(report.lines()))
    sys.exit(Exit.CLEAN if report.ok else Exit.CANNOT_START)
