"""The test kind `ftp-homework` in the real sandbox: limits, the sandbox's own failures, and what depends on it."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest

from ftpsvc.homework.grading import judge
from ftpsvc.homework.grading.faults import GradingFailed
from ftpsvc.homework.grading.results import TestResult
from ftpsvc.homework.kit.checks import CHECKS
from ftpsvc.homework.sandbox.base import Sandbox, SandboxError
from tests.helpers.faulty_servers import GOOD
from tests.helpers.grading import assignment, write

ASKED = [one for one in CHECKS if one.point not in (1, 4, 8, 9)]
"""What the profile base asks for."""

TESTS = """
[[test]]
name = "server"
kind = "ftp-homework"
run = ["python3", "server.py", "127.0.0.1", "PORT"]
patience = 120
seconds = 3000
points = 50
{more}
[[test]]
name = "after it"
kind = "run"
run = ["python3", "-c", "pass"]
needs = ["server"]
points = 1
"""


def graded(folder: Path, server: str, sandbox: Sandbox, more: str = "") -> list[TestResult]:
    one = assignment(folder / "hw", TESTS.format(more=more))
    files = write(folder / "in", {"server.py": server})
    return [part.result for part in judge.test(one, files, sandbox).tests]


def test_a_right_server_gets_all_points_and_lets_in_what_needs_it(sandbox: Sandbox, tmp_path: Path) -> None:
    *parts, after = graded(tmp_path, GOOD, sandbox)
    assert {one.extra_data.verdict for one in parts} == {"AC", "SKIP"}
    assert round(sum(one.score or 0 for one in parts), 6) == 50
    assert [one.number for one in parts] == [f"1.{at}" for at in range(1, len(parts) + 1)]
    assert (after.number, after.extra_data.verdict) == ("2", "AC")


def test_a_server_that_a_limit_ended_gets_that_limits_verdict(sandbox: Sandbox, tmp_path: Path) -> None:
    hungry = "import threading\nfull = b'x' * (300 << 20)\nthreading.Event().wait()\n"
    *parts, after = graded(tmp_path, hungry, sandbox, 'limits = { memory = "128M" }')
    scored = [one for one in parts if one.status is not None]
    assert len(scored) == len(ASKED)
    assert {(one.extra_data.verdict, one.extra_data.killed_by) for one in scored} == {("MLE", "memory")}
    assert all("seen: stopped: more than 128.0 MiB of memory" in one.output for one in scored)
    assert sum(one.score or 0 for one in scored) == 0
    assert (after.status, after.output) == (None, "not run, because it needs 'server'")


def test_a_run_has_its_time_and_then_no_check_begins(sandbox: Sandbox, tmp_path: Path) -> None:
    # The first check cannot be done in no time: the server listens only after its second is over.
    late = "from threading import Event\nEvent().wait(1.5)\n" + GOOD
    one = assignment(tmp_path / "hw", TESTS.format(more="").replace("seconds = 3000", "seconds = 1"))
    files = write(tmp_path / "in", {"server.py": late})
    parts = [part.result for part in judge.test(one, files, sandbox).tests[:-1]]
    used_up = [part for part in parts if "the 1 s of a run were used up" in part.output]
    assert len(used_up) == len(ASKED) - 1
    assert {part.extra_data.verdict for part in used_up} == {"WA"}


def test_a_failure_of_the_sandbox_is_no_result(
    sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    nowhere = tmp_path / ("n" * 120)  # no socket has a name of that length
    nowhere.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(nowhere))
    with pytest.raises(SandboxError):
        graded(tmp_path, GOOD, sandbox)
    assert list(nowhere.iterdir()) == []


def test_a_dialect_may_be_a_file_of_the_teachers_and_one_that_is_none_is_their_fault(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    base = "from ftpsvc.homework.kit.base_profile import BaseProfile\n"
    ours = {"tests/ours.py": base + "class Ours(BaseProfile):\n    name = 'ours'\n", "tests/none.py": base}
    server = write(tmp_path / "in", {"server.py": "raise SystemExit('not today')\n"})
    text = TESTS.format(more='dialect = "ours.py"')
    parts = judge.test(assignment(tmp_path / "hw", text, files=ours), server, sandbox).tests
    assert {"WA", "SKIP"} == {one.result.extra_data.verdict for one in parts}
    none = assignment(tmp_path / "hw", text.replace("ours.py", "none.py"), files=ours)
    with pytest.raises(GradingFailed, match=r"none\.py: it has to define one dialect"):
        judge.test(none, server, sandbox)
