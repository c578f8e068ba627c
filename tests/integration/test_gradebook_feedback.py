"""Feedback: published by the command, read over the wire by its owner, and by nobody else."""

import io
import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from ftpsvc.accounts.store import Accounts
from ftpsvc.exceptions import ConfigError, NotFound, PermissionDenied
from ftpsvc.homework.extension import Homework
from ftpsvc.homework.sandbox.base import Sandbox
from ftpsvc_client import Client, connect
from tests.helpers import gradebooks
from tests.helpers.embedded import embedded
from tests.helpers.gradebooks import call
from tests.helpers.grading import Course

AUTHOR = ("--author", "prof")


def read(client: Client, path: str) -> str:
    out = io.BytesIO()
    client.get(path, out)
    return out.getvalue().decode()


def standing(client: Client, name: str = "hw1") -> tuple[int | None, float | None]:
    (one,) = [one for one in client.assignments().assignments if one.id == name]
    return one.counts, one.points


def test_feedback_is_its_owners_and_names_nothing_that_is_hidden(
    found_sandbox: tuple[Sandbox, str | None], tmp_path: Path
) -> None:
    root = tmp_path / "root"
    course = gradebooks.make(root, found_sandbox)
    test = '[[test]]\nname = "t"\nkind = "run"\nrun = ["python3", "main.py"]\npoints = 4\n'
    course.assignment("best", test, more='[grading]\ncount = "best"')
    for program in ("raise SystemExit(1)", "pass", "raise SystemExit(2)"):
        course.hand_in("best", "carol", {"main.py": program})
    assert (
        call(root, "run", "best", *(("--bwrap", found_sandbox[1]) if found_sandbox[1] else ())).exit_code == 0
    )
    tokens = {name: gradebooks.token(root, name) for name in ("alice", "bob", "carol", "dave", "prof")}
    with embedded(root, extensions=[Homework()], guest="read") as daemon:
        url = str(daemon.addresses[0])
        with (
            connect(url, credentials=tokens["alice"]) as alice,
            connect(url, credentials=tokens["bob"]) as bob,
        ):
            assert list(alice.list("/feedback")) == []
            assert standing(alice) == (1, None)
            with pytest.raises(NotFound):
                read(alice, "/feedback/hw1/feedback.txt")

            said = call(root, "publish", "hw1", *AUTHOR)
            assert said.exit_code == 5
            assert (
                said.stderr == "dave: not published: not graded\nhw1: published for 2 students, 1 left out\n"
            )
            assert [one.name for one in alice.list("/feedback")] == ["hw1"]
            assert sorted(one.name for one in alice.list("/feedback/hw1")) == ["feedback.txt", "results.json"]
            text = read(alice, "/feedback/hw1/feedback.txt")
            assert text.splitlines()[2:] == [
                "points: 6.5 of 7", "", "1 prints: AC, 3 of 3", "3 later: AC, 1 of 1", "4 style: by hand, 1.5 of 2", "",
                "not shown: 1 test, 1 of 1",
            ]  # fmt: skip
            hers = json.loads(read(alice, "/feedback/hw1/results.json"))
            assert hers["score"] == 6.5
            assert [one["name"] for one in hers["tests"]] == ["prints", "later", "style"]
            assert standing(alice) == (1, 6.5)
            his = read(bob, "/feedback/hw1/feedback.txt")
            assert "points: 1 of 7 (2 before the penalty)" in his
            assert "count again" in his
            assert standing(bob) == (1, 1.0)
            for told in (text, his, json.dumps(hers), read(bob, "/feedback/hw1/results.json")):
                for secret in ("secret", "neat", "hostname", "grader"):
                    assert secret not in told

            for name in ("carol", "dave", "prof"):
                with connect(url, credentials=tokens[name]) as other:
                    assert list(other.list("/feedback")) == []
                    answers = []
                    for path in (
                        "/feedback/hw1",
                        "/feedback/hw9",
                        "/feedback/HW",
                        "/feedback/hw1/alice/feedback.txt",
                    ):
                        with pytest.raises(NotFound) as caught:
                            other.stat(path)
                        answers.append(str(caught.value).replace(path, "PATH"))
                    assert len(set(answers)) == 1
            with pytest.raises(PermissionDenied):
                alice.put(b"10", "/feedback/hw1/feedback.txt")
            with pytest.raises(PermissionDenied):
                alice.remove("/feedback/hw1", recursive=True)

            with connect(url, credentials=tokens["carol"]) as carol:  # nobody knows which is best before
                assert standing(carol, "best") == (None, None)
                assert call(root, "publish", "best", *AUTHOR).exit_code == 0
                assert standing(carol, "best") == (2, 4.0)
                call(root, "publish", "best", "--withdraw", *AUTHOR)

            assert "published for 0 students, 2 as before" in call(root, "publish", "hw1", *AUTHOR).stderr
            call(root, "set", "hw1", "alice", "style", "2", "--reason", "asked", *AUTHOR)
            assert read(alice, "/feedback/hw1/feedback.txt") == text  # until it is published again
            done = call(root, "publish", "hw1", "--user", "alice", *AUTHOR)
            assert (done.exit_code, standing(alice)) == (0, (1, 7.0))
            call(root, "publish", "hw1", "--withdraw", *AUTHOR)
            assert list(alice.list("/feedback")) == []
            assert standing(alice) == (1, None)
    audit = (root / ".ftpsvc" / "audit" / "audit.jsonl").read_text().splitlines()
    commands = [one for one in map(json.loads, audit) if one.get("command") == "grade publish"]
    assert [one["arguments"] for one in commands if one["arguments"].startswith("hw1")] == [
        "hw1 partial=false changed=2 users=*", "hw1 partial=false changed=1 users=alice",
        "hw1 withdraw changed=2 users=*",
    ]  # fmt: skip
    with pytest.raises(ConfigError, match="no student"):
        call(root, "publish", "hw1", "--user", "nobody", *AUTHOR)


def test_who_gets_a_name_that_was_anothers_gets_neither_the_feedback_nor_the_points(tmp_path: Path) -> None:
    root = tmp_path / "root"
    gradebooks.add_people(root)
    course = Course(root)
    course.assignment("hw1", gradebooks.TESTS)
    course.hand_in("hw1", "alice", {"main.py": "print(6)"})
    place = root / "submissions" / "hw1" / "alice" / "feedback" / "0001"
    place.mkdir(parents=True)
    (place / "results.json").write_text("{}")
    with Accounts(root, clock=lambda: 1782864000.0) as accounts:  # in July, after what was handed in
        accounts.remove("alice")
        accounts.add("alice", display_name="Another Alice", student_id="2001")
    with (
        embedded(root, extensions=[Homework()], guest="read") as daemon,
        connect(str(daemon.addresses[0]), credentials=gradebooks.token(root, "alice")) as alice,
    ):
        for look in (lambda: list(alice.list("/feedback")), lambda: alice.stat("/feedback/hw1/results.json")):
            with pytest.raises(PermissionDenied, match="before this account"):
                look()
    said = call(root, "report", "hw1").stdout
    assert "alice" in said
    assert "Another" not in said


def test_what_is_not_whole_is_published_only_when_that_is_said_and_tests_wait_for_the_due_time(
    found_sandbox: tuple[Sandbox, str | None], tmp_path: Path
) -> None:
    root = tmp_path / "root"
    course = gradebooks.make(root, found_sandbox)
    course.assignment("hw3", gradebooks.TESTS.replace("hidden", "after_due_date"), due="2098-01-01T00:00:00Z")
    course.hand_in("hw3", "carol", {"main.py": "print(6)"}, datetime(2026, 6, 5, tzinfo=UTC))
    bwrap = ("--bwrap", found_sandbox[1]) if found_sandbox[1] else ()
    assert call(root, "run", "hw3", *bwrap).exit_code == 0
    assert "carol: not published: to be graded by hand: style" in call(root, "publish", "hw3", *AUTHOR).stderr
    assert call(root, "publish", "hw3", "--partial", *AUTHOR).exit_code == 0
    place = root / "submissions" / "hw3" / "carol" / "feedback"
    assert "secret" not in (place / "0001" / "feedback.txt").read_text()
    (place / ".staged-0002").mkdir()  # as a command that was killed leaves it
    (place / ".staged-0002" / "feedback.txt").write_text("half")
    file = root / "assignments" / "hw3" / "extensions.toml"
    file.write_text('[[extension]]\nuser = "carol"\ndue = 2026-06-06T00:00:00Z\n')
    assert call(root, "publish", "hw3", "--partial", *AUTHOR).exit_code == 0
    assert "2 secret: AC, 1 of 1" in (place / "0002" / "feedback.txt").read_text()
    assert sorted(path.name for path in place.iterdir()) == ["0001", "0002"]


def test_a_test_that_was_not_run_does_not_name_the_hidden_one_that_it_needs(
    found_sandbox: tuple[Sandbox, str | None], tmp_path: Path
) -> None:
    root = tmp_path / "root"
    gradebooks.add_people(root)
    course = Course(root)
    test = '[[test]]\nname = "{}"\nkind = "run"\nrun = ["python3", "main.py"]\npoints = 1\n{}\n'
    tests = test.format("secret", 'visibility = "hidden"') + test.format("shown", 'needs = ["secret"]')
    course.assignment("hw1", tests)
    course.hand_in("hw1", "alice", {"main.py": "raise SystemExit(1)"})
    bwrap = ("--bwrap", found_sandbox[1]) if found_sandbox[1] else ()
    assert call(root, "run", "hw1", *bwrap).exit_code == 0
    assert call(root, "publish", "hw1", *AUTHOR).exit_code == 0
    place = root / "submissions" / "hw1" / "alice" / "feedback" / "0001"
    told = (place / "feedback.txt").read_text()
    assert "2 shown: SKIP, - of 1\n    not run, because a test that it needs failed\n" in told
    for text in (told, (place / "results.json").read_text()):
        assert "secret" not in text
