"""Uploads that break off and go on, over a real connection (docs/protocol.md section 5.6)."""

import hashlib
import os
import threading
from pathlib import Path
from typing import Any

import pytest

from ftpsvc.accounts.model import Role
from ftpsvc.accounts.quota import recount
from ftpsvc.confine import open_root
from ftpsvc.server.check import Level, check
from tests.helpers.daemon import server
from tests.helpers.embedded import embedded
from tests.helpers.embedded import where as address
from tests.helpers.raw_peer import RawPeer, frame
from tests.helpers.users import add_user, log_in

MIB = 1 << 20
CONTENT = os.urandom(3 * MIB)


def sha(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def begin(peer: RawPeer, path: str = "big", size: int = len(CONTENT), **fields: Any) -> dict[str, Any]:
    return peer.ask("begin", path=path, file_size=size, algorithm="sha256", **fields)


def head(offset: int, path: str = "big", whole: bytes = CONTENT, **fields: Any) -> bytes:
    request = {"op": "put", "path": path, "size": len(whole) - offset, "algorithm": "sha256"}
    request |= {"offset": offset, "file_size": len(whole)}
    return frame(request | fields)


def rest(peer: RawPeer, offset: int, path: str = "big", whole: bytes = CONTENT, **fields: Any) -> Any:
    """Sends what is missing and returns the answer."""
    peer.send(head(offset, path, whole, **fields) + whole[offset:] + frame({"digest": sha(whole)}))
    return peer.read()


def break_off(where: tuple[str, int], count: int, path: str = "big") -> None:
    """Begins, sends `count` bytes, and ends the connection; returns when the server has seen that."""
    with RawPeer(where) as peer:
        offset = begin(peer, path)["offset"]
        peer.send(head(offset, path) + CONTENT[offset:count])
        peer.half_close()
        assert peer.at_end()


def partials(volume: Path) -> list[Path]:
    return [path for path in (volume / ".ftpsvc" / "partials").iterdir() if not path.suffix]


def test_an_upload_goes_on_where_it_was(tmp_path: Path) -> None:
    with embedded(tmp_path / "root") as daemon:
        where = address(daemon)
        break_off(where, 2 * MIB)
        with RawPeer(where) as peer:
            assert peer.ls() == []
            answer = begin(peer)
            assert (answer["offset"], answer["digest"]) == (2 * MIB, sha(CONTENT[: 2 * MIB]))
            stored = rest(peer, 2 * MIB, modified=10**18, mode=0o755)
            assert (stored["digest"], stored["file_size"]) == (sha(CONTENT), len(CONTENT))
            assert (stored["modified"], stored["path"]) == (10**18, "/big")
            assert peer.get("big")[0] == CONTENT
            assert begin(peer)["offset"] == 0
    assert partials(tmp_path / "root" / "public") == []


@pytest.mark.parametrize("how", ["kill", "restart"])
def test_c54_what_had_arrived_survives_the_server(tmp_path: Path, how: str) -> None:
    root = tmp_path / "root"
    with server(root) as running, RawPeer(running.where) as peer:
        assert begin(peer)["offset"] == 0
        peer.send(head(0) + CONTENT[: 2 * MIB])
        wait_for_bytes(running.public, 2 * MIB if how == "restart" else MIB)
        if how == "kill":
            running.kill()
        else:
            assert running.stop() == 4
    with server(root) as running, RawPeer(running.where) as peer:
        answer = begin(peer)
        held = answer["offset"]
        assert MIB <= held <= 2 * MIB
        assert answer["digest"] == sha(CONTENT[:held])
        assert rest(peer, held)["status"] == "ok"
        assert peer.get("big")[0] == CONTENT


def wait_for_bytes(volume: Path, count: int) -> None:
    for _ in range(6000):
        if any(path.stat().st_size >= count for path in partials(volume)):
            return
        threading.Event().wait(0.01)
    pytest.fail("nothing arrives")


def test_c45_c48_what_is_held_is_told_apart_by_its_digest(tmp_path: Path) -> None:
    """A byte that rotted in the partial, and another file of the same name and size: the client sees both alike."""
    with embedded(tmp_path / "root") as daemon:
        where = address(daemon)
        break_off(where, MIB)
        (partial,) = partials(tmp_path / "root" / "public")
        data = bytearray(partial.read_bytes())
        data[1000] ^= 1
        partial.write_bytes(data)
        with RawPeer(where) as peer:
            answer = begin(peer)
            assert answer["offset"] == MIB
            assert answer["digest"] != sha(CONTENT[:MIB])
            # A client that does not look is found out at the end, and nothing is left of it.
            refused = rest(peer, MIB)
            assert (refused["code"], refused["retry"]) == ("digest-mismatch", True)
            assert peer.ls() == []
            assert begin(peer)["offset"] == 0
        break_off(where, MIB)
        with RawPeer(where) as peer:
            other = bytes(len(CONTENT))
            assert begin(peer)["digest"] != sha(other[:MIB])
            assert begin(peer, restart=True)["offset"] == 0
            assert rest(peer, 0, whole=other)["status"] == "ok"
            assert peer.get("big")[0] == other


@pytest.mark.parametrize(
    ("offset", "code"),
    [(0, "bad-offset"), (1, "bad-offset"), (MIB - 1, "bad-offset"), (MIB + 1, "bad-offset"),
     (len(CONTENT), "bad-offset"), (len(CONTENT) + 1, "bad-offset"), (2**63 - 1, "bad-offset"),
     (-1, "bad-request"), (2**63, "bad-request"), (1.5, "bad-request"), ("1", "bad-request"), (True, "bad-request")],
)  # fmt: skip
def test_c49_no_offset_but_the_one_that_was_answered(tmp_path: Path, offset: Any, code: str) -> None:
    with embedded(tmp_path / "root") as daemon:
        where = address(daemon)
        break_off(where, MIB)
        with RawPeer(where) as peer:
            begin(peer)
            request = {
                "op": "put",
                "path": "big",
                "size": 3,
                "file_size": len(CONTENT),
                "algorithm": "sha256",
            }
            peer.send(frame(request | {"offset": offset}, b"abc") + frame({"digest": sha(b"abc")}))
            answer = peer.read()
            assert answer["code"] == code
            if code == "bad-offset":
                assert (answer["offset"], answer["held"]) == (offset, MIB)
            assert peer.ls() == []
            assert begin(peer)["offset"] == MIB
            assert rest(peer, MIB)["status"] == "ok"


def test_c49_an_offset_of_another_path_or_of_nobody(tmp_path: Path) -> None:
    with embedded(tmp_path / "root") as daemon:
        where = address(daemon)
        break_off(where, MIB)
        with RawPeer(where) as peer:
            assert rest(peer, MIB)["held"] == 0  # nothing was begun here
            begin(peer)
            assert rest(peer, MIB, path="other")["held"] == 0
            # A sibling does not disturb it, and neither does anything else that comes in between.
            assert peer.put("small", b"x")["status"] == "ok"
            assert peer.ask("mkdir", path="d")["status"] == "ok"
            assert rest(peer, MIB)["status"] == "ok"


@pytest.mark.parametrize(
    "wrong", [{"file_size": len(CONTENT) + 1}, {"size": 3}, {"algorithm": "md5"}, {"file_size": 3, "size": 3}]
)
def test_a_put_that_is_not_the_one_announced(tmp_path: Path, wrong: dict[str, Any]) -> None:
    with embedded(tmp_path / "root") as daemon, RawPeer(address(daemon)) as peer:
        begin(peer)
        size = wrong.get("size", len(CONTENT))
        peer.send(head(0, **wrong) + bytes(size) + frame({"digest": sha(b"")}))
        assert peer.read()["code"] == "bad-request"
        assert begin(peer)["offset"] == 0
        assert rest(peer, 0)["status"] == "ok"


def test_c46_what_a_failing_sender_filled_up_is_not_held(tmp_path: Path) -> None:
    with embedded(tmp_path / "root") as daemon, RawPeer(address(daemon)) as peer:
        break_off(address(daemon), MIB)
        begin(peer)
        why = frame({"error": {"code": "read-failed", "message": "no"}})
        peer.send(head(MIB) + bytes(len(CONTENT) - MIB) + why)
        assert peer.read()["code"] == "read-failed"
        assert begin(peer)["offset"] == MIB
        assert rest(peer, MIB)["status"] == "ok"


def test_the_put_of_a_begin_may_leave_out_what_it_need_not_say(tmp_path: Path) -> None:
    with embedded(tmp_path / "root") as daemon, RawPeer(address(daemon)) as peer:
        assert begin(peer, "./d/../small", 3)["path"] == "/small"
        assert peer.put("small", b"abc")["status"] == "ok"
        # A begin alone changes nothing and leaves nothing.
        begin(peer, "never")
        assert begin(peer, "small", 3, clobber=False)["code"] == "already-exists"
        assert [entry["name"] for entry in peer.ls()] == ["small"]
    assert partials(tmp_path / "root" / "public") == []


@pytest.mark.timeout(120)
def test_the_same_user_takes_over_and_others_are_told_busy(tmp_path: Path) -> None:
    root = tmp_path / "root"
    alice, ada = add_user(root, "alice"), add_user(root, "ada", role=Role.ADMIN)
    with embedded(root, guest="none") as daemon:
        where = address(daemon)
        with RawPeer(where) as old, RawPeer(where) as new, RawPeer(where) as other:
            for peer, credentials in ((old, alice), (new, alice), (other, ada)):
                log_in(peer, credentials)
            assert begin(old)["offset"] == 0
            old.send(head(0) + CONTENT[:MIB])
            wait_for_bytes(root / "users" / "alice", MIB)
            busy = begin(other, "/users/alice/big")
            assert (busy["code"], busy["retry"], busy["path"]) == ("busy", True, "/users/alice/big")
            assert other.put("/users/alice/big", b"x")["code"] == "busy"
            assert begin(new)["offset"] == MIB
            assert old.at_end()
            assert rest(new, MIB)["status"] == "ok"
            assert begin(other, "/users/alice/big")["offset"] == 0


def test_c42_partials_count_against_the_quota_also_after_kill_9(tmp_path: Path) -> None:
    root = tmp_path / "root"
    alice = add_user(root, "alice", quota=4 * MIB)
    home = root / "users" / "alice"
    for _ in range(2):
        with server(root, guest="none") as running, RawPeer(running.where) as peer:
            held = begin(log_in(peer, alice))["offset"]
            peer.send(head(held) + CONTENT[held : held + MIB])
            wait_for_bytes(home, held + MIB)
            running.kill()
    with server(root, guest="none") as running, RawPeer(running.where) as peer:
        log_in(peer, alice)
        with open_root(home) as top:
            assert recount(top) == (2 * MIB, 1)
        space = peer.ask("df")
        assert (space["used"], space["reserved"]) == (2 * MIB, 0)
        assert peer.put("/x", bytes(2 * MIB + 1))["code"] == "quota-exceeded"
        assert begin(peer)["offset"] == 2 * MIB
        assert rest(peer, 2 * MIB)["status"] == "ok"
        assert peer.ask("df")["used"] == len(CONTENT)
        assert list((home / ".ftpsvc" / "partials").iterdir()) == []


def test_begin_needs_the_right_to_write(tmp_path: Path) -> None:
    with embedded(tmp_path / "root", guest="read") as daemon, RawPeer(address(daemon)) as peer:
        assert begin(peer)["code"] == "permission-denied"


def test_what_nobody_comes_back_for_goes(tmp_path: Path) -> None:
    """At a start, in homes that nobody has opened as well, and later by itself."""
    root = tmp_path / "root"
    alice = add_user(root, "alice")
    with embedded(root) as daemon:
        break_off(address(daemon), MIB)
        with RawPeer(address(daemon)) as peer:
            begin(log_in(peer, alice))
            peer.send(head(0) + CONTENT[:MIB])
            peer.half_close()
            assert peer.at_end()
    folders = [root / "public", root / "users" / "alice"]
    assert [len(partials(folder)) for folder in folders] == [1, 1]
    with embedded(root, timeouts={"partial": 0}) as daemon:
        wait_until_gone(folders)
        break_off(address(daemon), MIB)
        wait_until_gone(folders)


def wait_until_gone(folders: list[Path]) -> None:
    for _ in range(6000):
        if not any(partials(folder) for folder in folders):
            return
        threading.Event().wait(0.01)
    pytest.fail("nothing expires")


def test_a_check_counts_what_is_held(tmp_path: Path) -> None:
    root = tmp_path / "root"
    with embedded(root) as daemon:
        break_off(address(daemon), MIB)
    (report,) = [each for each in check(root, None) if each.volume == "public"]
    assert (report.size, report.files) == (MIB, 1)
    assert [(one.kind, one.level) for one in report.findings] == [("partial", Level.NOTE)]
    (partial,) = partials(root / "public")
    partial.with_suffix(".json").unlink()
    (report,) = [each for each in check(root, None, repair=True) if each.volume == "public"]
    assert [(one.kind, one.repaired) for one in report.findings] == [("leftover", True)]
    assert partials(root / "public") == []
