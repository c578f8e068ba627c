"""Interleaved rounds, medians and ratios; memory and descriptors of a process.

Machines are shared and noisy: nothing is worth a comparison but what ran in turns in one run. Each round runs every
contestant once, a different one first each time.
"""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(slots=True)
class Series:
    """What one contestant needed, round by round, in seconds."""

    seconds: list[float] = field(default_factory=list)

    @property
    def median(self) -> float:
        """The median of the rounds."""
        return statistics.median(self.seconds)

    def spread(self) -> str:
        """Shortest and longest round."""
        return f"{min(self.seconds):.3f} to {max(self.seconds):.3f}"


def interleaved(
    contestants: Mapping[str, Callable[[], float]], rounds: int, warmup: int = 1
) -> dict[str, Series]:
    """Runs every contestant once a round.

    Args:
        contestants: Name to what runs it and returns the seconds that count.
        rounds: Rounds that count.
        warmup: Rounds before that do not.
    """
    results = {name: Series() for name in contestants}
    names = list(contestants)
    for number in range(-warmup, rounds):
        for name in names[number % len(names) :] + names[: number % len(names)]:
            os.sync()  # what the one before left dirty is not to be written out during the next
            seconds = contestants[name]()
            if number >= 0:
                results[name].seconds.append(seconds)
    return results


def table(title: str, results: Mapping[str, Series], base: str, note: str = "") -> str:
    """Returns a Markdown table; ratios are to the median of `base`."""
    lines = [f"## {title}", ""]
    if note:
        lines += [note, ""]
    lines += [f"| | median s | rounds s | x {base} |", "| --- | --- | --- | --- |"]
    reference = results[base].median
    for name, series in sorted(results.items(), key=lambda item: item[1].median):
        lines.append(
            f"| {name} | {series.median:.3f} | {series.spread()} | {series.median / reference:.2f} |"
        )
    return "\n".join(lines) + "\n"


def timed(action: Callable[[], object]) -> float:
    """Returns the seconds that a call took."""
    start = time.perf_counter()
    action()
    return time.perf_counter() - start


def processor_seconds(pid: int) -> float:
    """Returns what a process and its ended children have used, user and system, also in ended threads (Linux)."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Footprint:
    """What a process holds: resident and peak bytes, threads, descriptors (Linux)."""

    resident: int
    peak: int
    threads: int
    descriptors: int

    @classmethod
    def of(cls, pid: int) -> Footprint:
        """Reads it from /proc."""
        fields = dict(
            line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines() if ":" in line
        )
        return cls(
            int(fields["VmRSS"].split()[0]) * 1024,
            int(fields["VmHWM"].split()[0]) * 1024,
            int(fields["Threads"]),
            len(os.listdir(f"/proc/{pid}/fd")),
        )


def forget_peak(pid: int) -> None:
    """Starts the peak of a process anew at what it holds now."""
    Path(f"/proc/{pid}/clear_refs").write_text("5")
