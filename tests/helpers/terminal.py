"""A program on a pseudo-terminal: what a person types, and what stands on the screen."""

from __future__ import annotations

import codecs
import errno
import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import termios
import time
import unicodedata
from collections.abc import Mapping, Sequence
from pathlib import Path

GUARD = 180.0
"""Seconds after which something that must happen is taken to have failed."""

_TOKEN = re.compile(
    r"\x1b\[(?P<numbers>[0-9;?]*)[ -/]*(?P<final>[@-~])"
    r"|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)"
    r"|\x1b[()][A-Z0-9]|\x1b[=>78NOMc]"
    r"|(?P<char>[^\x1b])",
    re.DOTALL,
)


class Paper:
    """What a terminal would show, on paper without an end: cursor moves and erasures are done, nothing scrolls away."""

    def __init__(self) -> None:
        self.rows: list[list[str]] = [[]]
        self.row = 0
        self.column = 0

    def write(self, text: str) -> int:
        """Shows text and returns how much of it was whole sequences."""
        position = 0
        while position < len(text) and (token := _TOKEN.match(text, position)):
            position = token.end()
            if token["char"] is not None:
                self._put(token["char"])
            elif token["final"] is not None:
                self._control(token["numbers"], token["final"])
        return position

    def _put(self, char: str) -> None:
        if char == "\n":
            self._down(1)
        elif char == "\r":
            self.column = 0
        elif char == "\b":
            self.column = max(0, self.column - 1)
        elif char >= " " and not unicodedata.combining(char):
            row = self.rows[self.row]
            row.extend(" " * (self.column + 2 - len(row)))
            row[self.column] = char
            self.column += 1
            if unicodedata.east_asian_width(char) in "WF":
                row[self.column] = ""
                self.column += 1

    def _down(self, count: int) -> None:
        self.row += count
        self.rows.extend([] for _ in range(self.row + 1 - len(self.rows)))

    def _control(self, numbers: str, final: str) -> None:
        first = numbers.split(";")[0]
        count = int(first) if first.isdigit() else 0
        row = self.rows[self.row]
        if final == "A":
            self.row = max(0, self.row - max(1, count))
        elif final == "B":
            self._down(max(1, count))
        elif final == "C":
            self.column += max(1, count)
        elif final == "D":
            self.column = max(0, self.column - max(1, count))
        elif final == "G":
            self.column = max(1, count) - 1
        elif final == "K":
            if count == 0:
                del row[self.column :]
            elif count == 1:
                row[: self.column] = " " * min(self.column, len(row))
            else:
                row.clear()
        elif final == "J":
            del row[self.column :]
            del self.rows[self.row + 1 :]
        elif final == "P":
            del row[self.column : self.column + max(1, count)]

    @property
    def text(self) -> str:
        """All lines, without the blanks at their ends."""
        return "\n".join("".join(row).rstrip() for row in self.rows)

    @property
    def line(self) -> str:
        """The line in which the cursor stands."""
        return "".join(self.rows[self.row]).rstrip()


class Terminal:
    """A running program whose stdin, stdout and stderr are a terminal. A context manager: leaving it ends the program.

    Attributes:
        raw: Everything that came so far, as it came.
        paper: What it looks like.
    """

    def __init__(
        self,
        command: Sequence[str],
        *,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        columns: int = 100,
        lines: int = 30,
    ) -> None:
        master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))
        # Nobody here answers when a program asks where the cursor is.
        environment = {**os.environ, "TERM": "xterm", "PROMPT_TOOLKIT_NO_CPR": "1", **(env or {})}
        try:
            self._process = subprocess.Popen(
                command, stdin=slave, stdout=slave, stderr=slave, env=environment, cwd=cwd, start_new_session=True,
                preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
            )  # fmt: skip
        finally:
            os.close(slave)
        self._master = master
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._pending = ""
        self._seen = (0, 0)
        self.raw = b""
        self.paper = Paper()

    def send(self, text: str) -> None:
        """Types."""
        os.write(self._master, text.encode())

    def leave(self) -> None:
        """Types Ctrl-D at the prompt of a line editor, once that reads keys itself.

        Before it does, while a command runs and its output comes, the line discipline takes the key as the end of a
        line and hands the editor a NUL instead, which nobody reads as a wish to leave; a shell has that in common with
        bash. The program's output is what tells that it goes on, so no clock decides.
        """
        deadline = time.monotonic() + GUARD
        while termios.tcgetattr(self._master)[3] & termios.ICANON:
            assert self._read(deadline), f"nothing reads keys at the end of:\n{self.paper.text}"
        self.send("\x04")

    def expect(self, pattern: str) -> re.Match[str]:
        """Waits until the pattern stands somewhere behind what was found by the call before; returns the match."""
        deadline = time.monotonic() + GUARD
        while True:
            start = self._offset(*self._seen)
            text = self.paper.text
            found = re.compile(pattern, re.DOTALL).search(text, min(start, len(text)))
            if found is not None:
                before = text[: found.end()]
                self._seen = (before.count("\n"), len(before) - before.rfind("\n") - 1)
                return found
            if not self._read(deadline):
                raise AssertionError(f"no {pattern!r} behind {self._seen} in:\n{text}")

    def shows(self, pattern: str) -> None:
        """Waits until the line in which the cursor stands has the pattern."""
        deadline = time.monotonic() + GUARD
        while re.search(pattern, self.paper.line) is None:
            assert self._read(deadline), f"no {pattern!r} in the last line of:\n{self.paper.text}"

    def wait(self) -> str:
        """Waits for the program's end and returns all that stands there then."""
        deadline = time.monotonic() + GUARD
        while self._read(deadline):
            pass
        return self.paper.text

    def code(self) -> int:
        """Waits for the program's end and returns its exit code."""
        self.wait()
        return self._process.wait(GUARD)

    def _offset(self, row: int, column: int) -> int:
        lines = self.paper.text.split("\n")
        return sum(len(line) + 1 for line in lines[:row]) + column

    def _read(self, deadline: float) -> bool:
        """Takes in what comes next; False at the end, or when nothing comes."""
        ready, _, _ = select.select([self._master], [], [], max(0.0, deadline - time.monotonic()))
        if not ready:
            return False
        try:
            data = os.read(self._master, 65536)
        except OSError as error:
            if error.errno != errno.EIO:  # what Linux says when the last program has closed its side
                raise
            data = b""
        self.raw += data
        self._pending += self._decoder.decode(data)
        self._pending = self._pending[self.paper.write(self._pending) :]
        return bool(data)

    def __enter__(self) -> Terminal:
        return self

    def __exit__(self, *_: object) -> None:
        if self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait(GUARD)
        os.close(self._master)
