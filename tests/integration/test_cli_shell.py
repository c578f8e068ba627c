"""`ftpsvc shell`: as a script on stdin, and on a terminal."""

from __future__ import annotations

import os
import socket
import stat
import threading
from pathlib import Path

import pytest

from tests.helpers.cli import Cli, listed, until
from tests.helpers.daemon import server
from tests.helpers.raw_server import Header, RawServer, raw_server
from tests.helpers.terminal import GUARD, Terminal


def script(*lines: str) -> bytes:
    return "\n".join(lines).encode()


# ---------------------------------------------------------------- scripts


def test_a_script_runs_in_one_session(cli: Cli, public: Path) -> None:
    (cli.here / "sub").mkdir()
    (cli.here / "sub" / "my file").write_bytes(b"1")
    done = cli.ok(
        "shell",
        stdin=script(
            "mkdir -p a/b", "cd a/b", "pwd", "lcd sub", "lpwd", "lls", "put -q 'my file' --to new\\ name",
            'get "new name" --to back', "cd ..", "ls --json", "exit", "rm -r /a",
        ),
    )  # fmt: skip
    assert done.lines[:3] == ["/a/b", str(cli.here / "sub"), "my file"]
    assert done.lines[3].startswith("new name -> back  1 B  blake3 ")
    assert done.lines[4].startswith('{"path": "b"')
    assert len(done.lines) == 5
    assert listed(public / "a" / "b") == ["new name"]


def test_a_script_runs_on_one_connection(tmp_path: Path) -> None:
    with raw_server({"/a/f": b"1"}) as (url, raw):
        Cli(tmp_path, url).ok("shell", stdin=script("pwd", "cd a", "ls", "get f", "pwd"))
        assert raw.connections == 1


def test_the_directory_of_a_shell_is_its_own(cli: Cli, public: Path) -> None:
    (public / "d").mkdir()
    (public / "e").mkdir()
    cli.ok("cd", "d")
    assert cli.ok("shell", stdin=script("pwd", "cd /e", "pwd")).lines == ["/d", "/e"]
    assert cli.ok("pwd").out == "/d\n"


def test_c08_empty_lines_blanks_and_comments_are_nothing(cli: Cli) -> None:
    assert cli.ok("shell", stdin=script("", "   ", "\t", "# pwd", "", "pwd", "")).lines == ["/"]
    assert cli.ok("shell", stdin=b"").out == ""
    assert cli.ok("shell", stdin=b"\xef\xbb\xbfpwd\r\n").lines == ["/"]  # as Notepad saves it


def test_a_script_ends_at_the_first_command_that_fails(cli: Cli, public: Path) -> None:
    done = cli("shell", stdin=script("mkdir a", "get nope", "mkdir b"))
    assert (done.code, done.err) == (3, "ftpsvc: /nope: no such file or directory\n")
    assert listed(public) == ["a"]
    done = cli("shell", stdin=script("-get nope", "- rm nope", "mkdir b"))
    assert done.code == 0
    assert listed(public) == ["a", "b"]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("nonsense", "there is no command 'nonsense'"),
        ("put 'a", "the quotation mark ' is not closed"),
        ("ls --server x", "the shell stays with its server"),
        ("ls --timeout 3", "belongs to `ftpsvc shell` itself"),
        ("profile list", "there is no command 'profile'"),
        ("shell", "there is no command 'shell'"),
        ("put - --to x", "stdin is where the shell's commands come from"),
        ("ls --nonsense", "No such option"),
    ],
)
def test_a_senseless_line_is_usage(cli: Cli, line: str, said: str) -> None:
    done = cli("shell", stdin=script(line, "pwd"))
    assert (done.code, done.out) == (2, "")
    assert said in done.err


def test_patterns_and_the_tilde_are_expanded_at_the_prompt(
    cli: Cli, public: Path, own_environment: Path
) -> None:
    for name in ("a.txt", "b.txt", "c"):
        (cli.here / name).write_bytes(b"1")
    (own_environment / "home.txt").write_bytes(b"2")
    (public / "back").mkdir()
    cli.ok(
        "shell",
        "-q",
        stdin=script("put *.txt ~/home.txt", "mv *.txt back", "get back/* --to ~", "lcd", "lls"),
    )
    assert listed(public / "back") == ["a.txt", "b.txt", "home.txt"]
    assert {"a.txt", "b.txt", "home.txt"} <= set(os.listdir(own_environment))


def test_options_of_one_line_end_with_it(cli: Cli) -> None:
    lines = cli.ok("shell", stdin=script("pwd --json", "pwd")).lines
    assert lines == ['{"directory": "/"}', "/"]
    assert len(cli.ok("--json", "shell", stdin=script("pwd", "pwd")).records) == 2


def test_help_lists_and_explains(cli: Cli) -> None:
    done = cli.ok("shell", stdin=script("help", "?", "help put", "help lcd"))
    for name in ("put", "get", "ls", "cd", "verify", "lcd", "lls", "lpwd", "help", "exit"):
        assert f"\n{name} " in "\n" + done.out
    assert "--no-clobber" in done.out
    assert cli("shell", stdin=script("help nonsense")).code == 2


def test_the_errors_of_this_side_have_their_exit_codes(cli: Cli) -> None:
    assert cli("shell", stdin=b"lcd nope").code == 3
    assert cli("shell", stdin=b"lls nope").code == 3
    (cli.here / "file").write_bytes(b"")
    assert cli("shell", stdin=b"lcd file").code == 5


# ---------------------------------------------------------------- on a terminal


def test_a_prompt_shows_where_it_is_and_leaves_by_ctrl_d(cli: Cli, public: Path) -> None:
    (public / "目录").mkdir()
    with Terminal([cli.program, "shell"], env=cli.environment(), cwd=cli.here) as terminal:
        terminal.expect(r"127\.0\.0\.1:/>")
        terminal.send("cd 目录\r")
        terminal.expect(r"127\.0\.0\.1:/目录>")
        terminal.send("\r")  # C08: an empty line is no error
        terminal.expect(r"127\.0\.0\.1:/目录>")
        terminal.send("nonsense\r")
        terminal.expect("there is no command 'nonsense'")
        terminal.expect(">")
        terminal.send("half a li\x03")  # Ctrl-C: the line is dropped, the shell stays
        terminal.expect(">")
        terminal.send("pwd\r")
        terminal.expect("\n/目录\n")
        terminal.expect(">")
        terminal.leave()
        assert terminal.code() == 0


def test_the_history_is_kept_for_its_owner_only(cli: Cli, own_environment: Path) -> None:
    for number in range(2):
        with Terminal([cli.program, "shell"], env=cli.environment(), cwd=cli.here) as terminal:
            terminal.expect("/>")
            if number == 0:
                terminal.send("lpwd\r")
            else:
                terminal.send("\x1b[A\x1b[A\r")  # two up: the line before `exit`
            terminal.expect("\n" + str(cli.here))
            terminal.expect("/>")
            terminal.send("exit\r")
            assert terminal.code() == 0
    (history,) = own_environment.rglob("history")
    assert stat.S_IMODE(history.stat().st_mode) == 0o600


def test_tab_completes_commands_options_and_names_of_both_sides(cli: Cli, public: Path) -> None:
    (public / "my folder").mkdir()
    (public / "my folder" / "报告 1.txt").write_bytes(b"1")
    (cli.here / "local file.bin").write_bytes(b"2")
    with Terminal([cli.program, "shell"], env=cli.environment(), cwd=cli.here) as terminal:
        terminal.expect("/>")
        terminal.send("ver\t")
        terminal.shows("verify")
        terminal.send("\x15ls --rec\t")
        terminal.shows("--recursive")
        terminal.send("\x15get my\t")
        terminal.shows("get 'my folder/'")
        terminal.send("\x15get 'my folder/报\t")
        terminal.shows("get 'my folder/报告 1.txt'")
        terminal.send("\r")
        terminal.expect("-> 报告 1.txt  1 B")
        terminal.expect("/>")
        terminal.send("put loc\t")
        terminal.shows("put 'local file.bin'")
        terminal.send("\r")
        terminal.expect("local file.bin -> /local file.bin")
        terminal.expect("/>")
        terminal.send("rm loc\t")  # what has just been put is known
        terminal.shows("rm 'local file.bin'")
        terminal.send("\r")
        until(lambda: not (public / "local file.bin").exists())
        terminal.expect("/>")
        terminal.send("exit\r")
        assert terminal.code() == 0
    assert (cli.here / "报告 1.txt").read_bytes() == b"1"


def test_ctrl_c_stops_a_transfer_and_not_the_shell_which_keeps_its_directory(tmp_path: Path) -> None:
    begun, go_on = threading.Event(), threading.Event()

    def holds(server: RawServer, request: Header, conn: socket.socket) -> bool:
        if request["op"] != "put":
            return False
        begun.set()
        assert go_on.wait(GUARD)
        raise ConnectionError("the client is gone by now")

    (tmp_path / "big").write_bytes(bytes(32 << 20))
    with raw_server({"/d/f": b"1"}, holds) as (url, raw):
        cli = Cli(tmp_path, url)
        with Terminal([cli.program, "shell"], env=cli.environment(), cwd=tmp_path) as terminal:
            terminal.expect(":/>")
            terminal.send("cd d\r")
            terminal.expect(":/d>")
            terminal.send("put big\r")
            assert begun.wait(GUARD)
            terminal.send("\x03")
            terminal.expect("ftpsvc: interrupted: big was not stored")
            go_on.set()
            terminal.expect(":/d>")
            terminal.send("ls\r")
            terminal.expect("\nf\n")
            terminal.expect(":/d>")
            terminal.send("exit\r")
            assert terminal.code() == 0
        assert raw.connections == 2


def test_a_server_that_went_away_ends_a_command_and_not_the_shell(cli: Cli, tmp_path: Path) -> None:
    with (
        server(tmp_path / "other") as other,
        Terminal(
            [cli.program, "shell", "--server", other.url], env=cli.environment(), cwd=cli.here
        ) as terminal,
    ):
        terminal.expect("/>")
        place = other.where
        assert other.stop() == 0
        with socket.socket() as held:  # so that no other test's server gets the port meanwhile
            held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            held.bind(place)
            terminal.send("ls\r")
            terminal.expect("ftpsvc: ")
            terminal.expect("/>")
            terminal.send("ls\r")
            terminal.expect("ftpsvc: cannot connect")
            terminal.expect("/>")
            terminal.send("ls no\t\r")  # completion says nothing
            terminal.expect("ftpsvc: cannot connect")
            terminal.expect("/>")
            terminal.leave()
            assert terminal.code() == 0
