"""Late hand-ins from end to end: what they cost, and how an extension sets that right afterwards."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from ftpsvc.commands.server import program
from ftpsvc.exceptions import HandInRefused
from ftpsvc_client.homework import AssignmentStatus
from tests.helpers import assignments
from tests.helpers.handins import course

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
