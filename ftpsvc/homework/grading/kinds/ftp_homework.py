"""Tests that judge a student's server or client by the kit: a result for each of its checks (docs/kit.md)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final, TypeAlias

from ftpsvc.exceptions import ConfigError
from ftpsvc.homework.grading.faults import GradingFailed
from ftpsvc.homework.grading.kinds.common import Judged, Place, judged
from ftpsvc.homework.grading.results import NOT_SCORED
from ftpsvc.homework.grading.verdict import of_cap
from ftpsvc.homework.kit.client_box import LIMITS as CLIENT_LIMITS
from ftpsvc.homework.kit.client_judging import judge_client
from ftpsvc.homework.kit.dialects import DIALECTS
from ftpsvc.homework.kit.judging import judge_server
from ftpsvc.homework.kit.rubric import POINTS, RUBRIC, Report, Result
from ftpsvc.homework.kit.sandboxed import LIMITS
from ftpsvc.homework.model import FtpHomeworkTest, Side
from ftpsvc.text import printable


def _of_server(test: FtpHomeworkTest, place: Place) -> dict[str, Any]:
    """Returns what the judge of servers is told beside what all are."""
    named = test.dialect is None or test.dialect in DIALECTS
    return {
        "shared": test.shared,
        "profile": test.profile,
        "dialect": test.dialect if named else str(place.assignment.test_file(str(test.dialect))),
        "limits": replace(LIMITS, **test.limits.given()),
    }


def _of_client(test: FtpHomeworkTest, place: Place) -> dict[str, Any]:
    """Returns what the judge of clients is told beside what all are."""
    return {"limits": replace(CLIENT_LIMITS, **test.limits.given())}


_Judge: TypeAlias = Callable[..., Report]
_Asked: TypeAlias = Callable[[FtpHomeworkTest, Place], dict[str, Any]]

_JUDGES: Final[Mapping[Side, tuple[_Judge, _Asked]]] = {
    "server": (judge_server, _of_server),
    "client": (judge_client, _of_client),
}
"""What judges each side, and what it is told."""


def grade(test: FtpHomeworkTest, place: Place) -> list[Judged]:
    """Judges a hand-in; each check is one result, with its share of the points.

    Raises:
        GradingFailed: What is asked cannot be judged at all: the teacher's fault.
        SandboxError: The sandbox failed, and nothing is known of the hand-in.
    """
    judge, asked = _JUDGES[test.side]
    times = {"patience": test.patience, "seconds": test.seconds}
    try:
        report = judge(
            place.sandbox,
            place.folder,
            test.run,
            python=place.python,
            mounts=place.mounts,
            points={**POINTS, **test.rubric},
            **asked(test, place),
            **{name: value for name, value in times.items() if value is not None},
        )
    except ConfigError as error:
        raise GradingFailed(f"test {test.name!r}: {error}", hint=error.hint) from None
    return results(test, report)


def results(test: FtpHomeworkTest, report: Report) -> list[Judged]:
    """Returns what a report says, as results: in the order of the rubric, also of what was not scored.

    Raises:
        GradingFailed: Nothing that the rubric gives points for was scored.
    """
    scored = [one for one in report.results if one.status != "not scored"]
    weights = [report.share(one) for one in scored]
    if not sum(weights):
        raise GradingFailed(
            f"test {test.name!r}: nothing that its rubric gives points for can be measured",
            hint="give points to what the profile has: docs/kit.md lists it",
        )
    shares = dict(zip(map(id, scored), shared_out(test.points, weights), strict=True))
    return [
        _judged(test, entry, shares, f".{number}") for number, entry in enumerate(_in_order(report), start=1)
    ]


def shared_out(points: float, weights: Sequence[float]) -> list[float]:
    """Returns the share of each weight, in hundredths where these do; their sum is the points, to a millionth.

    What rounding leaves goes to those that lost most by it.
    """
    whole = sum(weights)
    unit = 100
    if round(points * unit, 6) % 1 or points * unit < len(weights):
        unit = 1_000_000
    exact = [points * unit * weight / whole for weight in weights]
    units = [int(one) for one in exact]
    by_loss = sorted(range(len(exact)), key=lambda at: units[at] - exact[at])
    for at in by_loss[: round(points * unit) - sum(units)]:
        units[at] += 1
    return [one / unit for one in units]


def _in_order(report: Report) -> Iterator[tuple[int, Result | str]]:
    """Yields the results by the points of the rubric; of what was not measured, why."""
    for point in RUBRIC:
        found = report.of(point)
        if point in report.unmeasured or not found:
            yield point, report.unmeasured.get(point, "nothing of it was checked")
        for one in found:
            yield point, one


def _judged(
    test: FtpHomeworkTest, entry: tuple[int, Result | str], shares: Mapping[int, float], number: str
) -> Judged:
    point, result = entry
    name = f"{test.name}: {point} {RUBRIC[point]}"
    if isinstance(result, str):
        return _not_scored(test, result, number=number, name=name)
    cases = result.check.cases
    name = f"{name}: {result.check.name}" + (f" ({', '.join(cases)})" if cases else "")
    if result.status == "not scored":
        return _not_scored(test, result.reason, *cases, number=number, name=name)
    worth = shares[id(result)]
    if result.status == "passed":
        return judged(test, "AC", "", number=number, name=name, points=worth, tags=cases)
    return judged(
        test,
        of_cap(result.killed_by) if result.killed_by is not None else "WA",
        "\n".join(f"{label}: {printable(text)}" for label, text in _told(result) if text),
        number=number,
        name=name,
        points=worth,
        tags=cases,
        killed_by=result.killed_by,
    )


def _told(result: Result) -> Iterator[tuple[str, str]]:
    """Yields what is to be said of a check that failed; much of it was written by the student's program."""
    yield "sent", result.sent
    yield "expected", result.expected
    yield "seen", result.seen
    yield "it wrote", result.wrote
    yield "hint", result.hint or result.check.hint


def _not_scored(test: FtpHomeworkTest, why: str, *cases: str, **named: Any) -> Judged:
    tags = (*cases, NOT_SCORED)
    return judged(test, "SKIP", f"not scored: {printable(why)}", points=0.0, tags=tags, **named)
