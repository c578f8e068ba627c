"""`ftpsvc-grade homework --client`: a good client, the forms of its report, client.toml, and what cannot be judged."""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from ftpsvc.homework.grade_cli import command
from ftpsvc.homework.kit.client_box import ClientHandIn
from ftpsvc.homework.kit.client_checks import CLIENT_CHECKS
from ftpsvc.homework.kit.client_judging import judge_client, judge_clients
from ftpsvc.homework.kit.client_tester import ClientTester
from ftpsvc.homework.kit.report import lines
from ftpsvc.homework.kit.rubric import Check, Report
from ftpsvc.homework.sandbox.base import Sandbox, SandboxError
from ftpsvc.homework.sandbox.choose import find_python
from tests.helpers.faulty_clients import GOOD, edited

LONG = 120.0


def call(found: tuple[Sandbox, str | None], folder: Path, *arguments: str) -> Result:
    line = ["homework", "--client", "--folder", str(folder), "--patience", "120", "--seconds", "3000"]
    line += ["--bwrap", found[1]] if found[1] else []
    return CliRunner().invoke(command, [*line, *arguments], standalone_mode=False, catch_exceptions=False)


def judged(sandbox: Sandbox, folder: Path, *names: str, python: str | None = None) -> Report:
    """Judges client.py of a folder by some checks."""
    inside = python or find_python(sandbox)
    assert inside is not None
    hand_in = ClientHandIn(
        command=(inside, "client.py", "127.0.0.1", "9021"), port=9021, folder=folder, python=inside
    )
    checks = [one for one in CLIENT_CHECKS if one.name in names]
    assert len(checks) == len(names)
    return judge_clients(sandbox, hand_in, patience=LONG, seconds=3000, checks=checks)


def test_the_base_client_gets_all_points(found_sandbox: tuple[Sandbox, str | None], tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "client.py").write_text(GOOD, encoding="utf-8")
    results, page = tmp_path / "results.json", tmp_path / "report.md"
    done = call(
        found_sandbox, tmp_path / "in", "--json", str(results), "--markdown", str(page),
        "--", "python", "client.py", "HOST", "PORT",
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    assert done.stderr.splitlines() == [f"passed: {one.name}" for one in CLIENT_CHECKS]
    assert "8 progress bar                     5 of 5\n" in done.stdout
    assert "4 quota                            not scored: a quota is the server's\n" in done.stdout
    assert done.stdout.endswith("\n55 of 55 points\n")
    written = json.loads(results.read_text("utf-8"))
    assert written["score"] == 55
    assert sum(one.get("max_score", 0) for one in written["tests"]) == pytest.approx(55, abs=0.01)
    assert page.read_text("utf-8").startswith("# Your client\n\n55 of 55 points.\n")


def test_c60_a_client_without_a_bar_gets_nothing_for_it(sandbox: Sandbox, tmp_path: Path) -> None:
    text = edited(GOOD, {"    if sys.stdout.isatty():\n": "    if False:\n"})
    (tmp_path / "client.py").write_text(text, encoding="utf-8")
    report = judged(sandbox, tmp_path, *(one.name for one in CLIENT_CHECKS if one.point == 8))
    assert [one.status for one in report.results] == ["failed", "failed", "not scored", "not scored"]
    assert report.results[2].reason == "there is no bar"
    assert report.score(8) == (0, 5)


def test_other_words_and_prompts_are_declared_in_client_toml(sandbox: Sandbox, tmp_path: Path) -> None:
    text = edited(
        GOOD,
        {
            '            "put": (': '            "send": (',
            '            "ls": (': '            "show": (',
            '            "quit": (': '            "bye": (',
            'name == "quit"': 'name == "bye"',
            "        for line in sys.stdin:\n": '        while True:\n            line = input("what now? ")\n',
        },
    )
    (tmp_path / "client.py").write_text(text, encoding="utf-8")
    names = ("cd and names after it", "names in a listing", "gets of every size", "a local file that is not there",
             "an empty line", "the end of its input", "a download that is stopped")  # fmt: skip
    undeclared = judged(sandbox, tmp_path, *names)
    assert [one.status for one in undeclared.results[:2]] == ["failed"] * 2
    (tmp_path / "client.toml").write_text(
        '[commands]\nput = "send {local} {remote}"\nls = "show \'{path}\'"\nquit = "bye"\n', encoding="utf-8"
    )
    report = judged(sandbox, tmp_path, *names)
    assert [one.status for one in report.results] == ["passed"] * len(names), report.results


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('[commands]\nmkdir = "mkdir {path}"\n', "it has no commands.mkdir"),
        ('[commands]\nput = "put {local}"\n', "the places of commands.put are {local}, {remote}"),
        ('[commands]\nls = "ls {path.__class__}"\n', "the places of commands.ls are {path}"),
        ('[commands]\nls = "ls {path!r}"\n', "the places of commands.ls are {path}"),
        ('[commands]\nls = "ls {path"\n', "the places of commands.ls are {path}"),
        ('[commands]\nquit = "quit\\nquit"\n', "commands.quit is one line of text"),
        ("[commands]\nquit = 3\n", "commands.quit is one line of text"),
        ("commands = 3\n", "commands is a table"),
        ('[prompts]\nfirst = ">"\n', "it has no prompts"),
        ("[commands\n", "line 1"),
        ("# \xff" + "x" * 70_000, "it cannot be read"),
    ],
)
def test_a_client_toml_that_is_none_is_a_verdict(
    sandbox: Sandbox, tmp_path: Path, text: str, said: str
) -> None:
    (tmp_path / "client.py").write_text(GOOD, encoding="utf-8")
    (tmp_path / "client.toml").write_text(text, encoding="utf-8")
    report = judge_client(sandbox, tmp_path, ["python", "client.py", "HOST", "PORT"], python="python3")
    assert len(report.results) == len(CLIENT_CHECKS)
    assert {one.sent for one in report.results} == {"client.toml"}
    assert all(said in one.seen for one in report.results), report.results[0]
    assert "0 of 55 points" in lines(report)


def test_c20_a_client_toml_that_is_a_link_leads_nowhere(sandbox: Sandbox, tmp_path: Path) -> None:
    (tmp_path / "secret.toml").write_text("secret = 1\n", encoding="utf-8")
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "client.toml").symlink_to(tmp_path / "secret.toml")
    report = judge_client(sandbox, tmp_path / "in", ["python", "client.py", "HOST", "PORT"], python="python3")
    assert {one.seen for one in report.results} == {"it cannot be read"}


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (("no-such-program", "HOST", "PORT"), "no-such-program does not start: No such file or directory"),
        (("python", "no-such-file.py", "HOST", "PORT"), "none came; it ended with 2"),
    ],
)
def test_a_program_that_is_not_there_is_a_verdict(
    found_sandbox: tuple[Sandbox, str | None], tmp_path: Path, line: tuple[str, ...], said: str
) -> None:
    done = call(found_sandbox, tmp_path, "--", *line)
    assert done.exit_code == 5
    assert done.stdout.count(f"seen      {said}") == len(CLIENT_CHECKS), done.stdout[:1000]
    assert done.stdout.endswith("\n0 of 55 points\n")


def test_a_sandbox_that_fails_is_no_result(sandbox: Sandbox, tmp_path: Path) -> None:
    (tmp_path / "client.py").write_text(GOOD, encoding="utf-8")
    with pytest.raises(SandboxError, match="did not call"):
        judged(sandbox, tmp_path, "an empty line", python="/no/such/python")


def test_a_run_that_is_stopped_leaves_nothing(
    sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stopped(test: ClientTester) -> None:
        test.run("no-such-command")
        assert len(os.listdir(place)) == 2  # the sandbox's and the server's
        raise KeyboardInterrupt

    (tmp_path / "client.py").write_text(GOOD, encoding="utf-8")
    python = find_python(sandbox)
    assert python is not None
    hand_in = ClientHandIn(
        command=(python, "client.py", "127.0.0.1", "9021"), port=9021, folder=tmp_path, python=python
    )
    with tempfile.TemporaryDirectory(prefix="ft") as place:
        os.chmod(place, 0o711)  # noqa: S103 -- so that the sandbox's user gets through
        monkeypatch.setattr(tempfile, "tempdir", place)
        with pytest.raises(KeyboardInterrupt):
            judge_clients(sandbox, hand_in, patience=LONG, checks=[Check("stopped", 7, (), "", stopped)])
        assert os.listdir(place) == []


def test_c21_nothing_that_a_client_writes_drives_a_terminal(sandbox: Sandbox, tmp_path: Path) -> None:
    (tmp_path / "client.py").write_text(r"print('\x1b[2Jgone')", encoding="utf-8")
    report = judged(sandbox, tmp_path, "an empty line")
    shown = "\n".join(lines(report))
    assert "it wrote  \\x1b[2Jgone" in shown
    assert "\x1b" not in shown
