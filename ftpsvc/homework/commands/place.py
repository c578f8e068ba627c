"""What the commands that grade have in common: the root, the sandbox, and the signals that end them."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, TypeVar

import click

from ftpsvc.homework.engine import Local
from ftpsvc.homework.sandbox import leftovers
from ftpsvc.homework.sandbox.choose import choose
from ftpsvc.server.exits import Exit

DEFAULT_ROOT: Final = Path("server_storage")

_Command = TypeVar("_Command", bound=Callable[..., Any])


def root_option(command: _Command) -> _Command:
    """Adds `--root`."""
    return click.option(
        "--root",
        type=click.Path(path_type=Path, exists=True, file_okay=False),
        default=DEFAULT_ROOT,
        envvar="FTPSVCD_ROOT",
        metavar="DIR",
        help="The server's root. [default: ./server_storage; variable: FTPSVCD_ROOT]",
    )(command)


def grader_options(command: _Command) -> _Command:
    """Adds what says how it is graded: `--jobs` and `--bwrap`."""
    jobs = click.option(
        "-j",
        "--jobs",
        type=click.IntRange(1, 256),
        metavar="N",
        help="Hand-ins to grade at once. [default: as many as there are processors]",
    )
    bwrap = click.option("--bwrap", metavar="PATH", help="This bubblewrap, not the one that would be found.")
    return jobs(bwrap(command))


@contextmanager
def local(jobs: int | None, bwrap: str | None) -> Iterator[Local]:
    """Yields what grades on this machine.

    Raises:
        SandboxError: No sandbox works here.
    """
    leftovers.end()
    executor = Local(choose(program=bwrap), jobs or len(os.sched_getaffinity(0)))
    try:
        yield executor
    finally:
        executor.close()


@contextmanager
def stopped_by_signals() -> Iterator[threading.Event]:
    """Yields an event that SIGTERM and Ctrl-C set.

    A second one ends the process at once, and its sandboxes with it: what was being graded is graded anew the next
    time.
    """
    stop = threading.Event()

    def end(number: int, frame: object) -> None:
        if stop.is_set():
            os._exit(Exit.CUT)
        stop.set()

    before = {one: signal.signal(one, end) for one in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield stop
    finally:
        for one, handler in before.items():
            signal.signal(one, handler)


def say(text: str) -> None:
    """Writes a line to standard error."""
    click.echo(text, err=True)
    sys.stderr.flush()
