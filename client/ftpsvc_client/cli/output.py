"""What a command says: data on stdout, everything else on stderr, and nothing that could drive a terminal.

Every line passes `printable`, so a name from a server cannot reach a terminal unescaped (CASES C21), whichever command
prints it. No character makes writing fail: what the console or pipe cannot encode is shown as an escape.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Mapping, Sequence
from typing import Any, TextIO

from ftpsvc.text import padded, printable, width

PROGRAM = "ftpsvc"
_LONE = re.compile("[\ud800-\udfff]")
"""Surrogates of a string: its other characters beyond U+FFFF are whole ones, and half of none."""


def prepare_streams() -> None:
    """Makes stdout and stderr take every character: what they cannot encode they write as an escape."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")


class Output:
    """Where one command's lines go.

    Attributes:
        json: Whether data is printed as JSON Lines.
        quiet: Whether notes and results that only confirm are left out.
        verbose: How much more is told: 1 is what is going on, 2 also tracebacks.
    """

    def __init__(self, *, json: bool = False, quiet: bool = False, verbose: int = 0) -> None:
        self.json = json
        self.quiet = quiet
        self.verbose = verbose

    def line(self, text: str) -> None:
        """Prints a line of data."""
        _write(sys.stdout, printable(text))

    def result(self, text: str) -> None:
        """Prints a line of data that only confirms what was asked for: not with `-q`."""
        if not self.quiet:
            self.line(text)

    def record(self, fields: Mapping[str, Any]) -> None:
        r"""Prints one JSON object on one line, in ASCII: safe for each terminal, pipe and encoding.

        Bytes of a local name that are no text appear as `\xff`: JSON has no way to say them (RFC 8259 section 8.2).
        """
        text = json.dumps(fields)
        if "\\ud" in text:
            text = json.dumps(_as_text(fields))
        _write(sys.stdout, text)

    def note(self, text: str) -> None:
        """Says something beside the data: not with `-q`."""
        if not self.quiet:
            _write(sys.stderr, f"{PROGRAM}: {printable(text)}")

    def detail(self, text: str) -> None:
        """Says what is going on: only with `-v`."""
        if self.verbose:
            _write(sys.stderr, f"{PROGRAM}: {printable(text)}")

    def error(self, text: str) -> None:
        """Says what went wrong."""
        _write(sys.stderr, f"{PROGRAM}: {printable(text)}")

    def new_line(self) -> None:
        """Leaves the line on which a terminal has shown `^C`."""
        if sys.stderr is not None and sys.stderr.isatty():
            sys.stderr.write("\n")

    def hint(self, text: str) -> None:
        """Says what to do next."""
        _write(sys.stderr, f"hint: {printable(text)}")


def _as_text(value: Any) -> Any:
    """Returns a value of JSON with no lone surrogate in it."""
    if isinstance(value, str):
        return _LONE.sub(_escaped, value)
    if isinstance(value, Mapping):
        return {key: _as_text(item) for key, item in value.items()}
    return [_as_text(item) for item in value] if isinstance(value, list | tuple) else value


def _escaped(lone: re.Match[str]) -> str:
    number = ord(lone[0])
    return f"\\x{number - 0xDC00:02x}" if 0xDC80 <= number <= 0xDCFF else f"\\u{number:04x}"


def _write(stream: TextIO | None, text: str) -> None:
    if stream is not None:  # pythonw.exe, or a shell's `>&-`
        stream.write(text + "\n")


def shortened(text: str, columns: int) -> str:
    """Returns a text that takes at most so many columns, its middle left out where it is longer; for names."""
    if width(text) <= columns:
        return text
    head, tail = "", ""
    room = columns - 3
    while text and width(head + tail) < room:
        if width(head) <= width(tail):
            head, text = head + text[0], text[1:]
        else:
            tail, text = text[-1] + tail, text[:-1]
    if width(head + tail) > room:  # half of a wide character is none
        head, tail = (head[:-1], tail) if width(head) > width(tail) else (head, tail[1:])
    return f"{head}...{tail}"


def in_columns(names: Sequence[str], columns: int) -> list[str]:
    """Returns the lines that show names side by side, ordered downwards as `ls` does, in so many columns."""
    shown = [printable(name) for name in names]
    cell = max(map(width, shown), default=0) + 2
    across = max(1, (columns + 2) // cell)
    down = -(-len(shown) // across)
    return ["".join(padded(name, cell) for name in shown[row::down]).rstrip() for row in range(down)]
