"""What `make demo` runs: all of it, and what Ctrl-C leaves of it."""

import os
import signal
import subprocess
import sys
from pathlib import Path

from tests.helpers.cli import GUARD
from tests.helpers.counts import count

DEMO = Path(__file__).resolve().parents[2] / "docs" / "demo.py"


def environment(tmp_path: Path) -> dict[str, str]:
    """One that the demo must not heed, with a place for its files."""
    (tmp_path / "a place").mkdir()
    return {
        **os.environ,
        "TMPDIR": str(tmp_path / "a place"),
        "FTPSVC_SERVER": "nowhere",
        "FTPSVCD_GUEST": "none",
    }


def test_the_demo_runs_to_its_end_and_leaves_nothing(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, DEMO, "--megabytes", str(count(20, 300))],
        env=environment(tmp_path), capture_output=True, text=True, timeout=3 * GUARD, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "every byte came back" in done.stdout
    assert "Traceback" not in done.stderr
    assert os.listdir(tmp_path / "a place") == []


def test_ctrl_c_ends_the_demo_and_leaves_nothing(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, DEMO], env=environment(tmp_path), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        start_new_session=True,
    ) as demo:  # fmt: skip
        assert demo.stdout is not None
        for line in demo.stdout:
            if line.startswith("$ ftpsvc put"):
                break
        os.killpg(demo.pid, signal.SIGINT)  # as a terminal does: to all that runs in the foreground
        _, said = demo.communicate(timeout=GUARD)
    assert demo.returncode == 130
    assert "demo: interrupted" in said
    assert "Traceback" not in said
    assert os.listdir(tmp_path / "a place") == []
