"""The command `ftpsvc-grade homework` (docs/kit.md)."""

from __future__ import annotations

import json
import signal
import sys
from pathlib import Path

import click

from ftpsvc.exceptions import ConfigError
from ftpsvc.homework.commands.place import say
from ftpsvc.homework.kit.client_judging import judge_client
from ftpsvc.homework.kit.dialects import DIALECTS, PROFILES, Profile
from ftpsvc.homework.kit.judging import PATIENCE, PORT, RUN_SECONDS, judge_server
from ftpsvc.homework.kit.report import gradescope, lines, markdown
from ftpsvc.homework.kit.rubric import POINTS, Result, read_points
from ftpsvc.homework.sandbox import leftovers
from ftpsvc.homework.sandbox.choose import choose, find_python
from ftpsvc.server.exits import Exit

_FILE = click.Path(path_type=Path, dir_okay=False)


@click.command("homework", context_settings={"ignore_unknown_options": True})
@click.option("--client", is_flag=True, help="COMMAND is a client, judged against our server.")
@click.option(
    "--profile",
    type=click.Choice(PROFILES),
    default="base",
    help="What is asked of the server: the base profile, or all of the rubric.",
)
@click.option(
    "--dialect", metavar="NAME", help=f"What it speaks: {', '.join(DIALECTS)}, or a file with one of yours."
)
@click.option(
    "--folder",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    default=Path(),
    metavar="DIR",
    help="The hand-in; the command runs in a copy of it. [default: here]",
)
@click.option("--shared", default="shared", metavar="NAME", help="The folder in it that the server shares.")
@click.option(
    "--port", type=click.IntRange(1024, 65535), default=PORT, help="What PORT in the command becomes."
)
@click.option(
    "--points", type=_FILE, metavar="FILE", help="What the points of the rubric are worth, as TOML."
)
@click.option(
    "--patience",
    type=click.FloatRange(0.1, 600),
    default=PATIENCE,
    metavar="SECONDS",
    help="Time for each answer.",
)
@click.option(
    "--seconds",
    type=click.FloatRange(1, 36000),
    default=RUN_SECONDS,
    metavar="SECONDS",
    help="Time for all checks; what is not begun by then is failed. [default: 90]",
)
@click.option(
    "--json", "as_json", type=_FILE, metavar="FILE", help="Write the report as Gradescope's results.json."
)
@click.option("--markdown", "as_markdown", type=_FILE, metavar="FILE", help="Write the report as a page.")
@click.option("--bwrap", metavar="PATH", help="This bubblewrap, not the one that would be found.")
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED)
def homework(
    *,
    client: bool,
    profile: Profile,
    dialect: str | None,
    folder: Path,
    shared: str,
    port: int,
    points: Path | None,
    patience: float,
    seconds: float,
    as_json: Path | None,
    as_markdown: Path | None,
    bwrap: str | None,
    command: tuple[str, ...],
) -> None:
    """Judge a file transfer server, or client, that a student wrote.

    COMMAND starts it, in a sandbox: -- python server.py PORT. The word PORT becomes a number, and python the sandbox's
    own; for a client HOST becomes an address: --client -- python client.py HOST PORT. Exits with 0 when no check
    failed, with 5 when one did.
    """
    if not shared or "/" in shared or shared.startswith("."):
        raise ConfigError("--shared names one folder of the hand-in")
    worth = read_points(points) if points else POINTS
    leftovers.end()
    sandbox = choose(program=bwrap)
    python = find_python(sandbox)
    if python is None:
        raise ConfigError("the sandbox has no Python", hint="apt-get install python3")
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that it cleans up after itself
    try:
        if client:
            report = judge_client(
                sandbox, folder, command, python=python, port=port, patience=patience, seconds=seconds,
                points=worth, told=_told,
            )  # fmt: skip
        else:
            report = judge_server(
                sandbox, folder, command, python=python, port=port, shared=shared,
                profile=profile, dialect=dialect, patience=patience, seconds=seconds,
                points=worth, told=_told,
            )  # fmt: skip
    finally:
        signal.signal(signal.SIGTERM, before)
    for path, text in (
        (as_json, json.dumps(gradescope(report), indent=2) + "\n"),
        (as_markdown, markdown(report)),
    ):
        if path is not None:
            path.write_text(text, encoding="utf-8")
    click.echo("\n".join(lines(report)))
    sys.exit(Exit.FAULTS if report.failed else Exit.CLEAN)


def _told(result: Result) -> None:
    say(f"{result.status}: {result.check.name}")
