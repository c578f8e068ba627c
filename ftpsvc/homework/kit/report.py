"""The report on a hand-in: for a terminal, for Gradescope, and as Markdown for the student."""

from __future__ import annotations

from typing import Any

from ftpsvc.homework.kit.rubric import RUBRIC, Report, Result
from ftpsvc.text import printable


def lines(report: Report) -> list[str]:
    """Returns the lines for a terminal."""
    out = []
    for number, name in RUBRIC.items():
        out.append(f"{number} {name:32} {_points(report, number)}")
        for result in report.of(number):
            if result.status == "failed":
                out.append(f"    failed: {_title(result)}")
                out += [f"      {label:9} {text}" for label, text in _told(result)]
            elif result.status == "not scored":
                out.append(f"    not scored: {result.check.name}: {result.reason}")
    score, most = report.total()
    out.append(f"{score:g} of {most:g} points")
    return out


def gradescope(report: Report) -> dict[str, Any]:
    """Returns the object that Gradescope reads as results.json; its score is of what is scored."""
    score, _ = report.total()
    tests: list[dict[str, Any]] = []
    for number, name in RUBRIC.items():
        if number in report.unmeasured:
            why = f"not scored: {report.unmeasured[number]}"
            tests.append({"number": str(number), "name": name, "output": why, "visibility": "visible"})
        for part, result in enumerate(report.of(number), 1):
            test: dict[str, Any] = {
                "number": f"{number}.{part}",
                "name": f"{name}: {result.check.name}",
                "tags": list(result.check.cases),
                "visibility": "visible",
            }
            if result.status == "not scored":
                test["output"] = f"not scored: {result.reason}"
            else:
                most = round(report.share(result), 4)
                test["score"] = most if result.status == "passed" else 0
                test |= {"max_score": most, "status": result.status}
                test["output"] = "\n".join(f"{label}: {text}" for label, text in _told(result))
            tests.append(test)
    return {
        "score": score,
        "execution_time": round(report.seconds, 2),
        "visibility": "visible",
        "tests": tests,
    }


def markdown(report: Report) -> str:
    """Returns a page: a table of points, and of every check that failed what was sent, expected and seen."""
    score, most = report.total()
    out = [f"# Your {report.subject}", "", f"{score:g} of {most:g} points.", ""]
    out += ["| | point | |", "| --- | --- | --- |"]
    out += [f"| {number} | {name} | {_points(report, number)} |" for number, name in RUBRIC.items()]
    for result in report.failed:
        out += ["", f"## {RUBRIC[result.check.point]}: {_title(result)}", ""]
        out += [f"* {label}: {_fenced(text)}" for label, text in _told(result)]
    return "\n".join(out) + "\n"


def _points(report: Report, number: int) -> str:
    score = report.score(number)
    if score is not None:
        return f"{score[0]:g} of {score[1]:g}"
    return f"not scored: {report.unmeasured.get(number, 'nothing of it was checked')}"


def _title(result: Result) -> str:
    cases = f" ({', '.join(result.check.cases)})" if result.check.cases else ""
    return f"{result.check.name}{cases}"


def _told(result: Result) -> list[tuple[str, str]]:
    """Returns what is to be said of a check that failed, escaped: much of it was written by the server."""
    if result.status != "failed":
        return []
    told = [("sent", result.sent), ("expected", result.expected), ("seen", result.seen)]
    if result.output:
        told.append(("it wrote", result.output.splitlines()[-1]))
    told.append(("hint", result.check.hint))
    return [(label, printable(text)) for label, text in told if text]


def _fenced(text: str) -> str:
    """Returns text as code that nothing in it ends."""
    ticks = "`"
    while ticks in text:
        ticks += "`"
    return f"{ticks} {text} {ticks}"
