"""Output on consoles and pipes of another encoding: never an error, Chinese names right where they can be."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from tests.helpers.cli import Cli
from tests.helpers.raw_server import raw_server

FILES = {"/报告.txt": b"1", "/مرحبا": b"2", "/🎉": b"3", "/café": b"4"}
ASCII = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}


@pytest.fixture
def cli(tmp_path: Path) -> Cli:
    return Cli(tmp_path, None)


def test_cp936_shows_chinese_names_right_and_escapes_the_rest(cli: Cli) -> None:
    with raw_server(FILES) as (url, _):
        done = cli("--server", url, "ls", env={"PYTHONIOENCODING": "cp936"})
    assert done.code == 0
    lines = done.raw_out.decode("cp936").splitlines()
    assert "报告.txt" in lines
    assert "\\u0645\\u0631\\u062d\\u0628\\u0627" in lines
    assert "\\U0001f389" in lines


def test_an_error_about_a_name_can_be_written_everywhere(cli: Cli) -> None:
    with raw_server(FILES) as (url, _):
        done = cli("--server", url, "get", "不在", "🎉/x", env={"PYTHONIOENCODING": "cp936"})
    assert done.code == 3
    assert "/不在: no such file" in done.raw_err.decode("cp936")
    assert "\\U0001f389" in done.raw_err.decode("cp936")


@pytest.mark.parametrize("arguments", [("ls",), ("ls", "-l"), ("ls", "-R"), ("ls", "--json")])
def test_ascii_output_is_ascii(cli: Cli, arguments: tuple[str, ...]) -> None:
    with raw_server(FILES) as (url, _):
        done = cli("--server", url, *arguments, env=ASCII)
    assert (done.code, done.err) == (0, "")
    assert done.raw_out.isascii()
    assert "\\u62a5\\u544a.txt" in done.out


@pytest.mark.skipif(sys.platform in ("win32", "darwin"), reason="names there are always Unicode")
def test_names_go_round_in_an_ascii_locale(cli: Cli) -> None:
    with raw_server(FILES | {"/t/深/f": b"5"}) as (url, server):
        assert cli("--server", url, "get", "报告.txt", "🎉", env=ASCII).code == 0
        assert cli("--server", url, "get", "-r", "t", env=ASCII).code == 0
        assert sorted(os.listdir(cli.here)) == ["t", "报告.txt", "🎉"]
        assert (cli.here / "t" / "深" / "f").read_bytes() == b"5"
        (cli.here / "新的").write_bytes(b"new")
        assert cli("--server", url, "put", "新的", env=ASCII).code == 0
        assert server.files["/新的"] == b"new"


def test_help_and_the_history_of_the_shell_are_no_exception(cli: Cli) -> None:
    assert cli("--help", env=ASCII).code == 0
    assert cli("put", "--nonsense-名", env=ASCII).code == 2
