"""100 hand-ins of a small assignment in Python with five tests each, graded by `ftpsvc-grade run`'s engine.

Both ways to test are measured: five programs (`run`), and a file of five tests (`pytest`). Wall-clock time says little
on a machine that does other things as well, so the processor time is given too: that of the grader with its pytests and
sandboxes, and that of the students' programs, which the sandboxes' own first processes wait for.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import resource
import threading
import time
from datetime import UTC, datetime
from pathlib import Path

from ftpsvc.homework.catalog import Catalog
from ftpsvc.homework.desk import Desk
from ftpsvc.homework.engine import Engine, Local
from ftpsvc.homework.grading.store import Results
from ftpsvc.homework.intake import Intake
from ftpsvc.homework.queue import Queue
from ftpsvc.homework.sandbox.choose import choose
from ftpsvc.receipts.tree import File

HAND_INS = 100
HEAD = """
schema = 1
course = "bench"
id = "{id}"
title = "Sums"
open = 2026-01-01T00:00:00Z
due = 2099-01-01T00:00:00Z
[files]
required = ["sums.py"]
"""
RUN = """
[[test]]
name = "sum {number}"
kind = "run"
run = ["python3", "sums.py", "{number}"]
expect = {{ stdout = "{expected}\\n" }}
points = 2
"""
PYTEST = """
[[test]]
name = "sums"
kind = "pytest"
path = "tests/test_sums.py"
points = 10
"""
TESTS = "".join(
    f"def test_{number}(student):\n    assert student.call('sums', 'total', {number}) == {sum(range(number + 1))}\n"
    for number in range(1, 6)
)
PROGRAM = """
import sys

def total(number):
    return sum(range(number + 1))

if __name__ == "__main__":
    print(total(int(sys.argv[1])))
"""


def run(work: Path, options: argparse.Namespace) -> str:
    sandbox = choose()
    lines = [
        "## Grading",
        "",
        f"{HAND_INS} hand-ins with 5 tests each, {len(os.sched_getaffinity(0))} at once, {sandbox.name}.",
        "",
        "| tests | seconds | processor seconds: grader | students' programs | a hand-in, both |",
        "| --- | --- | --- | --- | --- |",
    ]
    tests = "".join(RUN.format(number=number, expected=sum(range(number + 1))) for number in range(1, 6))
    for name, toml in ("run", tests), ("pytest", PYTEST):
        wall, grader, inside = _grade(work / f"grading-{name}", name, toml)
        each = (grader + inside) / HAND_INS * 1000
        lines.append(f"| `{name}` | {wall:.1f} | {grader:.1f} | {inside:.1f} | {each:.0f} ms |")
    return "\n".join([*lines, ""])


def _grade(root: Path, name: str, toml: str) -> tuple[float, float, float]:
    folder = root / "assignments" / name
    (folder / "tests").mkdir(parents=True)
    (folder / "assignment.toml").write_text(HEAD.format(id=name) + toml)
    (folder / "tests" / "test_sums.py").write_text(TESTS)
    users = [f"student{number:03}" for number in range(HAND_INS)]
    _hand_in(root, name, users)
    with Queue(root) as queue:
        before, begun = _processor(), time.perf_counter()
        Intake(root, queue).look()
        executor = Local(choose(), len(os.sched_getaffinity(0)))
        Engine(root, queue, executor).run(threading.Event(), name, users)
        executor.close()
        wall, processor = time.perf_counter() - begun, _processor() - before
    inside = 0.0
    for user in users:
        result = Results(root / "submissions" / name / user).newest(1)
        assert result is not None
        assert result.score == 10
        inside += sum(test.extra_data.cpu for test in result.tests)
    return wall, processor, inside


def _hand_in(root: Path, name: str, users: list[str]) -> None:
    desk = Desk(root, Catalog(root), durable=False, now=lambda: datetime(2026, 6, 1, tzinfo=UTC))
    content = PROGRAM.encode()
    for user in users:
        under = desk.begin(
            name, user, [File("sums.py", len(content), hashlib.sha256(content).hexdigest())]
        ).under
        (desk.submissions.of(name, user) / "incoming" / "files" / "sums.py").write_bytes(content)
        desk.commit(name, user, under.tree_sha256, under.begun, late=False)


def _processor() -> float:
    """Returns the processor time of this process and of all that it waited for, theirs included."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)
