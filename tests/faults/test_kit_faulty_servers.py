"""Every check that can fail does fail on a server with that fault, and the report names it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from ftpsvc.homework.kit.checks import CHECKS
from ftpsvc.homework.kit.declared import FILE, read
from ftpsvc.homework.kit.dialects import speaks
from ftpsvc.homework.kit.judging import judge, words
from ftpsvc.homework.kit.sandboxed import LIMITS, HandIn, SandboxedServer
from ftpsvc.homework.sandbox.base import Sandbox
from ftpsvc.homework.sandbox.choose import find_python
from tests.helpers.faulty_servers import ACCOUNTS, FAULTY

LONG = 120.0
"""Patience that only a machine that stands still would try."""


@pytest.mark.parametrize("name", FAULTY)
def test_a_fault_is_found_and_named(sandbox: Sandbox, tmp_path: Path, name: str) -> None:
    faulty = FAULTY[name]
    (tmp_path / "server.py").write_text(faulty.text(), encoding="utf-8")
    if faulty.way:
        (tmp_path / FILE).write_text(ACCOUNTS.format(way=faulty.way), encoding="utf-8")
    python = find_python(sandbox)
    assert python is not None
    hand_in = HandIn(
        command=words(("python", "server.py", *faulty.arguments), 9021, python),
        port=9021,
        folder=tmp_path,
        python=python,
        start=LONG,
        limits=replace(LIMITS, cpu=100, wall=110, memory=256 << 20, processes=64),
    )
    patience = 1.0 if faulty.hangs else LONG
    dialect = speaks("struct-json" if faulty.way else None, "full", read(tmp_path))
    report = judge(
        lambda prepared: SandboxedServer(sandbox, hand_in, prepared, patience),
        dialect,
        profile="full",
        patience=patience,
        seconds=10 * LONG,
        checks=[one for one in CHECKS if one.name == faulty.check],
    )
    (result,) = report.results
    assert result.status == "failed"
    assert faulty.seen in result.seen, result
    assert result.expected
    assert result.check.hint
    assert report.total()[0] == 0


def test_every_check_is_failed_by_a_server() -> None:
    assert {one.check for one in FAULTY.values()} == {one.name for one in CHECKS}
    assert len(FAULTY) >= 25
