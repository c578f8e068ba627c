"""The options that the daemon and its operator's commands have in common."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

_Command = TypeVar("_Command", bound=Callable[..., Any])


def root_option(text: str) -> Callable[[_Command], _Command]:
    """Returns the option `--root`, with what it is in the words of the command."""
    return click.option(
        "--root",
        type=click.Path(path_type=Path),
        metavar="DIR",
        help=f"{text} [default: ./server_storage]",
    )


config_option: Callable[[_Command], _Command] = click.option(
    "--config",
    type=click.Path(path_type=Path),
    envvar="FTPSVCD_CONFIG",
    metavar="FILE",
    help="TOML file with settings. [variable: FTPSVCD_CONFIG]",
)
