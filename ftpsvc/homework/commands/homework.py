"""The command `ftpsvc-grade homework` (docs/kit.md)."""

from __future__ import annotations

import csv
import io
import json
import os
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import click

from ftpsvc.exceptions import ConfigError
from ftpsvc.homework.commands.place import say
from ftpsvc.homework.gradebook import files
from ftpsvc.homework.gradebook.exports import guarded
from ftpsvc.homework.kit.batch import Entry, judge_each
from ftpsvc.homework.kit.client_judging import judge_client
from ftpsvc.homework.kit.declared import Declared
from ftpsvc.homework.kit.dialects import DIALECTS, PROFILES, Profile, speaks
from ftpsvc.homework.kit.judging import PATIENCE, PORT, RUN_SECONDS, judge_server
from ftpsvc.homework.kit.report import gradescope, lines, markdown, progress
from ftpsvc.homework.kit.rubric import POINTS, RUBRIC, Report, Result, read_points
from ftpsvc.homework.kit.said import LANGUAGES, Language
from ftpsvc.homework.sandbox import leftovers
from ftpsvc.homework.sandbox.choose import choose, find_python
from ftpsvc.server.exits import Exit
from ftpsvc.text import count, printable

_FILE = click.Path(path_type=Path, dir_okay=False, allow_dash=True)
_FOLDER = click.Path(path_type=Path, exists=True, file_okay=False)


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
    type=_FOLDER,
    metavar="DIR",
    help="The hand-in; the command runs in a copy of it. [default: here]",
)
@click.option(
    "--each", type=_FOLDER, metavar="DIR", help="Judge every folder in DIR, as a hand-in of its own."
)
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="DIR",
    help="With --each: where results.json and report.md of each are written, and all points as points.csv.",
)
@click.option(
    "-j",
    "--jobs",
    type=click.IntRange(1, 256),
    metavar="N",
    help="With --each: hand-ins at once. [default: as many as there are processors]",
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
    "--language", type=click.Choice(LANGUAGES), default="en", help="Of reports: English, or Chinese (zh)."
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
    folder: Path | None,
    each: Path | None,
    out: Path | None,
    jobs: int | None,
    shared: str,
    port: int,
    points: Path | None,
    patience: float,
    seconds: float,
    language: Language,
    as_json: Path | None,
    as_markdown: Path | None,
    bwrap: str | None,
    command: tuple[str, ...],
) -> None:
    """Judge a file transfer server that a student wrote, or a client.

    COMMAND starts it, in a sandbox: -- python server.py PORT, or with --client -- python client.py HOST PORT. The word
    PORT becomes a number, and python the sandbox's own. Exits with 0 when no check failed, with 5 when one did.
    """
    if not shared or "/" in shared or shared.startswith("."):
        raise ConfigError("--shared names one folder of the hand-in")
    if client and (dialect is not None or profile != "base"):
        raise ConfigError(
            "--client goes without --dialect and --profile: our server speaks the base profile to it"
        )
    if each is not None and (folder is not None or as_json is not None or as_markdown is not None):
        raise ConfigError(
            "--each judges many hand-ins: it goes with none of --folder, --json and --markdown",
            hint="--out DIR writes the reports of all",
        )
    if each is None and (out is not None or jobs is not None):
        raise ConfigError("--out and --jobs go with --each")
    if not client:
        speaks(
            dialect, profile, Declared()
        )  # says of a dialect that is none what is wrong, before anything runs
    folders = _hand_ins(each) if each is not None else []
    worth = read_points(points) if points else POINTS
    leftovers.end()
    sandbox = choose(program=bwrap)
    python = find_python(sandbox)
    if python is None:
        raise ConfigError("the sandbox has no Python", hint="apt-get install python3")

    def judged(place: Path, told: Callable[[Result], None]) -> Report:
        judge = (
            judge_client if client else partial(judge_server, shared=shared, profile=profile, dialect=dialect)
        )
        return judge(
            sandbox, place, command, python=python, port=port, patience=patience, seconds=seconds, points=worth,
            told=told,
        )  # fmt: skip

    with _ended_by_sigterm():
        if folders:
            sys.exit(_all_of(folders, judged, jobs, out, language))
        report = judged(folder or Path(), partial(_told, language=language))
    for path, text in (
        (as_json, json.dumps(gradescope(report, language), indent=2, ensure_ascii=False) + "\n"),
        (as_markdown, markdown(report, language)),
    ):
        if path is not None:
            files.write(str(path), text)
    click.echo("\n".join(lines(report, language)))
    sys.exit(Exit.FAULTS if report.failed else Exit.CLEAN)


def _hand_ins(each: Path) -> list[Path]:
    folders = sorted(one for one in each.iterdir() if one.is_dir() and not one.name.startswith("."))
    if not folders:
        raise ConfigError(
            f"{each} has no folder in it", hint="--each takes a folder of hand-ins, --folder one"
        )
    return folders


def _all_of(
    folders: Sequence[Path],
    judged: Callable[[Path, Callable[[Result], None]], Report],
    jobs: int | None,
    out: Path | None,
    language: Language,
) -> Exit:
    """Judges hand-ins, writes the reports, prints a line for each, and returns the exit code."""
    if out is not None:
        out.mkdir(parents=True, exist_ok=True)
    done = 0

    def ready(entry: Entry) -> None:
        nonlocal done
        done += 1
        say(f"{done} of {len(folders)}: {printable(entry.name)}: {_line(entry)}")
        if out is not None and entry.report is not None:
            place = out / entry.name
            place.mkdir(exist_ok=True)
            results = json.dumps(gradescope(entry.report, language), indent=2, ensure_ascii=False) + "\n"
            files.write(str(place / "results.json"), results)
            files.write(str(place / "report.md"), markdown(entry.report, language))

    entries = judge_each(folders, judged, jobs or len(os.sched_getaffinity(0)), ready)
    if out is not None:
        files.write(str(out / "points.csv"), _table(entries))
    for entry in entries:
        click.echo(f"{printable(entry.name)}: {_line(entry)}")
    if lost := [entry for entry in entries if entry.report is None]:
        say(f"{count(len(lost), 'hand-in')} could not be judged, which says nothing of them")
        return Exit.CANNOT_START
    return Exit.FAULTS if any(one.report is not None and one.report.failed for one in entries) else Exit.CLEAN


def _line(entry: Entry) -> str:
    if entry.report is None:
        return f"not judged: {printable(entry.error)}"
    score, most = entry.report.total()
    return f"{score:g} of {most:g} points, {count(len(entry.report.failed), 'check')} failed"


def _table(entries: Sequence[Entry]) -> str:
    """Returns the points of all as CSV; an empty cell is what was not scored."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["hand-in", *RUBRIC.values(), "points", "max"])
    for entry in entries:
        if entry.report is None:
            writer.writerow([guarded(entry.name), *[""] * (len(RUBRIC) + 2)])
            continue
        scores = [entry.report.score(number) for number in RUBRIC]
        cells = ["" if one is None else f"{one[0]:g}" for one in scores]
        writer.writerow([guarded(entry.name), *cells, *(f"{one:g}" for one in entry.report.total())])
    return text.getvalue()


@contextmanager
def _ended_by_sigterm() -> Iterator[None]:
    """Lets SIGTERM end what runs as Ctrl-C does, so that it cleans up after itself."""
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _told(result: Result, language: Language) -> None:
    say(progress(result, language))
