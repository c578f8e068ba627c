"""What students are told of a server: its address and fingerprint; and the command that prints the latter."""

from __future__ import annotations

import socket
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from ftpsvc.addresses import Address
from ftpsvc.exceptions import ConfigError
from ftpsvc.server.exits import Exit, complain
from ftpsvc.server.options import config_option, root_option

if TYPE_CHECKING:
    from ftpsvc.server.config import Settings
    from ftpsvc.server.tls import Certificates

SETTINGS: Final = "ftpsvc.server.settings"
"""Where the command `ftpsvc-server` keeps the settings for its commands, in the context's `meta`."""

_EVERY: Final = frozenset({"0.0.0.0", "::"})
_ELSEWHERE: Final = "192.0.2.1"
"""An address of nobody's (RFC 5737), to ask the system which of its own it would use."""


def address(settings: Settings) -> str | None:
    """Returns the URL at which clients of other machines reach the server; None where that cannot be told.

    Where it listens on every address it is the one that this machine uses towards others.
    """
    for found in settings.addresses:
        if not found.is_tls or not found.port:
            continue
        if found.host not in _EVERY:
            return str(found)
        if (own := _own_address()) is not None:
            return str(Address(found.scheme, own, found.port))
    return None


def _own_address() -> str | None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        try:
            asking.connect((_ELSEWHERE, 9))  # of a datagram socket: nothing is sent
            host: str = asking.getsockname()[0]
        except OSError:  # no network
            return None
    return None if host.startswith("127.") else host


def fingerprint_of(settings: Settings, root: Path) -> str | None:
    """Returns the fingerprint of the server's certificate, which is made if there is none; None without TLS.

    Raises:
        ConfigError: The certificate cannot be had.
    """
    if not any(found.is_tls for found in settings.addresses):
        return None
    from ftpsvc.certificates import shown

    return f"SHA256 {shown(_certificates(settings, root).current.fingerprint)}"


def _certificates(settings: Settings, root: Path) -> Certificates:
    from ftpsvc.server import volumes
    from ftpsvc.server.tls import Certificates

    if settings.tls.certificate is None:
        volumes.lay_out(root)
    return Certificates(root, settings.tls.certificate, settings.tls.key)


@click.command("fingerprint")
@root_option("The server's root.")
@config_option
@click.pass_context
def fingerprint(ctx: click.Context, root: Path | None, config: Path | None) -> None:
    """Print the SHA-256 of the server's certificate, which is made if there is none yet.

    It is what the files say now: a running server shows an older certificate until it gets SIGHUP.
    """
    from ftpsvc.certificates import shown
    from ftpsvc.server.config import load

    outer = ctx.parent.params if ctx.parent is not None else {}
    root, config = root or outer.get("root"), config or outer.get("config")
    flags: dict[str, Any] = {} if root is None else {"root": root}
    try:
        settings = load(flags, config)
        certificates = _certificates(settings, settings.root)
    except ConfigError as error:
        complain(error)
        sys.exit(Exit.USAGE)
    for note in certificates.notes():
        click.echo(f"ftpsvc-server: note: {note}", err=True)
    click.echo(shown(certificates.current.fingerprint))
