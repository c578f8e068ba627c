"""Graders that are killed with -9 at any moment, or told to stop: every hand-in has one newest result in the end."""

import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from ftpsvc.homework.queue import Queue
from ftpsvc.homework.sandbox.base import Sandbox
from tests.helpers.counts import count
from tests.helpers.grading import Course

USERS = [f"user{number}" for number in range(5)]
TEST = """
[[test]]
name = "prints"
kind = "run"
run = ["python3", "main.py"]
expect = { stdout = "6\\n" }
points = 3
"""


def grader(course: Course, program: str | None, *arguments: str) -> subprocess.Popen[str]:
    line = [
        sys.executable,
        "-m",
        "ftpsvc.homework.grade_cli",
        *arguments,
        "--root",
        str(course.root),
        "--jobs",
        "2",
    ]
    if program is not None:
        line += ["--bwrap", program]
    return subprocess.Popen(line, stderr=subprocess.PIPE, text=True)


def ended(process: subprocess.Popen[str]) -> tuple[int, str]:
    with process:
        assert process.stderr is not None
        said = process.stderr.read()
    return process.returncode, said


@pytest.fixture
def course(tmp_path: Path) -> Course:
    made = Course(tmp_path)
    made.assignment("hw1", TEST)
    for number, user in enumerate(USERS):
        made.hand_in("hw1", user, {"main.py": f"print({number} + 2)"})
    return made


@pytest.mark.timeout(900)
def test_a_grader_killed_at_any_moment_leaves_one_newest_result(
    course: Course, found_sandbox: tuple[Sandbox, str | None], record_property: Callable[[str, object], None]
) -> None:
    begun = time.monotonic()
    code, said = ended(grader(course, found_sandbox[1], "run", "hw1"))
    assert code == 0, said
    whole = time.monotonic() - begun
    seed = random.randrange(1 << 32)
    moments = random.Random(seed)
    kills = count(3, 20)
    record_property("counted", f"{kills} graders killed in a batch of {len(USERS)}, seed {seed}")
    for _ in range(kills):
        process = grader(course, found_sandbox[1], "run", "hw1", "--rerun")
        threading.Event().wait(moments.uniform(0, whole))
        process.kill()
        ended(process)
    code, said = ended(grader(course, found_sandbox[1], "run", "hw1", "--rerun"))
    assert code == 0, f"seed {seed}: {said}"
    with Queue(course.root) as queue:
        assert queue.tasks("queued", "running", "error", "superseded") == []
        done = {(task.user, task.attempt) for task in queue.tasks("done")}
    there = set()
    for number, user in enumerate(USERS):
        results = course.results("hw1", user)
        newest = results.newest(1)
        assert newest is not None
        assert (newest.ours.raw, results.failure(1)) == (3.0 if number == 4 else 0.0, None)
        attempts = results.attempts(1)
        assert attempts == list(range(1, len(attempts) + 1)), f"seed {seed}"
        there |= {(user, attempt) for attempt in attempts}
        assert all(results.read(1, attempt).ours.attempt == attempt for attempt in attempts)
    assert there == done, f"seed {seed}"


@pytest.mark.timeout(600)
def test_serve_grades_what_comes_and_finishes_what_it_began(
    course: Course, found_sandbox: tuple[Sandbox, str | None]
) -> None:
    process = grader(course, found_sandbox[1], "serve")
    assert process.stderr is not None
    try:
        lines = [process.stderr.readline() for _ in range(6)]
        assert lines[0].startswith("ready")
        assert all(line.startswith("graded hw1 user") for line in lines[1:])
        course.hand_in("hw1", "late", {"main.py": "import time\ntime.sleep(2)\nprint(6)"})
        with Queue(course.root) as queue:
            while not queue.tasks("running"):
                threading.Event().wait(0.02)
        process.send_signal(signal.SIGTERM)
    finally:
        code, said = ended(process)
    assert (code, said.splitlines()[-1]) == (0, "stopped")
    newest = course.results("hw1", "late").newest(1)
    assert newest is not None
    assert newest.ours.raw == 3.0


SLEEPS = """
[[test]]
name = "sleeps"
kind = "pytest"
path = "tests/test_it.py"
points = 1
"""


def running(course: Course) -> list[bytes]:
    """The command lines of the tests that run for this course."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            line = (folder / "cmdline").read_bytes()
        except OSError:
            continue
        if b"ftpsvc.homework.grading.student" in line and os.fsencode(course.root) in line:
            found.append(line)
    return found


@pytest.mark.timeout(600)
def test_tests_that_sleep_end_with_the_grader(
    course: Course, found_sandbox: tuple[Sandbox, str | None], tmp_path: Path
) -> None:
    began = tmp_path / "began"
    test = f"import pathlib, time\ndef test_it():\n    pathlib.Path({str(began)!r}).touch()\n    time.sleep(600)\n"
    course.assignment("hw2", SLEEPS, files={"tests/test_it.py": test})
    course.hand_in("hw2", "alice", {"main.py": ""})
    process = grader(course, found_sandbox[1], "run", "hw2")
    try:
        while not began.exists():
            threading.Event().wait(0.02)
        assert len(running(course)) == 1
    finally:
        process.kill()
        ended(process)
    while running(course):
        threading.Event().wait(0.02)
