"""The command `ftpsvc-grade serve` (docs/grading.md)."""

from __future__ import annotations

from pathlib import Path

import click

from ftpsvc.homework.commands.place import grader_options, local, root_option, say, stopped_by_signals
from ftpsvc.homework.engine import Engine, Report
from ftpsvc.homework.intake import Intake
from ftpsvc.homework.queue import Queue, Task
from ftpsvc.text import printable


@click.command("serve")
@grader_options
@root_option
def serve(*, jobs: int | None, bwrap: str | None, root: Path) -> None:
    """Grade hand-ins as they come, until SIGTERM or Ctrl-C.

    What is being graded then is finished; a second signal cuts it off, and the next grader begins it anew.
    """
    with Queue(root) as queue, local(jobs, bwrap) as executor, stopped_by_signals() as stop:
        intake = Intake(root, queue)
        say(f"ready: {executor.slots} at once")
        Engine(root, queue, executor, _told).serve(stop, intake.look)
        say("stopped")


def _told(task: Task, report: Report) -> None:
    what = f"{task.assignment} {printable(task.user)} version {task.version} attempt {task.attempt}"
    if report.reason is None:
        say(f"graded {what}: {report.raw:g} of {report.max:g}, {report.seconds:.2f} s")
        return
    say(f"not graded {what}: {report.reason}")
    if report.hint:
        say(f"hint: {report.hint}")
