"""Tests that run a program once and look at what it wrote, outside the sandbox."""

from __future__ import annotations

from typing import Any, Final

from ftpsvc.homework.grading import compare
from ftpsvc.homework.grading.kinds.common import SHOWN, Judged, Place, judged, shown, tail
from ftpsvc.homework.grading.verdict import of_end, told
from ftpsvc.homework.model import RunTest
from ftpsvc.homework.sandbox.base import Job, Limits, Outcome, SandboxError

_PYTHONS: Final = ("python3", "python")

_MATCH: Final = """
import re, sys
def text(name):
    with open(name, "rb") as file:
        return file.read().decode("utf-8", "surrogateescape").replace("\\r\\n", "\\n").rstrip("\\n")
sys.exit(10 if re.fullmatch(text("expected"), text("actual")) else 11)
"""
_MATCHING: Final = Limits(cpu=2, wall=60, memory=512 << 20)


def grade(test: RunTest, place: Place) -> Judged:
    """Runs a test.

    Raises:
        SandboxError: It could not be run.
    """
    assignment, expect = place.assignment, test.expect
    limits = place.limits(test)
    argv = (place.python if test.run[0] in _PYTHONS else test.run[0], *test.run[1:])
    try:
        expected = (
            assignment.test_file(expect.stdout_file).read_bytes()
            if expect.stdout_file is not None
            else None
            if expect.stdout is None
            else expect.stdout.encode()
        )
    except OSError as error:
        raise SandboxError(f"cannot read {expect.stdout_file} of the tests: {error.strerror}") from error
    job = Job(
        argv=argv,
        folder=place.folder,
        files={name: assignment.test_file(name) for name in test.files},
        stdin=test.stdin.encode() if test.stdin_file is None else assignment.test_file(test.stdin_file),
        limits=limits,
        mounts=place.mounts,
    )
    outcome = place.sandbox.run(job)
    verdict = of_end(outcome, expect.exit)
    if verdict != "AC":
        lines = [told(outcome, limits, expect.exit), tail(outcome.stderr)]
        return judged(test, verdict, "\n".join(filter(None, lines)), outcome=outcome)
    if expected is None:
        return judged(test, "AC", "", outcome=outcome)
    if test.compare.kind == "regex":
        wrong = _unmatched(test, place, expected, outcome)
    else:
        wrong = compare.difference(test.compare, expected, outcome.stdout)
    if wrong is None:
        return judged(test, "AC", "", outcome=outcome)
    seen: dict[str, Any] = {"actual": shown(outcome.stdout)}
    if test.visibility == "visible":
        seen["expected"] = shown(expected[: SHOWN + 1])
    return judged(test, "WA", wrong, outcome=outcome, **seen)


def _unmatched(test: RunTest, place: Place, expected: bytes, outcome: Outcome) -> str | None:
    """Returns None where the output matches a regular expression.

    No code of the student's runs here, but anybody may have chosen a text on which a pattern is tried for ever: so it
    is tried where processor time has a limit.
    """
    done = place.sandbox.run(
        Job(
            argv=(place.python, "-I", "-c", _MATCH),
            files={"expected": expected, "actual": outcome.stdout},
            limits=_MATCHING,
            mounts=place.mounts,
        )
    )
    if done.exit == 10:
        return None
    if done.exit == 11:
        return f"the output does not match the pattern: got {compare.shown(outcome.stdout)}"
    if done.killed_by is not None:
        return f"whether the output matches the pattern was not decided in time: got {compare.shown(outcome.stdout)}"
    raise SandboxError(
        f"the pattern of test {test.name!r} cannot be used: {tail(done.stderr).rpartition(chr(10))[2]}"
    )
