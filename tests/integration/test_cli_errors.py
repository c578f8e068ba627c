"""What the command line says and returns when things go wrong: exit codes, one line, a hint, never a traceback."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.helpers.cli import GUARD, Cli, until
from tests.helpers.raw_server import Header, RawServer, raw_server
from tests.helpers.terminal import Terminal


@pytest.fixture
def cli(tmp_path: Path) -> Cli:
    return Cli(tmp_path, None)


def test_nobody_listens_there(cli: Cli) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        done = cli("--server", f"ftpsvc+tcp://127.0.0.1:{free.getsockname()[1]}", "ls")
    assert done.code == 8
    assert done.err.startswith("ftpsvc: cannot connect to ftpsvc+tcp://127.0.0.1:")
    assert "\nhint: " in done.err


@pytest.fixture
def silent() -> Iterator[str]:
    """A listener that never says anything."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield f"ftpsvc+tcp://127.0.0.1:{listener.getsockname()[1]}"


def test_a_server_that_says_nothing_is_given_up(cli: Cli, silent: str) -> None:
    done = cli("ls", "--server", silent, "--timeout", "0.2")
    assert (done.code, done.out) == (9, "")
    assert done.err == (
        "ftpsvc: timed out after 0.2 s waiting for the greeting\n"
        f"hint: is it an ftpsvc server, and one without TLS? try {silent.replace('+tcp', '')}\n"
    )


@pytest.mark.parametrize(
    ("code", "fields", "expected"),
    [
        ("not-found", {"path": "/x"}, 3),
        ("already-exists", {"path": "/x"}, 4),
        ("is-a-directory", {"path": "/x"}, 5),
        ("not-a-directory", {"path": "/x"}, 5),
        ("not-a-file", {"path": "/x"}, 5),
        ("permission-denied", {"reason": "no"}, 6),
        ("auth-required", {}, 7),
        ("digest-mismatch", {"path": "/x", "algorithm": "sha256", "expected": "a", "actual": "b"}, 10),
        ("quota-exceeded", {"path": "/x", "requested": 3, "used": 1, "limit": 2}, 11),
        ("no-space", {"path": "/x"}, 11),
        ("too-large", {"path": "/x", "requested": 3, "limit": 2}, 11),
        ("invalid-path", {"name": "x", "reason": "it is too odd"}, 12),
        ("changed", {"path": "/x"}, 13),
        ("read-failed", {"path": "/x", "reason": "bad sector"}, 13),
        ("busy", {"path": ""}, 14),
        ("unavailable", {"path": "", "reason": "the disk is gone"}, 14),
        ("bad-request", {"reason": "why"}, 1),
        ("never-heard-of", {}, 1),
    ],
)
def test_each_refusal_has_its_exit_code_and_one_line(
    cli: Cli, code: str, fields: Header, expected: int
) -> None:
    def refuses(server: RawServer, request: Header, conn: socket.socket) -> bool:
        if request["op"] != "get":
            return False
        server.error(conn, code, **fields)
        return True

    with raw_server({"/x": b"1"}, refuses) as (url, _):
        done = cli("--server", url, "get", "x")
    assert (done.code, done.out) == (expected, "")
    lines = done.err.splitlines()
    assert lines[0].startswith("ftpsvc: ")
    assert not lines[0].endswith(".")
    assert all(line.startswith("hint: ") for line in lines[1:])


def test_a_lost_connection_ends_several_names_at_once(cli: Cli) -> None:
    def vanishes(server: RawServer, request: Header, conn: socket.socket) -> bool:
        if request["op"] != "get" or request.get("path") != "b":
            return False
        conn.shutdown(socket.SHUT_RDWR)
        return True

    with raw_server({"/a": b"1", "/b": b"2", "/c": b"3"}, vanishes) as (url, server):
        done = cli("--server", url, "--retries", "0", "get", "a", "b", "c")
    assert done.code == 8
    assert done.lines[0].startswith("a -> a")
    assert "connection lost" in done.err
    assert [request["path"] for request in server.seen if request["op"] == "get"] == ["a", "b"]


@pytest.mark.parametrize(
    "arguments",
    [
        ("--nonsense",),
        ("nonsense",),
        ("put",),
        ("ls", "--timeout", "0"),
        ("ls", "--timeout", "soon"),
        ("ls", "--timeout", "nan"),
        ("mv", "a"),
    ],
)
def test_a_senseless_command_line_is_usage(cli: Cli, arguments: tuple[str, ...]) -> None:
    done = cli(*arguments)
    assert (done.code, done.out) == (2, "")
    first, second = done.err.splitlines()
    assert first.startswith("ftpsvc: ")
    assert second.startswith("hint: `ftpsvc")


def test_without_a_command_there_is_help(cli: Cli) -> None:
    done = cli()
    assert (done.code, done.out) == (2, "")
    assert "Commands:" in done.err
    assert "Commands:" in cli.ok("--help").out
    assert cli.ok("--version").out.startswith("ftpsvc 0.")


# ---------------------------------------------------------------- stdout


@pytest.mark.parametrize("arguments", [("ls",), ("ls", "--json"), ("get", "big", "--to", "-")])
def test_nobody_reads_the_output_to_its_end(cli: Cli, arguments: tuple[str, ...]) -> None:
    files = {f"/{number:05}": b"" for number in range(20000)} | {"/big": bytes(4 << 20)}
    with (
        raw_server(files) as (url, _),
        cli.started("--server", url, *arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process,
    ):
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.read(3)
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait(GUARD) == 141


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full on this system")
def test_an_output_that_cannot_be_written_is_an_error(cli: Cli) -> None:
    with (
        raw_server({"/a": b"1"}) as (url, _),
        open("/dev/full", "wb") as full,
        cli.started("--server", url, "ls", stdout=full, stderr=subprocess.PIPE) as process,
    ):
        assert process.stderr is not None
        assert b"the output cannot be written" in process.stderr.read()
        assert process.wait(GUARD) == 1


def test_closed_streams_are_no_fault(cli: Cli) -> None:
    with raw_server({"/a": b"1"}) as (url, _):
        command = 'exec "$0" "$@" >&- 2>&-'
        done = subprocess.run(
            ["sh", "-c", command, cli.program, "--server", url, "ls"],
            cwd=cli.here,
            timeout=GUARD,
            check=False,
        )
        assert done.returncode == 0
        for closed, arguments, code in (
            (">&-", ("get", "a", "--to", "-"), 141),
            ("<&-", ("put", "-", "--to", "b"), 13),
            ("<&-", ("shell",), 0),
        ):
            done = subprocess.run(
                ["sh", "-c", f'exec "$0" "$@" {closed}', cli.program, "--server", url, *arguments],
                cwd=cli.here, stderr=subprocess.PIPE, timeout=GUARD, check=False,
            )  # fmt: skip
            assert done.returncode == code, done.stderr
            assert b"fault" not in done.stderr


def test_choices_that_are_missing_are_told_in_one_line(cli: Cli) -> None:
    assert cli("completion").err.startswith(
        "ftpsvc: Missing argument '{bash|zsh|fish}'. Choose from: bash, zsh, fish\nhint: "
    )


# ---------------------------------------------------------------- faults and verbosity


def test_a_fault_of_our_own_is_one_line_and_vv_shows_where(cli: Cli) -> None:
    # A module that fails in a way nobody foresaw, put in front of the real one.
    broken = cli.here / "broken"
    broken.mkdir()
    (broken / "platformdirs.py").write_text("raise ValueError('never thought of')\n")
    environment = {"PYTHONPATH": str(broken)}
    done = cli("--server", "ftpsvc+tcp://127.0.0.1:1", "ls", env=environment)
    assert done.code == 1
    assert done.err.splitlines()[0] == "ftpsvc: a fault in ftpsvc itself: ValueError: never thought of"
    assert done.err.splitlines()[1].startswith("hint: please report it")
    told = subprocess.run(
        [cli.program, "-vv", "--server", "ftpsvc+tcp://127.0.0.1:1", "ls"],
        env=cli.environment(environment), capture_output=True, text=True, timeout=GUARD, check=False,
    )  # fmt: skip
    assert "Traceback" in told.stderr


def test_v_tells_what_is_going_on_and_q_only_errors(cli: Cli) -> None:
    with raw_server({"/a": b"1"}) as (url, _):
        assert f"ftpsvc: connecting to {url}" in cli("-v", "--server", url, "ls").err
        assert cli("ls", "--server", url, "-q").err == ""
        assert cli("-q", "--server", url, "get", "nope").err == "ftpsvc: /nope: no such file or directory\n"


# ---------------------------------------------------------------- interruption


class _Holding:
    """A server's bend: it holds up a transfer until the test lets go, and says when it has begun."""

    def __init__(self, op: str) -> None:
        self.op = op
        self.begun = threading.Event()
        self.go_on = threading.Event()

    def __call__(self, server: RawServer, request: Header, conn: socket.socket) -> bool:
        if request["op"] != self.op:
            return False
        if self.op == "get":
            server.send(conn, {"status": "ok", "size": 1 << 20, "file_size": 1 << 20, "algorithm": "sha256"})
            conn.sendall(bytes(1000))
        self.begun.set()
        assert self.go_on.wait(GUARD)
        raise ConnectionError("the client is gone by now")


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interrupted_upload_says_what_was_and_was_not_done(cli: Cli, number: int, code: int) -> None:
    (cli.here / "a").write_bytes(b"1")
    (cli.here / "b").write_bytes(bytes(8 << 20))
    (cli.here / "c").write_bytes(b"3")
    holding = _Holding("put")

    def second(server: RawServer, request: Header, conn: socket.socket) -> bool:
        return request.get("path") == "b" and holding(server, request, conn)

    with raw_server({}, second) as (url, server):
        with cli.started(
            "--server", url, "put", "a", "b", "c", stdout=subprocess.PIPE, stderr=subprocess.PIPE
        ) as process:
            assert holding.begun.wait(GUARD)
            process.send_signal(number)
            _, err = process.communicate(timeout=GUARD)
            holding.go_on.set()
        assert process.returncode == code
        said = err.decode()
        assert said == "ftpsvc: interrupted: 1 file was stored, b was not stored, the rest was not tried\n"
        assert list(server.files) == ["/a"]


def test_an_interrupted_download_leaves_nothing_behind(cli: Cli) -> None:
    holding = _Holding("get")
    with (
        raw_server({"/a": b"1"}, holding) as (url, _),
        cli.started("--server", url, "get", "a", stderr=subprocess.PIPE) as process,
    ):
        assert holding.begun.wait(GUARD)
        until(lambda: list(cli.here.iterdir()) != [])  # the temporary file: it has begun to write
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=GUARD)
        holding.go_on.set()
    assert (process.returncode, err.decode()) == (130, "ftpsvc: interrupted: a was not fetched\n")
    assert list(cli.here.iterdir()) == []


def test_an_interrupted_change_says_that_it_is_not_known(cli: Cli) -> None:
    begun, go_on = threading.Event(), threading.Event()

    def holds(server: RawServer, request: Header, conn: socket.socket) -> bool:
        if request["op"] != "mkdir":
            return False
        begun.set()
        return go_on.wait(GUARD)

    with (
        raw_server({}, holds, features=["mkdir"]) as (url, _),
        cli.started("--server", url, "mkdir", "d", stderr=subprocess.PIPE) as process,
    ):
        assert begun.wait(GUARD)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=GUARD)
        go_on.set()
    assert process.returncode == 130
    assert err.decode() == "ftpsvc: interrupted: what was asked for may or may not have been done\n"


def test_a_goodbye_that_is_not_answered_holds_up_no_data_and_costs_no_success(cli: Cli) -> None:
    holding = _Holding("quit")
    with (
        raw_server({"/a": b"1"}, holding) as (url, _),
        cli.started("--server", url, "ls", stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process,
    ):
        assert process.stdout is not None
        assert process.stdout.readline() == b"a\n"
        assert holding.begun.wait(GUARD)
        process.send_signal(signal.SIGINT)
        assert process.communicate(timeout=GUARD) == (b"", b"")
        holding.go_on.set()
    assert process.returncode == 0


def test_ctrl_c_while_connecting_is_one_line_too(cli: Cli, silent: str) -> None:
    with Terminal([cli.program, "-v", "--server", silent, "ls"], env=cli.environment()) as terminal:
        terminal.expect("connecting to")
        terminal.send("\x03")
        assert terminal.wait().strip().splitlines()[-1] == "ftpsvc: interrupted"
        assert terminal.code() == 130
