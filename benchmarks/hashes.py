"""Floors of the digests: how fast each algorithm hashes a MiB at a time, from memory, on one core."""

from __future__ import annotations

import argparse
from pathlib import Path

from benchmarks.measure import interleaved, table, timed
from ftpsvc import digests

_PIECE = bytes(1 << 20)


def run(work: Path, options: argparse.Namespace) -> str:
    """Returns the table."""
    contestants = {
        name: lambda name=name: timed(lambda: _hash(name, options.mib))
        for name in ("blake3", "sha256", "md5")
    }
    results = interleaved(contestants, options.rounds)
    return table(
        f"hash {options.mib} MiB", results, "blake3", "A MiB at a time, as transfers do it, one core."
    )


def _hash(algorithm: str, mib: int) -> None:
    hasher = digests.new(algorithm)
    for _ in range(mib):
        hasher.update(_PIECE)
    hasher.hexdigest()
