"""The environment that tests/conftest.py gives every test."""

import os
from pathlib import Path

import platformdirs

REPOSITORY = Path(__file__).resolve().parents[2]


def test_home_and_settings_are_the_tests_own(own_environment: Path) -> None:
    assert Path.home() == own_environment
    assert Path(platformdirs.user_config_dir("ftpsvc")).is_relative_to(own_environment)
    # The patience of completion is a setting of the tests: a slow machine must not take names for missing.
    known = {"FTPSVC_FULL", "FTPSVC_COMPLETION_TIMEOUT"}
    assert not {name for name in os.environ if name.startswith("FTPSVC_")} - known


def test_nothing_is_written_into_the_repository_by_default() -> None:
    assert not Path.cwd().is_relative_to(REPOSITORY)
    assert os.listdir() == []


def test_an_af_unix_address_fits_in_the_short_directory(short_tmp: Path) -> None:
    assert len(os.fsencode(short_tmp / "daemon.sock")) < 100
