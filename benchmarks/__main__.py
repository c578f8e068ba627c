"""`python -m benchmarks`: ftpsvc beside raw sockets and pyftpdlib on the same work, in one run.

    python -m benchmarks                     everything, 1 GiB, five rounds
    python -m benchmarks large --mib 256     one part of it, smaller
    python -m benchmarks --out results.md    also into a file

Parts: large (one file both ways), start (whole commands), memory (the daemon's, Linux only), progress (what bars cost),
login (a log-in's processor time, a whole visit over TLS, memory of idle users; Linux only).
"""

from __future__ import annotations

import argparse
import os
import platform
import shutil
import tempfile
import time
from pathlib import Path

from benchmarks import large, login, memory, progress_cost, start

_PARTS = {
    "large": large.run,
    "start": start.run,
    "memory": memory.run,
    "progress": progress_cost.run,
    "login": login.run,
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
        options.out.write_text("\n".join(lines))


main()
