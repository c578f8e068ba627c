"""Ends what bwrap leaves where its grader is killed just while a sandbox is being set up.

bwrap starts the sandbox's first process, and that waits until bwrap has set it up; only then does it ask the kernel to
die with bwrap. Killed in between, bwrap leaves a process that waits for ever. No program was ever in it, but it holds
the files of its job open. The gap is a few system calls wide, since nothing is told to the grader in it that may be
dead (`Bwrap._start`). Nothing outside bwrap can close it, so the next grader ends what it finds.
"""

from __future__ import annotations

import os
import signal
from contextlib import suppress
from pathlib import Path
from typing import Final

from ftpsvc.homework.sandbox.bwrap import GATE

_GATE: Final = os.fsencode(GATE)


def end() -> list[int]:
    """Ends first processes of sandboxes whose bwrap is gone, and returns their pids.

    A sandbox that is in use is never among them: its bwrap lives, and is its parent. Those of other users, which this
    one may not end, are left alone.
    """
    ended = []
    for name in filter(str.isdigit, os.listdir("/proc")):
        pid = int(name)
        try:
            descriptor = os.pidfd_open(pid)
        except OSError:
            continue
        try:
            # Looked at with the descriptor open: the number cannot be another process's by the time of the signal.
            if _is_left(pid):
                with suppress(OSError):
                    signal.pidfd_send_signal(descriptor, signal.SIGKILL)
                    ended.append(pid)
        finally:
            os.close(descriptor)
    return ended


def _is_left(pid: int) -> bool:
    """Whether it is the first process of a sandbox of ours, and its parent is no bwrap of ours."""
    try:
        if not _is_ours(pid):
            return False
        status = Path(f"/proc/{pid}/status").read_text("ascii", "replace").split("\n")
        fields = dict(line.split(":\t", 1) for line in status if ":\t" in line)
        spaces = fields["NSpid"].split("\t")
        return len(spaces) > 1 and spaces[-1] == "1" and not _is_ours(int(fields["PPid"]))
    except (OSError, KeyError, ValueError):
        return False


def _is_ours(pid: int) -> bool:
    return _GATE in Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
