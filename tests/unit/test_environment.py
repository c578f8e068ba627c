"""The environment that tests/conftest.py gives every test."""

import os
import subprocess
from pathlib import Path

import platformdirs
import pytest

REPOSITORY = Path(__file__).resolve().parents[2]


def git(*arguments: str) -> list[str]:
    """What git prints about the repository, by lines, whoever it belongs to."""
    command = ["git", "-c", "safe.directory=*", *arguments]
    return subprocess.run(
        command, cwd=REPOSITORY, capture_output=True, text=True, check=True
    ).stdout.splitlines()


@pytest.fixture(scope="module")
def shared() -> tuple[Path, Path]:
    """Where a fixture that tests share finds itself, before any test's own environment."""
    return Path.cwd(), Path.home()


def test_home_and_settings_are_the_tests_own(own_environment: Path) -> None:
    assert Path.home() == own_environment
    assert Path(platformdirs.user_config_dir("ftpsvc")).is_relative_to(own_environment)
    # The patience of completion is a setting of the tests: a slow machine must not take names for missing.
    known = {"FTPSVC_FULL", "FTPSVC_COMPLETION_TIMEOUT"}
    assert not {name for name in os.environ if name.startswith("FTPSVC_")} - known


def test_nothing_is_written_into_the_repository_by_default() -> None:
    assert not Path.cwd().is_relative_to(REPOSITORY)
    assert os.listdir() == []


def test_a_fixture_that_tests_share_is_in_nobodys_home_and_in_no_repository(
    shared: tuple[Path, Path], own_environment: Path, real_environment: dict[str, str]
) -> None:
    directory, home = shared
    assert not directory.is_relative_to(REPOSITORY)
    assert home not in (own_environment, Path(real_environment["HOME"]))
    assert home == directory.parent / "home"


def test_what_a_hand_in_or_a_daemon_leaves_in_the_repository_is_never_tracked() -> None:
    if not (REPOSITORY / ".git").exists():
        pytest.skip("no repository, so what git ignores was NOT tested")
    names = [".ftpsvc/receipts/sums-0001.json", "docs/course/10-homework/.ftpsvc/receipts/allowed_signers"]
    names.append("server_storage/.ftpsvc/key.pem")
    assert git("check-ignore", "--no-index", *names) == names
    assert not [name for name in git("ls-files") if ".ftpsvc" in name.split("/")]


def test_an_af_unix_address_fits_in_the_short_directory(short_tmp: Path) -> None:
    assert len(os.fsencode(short_tmp / "daemon.sock")) < 100
