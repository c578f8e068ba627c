"""Whole commands: what a person waits for before anything happens."""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
from pathlib import Path

from benchmarks import peers
from benchmarks.measure import interleaved, table, timed

_BASE = "python -c 'import pydantic, ssl, tqdm'"


def run(work: Path, options: argparse.Namespace) -> str:
    """Returns the table."""
    share = work / "listed"
    share.mkdir()
    for number in range(20):
        (share / f"file{number:02}.txt").write_text("x" * 100)
    with peers.ftpsvc_server(work / "start-root", share) as (url, _):
        program = shutil.which("ftpsvc", path=os.path.dirname(sys.executable)) or "ftpsvc"
        commands = {
            "python -c pass": [sys.executable, "-c", "pass"],
            _BASE: [sys.executable, "-c", "import pydantic, ssl, tqdm"],
            "ftpsvc ls": [program, "--server", url, "ls", "/"],
            "ftpsvc --version": [program, "--version"],
        }
        contestants = {name: lambda command=command: _run(command) for name, command in commands.items()}
        results = interleaved(contestants, max(options.rounds, 15), warmup=2)
    return table("Whole commands", results, _BASE)


def _run(command: list[str]) -> float:
    # As it is installed: pip compiles what it installs, and the warm-up rounds do it for a work tree. Where the
    # environment forbids that, ftpsvc alone would compile its sources in each round (30 ms), and pydantic would not.
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
    return timed(lambda: subprocess.run(command, check=True, stdout=subprocess.DEVNULL, env=environment))
