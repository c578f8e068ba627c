"""Trees of which one name cannot be transferred: the rest of them is, and the session stays where it was."""

from __future__ import annotations

import os
import resource
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from ftpsvc.confine.checked import is_stand_in
from ftpsvc.exceptions import Busy, NotADirectory, NotAFile, Unavailable
from ftpsvc.protocol import headers
from ftpsvc_client import Client, connect, local_tree
from ftpsvc_client.link import Link
from ftpsvc_client.results import TreeReport
from ftpsvc_client.retries import Retry
from tests.helpers.daemon import server
from tests.helpers.raw_server import Header, Misbehave, RawServer, raw_server

LIMIT = 1 << 20
LARGE = 24 << 20
"""More than is read and dropped of a file that cannot be saved."""


@contextmanager
def no_file_larger_than(size: int) -> Iterator[None]:
    """Stands for a file system that holds no larger files, as FAT holds none of 4 GiB."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def found(top: Path) -> dict[str, bytes]:
    return {str(path.relative_to(top)): path.read_bytes() for path in top.rglob("*") if path.is_file()}


@pytest.mark.parametrize("features", [[], ["recursive"]])
def test_a_large_file_that_cannot_be_saved_costs_a_download_one_connection(
    tmp_path: Path, features: list[str]
) -> None:
    files = {f"/d/t/{name}/f": name.encode() for name in "abc"} | {
        "/d/t/b/large": bytes(LARGE),
        "/d/t/z": b"z",
    }
    with raw_server(dict(files)) as (url, raw), connect(url) as client:
        client.cd("/d")
        with no_file_larger_than(LIMIT):
            report = client.get_tree("t", tmp_path / "t")
        (problem,) = report.problems
        assert (problem.path, type(problem.error)) == (str(tmp_path / "t" / "b" / "large"), Unavailable)
        assert (report.files, report.size) == (4, 4)
        assert found(tmp_path / "t") == {"a/f": b"a", "b/f": b"b", "c/f": b"c", "z": b"z"}
        assert raw.connections == 2
        assert client.pwd() == "/d"


def test_files_asked_for_behind_one_that_cannot_be_saved_are_asked_for_again(tmp_path: Path) -> None:
    with server(tmp_path / "root", "--durability", "relaxed") as running:
        for number in range(40):
            (running.public / f"{number:02}").write_bytes(bytes([number]))
        for number in (3, 4, 20):
            os.truncate(running.public / f"{number:02}", LARGE)
        with connect(running.url) as client, no_file_larger_than(LIMIT):
            report = client.get_tree("/", tmp_path / "copy")
    assert sorted(Path(problem.path).name for problem in report.problems) == ["03", "04", "20"]
    whole = [number for number in range(40) if number not in (3, 4, 20)]
    assert found(tmp_path / "copy") == {f"{number:02}": bytes([number]) for number in whole}
    assert report.files == len(whole)


def test_c21_a_directory_that_became_a_link_costs_its_files_and_nothing_else(tmp_path: Path) -> None:
    folders = [f"d{number}" for number in range(12)]  # more than are kept open
    (tmp_path / "elsewhere").mkdir()

    def swaps(raw: RawServer, request: Header, conn: socket.socket) -> bool:
        if request["op"] == "ls":
            lines = b"".join(
                b'{"name": "%s", "type": "dir"}\n{"name": "%s/f", "type": "file", "file_size": 1}\n'
                % (name, name)
                for name in (folder.encode() for folder in folders)
            )
            raw.send(conn, {"status": "ok", "size": len(lines)})
            conn.sendall(lines)
            return True
        if request["op"] == "get" and str(request["path"]).endswith("d0/f"):
            (tmp_path / "t" / "d0").rmdir()
            (tmp_path / "t" / "d0").symlink_to(tmp_path / "elsewhere")
        return False

    files = {f"/t/{folder}/f": b"1" for folder in folders}
    window = {"window": 64}  # no answer is looked at before everything has been asked for
    with (
        raw_server(files, swaps, features=["recursive"], limits=window) as (url, raw),
        connect(url) as client,
    ):
        report = client.get_tree("/t", tmp_path / "t")
        assert [(problem.path, type(problem.error)) for problem in report.problems] == [
            (str(tmp_path / "t" / "d0" / "f"), NotADirectory)
        ]
        assert report.files == len(folders) - 1
        assert raw.connections == 1
    assert os.listdir(tmp_path / "elsewhere") == []


def test_a_junction_is_not_walked_into(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    local = tmp_path / "local"
    (local / "real").mkdir(parents=True)
    (local / "real" / "f").write_bytes(b"1")
    (local / "junction").mkdir()  # only Windows has them; what tells them apart is tested where it is
    (local / "junction" / "secret").write_bytes(b"2")
    number = (local / "junction").stat().st_ino
    monkeypatch.setattr(local_tree, "is_stand_in", lambda info: info.st_ino == number or is_stand_in(info))
    with server(tmp_path / "root", "--durability", "relaxed") as running, connect(running.url) as client:
        report = client.put_tree(local, "/t")
        assert found(running.public / "t") == {"real/f": b"1"}
    ((path, error),) = [(problem.path, problem.error) for problem in report.skipped]
    assert (path, type(error)) == (str(local / "junction"), NotAFile)
    assert str(error) == f"{local / 'junction'}: is neither a regular file nor a directory"
    assert (report.files, report.problems) == (1, [])


def test_ctrl_c_between_cd_and_cd_back_leaves_the_session_where_it_was(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    real = Link.call

    def interrupted(link: Link, request: Any, *more: Any, **options: Any) -> Any:
        answer = real(link, request, *more, **options)
        if isinstance(request, headers.Cd) and request.path == "/d/e":
            raise KeyboardInterrupt
        return answer

    with raw_server({"/d/e/f": b"1"}) as (url, raw), connect(url) as client:
        assert client.cd("/d") == "/d"
        with monkeypatch.context() as patch:
            patch.setattr(Link, "call", interrupted)
            with pytest.raises(KeyboardInterrupt):
                client.is_directory("/d/e")
        assert client.pwd() == "/d"
        assert client.is_directory("e")
        assert client.pwd() == "/d"
        assert raw.connections == 2


def refusing(op: str, name: str, times: int, *, fatal: bool = False) -> Misbehave:
    """Stands for a server on which a file is in use at first, or which is stopping then."""
    left = [times]

    def misbehave(raw: RawServer, request: Header, conn: socket.socket) -> bool:
        if request["op"] == "mkdir":
            raw.send(conn, {"status": "ok", "path": request["path"], "created": True})
            return True
        if request["op"] != op or not str(request["path"]).endswith(name) or not left[0]:
            return False
        if op == "put":
            raw.exactly(conn, int(str(request["size"])))
            raw.receive(conn)
        left[0] -= 1
        raw.error(conn, "busy", path=request["path"], retry=True, fatal=fatal)
        if fatal:
            raise ConnectionError("stopping")
        return True

    return misbehave


def moved(client: Client, op: str, here: Path) -> TreeReport:
    return client.put_tree(here / "up", "t") if op == "put" else client.get_tree("t", here / "down")


@pytest.mark.parametrize("fatal", [False, True])
@pytest.mark.parametrize("op", ["put", "get"])
def test_what_is_busy_in_a_tree_is_tried_again_when_the_rest_is_through(
    tmp_path: Path, op: str, fatal: bool
) -> None:
    content = {name: name.encode() for name in "abc"}
    (tmp_path / "up").mkdir()
    for name, data in content.items():
        (tmp_path / "up" / name).write_bytes(data)
    stored = {f"/t/{name}": data for name, data in content.items()}
    tries: list[Retry] = []
    files = {} if op == "put" else dict(stored)
    with (
        raw_server(files, refusing(op, "b", 1, fatal=fatal), features=["mkdir"]) as (url, raw),
        connect(url, retries=2, told=tries.append) as client,
    ):
        report = moved(client, op, tmp_path)
        assert ([*report.problems], report.files) == ([], 3)
        assert [type(retry.error) for retry in tries] == [Busy]
        assert raw.files == stored
        assert op == "put" or found(tmp_path / "down") == content
        assert raw.connections == 1 + fatal


@pytest.mark.parametrize("op", ["put", "get"])
def test_what_stays_busy_in_a_tree_is_reported_and_the_rest_is_there(tmp_path: Path, op: str) -> None:
    (tmp_path / "up").mkdir()
    for name in "abc":
        (tmp_path / "up" / name).write_bytes(b"x")
    files = {} if op == "put" else {f"/t/{name}": b"x" for name in "abc"}
    with (
        raw_server(files, refusing(op, "b", 9), features=["mkdir"]) as (url, _),
        connect(url, retries=1) as client,
    ):
        report = moved(client, op, tmp_path)
        assert [type(problem.error) for problem in report.problems] == [Busy]
        assert report.files == 2


@pytest.mark.parametrize("how", ["cut", "busy", "busy and cut"])
def test_a_directory_comes_before_what_is_in_it_also_when_it_is_tried_again(tmp_path: Path, how: str) -> None:
    for name in ("t/a", "t/x/b", "t/x/c", "t/y/d"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    made: set[str] = set()
    to_cut, to_refuse = ["/t/a"] if how == "cut" else [], [] if how == "cut" else ["/t/x"]

    def misbehave(raw: RawServer, request: Header, conn: socket.socket) -> bool:
        path = str(request.get("path", ""))
        path = path if path.startswith("/") else f"/{path}"
        if path in to_cut:
            to_cut.remove(path)
            raise ConnectionError("cut")
        if request["op"] == "mkdir":
            if path in to_refuse:
                to_refuse.remove(path)
                raw.error(conn, "busy", path=path, retry=True, fatal=how == "busy and cut")
                if how == "busy and cut":
                    raise ConnectionError("stopping")
                return True
            made.add(path)
            raw.send(conn, {"status": "ok", "path": path, "created": True})
            return True
        if request["op"] != "put" or path.rpartition("/")[0] in made:
            return False
        raw.exactly(conn, int(str(request["size"])))
        raw.receive(conn)
        raw.error(conn, "not-found", path=path)
        return True

    with (
        raw_server({}, misbehave, features=["mkdir"]) as (url, raw),
        connect(url, retries=2) as client,
    ):
        report = client.put_tree(tmp_path / "t", "/t")
        assert ([*report.problems], report.files, report.directories) == ([], 4, 3)
        assert sorted(raw.files) == ["/t/a", "/t/x/b", "/t/x/c", "/t/y/d"]


def test_a_connection_that_ends_while_requests_are_sent_costs_no_directory(tmp_path: Path) -> None:
    """The end is met while a request for a directory is sent: that one must still come before what is in it."""
    names = [f"{number:04}" + "x" * 200 for number in range(600)]
    for name in names:
        (tmp_path / "t" / name).mkdir(parents=True)
    asked: list[str] = []

    def ends_early(raw: RawServer, request: Header, conn: socket.socket) -> bool:
        if request["op"] != "mkdir":
            return False
        # The target is made, and waited for, before all else.
        if raw.connections == 1 and request["path"] != "/t":
            conn.shutdown(socket.SHUT_WR)
            while conn.recv(65536):
                pass
            raise ConnectionError("ended")
        asked.append(str(request["path"]).rpartition("/")[2])
        raw.send(conn, {"status": "ok", "path": request["path"], "created": True})
        return True

    limits = {"window": 1000, "window_bytes": 1 << 20}
    with (
        raw_server({}, ends_early, features=["mkdir"], limits=limits) as (url, _),
        connect(url, retries=2) as client,
    ):
        report = client.put_tree(tmp_path / "t", "/t")
    assert ([*report.problems], report.directories) == ([], 601)
    assert asked[0] == "t"
    assert [name for name in asked if name != "t"] == names
