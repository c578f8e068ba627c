"""Late hand-ins from end to end: what they cost, and how an extension sets that right afterwards."""

from __future__ import annotations

import json
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import pytest
from click.testing import CliRunner

from ftpsvc.commands.server import program
from ftpsvc.credentials import token_text
from ftpsvc.exceptions import HandInRefused
from ftpsvc.homework import journal
from ftpsvc.receipts.chain import Audit
from ftpsvc_client.homework import AssignmentStatus
from tests.helpers import assignments
from tests.helpers.cli import Cli
from tests.helpers.counts import count
from tests.helpers.daemon import GUARD
from tests.helpers.handins import course
from tests.helpers.terminal import Terminal

PAST = assignments.SUM.replace("due = 2099-11-24", "due = 2020-01-10")


def test_an_extension_sets_right_what_was_late_and_a_close_holds_for_everybody(tmp_path: Path) -> None:
    root, work = tmp_path / "root", tmp_path / "work"
    work.mkdir()
    (work / "sums.py").write_text(assignments.SOLUTION)

    def teacher(*arguments: str) -> None:
        result = CliRunner().invoke(program, ["assignment", "--root", str(root), *arguments])
        assert result.exit_code == 0, result.output

    with course(root, "ann", "bob") as here, here.client("ann") as ann:
        assignments.write(root / "assignments" / "past", "past", PAST)
        (root / "course.toml").write_text('title = "Sums for all"\nlate_days = 2\n')

        def standing() -> tuple[AssignmentStatus, int]:
            found = ann.assignments()
            assert (found.title, found.late_days) == ("Sums for all", 2)
            return next(one for one in found.assignments if one.id == "past"), found.late_days_left

        with pytest.raises(HandInRefused, match="late"):
            ann.submit("past", [work])
        assert standing()[0].versions == 0
        ann.submit("past", [work], late=True)
        late, left = standing()
        assert (late.versions, late.counts, left) == (1, 1, 0)
        assert (late.percent, late.late_days_used) == (50, 2)
        assert late.late_seconds > 6 * 365 * 86400

        teacher("extend", "past", "ann", "--due", "2099-11-26T12:00Z", "--reason", "a year abroad")
        in_time, left = standing()
        assert (in_time.late_seconds, in_time.percent, in_time.late_days_used, left) == (0, 0, 0, 2)
        assert in_time.due.year == 2099
        ann.submit("past", [work])  # no yes is asked for any more
        assert standing()[0].counts == 2

        teacher("close", "past")
        with pytest.raises(HandInRefused, match="closed"):
            ann.submit("past", [work], late=True)
        assert standing()[0].versions == 2
        # What was handed in before the close stays in time, however early that close was.
        assert standing()[0].percent == 0
        teacher("extend", "past", "--all", "--close", "2099-12-31T12:00Z")
        with here.client("bob") as bob, pytest.raises(HandInRefused, match="late"):
            bob.submit("past", [work])
        ann.submit("past", [work])
        assert standing()[0].counts == 3


def test_which_version_is_best_is_told_with_the_points_and_not_before(tmp_path: Path) -> None:
    text = PAST.replace("[late]", '[grading]\ncount = "best"\n\n[late]')
    with course(tmp_path / "root", "ann") as here, here.client("ann") as ann:
        assignments.write(here.root / "assignments" / "past", "past", text)
        (here.root / "course.toml").write_text("late_days = 4\n")

        def seen() -> tuple[int | None, float | None, bool, bool]:
            found = ann.assignments()
            one = next(one for one in found.assignments if one.id == "past")
            return one.counts, one.points, one.late_days_used > 0, found.late_days_left < 4

        for number in (1, 2, 3):
            assert seen()[0] == {1: None, 2: 1, 3: None}[number]
            (tmp_path / "sums.py").write_text(f"print({number})\n")
            ann.submit("past", [tmp_path / "sums.py"], late=True, receipts=tmp_path / "receipts")
        assert seen() == (None, None, False, True)
        published = here.submissions.of("past", "ann") / "feedback" / "0001"
        published.mkdir(parents=True)
        told = {"score": 7.5, "extra_data": {"ftpsvc": {"version": 2}}}
        (published / "results.json").write_text(json.dumps(told))
        assert seen() == (2, 7.5, True, True)


def test_nobody_who_began_in_time_is_late_or_refused_however_many_there_are(tmp_path: Path) -> None:
    names = [f"student{number}" for number in range(count(6, 100))]
    (tmp_path / "work").mkdir()
    with course(tmp_path / "root", "tardy", *names) as here:
        file = here.root / "assignments" / "sums" / "assignment.toml"

        def deadline() -> None:
            now = datetime.now(UTC).isoformat()
            text = "".join(line for line in assignments.SUM.splitlines(True) if not line.startswith("close"))
            text = text.replace('"ID"', '"sums"').replace("2099-11-24T23:59:00+01:00", now)
            file.with_suffix(".new").write_text(text)
            file.with_suffix(".new").replace(file)

        all_have_begun = threading.Barrier(len(names), deadline)

        def hand_in(name: str) -> tuple[int, int]:
            (tmp_path / "work" / name).mkdir()
            (tmp_path / "work" / name / "sums.py").write_text(f"print({name!r})\n")
            with here.client(name) as client:
                done = client.submit(
                    "sums", [tmp_path / "work" / name], offered=lambda _: all_have_begun.wait(GUARD)
                )
            return done.number, done.late_seconds

        with ThreadPoolExecutor(len(names)) as pool:
            assert set(pool.map(hand_in, names)) == {(1, 0)}
        (tmp_path / "sums.py").touch()
        with here.client("tardy") as client, pytest.raises(HandInRefused, match="it closed at"):
            client.submit("sums", [tmp_path / "sums.py"], receipts=tmp_path / "receipts")
        assert here.submissions.users("sums") == sorted(names)
        audit = Audit([journal.public_key(here.root)])
        assert [fault for link in journal.read(here.root) for fault in audit.take(link)] == []
        assert audit.receipts == len(names)


def test_a_person_is_asked_whether_it_may_be_late(tmp_path: Path) -> None:
    (tmp_path / "sums.py").touch()
    with course(tmp_path / "root", "ann") as here:
        assignments.write(here.root / "assignments" / "past", "past", PAST)
        secret = token_text(here.tokens["ann"].name.token_id or "", here.tokens["ann"].secret)
        cli = Cli(tmp_path, here.url)
        env = cli.environment({"FTPSVC_USER": "ann", "FTPSVC_TOKEN": secret})
        for answer, code in (("", 16), ("yes", 0)):  # an empty line is no
            with Terminal([cli.program, "submit", "past", "sums.py"], env=env, cwd=tmp_path) as terminal:
                terminal.expect(
                    r"It is late \(.* late, -50 %\)\. Hand it in all the same\? \(yes/no\) \[no\]:"
                )
                terminal.send(f"{answer}\n")
                assert (terminal.code(), "handed in past version 1" in terminal.wait()) == (code, code == 0)
        assert here.submissions.numbers("past", "ann") == [1]
