"""The report on a hand-in: for a terminal, for Gradescope, and as Markdown for the student; in English or Chinese."""

from __future__ import annotations

from typing import Any, Final

from ftpsvc.homework.kit.declared import FILE
from ftpsvc.homework.kit.rubric import RUBRIC, Report, Result
from ftpsvc.homework.kit.said import Language, said, shown
from ftpsvc.text import padded, printable

_NAMES: Final = 32  # columns of a name, and of a label, on a terminal
_LABELS: Final = 9


def lines(report: Report, language: Language = "en") -> list[str]:
    """Returns the lines for a terminal."""
    out = []
    for number, name in RUBRIC.items():
        out.append(f"{number} {padded(shown(name, language), _NAMES)} {_points(report, number, language)}")
        for result in report.of(number):
            title = _title(result, language)
            if result.status == "failed":
                out.append(f"    {shown(said('failed'), language)}: {title}")
                out += [f"      {padded(label, _LABELS)} {text}" for label, text in _told(result, language)]
            elif result.status == "not scored":
                name = shown(result.check.name, language)
                out.append(
                    f"    {shown(said('not scored'), language)}: {name}: {shown(result.reason, language)}"
                )
    out.append(_total(report, language))
    out += [f"{shown(said('hint'), language)}: {note}" for note in _notes(report, language)]
    return out


def gradescope(report: Report, language: Language = "en") -> dict[str, Any]:
    """Returns the object that Gradescope reads as results.json; its score is of what is scored."""
    score, _ = report.total()
    tests: list[dict[str, Any]] = []
    for number, name in RUBRIC.items():
        point = shown(name, language)
        if number in report.unmeasured:
            why = shown(said("not scored: {reason}", reason=report.unmeasured[number]), language)
            tests.append({"number": str(number), "name": point, "output": why, "visibility": "visible"})
        for part, result in enumerate(report.of(number), 1):
            test: dict[str, Any] = {
                "number": f"{number}.{part}",
                "name": f"{point}: {shown(result.check.name, language)}",
                "tags": list(result.check.cases),
                "visibility": "visible",
            }
            if result.status == "not scored":
                test["output"] = shown(said("not scored: {reason}", reason=result.reason), language)
            else:
                most = round(report.share(result), 4)
                test["score"] = most if result.status == "passed" else 0
                test |= {"max_score": most, "status": result.status}
                test["output"] = "\n".join(f"{label}: {text}" for label, text in _told(result, language))
            tests.append(test)
    return {
        "score": score,
        "execution_time": round(report.seconds, 2),
        "visibility": "visible",
        **({"output": "\n".join(notes)} if (notes := _notes(report, language)) else {}),
        "tests": tests,
    }


def markdown(report: Report, language: Language = "en") -> str:
    """Returns a page: a table of points, and of every check that failed what was sent, expected and seen."""
    subject = said("Your server") if report.subject == "server" else said("Your client")
    point = shown(said("point"), language)
    out = [
        f"# {shown(subject, language)}",
        "",
        shown(said("{total}.", total=_total(report, language)), language),
        "",
    ]
    out += [f"| | {point} | |", "| --- | --- | --- |"]
    for number, name in RUBRIC.items():
        out.append(f"| {number} | {shown(name, language)} | {_points(report, number, language)} |")
    out += [line for note in _notes(report, language) for line in ("", note)]
    for result in report.failed:
        name = shown(RUBRIC[result.check.point], language)
        out += ["", f"## {name}: {_title(result, language)}", ""]
        out += [f"* {label}: {_fenced(text)}" for label, text in _told(result, language)]
    return "\n".join(out) + "\n"


def progress(result: Result, language: Language = "en") -> str:
    """Returns what became of one check, in one line."""
    words = {"passed": said("passed"), "failed": said("failed"), "not scored": said("not scored")}
    return f"{shown(words[result.status], language)}: {shown(result.check.name, language)}"


def result_lines(result: Result, language: Language = "en") -> list[str]:
    """Returns what is to be said of one check that failed, a line each; none of one that did not."""
    return [f"{label}: {text}" for label, text in _told(result, language)]


def _notes(report: Report, language: Language) -> list[str]:
    """Returns what is to be said of a report as a whole."""
    if not report.speechless:
        return []
    return [
        shown(
            said(
                "nothing was passed, in the dialect {dialect}: a server that speaks another one says so in {file}",
                dialect=report.dialect,
                file=FILE,
            ),
            language,
        )
    ]


def _total(report: Report, language: Language) -> str:
    score, most = report.total()
    return shown(said("{score:g} of {most:g} points", score=score, most=most), language)


def _points(report: Report, number: int, language: Language) -> str:
    score = report.score(number)
    if score is not None:
        return shown(said("{score:g} of {most:g}", score=score[0], most=score[1]), language)
    reason = report.unmeasured.get(number, said("nothing of it was checked"))
    return shown(said("not scored: {reason}", reason=reason), language)


def _title(result: Result, language: Language) -> str:
    cases = f" ({', '.join(result.check.cases)})" if result.check.cases else ""
    return f"{shown(result.check.name, language)}{cases}"


def _told(result: Result, language: Language) -> list[tuple[str, str]]:
    """Returns what is to be said of a check that failed, escaped: much of it was written by the server."""
    if result.status != "failed":
        return []
    told: list[tuple[str, str]] = [
        (said("sent"), result.sent),
        (said("expected"), result.expected),
        (said("seen"), result.seen),
    ]
    if result.wrote:
        told.append((said("it wrote"), result.wrote))
    told.append((said("hint"), result.hint or result.check.hint))
    return [(shown(label, language), printable(shown(text, language))) for label, text in told if text]


def _fenced(text: str) -> str:
    """Returns text as code that nothing in it ends."""
    ticks = "`"
    while ticks in text:
        ticks += "`"
    return f"{ticks} {text} {ticks}"
