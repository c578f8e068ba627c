"""Bytes that arrive in pieces, in heaps, broken off, or that are no protocol at all."""

import fcntl
import json
import os
import random
import socket
import struct
import termios
from collections.abc import Iterator
from pathlib import Path

import pytest

from ftpsvc.server.daemon import Daemon
from tests.helpers.counts import count
from tests.helpers.embedded import dial, embedded, where
from tests.helpers.raw_peer import RawPeer, frame, put_bytes


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[Daemon]:
    with embedded(tmp_path / "root") as running:
        yield running


@pytest.fixture
def peer(daemon: Daemon) -> Iterator[RawPeer]:
    with dial(daemon) as peer:
        yield peer


def send_and_see_it_taken(peer: RawPeer, data: bytes) -> None:
    """Sends, and waits until the other side has read all of it (AF_UNIX: the kernel counts what is unread)."""
    peer.send(data)
    unread = bytearray(4)
    while True:
        fcntl.ioctl(peer.sock.fileno(), termios.TIOCOUTQ, unread)
        if not struct.unpack("i", unread)[0]:
            return
        os.sched_yield()


def assert_nothing_is_left(daemon: Daemon) -> None:
    """The slot is free, the thread has ended, and no upload has left anything."""
    assert daemon.registry.wait_empty(60)
    daemon.registry.join_ended()
    public = daemon.settings.root / "public"
    assert not list((public / ".ftpsvc" / "staging").iterdir())
    assert [path.name for path in public.iterdir()] == [".ftpsvc"]


# ---------------------------------------------------------------- pieces and heaps

CONVERSATION = (
    put_bytes("a", b"content of a") + frame({"op": "ls"}) + put_bytes("b", b"") + frame({"op": "quit"})
)


def read_conversation(peer: RawPeer) -> None:
    assert peer.read()["path"] == "/a"
    assert json.loads(peer.payload(peer.read()["size"]))["name"] == "a"
    assert peer.read()["path"] == "/b"
    assert peer.read() == {"status": "ok"}
    assert peer.at_end()


def test_c01_one_byte_at_a_time(tmp_path: Path, short_tmp: Path) -> None:
    path = str(short_tmp / "s")
    with embedded(tmp_path / "root", listen=(f"ftpsvc+unix://{path}",)), RawPeer(path) as peer:
        for number in CONVERSATION:
            send_and_see_it_taken(peer, bytes([number]))
        read_conversation(peer)


@pytest.mark.parametrize("first", [1, 2, 3])
def test_c01_split_inside_the_length(tmp_path: Path, short_tmp: Path, first: int) -> None:
    path = str(short_tmp / "s")
    with embedded(tmp_path / "root", listen=(f"ftpsvc+unix://{path}",)), RawPeer(path) as peer:
        for op in ("pwd", "ls", "df"):
            message = frame({"op": op})
            send_and_see_it_taken(peer, message[:first])
            send_and_see_it_taken(peer, message[first:])
            peer.payload(peer.read().get("size", 0))
        assert peer.ask("quit")["status"] == "ok"


def test_c02_several_messages_in_one_segment(peer: RawPeer) -> None:
    peer.send(CONVERSATION)
    read_conversation(peer)


def test_c02_as_many_requests_as_the_window_allows(peer: RawPeer) -> None:
    window = peer.greeting["limits"]["window"]
    peer.send(b"".join(put_bytes(f"file {number}", str(number).encode()) for number in range(window)))
    assert [peer.read()["path"] for _ in range(window)] == [f"/file {number}" for number in range(window)]
    requests = [{"op": "get", "path": f"file {number}", "algorithm": "sha256"} for number in range(window)]
    peer.send(b"".join(map(frame, requests)))
    for number in range(window):
        assert peer.payload(peer.read()["size"]) == str(number).encode()
        assert "digest" in peer.read()


@pytest.mark.parametrize("size", [0, 1, 100, 130_000, 140_000, 3 << 20])
def test_c03_put_put_ls_without_waiting(peer: RawPeer, size: int) -> None:
    one, two = os.urandom(size), os.urandom(size)
    peer.send(put_bytes("one", one) + put_bytes("two", two, "md5") + frame({"op": "ls"}))
    assert [peer.read()["path"], peer.read()["path"]] == ["/one", "/two"]
    assert len(peer.payload(peer.read()["size"]).splitlines()) == 2
    assert peer.get("one")[0] == one
    assert peer.get("two", "md5")[0] == two


# ---------------------------------------------------------------- broken off

PUT = put_bytes("file", os.urandom(300_000))
HEADER = len(PUT) - 300_000 - len(frame({"digest": "0" * 64}))
STAGES = {
    "length": 2,
    "header": 30,
    "before the payload": HEADER,
    "payload": HEADER + 200_000,
    "before the trailer": HEADER + 300_000,
    "length of the trailer": HEADER + 300_003,
    "trailer": len(PUT) - 5,
}


@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize("how", ["close", "half-close", "reset"])
def test_c04_c47_the_peer_ends_in_the_middle(
    daemon: Daemon, caplog: pytest.LogCaptureFixture, stage: str, how: str
) -> None:
    caplog.set_level("INFO", "ftpsvc")
    with dial(daemon) as peer:
        peer.send(PUT[: STAGES[stage]])
        if how == "half-close":
            peer.half_close()
            assert peer.at_end()
        elif how == "reset":
            peer.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    assert_nothing_is_left(daemon)
    assert [record.getMessage() for record in caplog.records if "connection" in record.name] == ["connection"]


def test_c04_a_client_that_half_closes_still_gets_its_answers(daemon: Daemon) -> None:
    with dial(daemon) as peer:
        peer.send(
            put_bytes("file", b"content") + frame({"op": "verify", "path": "file"}) + frame({"op": "ls"})
        )
        peer.half_close()
        assert peer.read()["path"] == "/file"
        assert peer.read()["recorded"] is True
        assert peer.payload(peer.read()["size"])
        assert peer.at_end()
    assert daemon.registry.wait_empty(60)


def test_c04_the_peer_goes_away_without_reading_what_it_asked_for(daemon: Daemon) -> None:
    with dial(daemon) as peer:
        peer.put("file", bytes(32 << 20))
    for _ in range(5):
        with dial(daemon, receive_buffer=4096) as peer:
            peer.send(frame({"op": "get", "path": "file", "algorithm": "md5"}) * 3)
            peer.read()
    assert daemon.registry.wait_empty(60)


def test_c47_an_upload_that_dies_leaves_the_old_version(daemon: Daemon) -> None:
    with dial(daemon) as peer:
        peer.put("file", b"the old version")
        peer.send(PUT[: STAGES["trailer"]])
    assert daemon.registry.wait_empty(60)
    with dial(daemon) as peer:
        assert peer.get("file")[0] == b"the old version"
        assert len(peer.ls()) == 1


# ---------------------------------------------------------------- not what was declared


@pytest.mark.parametrize("surplus", [1, 4, 1000, 300_000])
def test_c05_c41_more_bytes_than_declared(daemon: Daemon, surplus: int) -> None:
    data = bytes(100)
    request = frame({"op": "put", "path": "file", "size": len(data), "algorithm": "md5"})
    with dial(daemon) as peer:
        peer.send(request + data + b"\xff" * surplus)
        peer.half_close()
        if surplus >= 4:
            answer = peer.read()
            assert (answer["code"], answer["fatal"]) == ("header-too-large", True)
        assert peer.at_end()
    assert_nothing_is_left(daemon)


def test_c05_surplus_that_looks_like_a_request_is_no_trailer(daemon: Daemon) -> None:
    request = frame({"op": "put", "path": "file", "size": 3, "algorithm": "md5"}, b"abc")
    with dial(daemon) as peer:
        peer.send(request + frame({"op": "mkdir", "path": "smuggled"}))
        answer = peer.read()
        assert (answer["code"], answer["fatal"]) == ("invalid-header", True)
        assert peer.at_end()
    assert_nothing_is_left(daemon)


@pytest.mark.parametrize(
    "trailer", [{}, {"digest": "0" * 32, "error": {"code": "x"}}, {"digest": "xyz"}, {"digest": 7}]
)
def test_a_trailer_that_is_none(daemon: Daemon, trailer: dict[str, object]) -> None:
    with dial(daemon) as peer:
        peer.send(
            frame({"op": "put", "path": "file", "size": 3, "algorithm": "md5"}, b"abc") + frame(trailer)
        )
        assert peer.read()["code"] == "invalid-header"
        assert peer.at_end()
    assert_nothing_is_left(daemon)


def padded(length: int) -> bytes:
    """A good request whose header has exactly this length."""
    return b'{"op":"pwd"' + b" " * (length - 12) + b"}"


def test_c06_lengths(daemon: Daemon) -> None:
    with dial(daemon) as peer:
        for good in (12, 4096, 4097, 65535, 65536):
            peer.send(frame(padded(good)))
            assert peer.read() == {"status": "ok", "path": "/"}
        peer.send(frame(b"{}"))
        assert peer.read()["code"] == "bad-request"
    for bad in (0, 1, 65537, 2**31 - 1, 2**31, 2**32 - 1):
        with dial(daemon) as peer:
            peer.send(struct.pack("!I", bad))  # refused at the prefix: not a byte of the header is waited for
            answer = peer.read()
            assert (answer["code"], answer["fatal"], answer["length"]) == ("header-too-large", True, bad)
            assert peer.at_end()


def test_c06_headers_are_short_before_a_log_in(tmp_path: Path) -> None:
    with embedded(tmp_path / "root", guest="none") as daemon:
        with dial(daemon) as peer:
            peer.send(frame(padded(4096)))
            assert peer.read()["code"] == "auth-required"
        with dial(daemon) as peer:
            peer.send(struct.pack("!I", 4097))
            answer = peer.read()
            assert (answer["code"], answer["limit"]) == ("header-too-large", 4096)


NOT_A_HEADER = [
    b"[]", b"null", b"77", b'"op"', b"{]", b"  ", b"{}{}", b'{"op":"pwd"}x', b'{"op":"pwd",}', b"{'op':'pwd'}",
    b"GET / HTTP/1.1", b"\xef\xbb\xbf{}", '{"op":"pwd"}'.encode("utf-16"),
    b'{"op":NaN}', b'{"op":"ls","limit":1e400}', b'{"op":-Infinity}', b'{"x":' + b"9" * 5000 + b"}",
    b'{"op":"pwd","op":"pwd"}', b'{"op":"pwd","x":{"a":1,"a":1}}',
    b"[" * 10_000 + b"]" * 10_000, b'{"op":"pwd","x":' + b"[" * 10_000 + b"]" * 10_000 + b"}", b'{"op":' * 9_000,
    b'{"op":"\xff"}', b'{"op":"\xed\xa0\x80"}', b'{"op":"\\ud800"}', b'{"op":"\\udc00\\ud800"}',
    b'{"op":"pwd","\\ud800":1}', b'{"op":"pwd\n"}',
    b'{"status":"ok"}', b'{"status":"error","code":"x"}', b'{"op":"nonsense","size":5}', b'{"op":"put","path":"x"}',
]  # fmt: skip
SIZES = ["-1", '"5"', "true", "null", "1.0", "1e2", "9223372036854775808", "[1]", "{}"]
NOT_A_HEADER += [b'{"op":"put","path":"x","algorithm":"md5","size":%s}' % size.encode() for size in SIZES]
NOT_A_HEADER += [b'{"op":"ls","size":%s}' % size.encode() for size in SIZES]


@pytest.mark.parametrize("header", NOT_A_HEADER, ids=lambda header: repr(header[:40]))
def test_c06_c11_what_is_no_header_ends_the_connection_with_a_reason(daemon: Daemon, header: bytes) -> None:
    with dial(daemon) as peer:
        peer.send(frame(header))
        answer = peer.read()
        assert (answer["status"], answer["code"], answer["fatal"]) == ("error", "invalid-header", True)
        assert peer.at_end()
    assert_nothing_is_left(daemon)


@pytest.mark.parametrize(
    ("header", "code"),
    [
        ({"op": "nonsense"}, "unknown-op"),
        ({"op": ""}, "bad-request"),
        ({"op": 7}, "bad-request"),
        ({"op": None}, "bad-request"),
        ({}, "bad-request"),
        ({"op": "stat"}, "bad-request"),
        ({"op": "stat", "path": 7}, "bad-request"),
        ({"op": "ls", "limit": 0}, "bad-request"),
        ({"op": "ls", "limit": 10**6}, "bad-request"),
        ({"op": "ls", "limit": True}, "bad-request"),
        ({"op": "ls", "recursive": 1}, "bad-request"),
        ({"op": "rm", "path": "x", "recursive": "yes"}, "bad-request"),
        ({"op": "auth", "mechanism": "SCRAM-SHA-256"}, "bad-request"),
        ({"op": "auth", "data": "c=biws,r=x,p=x"}, "bad-request"),
        ({"op": "auth", "mechanism": "PLAIN", "data": ""}, "auth-required"),
        ({"op": "revoke-token", "token": "x"}, "auth-required"),
        ({"op": "begin", "path": "x", "file_size": 1}, "bad-request"),
    ],
)
def test_c11_a_request_that_makes_no_sense_is_answered(
    peer: RawPeer, header: dict[str, object], code: str
) -> None:
    peer.send(frame(header) + frame({"op": "pwd"}))
    answer = peer.read()
    assert (answer["code"], answer["fatal"], answer["retry"]) == (code, False, False)
    assert peer.read() == {"status": "ok", "path": "/"}


def test_unknown_keys_are_ignored(peer: RawPeer) -> None:
    assert peer.ask("pwd", later={"version": [1, 2]}) == {"status": "ok", "path": "/"}


def test_a_payload_where_none_is_due_is_dropped(peer: RawPeer) -> None:
    peer.send(frame({"op": "stat", "path": "x", "size": 5}, b"12345") + frame({"op": "pwd"}))
    assert peer.read()["code"] == "bad-request"
    assert peer.read()["status"] == "ok"
    peer.send(frame({"op": "quit", "size": 2}, b"12") + frame({"op": "quit"}))
    assert peer.read()["code"] == "bad-request"
    assert peer.read() == {"status": "ok"}


OPS = [
    "__init__",
    "handle",
    "__class__",
    "__dict__",
    "put ",
    "PUT",
    "_serve",
    "queue",
    "../put",
    "put\0",
    "\x1b[2J",
    "p" * 60_000,
]


@pytest.mark.parametrize("op", OPS, ids=lambda op: repr(op[:20]))
def test_c23_names_of_ops_reach_nothing_but_the_table(peer: RawPeer, op: str) -> None:
    answer = peer.ask(op)
    assert (answer["code"], answer["fatal"]) == ("unknown-op", False)
    assert len(answer["message"]) < 200
    assert "\x1b" not in answer["message"]
    assert peer.ask("pwd")["status"] == "ok"


def test_c23_an_op_of_300_kb(peer: RawPeer) -> None:
    peer.send(frame({"op": "x" * 300_000}))
    assert peer.read()["code"] == "header-too-large"
    assert peer.at_end()


def test_garbage_never_does_more_than_end_its_own_connection(
    daemon: Daemon, caplog: pytest.LogCaptureFixture
) -> None:
    dice = random.Random(2026)
    good = [
        *map(frame, [{"op": "pwd"}, {"op": "ls"}, {"op": "stat", "path": "."}]),
        put_bytes("f", b"content"),
    ]
    with dial(daemon) as witness:
        for _ in range(count(150, 3000)):
            message = bytearray(b"".join(dice.choices(good, k=3)))
            for _ in range(dice.randint(1, 8)):
                at = dice.randrange(len(message))
                change = dice.randrange(3)
                if change == 0:
                    message[at] = dice.randrange(256)
                elif change == 1:
                    del message[at : at + dice.randint(1, 9)]
                else:
                    message[at:at] = dice.randbytes(dice.randint(1, 9))
            with dial(daemon) as peer:
                peer.send(bytes(message))
                peer.half_close()
                while True:  # whatever is answered is a whole message with a status, up to the end
                    try:
                        answer = peer.read()
                    except EOFError:
                        break
                    assert answer["status"] in ("ok", "error")
                    peer.payload(answer.get("size", 0))
        assert witness.ask("pwd")["status"] == "ok"
    assert daemon.registry.wait_empty(60)
    assert not [record for record in caplog.records if record.levelname == "ERROR"]


def test_a_listener_survives_clients_that_vanish_before_they_are_greeted(daemon: Daemon) -> None:
    for _ in range(50):
        with socket.create_connection(where(daemon)) as sock:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    with dial(daemon) as peer:
        assert peer.ask("pwd")["status"] == "ok"
