"""docs/kit.md says what the kit checks, and what it is worth."""

from __future__ import annotations

import re
from pathlib import Path

from ftpsvc.homework.kit.checks import CHECKS
from ftpsvc.homework.kit.rubric import POINTS, read_points

PAGE = Path(__file__).resolve().parents[2] / "docs" / "kit.md"


def test_the_page_lists_every_check() -> None:
    rows = re.findall(r"^\| (\d) \| (.*) \| (.*) \|$", PAGE.read_text("utf-8"), re.MULTILINE)
    assert rows == [(str(one.point), one.name, ", ".join(one.cases)) for one in CHECKS]


def test_the_points_of_the_page_are_those_in_force(tmp_path: Path) -> None:
    (table,) = re.findall(r"^```toml\n(.*?)^```", PAGE.read_text("utf-8"), re.MULTILINE | re.DOTALL)
    (tmp_path / "points.toml").write_text(table.replace("1 = 10", "1 = 11"), encoding="utf-8")
    assert read_points(tmp_path / "points.toml") == {**POINTS, 1: 11}


def test_the_numbers_of_cases_exist() -> None:
    cases = PAGE.with_name("cases.md").read_text("utf-8")
    assert all(f"| {case} |" in cases for one in CHECKS for case in one.cases)
