"""docs/cli.md says what the commands do, and all of it."""

from __future__ import annotations

import os
import re
from pathlib import Path

import click
import pytest

from ftpsvc_client.cli import exits
from ftpsvc_client.cli.commands import ftpsvc, load
from ftpsvc_client.cli.shell import commands as shell_commands
from tests.helpers import pages
from tests.helpers.cli import program
from tests.helpers.daemon import server

PAGE = Path(__file__).resolve().parents[2] / "docs" / "cli.md"
SHOWN = "ftpsvc+tcp://127.0.0.1:9021"


def test_every_example_does_what_the_page_shows(tmp_path: Path) -> None:
    here = tmp_path / "here"
    here.mkdir()
    environment = {
        **os.environ,
        "PATH": f"{Path(program()).parent}:{os.environ['PATH']}",
        "LC_ALL": "C.UTF-8",
    }
    wrong = []
    with server(tmp_path / "root") as running:
        for step in pages.steps(PAGE):
            lines = pages.run(step, environment, here, {SHOWN: running.url})
            if not step.matches(lines):
                wrong.append("\n".join(["$ " + step.command, *lines]))
    assert wrong == []


def section(heading: str) -> str:
    text = PAGE.read_text(encoding="utf-8")
    found = re.search(rf"^## {re.escape(heading)}$(.*?)(?=^## |\Z)", text, re.MULTILINE | re.DOTALL)
    assert found is not None, f"no section {heading!r}"
    return found[1]


def options(command: click.Command) -> set[str]:
    return {
        option
        for param in command.params
        if isinstance(param, click.Option)
        for option in (*param.opts, *param.secondary_opts)
    } | {"--help"}


def named(text: str) -> set[str]:
    return set(re.findall(r"(?<![\w-])--?[A-Za-z0-9][\w-]*", text))


COMMON = options(ftpsvc) | {"--json"}


def every_command() -> list[tuple[str, click.Command]]:
    context = click.Context(ftpsvc)
    return [(name, command) for name in ftpsvc.list_commands(context) if (command := load(name)) is not None]


@pytest.mark.parametrize(("name", "command"), every_command())
def test_every_command_and_option_is_on_the_page(name: str, command: click.Command) -> None:
    text = section(name)
    assert f"`ftpsvc {name}" in text
    parts = [command]
    if isinstance(command, click.Group):
        parts += command.commands.values()
        for part in command.commands.values():
            assert f"`ftpsvc {name} {part.name}" in text
    for part in parts:
        assert options(part) - COMMON <= named(text)


def test_the_common_options_are_on_the_page_and_each_command_has_them() -> None:
    assert named(section("Options of every command")) >= COMMON
    silent = {"shell", "completion", "profile", "login", "logout", "passwd"}
    for name, command in every_command():
        expected = COMMON - {"--version"} - ({"--json"} if name in silent else set())
        if not isinstance(command, click.Group):
            assert expected <= options(command), name


def test_the_page_names_no_option_that_there_is_not() -> None:
    real = set(COMMON)
    for _, command in every_command():
        for part in [command, *(command.commands.values() if isinstance(command, click.Group) else ())]:
            real |= options(part)
    text = re.sub(r"```.*?```", "", PAGE.read_text(encoding="utf-8"), flags=re.DOTALL)
    assert {option for option in named(text) if option.startswith("--")} <= real


def test_the_commands_of_the_shell_are_on_the_page() -> None:
    text = section("shell")
    for name in shell_commands.commands:
        assert f"`{name}" in text


def test_the_exit_codes_are_those_of_the_code() -> None:
    rows = re.findall(r"^\| (\d+) \| (.*) \|$", section("Exit codes"), re.MULTILINE)
    assert rows == [(str(meaning.code), meaning.text) for meaning in exits.TABLE]
