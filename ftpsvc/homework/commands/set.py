"""The command `ftpsvc-grade set` (docs/grading.md)."""

from __future__ import annotations

import getpass
from pathlib import Path

import click

from ftpsvc.exceptions import ConfigError
from ftpsvc.homework.commands.place import root_option
from ftpsvc.text import printable


@click.command("set")
@click.argument("assignment")
@click.argument("user")
@click.argument("test")
@click.argument("points")
@click.option("--reason", required=True, metavar="TEXT", help="Why; teachers see it.")
@click.option(
    "--version", type=click.IntRange(1), metavar="N", help="For this version. [default: the one that counts]"
)
@click.option(
    "--author", metavar="NAME", help="Who gives them. [default: the name that you are logged in by]"
)
@root_option
def set_(
    *,
    assignment: str,
    user: str,
    test: str,
    points: str,
    reason: str,
    version: int | None,
    author: str | None,
    root: Path,
) -> None:
    """Give USER the POINTS of a TEST of ASSIGNMENT that is graded by hand.

    POINTS go from 0 to what the test is worth; "none" takes back what was given. They are for one version: when another
    one counts later, it gets its own.
    """
    from ftpsvc.homework.catalog import Catalog
    from ftpsvc.homework.engine import standing_of
    from ftpsvc.homework.grading import byhand
    from ftpsvc.homework.submissions import Submissions
    from ftpsvc.server.audit import now, record_beside

    catalog, submissions = Catalog(root), Submissions(root)
    found = catalog.get(assignment)
    names = [one.name for one in found.tests if one.kind == "manual"]
    if test not in names:
        raise ConfigError(
            f"{printable(test)!r} is no test of {assignment} that is graded by hand",
            hint=f"there are {', '.join(map(repr, names))}" if names else 'none has kind = "manual"',
        )
    worth = found.test(test).points
    given = _points(points, worth)
    numbers = submissions.numbers(assignment, user)
    if version is None and numbers:
        version = standing_of(catalog, submissions, user).counting.get(assignment, numbers[-1])
    if version not in numbers or version is None:
        raise ConfigError(
            f"{printable(user)} handed in nothing for {assignment}"
            if not numbers
            else f"{printable(user)} has no version {version} of {assignment}"
        )
    by = author or operator()
    entry = byhand.Entry(time=now(), author=by, version=version, test=test, points=given, reason=reason)
    byhand.append(submissions.of(assignment, user), entry)
    record_beside(
        root,
        "operator",
        address="console",
        user=user,
        operator=by,
        command="grade set",
        arguments=f"{assignment} version={version} test={test} points={points} reason={reason}",
    )
    what = "none" if given is None else f"{given:g} of {worth:g}"
    click.echo(f"{assignment} {printable(user)} version {version} {printable(test)}: {what}")


def operator() -> str:
    """Returns the name that somebody is logged in by on this machine.

    Raises:
        ConfigError: It is not known.
    """
    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):  # a user number without a name, as containers have it
        raise ConfigError("who gives the points is not known", hint="say it: --author NAME") from None


def _points(text: str, worth: float) -> float | None:
    if text.lower() == "none":
        return None
    try:
        points = float(text)
    except ValueError:
        points = -1.0
    if not 0 <= points <= worth:
        raise ConfigError(
            f"{printable(text)} is no number from 0 to {worth:g}", hint='"none" takes points back'
        )
    return points
