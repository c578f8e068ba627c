"""Whether what a client draws on a terminal is a progress bar: something that grows on one line, up to the whole."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Final

LEAST: Final = 4
"""Different values that have to be seen of what grows."""

_UP: Final = re.compile(r"\r?\n(?:\x1b\[[0-9;?]*[mKG])*\x1b\[[0-9]*[AF]")
_HOME: Final = re.compile(r"\x1b\[[0-9;?]*[AFGHJK]|\x08+")
_OTHER: Final = re.compile(r"\x1b(?:\[[0-9;?]*[ -/]*[@-~]|[@-Z\\-_])")
_PERCENT: Final = re.compile(r"(\d+(?:\.\d+)?)\s*[%\uff05]")
_NUMBER: Final = re.compile(r"\d+(?:,\d{3})*(?:\.\d+)?")
_RUN: Final = re.compile(r"([^\w\s])\1*")
_UNITS: Final = (1, 1000, 1024, 10**6, 1 << 20)


def lines(output: str) -> list[list[str]]:
    """Returns what was drawn on each line of a terminal, one after the other."""
    text = _UP.sub("\r", output)
    text = _OTHER.sub("", _HOME.sub("\r", text))
    drawn = (line.split("\r") for line in re.split(r"\r*\n", text))
    return [[one for one in line if one.strip()] for line in drawn]


def grows(output: str, size: int) -> str:
    """Says what a bar comes to.

    Args:
        output: All that was written on the terminal.
        size: Bytes of the transfer.

    Returns:
        "whole" where something grew up to the whole, "part" where it stopped before, "" where nothing grew.
    """
    found = ""
    for states in lines(output):
        for values, whole in _measures(states, size):
            if len(set(values)) < LEAST or any(before > after for before, after in pairwise(values)):
                continue
            if whole(values[-1]):
                return "whole"
            found = "part"
    return found


def rubbish(output: str) -> bool:
    """Whether something was drawn anew on a line, which a file cannot show."""
    return any(len(states) > 1 for states in lines(output))


def _measures(states: list[str], size: int) -> Iterator[tuple[list[float], Callable[[float], bool]]]:
    """Yields what may grow from one state of a line to the next, and whether a last value is the whole."""
    percents = [float(found[1]) for state in states if (found := _PERCENT.search(state))]
    yield percents, lambda value: 99.9 <= value <= 100
    rows = [[float(one.replace(",", "")) for one in _NUMBER.findall(state)] for state in states]
    for at in range(max(map(len, rows), default=0)):
        yield [row[at] for row in rows if len(row) > at], lambda value: _is_whole(value, size)
    if percents:  # which then say themselves how far it came
        return
    runs = [[found[0] for found in _RUN.finditer(state)] for state in states]
    for mark in {run[0] for state in runs for run in state}:
        yield [float(max((len(run) for run in state if run[0] == mark), default=0)) for state in runs], bool


def _is_whole(value: float, size: int) -> bool:
    return any(abs(value * unit - size) <= 0.02 * size for unit in _UNITS)
