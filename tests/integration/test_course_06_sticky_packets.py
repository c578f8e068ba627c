"""Lesson 06 of the course: buffers, sticky packets, and their cure."""

from __future__ import annotations

import hashlib
import json
import socket
import struct
from pathlib import Path

from tests.helpers.course import GUARD, run, running, shown


def test_the_buffers_take_what_nobody_reads_and_keep_it() -> None:
    lines = run("06-sticky-packets/buffers.py", "127.0.0.1", 0)
    taken = int(lines[2].removeprefix("taken before anybody has read a byte: ").split()[0])
    assert taken > 0
    assert lines[3].endswith("closed: True")


def test_send_loses_nothing_it_returns_how_much_was_taken() -> None:
    lines = run("06-sticky-packets/send_returns.py", "127.0.0.1", 0)
    assert lines == shown("06-sticky-packets", "send_returns.py")


def test_sendall_is_a_loop_a_recursion_would_fail() -> None:
    lines = run("06-sticky-packets/sendall_is_a_loop.py", "127.0.0.1", 0)
    assert lines == shown("06-sticky-packets", "sendall_is_a_loop.py")


def test_three_sends_become_one_recv_and_one_send_becomes_many() -> None:
    one, many = run("06-sticky-packets/sticky.py", "127.0.0.1", 0)
    assert one == "three sends, one recv: b'helloworldagain'"
    words = many.replace(",", "").replace(";", "").split()
    assert int(words[2]) >= 5
    assert "of 5000 bytes" in many
    assert int(words[-1]) <= 1024


def test_a_length_before_each_message_keeps_them_apart() -> None:
    with running("06-sticky-packets/prefix_server.py", "127.0.0.1", 0) as server:
        port = server.port()
        for _ in range(2):
            assert run("06-sticky-packets/prefix_client.py", "127.0.0.1", port) == [
                "answer: b'HELLO'",
                "answer: b''",
                "answer: b'AGAIN'",
            ]


def test_the_prefix_server_takes_bytes_one_by_one_and_ends_what_is_cut_or_too_long() -> None:
    with running("06-sticky-packets/prefix_server.py", "127.0.0.1", 0) as server:
        port = server.port()
        with socket.create_connection(("127.0.0.1", port), GUARD) as sock:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for number in struct.pack("!I", 3) + b"abc":
                sock.sendall(bytes([number]))
            with sock.makefile("rb") as answer:
                assert answer.read(7) == b"\0\0\0\3ABC"
            sock.sendall(b"\0\0")
        assert server.wait_for("ended") == "ended: the peer closed in the middle of a message"
        with socket.create_connection(("127.0.0.1", port), GUARD) as sock:
            sock.sendall(struct.pack("!I", (1 << 20) + 1))
            assert sock.recv(1) == b""
        assert server.wait_for("ended") == "ended: a message of 1048577 bytes is too long"


def test_files_go_one_after_another_with_a_header_each(tmp_path: Path) -> None:
    files = {"a.txt": b"hello", "empty": b"", "large": bytes(range(256)) * 2000, "中文.txt": b"\xe4\xb8"}
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    with running("06-sticky-packets/header_server.py", "127.0.0.1", 0) as server:
        port = server.port()
        paths = [tmp_path / name for name in files]
        assert run("06-sticky-packets/header_client.py", "127.0.0.1", port, *paths) == [
            f"{name} {len(content)} bytes, same digest" for name, content in files.items()
        ]
        assert server.wait_for("large") == "got large of 512000 bytes"


HEADERS = [b"{", b"[]", b'{"size": true}', b'{"size": -1}', b"{}", b"\xff\xff", b"[" * 4096]
HEADERS += [b'{"size": 0, "name": "\\ud800"}']  # half of a pair, which no terminal can show


def test_a_header_server_ends_a_header_that_is_none_and_serves_the_next_caller() -> None:
    with running("06-sticky-packets/header_server.py", "127.0.0.1", 0) as server:
        port = server.port()
        for header in HEADERS:
            with socket.create_connection(("127.0.0.1", port), GUARD) as sock:
                sock.sendall(struct.pack("!I", len(header)) + header)
                server.wait_for("ended")
        with socket.create_connection(("127.0.0.1", port), GUARD) as sock, sock.makefile("rb") as answer:
            header = json.dumps({"size": 2}).encode()
            sock.sendall(struct.pack("!I", len(header)) + header + b"ab")
            (length,) = struct.unpack("!I", answer.read(4))
            assert (
                json.loads(answer.read(length))["md5"]
                == hashlib.md5(b"ab", usedforsecurity=False).hexdigest()
            )
