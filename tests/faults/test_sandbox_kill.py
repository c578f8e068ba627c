"""A grader that is killed with -9 at any moment leaves no process of its hand-ins."""

import random
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from ftpsvc.homework.sandbox.base import Sandbox
from tests.helpers.counts import count
from tests.helpers.sandboxes import Mark

REPOSITORY = Path(__file__).resolve().parents[2]
JOBS = 2


def grader(program: str | None, mark: Mark) -> subprocess.Popen[bytes]:
    """A grader of its own process, about to start its jobs."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.helpers.sandbox_grader", program or "", str(JOBS), mark.value],
        cwd=REPOSITORY,
        stdout=subprocess.PIPE,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == b"go\n"
    return process


def end(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    process.wait()
    assert process.stdout is not None
    process.stdout.close()


def started_by(process: subprocess.Popen[bytes]) -> set[str]:
    """The process groups and sessions are of no use here: bwrap makes new ones. What counts is who waits for it."""
    found = set()
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
            found |= {folder.name} if fields[1] == str(process.pid) else set()
        except OSError:
            continue
    return found


def test_programs_that_run_end_with_the_grader(found_sandbox: tuple[Sandbox, str | None]) -> None:
    mark = Mark()
    process = grader(found_sandbox[1], mark)
    try:
        assert mark.wait_for(JOBS)
        bwraps = started_by(process)
        assert len(bwraps) == JOBS
    finally:
        end(process)
    assert mark.wait_for(0)
    assert all(not Path("/proc", pid, "root", "box").exists() for pid in bwraps)


@pytest.mark.timeout(900)
def test_a_grader_killed_at_any_moment_leaves_nothing(
    found_sandbox: tuple[Sandbox, str | None], record_property: Callable[[str, object], None]
) -> None:
    seed = random.randrange(1 << 32)
    record_property("counted", f"{count(4, 100)} graders killed, seed {seed}")
    moments = random.Random(seed)
    for _ in range(count(4, 100)):
        mark = Mark()
        process = grader(found_sandbox[1], mark)
        threading.Event().wait(moments.uniform(0, 0.06))
        end(process)
        assert mark.wait_for(0), f"seed {seed}"
