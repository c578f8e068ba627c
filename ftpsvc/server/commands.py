"""The operator's commands `ftpsvc-server audit` and `ftpsvc-server check`, and the audit of `user` and `token`.

docs/audit.md and docs/server.md ("Check") describe them. Data goes to stdout, everything else to stderr.
"""

from __future__ import annotations

import copy
import getpass
import sys
import time
from collections.abc import Callable
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import click

from ftpsvc.accounts import cli as accounts_cli
from ftpsvc.accounts.console import Group, Place, open_accounts, place_options, print_json, say, set_place
from ftpsvc.accounts.database import FILE
from ftpsvc.exceptions import ConfigError
from ftpsvc.server import showing
from ftpsvc.server.exits import Exit
from ftpsvc.text import count, printable

_CHANGES: Final = frozenset({"add", "code", "set", "disable", "enable", "remove", "import", "revoke"})
"""Commands of `user` and `token` that change something, or give somebody a way in."""

_BEGINNINGS: Final = frozenset({"add", "import"})
"""Commands that an operator may give before the server ever ran."""


class _Command(click.Command):
    """A command whose errors are told in one line, as those of the groups are."""

    def invoke(self, ctx: click.Context) -> Any:
        """Runs the command."""
        return Group.told(ctx, lambda: super(_Command, self).invoke(ctx))


class _Moment(click.ParamType[str]):
    """A time, or a span back from now."""

    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Returns it as the audit writes it."""
        from ftpsvc.server.auditread import moment

        try:
            return moment(value, datetime.now().astimezone())
        except (ValueError, OverflowError):
            self.fail(f"{value!r} is no time; write 2026-03-01, 2026-03-01T08:15, 90m, 12h or 7d", param, ctx)


@click.command("audit", cls=_Command)
@place_options
@click.option("--user", metavar="NAME", help="Of this user, also log-ins as it that were refused.")
@click.option(
    "--since", type=_Moment(), metavar="TIME", help="2026-03-01, 2026-03-01T08:15, or 90m, 12h, 7d ago."
)
@click.option("--until", type=_Moment(), metavar="TIME", help="Before this time.")
@click.option("--op", metavar="EVENT", help="Of this kind, as log-in, put or rm (docs/audit.md).")
@click.option("--follow", is_flag=True, help="Go on with what comes, until Ctrl-C.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON, one object a line, as it is in the files.")
@click.pass_context
def audit(
    ctx: click.Context, /, root: Path | None, database: str | None, user: str | None, since: str | None,
    until: str | None, op: str | None, follow: bool, as_json: bool,
) -> None:  # fmt: skip
    """Show who did what: log-ins, refusals, changes and transfers."""
    from ftpsvc.server import auditread

    set_place(ctx, root, database)
    place: Place = ctx.obj
    wanted = auditread.Wanted(user, since or "", until or "", op)
    events = (
        auditread.follow(place.root, wanted, time.sleep) if follow else auditread.read(place.root, wanted)
    )
    for event in events:
        if as_json:
            print_json(event)
        else:
            click.echo(auditread.shown(event))
        if follow:
            sys.stdout.flush()


@click.command("check", cls=_Command)
@place_options
@click.option("--digests", is_flag=True, help="Read every file and compare it with its recorded digest.")
@click.option("--repair", is_flag=True, help="Remove what was left over, and records that are of no use.")
@click.option("--user", metavar="NAME", help="Look at this user's home only.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON, one object a line.")
@click.pass_context
def check(
    ctx: click.Context, /, root: Path | None, database: str | None, digests: bool, repair: bool,
    user: str | None, as_json: bool,
) -> None:  # fmt: skip
    """Look over what is stored: recount what is used, find what was left over, orphaned or damaged.

    Exit codes: 0 nothing is wrong, or all of it was repaired; 5 something is; 6 content is damaged; 14 something was
    not repaired since a server has it open.
    """
    from ftpsvc.server.check import Finding, Level, summary
    from ftpsvc.server.check import check as look

    set_place(ctx, root, database)
    place: Place = ctx.obj
    findings: list[Finding] = []
    for report in look(place.root, _quotas(place), read_digests=digests, repair=repair, only=user):
        findings += report.findings
        if as_json:
            values = asdict(report)
            del values["findings"]
            print_json({"report": values.pop("volume"), **values})
            for one in report.findings:
                print_json({"finding": one.kind, **asdict(one), "level": one.level.name.lower()})
            continue
        click.echo(printable(summary(report)))
        for one in report.findings:
            where = f" {one.path}" if one.path else ""
            done = ": repaired" if one.repaired else ""
            click.echo(printable(f"  {one.level.name.lower()}: {one.kind}{where}: {one.detail}{done}"))
    left = [one for one in findings if not one.repaired]
    worst = max((one.level for one in left), default=Level.NOTE)
    faults = sum(one.level is not Level.NOTE for one in left)
    say(
        f"{count(faults, 'fault')}, {sum(one.repaired for one in findings):,} repaired, "
        f"{count(sum(one.level is Level.NOTE for one in left), 'note')}"
    )
    if worst is Level.DAMAGE:
        sys.exit(Exit.DAMAGED)
    if any(one.kind == "in-use" for one in left):
        say("hint: stop the server, and run this again")
        sys.exit(Exit.IN_USE)
    if worst is Level.FAULT:
        sys.exit(Exit.FAULTS)


def _quotas(place: Place) -> dict[str, int | None] | None:
    """Returns the users and their quotas; None where there are no accounts, which are not made by looking."""
    if not place.root.is_dir():
        raise ConfigError(f"there is no root {place.root}", hint="name it with --root")
    if place.database is None and not (place.root / ".ftpsvc" / FILE).exists():
        return None
    with open_accounts(place) as accounts:
        return {user.name: user.quota for user in accounts.users()}


def _audited(group: click.Group) -> click.Group:
    """Returns a group like this one, whose commands that change something are written to the audit."""
    copied = copy.copy(group)
    copied.commands = dict(group.commands)
    for name in _CHANGES & set(group.commands):
        command = copied.commands[name] = copy.copy(group.commands[name])
        if command.callback is not None:
            run = command.callback
            if name in _BEGINNINGS:
                run = _begun(run)
            command.callback = _noted(f"{group.name} {name}", run)
    return copied


def _begun(run: Callable[..., Any]) -> Callable[..., Any]:
    """Returns a command that makes the root first where there is none, and knows what to print on slips."""

    def begun(**arguments: Any) -> Any:
        from ftpsvc.server import volumes

        context = click.get_current_context()
        place = context.find_object(Place) or Place()
        if not place.root.exists():
            volumes.lay_out(place.root)
            say(f"made the root {place.root}")
        settings = context.meta.get(showing.SETTINGS)
        if "fingerprint" in arguments and settings is not None:
            arguments["server"] = arguments["server"] or showing.address(settings)
            arguments["fingerprint"] = arguments["fingerprint"] or showing.fingerprint_of(
                settings, place.root
            )
        return run(**arguments)

    return begun


def _noted(name: str, run: Callable[..., Any]) -> Callable[..., Any]:
    def noted(**arguments: Any) -> Any:
        try:
            result = run(**arguments)
        except SystemExit:  # done, though not all of it
            _note(name, arguments)
            raise
        _note(name, arguments)
        return result

    return noted


def _note(name: str, arguments: dict[str, Any]) -> None:
    """Writes a command down with what it was given: names and values, among which is no secret."""
    place: Place = click.get_current_context().find_object(Place) or Place()
    names = arguments.pop("names", None) or [arguments.pop("name", None)]
    given = " ".join(
        f"{key}={value}" for key, value in arguments.items() if value not in (None, "", (), False)
    )
    for user in names:
        write_down(place.root, name, given, user)


def write_down(root: Path, command: str, arguments: str, user: str | None = None) -> None:
    """Writes to the audit that an operator gave a command; where that cannot be, says so and goes on.

    Args:
        root: The server's root.
        command: Its name, as `user add`.
        arguments: What it was given, without secrets; may be empty.
        user: Whom it was about, or None.
    """
    from ftpsvc.server.audit import record_beside

    try:
        record_beside(
            root, "operator", result="ok", user=user, address="console", command=command,
            arguments=arguments or None, operator=_operator(),
        )  # fmt: skip
    except OSError as problem:
        say(f"note: this could not be written to the audit: {problem.strerror}")


def _operator() -> str | None:
    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):  # a user number without a name, as containers have it
        return None


user = _audited(accounts_cli.user)
token = _audited(accounts_cli.token)
