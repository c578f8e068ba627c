"""What watching a transfer costs: with bars on a terminal, with nobody looking, and without a watcher.

    python -m benchmarks progress --mib 4096

A machine's noise is larger than what is looked for, so the time that is spent inside the watcher is measured as well:
its share of the transfer is the number that has to stay below 1 %.
"""

from __future__ import annotations

import argparse
import os
import pty
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from benchmarks import peers
from benchmarks.measure import interleaved, table, timed
from ftpsvc_client import Client, connect
from ftpsvc_client.progress import Watch

_CALLS = 1_000_000


class _Timed:
    """A watcher that is watched: how long its methods take altogether."""

    def __init__(self, watch: Watch) -> None:
        self._watch = watch
        self.seconds = 0.0
        self.calls = 0

    def expect(self, files: int, size: int) -> None:
        self._watch.expect(files, size)

    def begin(self, name: str, size: int) -> None:
        self._watch.begin(name, size)

    def advance(self, count: int) -> None:
        start = time.perf_counter()
        self._watch.advance(count)
        self.seconds += time.perf_counter() - start
        self.calls += 1

    def phase(self, name: str, size: int) -> None:
        self._watch.phase(name, size)

    def verifying(self) -> None:
        start = time.perf_counter()
        self._watch.verifying()
        self.seconds += time.perf_counter() - start

    def end(self, *, done: bool) -> None:
        start = time.perf_counter()
        self._watch.end(done=done)
        self.seconds += time.perf_counter() - start


@contextmanager
def _terminal() -> Iterator[TextIO]:
    """A terminal that another process reads."""
    master, slave = pty.openpty()
    with (
        subprocess.Popen(
            ["cat"], stdin=master, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        ) as reader,
        os.fdopen(slave, "w", encoding="utf-8") as stream,
    ):
        os.close(master)
        yield stream
        reader.terminate()


def run(work: Path, options: argparse.Namespace) -> str:
    """Returns the tables."""
    source = work / "watched.bin"
    with open(source, "wb") as file:
        file.writelines(os.urandom(1 << 20) for _ in range(options.mib))
    share = work / "watched"
    share.mkdir()
    os.environ.setdefault("TERM", "xterm")
    server = peers.ftpsvc_server(work / "watched-root", share, "--durability", "relaxed")
    with server as (url, _), connect(url) as client, _terminal() as stream:

        def put(watch: Watch | None) -> float:
            (share / "a").unlink(missing_ok=True)
            if watch is None:
                return timed(lambda: client.put(source, "/a"))
            with watch:
                return timed(lambda: client.put(source, "/a", progress=watch))

        shares = [_share(client, source, share, stream) for _ in range(options.rounds)]
        results = interleaved(
            {
                "no watcher": lambda: put(None),
                "watched, no terminal": lambda: put(Watch(verb="stored", show=False)),
                "watched, bars": lambda: put(Watch(verb="stored", stream=stream)),
            },
            options.rounds,
        )
        note = (
            f"Inside the watcher, with bars: {sorted(shares)[len(shares) // 2]:.2%} of the transfer (median of "
            f"{len(shares)}), {shares[0]:.2%} in the first, which imports tqdm once it has taken half a second. "
            f"A call that draws nothing takes {_nanoseconds(stream):.0f} ns."
        )
    return table(f"Watching a put of {options.mib} MiB", results, "no watcher", note)


def _share(client: Client, source: Path, share: Path, stream: TextIO) -> float:
    (share / "a").unlink(missing_ok=True)
    with Watch(verb="stored", stream=stream) as watch:
        timed_watch = _Timed(watch)
        seconds = timed(lambda: client.put(source, "/a", progress=timed_watch))
    return timed_watch.seconds / seconds


def _nanoseconds(stream: TextIO) -> float:
    with Watch(verb="stored", stream=stream) as watch:
        watch.begin("x", _CALLS)
        advance = watch.advance
        seconds = timed(lambda: [advance(0) for _ in range(_CALLS // 10)])
    return seconds / (_CALLS // 10) * 1e9
