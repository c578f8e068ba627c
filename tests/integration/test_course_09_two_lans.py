"""Lesson 09 of the course: different LANs."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.helpers.course import COURSE, GUARD, run, running


def test_a_file_is_sent_and_its_digest_compared(tmp_path: Path) -> None:
    content, copy = tmp_path / "content", tmp_path / "copy"
    content.write_bytes(bytes(range(256)) * 3000)
    with running("09-two-lans/receive_file.py", "127.0.0.1", 0, copy) as receiver:
        lines = run("09-two-lans/send_file.py", "127.0.0.1", receiver.port(), content)
        assert lines == ["I am 127.0.0.1 and call 127.0.0.1", "arrived whole"]
        assert receiver.rest()[-1].startswith("from 127.0.0.1 768000 bytes ")
    assert copy.read_bytes() == content.read_bytes()


def test_two_nated_networks_and_what_reaches_whom() -> None:
    done = subprocess.run(
        [sys.executable, "-B", str(COURSE / "09-two-lans/lab.py")],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, encoding="utf-8", timeout=GUARD, check=False,
    )  # fmt: skip
    if done.returncode == 77:
        pytest.skip(done.stdout.strip())
    assert done.returncode == 0, done.stdout
    outcomes = [line.split("  ")[-1].strip() for line in done.stdout.splitlines() if line.startswith("  ")]
    assert outcomes[0].startswith("no: ")
    assert outcomes[1:4] == [
        "seen as 203.0.113.1",
        "seen as 203.0.113.2",
        "seen as 192.168.1.10 (that is herself)",
    ]
    assert outcomes[4].startswith("no: ")
    assert outcomes[5] == "no: ConnectionRefusedError"
    assert outcomes[6:8] == ["seen as 203.0.113.1", "seen as 203.0.113.80"]
    assert outcomes[8].endswith("Bob: from 203.0.113.1, 5242880 bytes, whole")
