"""The test kind `ftp-homework`: what a file may say of it, and how a report of the kit becomes results."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ftpsvc.homework import model
from ftpsvc.homework.faults import AssignmentFaults
from ftpsvc.homework.grading.faults import GradingFailed
from ftpsvc.homework.grading.kinds.ftp_homework import results, shared_out
from ftpsvc.homework.grading.results import TestResult
from ftpsvc.homework.kit.checks import CHECKS
from ftpsvc.homework.kit.rubric import POINTS, Report, Result, Status
from ftpsvc.homework.model import FtpHomeworkTest
from tests.helpers.grading import assignment

TEST = """
[[test]]
name = "server"
kind = "ftp-homework"
run = ["python3", "server.py", "PORT"]
points = 100
"""

ASKED = [one for one in CHECKS if one.point not in (1, 4, 8, 9)]
UNMEASURED = {1: "no log-in", 4: "no quotas", 8: "the client's", 9: "not there"}


def loaded(folder: Path, more: str = "", text: str = TEST) -> FtpHomeworkTest:
    (test,) = assignment(folder / "hw", text + more).tests
    assert isinstance(test, FtpHomeworkTest)
    return test


def report(
    states: Mapping[str, Status] | None = None, points: Mapping[int, float] = POINTS, **failed: str
) -> Report:
    """A report in which every check passed but those of which another state is said."""
    made = [
        Result(check=one, status="passed")
        if (state := (states or {}).get(one.name, "passed")) == "passed"
        else Result(check=one, status=state, reason="no digests")
        if state == "not scored"
        else Result(check=one, status=state, **failed)  # type: ignore[arg-type]
        for one in ASKED
    ]
    return Report(dialect="base", results=made, unmeasured=UNMEASURED, points=points, seconds=1.0)


def told(test: FtpHomeworkTest, of: Report) -> list[TestResult]:
    return [one.result for one in results(test, of)]


def test_what_is_left_out_has_its_default(tmp_path: Path) -> None:
    test = loaded(tmp_path)
    assert (test.side, test.profile, test.dialect, test.shared) == ("server", "base", None, "shared")
    assert (test.rubric, test.patience, test.seconds) == ({}, None, None)


def test_everything_that_it_may_say(tmp_path: Path) -> None:
    test = loaded(
        tmp_path,
        'side = "server"\nprofile = "full"\ndialect = "struct-json"\nshared = "files"\nrubric = { 2 = 15, 7 = 0.5 }\n'
        'patience = 10\nseconds = 300\nlimits = { memory = "64M" }\nvisibility = "after_due_date"\nhint = "x"\n',
    )
    assert (test.rubric, test.limits.memory) == ({2: 15.0, 7: 0.5}, 64 << 20)
    assert (test.profile, test.dialect, test.shared) == ("full", "struct-json", "files")
    assert (test.patience, test.seconds) == (10, 300)


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ('side = "both"', "side: must be server or client"),
        ('profile = "all"', "profile: must be base or full"),
        ("rubric = { 10 = 1 }", "rubric: the rubric has no point 10, it has 1 to 9"),
        ("rubric = { cd = 1 }", "rubric: the rubric has no point cd"),
        ("rubric = { 5 = -1 }", "rubric: 5 is worth 0 to 1000 points"),
        ("rubric = { 5 = true }", "rubric: 5 is worth 0 to 1000 points"),
        ("rubric = [1, 2]", "rubric: must be a table of points by number"),
        ("rubric = { 1=0, 2=0, 3=0, 4=0, 5=0, 6=0, 7=0, 8=0, 9=0 }", "rubric: gives points to nothing"),
        ('dialect = "jason"', "there is no dialect 'jason'"),
        ('dialect = "tests/ours.py"', "there is no dialect 'tests/ours.py'"),
        ('shared = "a/b"', "shared: must be the name of one folder"),
        ('shared = ".hidden"', "shared: must be the name of one folder"),
        ("limits = { wall = 5 }", "limits: cannot have wall here"),
        ("patience = 0", "patience: must be greater than or equal to 0.1"),
        ('files = ["x"]', "there is no key 'files' here"),
        ('rubrik = "x"', "there is no key 'rubrik' here (did you mean rubric?)"),
    ],
)
def test_a_fault_is_told_with_its_line(tmp_path: Path, more: str, said: str) -> None:
    with pytest.raises(AssignmentFaults) as caught:
        loaded(tmp_path, more)
    text = (tmp_path / "hw" / "assignment.toml").read_text("utf-8")
    line = text[: text.index(more)].count("\n") + 1
    found = [f"{one.line}: {one.text} ({one.hint})" for one in caught.value.faults]
    assert any(one.startswith(f"{line}: test 'server': {said}") for one in found), found


def test_points_and_the_command_must_be_there(tmp_path: Path) -> None:
    with pytest.raises(AssignmentFaults) as caught:
        loaded(tmp_path, text=TEST.replace("points = 100", "points = 0").replace("run =", "ran ="))
    said = [one.text for one in caught.value.faults]
    assert "test 'server': points: must be greater than 0" in said
    assert "test 'server': run: is missing" in said


def test_a_kind_that_is_none_is_told_all_that_there_are(tmp_path: Path) -> None:
    with pytest.raises(AssignmentFaults) as caught:
        loaded(tmp_path, text=TEST.replace('"ftp-homework"', '"ftp"'))
    assert [one.text for one in caught.value.faults] == [
        "test 'server': kind: must be run, pytest, manual or ftp-homework"
    ]


@given(
    st.integers(1, 10**8).map(lambda cents: cents / 100) | st.floats(1e-3, 1e5),
    st.lists(st.floats(0, 1000), min_size=1, max_size=60).filter(lambda weights: sum(weights) > 1e-3),
)
def test_shares_add_up_to_the_points_whatever_the_weights(points: float, weights: list[float]) -> None:
    shares = shared_out(points, weights)
    assert round(sum(shares), 6) == round(points, 6)
    unit = 0.01 if all(round(share, 2) == share for share in shares) else 1e-6
    for share, weight in zip(shares, weights, strict=True):
        assert abs(share - points * weight / sum(weights)) <= unit + 1e-9 * points
        assert share >= 0


def test_shares_are_hundredths_where_the_points_are() -> None:
    assert shared_out(10, [1, 1, 1]) == [3.34, 3.33, 3.33]
    assert shared_out(0.05, [1] * 10) == [0.005] * 10
    assert shared_out(20, [0, 3, 1]) == [0, 15, 5]


def test_a_right_server_gets_all_points_and_nothing_for_what_cannot_be_measured(tmp_path: Path) -> None:
    found = told(loaded(tmp_path), report())
    assert [one.number for one in found] == [f".{at}" for at in range(1, len(ASKED) + len(UNMEASURED) + 1)]
    assert round(sum(one.max_score for one in found), 6) == 100
    assert round(sum(one.score or 0 for one in found), 6) == 100
    spared = [one for one in found if one.extra_data.verdict == "SKIP"]
    assert [(one.name, one.output) for one in spared] == [
        ("server: 1 encrypted log-in", "not scored: no log-in"),
        ("server: 4 quota", "not scored: no quotas"),
        ("server: 8 progress bar", "not scored: the client's"),
        ("server: 9 resume", "not scored: not there"),
    ]
    assert all((one.score, one.status, one.max_score) == (None, None, 0) for one in spared)


def test_points_go_by_the_rubric(tmp_path: Path) -> None:
    worth = {**dict.fromkeys(range(1, 10), 0.0), 5: 30.0, 6: 10.0}
    found = told(loaded(tmp_path), report(points=worth))
    by_point = {
        point: round(sum(one.max_score for one in found if one.name.startswith(f"server: {point} ")), 2)
        for point in range(1, 10)
    }
    assert by_point == {**dict.fromkeys(range(1, 10), 0), 5: 75, 6: 25}


def test_what_is_not_scored_leaves_its_points_to_the_others(tmp_path: Path) -> None:
    found = told(
        loaded(tmp_path), report({"a digest that does not fit": "not scored", "byte by byte": "failed"})
    )
    one = next(one for one in found if "a digest that does not fit" in one.name)
    assert (one.score, one.status, one.max_score, one.output) == (None, None, 0, "not scored: no digests")
    assert {"C45", "not scored"} <= set(one.tags)
    seventh = [one for one in found if one.name.startswith("server: 7 ") and one.max_score]
    assert round(sum(one.max_score for one in seventh), 2) == pytest.approx(30 / 85 * 100, abs=0.05)
    assert round(sum(one.max_score for one in found), 6) == 100


def test_c21_a_check_that_failed_says_what_was_sent_expected_and_seen_and_drives_no_terminal(
    tmp_path: Path,
) -> None:
    test = loaded(tmp_path, 'hint = "ask us"\n')
    seen: dict[str, Any] = {
        "sent": "ls",
        "expected": "names",
        "seen": "\x1b[2Jmore\nlines",
        "output": "first\nlast\x07\n",
    }
    (failed,) = [one for one in told(test, report({"dots": "failed"}, **seen)) if one.status == "failed"]
    assert failed.name == "server: 3 own home, and only that: dots (C15)"
    assert failed.tags == ("ftp-homework", "C15")
    assert (failed.extra_data.verdict, failed.score) == ("WA", 0)
    assert failed.output.splitlines() == [
        "sent: ls",
        "expected: names",
        "seen: \\x1b[2Jmore\\nlines",
        "it wrote: last\\x07",
        "hint: work out .. as text first, and refuse what leaves the folder: in every operation",
        "hint: ask us",
    ]


def test_a_rubric_that_gives_nothing_for_what_was_scored_is_the_teachers_fault(tmp_path: Path) -> None:
    none = {**dict.fromkeys(range(1, 10), 0.0), 1: 10.0}
    with pytest.raises(GradingFailed, match="nothing that its rubric gives points for"):
        results(loaded(tmp_path), report(points=none))


@pytest.mark.parametrize("key", ['profile = "full"', 'shared = "x"', 'dialect = "base"'])
def test_what_is_a_servers_is_refused_of_a_client(tmp_path: Path, key: str) -> None:
    with pytest.raises(AssignmentFaults) as caught:
        loaded(tmp_path, f'side = "client"\n{key}')
    (fault,) = caught.value.faults
    assert fault.text == f"test 'server': a client has no {key.split()[0]}: that is a server's"


def test_every_side_that_a_file_may_name_is_judged() -> None:
    from ftpsvc.homework.grading.kinds import ftp_homework

    assert ftp_homework._JUDGES.keys() == set(get_args(model.Side))
