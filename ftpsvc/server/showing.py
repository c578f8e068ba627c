"""The command `ftpsvc-server fingerprint`: what students compare, and what is printed on their slips."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from ftpsvc.exceptions import ConfigError
from ftpsvc.server.exits import Exit, complain
from ftpsvc.server.options import config_option, root_option


@click.command("fingerprint")
@root_option("The server's root.")
@config_option
@click.pass_context
def fingerprint(ctx: click.Context, root: Path | None, config: Path | None) -> None:
    """Print the SHA-256 of the server's certificate, which is made if there is none yet.

    It is what the files say now: a running server shows an older certificate until it gets SIGHUP.
    """
    from ftpsvc.certificates import shown
    from ftpsvc.server import volumes
    from ftpsvc.server.config import load
    from ftpsvc.server.tls import Certificates

    outer = ctx.parent.params if ctx.parent is not None else {}
    root, config = root or outer.get("root"), config or outer.get("config")
    flags: dict[str, Any] = {} if root is None else {"root": root}
    try:
        settings = load(flags, config)
        if settings.tls.certificate is None:
            volumes.lay_out(settings.root)
        certificates = Certificates(settings.root, settings.tls.certificate, settings.tls.key)
    except ConfigError as error:
        complain(error)
        sys.exit(Exit.USAGE)
    for note in certificates.notes():
        click.echo(f"ftpsvc-server: note: {note}", err=True)
    click.echo(shown(certificates.current.fingerprint))
