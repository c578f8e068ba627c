"""The command `ftpsvc-server` (docs/server.md). `ftpsvc.commands.server` adds what lies above the server."""

from __future__ import annotations

import copy
import logging
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NoReturn

import click

import ftpsvc
from ftpsvc.exceptions import ConfigError
from ftpsvc.server.exits import Exit, complain
from ftpsvc.server.options import config_option, root_option
from ftpsvc.server.showing import SETTINGS

if TYPE_CHECKING:
    from ftpsvc.server.config import Settings
    from ftpsvc.server.extension import Extension

_EPILOG = """Every setting, also those that have no flag, can be set in a TOML file (--config) or by an environment
variable FTPSVCD_NAME or FTPSVCD_SECTION__NAME. Flags win over variables, variables over the file."""


_COMMANDS: Final = {
    "audit": "ftpsvc.server.commands:audit",
    "check": "ftpsvc.server.commands:check",
    "fingerprint": "ftpsvc.server.showing:fingerprint",
    "token": "ftpsvc.server.commands:token",
    "user": "ftpsvc.server.commands:user",
}
"""The operator's commands, and where they are: each is imported when it is asked for."""


class Program(click.Group):
    """The command, whose own commands are imported when they are asked for.

    Attributes:
        places: The commands, and where they are: module and name with a colon between.
        extensions: Makes what is added to the daemon.
    """

    places: Mapping[str, str] = _COMMANDS
    extensions: Callable[[], Sequence[Extension]] = tuple

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Returns the names."""
        return sorted(self.places)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Returns a command, or None."""
        if cmd_name not in self.places:
            return None
        module, _, name = self.places[cmd_name].partition(":")
        found: click.Command = getattr(import_module(module), name)
        return found


@click.group(
    cls=Program,
    invoke_without_command=True,
    subcommand_metavar="[COMMAND]",
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog=_EPILOG,
)
@root_option("Folder that everything is kept in.")
@click.option(
    "--listen",
    multiple=True,
    metavar="URL",
    help="Address to listen on: ftpsvc://HOST:PORT (TLS), ftpsvc+tcp://HOST:PORT or ftpsvc+unix:///PATH; may be "
    "given several times. [default: ftpsvc://[::]:9021]",
)
@click.option(
    "--guest",
    type=click.Choice(["none", "read", "write"]),
    help="What a client may do that does not log in. [default: none; with --share: read]",
)
@click.option(
    "--share",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Existing folder that guests see as /. [default: public in the root]",
)
@click.option(
    "--durability",
    type=click.Choice(["full", "relaxed"]),
    help="Whether an answer waits until everything is on the disk. [default: full]",
)
@config_option
@click.option("--check-config", is_flag=True, help="Check the settings and say what they are, then end.")
@click.option(
    "--log-format", type=click.Choice(["plain", "json"]), help="How the log looks. [default: plain]"
)
@click.option(
    "--log-level",
    type=click.Choice(["debug", "info", "warning", "error"]),
    help="The least that is logged. [default: info]",
)
@click.version_option(ftpsvc.__version__, prog_name="ftpsvc-server", message="%(prog)s %(version)s")
@click.pass_context
def command(ctx: click.Context, /, config: Path | None, check_config: bool, **flags: Any) -> None:
    """Serve files to ftpsvc clients; with a COMMAND, manage the server instead.

    Prints a line "listening on URL" for each address, then "ready", on stderr. SIGTERM or Ctrl-C stops it: running
    transfers get a grace (timeouts.grace), a second signal cuts them.
    """
    # Late, so that --help and --version do not wait for what only a running server needs.
    from ftpsvc.server import volumes
    from ftpsvc.server.config import load

    try:
        settings = load(_given(flags), config)
        if check_config:
            volumes.check(settings)
    except ConfigError as error:
        complain(error)
        sys.exit(Exit.USAGE)
    if ctx.invoked_subcommand is not None:
        from ftpsvc.accounts.console import Place

        ctx.obj = Place(settings.root, settings.database)
        ctx.meta[SETTINGS] = settings
        return
    if check_config:
        click.echo(settings.model_dump_json(indent=2))
    else:
        program = ctx.command
        sys.exit(_serve(settings, program.extensions() if isinstance(program, Program) else ()))


def composed(places: Mapping[str, str], extensions: Callable[[], Sequence[Extension]]) -> Program:
    """Returns the command with more to it.

    Args:
        places: Further commands, as `Program.places` has them.
        extensions: Makes what is added to the daemon, when one is started.
    """
    program = copy.copy(command)
    program.places = {**program.places, **places}
    program.extensions = extensions
    return program


def _serve(settings: Settings, extensions: Sequence[Extension]) -> Exit:
    from ftpsvc.server import log
    from ftpsvc.server.lifecycle import run

    output = log.Output(sys.stderr, settings.log.format, settings.log.level)
    try:
        return run(settings, output, extensions)
    except ConfigError as error:
        output.complain(error)
        return Exit.CANNOT_START
    except Exception as error:  # noqa: BLE001 -- the log gets the traceback, a person one line
        log.internal_error(logging.getLogger("ftpsvc.server"), error)
        return Exit.INTERNAL
    finally:
        output.close()


def _given(flags: dict[str, Any]) -> dict[str, Any]:
    """Returns the flags that were given, as settings."""
    values = {name: value for name, value in flags.items() if value not in (None, ())}
    section = {key: values.pop(f"log_{key}") for key in ("format", "level") if f"log_{key}" in values}
    if section:
        values["log"] = section
    return values


def main(program: click.Command = command) -> NoReturn:
    """Is the entry point: runs the command and ends the process, never with a traceback."""
    try:
        sys.exit(program.main(standalone_mode=False))
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except (
        click.Abort,
        KeyboardInterrupt,
    ):  # before the server runs; from then on it is a signal like SIGTERM
        sys.exit(Exit.INTERRUPTED)
    except ModuleNotFoundError as error:
        complain(_missing(error))
        sys.exit(Exit.CANNOT_START)
    except Exception as error:  # noqa: BLE001 -- a person gets one line, not a traceback
        complain(error)
        sys.exit(Exit.INTERNAL)


def _missing(error: ModuleNotFoundError) -> ConfigError:
    """Returns what to say where a module is not there: the client alone is installed, or this is Windows."""
    if os.name == "nt":
        return ConfigError("the daemon does not run on Windows itself", hint="it runs there inside WSL2")
    return ConfigError(
        f"the daemon's own dependencies are not installed: {error.name} is missing",
        hint=f"install the wheel with its extra: './ftpsvc-{ftpsvc.__version__}-py3-none-any.whl[server]'",
    )
