"""The chaos proxy: what it does to a connection, and only that."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import pytest

from ftpsvc.homework.kit import chaos as chaos_module
from ftpsvc.homework.kit.chaos import Chaos, ChaosProxy

GUARD = 120.0
"""Seconds after which something that must happen is taken to have failed."""


class Listener:
    """A server that hands over each connection as it is."""

    def __init__(self) -> None:
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.socket.settimeout(GUARD)

    @property
    def address(self) -> tuple[str, int]:
        host, port = self.socket.getsockname()
        return host, port

    def accept(self) -> socket.socket:
        one, _ = self.socket.accept()
        one.settimeout(GUARD)
        return one


@pytest.fixture
def listener() -> Iterator[Listener]:
    made = Listener()
    with made.socket:
        yield made


@contextmanager
def both(listener: Listener, chaos: Chaos) -> Iterator[tuple[socket.socket, socket.socket, list[str]]]:
    """Yields the client's end, the server's end, and what the proxy told, which is whole when this is over."""
    told: list[str] = []
    with (
        ChaosProxy(listener.address, chaos, told=told.append) as proxy,
        socket.create_connection(proxy.address, GUARD) as client,
        listener.accept() as server,
    ):
        yield client, server, told


def everything(one: socket.socket) -> list[bytes]:
    """What arrives up to the end, as recv gave it; a reset is an end too, and shown as b"reset"."""
    pieces = []
    try:
        while piece := one.recv(1 << 20):
            pieces.append(piece)
    except ConnectionResetError:
        pieces.append(b"reset")
    return pieces


def exactly(one: socket.socket, count: int) -> bytes:
    return b"".join(one.recv(1) for _ in range(count))


def send_all(one: socket.socket, content: bytes) -> None:
    one.sendall(content)
    one.shutdown(socket.SHUT_WR)


def test_without_faults_everything_arrives_and_each_end_is_passed_on(listener: Listener) -> None:
    content = bytes(range(256)) * 4000
    with both(listener, Chaos()) as (client, server, told):
        sending = threading.Thread(target=send_all, args=(client, content))
        sending.start()
        assert b"".join(everything(server)) == content
        sending.join()
        server.sendall(b"the other way still works")
        server.close()
        assert b"".join(everything(client)) == b"the other way still works"
    assert told == [f"connection 1: {len(content):,} bytes up, 25 bytes down"]


def test_c01_dribble_and_delay_send_every_byte_by_itself(listener: Listener) -> None:
    with both(listener, Chaos(ways=("up",), dribble=True, delay=0.02)) as (client, server, _):
        began = time.monotonic()
        client.sendall(b"dribbles")
        assert exactly(server, 8) == b"dribbles"
        assert (
            time.monotonic() - began >= 8 * 0.02
        )  # one delay for each piece; a busy machine only takes longer
        server.sendall(b"whole")
        assert client.recv(100) == b"whole"


def test_c02_coalesce_makes_one_piece_of_what_was_sent_in_many(
    listener: Listener, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chaos_module, "QUIET", GUARD)  # so that it is the end that has it sent
    with both(listener, Chaos(ways=("up",), coalesce=True)) as (client, server, _):
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for _ in range(20):
            client.sendall(b"put+ls")
        client.shutdown(socket.SHUT_WR)
        assert everything(server) == [b"put+ls" * 20]


def test_c45_one_bit_of_one_byte_is_flipped(listener: Listener) -> None:
    with both(listener, Chaos(ways=("up",), corrupt=3)) as (client, server, told):
        client.sendall(b"abcdef")
        client.shutdown(socket.SHUT_WR)
        assert b"".join(everything(server)) == b"abceef"
        server.sendall(b"abcdef")
        server.close()
        assert b"".join(everything(client)) == b"abcdef"
    assert told == ["connection 1: 6 bytes up, 6 bytes down, byte 3 up corrupted"]


@pytest.mark.parametrize("dribble", [False, True])
def test_c04_a_cut_lets_so_many_bytes_pass_and_resets_both(listener: Listener, dribble: bool) -> None:
    with both(listener, Chaos(ways=("up",), cut=5, dribble=dribble)) as (client, server, told):
        client.sendall(b"0123456789")
        arrived = everything(server)
        assert arrived[-1] == b"reset"
        assert b"".join(arrived[:-1]) == b"01234"
        assert everything(client) == [b"reset"]
    assert told == ["connection 1: 5 bytes up, 0 bytes down, cut up"]


def test_c57_a_stall_holds_one_direction_until_a_side_closes(listener: Listener) -> None:
    with both(listener, Chaos(ways=("up",), stall=4)) as (client, server, told):
        client.sendall(b"012345")
        assert exactly(server, 4) == b"0123"
        server.sendall(b"answer")
        assert client.recv(100) == b"answer"
        server.setblocking(False)
        with pytest.raises(BlockingIOError):
            server.recv(1)
        server.settimeout(GUARD)
        client.close()
        assert everything(server) == []
    assert told == ["connection 1: 4 bytes up, 6 bytes down, up stalled"]


def test_c09_a_side_that_does_not_read_does_not_hold_up_the_end(listener: Listener) -> None:
    with both(listener, Chaos()) as (client, server, told):
        client.setblocking(False)
        with suppress(BlockingIOError):
            while True:
                client.send(bytes(1 << 16))
        assert server.recv(1) == b"\0"
    assert len(told) == 1


def test_the_command_tells_where_it_listens_and_what_it_did(listener: Listener) -> None:
    host, port = listener.address
    line = [
        sys.executable,
        "-m",
        "ftpsvc.homework.grade_cli",
        "chaos",
        "--to",
        f"{host}:{port}",
        "--corrupt",
        "0",
    ]
    process = subprocess.Popen(line, stderr=subprocess.PIPE, encoding="utf-8")
    assert process.stderr is not None
    with process, process.stderr as said:
        try:
            at = said.readline().removeprefix("listening on ").strip().rpartition(":")
            with socket.create_connection((at[0], int(at[2])), GUARD) as client, listener.accept() as server:
                client.sendall(b"a")
                assert server.recv(1) == b"`"
            assert said.readline() == "connection 1: 1 byte up, 0 bytes down, byte 0 up corrupted\n"
            process.send_signal(signal.SIGTERM)
            assert said.read() == "stopped\n"
            assert process.wait(GUARD) == 0
        finally:
            process.kill()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--to", "ftpsvc://127.0.0.1:1"], "error: ftpsvc://127.0.0.1:1 is no HOST:PORT"),
        (["--to", "127.0.0.1:1", "--dribble", "--coalesce"], "--dribble and --coalesce exclude each other"),
    ],
)
def test_what_makes_no_sense_is_refused(
    arguments: list[str], said: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from ftpsvc.homework.grade_cli import main

    monkeypatch.setattr(sys, "argv", ["ftpsvc-grade", "chaos", *arguments])
    with pytest.raises(SystemExit):
        main()
    assert said in capsys.readouterr().err
