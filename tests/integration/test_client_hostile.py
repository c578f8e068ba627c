"""The client against servers that lie, stall half-way or vanish, and against local files that change meanwhile."""

from __future__ import annotations

import io
import json
import os
import socket
import struct
from pathlib import Path

import pytest

from ftpsvc.exceptions import (
    Changed,
    ConfigError,
    ConnectFailed,
    ConnectionLost,
    DigestMismatch,
    InvalidHeader,
    LocalProtocolError,
    NoSpace,
    NotFound,
    PermissionDenied,
    ReadFailed,
    RemoteProtocolError,
    TooLarge,
    Unavailable,
)
from ftpsvc_client import Client, connect
from tests.helpers.raw_server import Header, Misbehave, RawServer, raw_server


def _listing(*entries: Header) -> Misbehave:
    def misbehave(server: RawServer, request: Header, conn: socket.socket) -> bool:
        if request["op"] != "ls" or request.get("path") not in ("/t", "/t/"):
            return False
        lines = b"".join(json.dumps(entry).encode() + b"\n" for entry in entries)
        server.send(conn, {"status": "ok", "size": len(lines)})
        conn.sendall(lines)
        return True

    return misbehave


HOSTILE_NAMES = [
    "../escaped", "/etc/escaped", "a/../../escaped", "..", ".", "", "//escaped", "a\\..\\..\\escaped", "a\x00b",
    "\x1b]0;owned\x07", "a\nb", "\ud800", "x" * 300, "C:\\escaped", "..\\escaped",
]  # fmt: skip


def test_c21_no_name_from_a_server_leaves_the_target(tmp_path: Path) -> None:
    target = tmp_path / "deep" / "target"
    entries: list[Header] = [
        {"name": name, "type": "file", "file_size": 4} for name in HOSTILE_NAMES if name.isprintable()
    ]
    entries += [{"name": name, "type": "dir"} for name in ("../dir", "/tmp/dir", "..")]
    entries.append({"name": "good", "type": "file", "file_size": 4})
    files = {"/t/good": b"good", "/t/x": b""}
    with raw_server(files, _listing(*entries)) as (url, _), connect(url) as client:
        report = client.get_tree("/t", target)
    assert [path.name for path in tmp_path.rglob("*")] == ["deep", "target", "good"]
    assert report.files == 1
    assert len(report.problems) == len(entries) - 1


@pytest.mark.parametrize("name", [name for name in HOSTILE_NAMES if name not in ("..", ".", "", "//escaped")])
def test_c21_control_characters_cannot_be_part_of_a_listing_that_is_saved(name: str, tmp_path: Path) -> None:
    with (
        raw_server({"/t/x": b""}, _listing({"name": name, "type": "file"})) as (url, _),
        connect(url) as client,
    ):
        try:
            report = client.get_tree("/t", tmp_path / "t")
        except InvalidHeader:  # half a surrogate pair is no header at all
            assert name == "\ud800"
        else:
            assert report.files == 0
            assert len(report.problems) == 1
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_c21_a_link_in_the_target_is_not_followed(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    target = tmp_path / "target"
    target.mkdir()
    (target / "d").symlink_to(outside)
    (target / "f").symlink_to(outside / "f")
    with raw_server({"/t/d/x": b"1", "/t/f": b"2", "/t/ok": b"3"}) as (url, _), connect(url) as client:
        report = client.get_tree("/t", target, overwrite=True)
    assert list(outside.iterdir()) == []
    assert report.files == 1
    assert sorted(os.path.basename(problem.path) for problem in report.problems) == ["d", "f", "x"]


def _spoilt_content(server: RawServer, request: Header, conn: socket.socket) -> bool:
    if request["op"] != "get":
        return False
    server.send(conn, {"status": "ok", "size": 4, "file_size": 4, "algorithm": "sha256"})
    conn.sendall(b"evil")
    server.send(conn, {"digest": "0" * 64})
    return True


def test_c45_content_with_a_wrong_digest_never_appears(tmp_path: Path) -> None:
    with raw_server({"/f": b"good"}, _spoilt_content) as (url, server), connect(url) as client:
        with pytest.raises(DigestMismatch):
            client.get("/f", tmp_path / "f")
        assert list(tmp_path.iterdir()) == []
        assert client.list("/")[0].path == "f"
        assert server.connections == 1


def test_c46_the_senders_reason_is_told_and_nothing_appears(tmp_path: Path) -> None:
    def gives_up(server: RawServer, request: Header, conn: socket.socket) -> bool:
        if request["op"] != "get":
            return False
        server.send(conn, {"status": "ok", "size": 4, "file_size": 4, "algorithm": "sha256"})
        conn.sendall(b"go\0\0")
        server.send(conn, {"error": {"code": "read-failed", "message": "bad sector"}})
        return True

    with raw_server({"/f": b"good"}, gives_up) as (url, _), connect(url) as client:
        with pytest.raises(ReadFailed):
            client.get("/f", tmp_path / "f")
        assert client.pwd() == "/"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("stage", ["header", "payload", "trailer"])
def test_c04_a_server_that_vanishes_leaves_no_part_and_the_next_call_connects_anew(
    stage: str, tmp_path: Path
) -> None:
    def vanish(server: RawServer, request: Header, conn: socket.socket) -> bool:
        if request["op"] != "get" or server.connections > 1:
            return False
        if stage == "header":
            conn.sendall(b"\0\0\0")
        else:
            server.send(conn, {"status": "ok", "size": 4, "file_size": 4, "algorithm": "sha256"})
            conn.sendall(b"go" if stage == "payload" else b"good")
        conn.shutdown(socket.SHUT_RDWR)
        return True

    with raw_server({"/d/f": b"good"}, vanish) as (url, server), connect(url) as client:
        client.cd("/d")
        with pytest.raises(ConnectionLost):
            client.get("f", tmp_path / "f")
        assert list(tmp_path.iterdir()) == []
        assert client.get("f", tmp_path / "f").size == 4
        assert server.connections == 2
        assert client.pwd() == "/d"


class _Shrinking(io.BytesIO):
    """A stream that is shorter than it said."""

    def read(self, size: int | None = -1) -> bytes:
        data = super().read(size)
        return data if self.tell() < 300_000 else b""


def test_c46_a_source_that_shrinks_stores_nothing_and_keeps_the_connection(tmp_path: Path) -> None:
    refused: list[Header] = []

    def refuse(server: RawServer, request: Header, conn: socket.socket) -> bool:
        if request["op"] != "put":
            return False
        server.exactly(conn, int(str(request["size"])))
        refused.append(server.receive(conn) or {})
        server.error(conn, "read-failed", path="/f", reason="the sender gave up")
        return True

    with raw_server({}, refuse) as (url, _), connect(url) as client:
        client._link.greeting.limits.__dict__["drain"] = 1 << 30  # type: ignore[union-attr]
        with pytest.raises(ReadFailed):
            client.put(_Shrinking(bytes(400_000)), "/f")
        assert client.pwd() == "/"
    assert "error" in refused[0]


def test_c46_a_file_that_changes_while_it_is_sent_is_not_stored(tmp_path: Path) -> None:
    source = tmp_path / "f"
    source.write_bytes(bytes(3 << 20))

    class Spoiler:
        def expect(self, files: int, size: int) -> None: ...
        def begin(self, name: str, size: int) -> None: ...
        def phase(self, name: str, size: int) -> None: ...
        def verifying(self) -> None: ...
        def end(self, *, done: bool) -> None: ...
        def advance(self, count: int) -> None:
            os.utime(source, ns=(1, 1))

    with raw_server() as (url, server), connect(url) as client, pytest.raises(Changed):
        client.put(source, "/f", progress=Spoiler())
    assert server.files == {}


def test_a_greeting_of_something_else_is_explained() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"ftpsvc+tcp://127.0.0.1:{listener.getsockname()[1]}"
        import threading

        def ssh() -> None:
            conn, _ = listener.accept()
            with conn:
                conn.sendall(b"SSH-2.0-OpenSSH_9.2p1 Debian\r\n")
                conn.recv(1)

        thread = threading.Thread(target=ssh)
        thread.start()
        with pytest.raises(ConnectFailed, match="no ftpsvc server"):
            connect(url)
        thread.join()
    with pytest.raises(ConnectFailed) as caught:
        connect(url)
    assert caught.value.hint


def test_one_client_serves_one_call_at_a_time_and_none_when_closed() -> None:
    with raw_server({"/f": b"1"}) as (url, _), connect(url) as client:
        nested: list[type[BaseException]] = []

        class Nosy(io.BytesIO):
            def write(self, data: object) -> int:
                try:
                    client.pwd()
                except LocalProtocolError as error:
                    nested.append(type(error))
                return len(memoryview(data))  # type: ignore[arg-type]

        client.get("/f", Nosy())
        assert nested == [LocalProtocolError]
    with pytest.raises(LocalProtocolError):
        client.pwd()


def test_a_target_that_cannot_be_written_keeps_the_connection(tmp_path: Path) -> None:
    with raw_server({"/f": b"1", "/d/f": b"2"}) as (url, server), connect(url) as client:
        with pytest.raises(NotFound):
            client.get("/f", tmp_path / "missing" / "f")
        full = open("/dev/full", "wb", buffering=0)  # noqa: SIM115  # closed below, after the client gave up
        with full, pytest.raises(NoSpace):
            client.get("/f", full)
        if os.geteuid() != 0:
            (tmp_path / "ro").mkdir(mode=0o500)
            with pytest.raises(PermissionDenied):
                client.get("/f", tmp_path / "ro" / "f")
        assert client.pwd() == "/"
        assert server.connections == 1


@pytest.mark.parametrize(
    "lie",
    [
        {"status": "ok", "size": 1 << 62},
        {"status": "ok", "size": 3, "cursor": "again"},
        {"status": "fine"},
        {"status": "ok"},
        {},
    ],
)
def test_a_listing_that_cannot_be_is_a_protocol_error(lie: Header) -> None:
    def lies(server: RawServer, request: Header, conn: socket.socket) -> bool:
        if request["op"] != "ls":
            return False
        server.send(conn, lie)
        if lie.get("size") == 3:
            conn.sendall(b"\n\n\n")
        return True

    with raw_server({}, lies) as (url, _), connect(url) as client, pytest.raises(RemoteProtocolError):
        client.list("/")


def test_c06_a_header_that_is_too_long_is_refused_unread() -> None:
    def floods(server: RawServer, request: Header, conn: socket.socket) -> bool:
        conn.sendall(struct.pack("!I", 2**31 - 1))
        return True

    with raw_server({}, floods) as (url, _), connect(url) as client, pytest.raises(RemoteProtocolError):
        client.cd("/")


def test_the_api_is_one_object() -> None:
    with raw_server() as (url, _), connect(url) as client:
        assert isinstance(client, Client)


def test_c10_one_refused_file_does_not_end_a_tree(tmp_path: Path) -> None:
    """A server that ends the connection over one large file gets the rest of the tree over another."""
    source = tmp_path / "t"
    source.mkdir()
    for name, size in (("a", 10), ("b", 2_000_000), ("c", 10), ("d", 0)):
        (source / name).write_bytes(bytes(size))

    def refuses_large(server: RawServer, request: Header, conn: socket.socket) -> bool:
        if request["op"] == "mkdir":
            server.send(conn, {"status": "ok", "path": request["path"], "created": True})
            return True
        if request["op"] == "put" and int(str(request["size"])) > 1_000_000:
            server.error(conn, "too-large", path="/t/b", requested=2_000_000, limit=1_000_000, fatal=True)
            conn.shutdown(socket.SHUT_WR)
            while conn.recv(65536):
                pass
            raise ConnectionError
        return False

    with (
        raw_server({}, refuses_large, features=["mkdir"], limits={"window": 16}) as (url, server),
        connect(url) as client,
    ):
        report = client.put_tree(source, "/t")
        assert [(os.path.basename(path), type(error)) for path, error in report.problems] == [("b", TooLarge)]
        assert (report.files, sorted(server.files)) == (3, ["/t/a", "/t/c", "/t/d"])
        assert server.connections == 2
        assert client.pwd() == "/"


class _Sipping(io.RawIOBase):
    """A raw stream that takes a thousand bytes at a time, and nothing beyond its limit."""

    def __init__(self, limit: int) -> None:
        self.taken = bytearray()
        self.limit = limit

    def writable(self) -> bool:
        return True

    def write(self, data: object) -> int | None:
        piece = bytes(memoryview(data))[: min(1000, self.limit - len(self.taken))]  # type: ignore[arg-type]
        self.taken += piece
        return len(piece) or None


def test_a_raw_stream_gets_every_byte_or_the_get_fails() -> None:
    content = bytes(range(256)) * 1000
    with raw_server({"/f": content}) as (url, _), connect(url) as client:
        all_of_it = _Sipping(1 << 30)
        client.get("/f", all_of_it)  # type: ignore[arg-type]
        assert bytes(all_of_it.taken) == content
        with pytest.raises(Unavailable):
            client.get("/f", _Sipping(5000))  # type: ignore[arg-type]
        assert client.pwd() == "/"


def test_a_directory_that_is_gone_can_be_left() -> None:
    files = {"/gone/f": b"", "/here/f": b""}

    def vanish(server: RawServer, request: Header, conn: socket.socket) -> bool:
        if request["op"] != "ls" or server.connections > 1:
            return False
        del server.files["/gone/f"]
        conn.shutdown(socket.SHUT_RDWR)
        return True

    with raw_server(files, vanish) as (url, _), connect(url, directory="/gone") as client:
        with pytest.raises(ConnectionLost):
            client.list()
        with pytest.raises(NotFound):
            client.list()
        assert client.cd("/here") == "/here"
        assert [entry.path for entry in client.list()] == ["f"]


def test_a_file_that_goes_while_a_tree_is_counted_is_one_problem(tmp_path: Path) -> None:
    from ftpsvc_client.watching import Unwatched

    for name in ("a", "b"):
        (tmp_path / name).write_bytes(b"x")

    class Removing(Unwatched):
        def expect(self, files: int, size: int) -> None:
            assert (files, size) == (2, 2)
            (tmp_path / "a").unlink()

    def makes(server: RawServer, request: Header, conn: socket.socket) -> bool:
        if request["op"] == "mkdir":
            server.send(conn, {"status": "ok", "path": request["path"], "created": True})
        return request["op"] == "mkdir"

    with raw_server({}, makes, features=["mkdir"]) as (url, server), connect(url) as client:
        report = client.put_tree(tmp_path, "/t", progress=Removing())
    assert sorted(server.files) == ["/t/b"]
    assert [type(problem.error) for problem in report.problems] in ([], [NotFound])


@pytest.mark.parametrize("host", ["a..b", "x" * 70])
def test_a_host_that_cannot_be_is_no_fault_of_ours(host: str) -> None:
    with pytest.raises(ConnectFailed):
        connect(f"ftpsvc+tcp://{host}:1", timeout=5)


def test_c21_algorithm_names_from_a_server_cannot_drive_the_terminal() -> None:
    with raw_server({}, algorithms=["\x1b]0;owned\x07"]) as (url, _), pytest.raises(ConfigError) as caught:
        connect(url)
    assert "\x1b" not in str(caught.value)


def test_a_goodbye_that_is_not_answered_does_not_hold_the_client_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """The time for anything else is far longer than this test may take."""
    monkeypatch.setattr("ftpsvc_client.link._GOODBYE_SECONDS", 0.1)

    def is_silent(server: RawServer, request: Header, conn: socket.socket) -> bool:
        return request["op"] == "quit"

    with raw_server(misbehave=is_silent) as (url, server):
        connect(url, timeout=100_000).close()
    assert server.seen == [{"op": "quit"}]
