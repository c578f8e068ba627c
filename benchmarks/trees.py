"""Trees: many small files of one size, and the standard library, both ways, as whole commands and inside the API."""

from __future__ import annotations

import argparse
import os
import random
import resource
import shutil
import statistics
import subprocess
import sys
import sysconfig
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from benchmarks import peers
from benchmarks.measure import interleaved, processor_seconds, table, timed
from ftpsvc_client import Client, connect

_SMALL = 4096
_FOLDERS = 100
_NOTE = (
    "`command` is a whole process, its start included; `API` is the call alone. rsync is its daemon with -rlt -W, which"
    " renames into place as ftpsvc does; ftplib puts one file after the other on one connection."
)


def run_small(work: Path, options: argparse.Namespace) -> str:
    """Returns the tables of many files of 4 KiB."""
    source = work / "small"
    generator = random.Random(2)
    for folder in range(_FOLDERS):
        (source / f"{folder:03}").mkdir(parents=True)
    for number in range(options.files):
        (source / f"{number % _FOLDERS:03}" / f"{number:05}").write_bytes(generator.randbytes(_SMALL))
    return _run(f"{options.files:,} files of 4 KiB", source, work / "small-work", options)


def run_library(work: Path, options: argparse.Namespace) -> str:
    """Returns the tables of the standard library's tree."""
    source = work / "library"
    shutil.copytree(
        sysconfig.get_path("stdlib"), source, ignore=shutil.ignore_patterns("site-packages", "__pycache__")
    )
    files = sum(len(names) for _, _, names in os.walk(source))
    return _run(f"the standard library ({files:,} files)", source, work / "library-work", options)


def _run(title: str, source: Path, work: Path, options: argparse.Namespace) -> str:
    shares = {name: work / name for name in ("relaxed", "durable", "ftp", "rsync")}
    for share in shares.values():
        share.mkdir(parents=True)
    program = shutil.which("ftpsvc", path=os.path.dirname(sys.executable)) or "ftpsvc"
    rounds = max(2, min(options.rounds, 3))
    fresh = _Fresh(work)
    spent = _Spent()
    with (
        peers.ftpsvc_server(work / "root-relaxed", shares["relaxed"], "--durability", "relaxed") as (
            url,
            pid,
        ),
        peers.ftpsvc_server(work / "root-durable", shares["durable"]) as (durable_url, _),
        peers.pyftpdlib_server(shares["ftp"]) as (port, _),
        peers.rsync_daemon(work, shares["rsync"]) as rsync,
        connect(url) as client,
        connect(durable_url) as durable,
    ):
        ftp = peers.Ftp(port)
        puts: dict[str, Callable[[], float]] = {
            "cp -r": lambda: _shell(["cp", "-r", str(source), str(fresh())]),
            "ftpsvc, API, relaxed": lambda: _put(client, source, shares["relaxed"]),
            "ftpsvc, API, durable": lambda: _put(durable, source, shares["durable"]),
            "ftpsvc, command, relaxed": spent.of(
                "put, ftpsvc, relaxed", pid, lambda: _command_put(program, url, source, shares["relaxed"])
            ),
            "ftpsvc, command, durable": lambda: _command_put(program, durable_url, source, shares["durable"]),
            "pyftpdlib + ftplib, unverified": lambda: timed(
                lambda: ftp.put_tree(source, fresh(shares["ftp"]).name)
            ),
        }
        client.put_tree(source, "/get")
        shutil.copytree(source, shares["ftp"] / "get")
        gets: dict[str, Callable[[], float]] = {
            "cp -r": puts["cp -r"],
            "ftpsvc, API": lambda: timed(lambda: client.get_tree("/get", fresh())),
            "ftpsvc, command": spent.of(
                "get, ftpsvc",
                pid,
                lambda: _shell([program, "-q", "--server", url, "get", "-r", "/get", "--to", str(fresh())]),
            ),
            "pyftpdlib + ftplib, unverified": lambda: timed(lambda: ftp.get_tree("get", fresh())),
        }
        base = "pyftpdlib + ftplib, unverified"
        if rsync is not None:
            shutil.copytree(source, shares["rsync"] / "get")
            base = "rsync daemon -W, command"
            there, rsync_pid = rsync
            puts[base] = spent.of(
                "put, rsync daemon -W",
                rsync_pid,
                lambda: _shell(["rsync", "-rltW", f"{source}/", f"{there}/{fresh(shares['rsync']).name}/"]),
            )
            gets[base] = spent.of(
                "get, rsync daemon -W",
                rsync_pid,
                lambda: _shell(["rsync", "-rltW", f"{there}/get/", f"{fresh()}/"]),
            )
        result = table(f"put {title}", interleaved(puts, rounds, 1), base, _NOTE)
        result += "\n" + table(f"get {title}", interleaved(gets, rounds, 1), base, _NOTE)
        result += "\n" + spent.table(title, sum(len(names) for _, _, names in os.walk(source)))
        ftp.close()
    return result


class _Spent:
    """Processor time of whole commands and of the servers that they talk to, which no other work disturbs as much."""

    def __init__(self) -> None:
        self._seconds: dict[str, list[tuple[float, float]]] = {}

    def of(self, name: str, pid: int, run: Callable[[], float]) -> Callable[[], float]:
        """Returns what runs a command as `run` does, and notes what it and the server `pid` have used."""

        def noted() -> float:
            server, client = processor_seconds(pid), _of_children()
            seconds = run()
            while Path(
                f"/proc/{pid}/task/{pid}/children"
            ).read_text():  # rsync's end a little after the command
                time.sleep(0.01)
            used = _of_children() - client, processor_seconds(pid) - server
            self._seconds.setdefault(name, []).append(used)
            return seconds

        return noted

    def table(self, title: str, files: int) -> str:
        """Returns the medians of all rounds in a Markdown table."""
        lines = [
            f"## processor time, {title}",
            "",
            "Whole commands and their servers, user and system, microseconds per file.",
            "",
            "| | client | server |",
            "| --- | --- | --- |",
        ]
        for name, rounds in self._seconds.items():
            client, server = (statistics.median(side) / files * 1e6 for side in zip(*rounds, strict=True))
            lines.append(f"| {name} | {client:.0f} | {server:.0f} |")
        return "\n".join(lines) + "\n"


def _of_children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


class _Fresh:
    """Names that were never used. Old trees stay: ext4 makes files slowly for a while after many were removed."""

    def __init__(self, work: Path) -> None:
        self._work = work
        self._count = 0

    def __call__(self, folder: Path | None = None) -> Path:
        self._count += 1
        return (folder or self._work) / f"fresh{self._count}"


_numbers = iter(range(1 << 30))


def _put(client: Client, source: Path, share: Path) -> float:
    name = f"/api{next(_numbers)}"
    seconds = timed(partial(_checked_put, client, source, name))
    assert (share / name[1:]).is_dir()
    return seconds


def _checked_put(client: Client, source: Path, name: str) -> None:
    report = client.put_tree(source, name)
    assert not report.problems, report.problems


def _command_put(program: str, url: str, source: Path, share: Path) -> float:
    name = f"/command{next(_numbers)}"
    seconds = _shell([program, "-q", "--server", url, "put", "-r", str(source), "--to", name])
    assert (share / name[1:]).is_dir()
    return seconds


def _shell(command: list[str]) -> float:
    return timed(
        lambda: subprocess.run(command, check=True, stdout=subprocess.DEVNULL, env=peers.clean_environment())
    )
