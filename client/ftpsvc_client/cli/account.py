"""The commands of one who is logged in: logout, whoami, passwd."""

from __future__ import annotations

import click

from ftpsvc.exceptions import AuthenticationFailed, ConfigError, FtpsvcError
from ftpsvc_client.cli import entry, given
from ftpsvc_client.cli.app import App
from ftpsvc_client.cli.params import ProfileName, common_options, examples, json_option
from ftpsvc_client.logins import Logins


@click.command(epilog=examples("ftpsvc logout", "ftpsvc logout lab"))
@click.argument("url", required=False, type=ProfileName(), metavar="[URL|PROFILE]")
@click.option("-u", "--user", metavar="NAME", help="Who; else who the commands are.")
@common_options
@click.pass_obj
def logout(app: App, url: str | None, user: str | None) -> None:
    """Makes this device's token worthless, and forgets it.

    The profile stays, and the server's certificate stays known. Where the server cannot be reached the token is
    forgotten all the same, and that it is still good there is said.
    """
    if url is not None:
        app.server = url
    target = app.target
    try:
        user = user or entry.user_of(target)
    except ConfigError:
        user = target.user
    if user is None:
        app.out.note(f"nobody is logged in at {target.server}")
        return
    trouble: FtpsvcError | None = None
    credentials = None
    logins = Logins()
    try:
        credentials = logins.get(target.server, user)
        if credentials is not None:
            from ftpsvc_client.client import connect

            with connect(target.server, credentials=credentials, timeout=app.timeout) as client:
                client.revoke_token(credentials.name.token_id)
    except AuthenticationFailed:
        pass  # it is worth nothing already
    except FtpsvcError as error:
        trouble = error
    if not logins.forget(target.server, user):
        app.out.note(f"{user} is not logged in at {target.server}")
        return
    app.out.note(f"{user} is logged out at {target.server}")
    if trouble is not None:
        number = credentials.name.token_id if credentials is not None else None
        app.out.note(
            f"the server does not know of it, the token {number or ''} may be good there still: {trouble}"
        )
        app.out.hint("the operator makes it worthless by `ftpsvc-server token revoke`")


@click.command(epilog=examples("ftpsvc whoami", "ftpsvc whoami --json"))
@json_option
@common_options
@click.pass_obj
def whoami(app: App) -> None:
    """Prints who one is on the server."""
    who = app.client().whoami()
    if app.out.json:
        app.out.record(
            {
                "server": app.target.server, "user": who.user, "role": who.role, "group": who.group, "via": who.via,
                "token": who.token, "may": who.may,
            }
        )  # fmt: skip
        return
    if who.user is None:
        app.out.line(f"a guest, who may {who.may if who.may != 'none' else 'do nothing'}")
        return
    group = f", {who.group}" if who.group else ""
    token = f" {who.token}" if who.token else ""
    app.out.line(f"{who.user} ({who.role}{group}), by {who.via}{token}")


@click.command(epilog=examples("ftpsvc passwd", "ftpsvc passwd --password-stdin < secret"))
@click.option("--password-stdin", is_flag=True, help="Read the new password from stdin, one line.")
@common_options
@click.pass_obj
def passwd(app: App, password_stdin: bool) -> None:
    """Sets one's own password; this device logs in by its token as before.

    The old one is not asked for: the device token says who one is. Other devices stay logged in.
    """
    if password_stdin and app.in_shell:
        raise click.UsageError("--password-stdin: stdin holds the commands of the shell")
    who = app.client().whoami()
    if who.user is None:
        raise AuthenticationFailed("a guest has no password")
    password = given.new_password(password_stdin)
    # On a connection of its own: the first one may be gone by the time that a person has typed.
    with entry.dial(app.target, timeout=app.timeout, allow_plain=app.allow_plain) as client:
        client.set_password(password)
    app.out.note(f"the password of {who.user} is set")
