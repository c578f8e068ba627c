"""Every sentence of the kit's reports is there in Chinese, with the same places, and what was said by others stays."""

from __future__ import annotations

import ast
import string
import time
from pathlib import Path
from typing import Any

import ftpsvc.homework.kit
from ftpsvc.homework.kit.checks import CHECKS
from ftpsvc.homework.kit.checks.tester import _seen
from ftpsvc.homework.kit.chinese import CHINESE
from ftpsvc.homework.kit.client_checks import CLIENT_CHECKS
from ftpsvc.homework.kit.findings import Hung
from ftpsvc.homework.kit.judging import wall_left
from ftpsvc.homework.kit.report import gradescope, lines, markdown, progress
from ftpsvc.homework.kit.rubric import RUBRIC, Check, Report, Result
from ftpsvc.homework.kit.said import said, shown
from ftpsvc.text import width

KIT = Path(ftpsvc.homework.kit.__file__).parent


ALL: list[Check[Any]] = [*CHECKS, *CLIENT_CHECKS]


def sentences() -> set[str]:
    found = set(RUBRIC.values())
    for check in ALL:
        found |= {check.name, check.hint}
    for path in KIT.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "said":
                literal = node.args[0].value if isinstance(node.args[0], ast.Constant) else None
                assert isinstance(literal, str), f"{path.name}:{node.lineno} is no literal"
                found.add(literal)
    return found


def places(template: str) -> set[str | None]:
    return {name for _, name, _, _ in string.Formatter().parse(template) if name is not None}


def test_every_sentence_has_a_translation_and_every_translation_a_sentence() -> None:
    assert sorted(sentences() - CHINESE.keys()) == []
    assert sorted(CHINESE.keys() - sentences()) == []


def test_a_translation_has_the_places_of_its_sentence() -> None:
    plain = {one for check in ALL for one in (check.name, check.hint)}
    for english, chinese in CHINESE.items():
        if english not in plain:
            assert places(chinese) == places(english), english
        assert english.isascii()


def test_what_a_sentence_is_made_of_is_translated_too_and_what_others_said_is_not() -> None:
    inner = said("its content")
    assert shown(said("that {what} is refused", what=inner), "zh") == "拒绝：它的内容"
    assert shown(said("that {what} is refused", what=inner), "en") == "that its content is refused"
    assert shown(said("it was refused: {reason}", reason="it was {done}"), "zh") == "被拒绝：it was {done}"
    assert shown("whatever a server said", "zh") == "whatever a server said"


def test_a_report_in_chinese_has_no_english_sentence() -> None:
    results = [
        Result(
            check=one,
            status="failed",
            sent=said('put "{path}", {size} bytes', path="a", size=1),
            expected=said("that it is done"),
            seen=said("it closed the connection"),
            output="last words",
        )
        if one.point != 7
        else Result(check=one, status="not scored", reason=said("the dialect has no digests"))
        for one in CHECKS
    ]
    unmeasured = {8: said("a progress bar is the client's")}
    report = Report(
        dialect="base",
        results=results,
        unmeasured=unmeasured,
        points=dict.fromkeys(RUBRIC, 10.0),
        seconds=1.0,
    )
    *others, note = lines(report, "zh")
    assert note == "提示: 按方言 base 与它对话，没有一项通过：如果它说的是另一种方言，请写在 accounts.toml 里"
    text = "\n".join(others)
    assert "8 进度条                           不计分：进度条是客户端的事" in text
    assert "    未通过: 未登录什么都不能做 (C11, C39)" in text
    assert '      发送      put "a"，1 字节' in text
    assert "      程序输出  last words" in text
    assert text.endswith("得分 0，满分 70")
    points = [line for line in text.splitlines() if line[0].isdigit()]
    assert len({width(line[: line.index("不计分" if "不计分" in line else "0 /")]) for line in points}) == 1
    page = markdown(report, "zh")
    assert page.startswith("# 你的服务器\n\n得分 0，满分 70。")
    tests = gradescope(report, "zh")["tests"]
    assert tests[0]["name"] == "加密登录: 谁可以登录"
    assert tests[0]["output"].splitlines()[0] == '发送: put "a"，1 字节'


def test_what_is_said_while_checks_run_and_by_whom_is_shown_too() -> None:
    check = CHECKS[0]
    output = "ValueError: no\n" + "-" * 40
    result = Result(check=check, status="failed", expected="x", output=output)
    assert result.wrote == "ValueError: no"
    assert progress(result, "zh") == f"未通过: {CHINESE[check.name]}"
    assert progress(Result(check=check, status="passed")) == f"passed: {check.name}"
    assert shown(_seen(Hung(said("an answer"), said("it is not there"))), "zh") == "没有（期望：一个回答）"


def test_a_late_check_has_less_time_so_that_a_run_ends_in_two_minutes() -> None:
    now = time.monotonic()
    assert wall_left(40, 90, now) == 40
    assert 90 + wall_left(40, 90, now - 90) <= 114
    assert wall_left(40, 90, now - 500) == 1
