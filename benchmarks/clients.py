"""Many clients at once, each putting and getting a MiB: how long all of them take, and how long the unluckiest."""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

from benchmarks import peers
from benchmarks.measure import interleaved, table

_COUNTS = (256, 500)
_PEER_UP_TO = 256  # beyond, pyftpdlib and ftplib did not come to an end


def run(work: Path, options: argparse.Namespace) -> str:
    """Returns a table for each number of clients."""
    share = work / "clients-share"
    share.mkdir()
    flags = ("--durability", "relaxed")
    limits = {"FTPSVCD_LIMITS__PER_ADDRESS": "1000", "FTPSVCD_LIMITS__CONNECTIONS": "1000"}
    parts = []
    with (
        peers.ftpsvc_server(work / "clients-root", share, *flags, environment=limits) as (url, _),
        peers.pyftpdlib_server(share, "async") as (port, _),
    ):
        for clients in _COUNTS:
            spread: dict[str, list[float]] = {}
            contestants: dict[str, Callable[[], float]] = {
                "ftpsvc, verified": partial(_swarm, "ftpsvc", url, clients, spread),
            }
            base = "ftpsvc, verified"
            if clients <= _PEER_UP_TO:
                base = "pyftpdlib + ftplib, unverified"
                contestants[base] = partial(_swarm, "ftp", str(port), clients, spread)
            results = interleaved(contestants, options.rounds)
            lines = [
                f"{name}: slowest / median of the clients {statistics.median(ratios[1:]):.2f}"
                for name, ratios in spread.items()
            ]
            note = (
                f"One process with {clients} threads; each connects, puts 1 MiB, gets it back and compares, all let"
                f" go at once. None may fail. {'; '.join(lines)} (medians of the rounds). pyftpdlib"
                f" serves them in one loop: its threads do not get through so many at once."
            )
            parts.append(table(f"{clients} clients, 1 MiB each way", results, base, note))
    return "\n".join(parts)


def _swarm(kind: str, where: str, clients: int, spread: dict[str, list[float]]) -> float:
    command = [sys.executable, "-m", "benchmarks.swarm", kind, where, str(clients)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, env=peers.clean_environment())
    seconds, each = json.loads(done.stdout)
    spread.setdefault(kind, []).append(max(each) / statistics.median(each))
    return float(seconds)
