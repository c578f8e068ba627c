"""Lesson 09 of the course: different LANs."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.helpers.course import COURSE, GUARD, run, running, shown


def test_a_file_is_sent_and_its_digest_compared(tmp_path: Path) -> None:
    content, copy = tmp_path / "content", tmp_path / "copy"
    content.write_bytes(bytes(range(256)) * 3000)
    with running("09-two-lans/receive_file.py", "127.0.0.1", 0, copy) as receiver:
        lines = run("09-two-lans/send_file.py", "127.0.0.1", receiver.port(), content)
        assert lines == ["I am 127.0.0.1 and call 127.0.0.1", "arrived whole"]
        assert receiver.rest()[-1].startswith("from 127.0.0.1 768000 bytes ")
    assert copy.read_bytes() == content.read_bytes()


def _lab() -> subprocess.Popen[str]:
    command = [sys.executable, "-B", str(COURSE / "09-two-lans/lab.py")]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, encoding="utf-8")


def test_two_nated_networks_and_what_reaches_whom() -> None:
    """Where nft and iptables are missing the laboratory ends after the first line of its table; then we skip."""
    with _lab() as lab:
        told, complaints = lab.communicate(timeout=GUARD)
    expected = shown("09-two-lans", "lab.py")
    lines = told.splitlines()
    if lab.returncode == 77:
        assert lines[:-1] in ([], expected[:2])
        pytest.skip(lines[-1])
    assert (lab.returncode, lines) == (0, expected), complaints


def test_nothing_of_the_laboratory_outlives_it() -> None:
    with _lab() as lab:
        assert lab.stdout is not None
        if not lab.stdout.readline().startswith("before NAT"):
            lab.communicate(timeout=GUARD)
            pytest.skip("the laboratory is not permitted here")
        lab.kill()
        # All its processes hold these pipes: their end is the end of the last one.
        lab.communicate(timeout=GUARD)
    assert lab.returncode == -signal.SIGKILL
