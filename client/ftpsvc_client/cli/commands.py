"""`ftpsvc` itself: the commands by name, each of them loaded when it is called for."""

from __future__ import annotations

import importlib

import click

from ftpsvc_client.cli.params import common_options, json_option

_COMMANDS = {
    "put": "transfers",
    "get": "transfers",
    "sync": "sync",
    "ls": "ls",
    "cd": "names",
    "pwd": "names",
    "mkdir": "names",
    "rm": "names",
    "mv": "names",
    "stat": "names",
    "df": "names",
    "verify": "transfers",
    "shell": "shell",
    "login": "login",
    "logout": "account",
    "whoami": "account",
    "passwd": "account",
    "assignments": "homework",
    "submit": "homework",
    "receipt": "homework",
    "profile": "servers",
    "completion": "completion",
}

IN_SHELL = (
    "put",
    "get",
    "sync",
    "ls",
    "cd",
    "pwd",
    "mkdir",
    "rm",
    "mv",
    "stat",
    "df",
    "verify",
    "whoami",
    "passwd",
)
"""The commands that the shell has in common with the command line."""


class _Commands(click.Group):
    """The group of all commands; a module is imported when the first of its commands is needed."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        return load(name)


def load(name: str) -> click.Command | None:
    """Returns the command of that name, or None."""
    module = _COMMANDS.get(name)
    if module is None:
        return None
    command: click.Command = getattr(importlib.import_module(f"ftpsvc_client.cli.{module}"), name)
    return command


def _version(ctx: click.Context, param: click.Parameter, value: bool) -> None:
    if value and not ctx.resilient_parsing:
        import ftpsvc

        click.echo(f"ftpsvc {ftpsvc.__version__}")
        ctx.exit()


@click.group(cls=_Commands)
@click.option(
    "--version", is_flag=True, is_eager=True, expose_value=False, callback=_version, help="Show the version."
)
@json_option
@common_options
def ftpsvc() -> None:
    """Moves files to and from an ftpsvc server, with digests that both sides compute.

    The server is a URL like ftpsvc://HOST, given by --server or FTPSVC_SERVER, or saved once with `ftpsvc login`
    or `ftpsvc profile add`. `ftpsvc COMMAND --help` explains a command.
    """
