"""The programs of docs/course, run as a reader runs them: as processes, over real sockets."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import dropwhile, takewhile
from pathlib import Path

GUARD = 180.0
"""Seconds after which something that must happen is taken to have failed."""

COURSE = Path(__file__).resolve().parents[2] / "docs" / "course"


def _command(name: str, arguments: tuple[object, ...]) -> list[str]:
    # -u: what a program prints must be seen while it runs. -B: nothing is written into the tree.
    return [sys.executable, "-u", "-B", str(COURSE / name), *map(str, arguments)]


def _environment() -> dict[str, str]:
    return {**os.environ, "PYTHONUTF8": "1"}


def run(name: str, *arguments: object, said: str = "", code: int = 0) -> list[str]:
    """Runs a program to its end and returns the lines that it printed, stdout and stderr alike.

    Args:
        name: The program, from docs/course.
        arguments: Its arguments.
        said: What is typed into it.
        code: The exit code that it must have.
    """
    done = subprocess.run(
        _command(name, arguments), input=said, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, encoding="utf-8",
        env=_environment(), timeout=GUARD, check=False,
    )  # fmt: skip
    assert done.returncode == code, done.stdout
    return done.stdout.splitlines()


def shown(lesson: str, program: str = "") -> list[str]:
    """The lines of the terminal sessions on a lesson's page; with a program, what stands below its command."""
    page = (COURSE / lesson / "README.md").read_text(encoding="utf-8")
    lines = "".join(re.findall(r"^```console\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)).splitlines()
    if not program:
        return lines
    after = dropwhile(lambda line: not re.match(rf"\$ (sudo )?python {program}\b", line), lines)
    next(after)
    return list(takewhile(lambda line: not line.startswith("$ "), after))


class Running:
    """A program that runs.

    Attributes:
        lines: What was read of what it printed.
        process: The process.
    """

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self.lines: list[str] = []

    def wait_for(self, text: str) -> str:
        """Reads on until a line has `text` in it, and returns that line."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.append(line.rstrip("\n"))
            if text in line:
                return self.lines[-1]
        raise AssertionError(f"no {text!r} in:\n" + "\n".join(self.lines))

    def port(self) -> int:
        """The number at the end of the line that says where it listens."""
        return int(self.wait_for("listening on").rsplit(maxsplit=1)[1])

    def rest(self) -> list[str]:
        """Waits until it has ended by itself, without an error, and returns all its lines."""
        assert self.process.stdout is not None
        self.lines += self.process.stdout.read().splitlines()
        assert self.process.wait(GUARD) == 0, self.lines
        return self.lines


def _press_ctrl_c(process: subprocess.Popen[str]) -> None:
    process.send_signal(signal.SIGINT)
    try:
        said, _ = process.communicate(timeout=GUARD / 4)
    except subprocess.TimeoutExpired:
        # Python drops what is raised while it clears a file object away, a KeyboardInterrupt too: press again.
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=GUARD)
        return
    assert (process.returncode, said.splitlines()[-1:]) == (0, ["stopped"]), said
    assert "Traceback" not in said


@contextmanager
def running(name: str, *arguments: object) -> Iterator[Running]:
    """Runs a program for the length of a block, and ends it as a reader does, by Ctrl-C, if it runs on."""
    process = subprocess.Popen(
        _command(name, arguments), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        encoding="utf-8", env=_environment(),
    )  # fmt: skip
    try:
        yield Running(process)
        if process.poll() is None:
            _press_ctrl_c(process)
    finally:
        process.kill()
        process.wait()
        assert process.stdout is not None
        process.stdout.close()
