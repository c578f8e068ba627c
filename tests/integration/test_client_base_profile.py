"""The full client against an independent server of the base profile: what is not announced is not needed."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from ftpsvc.exceptions import AlreadyExists, InvalidRequest, IsADirectory, NotADirectory, NotFound
from ftpsvc_client import connect
from tests.helpers.raw_server import raw_server


def test_put_get_ls_and_cd_work(tmp_path: Path) -> None:
    with raw_server() as (url, server), connect(url) as client:
        stored = client.put(b"hello", "/docs/greeting.txt")
        assert (stored.size, stored.algorithm) == (5, "sha256")
        assert client.cd("docs") == "/docs"
        assert client.pwd() == "/docs"
        assert [(entry.path, entry.kind, entry.size) for entry in client.list()] == [
            ("greeting.txt", "file", 5)
        ]
        fetched = client.get("greeting.txt", tmp_path / "copy.txt")
        assert fetched.digest == stored.digest
        assert (tmp_path / "copy.txt").read_bytes() == b"hello"
    assert server.files == {"/docs/greeting.txt": b"hello"}


@pytest.mark.parametrize("size", [0, 1, 65535, 65536, 131072, 131073, 3_000_001])
def test_content_of_any_size_arrives_both_ways(size: int, tmp_path: Path) -> None:
    content = bytes(range(256)) * (size // 256 + 1)
    source = tmp_path / "source"
    source.write_bytes(content[:size])
    with raw_server() as (url, server), connect(url) as client:
        client.put(source, "/x")
        assert server.files["/x"] == content[:size]
        back = io.BytesIO()
        client.get("/x", back)
    assert back.getvalue() == content[:size]


def test_a_tree_is_fetched_by_listing_each_directory(tmp_path: Path) -> None:
    files = {"/t/a": b"1", "/t/d/b": b"22", "/t/d/e/c": b"333", "/u": b"no"}
    with raw_server(dict(files)) as (url, _), connect(url) as client:
        report = client.get_tree("/t", tmp_path / "t")
    assert (report.files, report.directories, report.size, report.problems) == (3, 2, 6, [])
    found = {
        str(path.relative_to(tmp_path)): path.read_bytes()
        for path in (tmp_path / "t").rglob("*")
        if path.is_file()
    }
    assert found == {"t/a": b"1", "t/d/b": b"22", "t/d/e/c": b"333"}


def test_what_is_missing_is_said_without_asking_the_server(tmp_path: Path) -> None:
    with raw_server() as (url, server), connect(url) as client:
        for call in (
            lambda: client.mkdir("/d"),
            lambda: client.verify("/d"),
            client.space,
            lambda: client.remove("/d"),
        ):
            with pytest.raises(InvalidRequest):
                call()
        with pytest.raises(InvalidRequest):
            client.put_tree(tmp_path, "/d")
        with pytest.raises(InvalidRequest):
            client.put(b"", "/d", clobber=False)
    assert {str(request["op"]) for request in server.seen} <= {"quit"}


def test_stat_and_is_directory_are_found_out_by_listing() -> None:
    with raw_server({"/d/f": b"123"}) as (url, _), connect(url) as client:
        assert client.is_directory("/d")
        assert not client.is_directory("/d/f")
        assert not client.is_directory("/nothing")
        assert (client.stat("/d/f").kind, client.stat("/d/f").size) == ("file", 3)
        assert client.stat("/").kind == "dir"
        with pytest.raises(NotFound):
            client.stat("/d/g")
        with pytest.raises(NotADirectory):
            client.get_tree("/d/f", "t")
        assert client.pwd() == "/"


def test_an_existing_local_file_is_replaced_only_when_asked(tmp_path: Path) -> None:
    target = tmp_path / "f"
    with raw_server({"/f": b"new", "/d/x": b""}) as (url, _), connect(url) as client:
        for before in (b"other length", b"old"):
            target.write_bytes(before)
            with pytest.raises(AlreadyExists):
                client.get("/f", target)
            assert target.read_bytes() == before
        with pytest.raises(IsADirectory):
            client.get("/d", target)
        assert client.get("/f", target, overwrite=True).sent == 3
        assert target.read_bytes() == b"new"
        again = client.get("/f", target)
        assert again.already_there
    assert [path.name for path in tmp_path.iterdir()] == ["f"]
