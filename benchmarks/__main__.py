"""`python -m benchmarks`: ftpsvc beside raw sockets and pyftpdlib on the same work, in one run.

    python -m benchmarks                     everything, 1 GiB, five rounds
    python -m benchmarks large --mib 256     one part of it, smaller
    python -m benchmarks --out docs/benchmarks.md    also into a file, and a picture beside it

Parts: hashes (floors), large (one file both ways), small and library (trees both ways), clients (256 and 500 at once),
resume (bytes after a cut), changed (1 % changed in place), start (whole commands), memory (Linux only), progress (what
bars cost), login (a log-in's processor time, a whole visit over TLS, memory of idle users; Linux only), grading
(hand-ins with five tests each; where a sandbox works).
"""

from __future__ import annotations

import argparse
import os
import platform
import shutil
import tempfile
import time
from pathlib import Path

from benchmarks import (
    changed,
    clients,
    grading,
    hashes,
    large,
    login,
    memory,
    plot,
    progress_cost,
    resume,
    start,
    trees,
)

_PARTS = {
    "hashes": hashes.run,
    "large": large.run,
    "small": trees.run_small,
    "library": trees.run_library,
    "clients": clients.run,
    "resume": resume.run,
    "changed": changed.run,
    "start": start.run,
    "memory": memory.run,
    "progress": progress_cost.run,
    "login": login.run,
    "grading": grading.run,
}


def main() -> None:
    """Runs the parts that were asked for and prints Markdown."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("parts", nargs="*", help=f"which of {', '.join(_PARTS)}; none is all")
    parser.add_argument("--mib", type=int, default=1024, help="size of the large file in MiB (default: 1024)")
    parser.add_argument("--rounds", type=int, default=5, help="rounds that count (default: 5)")
    parser.add_argument("--connections", type=int, default=10_000, help="connections one after another")
    parser.add_argument("--files", type=int, default=10_000, help="small files (default: 10000)")
    parser.add_argument(
        "--dir", type=Path, help="where to work; needs five times the large file (default: temporary)"
    )
    parser.add_argument("--out", type=Path, help="a file to write the Markdown to as well")
    options = parser.parse_args()
    if unknown := set(options.parts) - set(_PARTS):
        parser.error(f"there is no part {', '.join(sorted(unknown))}, only {', '.join(_PARTS)}")
    machine = (
        f"{time.strftime('%Y-%m-%d')}, {platform.system()} {platform.release()}, {os.cpu_count()} cores, "
        f"Python {platform.python_version()}, loopback, everything in the page cache."
    )
    lines = ["# Benchmarks", "", machine, ""]
    work = Path(tempfile.mkdtemp(prefix="ftpsvc-bench-", dir=options.dir))
    try:
        for name in options.parts or _PARTS:
            part = _PARTS[name](work, options)
            print(part, flush=True)
            lines.append(part)
    finally:
        shutil.rmtree(work)
    if options.out:
        picture = options.out.with_suffix(".svg")
        page = "\n".join(lines)
        plot.draw(page, picture)
        options.out.write_text(page + f"\n![The tables as a picture]({picture.name})\n")


main()
