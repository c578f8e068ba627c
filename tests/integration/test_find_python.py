"""`.ci/find-python`, which every make target stands on, among the Pythons that real machines have."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parents[2] / ".ci" / "find-python"
VERSION = f"{sys.version_info.major}.{sys.version_info.minor}"

pytestmark = pytest.mark.skipif(os.name == "nt", reason="make and its scripts need a POSIX shell")


@pytest.fixture
def programs(tmp_path: Path) -> Path:
    """A folder that is the whole PATH of the script."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name in ("sh", "tr"):
        (folder / name).symlink_to(shutil.which(name) or pytest.fail(f"{name} is missing"))
    return folder


def program(path: Path, script: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


def find(programs: Path, *version: str) -> subprocess.CompletedProcess[str]:
    environment = {"PATH": str(programs), "HOME": str(programs.parent)}
    return subprocess.run(
        ["/bin/sh", SCRIPT, *version], env=environment, capture_output=True, text=True, timeout=60
    )


def test_the_default_python_comes_first(programs: Path) -> None:
    program(programs / "python3", f'exec "{sys.executable}" "$@"')
    program(programs / "python3.13", "exit 1")
    found = find(programs)
    assert (found.returncode, found.stdout.strip()) == (0, sys.executable)


def test_a_shim_that_does_not_start_is_passed_over(programs: Path) -> None:
    program(programs / "python3", 'echo "pyenv: python3: command not found" >&2; exit 127')
    program(programs / f"python{VERSION}", f'exec "{sys.executable}" "$@"')
    found = find(programs)
    assert (found.returncode, found.stdout.strip(), found.stderr) == (0, sys.executable, "")


def test_a_version_that_only_pyenv_has_is_found(programs: Path) -> None:
    program(programs / f"python{VERSION}", "exit 127")
    program(programs.parent / f".pyenv/versions/{VERSION}.99/bin/python3", f'exec "{sys.executable}" "$@"')
    found = find(programs, VERSION)
    assert (found.returncode, found.stdout.strip()) == (0, sys.executable)


def test_another_version_is_not_taken_for_the_one_asked_for(programs: Path) -> None:
    program(programs / "python3", f'exec "{sys.executable}" "$@"')
    program(programs / "python3.99", f'exec "{sys.executable}" "$@"')
    found = find(programs, "3.99")
    assert (found.returncode, found.stdout) == (1, "")


def test_no_python_is_an_error_with_a_hint(programs: Path) -> None:
    program(
        programs / "python3", "exit 1"
    )  # an old Python fails at the question for its version in the same way
    found = find(programs)
    assert (found.returncode, found.stdout) == (1, "")
    error, hint = found.stderr.splitlines()
    assert error.startswith("error: no Python >= 3.11")
    assert hint.startswith("hint: ")
