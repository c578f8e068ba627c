"""The rubric of the homework: its points, what a check of one is, and what became of a hand-in (docs/kit.md)."""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Generic, Literal, TypeAlias, TypeVar

from ftpsvc.exceptions import ConfigError
from ftpsvc.homework.sandbox.base import Cap

_Tester = TypeVar("_Tester")

RUBRIC: Final = {
    1: "encrypted log-in",
    2: "many users at once",
    3: "own home, and only that",
    4: "quota",
    5: "cd",
    6: "ls",
    7: "put and get, with equal digests",
    8: "progress bar",
    9: "resume",
}
"""The points of the homework, by number."""

Status: TypeAlias = Literal["passed", "failed", "not scored"]

POINTS: Final[Mapping[int, float]] = {1: 10, 2: 15, 3: 20, 4: 10, 5: 10, 6: 10, 7: 30, 8: 5, 9: 10}
"""What each point of the rubric is worth, where the teacher says nothing else."""


@dataclass(frozen=True, slots=True)
class Check(Generic[_Tester]):
    """One check.

    Attributes:
        name: What it is called, in reports and in `--only`.
        point: The point of the rubric that it belongs to.
        cases: The cases of docs/cases.md that it sees.
        hint: What to look for when it fails.
        run: Raises what it finds.
    """

    name: str
    point: int
    cases: tuple[str, ...]
    hint: str
    run: Callable[[_Tester], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What became of one check.

    Attributes:
        reason: Why it is not scored; "" otherwise.
        sent: What the server was sent last, when it failed.
        expected: What it should have done.
        seen: What it did.
        output: The last lines that the server wrote.
        killed_by: The limit that ended it; None where none did.
        hint: What to look for, where it is not what the check is about; "" is the check's own hint.
    """

    check: Check[Any]
    status: Status
    reason: str = ""
    sent: str = ""
    expected: str = ""
    seen: str = ""
    output: str = ""
    killed_by: Cap | None = None
    hint: str = ""

    @property
    def wrote(self) -> str:
        """The last line of the output that says something: socketserver draws dashes below what went wrong."""
        written = self.output.strip().splitlines()
        return next((one for one in written[::-1] if any(map(str.isalnum, one))), "".join(written[-1:]))


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What became of a hand-in.

    Attributes:
        dialect: The dialect's name.
        results: One for each check that was run, in their order.
        unmeasured: Points of the rubric that were not scored, and why.
        points: What each point of the rubric is worth.
        seconds: How long it took.
        subject: What was handed in.
    """

    dialect: str
    results: Sequence[Result]
    unmeasured: Mapping[int, str]
    points: Mapping[int, float]
    seconds: float
    subject: Literal["server", "client"] = "server"

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
    def speechless(self) -> bool:
        """Whether a server that was spoken to passed nothing: perhaps it speaks another dialect."""
        tried = [one for one in self.failed if not one.hint]
        return (
            self.subject == "server" and bool(tried) and all(one.status != "passed" for one in self.results)
        )

    @property
    def failed(self) -> list[Result]:
        """The checks that failed."""
        return [one for one in self.results if one.status == "failed"]


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
