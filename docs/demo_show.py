"""What the parts of the demo share: commands printed as they are typed, and a daemon that always ends."""

from __future__ import annotations

import os
import re
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

_STOP_SECONDS = 60


class Failed(Exception):
    """What should have held did not."""


def say(text: str) -> None:
    """Prints what comes next."""
    print(f"\n# {text}", flush=True)


def show(command: list[str]) -> None:
    """Prints a command as one would type it."""
    print(f"$ {' '.join(word if word == '&' else shlex.quote(word) for word in command)}", flush=True)


def ftpsvc(*arguments: str) -> None:
    """Shows and runs the client."""
    command = ["ftpsvc", *arguments]
    show(command)
    subprocess.run(command, check=True)


def typed(line: str, *, codes: tuple[int, ...] = (0,)) -> int:
    """Prints a line and has the shell run this very line; returns its exit code, which must be one of `codes`."""
    print(f"$ {line}", flush=True)
    code = subprocess.run(["sh", "-c", line], check=False).returncode
    if code not in codes:
        raise Failed(f"{line} ended with exit code {code}")
    if code:
        print(f"exit code {code}")
    return code


@contextmanager
def daemon(command: list[str]) -> Iterator[list[str]]:
    """Runs a daemon for the length of a block; yields the lines it said until it was ready, and stops it cleanly."""
    show([*command, "&"])
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    try:
        lines = _until_ready(process)
        yield lines
        say("the daemon stops cleanly")
        show(["kill", str(process.pid)])
        process.send_signal(signal.SIGTERM)
        code = process.wait(_STOP_SECONDS)
        print(f"exit code {code}")
        if code:
            raise Failed(f"the daemon ended with exit code {code}")
    finally:
        process.kill()
        process.wait()
        if process.stderr is not None:
            process.stderr.close()


def _until_ready(process: subprocess.Popen[str]) -> list[str]:
    """Passes on what the daemon says on standard error, and returns it."""
    if process.stderr is None:
        raise Failed("the daemon has no standard error")
    lines = []
    for line in process.stderr:
        sys.stderr.write(line)
        lines.append(line.rstrip("\n"))
        if line.endswith("ready\n"):
            return lines
    raise Failed("the daemon did not start")


def use_server(lines: list[str]) -> None:
    """Exports where a daemon listens, from its lines."""
    for line in lines:
        if found := re.search(r"listening on (\S+)", line):
            os.environ["FTPSVC_SERVER"] = found[1]
            print(f"$ export FTPSVC_SERVER={found[1]}")
            return
    raise Failed("the daemon did not say where it listens")
