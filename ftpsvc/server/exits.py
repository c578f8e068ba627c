"""Exit codes of `ftpsvc-server`, and how it complains before there is a log."""

from __future__ import annotations

import enum
import sys

from ftpsvc.text import printable


class Exit(enum.IntEnum):
    """Exit codes (docs/server.md)."""

    CLEAN = 0
    INTERNAL = 1
    USAGE = 2
    CANNOT_START = 3
    CUT = 4
    FAULTS = 5
    DAMAGED = 6
    IN_USE = 14
    INTERRUPTED = 130


def complain(error: Exception, program: str = "ftpsvc-server") -> None:
    """Writes an error, and what to do about it where it says so, to stderr, in the name of a program."""
    hint = getattr(error, "hint", None)
    for line in [f"error: {error}"] + ([f"hint: {hint}"] if hint else []):
        print(f"{program}: {printable(line)}", file=sys.stderr)  # noqa: T201 -- there is no log yet, or no more
