"""Every check of a client that can fail does fail on a client with that fault, and the report names it."""

from __future__ import annotations

from pathlib import Path

import pytest

from ftpsvc.homework.kit.client_box import ClientHandIn
from ftpsvc.homework.kit.client_checks import CLIENT_CHECKS
from ftpsvc.homework.kit.client_judging import judge_clients
from ftpsvc.homework.kit.rubric import Report
from ftpsvc.homework.sandbox.base import Sandbox
from ftpsvc.homework.sandbox.choose import find_python
from tests.helpers.faulty_clients import FAULTY
from tests.helpers.sandboxes import wide

LONG = 120.0
"""Patience that only a machine that stands still would try."""


def judged(sandbox: Sandbox, folder: Path, text: str, name: str, patience: float) -> Report:
    """Judges a client by one check."""
    (folder / "client.py").write_text(text, encoding="utf-8")
    python = find_python(sandbox)
    assert python is not None
    hand_in = ClientHandIn(
        command=(python, "client.py", "127.0.0.1", "9021"),
        port=9021,
        folder=folder,
        python=python,
        limits=wide(memory=256 << 20, processes=64),
    )
    checks = [one for one in CLIENT_CHECKS if one.name == name]
    return judge_clients(sandbox, hand_in, patience=patience, seconds=10 * LONG, checks=checks)


@pytest.mark.parametrize("name", FAULTY)
def test_a_fault_is_found_and_named(sandbox: Sandbox, tmp_path: Path, name: str) -> None:
    faulty = FAULTY[name]
    report = judged(sandbox, tmp_path, faulty.text(), faulty.check, patience=1.5 if faulty.hangs else LONG)
    (result,) = report.results
    assert result.status == "failed"
    assert faulty.seen in result.seen, result
    assert result.expected
    assert result.sent
    assert result.check.hint
    assert report.total()[0] == 0


def test_every_check_is_failed_by_a_client() -> None:
    assert {one.check for one in FAULTY.values()} == {one.name for one in CLIENT_CHECKS}
    assert len(FAULTY) >= 25
