"""A program on a pseudo-terminal: what a person types, and what comes on the screen."""

from __future__ import annotations

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
from collections.abc import Mapping, Sequence
from pathlib import Path

GUARD = 60.0
"""Seconds after which something that must happen is taken to have failed."""

_CONTROL = re.compile(
    r"\x1b\[[0-9;?]*[ -/]*[@-~]"  # colours, cursor
    r"|\x1b\][^\x07]*\x07"  # titles
    r"|\x1b[=>78]|\x1b[()][A-Z0-9]"
)


def plain(text: str) -> str:
    """Returns what was written without the sequences that move the cursor or colour."""
    return _CONTROL.sub("", text)


class Terminal:
    """A running program whose stdin, stdout and stderr are a terminal. A context manager: leaving it ends the program.

    Attributes:
        raw: Everything that came so far, as it came.
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
        environment = {**os.environ, "TERM": "xterm", **(env or {})}
        try:
            self._process = subprocess.Popen(
                command, stdin=slave, stdout=slave, stderr=slave, env=environment, cwd=cwd, start_new_session=True,
                preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
            )  # fmt: skip
        finally:
            os.close(slave)
        self._master = master
        self._decoded = ""
        self._seen = 0
        self.raw = b""

    def send(self, text: str) -> None:
        """Types."""
        os.write(self._master, text.encode())

    def expect(self, pattern: str) -> re.Match[str]:
        """Waits until the pattern comes, after what was found by the call before, and returns the match."""
        deadline = time.monotonic() + GUARD
        while True:
            found = re.compile(pattern, re.DOTALL).search(plain(self._decoded), self._seen)
            if found is not None:
                self._seen = found.end()
                return found
            if not self._read(deadline):
                raise AssertionError(f"no {pattern!r} in:\n{plain(self._decoded)[self._seen :]}")

    def rest(self) -> str:
        """Waits for the program's end and returns what came after the last match."""
        deadline = time.monotonic() + GUARD
        while self._read(deadline):
            pass
        return plain(self._decoded)[self._seen :]

    def code(self) -> int:
        """Waits for the program's end and returns its exit code."""
        self.rest()
        return self._process.wait(GUARD)

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
        self._decoded = self.raw.decode(errors="replace")
        return bool(data)

    def __enter__(self) -> Terminal:
        return self

    def __exit__(self, *_: object) -> None:
        if self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait(GUARD)
        os.close(self._master)
