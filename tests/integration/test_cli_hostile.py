"""CASES C21: a server that lists, names and says whatever it likes. Nothing of it drives the terminal or the disk."""

from __future__ import annotations

import json
import os
import re
import socket
from pathlib import Path

import pytest

from tests.helpers.cli import Cli
from tests.helpers.raw_server import Header, Misbehave, RawServer, raw_server
from tests.helpers.terminal import Terminal

EVIL = "\x1b]0;owned\x07\x1b[2J"
HOSTILE = [
    "../escaped", "/etc/escaped", "..", ".", "a/../../escaped", "a\\..\\escaped", EVIL, "a\nb\r", "\x9b31m",
    "\u202egpj.exe", "C:\\escaped", "~/escaped", "-rf", "$(touch owned)",
]  # fmt: skip
USABLE = {"\u202egpj.exe", "-rf", "$(touch owned)"}

# What may drive a terminal: C0 but for newline, DEL, C1, and the bidirectional overrides.
DANGEROUS = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


def lists(*entries: Header) -> Misbehave:
    """A server that answers each `ls` with these entries."""

    def misbehave(server: RawServer, request: Header, conn: socket.socket) -> bool:
        if request["op"] != "ls":
            return False
        lines = b"".join(json.dumps(entry).encode() + b"\n" for entry in entries)
        server.send(conn, {"status": "ok", "size": len(lines)})
        conn.sendall(lines)
        return True

    return misbehave


@pytest.fixture
def cli(tmp_path: Path) -> Cli:
    here = tmp_path / "deep" / "here"
    here.mkdir(parents=True)
    return Cli(here, None)


@pytest.mark.parametrize(
    "arguments", [("ls",), ("ls", "-l"), ("ls", "-R"), ("ls", "--digests"), ("ls", "*"), ("ls", "-v")]
)
def test_c21_no_name_reaches_a_terminal_unescaped(cli: Cli, arguments: tuple[str, ...]) -> None:
    entries: list[Header] = [{"name": name, "type": "file", "file_size": 1} for name in HOSTILE]
    entries.append({"name": EVIL, "type": "file", "note": EVIL})
    entries.append({"name": EVIL, "type": "link"})
    with raw_server({}, lists(*entries), banner=EVIL, software=EVIL) as (url, _):
        done = cli("--server", url, *arguments)
        with Terminal([cli.program, "--server", url, *arguments], env=cli.environment()) as terminal:
            terminal.wait()
    assert done.code in (0, 3)
    assert not DANGEROUS.search(done.out + done.err)
    assert not DANGEROUS.search(terminal.raw.decode().replace("\r\n", "\n"))


def test_c21_json_is_ascii_whatever_the_names(cli: Cli) -> None:
    entries: list[Header] = [{"name": name, "type": "file"} for name in HOSTILE]
    with raw_server({}, lists(*entries)) as (url, _):
        done = cli("--server", url, "ls", "--json")
    assert not DANGEROUS.search(done.out)
    assert done.raw_out.isascii()
    assert [record["name"] for record in done.records if record["name"] in HOSTILE]


def test_c21_a_pattern_matches_only_what_can_be_a_name_and_nothing_is_written_elsewhere(cli: Cli) -> None:
    entries: list[Header] = [{"name": name, "type": "file", "file_size": 4} for name in HOSTILE]
    names = {f"/{name}": b"evil" for name in USABLE}
    with raw_server(names, lists(*entries)) as (url, server):
        done = cli("--server", url, "get", "*")
    assert sorted(os.listdir(cli.here)) == sorted(USABLE)
    assert {str(request["path"]) for request in server.seen if request["op"] == "get"} == USABLE
    assert done.err.count("left out: ") == len(HOSTILE) - len(USABLE)
    assert not DANGEROUS.search(done.out + done.err)
    assert [path.name for path in cli.here.parent.parent.iterdir()] == ["deep"]


def test_c21_a_recursive_pattern_does_not_believe_paths(cli: Cli) -> None:
    entries: list[Header] = [
        {"name": name, "type": "file", "file_size": 4}
        for name in ("a/../../escaped", "../x", "/etc/x", "a//b", "ok/fine")
    ]
    with raw_server({"/ok/fine": b"good"}, lists(*entries), features=["recursive"]) as (url, server):
        cli("--server", url, "get", "**")
    assert os.listdir(cli.here) == ["fine"]
    assert {str(request["path"]) for request in server.seen if request["op"] == "get"} == {"ok/fine"}


def test_c21_a_tree_stays_in_its_target_and_follows_no_link_there(cli: Cli) -> None:
    outside = cli.here.parent / "outside"
    outside.mkdir()
    (cli.here / "t").mkdir()
    (cli.here / "t" / "link").symlink_to(outside)
    entries: list[Header] = [
        {"name": name, "type": "file", "file_size": 4}
        for name in [*HOSTILE, "link/x"] if name not in USABLE and name[0] != "~"
    ]  # fmt: skip
    entries.append({"name": "link", "type": "dir"})
    with raw_server({"/t/link/x": b"evil"}, lists(*entries), features=["recursive"]) as (url, _):
        done = cli("--server", url, "get", "-r", "t")
    assert done.code == 20
    assert list(outside.iterdir()) == []
    assert os.listdir(cli.here / "t") == ["link"]
    assert not DANGEROUS.search(done.out + done.err)


def test_c21_what_a_server_says_of_an_error_is_escaped(cli: Cli) -> None:
    def refuses(server: RawServer, request: Header, conn: socket.socket) -> bool:
        if request["op"] == "quit":
            return False
        server.send(
            conn,
            {"status": "error", "code": EVIL[:60], "message": EVIL + "\nftpsvc: all is well\n", "path": EVIL},
        )
        return True

    with raw_server({}, refuses) as (url, _):
        done = cli("--server", url, "ls", "x")
    assert done.code == 1
    assert not DANGEROUS.search(done.err)
    assert len(done.err.splitlines()) == 1


def test_c21_the_answer_to_cd_is_shown_escaped_and_remembered_as_it_is(cli: Cli) -> None:
    def elsewhere(server: RawServer, request: Header, conn: socket.socket) -> bool:
        if request["op"] != "cd":
            return False
        server.send(conn, {"status": "ok", "path": "/" + EVIL})
        return True

    with raw_server({}, elsewhere) as (url, _):
        done = cli("--server", url, "cd", "x")
        again = cli("--server", url, "ls")
    assert not DANGEROUS.search(done.out + done.err + again.out + again.err)


def test_c21_completion_offers_only_what_can_be_a_name(cli: Cli) -> None:
    entries: list[Header] = [{"name": name, "type": "file"} for name in [*HOSTILE, "good"]]
    line = "ftpsvc get "
    with raw_server({}, lists(*entries)) as (url, _):
        done = cli(
            env={
                "_FTPSVC_COMPLETE": "bash_complete",
                "COMP_LINE": line,
                "FTPSVC_SERVER": url,
                "COMP_WORDBREAKS": ":=",
            }
        )
    offered = done.out.splitlines()
    assert "=good" in offered
    assert "=./-rf" in offered
    assert r"=\$\(touch\ owned\)" in offered
    assert len(offered) == 1 + len(USABLE)
