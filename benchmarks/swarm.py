"""Many clients in one process: `python -m benchmarks.swarm ftpsvc URL COUNT` or `... ftp PORT COUNT`.

Prints JSON: the seconds until the last was done, and those of each. Ends with an error when one failed.
"""

from __future__ import annotations

import ftplib
import io
import json
import random
import sys
import threading
import time
from collections.abc import Callable
from functools import partial

from ftpsvc_client import connect

_CONTENT = random.Random(3).randbytes(1 << 20)


def main() -> None:
    """Runs them."""
    kind, where, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
    work: Callable[[int], bytes] = partial(_ftpsvc if kind == "ftpsvc" else _ftp, where)
    together = threading.Barrier(count + 1)
    seconds: list[float] = []

    def run(number: int) -> None:
        together.wait()
        start = time.perf_counter()
        if work(number) == _CONTENT:
            seconds.append(time.perf_counter() - start)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    together.wait()
    start = time.perf_counter()
    for thread in threads:
        thread.join()
    total = time.perf_counter() - start
    if len(seconds) != count:
        sys.exit(f"{count - len(seconds)} of {count} clients failed")
    print(json.dumps([total, seconds]))


def _ftpsvc(url: str, number: int) -> bytes:
    sink = io.BytesIO()
    with connect(url, timeout=300) as client:
        client.put(_CONTENT, f"/swarm{number}")
        client.get(f"/swarm{number}", sink)
    return sink.getvalue()


def _ftp(port: str, number: int) -> bytes:
    sink = io.BytesIO()
    with ftplib.FTP(timeout=300) as ftp:  # noqa: S321  # the peer under test is FTP
        ftp.connect("127.0.0.1", int(port))
        ftp.login()
        ftp.storbinary(f"STOR ftp{number}", io.BytesIO(_CONTENT), 1 << 18)
        ftp.retrbinary(f"RETR ftp{number}", sink.write, 1 << 18)
    return sink.getvalue()


main()
