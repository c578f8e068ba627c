"""Pipelined small files are made durable together, and each is answered as if it had come alone."""

import hashlib
import os
from pathlib import Path
from typing import Any

import pytest

from ftpsvc.server import batch
from ftpsvc.storage.base import Durability
from ftpsvc.storage.together import Syncers
from tests.helpers.embedded import dial, embedded
from tests.helpers.raw_peer import RawPeer, frame, put_bytes
from tests.helpers.users import add_user, log_in


@pytest.fixture
def syncs(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many works each round of syncing had."""
    rounds: list[int] = []
    real = Syncers.each

    def each(self: Syncers, works: Any) -> None:
        rounds.append(len(works))
        real(self, works)

    monkeypatch.setattr(Syncers, "each", each)
    return rounds


def answers(peer: RawPeer, count: int) -> list[str]:
    return [answer.get("code", answer.get("path", "")) for answer in (peer.read() for _ in range(count))]


def durable(root: Path, **settings: Any) -> Any:
    return embedded(root, durability=Durability.FULL, **settings)


def test_what_comes_without_a_pause_is_made_durable_together(tmp_path: Path, syncs: list[int]) -> None:
    with durable(tmp_path / "root") as daemon, dial(daemon) as peer:
        peer.send(b"".join(put_bytes(f"f{number}", b"x" * number) for number in range(100)))
        assert answers(peer, 100) == [f"/f{number}" for number in range(100)]
        assert len(peer.ls()) == 100
        assert sum(syncs) >= 100  # files, and the directory for each batch
        assert len(syncs) < 60
        # A lone file waits for nothing.
        assert peer.put("alone", b"x")["path"] == "/alone"


def test_each_gets_its_own_answer_in_its_place(tmp_path: Path) -> None:
    with durable(tmp_path / "root") as daemon, dial(daemon) as peer:
        wrong = frame({"op": "put", "path": "w", "size": 1, "algorithm": "md5"}, b"x")
        failed = frame({"op": "put", "path": "r", "size": 1, "algorithm": "md5"}, b"\0")
        peer.send(
            put_bytes("a", b"1")
            + put_bytes("no/such", b"2")
            + put_bytes("b", b"3")
            + (wrong + frame({"digest": "0" * 32}))
            + put_bytes("c", b"4")
            + (failed + frame({"error": {"code": "read-failed"}}))
            + put_bytes("c", b"5", clobber=False)
            + put_bytes("d", b"6")
            + frame({"op": "pwd"})
            + frame({"op": "put", "path": "e", "size": 1}, b"7")
            + frame({"digest": "0" * 32})
            + put_bytes("f", b"8")
            + frame({"op": "nonsense"})
            + put_bytes("g", b"9")
            + frame({"op": "quit"})
        )
        assert answers(peer, 14) == [
            "/a", "not-found", "/b", "digest-mismatch", "/c", "read-failed", "already-exists", "/d", "/",
            "bad-request", "/f", "unknown-op", "/g", "",
        ]  # fmt: skip
        assert peer.at_end()
    with durable(tmp_path / "root") as daemon, dial(daemon) as peer:
        assert [entry["name"] for entry in peer.ls()] == list("abcdfg")


def test_what_follows_sees_what_came_before(tmp_path: Path) -> None:
    """A path that comes twice, one beneath another, a request that is no put, and room that a commit makes."""
    root = tmp_path / "root"
    alice = add_user(root, "alice", quota=1000)
    with durable(root, guest="none") as daemon, log_in(dial(daemon), alice) as peer:
        assert peer.put("big", bytes(900))["status"] == "ok"
        peer.send(
            put_bytes("twice", b"one")
            + put_bytes("twice", b"two")
            + put_bytes("twice/x", b"")
            + frame({"op": "mkdir", "path": "d"})
            + put_bytes("d/f", b"f")
            + frame({"op": "mv", "path": "d/f", "to": "g"})
            + put_bytes("big", b"")
            + put_bytes("other", bytes(900))
            + frame({"op": "get", "path": "twice", "algorithm": "sha256"})
        )
        assert answers(peer, 8) == [
            "/twice",
            "/twice",
            "not-a-directory",
            "/d",
            "/d/f",
            "/g",
            "/big",
            "/other",
        ]
        assert peer.read()["size"] == 3
        assert peer.payload(3) == b"two"
        assert peer.read() == {"digest": hashlib.sha256(b"two").hexdigest()}
        assert peer.ask("df")["used"] == 904


@pytest.mark.parametrize("end", ["half a header", "garbage", "the end"])
def test_what_was_complete_is_stored_and_answered_whatever_follows(tmp_path: Path, end: str) -> None:
    with durable(tmp_path / "root", timeouts={"header": 0.2}) as daemon, dial(daemon) as peer:
        follows = {"half a header": b"\0\0", "garbage": b"\xff" * 8, "the end": b""}[end]
        peer.send(put_bytes("a", b"1") + put_bytes("b", b"2") + follows)
        if end == "the end":
            peer.half_close()
        assert answers(peer, 2) == ["/a", "/b"]
        if end != "the end":
            assert peer.read()["fatal"]
        assert peer.at_end()


def test_a_client_that_pauses_in_mid_request_has_its_answers(tmp_path: Path) -> None:
    with durable(tmp_path / "root") as daemon, dial(daemon) as peer:
        third = put_bytes("c", b"3" * 100)
        for cut in (2, 30, len(third) - 90, len(third) - 3):
            peer.send(put_bytes("a", b"1") + put_bytes("b", b"2") + third[:cut])
            assert answers(peer, 2) == ["/a", "/b"]
            peer.send(third[cut:])
            assert answers(peer, 1) == ["/c"]


def test_when_too_many_wait_in_the_process_none_waits(tmp_path: Path, syncs: list[int]) -> None:
    with durable(tmp_path / "root", limits={"waiting": 3}) as daemon, dial(daemon) as peer:
        peer.send(b"".join(put_bytes(f"f{number}", b"x") for number in range(20)))
        assert answers(peer, 20) == [f"/f{number}" for number in range(20)]
        assert max(syncs, default=0) <= 3


def test_a_batch_ends_at_its_limits(tmp_path: Path, syncs: list[int]) -> None:
    count = 2 * batch.MAX_FILES + 10
    with durable(tmp_path / "root") as daemon, dial(daemon) as peer:
        peer.send(b"".join(put_bytes(f"f{number}", os.urandom(10)) for number in range(count)))
        assert len(set(answers(peer, count))) == count
        assert max(syncs) <= batch.MAX_FILES
