"""`sync` in both directions: what differs goes over, what is the same does not, and what is left out stays."""

from __future__ import annotations

import errno
import json
import os
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal

import pytest

from ftpsvc.confine.posix import PosixDirectory
from ftpsvc.exceptions import DirectoryNotEmpty, InvalidPath, IsADirectory, NotADirectory, NotFound
from ftpsvc_client import Client, connect
from ftpsvc_client.filters import read_patterns
from ftpsvc_client.results import Action, SyncReport
from tests.helpers.cli import Cli, emptied
from tests.helpers.cutter import cutter
from tests.helpers.embedded import embedded
from tests.helpers.raw_server import Header, RawServer, raw_server

Direction = Literal["up", "down"]
DIRECTIONS: tuple[Direction, ...] = ("up", "down")


class Sides:
    """A tree here and one on the server, and `sync` between them with the first as its source.

    Attributes:
        source: Where the source is on this disk.
        target: Where the target is.
        actions: What the last `run` did, as `what path`.
    """

    def __init__(self, client: Client, public: Path, here: Path, direction: Direction) -> None:
        self.client = client
        self.direction = direction
        self.local, self.remote = here / "tree", public / "tree"
        self.source, self.target = (
            (self.local, self.remote) if direction == "up" else (self.remote, self.local)
        )
        self.source.mkdir()
        self.actions: list[str] = []

    def run(self, **options: Any) -> SyncReport:
        actions: list[Action] = []
        report = self.client.sync(
            self.local, "/tree", direction=self.direction, told=actions.append, **options
        )
        move = "put" if self.direction == "up" else "get"
        self.actions = [f"{'move' if act.what == move else act.what} {act.path}" for act in actions]
        return report


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    root = tmp_path_factory.mktemp("root")
    with embedded(root) as daemon:
        yield str(daemon.addresses[0]), root / "public"


@pytest.fixture(params=DIRECTIONS)
def sides(request: pytest.FixtureRequest, url: tuple[str, Path], tmp_path: Path) -> Iterator[Sides]:
    emptied(url[1])
    with connect(url[0]) as client:
        yield Sides(client, url[1], tmp_path, request.param)


def write(path: Path, text: str, *, time: int | None = None) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    if time is not None:
        os.utime(path, ns=(time, time))
    return path


def tree(top: Path) -> dict[str, str | None]:
    """What is beneath a directory: the text of files, None for directories."""
    return {
        path.relative_to(top).as_posix(): None if path.is_dir() else path.read_text()
        for path in top.rglob("*")
        if ".ftpsvc" not in path.parts
    }


def test_a_tree_is_made_like_another_and_then_there_is_nothing_to_do(sides: Sides) -> None:
    write(sides.source / "a", "1", time=1_600_000_000_123_456_789)
    write(sides.source / "sub" / "deep" / "b", "22")
    (sides.source / "empty").mkdir()
    (write(sides.source / "run", "#!/bin/sh\n")).chmod(0o755)
    report = sides.run()
    assert (report.problems, report.files, report.size, report.directories) == (
        [],
        3,
        13,
        4 - (sides.direction == "down"),
    )
    assert tree(sides.target) == tree(sides.source)
    assert (sides.target / "a").stat().st_mtime_ns == 1_600_000_000_123_456_789
    assert os.access(sides.target / "run", os.X_OK)
    assert not os.access(sides.target / "a", os.X_OK)
    again = sides.run(delete=True)
    assert (again.files, again.present, again.deleted, sides.actions) == (0, 3, 0, [])


def test_only_what_differs_by_size_or_time_goes_over(sides: Sides) -> None:
    for name in ("same", "longer", "later"):
        write(sides.source / name, "x", time=10**18)
    sides.run()
    write(sides.source / "longer", "xx", time=10**18)
    write(sides.source / "later", "y", time=10**18 + 10**9)
    write(sides.source / "new", "z")
    report = sides.run()
    assert sorted(sides.actions) == ["move later", "move longer", "move new"]
    assert (report.files, report.present) == (3, 1)
    assert tree(sides.target) == tree(sides.source)


def test_the_executable_bit_is_carried_over(sides: Sides) -> None:
    write(sides.source / "f", "x", time=10**18)
    sides.run()
    (sides.source / "f").chmod(0o755)
    sides.run()
    assert len(sides.actions) == 1
    assert os.access(sides.target / "f", os.X_OK)
    (sides.source / "f").chmod(0o644)
    sides.run()
    assert not (sides.target / "f").stat().st_mode & 0o111


def test_checksum_looks_at_the_content_and_at_nothing_else(sides: Sides) -> None:
    write(sides.source / "touched", "x", time=10**18)
    write(sides.source / "hidden", "y", time=10**18)
    sides.run()
    os.utime(sides.source / "touched", ns=(2 * 10**18, 2 * 10**18))
    # Here: the server takes a file of the recorded size and time for the recorded one.
    write(sides.local / "hidden", "z", time=10**18)
    assert sides.run(dry_run=True).present == 1
    assert sides.actions == ["move touched"]
    sides.run(checksum=True)
    assert sides.actions == ["move hidden"]
    assert tree(sides.target) == tree(sides.source)


def test_delete_removes_what_the_source_does_not_have_and_dry_run_only_says_so(sides: Sides) -> None:
    write(sides.source / "kept", "1")
    write(sides.source / "dir" / "kept", "1")
    sides.run()
    write(sides.target / "gone", "2")
    write(sides.target / "dir" / "gone", "2")
    write(sides.target / "all" / "of" / "it", "2")
    assert sides.run().deleted == 0
    before = tree(sides.target)
    dry = sides.run(delete=True, dry_run=True)
    expected = ["delete all", "delete dir/gone", "delete gone"]
    assert (sorted(sides.actions), dry.deleted, tree(sides.target)) == (expected, 3, before)
    real = sides.run(delete=True)
    assert (sorted(sides.actions), real.deleted, real.problems) == (expected, 3, [])
    assert tree(sides.target) == tree(sides.source)


def test_what_is_excluded_is_neither_sent_nor_removed(sides: Sides) -> None:
    for name in ("a.tmp", "b", "build/x", "sub/build/y", "sub/c.tmp", "sub/keep.tmp"):
        write(sides.source / name, "1")
    for name in ("z.tmp", "old/x.tmp", "old/y", "older/y"):
        write(sides.target / name, "2")
    report = sides.run(delete=True, exclude=["*.tmp", "!keep.tmp", "/build/"])
    assert report.problems == []
    assert {name: text for name, text in tree(sides.target).items() if text} == {
        "b": "1", "sub/build/y": "1", "sub/keep.tmp": "1", "z.tmp": "2", "old/x.tmp": "2",
    }  # fmt: skip
    assert report.deleted == 2


def test_a_kind_that_changed_is_a_problem_without_delete_and_replaced_with_it(sides: Sides) -> None:
    write(sides.source / "a", "file")
    write(sides.source / "b" / "c", "in a directory")
    write(sides.target / "a" / "x", "old")
    write(sides.target / "b", "old")
    report = sides.run()
    assert len(report.problems) >= 2
    assert {type(problem.error) for problem in report.problems} <= {IsADirectory, NotADirectory}
    assert tree(sides.target) == {"a": None, "a/x": "old", "b": "old"}
    assert sides.run(delete=True).problems == []
    assert tree(sides.target) == tree(sides.source)


def test_nothing_is_deleted_when_the_source_was_not_listed_whole(sides: Sides) -> None:
    write(sides.source / "a", "1")
    with open(os.fsencode(sides.source) + b"/not\xff-utf8", "wb"):
        pass
    write(sides.target / "gone", "2")
    report = sides.run(delete=True)
    assert (report.deleted, report.kept) == (0, "the source could not be listed whole")
    assert [type(problem.error) for problem in report.problems] == [InvalidPath]
    assert (sides.target / "gone").exists()
    assert (sides.target / "a").read_text() == "1"


@pytest.mark.parametrize("page", [3, 1000])
def test_a_directory_that_the_servers_disk_cannot_list_is_not_taken_for_empty(
    page: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = PosixDirectory.scan
    with (
        embedded(tmp_path / "root", limits={"page": page}) as daemon,
        connect(str(daemon.addresses[0])) as client,
    ):
        sides = Sides(client, tmp_path / "root" / "public", tmp_path, "down")
        for name in ("a/1", "bad/1", "bad/2", "bad/3", "c/1"):
            write(sides.source / name, "1")
        sides.run()
        write(sides.source / "c" / "2", "1")
        bad = (sides.source / "bad").stat().st_ino

        def fails(folder: PosixDirectory) -> Any:
            if os.fstat(folder.fd).st_ino == bad:
                raise OSError(errno.EIO, "bad sector")
            return real(folder)

        monkeypatch.setattr(PosixDirectory, "scan", fails)
        report = sides.run(delete=True)
    assert (report.deleted, report.kept) == (0, "the source could not be listed whole")
    assert {problem.path for problem in report.problems} == {"bad"}
    assert sorted(tree(sides.target)) == ["a", "a/1", "bad", "bad/1", "bad/2", "bad/3", "c", "c/1", "c/2"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_what_cannot_be_read_is_reported_and_the_rest_goes_over(sides: Sides) -> None:
    write(sides.source / "a", "1")
    write(sides.source / "secret", "1").chmod(0)
    report = sides.run()
    assert len(report.problems) == 1
    assert (sides.target / "a").exists()


def test_a_source_that_is_missing_or_a_file_deletes_nothing(sides: Sides) -> None:
    sides.source.rmdir()
    write(sides.target / "precious", "1")
    with pytest.raises(NotFound):
        sides.run(delete=True)
    write(sides.source, "a file")
    with pytest.raises(NotADirectory):
        sides.run(delete=True)
    assert (sides.target / "precious").exists()


@pytest.mark.parametrize("how", ["dry run", "sync", "tree"])
@pytest.mark.parametrize("name", ["", "below"])
def test_a_target_that_is_a_file_is_one_error_and_not_one_for_each_name(
    how: str, name: str, sides: Sides
) -> None:
    write(sides.source / "a" / "b", "1")
    write(sides.target, "a file")
    local, remote = sides.local, f"/tree/{name}".rstrip("/")
    if sides.direction == "down":
        local, remote = sides.local / name, "/tree"
    client, direction = sides.client, sides.direction
    call: Callable[[], object] = {
        "dry run": lambda: client.sync(local, remote, direction=direction, dry_run=True),
        "sync": lambda: client.sync(local, remote, direction=direction),
        "tree": lambda: (
            client.put_tree(local, remote)
            if direction == "up"
            else client.get_tree(remote, local, overwrite=True)
        ),
    }[how]
    with pytest.raises(NotADirectory):
        call()
    assert sides.target.read_text() == "a file"


def test_several_connections_do_the_same(sides: Sides) -> None:
    for number in range(200):
        write(sides.source / f"d{number % 5}" / "deep" / f"f{number}", str(number))
    write(sides.target / "gone", "2")
    report = sides.run(connections=3, delete=True)
    assert (report.problems, report.files, report.deleted) == ([], 200, 1)
    assert report.directories == 11 - (sides.direction == "down")
    assert tree(sides.target) == tree(sides.source)


def test_what_the_source_has_a_link_for_stays_with_all_that_is_in_it(sides: Sides) -> None:
    (sides.source / "link").symlink_to(sides.source.parent)
    write(sides.target / "link" / "deep" / "own", "mine")
    write(sides.target / "extra", "gone")
    report = sides.run(delete=True)
    assert sides.actions == ["delete extra"]
    assert (report.deleted, report.problems) == (1, [])
    assert (sides.target / "link" / "deep" / "own").read_text() == "mine"


def test_a_directory_with_something_excluded_in_it_is_not_replaced_by_a_file(sides: Sides) -> None:
    write(sides.source / "thing", "a file")
    write(sides.source / "other", "o")
    write(sides.target / "thing" / "deep" / "own.log", "mine")
    write(sides.target / "thing" / "more", "m")
    write(sides.target / "extra", "gone")
    options: dict[str, Any] = {"delete": True, "exclude": ["*.log"]}
    for dry_run in (True, False):
        report = sides.run(**options, dry_run=dry_run)
        assert [type(problem.error) for problem in report.problems] == [DirectoryNotEmpty]
        assert report.kept is None  # the source was listed whole
        assert sides.actions == ["move other", "delete extra"]
    assert (sides.target / "thing" / "deep" / "own.log").read_text() == "mine"
    assert (sides.target / "thing" / "more").read_text() == "m"
    assert not (sides.target / "extra").exists()
    assert (sides.target / "other").read_text() == "o"


def test_dry_run_says_what_is_done_where_kinds_have_changed(sides: Sides) -> None:
    write(sides.source / "was-directory", "a file")
    write(sides.target / "was-directory" / "deep" / "f", "x")
    write(sides.source / "was-file" / "deep" / "f", "y")
    write(sides.target / "was-file", "a file")
    said = sides.run(delete=True, dry_run=True)
    actions = sides.actions
    done = sides.run(delete=True)
    assert (sides.actions, done.deleted) == (actions, said.deleted)
    assert tree(sides.target) == tree(sides.source)


def test_several_connections_wait_for_what_stands_in_the_way_of_all_of_them(sides: Sides) -> None:
    for number in range(40):
        name = str(number % 20)
        write(sides.target / name, "a file")
        write(sides.source / name / str(number) / "deep" / "f", "x")
    report = sides.run(delete=True, connections=4)
    assert report.problems == []
    assert tree(sides.target) == tree(sides.source)


@pytest.mark.parametrize(("room", "used"), [(2, 1), (4, 3)])
@pytest.mark.parametrize("direction", DIRECTIONS)
def test_a_server_without_room_for_all_connections_is_used_by_those_it_takes(
    tmp_path: Path, direction: Direction, room: int, used: int
) -> None:
    with embedded(tmp_path / "root", limits={"connections": room}) as daemon:
        local, public = tmp_path / "t", tmp_path / "root" / "public" / "t"
        for number in range(150):
            write((local if direction == "up" else public) / str(number % 5) / str(number), "x")
        with connect(str(daemon.addresses[0]), retries=3) as client:
            report = client.sync(local, "/t", direction=direction, connections=4)
        assert (report.problems, report.files, report.connections) == ([], 150, used)
        assert tree(local) == tree(public)


def test_the_command_says_over_how_many_connections_a_tree_went(tmp_path: Path) -> None:
    write(tmp_path / "t" / "a", "x")
    with embedded(tmp_path / "root", limits={"connections": 1}) as daemon:
        done = Cli(tmp_path, str(daemon.addresses[0]))("put", "-r", "-j2", "t")
    assert (done.code, done.out) == (0, "t -> t  1 file, 1 B\n")
    assert done.err == "ftpsvc: the server has no room for 2 connections more: the files went over 1\n"


def test_times_before_1970_go_over_once_only(sides: Sides) -> None:
    write(sides.source / "old", "x", time=-5 * 10**9)
    sides.run()
    sides.run()
    assert sides.actions == []


def test_a_file_of_patterns_may_begin_with_a_byte_order_mark(tmp_path: Path) -> None:
    path = tmp_path / "filter"
    path.write_text("\ufeff*.tmp\n*.log\n", encoding="utf-8")
    assert read_patterns(str(path)) == ["*.tmp", "*.log"]


def test_links_are_left_out_with_a_note_or_sent_as_what_they_lead_to(
    url: tuple[str, Path], tmp_path: Path
) -> None:
    emptied(url[1])
    with connect(url[0]) as client:
        sides = Sides(client, url[1], tmp_path, "up")
        write(tmp_path / "elsewhere" / "f", "1")
        (sides.source / "dir").symlink_to(tmp_path / "elsewhere")
        (sides.source / "file").symlink_to(tmp_path / "elsewhere" / "f")
        (sides.source / "broken").symlink_to("nothing")
        (sides.source / "loop").symlink_to(".")
        report = sides.run()
        assert (len(report.skipped), report.problems, tree(sides.target)) == (4, [], {})
        # What the source has under that name may be anything: it is not taken for deleted.
        write(sides.target / "file", "old")
        assert sides.run(delete=True).deleted == 0
        copied = sides.run(links="copy")
        assert tree(sides.target) == {"dir": None, "dir/f": "1", "file": "1"}
        assert sorted(Path(problem.path).name for problem in copied.problems) == ["broken", "loop"]


def test_links_at_the_target_are_neither_followed_nor_emptied(url: tuple[str, Path], tmp_path: Path) -> None:
    emptied(url[1])
    with connect(url[0]) as client:
        sides = Sides(client, url[1], tmp_path, "down")
        outside = write(tmp_path / "outside" / "precious", "1").parent
        sides.target.mkdir()
        (sides.target / "dir").symlink_to(outside)
        (sides.target / "extra").symlink_to(outside)
        write(sides.source / "dir" / "x", "2")
        assert sides.run().problems
        assert tree(outside) == {"precious": "1"}
        report = sides.run(delete=True)
        assert report.problems == []
        assert tree(outside) == {"precious": "1"}
        assert tree(sides.target) == tree(sides.source)


def test_c21_a_server_that_lists_names_outside_gets_nothing_deleted_there(tmp_path: Path) -> None:
    removed: list[object] = []

    def lies(server: RawServer, request: Header, conn: socket.socket) -> bool:
        if request["op"] == "rm":
            removed.append(request["path"])
        if request["op"] == "stat":
            server.send(conn, {"status": "ok", "path": "/t", "entry": {"name": "t", "type": "dir"}})
            return True
        if request["op"] != "ls":
            return False
        lines = b"".join(
            json.dumps({"name": name, "type": "file", "file_size": 1}).encode() + b"\n"
            for name in ("../up", "/etc/passwd", "a/../../b", "..", "fine")
        )
        server.send(conn, {"status": "ok", "size": len(lines)})
        conn.sendall(lines)
        return True

    features = ["stat", "recursive", "mkdir", "rm"]
    (tmp_path / "t").mkdir()
    (tmp_path / "precious").write_bytes(b"1")
    with raw_server({}, lies, features=features) as (url, _), connect(url) as client:
        client.sync(tmp_path / "t", "/t", direction="up", delete=True)
        assert removed == ["/t/fine"]
        report = client.sync(tmp_path / "t", "/t", direction="down", delete=True)
    assert report.kept is not None
    assert (tmp_path / "precious").exists()


def test_what_could_not_be_removed_does_not_count_as_deleted(tmp_path: Path) -> None:
    def keeps_one(server: RawServer, request: Header, conn: socket.socket) -> bool:
        if request["op"] != "rm":
            return False
        if request["path"] == "/tree/precious":
            server.error(conn, "permission-denied", path=request["path"])
        else:
            server.send(conn, {"status": "ok", "path": request["path"], "removed": 1})
        return True

    (tmp_path / "tree").mkdir()
    files = {f"/tree/{name}": b"" for name in ("one", "precious", "two")}
    with raw_server(files, keeps_one, features=["mkdir"]) as (url, _), connect(url) as client:
        report = client.sync(tmp_path / "tree", "/tree", delete=True)
    assert ([problem.path for problem in report.problems], report.deleted) == (["/tree/precious"], 2)


def test_put_r_goes_on_where_it_was(url: tuple[str, Path], tmp_path: Path) -> None:
    emptied(url[1])
    for number in range(100):
        write(tmp_path / "tree" / f"d{number % 3}" / f"f{number}", str(number) * 3000)
    with cutter(url[0]) as net:
        with connect(net.url) as client:
            net.cuts_up = [net.up + 300_000]
            with pytest.raises(Exception, match="connection lost"):
                client.put_tree(tmp_path / "tree", "/tree")
            done = sum(path.is_file() for path in (url[1] / "tree").rglob("*"))
            report = client.put_tree(tmp_path / "tree", "/tree")
            assert report.present >= done  # more may have been stored since they were counted
            assert (report.problems, report.files + report.present, report.directories) == ([], 100, 4)
            again = client.put_tree(tmp_path / "tree", "/tree")
            assert (again.files, again.present) == (0, 100)
            whole = client.put_tree(tmp_path / "tree", "/tree", resume=False)
            assert (whole.files, whole.present) == (100, 0)
        with connect(net.url, retries=2) as client:
            net.cuts_up = [net.up + 200_000, net.up + 400_000]
            assert client.put_tree(tmp_path / "tree", "/tree", resume=False).files == 100
    assert tree(url[1] / "tree") == tree(tmp_path / "tree")


def test_parts_of_downloads_are_no_content(url: tuple[str, Path], tmp_path: Path) -> None:
    emptied(url[1])
    note = {"what": "ftpsvc-part", "version": "1", "file_size": 5, "algorithm": "blake3"}
    write(tmp_path / "tree" / "a.part", "half")
    write(tmp_path / "tree" / "a.part.json", json.dumps(note))
    write(tmp_path / "tree" / "b.part", "my own")
    write(tmp_path / "tree" / ".ftpsvc-0123.part", "half")
    with connect(url[0]) as client:
        client.put_tree(tmp_path / "tree", "/tree")
    assert tree(url[1] / "tree") == {"b.part": "my own"}


# ---------------------------------------------------------------- the command


@pytest.fixture
def cli(url: tuple[str, Path], tmp_path: Path) -> Cli:
    emptied(url[1])
    here = tmp_path / "here"
    here.mkdir()
    return Cli(here, url[0])


def test_the_command_tells_the_sides_apart_by_the_colon(cli: Cli, url: tuple[str, Path]) -> None:
    write(cli.here / "tree" / "a", "1")
    assert cli.ok("sync", "tree", ":tree").out == "tree -> :tree  1 file, 1 B, 0 the same\n"
    assert (url[1] / "tree" / "a").read_text() == "1"
    assert cli.ok("sync", ":/tree", "./co:py").out == ":/tree -> ./co:py  1 file, 1 B, 0 the same\n"
    assert (cli.here / "co:py" / "a").read_text() == "1"
    cli.ok("profile", "add", "-q", "lab", url[0])
    assert cli.ok("sync", "lab:tree", "tree", "-q").out == ""
    for arguments, text in (
        (("tree", "other"), "one of the two has to be on the server"),
        ((":a", ":b"), "only one of the two can be on the server"),
        (("tree", f"{url[0]}/x"), "a URL has no place for a path"),
    ):
        done = cli("sync", *arguments)
        assert (done.code, text in done.err) == (2, True)


def test_the_command_says_what_it_would_do_and_speaks_json(cli: Cli, url: tuple[str, Path]) -> None:
    write(cli.here / "tree" / "a", "1")
    write(cli.here / "tree" / "no", "1")
    write(cli.here / "filter", "# a comment\nno\n")
    write(url[1] / "tree" / "gone", "1")
    done = cli.ok("sync", "-n", "--delete", "--filter-from", "filter", "tree", ":tree")
    assert done.lines == ["put     a", "delete  gone"]
    assert tree(url[1] / "tree") == {"gone": "1"}
    *actions, report = cli.ok("sync", "--json", "--delete", "--exclude", "no", "tree", ":tree").records
    assert actions == [
        {"type": "action", "what": "put", "path": "a", "size": 1, "dry_run": False},
        {"type": "action", "what": "delete", "path": "gone", "size": None, "dry_run": False},
    ]
    assert report == {
        "type": "sync", "source": "tree", "target": ":tree", "direction": "up", "dry_run": False, "files": 1,
        "present": 0, "directories": 1, "deleted": 1, "size": 1, "kept": None, "problems": [], "skipped": [],
    }  # fmt: skip


def test_the_command_ends_with_the_code_of_what_failed(cli: Cli, url: tuple[str, Path]) -> None:
    write(cli.here / "tree" / "a", "1")
    write(url[1] / "tree" / "a" / "in the way", "1")
    done = cli("sync", "tree", ":tree")
    assert done.code == 20
    assert "is a directory" in done.err
