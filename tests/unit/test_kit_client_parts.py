"""Parts of the kit for clients: what a bar is, what its page lists, and that its sentences have a translation."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from string import Formatter

import pytest

from ftpsvc.homework.kit import bars, client_checks
from ftpsvc.homework.kit.chinese import CHINESE
from ftpsvc.homework.kit.client_checks import CLIENT_CHECKS, UNMEASURED
from ftpsvc.homework.kit.rubric import RUBRIC

ROOT = Path(__file__).resolve().parents[2]
SIZE = 8 << 20


def drawn(*states: object) -> str:
    return "large.bin\r\n" + "".join(f"\r{one}" for one in states) + "\r\ndone\r\n"


@pytest.mark.parametrize(
    "output",
    [
        drawn("  0 %", " 30 %", " 60 %", "100 %"),
        drawn("0%|   | 0.00/8.39M", "40%|#  | 3.36M/8.39M", "80%|## | 6.7M/8.39M", "100%|###| 8.39M/8.39M"),
        drawn("0/8388608", "100/8388608", "4000000/8388608", "8388608/8388608"),
        drawn("1.0 MiB", "2.5 MiB", "5.0 MiB", "8.0 MiB"),
        drawn("1,024 KB", "2,048 KB", "4,096 KB", "8,192 KB"),
        drawn("[>---]", "[=>--]", "[==>-]", "[===>]", "[====]"),
        drawn("█", "██", "███", "████"),
        "x 0%" + "\b\b10%" + "\b\b\b50%" + "\b\b\b100%\r\n",
        "0%" + "".join(f"\x1b[2K\x1b[1G{one}%" for one in (20, 40, 80, 100)),
        "0%\r\n" + "".join(f"\x1b[1A\x1b[2K{one}%\r\n" for one in (20, 40, 80, 100)),
        drawn("\x1b[32m 0%\x1b[0m", "\x1b[32m30%\x1b[0m", "\x1b[32m70%\x1b[0m", "\x1b[32m100%\x1b[0m"),
        drawn("进度: 0.0%", "进度: 33.3%", "进度: 66.6%", "进度: 100.0%"),
    ],
)
def test_bars(output: str) -> None:
    assert bars.grows(output, SIZE) == "whole"
    assert bars.rubbish(output)


@pytest.mark.parametrize(
    ("output", "found"),
    [
        (drawn("0 %", "30 %", "60 %", "96 %"), "part"),
        (drawn("0% #", "30% ##", "60% ###", "90% ####"), "part"),
        (drawn("0/8388608", "100/8388608", "4000000/8388608", "8000000/8388608"), "part"),
        (drawn("0 %", "60 %", "30 %", "100 %"), ""),
        (drawn("0 %", "100 %"), ""),
        (drawn("wait |", "wait /", "wait -", "wait \\", "wait |"), ""),
        ("0 %\r\n30 %\r\n60 %\r\n100 %\r\n", ""),
        ("large.bin -> large.bin 8388608 bytes\r\n", ""),
        ("", ""),
    ],
)
def test_what_is_no_whole_bar(output: str, found: str) -> None:
    assert bars.grows(output, SIZE) == found


def test_lines_of_a_file_are_no_rubbish() -> None:
    assert not bars.rubbish("sent a.txt\nsent b.txt\r\n100 %\n")


def test_the_page_lists_every_check_of_a_client() -> None:
    page = (ROOT / "docs" / "kit.md").read_text("utf-8").partition("## Judging a client")[2]
    rows = re.findall(r"^\| (.*) \| (\d) \| (.*) \|$", page, re.MULTILINE)
    assert rows == [(one.name, str(one.point), ", ".join(one.cases)) for one in CLIENT_CHECKS]
    cases = (ROOT / "docs" / "cases.md").read_text("utf-8")
    assert all(f"| {case} |" in cases for one in CLIENT_CHECKS for case in one.cases)


def test_each_point_is_checked_or_said_not_to_be() -> None:
    assert {one.point for one in CLIENT_CHECKS} | UNMEASURED.keys() == RUBRIC.keys()
    assert not {one.point for one in CLIENT_CHECKS} & UNMEASURED.keys()


def test_every_sentence_has_a_translation_with_the_same_places() -> None:
    def places(text: str) -> set[str | None]:
        return {place for _, place, _, _ in Formatter().parse(text)} - {None}

    folder = Path(client_checks.__file__).parent
    names = [*folder.glob("client_*.py"), folder / "gateway.py", folder / "inside.py"]
    templates = [
        str(call.args[0].value)
        for name in names
        for call in ast.walk(ast.parse(name.read_text("utf-8")))
        if isinstance(call, ast.Call)
        and isinstance(call.func, ast.Name)
        and call.func.id == "said"
        and isinstance(call.args[0], ast.Constant)
    ]
    assert len(templates) > 80
    assert [one for one in templates if one not in CHINESE] == []
    assert [one for one in templates if places(one) != places(CHINESE[one])] == []
