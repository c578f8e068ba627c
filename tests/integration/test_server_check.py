"""`ftpsvc-server check`: what it finds, what it repairs, and that it leaves a running server alone."""

import json
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from ftpsvc.confine import open_root
from ftpsvc.storage.records import ATTRIBUTE, attributes_work
from ftpsvc_client import Credentials, connect
from tests.helpers.daemon import server
from tests.helpers.embedded import embedded
from tests.helpers.operated import operated
from tests.helpers.raw_peer import RawPeer, frame
from tests.helpers.users import add_user


class Checked:
    """What a check said."""

    def __init__(self, root: Path, *arguments: str) -> None:
        done = operated("check", "--root", str(root), "--json", *arguments)
        assert "Traceback" not in done.stderr
        self.code = done.returncode
        self.errors = done.stderr
        lines: list[dict[str, Any]] = [json.loads(line) for line in done.stdout.splitlines()]
        self.reports = {line["report"]: line for line in lines if "report" in line}
        self.findings = [line for line in lines if "finding" in line]

    def kinds(self, level: str | None = None) -> list[tuple[str, str]]:
        return [
            (one["finding"], one["volume"] + one["path"])
            for one in self.findings
            if level is None or one["level"] == level
        ]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "root"


@pytest.fixture
def alice(root: Path) -> Credentials:
    """A user with three files, and a server that has been stopped."""
    made = add_user(root, "alice", quota=10_000)
    with (
        embedded(root, guest="none") as daemon,
        connect(str(daemon.addresses[0]), credentials=made) as client,
    ):
        client.put(bytes(1000), "/a")
        client.mkdir("/d")
        client.put(b"content", "/d/b")
        client.put(b"", "/empty")
    return made


def test_nothing_is_wrong(root: Path, alice: Credentials) -> None:
    checked = Checked(root, "--digests")
    assert (checked.code, checked.findings) == (0, [])
    home = checked.reports["users/alice"]
    assert (home["files"], home["size"], home["limit"], home["in_use"]) == (3, 1007, 10_000, False)
    assert (home["verified"], home["unrecorded"]) == (3, 0)
    assert set(checked.reports) == {"public", "handouts", "users/alice"}


def test_c45_bits_that_rotted_are_found(root: Path, alice: Credentials) -> None:
    file = root / "users" / "alice" / "d" / "b"
    before = file.stat()
    file.write_bytes(b"c0ntent")
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert Checked(root).code == 0  # nobody asked to read
    checked = Checked(root, "--digests")
    assert checked.code == 6
    assert checked.kinds() == [("rot", "users/alice/d/b")]
    assert "was recorded" in checked.findings[0]["detail"]
    assert Checked(root, "--digests", "--repair").code == 6  # nothing can bring it back
    assert Checked(root, "--digests", "--user", "alice").code == 6


def test_a_file_changed_by_hand_is_no_rot(root: Path, alice: Credentials) -> None:
    (root / "users" / "alice" / "a").write_bytes(b"by hand")
    (root / "users" / "alice" / "new").write_bytes(b"by hand")
    checked = Checked(root, "--digests")
    assert checked.code == 0
    assert checked.kinds() == [("stale-record", "users/alice/a")]
    assert checked.reports["users/alice"]["unrecorded"] == 2
    repaired = Checked(root, "--repair")
    assert [one["repaired"] for one in repaired.findings] == [True]
    assert Checked(root).findings == []


def test_what_a_killed_server_left_is_found_and_removed(root: Path) -> None:
    with server(root) as running, RawPeer(running.where) as peer:
        peer.send(frame({"op": "put", "path": "x", "size": 10**6, "algorithm": "md5"}, bytes(300_000)))
        staging = running.public / ".ftpsvc" / "staging"
        while not list(staging.iterdir()):
            threading.Event().wait(0.01)
        under_way = Checked(root)
        assert under_way.reports["public"]["in_use"]
        assert under_way.findings == []  # what is under way is not left over
        running.kill()
    checked = Checked(root)
    assert checked.code == 5
    assert [kind for kind, _ in checked.kinds("fault")] == ["leftover"]
    repaired = Checked(root, "--repair")
    assert (repaired.code, [one["repaired"] for one in repaired.findings]) == (0, [True])
    assert not list(staging.iterdir())
    assert Checked(root).findings == []


def test_what_is_said_to_be_removed_is_gone_whatever_it_was(root: Path, alice: Credentials) -> None:
    partials = root / "users" / "alice" / ".ftpsvc" / "partials"
    (partials / ("ab" * 16) / "deep").mkdir(parents=True)
    (partials / "x.json").mkdir()
    (partials / "link").symlink_to("/etc/passwd")
    os.mkfifo(partials / "fifo")
    repaired = Checked(root, "--repair")
    assert [(one["kind"], one["repaired"]) for one in repaired.findings] == [("leftover", True)] * 4
    assert list(partials.iterdir()) == []
    assert Checked(root).findings == []


def test_a_running_server_is_read_beside_and_not_repaired(root: Path, alice: Credentials) -> None:
    home = root / "users" / "alice"
    with server(root, guest="none") as running, connect(running.url, credentials=alice) as client:
        client.put(b"more", "/more")
        (home / "a").write_bytes(b"by hand")
        reading = Checked(root, "--digests")
        assert reading.code == 0
        assert reading.reports["users/alice"]["in_use"]
        refused = Checked(root, "--repair")
        assert refused.code == 14
        assert ("in-use", "users/alice") in refused.kinds("fault")
        assert "stop" in refused.errors
        assert not any(one["repaired"] for one in refused.findings)
        client.put(b"still served", "/later")
    assert Checked(root, "--repair").code == 0


def test_orphans_and_users_who_never_came(root: Path, alice: Credentials) -> None:
    add_user(root, "bob")
    (root / "users" / "mallory").mkdir()
    (root / "users" / "mallory" / "file").write_bytes(b"x")
    (root / "users" / "stray").write_bytes(b"x")
    checked = Checked(root)
    assert checked.code == 5
    assert set(checked.kinds("fault")) == {("orphan-home", "usersmallory"), ("foreign", "usersstray")}
    assert checked.kinds("note") == [("no-home", "usersbob")]
    assert checked.reports["users/mallory"]["files"] == 1
    assert Checked(root, "--user", "bob").kinds() == [("no-home", "usersbob")]
    assert Checked(root, "--user", "nobody").code == 2
    assert Checked(root, "--user", "../alice").code == 2


def test_what_does_not_belong_in_a_home(root: Path, alice: Credentials) -> None:
    home = root / "users" / "alice"
    (home / "link").symlink_to("/etc/passwd")
    (home / "d" / "to").symlink_to(".")
    os.mkfifo(home / "fifo")
    os.link(home / "a", home / "again")
    (home / "back\\slash").write_bytes(b"x")
    Path(os.fsdecode(os.fsencode(home) + b"/\xff\xfe")).write_bytes(b"x")
    checked = Checked(root, "--digests")
    assert checked.code == 5
    assert sorted(checked.kinds("fault")) == [
        ("foreign", "users/alice/d/to"),
        ("foreign", "users/alice/fifo"),
        ("foreign", "users/alice/link"),
        ("unaddressable", "users/alice/\\xff\\xfe"),
        ("unaddressable", "users/alice/back\\\\slash"),
    ]
    assert sorted(checked.kinds("note")) == [
        ("hard-link", "users/alice/a"),
        ("hard-link", "users/alice/again"),
    ]
    assert checked.reports["users/alice"]["size"] == 2009


def test_more_than_the_quota_is_told(root: Path, alice: Credentials) -> None:
    (root / "users" / "alice" / "huge").write_bytes(bytes(20_000))
    checked = Checked(root)
    assert (checked.code, checked.kinds("note")) == (0, [("over-quota", "users/alice")])
    assert "20.5 KiB are used, the quota is 9.8 KiB" in checked.findings[0]["detail"]


def test_records_that_say_nothing_are_removed(root: Path, alice: Credentials) -> None:
    home = root / "users" / "alice"
    with open_root(home) as top:
        if not attributes_work(top, writable=True):
            pytest.skip("this file system has no extended attributes")
    os.setxattr(home / "a", ATTRIBUTE, b"nonsense")
    checked = Checked(root, "--repair")
    assert [(one["finding"], one["repaired"]) for one in checked.findings] == [("stale-record", True)]
    with pytest.raises(OSError, match="No data"):
        os.getxattr(home / "a", ATTRIBUTE)


def test_sidecars_of_files_that_are_gone(root: Path, alice: Credentials) -> None:
    """Where there are no extended attributes; one that belongs to nothing is put there by hand."""
    home = root / "users" / "alice"
    sides = home / ".ftpsvc" / "digests"
    sides.mkdir(exist_ok=True)
    (sides / "ffffffffff").write_bytes(b"x" * 50)
    assert Checked(root).kinds() == [("stale-record", "users/alice.ftpsvc/digests/ffffffffff")]
    assert Checked(root, "--repair").findings[0]["repaired"]
    assert not list(sides.iterdir())


def test_a_root_without_accounts_stays_without(root: Path) -> None:
    (root / "public").mkdir(parents=True)
    (root / "public" / "file").write_bytes(b"x")
    checked = Checked(root)
    assert (checked.code, list(checked.reports)) == (0, ["public"])
    assert [path.name for path in root.iterdir()] == ["public"]
    missing = Checked(root / "none")
    assert missing.code == 2
    assert "there is no root" in missing.errors


def test_people_read_it_too(root: Path, alice: Credentials) -> None:
    (root / "users" / "alice" / "esc\x1b[31m").write_bytes(b"x")
    done = subprocess.run(
        [sys.executable, "-m", "ftpsvc.server", "check", "--root", str(root)],
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    assert done.returncode == 5
    assert "users/alice: 4 files, 1008 B of 9.8 KiB" in done.stdout
    assert "fault: unaddressable" in done.stdout
    assert "\x1b" not in done.stdout
    assert done.stderr == "ftpsvc-server: 1 fault, 0 repaired, 0 notes\n"


def test_a_very_deep_tree_needs_no_descriptor_a_level(root: Path) -> None:
    deep = root / "public"
    deep.mkdir(parents=True)
    here = os.getcwd()
    try:
        os.chdir(deep)
        for _ in range(200):
            os.mkdir("d")
            os.chdir("d")
    finally:
        os.chdir(here)
    done = subprocess.run(
        [sys.executable, "-m", "ftpsvc.server", "check", "--root", str(root)],
        capture_output=True,
        encoding="utf-8",
        check=False,
        preexec_fn=lambda: __import__("resource").setrlimit(__import__("resource").RLIMIT_NOFILE, (64, 64)),
    )
    assert done.returncode == 5, done.stderr
    assert done.stdout.count("more than 64 directories deep") == 136
