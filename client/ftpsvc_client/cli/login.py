"""The command login: who one is from now on, and which server is believed.

Source: docs/login.md, docs/security.md.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import click

from ftpsvc.addresses import TLS, Address
from ftpsvc.exceptions import (
    AuthenticationFailed,
    ConfigError,
    FtpsvcError,
    UnknownCertificate,
    UntrustedServer,
)
from ftpsvc.text import printable, quoted
from ftpsvc_client.cli import asking, entry
from ftpsvc_client.cli.app import App
from ftpsvc_client.cli.given import Given, secrets, user_name
from ftpsvc_client.cli.params import ProfileName, common_options, examples
from ftpsvc_client.logins import Logins
from ftpsvc_client.profiles import Directories, Profile, Profiles, Target, check_profile_name

if TYPE_CHECKING:
    from ftpsvc.credentials import Credentials
    from ftpsvc_client.client import Client
    from ftpsvc_client.trust import Pins

_MAX_LABEL = 80


@click.command(
    epilog=examples(
        "ftpsvc login ftpsvc://files.example.org --user alice",
        "ftpsvc login ftpsvc://files.example.org --user ci --password-stdin --fingerprint 5F:3A:... < secret",
    )
)
@click.argument("url", required=False, type=ProfileName(), metavar="[URL|PROFILE]")
@click.option("-u", "--user", metavar="NAME", help="Who; else FTPSVC_USER, else it is asked for.")
@click.option(
    "--code/--no-code",
    default=None,
    help="The secret is a one-time code, or it is none; else its form decides.",
)
@click.option("--password-stdin", is_flag=True, help="Read the password or code from stdin, one line.")
@click.option("--set-password", is_flag=True, help="Set a new password as well.")
@click.option(
    "--fingerprint", "--accept-fingerprint", metavar="FINGERPRINT",
    help="SHA-256 of the server's certificate: no other is accepted, and it is pinned in place of any other.",
)  # fmt: skip
@click.option(
    "--label", metavar="DEVICE", help="What this device is called in the list of tokens; else its name."
)
@click.option("--profile", metavar="NAME", help="Save the server under this name; else its host's.")
@common_options
@click.pass_obj
def login(
    app: App, url: str | None, user: str | None, code: bool | None, password_stdin: bool, set_password: bool,
    fingerprint: str | None, label: str | None, profile: str | None,
) -> None:  # fmt: skip
    """Logs in once, for all commands from then on.

    Asks for password or one-time code, shows the server's fingerprint the first time, and saves a device token for
    this machine and a profile, which becomes the default. The password itself is kept nowhere.
    """
    if url is not None:
        app.server = url
    target = app.target
    address = Address.parse(target.server)
    if not (address.is_tls or address.is_unix):
        raise ConfigError(
            f"no device token is given out over a plain connection, as {printable(target.server)} is one",
            hint=f"{TLS}://HOST; or for each command {entry.USER_VARIABLE} and {entry.PASSWORD_VARIABLE}",
        )
    label = _label(label)
    if profile is not None:
        check_profile_name(profile)
    pins = _pins(address, fingerprint)
    # Known before anything is asked: whether the server can be reached, and whether it is the same as ever.
    unknown = _probe(app, address, pins)
    user = user or entry.setting(entry.USER_VARIABLE) or user_name(target)
    name = _profile_name(profile, target, user)
    given = secrets(user, code, from_stdin=password_stdin, set_password=set_password)
    if unknown is not None:
        pins = _asked_about(unknown, given.credentials)
    try:
        client = _connect(app, address, given.credentials, pins)
    except UntrustedServer as error:
        raise entry.explained(error) from None
    except AuthenticationFailed as error:
        error.hint = _what_now(given)
        raise
    with client:
        who = client.whoami()
        user = who.user or user
        _save(client, target.server, user, given, label)
        if given.password is not None:
            client.set_password(given.password)
    Profiles().add(name, target.server, user=user, replace=True)
    Profiles().use(name)
    for place in (Target(target.server), Target(target.server, name)):
        Directories().forget(place)  # the home is another user's now, perhaps
    app.out.note(f"logged in as {user} ({who.role}) at {target.server}, saved as the default profile {name}")
    if given.password is not None:
        app.out.note("the new password is set")


def _what_now(given: Given) -> str:
    """Returns what to do when the server refuses what was given."""
    from ftpsvc.credentials import Kind

    if given.guessed:
        return (
            "it was taken for a one-time code by its form, and a code is good once, until it expires: the operator can "
            "make another; --no-code if it is a password"
        )
    if given.credentials.name.kind is Kind.CODE:
        return "a code is good once, until it expires: the operator can make another"
    return "is the name right? the operator can make a one-time code, which sets a new password by --set-password"


def _label(label: str | None) -> str:
    """Returns what this device is called.

    Raises:
        ConfigError: That is too long, or nothing.
    """
    if label is None:
        import socket

        return printable(socket.gethostname())[:_MAX_LABEL] or "device"
    if not 0 < len(label) <= _MAX_LABEL:
        raise ConfigError(f"a label has 1 to {_MAX_LABEL} characters")
    return label


def _pins(address: Address, fingerprint: str | None) -> Pins | None:
    """Returns who decides about the certificate: what was given on the command line, or the pins alone."""
    fingerprint = fingerprint or entry.setting(entry.FINGERPRINT_VARIABLE)
    if not address.is_tls:
        return None
    from ftpsvc_client.trust import Pins

    return Pins(expected=fingerprint)


def _connect(app: App, address: Address, credentials: Credentials | None, pins: Pins | None) -> Client:
    from ftpsvc_client.client import connect

    app.out.detail(f"connecting to {address}")
    return connect(address, credentials=credentials, trust=pins, timeout=app.timeout)


def _probe(app: App, address: Address, pins: Pins | None) -> UnknownCertificate | None:
    """Dials, says nothing and hangs up: who reads a fingerprint takes longer than a server waits.

    Returns:
        What there is to ask a person; None where the server is known.

    Raises:
        FtpsvcError: It cannot be reached, is not to be believed, or there is nobody to ask.
    """
    try:
        _connect(app, address, None, pins).close()
    except UnknownCertificate as unknown:
        if asking.somebody_there():
            return unknown
        raise entry.explained(unknown) from None
    except UntrustedServer as error:
        raise entry.explained(error) from None
    return None


def _asked_about(unknown: UnknownCertificate, credentials: Credentials) -> Pins:
    """Asks about a server that was never seen, and returns pins that take this certificate and no other.

    Raises:
        UntrustedServer: It is not the right one.
    """
    from ftpsvc.credentials import Kind
    from ftpsvc_client.trust import Pins

    try:
        if credentials.name.kind is Kind.CODE:
            asking.fingerprint_of_slip(unknown)
        else:
            asking.fingerprint_is_right(unknown)
    except UnknownCertificate as error:
        raise entry.explained(error) from None
    return Pins(expected=unknown.fingerprint)


def _save(client: Client, server: str, user: str, given: Given, label: str) -> None:
    """Gets a device token and keeps it, and takes back the one that this device had before.

    Raises:
        FtpsvcError: The server gives none, or it cannot be kept: then it is worth nothing.
    """
    from ftpsvc.credentials import token_text

    logins = Logins()
    before = None
    with contextlib.suppress(ConfigError):  # damaged: that is what a log-in mends
        before = logins.get(server, user)
    if given.credentials.by_token:
        token = token_text(given.credentials.name.token_id or "", given.credentials.secret)
    else:
        token = client.issue_token(label)
    try:
        logins.save(server, user, token)
    except BaseException:
        if not given.credentials.by_token:
            with contextlib.suppress(FtpsvcError):
                client.revoke_token(token.partition("-")[0])
        raise
    old = before.name.token_id if before is not None else None
    if old is not None and old != token.partition("-")[0]:
        with contextlib.suppress(FtpsvcError):  # it may be gone, and it harms nobody
            client.revoke_token(old)


def _profile_name(given: str | None, target: Target, user: str) -> str:
    """Returns the name to save a server under: what was given, the profile it came from, or the host's.

    Raises:
        ConfigError: That is the name of another server, or another user's there.
    """
    if given is not None:
        if not _is_free(given, target.server, user):
            raise ConfigError(
                f"the profile {quoted(given)} is for another server or user",
                hint=f"another name, or `ftpsvc profile remove {printable(given)}` first",
            )
        return given
    if target.profile is not None and _is_free(target.profile, target.server, user):
        return target.profile
    address = Address.parse(target.server)
    host = (address.host or "local").replace(":", "-").replace("%", "-").lstrip("-.~ ") or "server"
    for name in (host, f"{user}@{host}", f"{user}@{host}-{address.port}"):
        with contextlib.suppress(ConfigError):
            check_profile_name(name)
            if _is_free(name, target.server, user):
                return name
    raise ConfigError("no name is free for a profile", hint="--profile NAME")


def _is_free(name: str, server: str, user: str) -> bool:
    """Whether a profile of that name is missing, damaged, or for just this."""
    found = _profile(name)
    return found is None or (found.server == server and found.user in (None, user))


def _profile(name: str) -> Profile | None:
    try:
        return Profiles().get(name)
    except ConfigError:
        return None
