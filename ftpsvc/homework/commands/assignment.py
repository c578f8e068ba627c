"""The commands `ftpsvc-server assignment ...` (docs/homework.md).

Data goes to stdout, everything else to stderr. Exit codes: 0 done; 2 a fault in what was asked, nothing was changed;
3 `check` found no sandbox to try anything in; 5 an assignment has faults.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from functools import cache, partial
from pathlib import Path
from typing import Any

import click

from ftpsvc.accounts.console import (
    Group,
    Place,
    open_accounts,
    place_options,
    print_json,
    print_table,
    say,
    set_place,
)
from ftpsvc.exceptions import ConfigError
from ftpsvc.homework import model, times
from ftpsvc.homework.catalog import Catalog
from ftpsvc.homework.course import Course
from ftpsvc.homework.extensions import EVERYBODY, Extension
from ftpsvc.homework.faults import HomeworkFaults
from ftpsvc.homework.lateness import Dates
from ftpsvc.homework.model import Assignment
from ftpsvc.homework.quantities import span
from ftpsvc.server.exits import Exit
from ftpsvc.text import count, format_size, printable


class _Commands(Group):
    """A group that tells what is wrong with a teacher's files line by line."""

    @staticmethod
    def told(ctx: click.Context, run: Callable[[], Any]) -> Any:
        """Runs something, and ends with what became of it."""

        def faults_first() -> Any:
            try:
                return run()
            except HomeworkFaults as faults:
                for line in faults.lines():
                    click.echo(line, err=True)
                say(f"error: {faults}")
                ctx.exit(Exit.FAULTS)

        return Group.told(ctx, faults_first)


@click.group("assignment", cls=_Commands)
@place_options
@click.pass_context
def assignment(ctx: click.Context, root: Path | None, database: str | None) -> None:
    """Add, check, list and show assignments, give more time for them, and close them."""
    set_place(ctx, root, database)


_json = click.option("--json", "as_json", is_flag=True, help="Print JSON, one object a line.")


@assignment.command("add")
@click.argument("folder", required=False, type=click.Path(path_type=Path, file_okay=False, exists=True))
@click.option("--replace", is_flag=True, help="Take the place of the one with the same id; hand-ins stay.")
@click.option(
    "--template", metavar="NAME", help="One that comes with ftpsvc, in place of FOLDER: ftp-homework."
)
@click.option("--id", "name", metavar="ID", help="What it is to be called. [default: as the template]")
@click.option("--open", "opens", metavar="TIME", help="When it opens. [default: now]")
@click.option("--due", metavar="TIME", help="When it is due. [default: 23:59, two weeks after that]")
@click.option(
    "--into",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Write the template there, to be edited first, and add nothing.",
)
@click.pass_obj
def add(
    place: Place, /, folder: Path | None, replace: bool, template: str | None, name: str | None,
    opens: str | None, due: str | None, into: Path | None,
) -> None:  # fmt: skip
    """Copy an assignment to the server: a folder with assignment.toml and what belongs to it, or a template.

    Students see it from its opening on; the server need not be started anew. What was in its place is kept in
    .ftpsvc/removed in the root. A template closes three days after it is due.
    """
    if (folder is None) == (template is None):
        raise click.UsageError("say one of FOLDER and --template NAME")
    if template is not None:
        from ftpsvc.homework.commands import template as templates

        own = templates.own(Catalog(place.root), template, name, opens, due)
        if into is not None:
            if replace:
                raise click.UsageError("--into adds nothing, so there is nothing to --replace")
            templates.write_into(into, template, own)
            return
        with templates.written(template, own) as made:
            _add(place, made, replace=replace)
        templates.say_next(own)
        return
    if name or opens or due or into:
        raise click.UsageError("--id, --open, --due and --into are for a --template; a FOLDER says it itself")
    if folder is not None:
        _add(place, folder, replace=replace)


def _add(place: Place, folder: Path, *, replace: bool) -> None:
    from ftpsvc.homework import placing
    from ftpsvc.server import volumes

    model.load(folder)  # before anything is made
    if not place.root.exists():
        say(f"made the root {place.root}")
    volumes.lay_out(place.root)
    added, aside = placing.place(place.root, folder, replace=replace)
    _note(place, "assignment add", f"id={added.id} sha256={added.sha256} replaced={aside is not None}")
    say(f"{'replaced' if aside is not None else 'added'} {added.id}: {_summary(added)}")
    zone = _course(place).zone
    say(f"open from {times.shown(added.open, zone)}, due {times.shown(added.due, zone)}")
    if aside is not None:
        say(f"what was there is kept in {aside}")
    say(f"hint: ftpsvc-server assignment check {added.id} runs its solution through its tests")


@assignment.command("check")
@click.argument("names", nargs=-1, metavar="[ID|FOLDER]...")
@click.option("--no-run", is_flag=True, help="Look at the files only, and run nothing.")
@click.option("--bwrap", metavar="PATH", help="This bubblewrap, not the one that would be found.")
@click.pass_obj
def check(place: Place, /, names: tuple[str, ...], no_run: bool, bwrap: str | None) -> None:
    """Check assignments, all of the server's where none is named, and course.toml.

    Tells every fault with its file and line; then grades solution/, which must get all points, and starter/, which must
    not, in the sandbox. Exit codes: 0 all is well; 3 no sandbox works here; 5 something is wrong.
    """
    catalog = Catalog(place.root)
    faulty = False
    good: list[Assignment] = []
    looks: list[Callable[[], Assignment | Course]] = [
        partial(_looked_over, catalog, name) for name in names or catalog.ids()
    ]
    for look in (*looks, catalog.course):
        try:
            found = look()
        except HomeworkFaults as faults:
            faulty = True
            click.echo("\n".join(faults.lines()))
            say(f"{faults}")
            continue
        if isinstance(found, Assignment):
            good.append(found)
            click.echo(f"{found.id}: {_summary(found)}")
    if not names and not looks:
        say("there is no assignment yet")
    if good and not no_run:
        faulty |= _try_out(good, bwrap)
    if faulty:
        sys.exit(Exit.FAULTS)


def _try_out(assignments: list[Assignment], bwrap: str | None) -> bool:
    """Runs what comes with assignments; returns whether something is wrong."""
    from ftpsvc.homework.sandbox.base import SandboxError
    from ftpsvc.homework.sandbox.choose import choose
    from ftpsvc.homework.trial import try_out

    faulty = False
    sandbox = cache(partial(choose, program=bwrap))
    try:
        for one in assignments:
            report = try_out(one, sandbox(one.grading.sandbox))
            for line in report.said:
                click.echo(f"{one.id}: {line}")
            for line in report.faults:
                click.echo(f"{one.id}: fault: {line}")
            faulty |= bool(report.faults)
    except SandboxError as error:
        say(f"error: {error}")
        say(f"hint: {error.hint or 'ftpsvc-grade doctor says more; --no-run looks at the files only'}")
        sys.exit(Exit.CANNOT_START)
    return faulty


@assignment.command("list")
@_json
@click.pass_obj
def list_assignments(place: Place, /, as_json: bool) -> None:
    """List the assignments by due time, with how many students handed something in."""
    from ftpsvc.homework.submissions import Submissions

    catalog = Catalog(place.root)
    good, faulty = catalog.all()
    zone, submissions, now = _course(place).zone, Submissions(place.root), datetime.now(UTC)
    rows: list[tuple[str, ...]] = []
    for one in good:
        everybody = catalog.dates(one, EVERYBODY)
        state = _state(everybody, now)
        students = len(submissions.users(one.id))
        if as_json:
            print_json(
                {"id": one.id, "title": one.title, "state": state, "points": one.points, "students": students}
                | _moments(everybody)
            )
        due = times.shown(everybody.due, zone)
        rows.append((one.id, state, due, f"{one.points:g}", str(students), one.title))
    if not as_json:
        print_table(("ID", "STATE", "DUE", "POINTS", "STUDENTS", "TITLE"), rows)
    for faults in faulty:
        for line in faults.lines():
            click.echo(line, err=True)
        say(f"{faults}")
    if faulty:
        sys.exit(Exit.FAULTS)


@assignment.command("show")
@click.argument("name", metavar="ID")
@click.option("--user", metavar="NAME", help="With the dates of this student.")
@_json
@click.pass_obj
def show(place: Place, /, name: str, user: str | None, as_json: bool) -> None:
    """Show an assignment: dates, what is to be handed in, tests, extensions."""
    catalog = Catalog(place.root)
    one = catalog.get(name)
    given = catalog.extensions(one)
    dates = catalog.dates(one, user or EVERYBODY)
    if as_json:
        values = {**model.values_of(one), "dates": _moments(dates), "user": user}
        extensions = [entry.model_dump(mode="json", exclude_none=True) for entry in given]
        click.echo(json.dumps({**values, "extension": extensions}))
        return
    zone = _course(place).zone
    now = datetime.now(UTC)
    late = one.late
    costs = f"{late.percent:g} % for each started {_span(late.per.total_seconds())}, at most {late.max_percent:g} %"
    size = format_size(one.files.max_bytes)
    lines = [
        ("assignment", f"{one.id}: {one.title}"),
        ("course", one.course),
        ("state", _state(dates, now) + (f" for {user}" if user else "")),
        ("open", times.shown(dates.open, zone)),
        ("due", times.shown(dates.due, zone)),
        ("close", times.shown(dates.close, zone)),
        (
            "late",
            (costs if late.percent else "costs nothing") + (", late days first" if late.late_days else ""),
        ),
        ("grace", _span(late.grace.total_seconds()) if late.grace else ""),
        ("counts", one.grading.count),
        ("required", ", ".join(one.files.required)),
        ("optional", ", ".join(one.files.optional)),
        ("others", {"drop": "are left out", "refuse": "are refused", "keep": "are kept"}[one.files.extra]),
        ("at most", f"{count(one.files.max_files, 'file')}, {size}"),
        ("tests", f"{len(one.tests)}, {one.points:g} points"),
        ("sha256", one.sha256),
    ]
    for label, value in lines:
        if value:
            click.echo(f"{label + ':':12}{printable(value)}")
    rows = [(test.name, test.kind, f"{test.points:g}", test.visibility) for test in one.tests]
    print_table(("TEST", "KIND", "POINTS", "VISIBILITY"), rows)
    print_table(
        ("EXTENSION", "DUE", "CLOSE", "REASON"),
        [
            (
                "everybody" if entry.user == EVERYBODY else entry.user,
                times.shown(entry.due, zone) if entry.due else "-",
                times.shown(entry.close, zone) if entry.close else "-",
                entry.reason,
            )
            for entry in given
        ],
    )


@assignment.command("extend")
@click.argument("name", metavar="ID")
@click.argument("users", nargs=-1, metavar="[USER]...")
@click.option("--all", "everybody", is_flag=True, help="For everybody, whatever was given before.")
@click.option("--due", metavar="TIME", help='The new due time, as "2026-11-26 23:59".')
@click.option("--by", metavar="SPAN", help="So much after the due time that holds now: 12h, 2d, 1w.")
@click.option(
    "--close", metavar="TIME", help="The new close. [default: the old one, or the new due time if later]"
)
@click.option("--reason", default="", help="Why; only teachers see it.")
@click.pass_obj
def extend(
    place: Place, /, name: str, users: tuple[str, ...], everybody: bool, due: str | None, by: str | None,
    close: str | None, reason: str,
) -> None:  # fmt: skip
    """Give students more time. What they handed in already is judged by the new times at once.

    Times without an offset are in the time zone of course.toml.
    """
    if everybody == bool(users):
        raise click.UsageError("name users, or say --all")
    if (due is not None) + (by is not None) > 1 or not (due or by or close):
        raise click.UsageError("say one of --due and --by, or --close alone")
    catalog = Catalog(place.root)
    one = catalog.get(name)
    if users:
        with open_accounts(place) as accounts:
            users = tuple(accounts.user(user).name for user in users)
    zone = _course(place).zone
    now = datetime.now(UTC)
    entries = []
    for user in users or (EVERYBODY,):
        until = times.parse(due, zone) if due is not None else None
        if by is not None:
            try:
                until = catalog.dates(one, user).due + span(by)
            except ValueError as error:
                raise click.UsageError(f"--by {by!r} {error}") from None
            except OverflowError:
                raise click.UsageError(f"--by {by!r} is too long") from None
        entries.append(
            _entry(one, user, until, times.parse(close, zone) if close is not None else None, reason, now)
        )
    _give(place, "assignment extend", one, entries)


@assignment.command("close")
@click.argument("name", metavar="ID")
@click.option("--at", metavar="TIME", help="When. [default: now]")
@click.option("--reason", default="", help="Why; only teachers see it.")
@click.pass_obj
def close(place: Place, /, name: str, at: str | None, reason: str) -> None:
    """Accept nothing more from anybody, also not from who had an extension.

    `assignment extend ID --all --close TIME` opens it again.
    """
    catalog = Catalog(place.root)
    one = catalog.get(name)
    now = datetime.now(UTC)
    when = times.parse(at, _course(place).zone) if at is not None else now
    _give(place, "assignment close", one, [_entry(one, EVERYBODY, None, when, reason, now)])


def _entry(
    one: Assignment, user: str, due: datetime | None, close: datetime | None, reason: str, now: datetime
) -> Extension:
    """Returns an entry.

    A close keeps its fraction of a second: what was handed in just before it must not be late by a rounding.
    """
    for moment, what in ((due, "due"), (close, "close")):
        if moment is not None and moment.year > model.LAST_YEAR:
            raise ConfigError(f"the new {what} is too far away")
        if moment is not None and moment <= one.open:
            raise ConfigError(
                f"{one.id} opens at {times.shown(one.open, moment.tzinfo)}: the new {what} is not later"
            )
    if due is not None and close is not None and close < due:
        raise ConfigError("the new close is earlier than the new due time")
    return Extension(user=user, due=due, close=close, reason=reason, given=now.replace(microsecond=0))


def _give(place: Place, command: str, one: Assignment, entries: list[Extension]) -> None:
    from ftpsvc.homework import placing

    placing.give(one, entries)
    catalog = Catalog(place.root)
    zone = catalog.course().zone
    for entry in entries:
        dates = catalog.dates(one, entry.user)
        who = "everybody" if entry.user == EVERYBODY else entry.user
        said = f"due={dates.due.isoformat()} close={dates.close.isoformat()} reason={entry.reason}"
        _note(place, command, f"id={one.id} {said}", entry.user)
        say(
            f"{one.id} for {who}: due {times.shown(dates.due, zone)}, closes {times.shown(dates.close, zone)}"
        )


def _looked_over(catalog: Catalog, name: str) -> Assignment:
    """Returns the assignment in a folder, or one of the server's, whose extensions were looked at too."""
    from ftpsvc.homework import extensions

    folder = Path(name)
    one = model.load(folder) if (folder / model.FILE).is_file() else catalog.get(name)
    extensions.load(one.folder)
    return one


def _course(place: Place) -> Course:
    return Catalog(place.root).course()


def _summary(one: Assignment) -> str:
    by_hand = sum(test.points for test in one.tests if test.kind == "manual")
    extra = f" ({by_hand:g} by hand)" if by_hand else ""
    return f"{count(len(one.tests), 'test')}, {one.points:g} points{extra}"


def _state(dates: Dates, now: datetime) -> str:
    if now < dates.open:
        return "not open"
    if now > dates.close:
        return "closed"
    return "late" if now > dates.due else "open"


def _moments(dates: Dates) -> dict[str, str]:
    return {"open": dates.open.isoformat(), "due": dates.due.isoformat(), "close": dates.close.isoformat()}


def _span(seconds: float) -> str:
    for name, length in (("w", 604800), ("d", 86400), ("h", 3600), ("m", 60)):
        if seconds and not seconds % length:
            return f"{seconds / length:g} {name}" if name != "m" else f"{seconds / length:g} min"
    return f"{seconds:g} s"


def _note(place: Place, command: str, arguments: str, user: str | None = None) -> None:
    from ftpsvc.server.commands import write_down

    write_down(place.root, command, arguments, user)
