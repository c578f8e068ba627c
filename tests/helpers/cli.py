"""The command `ftpsvc` as a person runs it: a process of its own, in a directory of its own."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

GUARD = 180.0
"""Seconds after which something that must happen is taken to have failed."""


def program() -> str:
    """The installed command."""
    found = shutil.which("ftpsvc", path=os.path.dirname(sys.executable))
    assert found is not None, "ftpsvc is not installed beside this Python"
    return found


@dataclass(frozen=True)
class Done:
    """What became of a command: its exit code, and what it wrote."""

    code: int
    raw_out: bytes
    raw_err: bytes

    @property
    def out(self) -> str:
        return self.raw_out.decode("utf-8", "surrogateescape")

    @property
    def err(self) -> str:
        return self.raw_err.decode("utf-8", "surrogateescape")

    @property
    def lines(self) -> list[str]:
        """What it printed on stdout, by lines."""
        return self.out.splitlines()

    @property
    def records(self) -> list[dict[str, Any]]:
        """What it printed with `--json`."""
        return [json.loads(line) for line in self.lines]


class Cli:
    """Runs commands in one directory, against one server.

    Attributes:
        here: The local directory.
        url: The server, or None where a test says so itself.
        program: The command's path, for what starts it in another way.
    """

    def __init__(self, here: Path, url: str | None) -> None:
        self.here = here
        self.url = url
        self.program = program()

    def environment(self, more: Mapping[str, str] | None = None) -> dict[str, str]:
        """The environment of the commands."""
        given = {"FTPSVC_SERVER": self.url} if self.url is not None else {}
        return {**os.environ, "COLUMNS": "100", **given, **(more or {})}

    def __call__(
        self, *arguments: str | bytes, stdin: bytes = b"", env: Mapping[str, str] | None = None
    ) -> Done:
        """Runs a command and returns what became of it, whatever that is."""
        done = subprocess.run(
            [self.program, *arguments], input=stdin, capture_output=True, cwd=self.here, env=self.environment(env),
            timeout=GUARD, check=False,
        )  # fmt: skip
        assert b"Traceback" not in done.stderr, done.stderr.decode(errors="replace")
        return Done(done.returncode, done.stdout, done.stderr)

    def ok(self, *arguments: str | bytes, stdin: bytes = b"") -> Done:
        """Runs a command that has to succeed, and to say nothing on stderr."""
        done = self(*arguments, stdin=stdin)
        assert (done.code, done.err) == (0, ""), f"exit code {done.code}\n{done.err}"
        return done

    @contextmanager
    def started(self, *arguments: str, **options: Any) -> Iterator[subprocess.Popen[bytes]]:
        """Starts a command and lends it; it is ended afterwards if it has not by then."""
        with subprocess.Popen(
            [self.program, *arguments], cwd=self.here, env=self.environment(), **options
        ) as process:
            try:
                yield process
            finally:
                if process.poll() is None:
                    process.kill()


def emptied(folder: Path) -> Path:
    """Removes what users put into a served folder, and returns it. The server's own hidden folder stays."""
    for name in listed(folder):
        path = folder / name
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()
    return folder


def listed(folder: Path) -> list[str]:
    """The names in a folder, ordered, without the server's own hidden folder."""
    return sorted(name for name in os.listdir(folder) if name != ".ftpsvc")


def until(condition: Callable[[], bool]) -> None:
    """Waits for what another process does and nobody tells: looks again and again."""
    end = time.monotonic() + GUARD
    poll = threading.Event()
    while not condition():
        assert time.monotonic() < end, "it never came"
        poll.wait(0.01)
