"""docs/cases.md names tests that exist, and every case that concerns what exists is held by one."""

from __future__ import annotations

import pytest

from tests.helpers.cases import PAGE, TESTS, cases_in, cell, collect, named, rows

ALL = [
    *range(1, 12), 14, 15, 17, *range(20, 25), 26, 29, 30, 33, *range(34, 44), *range(45, 51), 52, *range(54, 61),
]  # fmt: skip
"""What the service is to hold as it stands. The others wait for accounts, quotas, resume or many clients."""

ROWS = rows(PAGE.read_text(encoding="utf-8"))


def test_every_case_has_one_row_in_its_order() -> None:
    assert [case for case, _, _ in ROWS] == [f"C{number:02}" for number in ALL]


@pytest.mark.parametrize(
    ("case", "held"), [(case, held) for case, _, held in ROWS], ids=[row[0] for row in ROWS]
)
def test_a_case_is_held_by_tests_that_exist_and_carry_its_number(case: str, held: str) -> None:
    tests = named(held)
    assert cell(tests) == held, "the column is written by python -m tests.helpers.cases"
    assert tests
    for test in tests:
        file, _, name = test.partition("::")
        assert (TESTS / file).is_file(), test
        assert case in cases_in(TESTS / file).get(name, set()), f"{test} is gone, or does not carry {case}"


def test_a_test_carries_only_numbers_of_cases() -> None:
    assert set(collect()) <= {case for case, _, _ in ROWS}
