"""C14 to C30, all at once: thousands of generated paths and frames against a real server, and nothing that gets out.

What was tried is counted by the server's own answers and asserted; `make test` prints the counts.
"""

import os
import random
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import pytest

from ftpsvc.accounts.model import Role
from ftpsvc.accounts.store import Accounts
from ftpsvc.credentials import Credentials
from ftpsvc.protocol.headers import REQUESTS
from tests.helpers import hostile
from tests.helpers.attackers import Seen, raw_log_in, send_and_take_all, snapshot
from tests.helpers.counts import count
from tests.helpers.daemon import GUARD, ServerProcess, server
from tests.helpers.raw_peer import RawPeer, put_bytes
from tests.helpers.tls_peer import TlsPeer
from tests.helpers.users import add_user
from tests.helpers.watcher import AVAILABLE, Watcher

STUDENTS = ("a", "ab", "a b")
NEIGHBOURS = ("b", "A", "a.", "AB")
"""Homes that nobody logs in to; the last three are there by hand, since no such names are given out beside `a`."""
MARK = b"MARK-OF-"
KEYS = (b"PRIVATE KEY", b"SQLite format")
HEAP = 60
"""Requests on one connection: what is sent, and what comes back meanwhile, fits into the system's own buffers."""

PATHS = count(4_500, 45_000)
HEADERS = count(2_000, 20_000)
FRAMES = count(500, 5_000)


@dataclass
class Tried:
    """What was sent, and what came of it."""

    paths: int = 0
    headers: int = 0
    frames: int = 0
    refused: int = 0

    def __str__(self) -> str:
        return (
            f"{self.paths:,} hostile paths, {self.headers:,} headers and {self.frames:,} frames tried "
            f"({self.refused:,} refused), 0 escapes, 0 tracebacks"
        )


@dataclass
class Place:
    """A server that is attacked."""

    root: Path
    outside: Path
    people: dict[str, Credentials]
    running: ServerProcess

    def where(self, *, tls: bool) -> tuple[str, int]:
        host, _, port = self.running.urls[tls].partition("://")[2].rpartition(":")
        return host, int(port)

    def home(self, name: str) -> Path:
        return self.root / "users" / name


def lay(folder: Path, owner: str) -> None:
    """Fills a folder with what is its owner's: contents and names that nobody else may see."""
    (folder / "private").mkdir(parents=True, exist_ok=True)
    mark = MARK.decode() + owner.replace(" ", "_") + "."
    (folder / "secret").write_text(mark)
    (folder / "private" / mark).write_text(mark)


def plant(home: Path, outside: Path) -> None:
    """Puts everything into a home that could lead out of it, as a careless operator or an unpacked archive might."""
    (home / "deep").mkdir(exist_ok=True)
    links = {
        "link-out": outside, "link-file": outside / "secret", "link-abs": Path("/etc/passwd"),
        "link-up": Path(".."),
        "link-self": Path("link-self"), "link-neighbour": Path("../b"), "link-dangling": outside / "made",
        "link-proc": Path("/proc/self"), "link-keys": Path("../../.ftpsvc"), "deep/link": Path("../../b"),
    }  # fmt: skip
    make: dict[str, Callable[[Path], object]] = {
        name: lambda path, to=to: path.symlink_to(to)  # type: ignore[misc]
        for name, to in links.items()
    }
    make["hard"] = lambda path: os.link(outside.parent / "hard", path)
    make["fifo"] = os.mkfifo
    if os.geteuid() == 0:
        make["device"] = lambda path: os.mknod(path, 0o20666, os.makedev(1, 3))  # /dev/null
    make["socket"] = _socket
    for name, put in make.items():
        with suppress(FileExistsError, PermissionError):
            put(home / name)
    if not (home / "secret").exists():
        lay(home, home.name)


def _socket(path: Path) -> None:
    if os.path.lexists(path):
        raise FileExistsError
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        with socket.socket(socket.AF_UNIX) as made:  # an address holds about 100 bytes, a path may be longer
            made.bind(f"/proc/self/fd/{folder}/{path.name}")
    finally:
        os.close(folder)


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    root, outside = tmp_path / "root", tmp_path / "outside"
    lay(outside, "outside")
    (tmp_path / "hard").write_text("linked to, and never written through")
    people = {name: add_user(root, name) for name in (*STUDENTS, "b")}
    people["teacher"] = add_user(root, "teacher", role=Role.TEACHER)
    with server(root, "--durability", "relaxed", "--listen", "ftpsvc://127.0.0.1:0", guest="none") as running:
        here = Place(root, outside, people, running)
        for name in (*people, *NEIGHBOURS):
            lay(here.home(name), name)
        (root / "handouts" / "link-out").symlink_to(outside)
        for name in (*STUDENTS, "teacher"):
            plant(here.home(name), outside)
        yield here


def may_see(who: str | None) -> tuple[bytes, ...]:
    """Whose marks a user may get: the own, and a teacher those of everybody who has an account."""
    names = (*STUDENTS, "b", "teacher") if who == "teacher" else (who,) if who else ()
    return tuple(MARK + name.replace(" ", "_").encode() + b"." for name in names)


def assert_kept_in(who: str | None, data: bytes) -> None:
    for mark in may_see(who):
        data = data.replace(mark, b"")
    for secret in (MARK, *KEYS):
        assert secret not in data, f"{who} got {data[data.index(secret) - 100 :][:300]!r}"


def attack(here: Place, who: str | None, requests: list[bytes], tried: Tried, *, tls: bool) -> int:
    """Sends requests as a user, in heaps, until each was answered or ended its connection."""
    at = 0
    while at < len(requests):
        if who is not None:
            plant(here.home(who), here.outside)
        heap = requests[at : at + HEAP]
        data = send_and_take_all(here.where(tls=tls), heap, here.people.get(who or ""), tls=tls)
        assert_kept_in(who, data)
        answers = hostile.answers(data)
        assert not [answer for answer in answers if answer.get("code") == "internal"]
        if who is None:
            served = [answer for answer in answers if answer["status"] == "ok"]
            assert not [answer for answer in served if answer.keys() - {"status", "data", "may"}]
        # What ended the connection, or took the rest for its payload, was the last that was tried.
        at += min(max(len(answers), 1), len(heap))
        tried.refused += sum(answer["status"] == "error" for answer in answers)
    return len(requests)


def settled(running: ServerProcess, threads: int, descriptors: int) -> bool:
    """Waits until the server has no more threads and descriptors than it had; says whether it came to that."""
    moment = threading.Event()
    for _ in range(int(GUARD / 0.02)):
        if running.status("Threads") <= threads and running.descriptors() <= descriptors:
            return True
        moment.wait(0.02)
    return False


def untouched(here: Place, who: str | None) -> Seen:
    """All that an attacker must leave as it is: what is outside, and everything of others in the root."""
    folders = [here.outside, here.root / "users", here.root / "public", here.root / ".ftpsvc" / "tls"]
    if who != "teacher":  # whose the hand-outs are
        folders.append(here.root / "handouts")
    return snapshot(folders, leave_out=[] if who is None else [here.home(who)])


def known(root: Path) -> list[object]:
    """The accounts and their secrets, but for when a device was last used."""
    with Accounts(root) as accounts:
        return [
            (user, accounts.secrets(user).password, [each.id for each in accounts.secrets(user).tokens])
            for user in accounts.users()
        ]


@pytest.mark.skipif(not AVAILABLE, reason="what is looked at is watched by inotify, which only Linux has")
@pytest.mark.timeout(600)
def test_c14_to_c30_nobody_gets_where_they_do_not_belong(
    place: Place, record_property: Callable[[str, object], None]
) -> None:
    """CASES C14 C15 C17 C20 C22 C23 C24 C30."""
    running, tried = place.running, Tried()
    threads = running.status("Threads")
    for name, credentials in place.people.items():  # every home is open from here on
        for tls in (False, True):
            assert_kept_in(name, send_and_take_all(place.where(tls=tls), [], credentials, tls=tls))
    assert settled(running, threads, 1_000)
    descriptors = running.descriptors()
    people = known(place.root)

    attackers: list[str | None] = [*STUDENTS, "teacher", None]
    for who in attackers:
        chance = random.Random(f"attack {who}")
        targets = (
            *STUDENTS, *NEIGHBOURS, *(f"{name}/secret" for name in (*STUDENTS, *NEIGHBOURS)), "users/b/secret",
            "/users/A/secret",
            "etc/passwd", "/etc/passwd", str(place.outside), f"{place.outside}/secret", str(place.root),
            ".ftpsvc/ftpsvc.db",
            "../.ftpsvc/tls/server.pem", "/.ftpsvc/staging", "handouts/link-out/secret", "users", "",
        )  # fmt: skip
        others = [place.home(name) for name in NEIGHBOURS if who != "teacher" or name != "b"]
        watched = [place.outside, *others, place.root / ".ftpsvc" / "tls"]
        before = untouched(place, who)
        with Watcher(watched) as watcher:
            for tls in (False, True):
                share = 2 * len(attackers)
                asked = list(islice(hostile.requests(chance, targets), -(-PATHS // share)))
                tried.paths += attack(place, who, asked, tried, tls=tls)
                asked = list(islice(hostile.headers(chance, targets), -(-HEADERS // share)))
                tried.headers += attack(place, who, asked, tried, tls=tls)
                for data in islice(hostile.frames(chance), -(-FRAMES // share)):
                    # What comes behind is a message no more, so each has a connection of its own.
                    assert_kept_in(
                        who,
                        send_and_take_all(place.where(tls=tls), [data], place.people.get(who or ""), tls=tls),
                    )
                    tried.frames += 1
            assert settled(running, threads, descriptors), (
                f"{running.status('Threads')}, {running.descriptors()}"
            )
            assert watcher.seen() == []
            (others[0] / "secret").read_bytes()
            assert watcher.seen(), "the watcher is blind"
        assert untouched(place, who) == before

    assert (place.root.parent / "hard").read_text() == "linked to, and never written through"
    assert not (place.outside / "made").exists()
    assert known(place.root) == people
    assert not [line for line in running.lines if "Traceback" in line or "internal-error" in line]
    for tls in (False, True):  # it serves as if nothing had been
        with (TlsPeer if tls else RawPeer)(place.where(tls=tls)) as peer:
            raw_log_in(peer, place.people["a"])
            peer.send(put_bytes("afterwards", b"as before"))
            assert peer.read()["path"] == "/afterwards"
            assert peer.get("/afterwards")[0] == b"as before"
    record_property("counted", str(tried))
    assert tried.paths + tried.headers + tried.frames >= count(5_000, 50_000)
    assert tried.refused > tried.paths // 4


def test_every_operation_that_takes_a_path_is_attacked() -> None:
    missing = {op for op, request in REQUESTS.items() if "path" in request.model_fields} - set(
        hostile.OPERATIONS
    )
    assert not missing, f"tests/helpers/hostile.py has to say how {missing} is sent"
