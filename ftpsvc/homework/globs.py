"""Patterns of files: `*` within a name, `**` for folders in between, `?`, `[a-z]`; upper and lower case differ.

They are matched against paths with `/`, from the top of the hand-in: `lib/*.py` is not `x/lib/a.py`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache

from ftpsvc.exceptions import InvalidPath
from ftpsvc.paths import check_name

_PART = re.compile(r"\*+|\?|\[!?\]?[^\]]*\]|.", re.DOTALL)


def check_relative(text: str) -> str:
    """Returns a relative path with `/` without `.` and `..`; a slash at the end is taken off.

    Raises:
        ValueError: It is none.
    """
    shortened = text.removesuffix("/")
    if text.startswith("/"):
        raise ValueError("must be relative, without a slash at the beginning")
    for name in shortened.split("/"):
        if name in ("", ".", ".."):
            raise ValueError("must be a path of names with a single slash between them, without . and ..")
        try:
            check_name(name)
        except InvalidPath as error:
            raise ValueError(str(error)) from None
    return shortened


def check_pattern(text: str) -> str:
    """Returns a pattern of files.

    Raises:
        ValueError: It is none.
    """
    if text.endswith("/"):
        raise ValueError(f"is a folder; write {text}** for all that is in it")
    check_relative(text)
    _compiled(text)
    return text


def matches(pattern: str, path: str) -> bool:
    """Returns whether a pattern fits a whole path."""
    return _compiled(pattern).fullmatch(path) is not None


def matches_any(patterns: Iterable[str], path: str) -> bool:
    """Returns whether one of the patterns fits."""
    return any(matches(pattern, path) for pattern in patterns)


@lru_cache(maxsize=1024)
def _compiled(pattern: str) -> re.Pattern[str]:
    expression = ""
    parts = pattern.split("/")
    for number, part in enumerate(parts):
        last = number == len(parts) - 1
        if part == "**":
            expression += r".+" if last else r"(?:[^/]+/)*"
            continue
        expression += "".join(_translated(piece) for piece in _PART.findall(part)) + ("" if last else "/")
    try:
        return re.compile(expression, re.DOTALL)
    except re.error as error:
        raise ValueError(f"is no pattern of files: {error}") from None


def _translated(piece: str) -> str:
    if piece.startswith("*"):
        return "[^/]*"
    if piece == "?":
        return "[^/]"
    if len(piece) > 1:
        inner = piece[1:-1]
        negated = inner.startswith("!")
        # Within brackets only the range keeps a meaning.
        inner = re.sub(r"([\\\[\]^&~|])", r"\\\1", inner.removeprefix("!"))
        return f"[^/{inner}]" if negated else f"(?!/)[{inner}]"
    return re.escape(piece)
