"""What became of one test, in the words of DMOJ and isolate (docs/grading.md, "Verdicts")."""

from __future__ import annotations

from typing import Final, Literal, TypeAlias

from ftpsvc.homework.sandbox.base import Cap, Limits, Outcome
from ftpsvc.text import format_size

Verdict: TypeAlias = Literal["AC", "WA", "RE", "SG", "TLE", "WTLE", "MLE", "OLE", "PLE", "SKIP", "IE"]
"""Right, wrong answer, exit code, signal, too much processor time, too long, too much memory, too much written, too
many processes; not run; our fault."""

_BY_CAP: Final[dict[Cap, Verdict]] = {
    "cpu": "TLE",
    "wall": "WTLE",
    "memory": "MLE",
    "output": "OLE",
    "disk": "OLE",
    "processes": "PLE",
}


def of_cap(cap: Cap) -> Verdict:
    """Returns the verdict on a program that a limit ended."""
    return _BY_CAP[cap]


def of_end(outcome: Outcome, expected: int = 0) -> Verdict:
    """Returns what the way in which a program ended says: AC where it ended with the exit code that was expected."""
    if outcome.killed_by is not None:
        return of_cap(outcome.killed_by)
    if outcome.signal is not None:
        return "SG"
    if outcome.exit == expected:
        return "AC"
    return "RE" if outcome.exit else "WA"


def told(outcome: Outcome, limits: Limits, expected: int = 0) -> str:
    """Returns in one line how a program ended, for the student; "" where it ended as expected."""
    texts = {
        "cpu": f"stopped: more than {limits.cpu:g} s of processor time",
        "wall": f"stopped: not finished after {limits.wall:g} s",
        "memory": f"stopped: more than {format_size(limits.memory)} of memory",
        "output": f"stopped: more than {format_size(limits.output)} of output",
        "disk": f"stopped: files of more than {format_size(limits.disk)}, one larger than {format_size(limits.file)}, "
        "or too many",
        "processes": f"stopped: more than {limits.processes} processes and threads at once",
    }
    if outcome.killed_by is not None:
        return texts[outcome.killed_by]
    if outcome.signal is not None:
        return f"ended by signal {outcome.signal}{_NAMES.get(outcome.signal, '')}"
    return "" if outcome.exit == expected else f"ended with exit code {outcome.exit}, not {expected}"


_NAMES: Final = {
    4: " (illegal instruction)",
    6: " (abort)",
    8: " (arithmetic error)",
    9: " (killed)",
    11: " (segmentation fault)",
}
