"""The command `ftpsvc-grade run` (docs/grading.md)."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Final

import click

from ftpsvc.exceptions import ConfigError, FtpsvcError
from ftpsvc.homework.commands.place import grader_options, local, root_option, say, stopped_by_signals
from ftpsvc.homework.engine import Engine, Report
from ftpsvc.homework.gradebook import files
from ftpsvc.homework.grading.judge import rounded
from ftpsvc.homework.grading.results import Result, junit
from ftpsvc.homework.grading.store import Results
from ftpsvc.homework.intake import Intake, Wanted
from ftpsvc.homework.queue import Queue, Task
from ftpsvc.server.exits import Exit
from ftpsvc.text import count, printable

ONLY: Final = ("failed", "error")


@click.command("run")
@click.argument("assignment")
@click.option(
    "--user", "users", multiple=True, metavar="USER", help="Only this one's; may be given several times."
)
@click.option(
    "--except",
    "without",
    multiple=True,
    metavar="USER",
    help="All but this one's; may be given several times.",
)
@click.option(
    "--only",
    type=click.Choice(ONLY),
    help="Only what failed a test (and grade that again), or what could not be graded.",
)
@click.option(
    "--rerun", is_flag=True, help="Grade again what has a result; the old one is kept, the new one counts."
)
@click.option(
    "--junit",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Write the results as JUnit's XML.",
)
@grader_options
@root_option
def run(
    *,
    assignment: str,
    users: tuple[str, ...],
    without: tuple[str, ...],
    only: str | None,
    rerun: bool,
    junit: Path | None,
    jobs: int | None,
    bwrap: str | None,
    root: Path,
) -> None:
    """Grade what was handed in for ASSIGNMENT and has no result yet.

    Of each student that is the version that counts and the newest one. Exits with 0 when all of it has a result, with 5
    when some could not be graded.
    """
    with Queue(root) as queue:
        batch = _Batch(root, queue, assignment, users, without)
        batch.choose(only, rerun=rerun)
        if not batch.todo:
            say(f"{assignment}: nothing to grade")
        else:
            with local(jobs, bwrap) as executor, stopped_by_signals() as stop:
                say(f"{assignment}: {count(len(batch.todo), 'hand-in')} to grade, {executor.slots} at once")
                Engine(root, queue, executor, batch.told).run(stop, assignment, batch.users)
                stopped = stop.is_set()
            batch.close()
            if stopped:
                say("stopped; ftpsvc-grade run goes on with the rest")
                sys.exit(Exit.INTERRUPTED)
        if junit is not None:
            files.write(str(junit), batch.junit())
    sys.exit(Exit.FAULTS if batch.errors else Exit.CLEAN)


class _Batch:
    """What one run grades, and what it says about it."""

    def __init__(
        self, root: Path, queue: Queue, name: str, users: tuple[str, ...], without: tuple[str, ...]
    ) -> None:
        self._queue = queue
        self._intake = Intake(root, queue)
        self._assignment = self._intake.catalog.get(name)
        there = self._intake.submissions.users(name)
        if unknown := sorted(set(users) - set(there)):
            raise ConfigError(
                f"nothing was handed in for {name} by {', '.join(map(printable, unknown))}",
                hint=f"ftpsvc-grade missing {name} lists who handed in nothing",
            )
        self.users = [user for user in there if (not users or user in users) and user not in without]
        self.todo: dict[tuple[str, int], Wanted] = {}
        self.errors = 0
        self._changed: list[str] = []
        self._done = 0
        self._graded = 0
        self._begun = time.monotonic()
        self._live = sys.stderr.isatty()

    def choose(self, only: str | None, *, rerun: bool) -> None:
        """Puts into the queue what is to be graded."""
        for user in self.users:
            try:
                wanted = self._intake.wanted(self._assignment, user)
            except (FtpsvcError, OSError, ValueError) as error:
                self.errors += 1
                say(f"{printable(user)}: cannot be graded: {printable(str(error))}")
                continue
            for one in wanted:
                if _chosen(one, only, rerun=rerun):
                    name = self._assignment.id
                    self._queue.put(name, user, one.version, one.attempt, rerun=one.newest is not None)
                    self.todo[user, one.version] = one
            self._queue.hurry(self._assignment.id, user)

    def told(self, task: Task, report: Report) -> None:
        """Says what became of a task."""
        wanted = self.todo.get((task.user, task.version))
        if wanted is None:  # was in the queue already
            return
        self._done += 1
        self._graded += report.reason is None
        what = f"{printable(task.user)} version {task.version}"
        if report.reason is not None:
            self.errors += 1
            self._line(f"{what}: not graded: {report.reason}")
            if report.hint:
                self._line(f"hint: {report.hint}")
        elif wanted.newest is not None and wanted.newest.ours.raw != report.raw:
            self._changed.append(
                f"{what}: {wanted.newest.ours.raw:g} before, now {report.raw:g} of {report.max:g}"
            )
        passed = time.monotonic() - self._begun
        left = passed / self._done * (len(self.todo) - self._done)
        points = "" if report.raw is None else f"  {what}: {report.raw:g} of {report.max:g}"
        progress = f"{self._done}/{len(self.todo)}, {_clock(left)} left{points}"
        if self._live:
            click.echo(f"\r\x1b[K{progress}", nl=False, err=True)
        else:
            say(progress)

    def close(self) -> None:
        """Says how it ended."""
        passed = time.monotonic() - self._begun
        self._line(f"graded {self._graded} in {_clock(passed)}"
                   + (f", {count(self.errors, 'hand-in')} could not be graded" if self.errors else ""))  # fmt: skip
        for line in self._changed:
            say(line)

    def junit(self) -> str:
        """Returns the newest results of all that was looked at."""
        found: list[Result] = []
        for user in self.users:
            results = Results(self._intake.submissions.of(self._assignment.id, user))
            numbers = self._intake.submissions.numbers(self._assignment.id, user)
            found += [one for number in numbers if (one := results.newest(number)) is not None]
        return junit(found).decode()

    def _line(self, text: str) -> None:
        say(f"\r\x1b[K{text}" if self._live else text)


def _chosen(one: Wanted, only: str | None, *, rerun: bool) -> bool:
    if only == "error":
        return one.failed
    if only == "failed":
        return one.newest is None or _failed(one.newest)
    return rerun or one.newest is None or one.failed


def _failed(result: Result) -> bool:
    by_hand = sum(test.max_score for test in result.tests if test.extra_data.verdict is None)
    return result.ours.raw < rounded(result.ours.max - by_hand)


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
