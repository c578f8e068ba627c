"""Limits that real clients meet: seats of users and strangers, bandwidth, minimum rate, the time for a log-in."""

import fcntl
import io
import os
import threading
from pathlib import Path

import pytest

from ftpsvc.exceptions import Busy, FtpsvcError
from ftpsvc.server.registry import PATIENCE
from ftpsvc_client import connect
from ftpsvc_client.watching import Unwatched
from tests.helpers.attackers import raw_log_in
from tests.helpers.embedded import dial, embedded
from tests.helpers.raw_peer import RawPeer, frame, put_bytes
from tests.helpers.users import add_user

LONG = 100.0
KIB = 1024
MIB = 1 << 20


def a_moment(seconds: float) -> None:
    """Is how a slow client is slow; nothing is synchronised by it."""
    threading.Event().wait(seconds)


def test_c56_one_connection_of_a_user_too_many_is_busy_and_the_others_go_on(tmp_path: Path) -> None:
    root = tmp_path / "root"
    alice, bob = add_user(root, "alice"), add_user(root, "bob")
    with embedded(root, guest="none", limits={"per_user": 2}) as daemon:
        url = str(daemon.addresses[0])
        with connect(url, credentials=alice) as one, connect(url, credentials=alice) as other:
            with pytest.raises(Busy, match="all 2 connections that one user may have") as caught:
                connect(url, credentials=alice)
            assert (caught.value.limit, caught.value.retry) == (2, True)
            with connect(url, credentials=bob) as third:
                assert third.whoami().user == "bob"
            one.list()
            other.list()


def test_c56_strangers_do_not_keep_users_out(tmp_path: Path) -> None:
    """All places for strangers are held by clients that say nothing; who comes to log in gets in."""
    root = tmp_path / "root"
    alice = add_user(root, "alice")
    with embedded(
        root, guest="none", limits={"connections": 20, "strangers": 5}, timeouts={"greeting": LONG}
    ) as daemon:
        silent = [dial(daemon) for _ in range(5)]
        a_moment(PATIENCE)
        with connect(str(daemon.addresses[0]), credentials=alice) as client:
            assert silent[0].at_end()
            assert silent[4].ask("pwd")["code"] == "auth-required"
            assert client.list() is not None
        for peer in silent:
            peer.close()


def test_c57_a_log_in_has_one_time_however_often_it_is_tried(tmp_path: Path) -> None:
    with embedded(
        tmp_path / "root", guest="none", timeouts={"login": 0.5, "greeting": LONG, "idle": LONG}
    ) as daemon, dial(daemon) as peer:  # fmt: skip
        code = ""
        while code != "timeout":
            answer = peer.ask("pwd")
            code = answer["code"]
            assert code in ("auth-required", "timeout")
        assert (answer["phase"], answer["seconds"]) == ("a log-in", 0.5)
        assert peer.at_end()


@pytest.mark.parametrize(
    ("timeouts", "phase"),
    [
        ({"login": 0.2, "greeting": LONG}, "a log-in"),
        ({"login": LONG, "greeting": 0.2}, "a request"),
    ],
)
def test_c57_a_silent_stranger_is_told_which_time_is_over_and_all_of_it(
    tmp_path: Path, timeouts: dict[str, float], phase: str
) -> None:
    with embedded(
        tmp_path / "root", guest="none", timeouts={"idle": LONG, "header": LONG, **timeouts}
    ) as daemon, dial(daemon) as peer:  # fmt: skip
        answer = peer.read()
        assert (answer["code"], answer["phase"], answer["seconds"]) == ("timeout", phase, 0.2)
        assert peer.at_end()


def test_c57_half_a_header_does_not_prolong_the_time_for_a_log_in(tmp_path: Path) -> None:
    with embedded(
        tmp_path / "root", guest="none", timeouts={"login": 0.2, "greeting": LONG, "header": LONG}
    ) as daemon, dial(daemon) as peer:  # fmt: skip
        peer.send(frame({"op": "pwd"})[:9])
        answer = peer.read()
        assert (answer["code"], answer["phase"], answer["seconds"]) == ("timeout", "a log-in", 0.2)
        assert peer.at_end()


def test_c57_a_refused_payload_does_not_hold_a_strangers_seat(tmp_path: Path) -> None:
    with embedded(
        tmp_path / "root", guest="none", timeouts={"login": 0.5, "greeting": LONG, "stall": LONG}
    ) as daemon, dial(daemon) as peer:  # fmt: skip
        peer.send(frame({"op": "put", "path": "x", "size": 60_000, "algorithm": "md5"}))
        sent = 0
        try:
            while not daemon.registry.wait_empty(0.02):
                peer.send(b"x")
                sent += 1
        except ConnectionError:
            pass
        assert daemon.registry.wait_empty(60)
        assert sent < 60_000


def test_a_stranger_sends_no_large_payload(tmp_path: Path) -> None:
    with embedded(tmp_path / "root", guest="none") as daemon, dial(daemon) as greedy:
        greedy.send(frame({"op": "put", "path": "x", "size": MIB, "algorithm": "md5"}))
        answer = greedy.read()
        assert (answer["code"], answer["fatal"]) == ("auth-required", True)


# ---------------------------------------------------------------- minimum rate


def test_a_client_below_the_minimum_rate_is_given_up_in_mid_put(tmp_path: Path) -> None:
    limits = {"min_rate": 4 * KIB, "min_rate_window": 0.3}
    with embedded(tmp_path / "root", limits=limits) as daemon:
        with dial(daemon) as quick:
            for number in range(3):
                assert quick.put(f"{number}", bytes(MIB))["status"] == "ok"  # in a minute would do
        with dial(daemon) as slow:
            slow.send(frame({"op": "put", "path": "x", "size": 10 * MIB, "algorithm": "md5"}))
            try:
                while not daemon.registry.wait_empty(0.02):
                    slow.send(bytes(10))
            except ConnectionError:
                pass
            answer = slow.read()
            assert (answer["code"], answer["fatal"]) == ("timeout", True)
            assert "4.0 KiB of payload per second or more" in answer["message"]
        assert daemon.registry.wait_empty(60)
        assert not list((tmp_path / "root" / "public" / ".ftpsvc" / "staging").iterdir())


@pytest.mark.parametrize("algorithm", ["sha256", "md5"])
def test_a_client_that_takes_too_little_is_given_up_in_mid_get(tmp_path: Path, algorithm: str) -> None:
    """With sha256 the digest is known and the kernel sends the file; with md5 the server reads it."""
    with embedded(tmp_path / "root") as daemon, dial(daemon) as peer:
        peer.put("file", bytes(64 * MIB))
    limits = {"min_rate": MIB, "min_rate_window": 0.3}
    with embedded(tmp_path / "root", limits=limits) as daemon, dial(daemon, receive_buffer=4096) as slow:
        slow.send(frame({"op": "get", "path": "file", "algorithm": algorithm}))
        slow.read()
        while not daemon.registry.wait_empty(0.005):
            slow.payload(1000)


# ---------------------------------------------------------------- bandwidth


def test_a_large_transfer_does_not_stop_small_ones_of_others(tmp_path: Path) -> None:
    """One user's large transfers in both directions, which would take minutes, and another's small ones meanwhile."""
    root = tmp_path / "root"
    alice, bob = add_user(root, "alice"), add_user(root, "bob")
    home = root / "users" / "alice"
    with embedded(root, guest="none", limits={"rate": 2 * MIB}) as daemon:
        url = str(daemon.addresses[0])
        with connect(url, credentials=alice) as client:
            client.put(b"1", "/there")
        with open(home / "there", "r+b") as file:
            file.truncate(500 * MIB)
        moving = threading.Barrier(3)

        def put_large() -> None:
            with connect(url, credentials=alice) as client, pytest.raises(FtpsvcError):
                client.put(home / "there", "/large", progress=Announcing(moving))

        def get_large() -> None:
            with connect(url, credentials=alice) as client, pytest.raises(FtpsvcError):
                client.get("/there", io.BytesIO(), progress=Announcing(moving))

        threads = [threading.Thread(target=work) for work in (put_large, get_large)]
        for thread in threads:
            thread.start()
        moving.wait(60)
        with connect(url, credentials=bob) as client:
            for number in range(3):
                client.put(bytes(10 * KIB), f"/{number}")
                client.get(f"/{number}", io.BytesIO())
        assert all(thread.is_alive() for thread in threads)
        assert daemon.stop(grace=0) == 2
        for thread in threads:
            thread.join()
        assert not (home / "large").exists()


class Announcing(Unwatched):
    """Meets others at the first bytes that move."""

    def __init__(self, moving: threading.Barrier) -> None:
        self._moving: threading.Barrier | None = moving

    def advance(self, count: int) -> None:
        if self._moving is not None:
            self._moving.wait(60)
            self._moving = None


def test_a_transfer_that_waits_for_its_share_is_cut_when_the_server_stops(tmp_path: Path) -> None:
    with embedded(tmp_path / "root", limits={"rate": 2048}) as daemon, dial(daemon) as peer:
        peer.send(frame({"op": "put", "path": "x", "size": MIB, "algorithm": "md5"}, bytes(64 * KIB)))
        staging = tmp_path / "root" / "public" / ".ftpsvc" / "staging"
        while not any(path.stat().st_size for path in staging.iterdir()):
            a_moment(0.01)
        assert daemon.stop(grace=0) == 1
        assert not list(staging.iterdir())


def test_a_client_that_goes_while_it_waits_for_its_share_is_noticed(tmp_path: Path) -> None:
    with embedded(tmp_path / "root", limits={"user_rate": 1024}) as daemon:
        with dial(daemon) as peer:
            peer.put("x", bytes(1000))
            (tmp_path / "root" / "public" / "large").write_bytes(bytes(MIB))
            peer.send(frame({"op": "get", "path": "large", "algorithm": "md5"}))
            peer.read()
        assert daemon.registry.wait_empty(60)


def test_a_client_that_half_closes_behind_a_limited_upload_is_served_to_its_end(tmp_path: Path) -> None:
    with embedded(tmp_path / "root", limits={"rate": 256 * KIB}) as daemon, dial(daemon) as peer:
        peer.send(put_bytes("x", bytes(300_000)))
        peer.half_close()
        assert peer.read()["status"] == "ok"


def test_answers_before_a_wait_are_not_held_back_by_it(tmp_path: Path) -> None:
    with embedded(tmp_path / "root", limits={"rate": 1024}) as daemon, dial(daemon) as peer:
        peer.send(put_bytes("a", bytes(10)) + put_bytes("b", bytes(100_000)) + frame({"op": "pwd"}))
        assert peer.read()["path"] == "/a"  # "b" takes a minute and a half


def test_content_is_whole_under_limits(tmp_path: Path) -> None:
    content = bytes(range(256)) * 2000
    limits = {"rate": 4 * MIB, "user_rate": 2 * MIB}
    with embedded(tmp_path / "root", limits=limits) as daemon, dial(daemon) as peer:
        peer.put("x", content)
        assert peer.get("x")[0] == content
        assert peer.get("x", "md5")[0] == content
        rest, _ = peer.get("x", offset=300_000, prefix=content[:300_000])
        assert rest == content[300_000:]


def test_c56_a_failed_log_in_takes_no_seat_of_the_user(tmp_path: Path) -> None:
    root = tmp_path / "root"
    alice = add_user(root, "alice")
    with embedded(root, guest="none", limits={"per_user": 1}) as daemon:
        peers = []
        for _ in range(3):
            peer = dial(daemon)
            peers.append(peer)
            assert peer.ask("auth", mechanism="SCRAM-SHA-256", data="n,,n=alice,r=abcdefgh")["status"] == "ok"
        with connect(str(daemon.addresses[0]), credentials=alice) as client:
            assert client.whoami().user == "alice"
        for one in peers:
            assert isinstance(one, RawPeer)
            one.close()


def test_c56_a_log_in_whose_home_cannot_be_opened_takes_no_seat_for_good(tmp_path: Path) -> None:
    """However often it is tried on one connection; `check --repair` keeps a home like this for a while."""
    root = tmp_path / "root"
    alice = add_user(root, "alice")
    hidden = root / "users" / "alice" / ".ftpsvc"
    hidden.mkdir(parents=True)
    kept = os.open(hidden, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(kept, fcntl.LOCK_EX)
        with embedded(root, guest="none", limits={"per_user": 1}) as daemon, dial(daemon) as peer:
            for _ in range(3):
                with pytest.raises(KeyError):  # there is no last message of a log-in in an error
                    raw_log_in(peer, alice)
            fcntl.flock(kept, fcntl.LOCK_UN)
            raw_log_in(peer, alice)
            peer.ask("quit")
            assert peer.at_end()
            assert daemon.registry.wait_empty(60)
            with connect(str(daemon.addresses[0]), credentials=alice) as client:
                assert client.whoami().user == "alice"
    finally:
        os.close(kept)
