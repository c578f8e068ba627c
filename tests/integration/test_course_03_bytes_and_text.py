"""Lesson 03 of the course: bytes and text."""

from __future__ import annotations

import socket
from concurrent.futures import ThreadPoolExecutor

from tests.helpers.course import run, running, shown


def test_recv_returns_bytes_and_may_cut_a_character() -> None:
    lines = run("03-bytes-and-text/recv_returns_bytes.py", "127.0.0.1", 0)
    assert lines == shown("03-bytes-and-text", "recv_returns_bytes.py")


def test_chinese_in_a_bytes_literal_is_a_syntax_error() -> None:
    lines = run("03-bytes-and-text/syntax_error.py")
    assert lines[0].startswith("b'世界': bytes can only contain ASCII")
    assert lines[1] == r"2 characters, 6 bytes: b'\xe4\xb8\x96\xe7\x95\x8c'"
    assert lines[2] == "the same bytes, read as GBK: 涓栫晫"


def test_chinese_goes_both_ways_and_another_encoding_is_noticed() -> None:
    with running("03-bytes-and-text/hello_server.py", "127.0.0.1", 0) as server:
        port = server.port()
        shown = run("03-bytes-and-text/hello_client.py", "127.0.0.1", port, said="王小明\nAda\n")
        assert shown == [
            "你好，王小明！你的名字有 3 个字、9 个字节",
            "你好，Ada！你的名字有 3 个字、3 个字节",
        ]
        assert server.wait_for("heard") == "heard 王小明"
        shown = run("03-bytes-and-text/hello_client.py", "127.0.0.1", port, "gbk", said="王小明\n")
        assert shown == ["这不是 UTF-8"]
        shown = run("03-bytes-and-text/hello_client.py", "127.0.0.1", port, "gbk", said="😀\nAda\n")
        assert shown[0].startswith("'gbk' codec can't encode character")
        assert shown[1].startswith("你好，Ada！")


def test_a_client_says_that_it_knows_no_such_encoding_and_that_the_server_has_hung_up() -> None:
    assert run("03-bytes-and-text/hello_client.py", "127.0.0.1", 1, "utf-88", code=1)[2].startswith(
        "python hello_client.py"
    )
    with socket.create_server(("127.0.0.1", 0)) as listener, ThreadPoolExecutor(1) as pool:
        port = listener.getsockname()[1]
        shown = pool.submit(run, "03-bytes-and-text/hello_client.py", "127.0.0.1", port, said="Ada\nBob\n")
        conn, _ = listener.accept()
        with conn:
            assert conn.recv(100) == b"Ada\n"
        assert shown.result() == ["the server has hung up"]
