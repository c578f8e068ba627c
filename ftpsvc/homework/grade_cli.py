"""The command `ftpsvc-grade` (docs/grading.md)."""

from __future__ import annotations

import sys
from importlib import import_module
from typing import Final, NoReturn

import click

import ftpsvc
from ftpsvc.exceptions import FtpsvcError
from ftpsvc.homework.faults import HomeworkFaults
from ftpsvc.server.exits import Exit, complain

_COMMANDS: Final = {
    "collect": "ftpsvc.homework.commands.collect:collect",
    "chaos": "ftpsvc.homework.commands.chaos:chaos",
    "doctor": "ftpsvc.homework.commands.doctor:doctor",
    "homework": "ftpsvc.homework.commands.homework:homework",
    "missing": "ftpsvc.homework.commands.report:missing",
    "publish": "ftpsvc.homework.commands.publish:publish",
    "report": "ftpsvc.homework.commands.report:report",
    "run": "ftpsvc.homework.commands.run:run",
    "serve": "ftpsvc.homework.commands.serve:serve",
    "set": "ftpsvc.homework.commands.set:set_",
    "similar": "ftpsvc.homework.commands.similar:similar",
}
"""The commands, and where they are: each is imported when it is asked for."""


class _Commands(click.Group):
    """A group whose commands are found in `_COMMANDS`."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Returns the names."""
        return sorted(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Returns a command, or None."""
        if cmd_name not in _COMMANDS:
            return None
        module, _, name = _COMMANDS[cmd_name].partition(":")
        found: click.Command = getattr(import_module(module), name)
        return found


@click.group(
    cls=_Commands, subcommand_metavar="COMMAND", context_settings={"help_option_names": ["-h", "--help"]}
)
@click.version_option(ftpsvc.__version__, prog_name="ftpsvc-grade", message="%(prog)s %(version)s")
def command() -> None:
    """Grade the homework that was handed in to ftpsvc-server."""


def main() -> NoReturn:
    """Is the entry point: runs the command and ends the process, never with a traceback."""
    try:
        sys.exit(command.main(standalone_mode=False))
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except (click.Abort, KeyboardInterrupt):
        sys.exit(Exit.INTERRUPTED)
    except HomeworkFaults as error:
        for line in error.lines():
            click.echo(line, err=True)
        complain(error, "ftpsvc-grade")
        sys.exit(Exit.CANNOT_START)
    except FtpsvcError as error:
        complain(error, "ftpsvc-grade")
        sys.exit(Exit.CANNOT_START)
    except Exception as error:  # noqa: BLE001 -- a person gets one line, not a traceback
        complain(error, "ftpsvc-grade")
        sys.exit(Exit.INTERNAL)


if __name__ == "__main__":
    main()
