"""The operator's commands: `ftpsvc-server user ...` and `ftpsvc-server token ...` (docs/accounts.md).

Data goes to stdout, everything else to stderr. Exit codes: 0 done; 2 a fault in what was asked, nothing was changed;
14 the database cannot be used for now; 20 a roster was imported without its faulty lines.
"""

from __future__ import annotations

import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ftpsvc.accounts.console import (
    PARTIAL,
    Group,
    Place,
    Size,
    Span,
    list_faults,
    moment,
    open_accounts,
    place_options,
    print_json,
    print_table,
    quota_of,
    say,
    set_place,
    size_text,
)
from ftpsvc.accounts.model import Role
from ftpsvc.exceptions import ConfigError
from ftpsvc.text import count, printable

if TYPE_CHECKING:
    from ftpsvc.accounts.store import Accounts


@click.group("user", cls=Group)
@place_options
@click.pass_context
def user(ctx: click.Context, root: Path | None, database: str | None) -> None:
    """Add, import, list, change and remove users, and make codes for them."""
    set_place(ctx, root, database)


@click.group("token", cls=Group)
@place_options
@click.pass_context
def token(ctx: click.Context, root: Path | None, database: str | None) -> None:
    """List and revoke device tokens: what lets a device log in without a password."""
    set_place(ctx, root, database)


_role = click.Choice([role.value for role in Role])
_expires = click.option(
    "--expires",
    type=Span(),
    default="14d",
    show_default=True,
    metavar="TIME",
    help="How long a code is good for.",
)
_json = click.option("--json", "as_json", is_flag=True, help="Print JSON, one object a line.")


@user.command("add")
@click.argument("name")
@click.option("--role", type=_role, default=Role.STUDENT.value, show_default=True)
@click.option(
    "--quota", type=Size(), default="none", show_default=True, metavar="SIZE", help="As 500M, 5GiB or none."
)
@click.option("--group", default="", help="Section of the class.")
@click.option("--student-id", default="")
@click.option("--display-name", default="", help="What people call them.")
@click.option("--code", "with_code", is_flag=True, help="Also make an enrolment code, and print it.")
@_expires
@click.pass_obj
def add(
    place: Place, /, name: str, role: str, quota: int, with_code: bool, expires: int, **texts: str
) -> None:
    """Add a user. Nobody can log in as it before `user code NAME` made a code."""
    with open_accounts(place) as accounts:
        added = accounts.add(name, role=Role(role), quota=quota_of(quota), **texts)
        say(f"added {added.role} {added.name}")
        if with_code:
            _print_code(accounts, added.name, expires)


@user.command("code")
@click.argument("name")
@_expires
@click.pass_obj
def code(place: Place, /, name: str, expires: int) -> None:
    """Make a one-time code for a user, in place of the one before, and print it.

    It is shown this once: the server keeps only what it can check it by.
    """
    with open_accounts(place) as accounts:
        _print_code(accounts, name, expires)


def _print_code(accounts: Accounts, name: str, lifetime: int) -> None:
    made = accounts.issue_code(name, lifetime)
    click.echo(made)
    say(f"good for one log-in as {name} until {moment(accounts.now + lifetime)}")


@user.command("list")
@click.option("--role", type=_role)
@click.option("--group")
@_json
@click.pass_obj
def list_users(place: Place, /, role: str | None, group: str | None, as_json: bool) -> None:
    """List the users, by name."""
    with open_accounts(place) as accounts:
        found = accounts.users(role=None if role is None else Role(role), group=group)
    if as_json:
        for one in found:
            print_json(asdict(one))
        return
    table = [
        (
            one.name,
            one.role.value,
            one.group,
            size_text(one.quota),
            "disabled" if one.disabled else "",
            one.display_name,
        )
        for one in found
    ]
    print_table(("USER", "ROLE", "GROUP", "QUOTA", "STATE", "NAME"), table)


@user.command("show")
@click.argument("name")
@_json
@click.pass_obj
def show(place: Place, /, name: str, as_json: bool) -> None:
    """Show one user, and which secrets there are (never the secrets: the server does not have them)."""
    with open_accounts(place) as accounts:
        one = accounts.user(name)
        secrets = accounts.secrets(one)
        now = accounts.now
    if as_json:
        print_json(asdict(one) | asdict(secrets))
        return
    if secrets.code_expires is not None:
        good = "unused, good until" if secrets.code_expires > now else "expired unused"
        code_state = f"{good} {moment(secrets.code_expires)}"
    else:
        code_state = "none" if secrets.code_used is None else f"used {moment(secrets.code_used)}"
    for label, value in (
        ("user", one.name),
        ("name", one.display_name),
        ("role", one.role.value + (", disabled" if one.disabled else "")),
        ("group", one.group),
        ("student id", one.student_id),
        ("quota", size_text(one.quota)),
        ("created", moment(one.created)),
        ("password", "set" if secrets.password else "none"),
        ("code", code_state),
        ("devices", str(len(secrets.tokens))),
    ):
        if value:
            click.echo(f"{label + ':':12}{printable(value)}")


@user.command("set")
@click.argument("name")
@click.option("--role", type=_role)
@click.option("--quota", type=Size(), metavar="SIZE", help="As 500M, 5GiB or none.")
@click.option("--group")
@click.option("--student-id")
@click.option("--display-name")
@click.pass_obj
def set_user(place: Place, /, name: str, quota: int | None, role: str | None, **texts: str | None) -> None:
    """Change what is known about a user; what is not given stays."""
    values: dict[str, Any] = {field: text for field, text in texts.items() if text is not None}
    if role is not None:
        values["role"] = Role(role)
    if quota is not None:
        values["quota"] = quota_of(quota)
    if not values:
        raise click.UsageError("nothing to change was given")
    with open_accounts(place) as accounts:
        accounts.change(name, **values)
    say(f"changed {name}; it holds from the next log-in on, and a new role ends the sessions that are open")


@user.command("disable")
@click.argument("names", nargs=-1, required=True)
@click.pass_obj
def disable(place: Place, /, names: tuple[str, ...]) -> None:
    """Let nobody log in as these users, and end their sessions. Their files, codes and devices are kept."""
    _switch(place, names, disabled=True)


@user.command("enable")
@click.argument("names", nargs=-1, required=True)
@click.pass_obj
def enable(place: Place, /, names: tuple[str, ...]) -> None:
    """Undo `disable`."""
    _switch(place, names, disabled=False)


def _switch(place: Place, /, names: tuple[str, ...], *, disabled: bool) -> None:
    with open_accounts(place) as accounts:
        for name in names:
            accounts.user(name)  # all must be there before any is changed
        for name in names:
            accounts.change(name, disabled=disabled)
            say(f"{'disabled' if disabled else 'enabled'} {name}")


@user.command("remove")
@click.argument("name")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.pass_obj
def remove(place: Place, /, name: str, yes: bool) -> None:
    """Remove a user with all codes, passwords and devices.

    The home is kept: it is moved to .ftpsvc/removed in the root, where no client can reach it. Delete it there by hand.
    """
    from ftpsvc.accounts.homes import set_aside

    with open_accounts(place) as accounts:
        accounts.user(name)
        if not yes:
            click.confirm(
                f"Remove {printable(name)} with all codes, password and devices?", abort=True, err=True
            )
        # In this order: killed in between, there is a user without files, and not files for the next of that name.
        accounts.change(name, disabled=True)
        kept = set_aside(place.root, name, accounts.now)
        accounts.remove(name)
    say(f"removed {name}")
    say(f"the home is kept in {kept}" if kept is not None else "there was no home")


@user.command("import")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--codes", type=click.Path(path_type=Path, dir_okay=False, allow_dash=True), default="codes.html",
              show_default=True, help="Where the slips go: .html, .txt, or - for text on stdout.")  # fmt: skip
@click.option(
    "--server", metavar="URL", help="The server's address, for the slips. [default: from the settings]"
)
@click.option(
    "--fingerprint", help="That of its certificate, for the slips. [default: of the one that the server has]"
)
@click.option(
    "--quota", type=Size(), default="none", show_default=True, metavar="SIZE", help="Of new accounts."
)
@click.option("--new-codes", is_flag=True, help="Give everybody in the roster a new code.")
@click.option("--skip-faulty", is_flag=True, help="Import the good lines when others have faults.")
@_expires
@click.pass_obj
def import_roster(
    place: Place, /, file: Path, codes: Path, server: str | None, fingerprint: str | None, quota: int,
    new_codes: bool, skip_faulty: bool, expires: int,
) -> None:  # fmt: skip
    """Make accounts for a class from a CSV file, and a slip with a code for each new student.

    The columns are student id, name, group; a header row in English or Chinese may give another order, and may have a
    column of user names (else the student id is the user name). Importing again brings names and groups up to date;
    only who can neither log in nor has a code gets one.
    """
    from ftpsvc.accounts import roster
    from ftpsvc.accounts.enrol import enrol
    from ftpsvc.accounts.slipfile import SlipFile
    from ftpsvc.accounts.slips import Server

    try:
        with file.open("rb") as stream:
            data = stream.read(roster.MAX_BYTES + 1)
    except OSError as problem:
        raise ConfigError(f"cannot read {file}: {problem.strerror}") from problem
    parsed = roster.parse(data)
    if parsed.encoding != "UTF-8":
        say(f"read {file} as {parsed.encoding}")
    faults = parsed.faults
    with (
        open_accounts(place) as accounts,
        SlipFile(codes, Server(server, fingerprint), accounts.now + expires) as slips,
    ):
        done = enrol(
            accounts, parsed.rows, faults, skip_faulty=skip_faulty, new_codes=new_codes, quota=quota_of(quota),
            lifetime=expires, deliver=slips.prepare,
        )  # fmt: skip
        written = slips.publish()
    list_faults(faults)
    changes = [one.change for one in done]
    say(f"{count(changes.count('added'), 'account')} added, {changes.count('updated')} updated, "
        f"{changes.count('unchanged')} as before, {count(len(faults), 'line')} skipped")  # fmt: skip
    if written:
        say(f"{count(written, 'code')} written to {'stdout' if str(codes) == '-' else codes}; each is good once, "
            f"until {moment(slips.expires)}")  # fmt: skip
        if server is not None:
            say(f"they send students to {server}; --server URL names another address")
        if server is None or fingerprint is None:
            say(
                "hint: with --server and --fingerprint the slips tell students where to go and how to know the server"
            )
    if faults:
        sys.exit(PARTIAL)


@token.command("list")
@click.argument("name")
@_json
@click.pass_obj
def list_tokens(place: Place, /, name: str, as_json: bool) -> None:
    """List the devices of a user, the newest first."""
    with open_accounts(place) as accounts:
        tokens = accounts.secrets(accounts.user(name)).tokens
    if as_json:
        for one in tokens:
            print_json(asdict(one))
        return
    table = [
        (one.id, moment(one.created), "never" if one.used is None else moment(one.used), one.label)
        for one in tokens
    ]
    print_table(("ID", "CREATED", "LAST USED", "DEVICE"), table)


@token.command("revoke")
@click.argument("name")
@click.argument("ids", nargs=-1)
@click.option("--all", "every", is_flag=True, help="All devices of the user.")
@click.pass_obj
def revoke(place: Place, /, name: str, ids: tuple[str, ...], every: bool) -> None:
    """Take devices of a user away: they cannot log in any more. Their open sessions end."""
    if every == bool(ids):
        raise click.UsageError("name the ids of devices (token list shows them), or say --all")
    with open_accounts(place) as accounts:
        owner = accounts.user(name)
        known = {one.id for one in accounts.secrets(owner).tokens}
        if missing := [one for one in ids if one.upper() not in known]:
            raise ConfigError(
                f"{name} has no device {', '.join(missing)}",
                hint=f"ftpsvc-server token list {name} shows them",
            )
        gone = (
            accounts.revoke_token(owner, None)
            if every
            else sum(accounts.revoke_token(owner, one.upper()) for one in ids)
        )
    say(f"revoked {count(gone, 'device')} of {name}")
