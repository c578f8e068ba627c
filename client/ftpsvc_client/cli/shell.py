"""The command `shell`: the same commands at a prompt, on one connection.

prompt_toolkit edits the line, keeps the history and shows completions, on Windows too. Where stdin is no terminal the
lines are a script: no prompt, and the first command that fails ends it, as with `sftp -b`.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO

import click

from ftpsvc_client.cli import exits, words
from ftpsvc_client.cli.app import App, Reported
from ftpsvc_client.cli.commands import IN_SHELL, load
from ftpsvc_client.cli.params import LocalPath, common_options, examples


@click.command(
    epilog=examples("ftpsvc shell", "ftpsvc --server ftpsvc+tcp://127.0.0.1:9021 shell < commands.txt")
)
@common_options
@click.pass_obj
def shell(app: App) -> None:
    """Runs commands at a prompt, with history and completion, on one connection.

    The commands are those of the command line, and lcd, lpwd, lls for this side, help, exit. Ctrl-C stops a
    transfer and not the shell, Ctrl-D leaves. Where stdin is no terminal the lines are a script: # begins a comment,
    the first command that fails ends it, and - before a command lets it fail.
    """
    app.client()
    if _is_terminal(sys.stdin) and _is_terminal(sys.stdout):
        from ftpsvc_client.cli.prompt import converse

        converse(app, lambda line: _run(app, line))
    else:
        _script(app)


def _is_terminal(stream: TextIO | None) -> bool:
    return stream is not None and stream.isatty()


class Leave(BaseException):
    """`exit`: ends the shell. No Exception, since nothing went wrong."""


def _script(app: App) -> None:
    """Runs the lines of stdin.

    Raises:
        Reported: One failed.
    """
    for line in sys.stdin or ():
        line = line.strip().removeprefix("\ufeff")  # some editors mark a file as UTF-8 by it
        allowed = line.startswith("-")
        try:
            code = _run(app, line.removeprefix("-"))
        except Leave:
            return
        if code in (exits.INTERRUPTED, exits.TERMINATED, exits.BROKEN_PIPE) or (code and not allowed):
            raise Reported(code)


def _run(app: App, line: str) -> int:
    """Runs one line and returns its exit code.

    Raises:
        Leave: It is `exit`.
    """
    from ftpsvc_client.cli.run import guarded, invoke

    one = app.for_shell_command()
    if not line.strip() or line.lstrip().startswith("#"):
        return exits.OK
    try:
        name, *arguments = words.split(line)
    except ValueError as error:
        app.out.error(str(error))
        return exits.USAGE
    command = commands.get_command(click.Context(commands), name)
    if command is None:
        app.out.error(f"there is no command {name!r}")
        app.out.hint("`help` lists them")
        return exits.USAGE
    return guarded(one, lambda: invoke(command, arguments, one, name))


class _ShellCommands(click.Group):
    """What can be typed at the prompt: the common commands, loaded when they are called for, and those below."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [*IN_SHELL, *self.commands]

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        return load(name) if name in IN_SHELL else self.commands.get(_ALIASES.get(name, name))


_ALIASES = {"quit": "exit", "bye": "exit", "?": "help"}

commands = _ShellCommands("shell")


@contextmanager
def _local(path: str) -> Iterator[None]:
    """Tells what the local disk refuses in the words of all commands."""
    from ftpsvc_client.local import local_error

    try:
        yield
    except OSError as error:
        raise local_error(error, path) from None


@commands.command()
@click.argument("path", type=LocalPath(), default="~")
def lcd(path: str) -> None:
    """Changes the directory on this side."""
    with _local(path):
        os.chdir(os.path.expanduser(path))


@commands.command()
@click.pass_obj
def lpwd(app: App) -> None:
    """Prints the directory on this side."""
    app.out.line(os.getcwd())


@commands.command()
@click.argument("path", type=LocalPath(), default=".")
@click.pass_obj
def lls(app: App, path: str) -> None:
    """Lists a directory on this side."""
    with _local(path), os.scandir(os.path.expanduser(path)) as entries:
        for entry in sorted(entries, key=lambda entry: entry.name):
            app.out.line(entry.name + ("/" if entry.is_dir() else ""))


@commands.command(name="help")
@click.argument("name", required=False)
@click.pass_context
def help_(context: click.Context, name: str | None) -> None:
    """Lists the commands, or explains one."""
    if name is None:
        for each in commands.list_commands(context):
            command = commands.get_command(context, each)
            if command is not None:
                click.echo(f"{each:<8} {command.get_short_help_str(90)}")
        return
    command = commands.get_command(context, name)
    if command is None:
        raise click.UsageError(f"there is no command {name!r}")
    with command.make_context(name, [], resilient_parsing=True, obj=context.obj) as explained:
        click.echo(command.get_help(explained))


@commands.command(name="exit")
def exit_() -> None:
    """Leaves the shell."""
    raise Leave
