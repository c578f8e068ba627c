"""`ftpsvc-grade homework`: the command, its reports, and what it says of what cannot be judged."""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from ftpsvc.exceptions import ConfigError
from ftpsvc.homework.grade_cli import command
from ftpsvc.homework.kit.base_profile import BaseProfile
from ftpsvc.homework.kit.checks import CHECKS
from ftpsvc.homework.kit.checks import Tester as Given
from ftpsvc.homework.kit.declared import Declared
from ftpsvc.homework.kit.judging import judge
from ftpsvc.homework.kit.report import gradescope, lines, markdown
from ftpsvc.homework.kit.rubric import Check, Report, read_points
from ftpsvc.homework.kit.rubric import Result as Judged
from ftpsvc.homework.kit.sandboxed import HandIn, SandboxedServer
from ftpsvc.homework.sandbox.base import Sandbox
from ftpsvc.homework.sandbox.choose import find_python
from tests.helpers.faulty_servers import GOOD

UNMEASURED = {1: "no log-in", 4: "no quotas", 8: "the client's", 9: "not there"}


ALONE = "what is another user's"
ASKED = [one for one in CHECKS if one.point not in UNMEASURED]


def call(found: tuple[Sandbox, str | None], folder: Path, *arguments: str) -> Result:
    line = ["homework", "--folder", str(folder), "--patience", "120", "--seconds", "3000"]
    line += ["--bwrap", found[1]] if found[1] else []
    return CliRunner().invoke(command, [*line, *arguments], standalone_mode=False, catch_exceptions=False)


def test_a_good_server_gets_all_points_and_nothing_for_what_cannot_be_measured(
    found_sandbox: tuple[Sandbox, str | None], tmp_path: Path
) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "server.py").write_text(GOOD, encoding="utf-8")
    points = tmp_path / "points.toml"
    points.write_text("[points]\n2 = 5\n3 = 30\n", encoding="utf-8")
    results, page = tmp_path / "results.json", tmp_path / "report.md"
    done = call(
        found_sandbox, tmp_path / "in", "--points", str(points), "--json", str(results), "--markdown", str(page),
        "--", "python", "server.py", "127.0.0.1", "PORT",
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    assert "1 encrypted log-in                 not scored: the base profile has no log-in\n" in done.stdout
    assert done.stdout.endswith("85 of 85 points\n")
    assert done.stderr.splitlines() == [
        f"{'not scored' if one.name == ALONE else 'passed'}: {one.name}" for one in ASKED
    ]
    written = json.loads(results.read_text("utf-8"))
    assert written["score"] == 85
    assert sum(one.get("max_score", 0) for one in written["tests"]) == pytest.approx(85, abs=0.01)
    assert [one["number"] for one in written["tests"] if "score" not in one] == ["1", "3.6", "4", "8", "9"]
    assert "| 3 | own home, and only that | 30 of 30 |" in page.read_text("utf-8")


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        ("import sys\nsys.exit('no luck')\n", "it ended with 1: no luck"),
        ("import os, signal\nos.kill(os.getpid(), signal.SIGSEGV)\n", "it ended with -11\n"),
        ("while True:\n    print('x' * 9999)\n", "stopped: more than 1.0 MiB of output"),
    ],
    ids=["ends", "crashes", "floods"],
)
def test_a_server_that_never_listens_fails_every_check_after_one_trial(
    found_sandbox: tuple[Sandbox, str | None], tmp_path: Path, text: str, seen: str
) -> None:
    (tmp_path / "server.py").write_text(text, encoding="utf-8")
    done = call(found_sandbox, tmp_path, "--", "python3", "server.py", "PORT")
    assert done.exit_code == 5
    assert done.stdout.count("expected  a server that listens on port 9021") == len(ASKED)
    assert done.stdout.count(f"seen      {seen}") == len(ASKED), done.stdout[:1000]
    assert done.stdout.endswith("0 of 85 points\n")


def test_a_program_that_is_not_there_is_a_verdict(
    found_sandbox: tuple[Sandbox, str | None], tmp_path: Path
) -> None:
    done = call(found_sandbox, tmp_path, "--", "no-such-program", "PORT")
    assert done.exit_code == 5
    assert "no-such-program does not start: No such file or directory" in done.stdout


def test_a_run_that_is_stopped_leaves_nothing(
    sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stopped(test: Given) -> None:
        assert os.listdir(place)
        raise KeyboardInterrupt

    (tmp_path / "server.py").write_text(GOOD, encoding="utf-8")
    python = find_python(sandbox)
    assert python is not None
    hand_in = HandIn(
        command=(python, "server.py", "127.0.0.1", "9021"),
        port=9021,
        folder=tmp_path,
        python=python,
        start=120.0,
    )
    checks = [Check("stopped", 2, (), "", stopped)]
    with tempfile.TemporaryDirectory(prefix="ft") as place:
        os.chmod(place, 0o711)  # noqa: S103 -- so that the sandbox's user gets through
        monkeypatch.setattr(tempfile, "tempdir", place)
        with pytest.raises(KeyboardInterrupt):
            judge(
                lambda prepared: SandboxedServer(sandbox, hand_in, prepared, 120.0),
                BaseProfile(Declared()),
                patience=120.0,
                checks=checks,
            )
        assert os.listdir(place) == []


def judged() -> Report:
    hostile = "\x1b[2J`sent`\n# by the server"
    results = [
        Judged(check=one, status="failed", sent="ls", expected="names", seen=hostile, output="last\nwords")
        if one.point == 6
        else Judged(check=one, status="not scored", reason="no digests")
        if one.name == "a digest that does not fit"
        else Judged(check=one, status="passed")
        for one in ASKED
    ]
    points = dict.fromkeys(range(1, 10), 10.0)
    return Report(dialect="base", results=results, unmeasured=UNMEASURED, points=points, seconds=1.0)


def test_what_is_not_scored_takes_no_points_and_gives_none() -> None:
    report = judged()
    assert report.total() == (40, 50)
    assert report.score(6) == (0, 10)
    assert report.score(7) == (10, 10)
    assert report.score(9) is None
    tests = {one["name"]: one for one in gradescope(report)["tests"]}
    spoilt = tests["put and get, with equal digests: a digest that does not fit"]
    assert spoilt["output"] == "not scored: no digests"
    assert not {"score", "max_score", "status"} & spoilt.keys()


def test_c21_nothing_that_a_server_says_drives_a_terminal_or_a_page() -> None:
    report = judged()
    shown = "\n".join(lines(report))
    assert "\x1b" not in shown
    assert "seen      \\x1b[2J`sent`\\n# by the server" in shown
    assert "* seen: `` \\x1b[2J`sent`\\n# by the server ``" in markdown(report)
    assert "it wrote  words" in shown


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("points = 5", "it has one table"),
        ("[points]\n10 = 5", "no point 10"),
        ("[points]\n1 = true", "0 to 1000"),
        ("[points]\n1 = -1", "0 to 1000"),
        ("[points", "Expected"),
    ],
)
def test_points_that_are_none_are_refused(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "points.toml").write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError, match=said):
        read_points(tmp_path / "points.toml")
