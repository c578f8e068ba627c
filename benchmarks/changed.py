"""One part in a hundred of a large file changed in place, and put again over the version of before: bytes and times."""

from __future__ import annotations

import argparse
import itertools
import random
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

from benchmarks import peers
from benchmarks.large import random_file
from benchmarks.measure import interleaved, table, timed
from benchmarks.relay import Relay
from ftpsvc_client import connect

_BLOCK = 64 << 10
_NOTE = (
    "Time inside `Client.put`; rsync as a whole command. ftpsvc keeps the old version until the new one is complete, so"
    " it writes a whole file, as rsync does without --inplace; with it rsync overwrites the only copy."
)


def run(work: Path, options: argparse.Namespace) -> str:
    """Returns the tables of bytes and of times."""
    first, second = work / "changed-1.bin", work / "changed-2.bin"
    size = options.mib << 20
    random_file(first, size)
    shutil.copyfile(first, second)
    generator = random.Random(3)
    with second.open("r+b") as file:
        for block in generator.sample(range(size // _BLOCK), max(1, size // _BLOCK // 100)):
            file.seek(block * _BLOCK)
            file.write(generator.randbytes(_BLOCK))
    shares = {name: work / f"changed-{name}" for name in ("relaxed", "durable", "rsync")}
    for share in shares.values():
        share.mkdir()
        for name in (
            "file",
            "other",
        ):  # whoever shares a server has a file of its own, or would find it changed
            shutil.copyfile(first, share / name)
    sent: dict[str, int] = {}
    with (
        peers.ftpsvc_server(work / "changed-root", shares["relaxed"], "--durability", "relaxed") as (url, _),
        peers.ftpsvc_server(work / "changed-root-durable", shares["durable"]) as (durable_url, _),
        peers.rsync_daemon(work, shares["rsync"]) as rsync,
        connect(url) as client,
        connect(durable_url) as durable,
        Relay(url) as relay,
    ):
        with connect(relay.url) as counted:
            relay.reset()
            counted.put(second, "/file")
            sent["ftpsvc"] = relay.up + relay.down
            counted.put(first, "/file")
        contestants = {
            "ftpsvc, relaxed": _turns(first, second, lambda source: client.put(source, "/file")),
            "ftpsvc, durable": _turns(first, second, lambda source: durable.put(source, "/file")),
            "ftpsvc, whole file, relaxed": _turns(
                first, second, lambda source: client.put(source, "/other", delta=False)
            ),
        }
        base = "ftpsvc, relaxed"
        if rsync is not None:
            base = "rsync daemon --inplace, command"
            for name, flags, there in (
                (base, ["--inplace"], "file"),
                ("rsync daemon, command", [], "other"),
            ):

                def transfer(
                    source: Path,
                    name: str = name,
                    flags: list[str] = flags,
                    target: str = f"{rsync.where}/{there}",
                ) -> None:
                    sent[name] = _rsync(source, target, flags)

                contestants[name] = _turns(first, second, transfer)
        results = interleaved(contestants, max(2, min(options.rounds, 3)), 1)
    lines = [
        f"## 1 % changed in place of {options.mib} MiB",
        "",
        "| | bytes on the wire, both directions | part of the file |",
        "| --- | --- | --- |",
        *(f"| {name} | {count:,} | {count / size:.2%} |" for name, count in sent.items()),
        "",
    ]
    return "\n".join(lines) + "\n" + table(f"update {options.mib} MiB", results, base, _NOTE)


def _turns(first: Path, second: Path, transfer: Callable[[Path], object]) -> Callable[[], float]:
    """Returns what puts the second version over the first, and the first over the second the next time."""
    sources = itertools.cycle((second, first))
    return lambda: timed(lambda: transfer(next(sources)))


def _rsync(source: Path, target: str, flags: list[str]) -> int:
    """Puts a file by blocks that differ, whatever its time; returns the bytes sent and received."""
    command = ["rsync", "-tI", "--no-whole-file", "--stats", *flags, str(source), target]
    found = subprocess.run(
        command, check=True, capture_output=True, text=True, env=peers.clean_environment() | {"LC_ALL": "C"}
    ).stdout
    return sum(
        int(count.replace(",", "")) for count in re.findall(r"Total bytes (?:sent|received): ([\d,]+)", found)
    )
