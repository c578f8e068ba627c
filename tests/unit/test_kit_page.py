"""docs/kit.md says what the kit checks, and what it is worth."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from ftpsvc.exceptions import ConfigError
from ftpsvc.homework.kit.checks import CHECKS
from ftpsvc.homework.kit.declared import FILE, Declared, read
from ftpsvc.homework.kit.dialects import DIALECTS, speaks
from ftpsvc.homework.kit.findings import Refused
from ftpsvc.homework.kit.rubric import POINTS, read_points
from ftpsvc.homework.kit.wire import Wire
from tests.helpers.channels import tcp_pair

PAGE = Path(__file__).resolve().parents[2] / "docs" / "kit.md"


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", PAGE.read_text("utf-8"), re.MULTILINE | re.DOTALL)


def test_the_page_lists_every_check() -> None:
    rows = re.findall(r"^\| (\d) \| (.*) \| (.*) \|$", PAGE.read_text("utf-8"), re.MULTILINE)
    assert rows == [(str(one.point), one.name, ", ".join(one.cases)) for one in CHECKS]


def test_the_points_of_the_page_are_those_in_force(tmp_path: Path) -> None:
    (table,) = [one for one in blocks("toml") if "[points]" in one]
    (tmp_path / "points.toml").write_text(table.replace("1 = 10", "1 = 11"), encoding="utf-8")
    assert read_points(tmp_path / "points.toml") == {**POINTS, 1: 11}


def test_the_numbers_of_cases_exist() -> None:
    cases = PAGE.with_name("cases.md").read_text("utf-8")
    assert all(f"| {case} |" in cases for one in CHECKS for case in one.cases)


def test_the_declaration_of_the_page_is_one(tmp_path: Path) -> None:
    (text,) = [one for one in blocks("toml") if "[[account]]" in one]
    (tmp_path / FILE).write_text(text, encoding="utf-8")
    declared = read(tmp_path)
    assert [one.quota for one in declared.accounts] == [100 << 20, 400_000]
    assert declared.limited == declared.accounts[1]
    assert speaks(None, "full", declared).name == "struct-json"


def test_the_dialect_of_the_page_is_one(tmp_path: Path) -> None:
    (text,) = blocks("python")
    (tmp_path / "ours.py").write_text(text, encoding="utf-8")
    dialect = speaks(str(tmp_path / "ours.py"), "full", Declared())
    assert dialect.name == "our-course"
    ours, theirs = tcp_pair()
    with ours, theirs:
        user = dialect.converse(Wire(ours, 10.0, lambda _: True))
        (piece,) = user.request("get", "a.txt", offset=2)
        assert piece.data == b"\0\0\0\x30" + b'{"type": "download", "file": "a.txt", "from": 2}'
        theirs.sendall(b"\0\0\0\x30" + b'{"result": "no", "why": "there is no such file"}')
        with pytest.raises(Refused, match="there is no such file"):
            user.done()


def test_the_page_names_every_dialect() -> None:
    text = PAGE.read_text("utf-8")
    assert all(f"| `{name}` |" in text for name in DIALECTS)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("x = 1", "one dialect, with a name"),
        ("1 / 0", "ZeroDivisionError"),
        ("from ftpsvc.homework.kit.student import StructJson", "one dialect"),
        ("(", "SyntaxError"),
    ],
)
def test_a_file_that_defines_no_dialect_is_refused(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "ours.py").write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError, match=said):
        speaks(str(tmp_path / "ours.py"), "full", Declared())
    with pytest.raises(ConfigError, match="there is no dialect"):
        speaks("smtp", "full", Declared())
