"""Every check that can fail does fail on a server with that fault, and the report names it."""

from __future__ import annotations

from pathlib import Path

import pytest

from ftpsvc.homework.kit.base_profile import BaseProfile
from ftpsvc.homework.kit.checks import CHECKS
from ftpsvc.homework.kit.judging import judge
from ftpsvc.homework.kit.rubric import Report
from ftpsvc.homework.kit.sandboxed import HandIn
from ftpsvc.homework.sandbox.base import Sandbox
from ftpsvc.homework.sandbox.choose import find_python
from tests.helpers.faulty_servers import FAULTY
from tests.helpers.sandboxes import wide

LONG = 120.0
"""Patience that only a machine that stands still would try."""


def judged(sandbox: Sandbox, folder: Path, text: str, name: str, patience: float) -> Report:
    """Judges a server by one check."""
    (folder / "server.py").write_text(text, encoding="utf-8")
    python = find_python(sandbox)
    assert python is not None
    hand_in = HandIn(
        command=(python, "server.py", "127.0.0.1", "9021"),
        port=9021,
        folder=folder,
        python=python,
        start=LONG,
        limits=wide(memory=256 << 20, processes=64),
    )
    checks = [one for one in CHECKS if one.name == name]
    return judge(sandbox, hand_in, BaseProfile(), patience=patience, seconds=10 * LONG, checks=checks)


@pytest.mark.parametrize("name", FAULTY)
def test_a_fault_is_found_and_named(sandbox: Sandbox, tmp_path: Path, name: str) -> None:
    faulty = FAULTY[name]
    report = judged(sandbox, tmp_path, faulty.text(), faulty.check, patience=1.0 if faulty.hangs else LONG)
    (result,) = report.results
    assert result.status == "failed"
    assert faulty.seen in result.seen, result
    assert result.expected
    assert result.check.hint
    assert report.total()[0] == 0


def test_every_check_is_failed_by_a_server() -> None:
    assert {one.check for one in FAULTY.values()} == {one.name for one in CHECKS}
    assert len(FAULTY) >= 25
