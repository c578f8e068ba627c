"""The commands `ftpsvc-grade run` and `set`: what they say, what they leave, and the codes they end with."""

import json
from pathlib import Path
from xml.etree import ElementTree

import click
import pytest
from click.testing import CliRunner, Result

from ftpsvc.exceptions import ConfigError
from ftpsvc.homework.grade_cli import command
from ftpsvc.homework.grading import byhand
from ftpsvc.homework.sandbox.base import Sandbox
from tests.helpers.grading import Course, write

TESTS = """
[[test]]
name = "prints"
kind = "run"
run = ["python3", "main.py"]
expect = { stdout_file = "expected" }
points = 3
[[test]]
name = "style"
kind = "manual"
points = 2
"""


@pytest.fixture
def course(tmp_path: Path) -> Course:
    made = Course(tmp_path / "root")
    made.root.mkdir()
    made.assignment("hw1", TESTS, files={"tests/expected": "6\n"})
    made.hand_in("hw1", "alice", {"main.py": "print(6)"})
    made.hand_in("hw1", "bob", {"main.py": "print(7)"})
    return made


def call(course: Course, *arguments: str) -> Result:
    line = [*arguments, "--root", str(course.root)]
    return CliRunner().invoke(command, line, standalone_mode=False, catch_exceptions=False)


def grade(course: Course, found: tuple[Sandbox, str | None], *arguments: str) -> Result:
    return call(course, "run", "hw1", *arguments, *(("--bwrap", found[1]) if found[1] else ()))


def attempts(course: Course) -> dict[str, list[int]]:
    return {user: course.results("hw1", user).attempts(1) for user in ("alice", "bob")}


def test_a_run_grades_what_has_no_result_and_again_what_is_asked_for(
    course: Course, found_sandbox: tuple[Sandbox, str | None], tmp_path: Path
) -> None:
    first = grade(course, found_sandbox, "--user", "alice")
    assert (first.exit_code, first.stdout) == (0, "")
    assert "1/1, 0:00 left  alice version 1: 3 of 3\n" in first.stderr
    assert attempts(course) == {"alice": [1], "bob": []}
    assert "1/1, 0:00 left  bob version 1: 0 of 3\n" in grade(course, found_sandbox).stderr
    assert grade(course, found_sandbox).stderr == "hw1: nothing to grade\n"
    write(course.root / "assignments" / "hw1" / "tests", {"expected": "7\n"})
    junit = tmp_path / "junit.xml"
    again = grade(course, found_sandbox, "--only", "failed", "--junit", str(junit))
    assert "bob version 1: 0 before, now 3 of 3\n" in again.stderr
    assert attempts(course) == {"alice": [1], "bob": [1, 2]}
    assert [one.get("failures") for one in ElementTree.parse(junit).getroot()] == ["0", "0"]  # noqa: S314 -- ours
    with pytest.raises(ConfigError, match=r"nowhere/junit\.xml cannot be written"):
        grade(course, found_sandbox, "--junit", str(tmp_path / "nowhere" / "junit.xml"))
    assert (
        "alice version 1: 3 before, now 0 of 3\n"
        in grade(course, found_sandbox, "--rerun", "--except", "bob").stderr
    )
    assert attempts(course) == {"alice": [1, 2], "bob": [1, 2]}


def test_what_cannot_be_graded_is_told_and_stops_nobody(
    course: Course, found_sandbox: tuple[Sandbox, str | None]
) -> None:
    receipt = course.root / "submissions" / "hw1" / "alice" / "versions" / "0001" / "receipt.json"
    receipt.chmod(0o600)
    receipt.write_bytes(b"{}")
    ended = grade(course, found_sandbox)
    assert ended.exit_code == 5
    assert "alice: cannot be graded: " in ended.stderr
    assert attempts(course) == {"alice": [], "bob": [1]}


def test_a_failure_of_ours_is_no_result_until_it_is_mended(
    course: Course, found_sandbox: tuple[Sandbox, str | None]
) -> None:
    file = course.root / "assignments" / "hw1" / "assignment.toml"
    whole = file.read_text()
    grade(course, found_sandbox)
    file.write_text(whole.replace("[limits]", '[runtime]\npython = "/usr/bin/python0"\n[limits]'))
    ended = grade(course, found_sandbox, "--user", "alice", "--rerun")
    assert ended.exit_code == 5
    assert "alice version 1: not graded: " in ended.stderr
    failure = course.results("hw1", "alice").failure(1)
    newest = course.results("hw1", "alice").newest(1)
    assert failure is not None
    assert newest is not None
    assert (failure.attempt, newest.ours.raw, attempts(course)["alice"]) == (2, 3.0, [1])
    file.write_text(whole)
    assert grade(course, found_sandbox, "--only", "error").exit_code == 0
    assert (attempts(course)["alice"], course.results("hw1", "alice").failure(1)) == ([1, 2], None)


@pytest.mark.parametrize(
    "arguments", [("run", "nope"), ("run", "../hw1"), ("run", "hw1", "--user", "nobody")]
)
def test_what_is_not_there_is_told(course: Course, arguments: tuple[str, ...]) -> None:
    with pytest.raises(ConfigError) as caught:
        call(course, *arguments)
    assert caught.value.hint


def test_points_by_hand_have_an_author_and_a_reason_also_in_the_audit(course: Course) -> None:
    said = call(course, "set", "hw1", "alice", "style", "1.5", "--reason", "clear names", "--author", "prof")
    assert said.stdout == "hw1 alice version 1 style: 1.5 of 2\n"
    (entry,) = byhand.read(course.root / "submissions" / "hw1" / "alice")
    assert (entry.author, entry.version, entry.test, entry.points, entry.reason) == (
        "prof", 1, "style", 1.5, "clear names",
    )  # fmt: skip
    (line,) = (course.root / ".ftpsvc" / "audit" / "audit.jsonl").read_text().splitlines()
    event = json.loads(line)
    assert {key: event[key] for key in ("event", "user", "operator", "command", "arguments")} == {
        "event": "operator", "user": "alice", "operator": "prof", "command": "grade set",
        "arguments": "hw1 version=1 test=style points=1.5 reason=clear names",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("alice", "style", "2.5"), "no number from 0 to 2"),
        (("alice", "style", "inf"), "no number from 0 to 2"),
        (("alice", "style", "nan"), "no number from 0 to 2"),
        (("alice", "prints", "1"), "graded by hand"),
        (("nobody", "style", "1"), "handed in nothing"),
        (("alice", "style", "1", "--version", "9"), "has no version 9"),
    ],
)
def test_points_that_cannot_be_are_refused(course: Course, arguments: tuple[str, ...], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        call(course, "set", "hw1", *arguments, "--reason", "x")
    with pytest.raises(click.MissingParameter):
        call(course, "set", "hw1", "alice", "style", "1")
    assert byhand.read(course.root / "submissions" / "hw1" / "alice") == []
