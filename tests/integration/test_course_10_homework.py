"""Lesson 10 of the course: the base profile from the page alone, in all four combinations with ftpsvc."""

from __future__ import annotations

import ast
import hashlib
import json
import os
import socket
import struct
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.helpers import daemon
from tests.helpers.cli import program
from tests.helpers.course import COURSE, GUARD, Running, run, running

SERVER = "10-homework/base_server.py"
CLIENT = "10-homework/base_client.py"
NOT_FOUND = 3
CONTENTS = {
    "hello.txt": b"hello\n",
    "empty": b"",
    "large.bin": bytes(range(256)) * 9001,
    "中文 名.txt": b"x" * 70000,
}


@contextmanager
def base_server(folder: Path) -> Iterator[tuple[int, Running]]:
    with running(SERVER, "127.0.0.1", 0, folder) as server:
        yield server.port(), server


@pytest.fixture(params=["base server", "ftpsvc-server"])
def served(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[int, Path]]:
    """Port and folder of a server with a directory `music`: the course's, and the real one."""
    folder = tmp_path / "root" / "public"
    (folder / "music").mkdir(parents=True)
    if request.param == "base server":
        with base_server(folder) as (port, _):
            yield port, folder
    else:
        with daemon.server(tmp_path / "root") as server:
            yield server.where[1], folder


def _local_files(folder: Path) -> Path:
    folder.mkdir()
    for name, content in CONTENTS.items():
        (folder / name).write_bytes(content)
    return folder


def ftpsvc(url: str, *arguments: str, code: int = 0) -> str:
    """Runs the real command and returns what it wrote."""
    done = subprocess.run(
        [program(), *arguments], env={**os.environ, "FTPSVC_SERVER": url, "PYTHONUTF8": "1"},
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, encoding="utf-8",
        timeout=GUARD, check=False,
    )  # fmt: skip
    assert done.returncode == code, done.stdout
    return done.stdout


def _check(folder: Path, names: dict[str, bytes]) -> None:
    assert {name: (folder / name).read_bytes() for name in names} == names


def test_the_base_client_puts_lists_changes_directory_and_gets(
    served: tuple[int, Path], tmp_path: Path
) -> None:
    port, folder = served
    local = _local_files(tmp_path / "local")
    os.chdir(tmp_path)
    said = "".join(f"put 'local/{name}'\n" for name in CONTENTS)
    said += "ls\ncd music\nput local/hello.txt song\ncd .\nls\n"
    said += "".join(f"get '/{name}' 'back {name}'\n" for name in CONTENTS) + "quit\n"
    lines = run(CLIENT, "127.0.0.1", port, said=said)
    _check(folder, CONTENTS)
    assert (folder / "music/song").read_bytes() == b"hello\n"
    assert {name: (tmp_path / f"back {name}").read_bytes() for name in CONTENTS} == CONTENTS
    listed = [line.split(maxsplit=2)[-1] for line in lines if line.startswith("file ")]
    assert sorted(listed) == sorted([*CONTENTS, "song"])
    assert lines.count("/music") == 2
    assert not [name for name in os.listdir(tmp_path) if name.startswith(".get-")]
    assert local.exists()


def test_the_base_client_is_refused_and_goes_on(served: tuple[int, Path], tmp_path: Path) -> None:
    port, folder = served
    os.chdir(tmp_path)
    Path("f").write_bytes(b"1" * 100_000)
    said = "get nothing\ncd nothing\nput f nothing/f\nput f music\nget music\nget ../../f\nput f\nget f f/f\n"
    said += "ls\nmv a b\ncd\n'\n"
    lines = run(CLIENT, "127.0.0.1", port, said=said, code=1)
    codes = [line.split()[1] for line in lines if line.startswith("failed: ")]
    assert codes[:6] == [
        "not-found:", "not-found:", "not-found:", "is-a-directory:", "is-a-directory:", "invalid-path:",
    ]  # fmt: skip
    assert codes[6] == "[Errno"  # f is no directory here, which ends no conversation
    assert codes[7:] == ["say", "say", "say"]  # an unknown word, too few, a quote without an end
    assert (folder / "f").read_bytes() == b"1" * 100_000
    assert sorted(os.listdir(tmp_path)) == ["f", "root"]


def test_ftpsvc_works_with_the_base_server(served: tuple[int, Path], tmp_path: Path) -> None:
    port, folder = served
    local = _local_files(tmp_path / "local")
    os.chdir(tmp_path)
    url = f"ftpsvc+tcp://127.0.0.1:{port}"
    ftpsvc(url, "put", *(str(local / name) for name in CONTENTS), "--to", "/music/")
    _check(folder / "music", CONTENTS)
    listed = ftpsvc(url, "ls", "--json", "/music")
    assert sorted(json.loads(line)["path"] for line in listed.splitlines()) == sorted(
        f"/music/{name}" for name in CONTENTS
    )
    ftpsvc(url, "get", "-r", "/music", "--to", "back")
    _check(tmp_path / "back", CONTENTS)
    assert "/nothing: no such file" in ftpsvc(url, "get", "/nothing", code=NOT_FOUND).lower()


@pytest.mark.skipif(sys.platform == "darwin", reason="this disk takes names of UTF-8 only")
def test_a_name_that_is_no_text_keeps_nobody_from_listing_the_rest(tmp_path: Path) -> None:
    os.chdir(tmp_path)
    folder = tmp_path / "shared"
    folder.mkdir()
    (folder / "good").touch()
    for name in (b"no \xff text", b"two\nlines", b"back\\slash"):
        Path(os.fsdecode(bytes(folder) + b"/" + name)).touch()
    with base_server(folder) as (port, _):
        assert [line.split()[-1] for line in run(CLIENT, "127.0.0.1", port, said="ls\nquit\n")] == ["good"]
        assert ftpsvc(f"ftpsvc+tcp://127.0.0.1:{port}", "ls").split() == ["good"]


class Raw:
    """A client that sends what no client should."""

    def __init__(self, port: int) -> None:
        self.sock = socket.create_connection(("127.0.0.1", port), GUARD)
        self.stream = self.sock.makefile("rb")
        self.greeting = self.receive()

    def __enter__(self) -> Raw:
        return self

    def __exit__(self, *_: object) -> None:
        self.stream.close()
        self.sock.close()

    def send(self, header: object, payload: bytes = b"") -> None:
        data = header if isinstance(header, bytes) else json.dumps(header).encode()
        self.sock.sendall(struct.pack("!I", len(data)) + data + payload)

    def receive(self) -> dict[str, Any]:
        (length,) = struct.unpack("!I", self.stream.read(4))
        header: dict[str, Any] = json.loads(self.stream.read(length))
        return header

    def code(self) -> str:
        return str(self.receive().get("code"))


def test_the_base_server_keeps_names_inside_its_folder(tmp_path: Path) -> None:
    folder = tmp_path / "shared"
    folder.mkdir()
    (tmp_path / "secret").write_bytes(b"s")
    (folder / "link").symlink_to(tmp_path / "secret")
    (folder / "loop").symlink_to("loop")
    (folder / "dirlink").symlink_to(tmp_path)
    with base_server(folder) as (port, _), Raw(port) as peer:
        for path, code in {
            "../secret": "invalid-path", "/../secret": "invalid-path", "a/../../secret": "invalid-path",
            "..\\secret": "invalid-path", "a\0b": "invalid-path", "\ud800": "invalid-path", "x" * 256: "invalid-path",
            "link": "invalid-path", "loop": "invalid-path", "dirlink/x": "invalid-path", "": "invalid-path",
            str(tmp_path / "secret"): "not-found", "/": "is-a-directory",
        }.items():  # fmt: skip
            peer.send({"op": "get", "path": path, "algorithm": "md5"})
            assert peer.code() == code, path
            peer.send({"op": "put", "path": path, "algorithm": "md5", "size": 3}, b"abc")
            peer.send({"digest": hashlib.md5(b"abc", usedforsecurity=False).hexdigest()})
            assert peer.code() == code, path
        for request, code in (
            ({"op": "get", "path": 1, "algorithm": "md5"}, "bad-request"),
            ({"op": "get", "path": "a", "algorithm": "crc32"}, "bad-request"),
            ({"op": "__class__"}, "unknown-op"),
            ({"op": ["put"]}, "bad-request"),
            ({}, "bad-request"),
        ):
            peer.send(request)
            assert peer.code() == code
        peer.send({"op": "ls", "size": 4}, b"abcd")
        assert peer.code() == "bad-request"
        peer.send({"op": "ls", "path": "/"})
        answer = peer.receive()
        lines = peer.stream.read(answer["size"]).splitlines()
        assert [(entry["name"], entry["type"]) for entry in map(json.loads, lines)] == [
            ("dirlink", "link"),
            ("link", "link"),
            ("loop", "link"),
        ]
    assert sorted(os.listdir(folder)) == ["dirlink", "link", "loop"]
    assert (tmp_path / "secret").read_bytes() == b"s"


@pytest.mark.parametrize(
    "sent",
    [
        b"[]", b"{", b"\xff\xff", b"[" * 4096, b"x", b" " * 4097, b'{"op": "put", "path": "a", "algorithm": "md5"}',
        b'{"op": "put", "size": true}', b'{"op": "nothing", "size": 1}', b'{"op": "ls", "size": -1}',
    ],
    ids=range(10),
)  # fmt: skip
def test_the_base_server_ends_by_a_fatal_answer_what_it_cannot_frame(sent: bytes, tmp_path: Path) -> None:
    with base_server(tmp_path) as (port, _), Raw(port) as peer:
        peer.send(sent, b"?" * 100_000)
        answer = peer.receive()
        assert (answer["code"], answer["fatal"]) == ("invalid-header", True)
        assert peer.stream.read(1) == b""


def test_the_base_server_stores_nothing_that_is_not_whole(tmp_path: Path) -> None:
    folder = tmp_path / "shared"
    folder.mkdir()
    (folder / "a").write_bytes(b"old")
    put = {"op": "put", "path": "a", "algorithm": "sha256", "size": 3}
    with base_server(folder) as (port, _):
        with Raw(port) as peer:
            peer.send(put, b"new")
            peer.send({"digest": "0" * 64})
            assert peer.code() == "digest-mismatch"
            peer.send(put, b"\0\0\0")
            peer.send({"error": {"code": "changed"}})
            assert peer.code() == "read-failed"
            assert os.listdir(folder) == ["a"]
            peer.send(put, b"new")
            peer.send({"op": "ls"})  # where the trailer is due
            assert peer.receive()["fatal"] is True
        with Raw(port) as peer:
            peer.send(put, b"ne")  # and is gone
        with Raw(port) as peer:
            peer.send({"op": "get", "path": "a", "algorithm": "sha256"})
            assert peer.stream.read(peer.receive()["size"]) == b"old"
            assert peer.receive() == {"digest": hashlib.sha256(b"old").hexdigest()}
            peer.send({"op": "quit"})
            assert peer.receive() == {"status": "ok"}
            assert peer.stream.read(1) == b""


def test_the_base_server_tells_paths_that_lead_to_what_they_name(tmp_path: Path) -> None:
    (tmp_path / ".hidden" / ".deep").mkdir(parents=True)
    with base_server(tmp_path) as (port, _), Raw(port) as peer:
        for path, told in {
            ".": "/",
            ".hidden": "/.hidden",
            ".//.deep/": "/.hidden/.deep",
            "../..": "/",
        }.items():
            peer.send({"op": "cd", "path": path})
            assert peer.receive() == {"status": "ok", "path": told}
        peer.send({"op": "put", "path": ".profile", "size": 0, "algorithm": "md5"})
        peer.send({"digest": hashlib.md5(usedforsecurity=False).hexdigest()})
        assert peer.receive()["path"] == "/.profile"


def test_the_base_server_fills_up_a_file_that_shrinks_and_says_so(tmp_path: Path) -> None:
    size = 64 << 20  # more than the buffers between the two hold
    with open(tmp_path / "a", "wb") as file:
        file.truncate(size)
    with base_server(tmp_path) as (port, _), Raw(port) as peer:
        peer.send({"op": "get", "path": "a", "algorithm": "md5"})
        assert peer.receive()["size"] == size
        os.truncate(tmp_path / "a", 0)
        left = size
        while left:
            left -= len(peer.stream.read(min(left, 1 << 20)))
        assert peer.receive()["error"]["code"] == "read-failed"
        peer.send({"op": "ls", "path": "a"})
        assert json.loads(peer.stream.read(peer.receive()["size"])) == {
            "name": "a",
            "type": "file",
            "file_size": 0,
        }


def test_the_base_client_asks_for_all_pages_of_a_long_listing(tmp_path: Path) -> None:
    folder = tmp_path / "root" / "public"
    folder.mkdir(parents=True)
    names = [f"f{number:03}" for number in range(25)]
    for name in names:
        (folder / name).touch()
    with daemon.server(tmp_path / "root", settings={"limits.page": 10}) as server:
        lines = run(CLIENT, "127.0.0.1", server.where[1], said="ls\n")
    assert [line.split()[-1] for line in lines] == names


def test_both_sides_import_the_standard_library_only() -> None:
    for name in (SERVER, CLIENT):
        tree = ast.parse((COURSE / name).read_text(encoding="utf-8"))
        modules = {
            alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names
        }
        modules |= {str(node.module) for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
        assert {module.partition(".")[0] for module in modules} <= sys.stdlib_module_names
