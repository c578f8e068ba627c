"""The command: light to import, and complete."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from ftpsvc.server.cli import command
from tests.helpers.settings_table import FLAGS

LOADED = "import json, sys, ftpsvc.server.cli; print(json.dumps(sorted(sys.modules)))"


def test_help_does_not_wait_for_what_only_a_running_server_needs() -> None:
    done = subprocess.run(
        [sys.executable, "-c", LOADED], capture_output=True, text=True, check=True, timeout=60
    )
    loaded = set(json.loads(done.stdout))
    assert loaded.isdisjoint({"pydantic", "pydantic_settings", "socketserver", "ssl", "blake3"})


@pytest.mark.parametrize("arguments", [["--guest", "read"], ["user", "list"]])
def test_without_its_dependencies_it_says_how_to_get_them(arguments: list[str], tmp_path: Path) -> None:
    blocked = (
        "import sys\n"
        "sys.modules.update(dict.fromkeys(('alembic', 'cryptography', 'pydantic_settings', 'sqlalchemy')))\n"
        "import ftpsvc.server.cli\n"
        "ftpsvc.server.cli.main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", blocked, *arguments], capture_output=True, text=True, timeout=60, cwd=tmp_path
    )
    assert done.returncode == 3
    error, hint = done.stderr.splitlines()
    assert error.startswith("ftpsvc-server: error: the daemon's own dependencies are not installed")
    assert ".whl[server]" in hint
    assert not list(tmp_path.iterdir())


def test_the_page_knows_every_flag() -> None:
    flags = {option for parameter in command.params for option in parameter.opts if option.startswith("--")}
    assert flags == {*FLAGS.values(), "--config", "--check-config", "--version"}


def test_help_fits_a_terminal() -> None:
    result = CliRunner().invoke(command, ["--help"])
    assert result.exit_code == 0
    assert all(len(line) <= 80 for line in result.output.splitlines())
