"""`ftpsvc ls`, `cd`, `pwd`, `mkdir`, `rm`, `mv`, `stat`, `df` and `profile` against a real daemon."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from ftpsvc.text import width
from tests.helpers.cli import Cli, listed
from tests.helpers.daemon import server
from tests.helpers.terminal import Terminal


@pytest.fixture
def tree(public: Path) -> Path:
    """A few files whose times are known: 2001-09-09 in UTC."""
    (public / "docs" / "深").mkdir(parents=True)
    for name, content in {
        "a.txt": b"1",
        "报告.pdf": b"22",
        "docs/b.txt": b"333",
        "docs/深/c": b"",
        ".hidden": b"4",
    }.items():
        (public / name).write_bytes(content)
        os.utime(public / name, (1e9, 1e9))
    (public / "a.txt").chmod(0o755)
    return public


# ---------------------------------------------------------------- ls


def test_ls_prints_one_name_a_line_into_a_pipe(cli: Cli, tree: Path) -> None:
    assert cli.ok("ls").lines == [".hidden", "a.txt", "docs/", "报告.pdf"]
    assert cli.ok("ls", "docs").lines == ["b.txt", "深/"]
    assert cli.ok("ls", "a.txt", "docs/b.txt").lines == ["a.txt", "docs/b.txt"]
    assert cli.ok("ls", "docs", "docs/深").lines == ["docs:", "b.txt", "深/", "docs/深:", "c"]
    # What follows a directory's names is not in it.
    assert cli.ok("ls", "docs", "a.txt", "报告.pdf").lines == [
        "docs:",
        "b.txt",
        "深/",
        "",
        "a.txt",
        "报告.pdf",
    ]
    assert cli.ok("ls", "*").lines == ["a.txt", "docs/", "报告.pdf"]
    assert cli.ok("ls", "**/*.txt").lines == ["a.txt", "docs/b.txt"]
    assert cli.ok("ls", "-R").lines == [
        ".hidden",
        "a.txt",
        "docs/",
        "docs/b.txt",
        "docs/深/",
        "docs/深/c",
        "报告.pdf",
    ]
    assert cli("ls", "nope").code == 3


def test_ls_of_an_empty_directory_prints_nothing(cli: Cli) -> None:
    assert cli.ok("ls").out == ""
    assert cli.ok("ls", "--json").out == ""


def test_ls_l_has_columns(cli: Cli, tree: Path) -> None:
    lines = cli.ok("ls", "-l", stdin=b"").lines
    assert [line.split()[0] for line in lines] == ["-rw-r--r--", "-rwxr-xr-x", "drwxr-xr-x", "-rw-r--r--"]
    assert [line.split()[1] for line in lines] == ["1", "1", "-", "2"]
    assert all(line[27:31].isdigit() for line in lines), "the times stand in one column"
    human = cli.ok("ls", "-lh").lines
    assert human[3].split()[1:3] == ["2", "B"]


def test_ls_digests_shows_those_on_record_and_computes_the_others(cli: Cli, tree: Path) -> None:
    (cli.here / "own").write_bytes(b"own")
    cli.ok("put", "-q", "own")
    lines = cli.ok("ls", "--digests").lines
    assert [line.split()[0] for line in lines] == ["blake3", "blake3", "-", "blake3", "blake3"]
    assert cli.ok("ls", "--digests", "own").lines == [line for line in lines if line.endswith("  own")]
    assert cli.ok("ls", "--digests", "--algorithm", "md5", "a.txt").lines == [
        "md5 c4ca4238a0b923820dcc509a6f75849b  a.txt"
    ]


def test_ls_json_has_the_documented_shape(cli: Cli, tree: Path) -> None:
    by_path = {record["path"]: record for record in cli.ok("ls", "--json", "docs").records}
    assert list(by_path) == ["docs/b.txt", "docs/深"]
    file = by_path["docs/b.txt"]
    assert set(file) == {
        "path", "name", "type", "size", "modified", "mode", "version", "algorithm", "digest", "note"
    }  # fmt: skip
    assert (file["name"], file["type"], file["size"], file["modified"]) == ("b.txt", "file", 3, 10**18)
    assert by_path["docs/深"]["type"] == "dir"
    assert cli.ok("ls", "--json").raw_out.isascii()


def test_ls_on_a_terminal_lays_names_out_by_their_width(cli: Cli, public: Path) -> None:
    for name in ("a", "一二三四", "dd", "五六", "eeeeeeee", "f"):
        (public / name).write_bytes(b"")
    with Terminal([cli.program, "ls"], env=cli.environment(), columns=40) as terminal:
        lines = terminal.wait().strip().split("\n")
    assert len(lines) == 2
    starts = [
        [width(line[: line.index(name)]) for name in line.split()]
        for line in lines
    ]  # fmt: skip
    assert starts[0] == starts[1]
    assert len(starts[0]) == 3
    with Terminal([cli.program, "ls", "-1"], env=cli.environment(), columns=40) as terminal:
        assert len(terminal.wait().split()) == 6
    (public / "in").mkdir()
    (public / "in" / "inner").write_bytes(b"")
    with Terminal([cli.program, "ls", "a", "dd", "in", "f"], env=cli.environment(), columns=40) as terminal:
        assert [line.split() for line in terminal.wait().strip().split("\n")] == [
            ["a", "dd"], ["in:"], ["inner"], [], ["f"],
        ]  # fmt: skip


# ---------------------------------------------------------------- the directory that is remembered


def test_cd_is_remembered_for_each_server(cli: Cli, public: Path, tmp_path: Path) -> None:
    (public / "d" / "e").mkdir(parents=True)
    (cli.here / "f").write_bytes(b"1")
    assert cli.ok("cd", "d/e").out == "/d/e\n"
    assert cli.ok("pwd").out == "/d/e\n"
    cli.ok("put", "f")
    assert listed(public / "d" / "e") == ["f"]
    assert cli.ok("cd", "..", "-q").out == ""
    assert cli.ok("pwd", "--json").records == [{"directory": "/d"}]
    with server(tmp_path / "other") as other:
        assert cli.ok("--server", other.url, "pwd").out == "/\n"
    assert cli.ok("cd", "--json").records == [{"directory": "/"}]
    assert cli("cd", "nope").code == 3
    assert cli("cd", "d/e/f").code == 5
    assert cli.ok("pwd").out == "/\n"


def test_a_remembered_directory_that_is_gone_is_explained_and_left(cli: Cli, public: Path) -> None:
    (public / "d").mkdir()
    cli.ok("cd", "d")
    (public / "d").rmdir()
    done = cli("ls")
    assert done.code == 3
    assert "hint: that is where `ftpsvc cd` went; `ftpsvc cd /` goes back to the root" in done.err
    cli.ok("cd", "/")
    cli.ok("ls")


def test_a_damaged_memory_is_explained_and_written_anew(
    cli: Cli, public: Path, own_environment: Path
) -> None:
    (public / "d").mkdir()
    cli.ok("cd", "d")
    (file,) = (path for path in own_environment.rglob("directories/*.json"))
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    file.write_bytes(b'{"directory": ')
    done = cli("pwd")
    assert done.code == 2
    assert str(file) in done.err
    assert "hint: `ftpsvc cd /` writes it anew" in done.err
    cli.ok("cd", "/d")
    assert cli.ok("pwd").out == "/d\n"


def test_a_profile_is_a_name_for_a_server_with_a_directory_of_its_own(cli: Cli, public: Path) -> None:
    (public / "d").mkdir()
    url, cli.url = cli.url, None
    assert url is not None
    nothing = cli("ls")
    assert nothing.code == 2
    assert "profile add" in nothing.err
    assert "which is the default" in cli("profile", "add", "lab", url).err
    cli("profile", "add", "课堂", url)
    assert cli.ok("cd", "d").out == "/d\n"
    assert cli.ok("pwd").out == "/d\n"
    assert cli.ok("--server", "LAB", "pwd").out == "/d\n", "names are compared without regard to case"
    assert cli.ok("pwd", "-s", "课堂").out == "/\n"
    assert cli("pwd", env={"FTPSVC_SERVER": "课堂"}).out == "/\n"
    assert cli("pwd", env={"FTPSVC_SERVER": url}).out == "/\n"
    assert cli.ok("profile", "list").lines == [f"* lab  {url}", f"  课堂  {url}"]
    assert cli.ok("profile", "list", "--json").records == [
        {"name": "lab", "server": url, "default": True},
        {"name": "课堂", "server": url, "default": False},
    ]
    assert cli("profile", "add", "lab", url).code == 2
    assert cli("profile", "add", "--force", "lab", url).code == 0
    assert cli.ok("pwd").out == "/\n", "another server's directory means nothing"
    assert "which is the default" in cli("profile", "add", "--force", "LAB", url).err
    assert cli.ok("profile", "list").lines[0] == f"* LAB  {url}"
    cli("profile", "use", "课堂")
    assert cli.ok("profile", "list").lines[1].startswith("*")
    cli.ok("profile", "remove", "课堂")
    assert cli("pwd").code == 2
    assert cli("pwd", "-s", "课堂").code == 2
    for name in ("-x", "a/b", "..", "con", "a:b", "", "x" * 65, "a\nb"):
        assert cli("profile", "add", "--", name, url).code == 2
    assert cli("profile", "add", "a\nb", url).err.startswith("ftpsvc: 'a\\nb' is not a usable profile name")
    for address in ("host:1", "http://x", "ftpsvc+tcp://", ""):
        assert cli("profile", "add", "other", address).code == 2


# ---------------------------------------------------------------- mkdir, rm, mv, stat, df


def test_mkdir_and_rm(cli: Cli, public: Path) -> None:
    assert cli("mkdir", "a/b").code == 3
    cli.ok("mkdir", "-p", "a/b", "c")
    done = cli("mkdir", "c")
    assert (done.code, "-p" in done.err) == (4, True)
    (public / "file").write_bytes(b"")
    assert cli("mkdir", "-p", "file").err == "ftpsvc: /file: exists already\n", "-p was given, and is no cure"
    cli.ok("rm", "file")
    assert cli.ok("mkdir", "-p", "--json", "c").records == [{"path": "c", "created": False}]
    refused = cli("rm", "a")
    assert (refused.code, "hint: -r" in refused.err) == (5, True)
    assert cli("rm", "nope").code == 3
    assert cli.ok("rm", "-r", "--json", "a").records == [{"path": "a", "removed": 2}]
    for name in ("x.o", "y.o", "z.c"):
        (public / name).write_bytes(b"")
    cli.ok("rm", "*.o", "c")
    assert listed(public) == ["z.c"]
    assert cli("rm", "*.o").code == 3


def test_mv_never_replaces_what_it_has_just_moved(cli: Cli, public: Path) -> None:
    for name in ("a/x", "b/x", "b/y", "d/x"):
        (public / name).parent.mkdir(exist_ok=True)
        (public / name).write_bytes(name.encode())
    done = cli("mv", "a/x", "b/x", "b/y", "d")
    assert done.code == 20
    assert (
        done.err
        == "ftpsvc: d/x: exists already\nhint: a/x has got this name just now, which b/x would replace\n"
    )
    assert (public / "d" / "x").read_bytes() == b"a/x"
    assert (public / "b" / "x").read_bytes() == b"b/x"
    assert listed(public / "d") == ["x", "y"]


def test_mv_renames_or_moves_into(cli: Cli, public: Path) -> None:
    (public / "d").mkdir()
    for name in ("a", "b.txt", "c.txt"):
        (public / name).write_bytes(name.encode())
    cli.ok("mv", "a", "new")
    cli.ok("mv", "new", "d")
    assert cli.ok("mv", "--json", "*.txt", "d/").records == [
        {"from": "b.txt", "path": "/d/b.txt"},
        {"from": "c.txt", "path": "/d/c.txt"},
    ]
    assert listed(public / "d") == ["b.txt", "c.txt", "new"]
    assert cli("mv", "--no-clobber", "d/b.txt", "d/c.txt").code == 4
    assert cli("mv", "d/b.txt", "d/c.txt", "nope").code == 2
    assert cli("mv", "d").code == 2
    cli.ok("mv", "d/b.txt", "d/c.txt")
    assert (public / "d" / "c.txt").read_bytes() == b"b.txt"


def test_stat_and_df(cli: Cli, tree: Path) -> None:
    (cli.here / "own").write_bytes(b"own")
    cli.ok("put", "-q", "own")
    text = cli.ok("stat", "own", "docs").out
    assert "/own\n  kind      file\n  size      3 bytes (3 B)\n" in text
    assert "  digest    blake3 " in text
    assert "/docs\n  kind      dir\n" in text
    record = cli.ok("stat", "--json", "a.txt").records[0]
    assert (record["path"], record["size"], record["mode"]) == ("/a.txt", 1, 0o755)
    assert cli("stat", "nope").code == 3

    (room,) = cli.ok("df", "--json").records
    assert set(room) == {"limit", "used", "reserved", "free"}
    lines = {line.split()[0]: line.split()[-1] for line in cli.ok("df").lines}
    assert lines["free"].isdigit()
    assert cli.ok("df", "-h").lines[-1].endswith("iB")
