"""Whether what a program wrote is what was expected (docs/grading.md, "How outputs are compared").

Everything here is about bytes that anybody may have written: nothing is run, and the time is linear in their length.
Regular expressions are not, so they are tried inside the sandbox (`kinds.run`), with a limit on processor time.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from typing import Final

from ftpsvc.homework.model import Compare
from ftpsvc.text import printable

_NUMBER: Final = re.compile(
    rb"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]{1,4})?|[+-]?(?:inf|nan)", re.IGNORECASE
)
_NUMBER_LENGTH: Final = 400
_SHOWN: Final = 120


def difference(how: Compare, expected: bytes, actual: bytes) -> str | None:
    """Returns the first difference for a person, or None where there is none that counts.

    Args:
        how: How to compare, not `regex`.
        expected: What a right program writes.
        actual: What this one wrote.

    Raises:
        ValueError: It is `regex`.
    """
    return _WAYS[how.kind](how, expected, actual)


def _exact(how: Compare, expected: bytes, actual: bytes) -> str | None:
    return None if expected == actual else _of_lines(expected.split(b"\n"), actual.split(b"\n"))


def _trim(how: Compare, expected: bytes, actual: bytes) -> str | None:
    return _of_lines(_trimmed(expected), _trimmed(actual))


def _tokens(how: Compare, expected: bytes, actual: bytes) -> str | None:
    return _of_tokens(expected.split(), actual.split(), lambda one, other: one == other)


def _floats(how: Compare, expected: bytes, actual: bytes) -> str | None:
    return _of_tokens(
        expected.split(), actual.split(), lambda one, other: one == other or _near(one, other, how.tolerance)
    )


def _regex(how: Compare, expected: bytes, actual: bytes) -> str | None:
    raise ValueError("a regular expression is tried in the sandbox")


_WAYS: Final[dict[str, Callable[[Compare, bytes, bytes], str | None]]] = {
    "exact": _exact,
    "trim": _trim,
    "tokens": _tokens,
    "floats": _floats,
    "regex": _regex,
}


def _trimmed(text: bytes) -> list[bytes]:
    """Returns the lines without blanks at their ends and without empty lines at the end of all."""
    lines = [line.rstrip() for line in text.split(b"\n")]
    while lines and not lines[-1]:
        lines.pop()
    return lines


def _near(expected: bytes, actual: bytes, tolerance: float) -> bool:
    if len(expected) > _NUMBER_LENGTH or len(actual) > _NUMBER_LENGTH:
        return False
    if not (_NUMBER.fullmatch(expected) and _NUMBER.fullmatch(actual)):
        return False
    one, other = float(expected), float(actual)
    if not (math.isfinite(one) and math.isfinite(other)):
        return one == other or (math.isnan(one) and math.isnan(other))
    return abs(one - other) <= tolerance * max(1.0, abs(one))


def _of_lines(expected: list[bytes], actual: list[bytes]) -> str | None:
    for number, (one, other) in enumerate(zip(expected, actual, strict=False), 1):
        if one != other:
            return f"line {number}: expected {shown(one)}, got {shown(other)}"
    return _of_lengths(expected, actual, "line")


def _of_tokens(
    expected: list[bytes], actual: list[bytes], same: Callable[[bytes, bytes], bool]
) -> str | None:
    for number, (one, other) in enumerate(zip(expected, actual, strict=False), 1):
        if not same(one, other):
            return f"word {number}: expected {shown(one)}, got {shown(other)}"
    return _of_lengths(expected, actual, "word")


def _of_lengths(expected: list[bytes], actual: list[bytes], what: str) -> str | None:
    if len(expected) > len(actual):
        return (
            f"{what} {len(actual) + 1}: expected {shown(expected[len(actual)])}, but the output ends before"
        )
    if len(actual) > len(expected):
        return f"{what} {len(expected) + 1}: got {shown(actual[len(expected)])}, but the output should end before"
    return None


def shown(text: bytes) -> str:
    """Returns bytes as they are shown in a message: quoted, short, and unable to drive a terminal."""
    cut = text[:_SHOWN]
    return f'"{printable(cut.decode("utf-8", "replace"))}{"…" if len(text) > _SHOWN else ""}"'
