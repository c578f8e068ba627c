"""Console sessions in pages of the documentation: run as they stand there, and compared with what they show."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

GUARD = 180.0
_BLOCK = re.compile(r"^```console\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@dataclass
class Step:
    """A command of a page, and the lines that it shows. `...` in them stands for anything."""

    command: str
    shown: list[str] = field(default_factory=list)

    def matches(self, lines: list[str]) -> bool:
        pattern = "\n".join(self.shown)
        return re.fullmatch(".*?".join(map(re.escape, pattern.split("..."))), "\n".join(lines)) is not None


def steps(page: Path) -> list[Step]:
    """The commands of all console sessions of a page, in order."""
    return [step for block in _BLOCK.findall(page.read_text(encoding="utf-8")) for step in parse(block)]


def parse(session: str) -> list[Step]:
    """The commands of one console session, in order."""
    found: list[Step] = []
    for line in session.splitlines():
        if line.startswith("$ "):
            found.append(Step(line[2:]))
        else:
            found[-1].shown.append(line)
    return found


def run(step: Step, environment: dict[str, str], here: Path, replace: Mapping[str, str]) -> list[str]:
    """Runs a command and returns what it shows.

    Args:
        step: The command.
        environment: Its environment, which an `export` changes.
        here: Where to run it.
        replace: What stands for what on the page, as addresses: put in before, and taken back afterwards.
    """
    command = step.command
    for shown, real in replace.items():
        command = command.replace(shown, real)
    if command.startswith("export "):
        name, _, value = command.removeprefix("export ").partition("=")
        environment[name] = value
        return []
    done = subprocess.run(
        ["sh", "-c", command], cwd=here, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, encoding="utf-8", timeout=GUARD, check=False,
    )  # fmt: skip
    text = done.stdout
    for shown, real in replace.items():
        text = text.replace(real, shown)
    return text.splitlines() + ([f"[exit code {done.returncode}]"] if done.returncode else [])
