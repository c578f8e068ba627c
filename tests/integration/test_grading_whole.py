"""From the client to the result: a real daemon takes hand-ins, and the grader beside it grades them as they come."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from ftpsvc.exceptions import HandInRefused
from ftpsvc.homework.grading.store import Results
from ftpsvc.homework.sandbox.base import Sandbox
from tests.helpers.assignments import SOLUTION, STARTER
from tests.helpers.handins import course


@pytest.mark.timeout(600)
def test_what_is_handed_in_over_the_wire_is_graded_as_it_comes(
    found_sandbox: tuple[Sandbox, str | None], tmp_path: Path
) -> None:
    sandbox, program = found_sandbox
    work = tmp_path / "sums.py"
    line = [sys.executable, "-m", "ftpsvc.homework.grade_cli", "serve", "--root", str(tmp_path / "root")]
    with course(tmp_path / "root", "alice", "bob") as here:
        with here.client("alice") as alice:
            work.write_text(STARTER)
            assert alice.submit("sums", [work]).number == 1
        process = subprocess.Popen(
            [*line, *(("--bwrap", program) if program else ())], stderr=subprocess.PIPE, text=True
        )
        with process:
            assert process.stderr is not None
            try:
                said = [process.stderr.readline(), process.stderr.readline()]
                assert said[0].startswith("ready")
                assert said[1].startswith("graded sums alice version 1 attempt 1: 0 of 10")
                with here.client("alice") as alice:
                    work.write_text(SOLUTION)
                    assert alice.submit("sums", [work]).number == 2
                assert process.stderr.readline().startswith("graded sums alice version 2 attempt 1: 10 of 10")
                (tmp_path / "wrong.txt").write_text("not it")
                with here.client("bob") as bob, pytest.raises(HandInRefused):
                    bob.submit("sums", [tmp_path / "wrong.txt"])
            finally:
                process.send_signal(signal.SIGTERM)
            assert (process.wait(), process.stderr.read()) == (0, "stopped\n")
        version = here.submissions.version("sums", "alice", 2)
        result = Results(here.submissions.of("sums", "alice")).newest(2)
        assert result is not None
        assert (result.score, result.ours.tree_sha256, result.ours.sandbox) == (
            10.0,
            version.tree_sha256,
            sandbox.name,
        )
        assert result.ours.submission == "prog1-2026/sums/alice/2"
