"""Who may do what: students, teachers, admins; the own home, the hand-outs and everybody's homes."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ftpsvc.accounts.model import Role
from ftpsvc.exceptions import AlreadyExists, NotFound, PermissionDenied, QuotaExceeded
from ftpsvc_client import Client, connect
from tests.helpers.attackers import raw_log_in
from tests.helpers.embedded import dial, embedded
from tests.helpers.users import add_user

KIB = 1024
Join = Callable[[str], Client]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "root"


@pytest.fixture
def join(root: Path) -> Iterator[Join]:
    """Logs somebody in; all connections end with the test."""
    people = {name: add_user(root, name, quota=100 * KIB) for name in ("ann", "bob", "new")}
    people["zhang"] = add_user(root, "zhang", role=Role.TEACHER)
    people["boss"] = add_user(root, "boss", role=Role.ADMIN)
    opened: list[Client] = []
    with embedded(root, guest="none") as daemon:

        def connected(name: str) -> Client:
            opened.append(connect(str(daemon.addresses[0]), credentials=people[name]))
            return opened[-1]

        try:
            yield connected
        finally:
            for client in opened:
                client.close()


def put(client: Client, path: str, data: bytes = b"x") -> None:
    client.put(io.BytesIO(data), path)


def get(client: Client, path: str) -> bytes:
    taken = io.BytesIO()
    client.get(path, taken)
    return taken.getvalue()


def paths(client: Client, path: str, *, recursive: bool = False) -> list[str]:
    return [entry.path for entry in client.list(path, recursive=recursive)]


def test_c24_a_student_sees_the_own_home_and_the_hand_outs_and_nobody_else(join: Join) -> None:
    ann, bob = join("ann"), join("bob")
    put(ann, "/essay", b"of ann")
    put(bob, "/essay", b"of bob")
    assert (get(ann, "/essay"), get(bob, "/essay")) == (b"of ann", b"of bob")
    assert paths(ann, "/") == ["essay", "handouts"]
    for path in ("/users", "/users/bob", "/users/bob/essay", "/bob/essay"):
        with pytest.raises(NotFound):
            ann.stat(path)
        with pytest.raises(NotFound):
            put(ann, f"{path}/new")


def test_c39_a_student_cannot_do_what_a_teacher_may(join: Join) -> None:
    zhang, ann = join("zhang"), join("ann")
    put(zhang, "/handouts/sheet", b"exercise")
    assert get(ann, "/handouts/sheet") == b"exercise"
    for attempt in (
        lambda: put(ann, "/handouts/mine"),
        lambda: put(ann, "/handouts/sheet"),
        lambda: ann.remove("/handouts/sheet"),
        lambda: ann.mkdir("/handouts/folder"),
        lambda: ann.rename("/handouts/sheet", "/sheet"),
        lambda: ann.rename("/handouts/sheet", "/handouts/other"),
        lambda: ann.remove("/handouts", recursive=True),
        lambda: ann.remove("/", recursive=True),
    ):
        with pytest.raises(PermissionDenied):
            attempt()
    assert get(ann, "/handouts/sheet") == b"exercise"
    assert paths(ann, "/handouts") == ["sheet"]


def test_c39_a_teacher_reads_all_homes_and_changes_none(join: Join) -> None:
    ann, zhang = join("ann"), join("zhang")
    ann.mkdir("/work/deep", parents=True)
    put(ann, "/work/deep/essay", b"of ann")
    assert paths(zhang, "/") == ["handouts", "users"]
    assert paths(zhang, "/users") == ["ann", "bob", "boss", "new", "zhang"]
    assert get(zhang, "/users/ann/work/deep/essay") == b"of ann"
    assert zhang.cd("/users/ann/work") == "/users/ann/work"
    assert paths(zhang, ".", recursive=True) == ["deep", "deep/essay"]
    assert zhang.verify("/users/ann/work/deep/essay").path == "/users/ann/work/deep/essay"
    assert paths(zhang, "/users/new") == [], "who never logged in has an empty home"
    for path in ("/users/nobody", "/users/ann/missing", "/users/ANN/work"):
        with pytest.raises(NotFound):
            zhang.stat(path)
    for attempt in (
        lambda: put(zhang, "/users/ann/mark"),
        lambda: put(zhang, "/users/ann/work/deep/essay"),
        lambda: zhang.remove("/users/ann/work", recursive=True),
        lambda: zhang.remove("/users/ann", recursive=True),
        lambda: zhang.mkdir("/users/ann/folder"),
        lambda: zhang.mkdir("/users/somebody"),
        lambda: zhang.rename("/users/ann/work", "/users/ann/play"),
        lambda: zhang.rename("/users/ann/work", "/users/bob/work"),
        lambda: zhang.rename("/users/ann/work", "/work"),
        lambda: zhang.rename("/users", "/people"),
    ):
        with pytest.raises(PermissionDenied):
            attempt()
    assert get(ann, "/work/deep/essay") == b"of ann"


def test_an_admin_changes_homes_within_their_quota_and_moves_nothing_across_them(join: Join) -> None:
    ann, boss = join("ann"), join("boss")
    put(boss, "/users/ann/note", bytes(60 * KIB))
    assert ann.space().used == 60 * KIB
    with pytest.raises(QuotaExceeded):
        put(boss, "/users/ann/more", bytes(60 * KIB))
    with pytest.raises(QuotaExceeded):
        put(ann, "/more", bytes(60 * KIB))
    boss.mkdir("/users/ann/folder")
    boss.rename("/users/ann/note", "/users/ann/folder/note")
    assert get(ann, "/folder/note") == bytes(60 * KIB)
    for attempt in (
        lambda: boss.rename("/users/ann/folder", "/users/bob/folder"),
        lambda: boss.rename("/users/ann/folder", "/folder"),
        lambda: boss.rename("/users/ann", "/users/bob"),
        lambda: boss.remove("/users/ann", recursive=True),
        lambda: boss.mkdir("/users/somebody"),
    ):
        with pytest.raises(PermissionDenied):
            attempt()
    with pytest.raises(AlreadyExists):
        boss.mkdir("/users/ann")
    boss.remove("/users/ann/folder", recursive=True)
    assert ann.space().used == 0


def test_all_homes_are_listed_in_pages_each_name_once(root: Path) -> None:
    """Also recursively, where a page may end within a home."""
    zhang = add_user(root, "zhang", role=Role.TEACHER)
    wanted = ["zhang"]
    for number in range(7):
        name = f"s{number}"
        add_user(root, name)
        wanted.append(name)
        for file in range(number):
            (root / "users" / name / "d").mkdir(parents=True, exist_ok=True)
            (root / "users" / name / "d" / f"f{file}").write_text("x")
            wanted.append(f"{name}/d/f{file}")
        if number:
            wanted.append(f"{name}/d")
    for page in (1, 2, 3, 5, 100):
        with embedded(root, guest="none", limits={"page": page}) as daemon, dial(daemon) as peer:
            raw_log_in(peer, zhang)
            found = [entry["name"] for entry in peer.ls("/users", recursive=True)]
            assert sorted(found) == sorted(wanted)
            assert len(found) == len(set(found))
            top = [entry["name"] for entry in peer.ls("/users")]
            assert top == sorted(name for name in wanted if "/" not in name)


def test_a_list_of_all_homes_opens_none_of_them(root: Path) -> None:
    """To open one is to walk all of it, which made a list of a class take as long as all that the class has."""
    zhang = add_user(root, "zhang", role=Role.TEACHER)
    homes = [root / "users" / f"s{number}" for number in range(5)]
    for home in homes:
        add_user(root, home.name)
        home.mkdir(parents=True)
        (home / "by-hand").write_text("x")
    (root / "users" / "zz").write_text("no home, and no reason to list nobody")
    add_user(root, "zz")
    with embedded(root, guest="none") as daemon, dial(daemon) as peer:
        raw_log_in(peer, zhang)
        found = {entry["name"]: entry for entry in peer.ls("/users")}
        assert list(found) == [*(home.name for home in homes), "zhang", "zz"]
        assert found["s0"]["modified"] == homes[0].stat().st_mtime_ns
        assert peer.ask("stat", path="/users/s0")["entry"] == found["s0"]
        assert peer.ask("cd", path="/users/s1")["status"] == "ok"
        assert [home.name for home in homes if (home / ".ftpsvc").exists()] == []
        assert [entry["name"] for entry in peer.ls("/users/s2")] == ["by-hand"]


def test_folders_of_the_server_have_no_made_up_time(join: Join) -> None:
    zhang = join("zhang")
    assert [entry.modified for entry in zhang.list("/")] == [None, None]
