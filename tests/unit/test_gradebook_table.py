"""The parts of the gradebook that are pure."""

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ftpsvc.homework.gradebook.exports import guarded
from ftpsvc.homework.gradebook.table import histogram, points
from ftpsvc.homework.gradebook.terminal import columns, span


@given(st.lists(st.floats(0, 10), max_size=30))
def test_each_score_is_in_one_part_of_the_distribution(scores: list[float]) -> None:
    found = histogram(scores, 10)
    assert (len(found), sum(found)) == (10, len(scores))


def test_ends_of_parts_belong_to_the_next_one_and_full_points_to_the_last() -> None:
    assert histogram([0, 0.9, 1, 9.999, 10, 11], 10) == [2, 1, 0, 0, 0, 0, 0, 0, 0, 3]
    assert histogram([0.3], 3) == [0, 1, 0, 0, 0, 0, 0, 0, 0, 0]  # 0.3 / 3 is a little less than a tenth
    assert histogram([0, 0], 0)[9] == 2


@given(st.text(alphabet="=+-@ \t\r\n'a1\u00a0\uff1d", max_size=6))
def test_no_text_is_a_formula_and_none_is_lost(text: str) -> None:
    made = guarded(text)
    assert not made.lstrip(" ").startswith(("=", "+", "-", "@", "\t", "\r", "\n"))
    assert made.removeprefix("'") == text.removeprefix("'") or made == text


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(1)", "\t=1", "  =1", "\uff1d1", "\r=1"])
def test_what_spreadsheets_take_for_a_formula_is_quoted(text: str) -> None:
    assert guarded(text) == "'" + text
    out = io.StringIO()
    csv.writer(out).writerow([guarded(text), "x"])
    assert next(csv.reader(io.StringIO(out.getvalue(), newline="")))[0] == "'" + text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0 s"), (59, "59 s"), (60, "1 min"), (3600, "1 h"), (3661, "1 h 1 min"), (90000, "1 d 1 h"), (86460, "1 d")],
)  # fmt: skip
def test_lengths_of_time(seconds: int, text: str) -> None:
    assert span(seconds) == text


def test_points_and_columns_are_as_long_as_they_look() -> None:
    assert [points(one) for one in (None, 0.0, 6.5, 10.0, 1 / 3)] == ["", "0", "6.5", "10", "0.33"]
    assert columns(("A", "B"), [("张伟", "1"), ("x\x1b[2J", "22")], right=("B",)) == [
        "A          B",
        "张伟       1",
        "x\\x1b[2J  22",
    ]
