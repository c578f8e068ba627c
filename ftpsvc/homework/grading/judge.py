"""Grades one hand-in: every test of its assignment, one after the other, each in a sandbox of its own.

It is given a folder with files, the assignment, and a sandbox; it knows no gradebook, no keys, no other hand-in, and
writes nothing. Times come from the hand-in's stamps, never from the clock.
"""

from __future__ import annotations

import socket
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from weakref import WeakKeyDictionary

import ftpsvc
from ftpsvc.homework.grading.faults import GradingFailed
from ftpsvc.homework.grading.kinds import ftp_homework, manual, run
from ftpsvc.homework.grading.kinds import pytest as by_pytest
from ftpsvc.homework.grading.kinds.common import Judged, Place, judged
from ftpsvc.homework.grading.results import NOT_SCORED, Extra, Late, Ours, Result
from ftpsvc.homework.lateness import Lateness
from ftpsvc.homework.model import Assignment, FtpHomeworkTest, PytestTest, RunTest, Test
from ftpsvc.homework.sandbox.base import Job, Limits, Sandbox
from ftpsvc.homework.sandbox.choose import find_python
from ftpsvc.text import printable

_TRIAL: Final = Limits(cpu=60, wall=300, memory=1 << 30)


@dataclass(frozen=True, slots=True)
class HandIn:
    """What is graded.

    Attributes:
        submission: COURSE/ASSIGNMENT/USER/VERSION, for the result.
        folder: Its files.
        tree_sha256: Of these files, as the receipt has it.
        attempt: From 1.
        lateness: What it costs as things stand; None costs nothing.
    """

    submission: str
    folder: Path
    tree_sha256: str
    attempt: int = 1
    lateness: Lateness | None = None


@dataclass(frozen=True, slots=True)
class Tested:
    """What all tests say of a folder.

    Attributes:
        tests: In their order.
        raw: Points, without those that are given by hand.
        max: Points that there are, those by hand included.
        by_hand: Points that a person gives.
        seconds: How long it took.
    """

    tests: tuple[Judged, ...]
    raw: float
    max: float
    by_hand: float
    seconds: float


def grade(assignment: Assignment, hand_in: HandIn, sandbox: Sandbox) -> tuple[Result, Tested]:
    """Returns the result of a hand-in, and with `Tested` what its programs wrote.

    Raises:
        GradingFailed: The tests, the assignment or the grader failed: there is no result, above all no 0.
        SandboxError: The sandbox did.
    """
    started = _now()
    tested = test(assignment, hand_in.folder, sandbox)
    late = hand_in.lateness or Lateness(0, on_time=True, percent=0.0, late_days_used=0)
    ours = Ours(
        submission=hand_in.submission,
        tree_sha256=hand_in.tree_sha256,
        assignment_sha256=assignment.sha256,
        attempt=hand_in.attempt,
        raw=tested.raw,
        max=tested.max,
        late=Late(
            seconds=late.seconds,
            grace=int(assignment.late.grace.total_seconds()),
            late_days_used=late.late_days_used,
            percent=late.percent,
        ),
        state="graded",
        sandbox=sandbox.name,
        caps=sandbox.caps,
        grader=f"ftpsvc {ftpsvc.__version__}",
        host=printable(socket.gethostname()),
        started=started,
        finished=_now(),
    )
    result = Result(
        score=rounded(late.after_penalty(tested.raw)),
        execution_time=round(tested.seconds, 3),
        tests=tuple(one.result for one in tested.tests),
        extra_data=Extra(ftpsvc=ours),
    )
    return result, tested


def test(assignment: Assignment, folder: Path, sandbox: Sandbox) -> Tested:
    """Runs all tests on a folder: a hand-in, or the solution that comes with an assignment.

    Raises:
        GradingFailed: The tests, the assignment or the grader failed.
        SandboxError: The sandbox did.
    """
    begun = time.monotonic()
    python, mounts = _python(sandbox, assignment.runtime.python)
    place = Place(assignment, folder, sandbox, python, mounts)
    found: list[Judged] = []
    passed: set[str] = set()
    for number, one in enumerate(assignment.tests, 1):
        missing = [name for name in one.needs if name not in passed]
        parts = _skipped(one, missing) if missing else _grade(one, place)
        if all(_passed(part) for part in parts):
            passed.add(one.name)
        found += [_numbered(part, f"{number}{part.result.number}") for part in parts]
    return Tested(
        tests=tuple(found),
        raw=rounded(sum(one.result.score or 0.0 for one in found)),
        max=rounded(assignment.points),
        by_hand=rounded(sum(one.points for one in assignment.tests if one.kind == "manual")),
        seconds=time.monotonic() - begun,
    )


def rounded(points: float) -> float:
    """Returns points without what the arithmetic of binary fractions leaves: a third three times is one."""
    return round(points, 6)


def _grade(one: Test, place: Place) -> list[Judged]:
    if isinstance(one, RunTest):
        return [run.grade(one, place)]
    if isinstance(one, PytestTest):
        return by_pytest.grade(one, place)
    if isinstance(one, FtpHomeworkTest):
        return ftp_homework.grade(one, place)
    return [manual.entry(one)]


def _passed(part: Judged) -> bool:
    return part.result.extra_data.verdict == "AC" or NOT_SCORED in part.result.tags


def _skipped(one: Test, missing: list[str]) -> list[Judged]:
    names = ", ".join(f"{name!r}" for name in missing)
    return [judged(one, "SKIP", f"not run, because it needs {names}")]


def _numbered(part: Judged, number: str) -> Judged:
    return Judged(part.result.model_copy(update={"number": number}), part.streams)


_pythons: Final[WeakKeyDictionary[Sandbox, dict[str | None, tuple[str, tuple[Path, ...]]]]] = (
    WeakKeyDictionary()
)


def _python(sandbox: Sandbox, wanted: str | None) -> tuple[str, tuple[Path, ...]]:
    """Returns the Python to use inside, and what it needs to see: found by trying, once for each sandbox."""
    known = _pythons.setdefault(sandbox, {})
    if wanted not in known:
        known[wanted] = _tried(sandbox, wanted)
    return known[wanted]


def _tried(sandbox: Sandbox, wanted: str | None) -> tuple[str, tuple[Path, ...]]:
    if wanted is None:
        found = find_python(sandbox)
        if found is None:
            raise GradingFailed(
                "no Python runs in the sandbox", hint="install python3 in /usr, or name one in [runtime]"
            )
        return found, ()
    mounts = _environment(Path(wanted))
    outcome = sandbox.run(Job(argv=(wanted, "-c", "pass"), limits=_TRIAL, mounts=mounts))
    if outcome.exit != 0:
        raise GradingFailed(
            f"the Python of the assignment does not run in the sandbox: {printable(wanted)}",
            hint="a virtual environment must be made from the system's own Python, and readable for everybody",
        )
    return wanted, mounts


def _environment(python: Path) -> tuple[Path, ...]:
    """Returns the folder to show of a Python: its virtual environment where it is in one, nothing of /usr."""
    if python.is_relative_to("/usr"):
        return ()
    above = python.parent.parent
    return (above,) if (above / "pyvenv.cfg").is_file() else (python.parent,)


def _now() -> str:
    nanoseconds = time.time_ns()
    seconds = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(nanoseconds // 10**9))
    return f"{seconds}.{nanoseconds // 10**6 % 1000:03}Z"


__all__ = ["HandIn", "Tested", "grade", "rounded", "test"]
