"""What the kinds of tests have in common: where they run, and the words for what they saw."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from ftpsvc.homework.grading.results import Measured, TestResult
from ftpsvc.homework.grading.verdict import Verdict
from ftpsvc.homework.model import Assignment, Test
from ftpsvc.homework.sandbox.base import Limits, Outcome, Sandbox
from ftpsvc.text import printable

SHOWN: Final = 4096
"""Bytes of a program's output that a result holds; what there was beyond lies beside it, up to `KEPT`."""

KEPT: Final = 64 << 10

_TAIL_LINES: Final = 20


@dataclass(frozen=True, slots=True)
class Place:
    """Where a test runs.

    Attributes:
        assignment: Its assignment.
        folder: The files that were handed in; only ever read.
        sandbox: What runs them.
        python: The Python inside it.
        mounts: What that Python needs to see.
    """

    assignment: Assignment
    folder: Path
    sandbox: Sandbox
    python: str
    mounts: tuple[Path, ...] = ()

    def limits(self, test: Test) -> Limits:
        """Returns what the test may use."""
        return self.assignment.limits_of(test)


@dataclass(frozen=True, slots=True)
class Judged:
    """One test's result, and what is kept beside it: what the program wrote, by the name of the stream."""

    result: TestResult
    streams: tuple[tuple[str, bytes], ...] = ()


def judged(
    test: Test,
    verdict: Verdict,
    output: str,
    *,
    number: str = "",
    name: str | None = None,
    points: float | None = None,
    outcome: Outcome | None = None,
    tags: tuple[str, ...] = (),
    **seen: Any,
) -> Judged:
    """Returns the result of a test that was judged.

    Args:
        test: The test.
        verdict: What became of it.
        output: What the student is told; the test's hint follows where it failed.
        number: "3.1" for the first part of the third test; empty is filled in by the judge.
        name: None is the test's own.
        points: What it is worth; None is the test's own.
        outcome: How its program ended.
        tags: Further tags.
        seen: Further fields of `Measured`.
    """
    worth = test.points if points is None else points
    scored = verdict not in ("SKIP", "IE")
    passed = verdict == "AC"
    if outcome is not None:
        seen = {
            "cpu": round(outcome.cpu, 3), "wall": round(outcome.wall, 3), "rss": outcome.rss, "exit": outcome.exit,
            "signal": outcome.signal, "killed_by": outcome.killed_by, "truncated": outcome.truncated,
        } | seen  # fmt: skip
    if test.hint and scored and not passed:
        output = f"{output}\nhint: {test.hint}" if output else f"hint: {test.hint}"
    result = TestResult(
        number=number,
        name=test.name if name is None else name,
        score=(worth if passed else 0.0) if scored else None,
        max_score=worth,
        status=("passed" if passed else "failed") if scored else None,
        visibility=test.visibility,
        output=output,
        tags=(test.kind, *tags)
        + (("skipped",) if verdict == "SKIP" else ("error",) if verdict == "IE" else ()),
        extra_data=Measured(verdict=verdict, **seen),
    )
    streams = (
        () if outcome is None else (("stdout", outcome.stdout[:KEPT]), ("stderr", outcome.stderr[:KEPT]))
    )
    return Judged(result, tuple((kind, content) for kind, content in streams if content))


def shown(content: bytes | str) -> str:
    """Returns text as a result holds it: the lines as they are, short, and nothing in them that drives a terminal."""
    text = content[:SHOWN].decode("utf-8", "replace") if isinstance(content, bytes) else content[:SHOWN]
    cut = "\n…" if len(content) > SHOWN else ""
    return "\n".join(printable(line.rstrip("\r").expandtabs()) for line in text.split("\n")) + cut


def tail(content: bytes) -> str:
    """Returns the last lines, which is where a traceback says what went wrong."""
    return shown(b"\n".join(content.rstrip().split(b"\n")[-_TAIL_LINES:])[-SHOWN:])
