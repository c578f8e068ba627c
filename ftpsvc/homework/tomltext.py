"""TOML with the line of each key and value, which `tomllib` does not tell.

`tomllib` reads the values and decides what is TOML at all; a walk over the same text, which is known to be good by
then, finds the lines.
"""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any, Final, TypeAlias

from ftpsvc.homework.faults import Fault

Where: TypeAlias = tuple[str | int, ...]
"""Where something is in a document: keys, and numbers of elements from 0."""

MAX_BYTES: Final = 1 << 20
"""Of one file: people write these."""

_AT_LINE = re.compile(r" \(at (?:line (\d+), column \d+|end of document)\)$")
_BARE = re.compile(r"[A-Za-z0-9_-]+")
_BLANK = re.compile(r"[ \t]*")
_SPACE = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*")
_SCALAR = re.compile(r"[^,\]}#\n]+")
_STRING = re.compile(
    r'"""(?:\\.|[^\\])*?"{3,5}(?!")|\'\'\'.*?\'{3,5}(?!\')|"(?:\\.|[^"\\\n])*"|\'[^\'\n]*\'', re.DOTALL
)


class Document:
    """A TOML file that was read.

    Attributes:
        file: Where it was read from.
        data: Its bytes.
        values: What it says.
    """

    def __init__(self, file: Path, data: bytes, values: dict[str, Any], lines: dict[Where, int]) -> None:
        self.file = file
        self.data = data
        self.values = values
        self._lines = lines

    def line(self, path: Where) -> int:
        """Returns the line of a key or an element; of what it would be in, where there is no such one; 1 at the top."""
        while path:
            if path in self._lines:
                return self._lines[path]
            path = path[:-1]
        return 1

    def fault(self, path: Where, text: str, hint: str = "") -> Fault:
        """Returns a fault at the line of a key or an element."""
        return Fault(self.file, self.line(path), text, hint)


def read(file: Path) -> Document | Fault:
    """Reads a file; returns the fault where that cannot be done."""
    try:
        with file.open("rb") as stream:
            data = stream.read(MAX_BYTES + 1)
    except OSError as error:
        return Fault(file, 0, f"cannot be read: {error.strerror}")
    return parse(file, data)


def parse(file: Path, data: bytes) -> Document | Fault:
    """Reads what is in a file; returns the fault where it is no TOML."""
    if len(data) > MAX_BYTES:
        return Fault(file, 0, f"is longer than {MAX_BYTES >> 20} MiB")
    try:
        # As files come from Windows, with a mark at the beginning, which TOML does not know.
        text = data.decode("utf-8-sig").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        return Fault(file, data.count(b"\n", 0, error.start) + 1, "is not UTF-8 here")
    try:
        values = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        found = _AT_LINE.search(str(error))
        # At the end of the document there is no line to name but the last.
        line = int(found[1]) if found and found[1] else len(text.splitlines()) or 1
        reason = _AT_LINE.sub("", str(error))
        return Fault(file, line, f"is not valid TOML: {reason[:1].lower()}{reason[1:]}")
    except RecursionError:
        return Fault(file, 1, "is not valid TOML: nested too deeply")
    return Document(file, data, values, _Walk(text).lines)


class _Walk:
    """Goes over a text that is known to be TOML, and keeps where each key and element begins."""

    def __init__(self, text: str) -> None:
        self.lines: dict[Where, int] = {}
        self._text = text
        self._at = 0
        self._line = 1
        self._arrays: dict[Where, int] = {}
        self._document()

    def _document(self) -> None:
        table: Where = ()
        self._take(_SPACE)
        while self._at < len(self._text):
            if self._text[self._at] == "[":
                array = self._text.startswith("[[", self._at)
                self._skip(2 if array else 1)
                table = self._header(self._key(), array=array)
                self._skip(2 if array else 1)
            else:
                self._pair(table)
            self._take(_SPACE)

    def _header(self, key: Where, *, array: bool) -> Where:
        """Returns where a header leads: a name that is an array of tables means its last element."""
        path: Where = ()
        for number, name in enumerate(key):
            path = (*path, name)
            last = number == len(key) - 1
            if last and array:
                self._arrays[path] = self._arrays.get(path, -1) + 1
            self._note(path)
            if path in self._arrays:
                path = (*path, self._arrays[path])
                self._note(path)
        return path

    def _pair(self, table: Where) -> None:
        line = self._line
        path = (*table, *self._key())
        for depth in range(len(table) + 1, len(path) + 1):
            self.lines.setdefault(path[:depth], line)
        self._skip(1)  # the equals sign
        self._take(_BLANK)
        self._value(path)

    def _key(self) -> Where:
        parts: list[str] = []
        while True:
            self._take(_BLANK)
            part = self._take(_STRING) or self._take(_BARE)
            parts.append(next(iter(tomllib.loads(f"{part}=0"))))
            self._take(_BLANK)
            if self._text[self._at] != ".":
                return tuple(parts)
            self._skip(1)

    def _value(self, path: Where) -> None:
        first = self._text[self._at]
        if first == "[":
            self._skip(1)
            self._take(_SPACE)
            number = 0
            while self._text[self._at] != "]":
                self._note((*path, number))
                self._value((*path, number))
                self._comma()
                number += 1
            self._skip(1)
        elif first == "{":
            self._skip(1)
            self._take(_SPACE)
            while self._text[self._at] != "}":
                self._pair(path)
                self._comma()
            self._skip(1)
        elif first in "\"'":
            self._take(_STRING)
        else:
            self._take(_SCALAR)

    def _comma(self) -> None:
        self._take(_SPACE)
        if self._text[self._at] == ",":
            self._skip(1)
            self._take(_SPACE)

    def _note(self, path: Where) -> None:
        self.lines.setdefault(path, self._line)

    def _skip(self, count: int) -> None:
        self._at += count

    def _take(self, pattern: re.Pattern[str]) -> str:
        found = pattern.match(self._text, self._at)
        if found is None:
            return ""
        self._at = found.end()
        self._line += found[0].count("\n")
        return found[0]
