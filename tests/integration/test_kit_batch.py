"""`ftpsvc-grade homework --each`: many hand-ins, of which none stops another."""

from __future__ import annotations

import csv
import json
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from ftpsvc.exceptions import ConfigError
from ftpsvc.homework.grade_cli import command
from ftpsvc.homework.kit.batch import Entry, judge_each
from ftpsvc.homework.kit.checks import CHECKS
from ftpsvc.homework.kit.rubric import RUBRIC, Report
from ftpsvc.homework.kit.rubric import Result as Judged
from ftpsvc.homework.sandbox.base import Sandbox, SandboxError


def call(found: tuple[Sandbox, str | None], *arguments: str) -> Result:
    bwrap = ["--bwrap", found[1]] if found[1] else []
    line = ["homework", *bwrap, "--patience", "120", *arguments, "--", "python", "server.py", "PORT"]
    return CliRunner().invoke(command, line, standalone_mode=False, catch_exceptions=False)


def test_each_hand_in_gets_a_report_and_a_line(
    found_sandbox: tuple[Sandbox, str | None], tmp_path: Path
) -> None:
    for name, text in (
        ("bob", "raise SystemExit('no luck')"),
        ("=alice", "while True:\n    print('x' * 9999)\n"),
    ):
        (tmp_path / "in" / name).mkdir(parents=True)
        (tmp_path / "in" / name / "server.py").write_text(text, encoding="utf-8")
    (tmp_path / "in" / ".git").mkdir()
    (tmp_path / "in" / "notes.txt").write_text("no hand-in", encoding="utf-8")
    out = tmp_path / "out"
    done = call(
        found_sandbox, "--each", str(tmp_path / "in"), "-j", "2", "--out", str(out), "--language", "zh"
    )
    assert done.exit_code == 5, done.output
    asked = len([one for one in CHECKS if one.point not in (1, 4, 9)])
    assert done.stdout.splitlines() == [
        f"=alice: 0 of 85 points, {asked} checks failed",
        f"bob: 0 of 85 points, {asked} checks failed",
    ]
    assert {line.split(": ")[1] for line in done.stderr.splitlines()} == {"=alice", "bob"}
    assert sorted(one.name for one in out.iterdir()) == ["=alice", "bob", "points.csv"]
    results = json.loads((out / "bob" / "results.json").read_text("utf-8"))
    assert "实际: 它以 1 结束了：no luck" in results["tests"][1]["output"]
    assert (out / "bob" / "report.md").read_text("utf-8").startswith("# 你的服务器")
    rows = list(csv.reader((out / "points.csv").read_text("utf-8").splitlines()))
    assert rows[0] == ["hand-in", *RUBRIC.values(), "points", "max"]
    assert rows[1] == ["'=alice", "", "0", "0", "", "0", "0", "0", "", "", "0", "85"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--each", "in", "--json", "x.json"], "--each judges many"),
        (["--each", "in"], "no folder in it"),
        (["-j", "2"], "go with --each"),
        (["--out", "x"], "go with --each"),
        (["--client", "--profile", "full"], "--client goes without"),
        (["--dialect", "smtp"], "there is no dialect smtp"),
        (["--shared", "../x"], "one folder"),
    ],
)
def test_what_does_not_go_together_is_refused_before_anything_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], said: str
) -> None:
    (tmp_path / "in").mkdir()
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match=said):
        CliRunner().invoke(
            command,
            ["homework", *arguments, "--", "python", "server.py"],
            standalone_mode=False,
            catch_exceptions=False,
        )


def report() -> Report:
    return Report(dialect="base", results=[], unmeasured={}, points={}, seconds=0.0)


def test_what_cannot_be_judged_stops_no_other(tmp_path: Path) -> None:
    def judge(folder: Path, _: Callable[[Judged], None]) -> Report:
        if folder.name == "b":
            raise SandboxError("the sandbox broke")
        return report()

    seen: list[Entry] = []
    entries = judge_each([tmp_path / name for name in "abc"], judge, 2, seen.append)
    assert [(one.name, one.report is not None, one.error) for one in entries] == [
        ("a", True, ""),
        ("b", False, "the sandbox broke"),
        ("c", True, ""),
    ]
    assert {one.name for one in seen} == set("abc")


def test_a_batch_that_is_stopped_begins_nothing_more_and_waits_for_what_runs(tmp_path: Path) -> None:
    begun: list[str] = []
    ended: list[str] = []
    told_again = threading.Event()

    def judge(folder: Path, told: Callable[[Judged], None]) -> Report:
        begun.append(folder.name)
        try:
            if folder.name == "a":
                return report()
            told_again.wait(60)
            told(Judged(check=CHECKS[0], status="passed"))
            raise AssertionError("it went on")
        finally:
            ended.append(folder.name)

    def stop(_: Entry) -> None:
        told_again.set()
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        judge_each([tmp_path / name for name in "abcd"], judge, 2, stop)
    assert sorted(begun) == sorted(ended)
    assert "d" not in begun
