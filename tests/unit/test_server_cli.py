"""The command: light to import, and complete."""

import json
import subprocess
import sys

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


def test_the_page_knows_every_flag() -> None:
    flags = {option for parameter in command.params for option in parameter.opts if option.startswith("--")}
    assert flags == {*FLAGS.values(), "--config", "--check-config", "--version"}


def test_help_fits_a_terminal() -> None:
    result = CliRunner().invoke(command, ["--help"])
    assert result.exit_code == 0
    assert all(len(line) <= 80 for line in result.output.splitlines())
