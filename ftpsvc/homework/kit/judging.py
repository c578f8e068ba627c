"""Runs the checks against a hand-in, each against a server of its own, and adds up the points."""

from __future__ import annotations

import time
import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal, TypeAlias

from ftpsvc.exceptions import ConfigError
from ftpsvc.homework.kit.checks import CHECKS, RUBRIC, Check, Tester, new_secret, prepared
from ftpsvc.homework.kit.dialect import Dialect
from ftpsvc.homework.kit.findings import Fault, Gone, NotScored
from ftpsvc.homework.kit.sandboxed import HandIn, SandboxedServer
from ftpsvc.homework.sandbox.base import Sandbox

Status: TypeAlias = Literal["passed", "failed", "not scored"]

POINTS: Final[Mapping[int, float]] = {1: 10, 2: 15, 3: 20, 4: 10, 5: 10, 6: 10, 7: 30, 8: 5, 9: 10}
"""What each point of the rubric is worth, where the teacher says nothing else."""

RUN_SECONDS: Final = 90.0
"""Time of a whole run. Checks that are not begun by then are failed: only a server that hangs needs more."""

_MOMENT: Final = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What became of one check.

    Attributes:
        reason: Why it is not scored; "" otherwise.
        sent: What the server was sent last, when it failed.
        expected: What it should have done.
        seen: What it did.
        output: The last lines that the server wrote.
    """

    check: Check
    status: Status
    reason: str = ""
    sent: str = ""
    expected: str = ""
    seen: str = ""
    output: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What became of a hand-in.

    Attributes:
        dialect: The dialect's name.
        results: One for each check that was run, in their order.
        unmeasured: Points of the rubric that were not scored, and why.
        points: What each point of the rubric is worth.
        seconds: How long it took.
    """

    dialect: str
    results: Sequence[Result]
    unmeasured: Mapping[int, str]
    points: Mapping[int, float]
    seconds: float

    def of(self, point: int) -> list[Result]:
        """Returns the results of one point of the rubric."""
        return [one for one in self.results if one.check.point == point]

    def share(self, result: Result) -> float:
        """Returns what one check is worth: the checks of a point that are scored share it evenly."""
        scored = [one for one in self.of(result.check.point) if one.status != "not scored"]
        return self.points[result.check.point] / len(scored) if result in scored else 0.0

    def score(self, point: int) -> tuple[float, float] | None:
        """Returns points and maximum of one point of the rubric; None when it is not scored."""
        scored = [one for one in self.of(point) if one.status != "not scored"]
        if not scored:
            return None
        passed = sum(one.status == "passed" for one in scored)
        return round(self.points[point] * passed / len(scored), 2), self.points[point]

    def total(self) -> tuple[float, float]:
        """Returns points and maximum of all that is scored."""
        scores = [one for one in map(self.score, RUBRIC) if one is not None]
        return round(sum(one[0] for one in scores), 2), sum(one[1] for one in scores)

    @property
    def failed(self) -> list[Result]:
        """The checks that failed."""
        return [one for one in self.results if one.status == "failed"]


def judge(
    sandbox: Sandbox,
    hand_in: HandIn,
    dialect: Dialect,
    *,
    patience: float = 4.0,
    seconds: float = RUN_SECONDS,
    points: Mapping[int, float] = POINTS,
    checks: Sequence[Check] = CHECKS,
    told: Callable[[Result], None] = lambda _: None,
) -> Report:
    """Judges a hand-in.

    Args:
        sandbox: Where its server runs.
        hand_in: What is judged.
        dialect: How its server is spoken to.
        patience: Seconds that the server may take for each thing that it has to do.
        seconds: Seconds for all of it; checks that are not begun by then are failed.
        points: What the points of the rubric are worth.
        checks: What is checked.
        told: Called with each result.

    Raises:
        SandboxError: The sandbox failed. That is never the student's fault, so there is no report.
    """
    began = time.monotonic()
    results: list[Result] = []
    silent: Fault | None = None
    for check in checks:
        if check.point in dialect.unmeasured:
            continue
        if silent is not None:
            result = _failed(check, silent)
        elif time.monotonic() - began > seconds:
            result = _failed(
                check, Fault("a run of that time", f"the {seconds:g} s of a run were used up before it")
            )
        else:
            result, silent = _one(sandbox, hand_in, dialect, patience, check)
        results.append(result)
        told(result)
    unmeasured = {number: why for number, why in dialect.unmeasured.items() if number in RUBRIC}
    return Report(
        dialect=dialect.name,
        results=results,
        unmeasured=unmeasured,
        points=points,
        seconds=time.monotonic() - began,
    )


def _one(
    sandbox: Sandbox, hand_in: HandIn, dialect: Dialect, patience: float, check: Check
) -> tuple[Result, Fault | None]:
    """Returns a result, and what is wrong where the server did not even start: no other check needs to try."""
    secret = new_secret()
    server = SandboxedServer(sandbox, hand_in, prepared(hand_in.shared, secret), patience)
    try:
        server.__enter__()
    except Fault as fault:
        return _failed(check, fault, output=server.output()), fault
    found: Fault | None = None
    test = Tester(server, dialect, patience, shared=hand_in.shared, secret=secret)
    try:
        try:
            check.run(test)
        except NotScored as reason:
            return Result(check=check, status="not scored", reason=str(reason)), None
        except Fault as fault:
            found = fault
        found = _ended(server, found)
        killed = server.end()
    finally:
        server.close()
    if killed:
        found = Fault("that it stays within its limits", killed, found.sent if found else "")
    if found is None:
        return Result(check=check, status="passed"), None
    sent = test.last.sent if test.last is not None else ""
    return _failed(check, found, sent, server.output()), None


def _ended(server: SandboxedServer, found: Fault | None) -> Fault | None:
    """Returns the fault, with what is to be said of a server that is not there any more."""
    try:
        # The end of a process is seen a moment after the end of its connections.
        code = server.exit(_MOMENT if isinstance(found, Gone) else 0)
    except Fault as gone:
        return found or gone
    if code is None:
        return found
    how = f"the server's process ended with {code}"
    if found is None:
        return Fault("that the server goes on", how)
    return Fault(found.expected, f"{found.seen}; {how}", found.sent)


def _failed(check: Check, fault: Fault, sent: str = "", output: str = "") -> Result:
    return Result(
        check=check,
        status="failed",
        sent=fault.sent or sent,
        expected=fault.expected,
        seen=fault.seen,
        output=output,
    )


def read_points(path: Path) -> dict[int, float]:
    """Returns the points of the rubric as a teacher's file has them; what is not in it stays as it is.

    Raises:
        ConfigError: The file is not one of points.
    """
    try:
        given = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigError(f"{path}: {error}") from error
    table = given.pop("points", None)
    if given or not isinstance(table, dict):
        raise ConfigError(f"{path}: it has one table, [points]", hint="a line of it is: 5 = 10")
    points = dict(POINTS)
    for key, value in table.items():
        if key not in map(str, RUBRIC):
            raise ConfigError(f"{path}: the rubric has no point {key}", hint=f"it has 1 to {len(RUBRIC)}")
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1000:
            raise ConfigError(f"{path}: {key} is worth 0 to 1000 points")
        points[int(key)] = value
    return points
