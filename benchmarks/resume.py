"""Bytes, not times: what goes over the wire again after a cut at half."""

from __future__ import annotations

import argparse
import contextlib
import filecmp
from collections.abc import Callable
from pathlib import Path

from benchmarks import peers
from benchmarks.large import random_file
from benchmarks.relay import Relay
from ftpsvc.exceptions import FtpsvcError
from ftpsvc_client import Client, connect


def run(work: Path, options: argparse.Namespace) -> str:
    """Returns the lines of the report."""
    share = work / "resume-share"
    share.mkdir()
    size = options.mib << 20
    source = work / "resume.bin"
    random_file(source, size)
    target = work / "resumed.bin"
    with peers.ftpsvc_server(work / "resume-root", share) as (url, _), Relay(url) as relay:
        put = _cut_and_again(relay, size, lambda client: client.put(source, "/file"))
        assert filecmp.cmp(source, share / "file", shallow=False)
        get = _cut_and_again(relay, size, lambda client: client.get("/file", target))
        assert filecmp.cmp(source, target, shallow=False)
    lines = [
        f"## Resume of {options.mib} MiB after a cut at half",
        "",
        "The same call twice; the second goes on by itself. Durable; bytes on the wire, both directions.",
        "",
        "| | bytes before the cut | bytes afterwards | afterwards / missing half |",
        "| --- | --- | --- | --- |",
    ]
    for name, (before, after) in (("put", put), ("get", get)):
        lines.append(f"| {name} | {before:,} | {after:,} | {after / (size - size // 2):.4f} |")
    return "\n".join(lines) + "\n"


def _cut_and_again(relay: Relay, size: int, transfer: Callable[[Client], object]) -> tuple[int, int]:
    relay.reset()
    relay.cut_after = size // 2
    with contextlib.suppress(FtpsvcError), connect(relay.url) as client:
        transfer(client)
    before = relay.up + relay.down
    relay.reset()
    relay.cut_after = None
    with connect(relay.url) as client:
        transfer(client)
    return before, relay.up + relay.down
