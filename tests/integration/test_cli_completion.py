"""Completion in real shells: what a Tab makes of a line."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.helpers.cli import GUARD, Cli
from tests.helpers.daemon import ServerProcess, server
from tests.helpers.terminal import Terminal

NAMES = ["my file.txt", "a:b.txt", "it's.txt", "b,c.txt", "$x (1).txt", "深 水.txt", "-rf"]


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    with server(tmp_path_factory.mktemp("root"), "--durability", "relaxed") as running:
        for name in NAMES:
            (running.public / name).write_bytes(b"1")
        (running.public / "folder" / "sub").mkdir(parents=True)
        (running.public / "folder" / "inner.txt").write_bytes(b"1")
        yield running


@pytest.fixture
def cli(daemon: ServerProcess, tmp_path: Path) -> Cli:
    (tmp_path / "local name.bin").write_bytes(b"1")
    return Cli(tmp_path, daemon.url)


def shell(name: str) -> str:
    found = shutil.which(name)
    if found is None:
        pytest.skip(f"{name} is not installed, so its completion was NOT tested")
    return found


class Prompt:
    """An interactive shell that completes `ftpsvc`."""

    def __init__(self, terminal: Terminal) -> None:
        self._terminal = terminal

    def completes(self, typed: str, becomes: str) -> None:
        """Types a line and Tab, and waits for what becomes of it; in that, @ is where the cursor has to be then."""
        text = becomes.removesuffix("@").rstrip()
        self._terminal.send(typed + "\t")
        self._terminal.shows(re.escape(text) + "$")
        self._terminal.send("@")
        self._terminal.shows("@$")
        assert self._terminal.paper.line == "$ " + becomes
        self._terminal.send("\x15")
        self._terminal.shows(r"^\$$")


@pytest.fixture
def bash(cli: Cli) -> Iterator[Prompt]:
    environment = cli.environment(
        {"PS1": "$ ", "INPUTRC": "/dev/null", "PATH": f"{Path(cli.program).parent}:/bin:/usr/bin"}
    )
    with Terminal(
        [shell("bash"), "--norc", "--noprofile"], env=environment, cwd=cli.here, columns=200
    ) as terminal:
        terminal.shows(r"^\$$")
        terminal.send(
            "bind 'set enable-bracketed-paste off'; eval \"$(ftpsvc completion bash)\"; echo re''ady\r"
        )
        terminal.expect("\nready\n")
        terminal.shows(r"^\$$")
        yield Prompt(terminal)


@pytest.fixture
def zsh(cli: Cli) -> Iterator[Prompt]:
    environment = cli.environment({"PATH": f"{Path(cli.program).parent}:/bin:/usr/bin", "PROMPT": "$ "})
    with Terminal([shell("zsh"), "-f"], env=environment, cwd=cli.here, columns=200) as terminal:
        terminal.shows(r"\$$")
        terminal.send(
            "PROMPT='$ '; autoload -U compinit; compinit -u -D; unsetopt zle_bracketed_paste auto_remove_slash; "
            'unsetopt prompt_sp prompt_cr; eval "$(ftpsvc completion zsh)"; echo re'
            "ady\r"
        )
        terminal.expect("\nready\n")
        terminal.shows(r"^\$$")
        yield Prompt(terminal)


@pytest.fixture
def fish(cli: Cli) -> Iterator[Prompt]:
    environment = cli.environment(
        {"PATH": f"{Path(cli.program).parent}:/bin:/usr/bin", "fish_features": "no-query-term"}
    )
    with Terminal([shell("fish"), "--no-config"], env=environment, cwd=cli.here, columns=200) as terminal:
        terminal.shows("[>#]$")
        terminal.send("function fish_prompt; echo '$ '; end; ftpsvc completion fish | source; echo re''ady\r")
        terminal.expect("\nready\n")
        terminal.shows(r"^\$$")
        yield Prompt(terminal)


# What is typed, and what stands there after a Tab: @ is where the cursor was left.
LINES = [
    ("ftpsvc ver", "ftpsvc verify @"),
    ("ftpsvc ls --rec", "ftpsvc ls --recursive @"),
    ("ftpsvc completion fi", "ftpsvc completion fish @"),
    ("ftpsvc get my", "ftpsvc get my\\ file.txt @"),
    ("ftpsvc get it", "ftpsvc get it\\'s.txt @"),
    ("ftpsvc get b,", "ftpsvc get b,c.txt @"),
    ("ftpsvc get a:", "ftpsvc get a:b.txt @"),
    ("ftpsvc get 'my", "ftpsvc get 'my file.txt' @"),
    ("ftpsvc get folder/i", "ftpsvc get folder/inner.txt @"),
    ("ftpsvc put x --to fol", "ftpsvc put x --to folder/@"),
    ("ftpsvc get nope", "ftpsvc get nope@"),
    ("ftpsvc put loc", "ftpsvc put local\\ name.bin @"),
]


@pytest.mark.parametrize(("typed", "completed"), LINES)
def test_bash(bash: Prompt, typed: str, completed: str) -> None:
    bash.completes(typed, completed)


@pytest.mark.parametrize(
    ("typed", "completed"),
    [
        ("ftpsvc get \\$", "ftpsvc get \\$x\\ \\(1\\).txt @"),
        ('ftpsvc get "$', 'ftpsvc get "\\$x (1).txt" @'),
        ('ftpsvc get "it', 'ftpsvc get "it\'s.txt" @'),
        ("ftpsvc get 深", "ftpsvc get 深\\ 水.txt @"),
        ("ftpsvc get ./-", "ftpsvc get ./-rf @"),
        ("true; X=1 ftpsvc get my", "true; X=1 ftpsvc get my\\ file.txt @"),
    ],
)
def test_bash_quotes_what_it_would_take_for_its_own(bash: Prompt, typed: str, completed: str) -> None:
    bash.completes(typed, completed)


def test_bash_knows_the_server_that_the_line_names(daemon: ServerProcess, bash: Prompt) -> None:
    for option in (f"--server {daemon.url}", f"--server={daemon.url}", f"-s {daemon.url}"):
        line = f"FTPSVC_SERVER= ftpsvc {option} get my"
        bash.completes(line, f"{line}\\ file.txt @")


@pytest.mark.parametrize(("typed", "completed"), LINES)
def test_zsh(zsh: Prompt, typed: str, completed: str) -> None:
    zsh.completes(typed, completed)


@pytest.mark.parametrize(("typed", "completed"), LINES)
def test_fish(fish: Prompt, typed: str, completed: str) -> None:
    fish.completes(typed, completed)


def test_profiles_are_completed(cli: Cli) -> None:
    assert cli.url is not None
    for name in ("lab", "labor", "other"):
        cli("profile", "add", name, cli.url)
    for line in ("ftpsvc --server la", "ftpsvc ls -s la", "ftpsvc profile use la"):
        done = cli(env={"_FTPSVC_COMPLETE": "bash_complete", "COMP_LINE": line})
        assert done.lines == ["=lab", "=labor"]


def test_what_cannot_be_answered_is_not_answered_and_nothing_is_said(cli: Cli) -> None:
    for url in ("ftpsvc+tcp://127.0.0.1:1", "nonsense", "no-such-profile"):
        done = cli(env={"_FTPSVC_COMPLETE": "bash_complete", "COMP_LINE": f"ftpsvc --server {url} get my"})
        assert (done.out.strip(), done.err) == ("", "")
    for instruction in ("bash_nonsense", "csh_complete", "bash", "_", "bash_complete"):
        done = cli(env={"_FTPSVC_COMPLETE": instruction})
        assert (done.code, done.out.strip(), done.err) == (1, "", "")


@pytest.mark.parametrize("name", ["bash", "zsh", "fish"])
def test_the_script_names_the_command_and_its_variable(cli: Cli, name: str) -> None:
    text = cli.ok("completion", name).out
    assert re.search(rf"_FTPSVC_COMPLETE={name}_complete", text)
    assert "%(" not in text
    assert cli(env={"_FTPSVC_COMPLETE": f"{name}_source"}).out == text


@pytest.mark.parametrize(("name", "check"), [("bash", "-n"), ("zsh", "-n"), ("fish", "--no-execute")])
def test_the_script_has_no_syntax_error(cli: Cli, name: str, check: str) -> None:
    (cli.here / "script").write_bytes(cli.ok("completion", name).raw_out)
    subprocess.run([shell(name), check, "script"], cwd=cli.here, check=True, timeout=GUARD)


def test_a_shell_that_is_not_known_is_usage(cli: Cli) -> None:
    assert cli("completion", "tcsh").code == 2
