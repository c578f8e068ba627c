"""The directory of the last file is kept open for the next one, and never past what may have moved it."""

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from ftpsvc.server.daemon import Daemon
from ftpsvc.storage.base import Durability
from ftpsvc.storage.volume import Volume
from tests.helpers.embedded import dial, embedded
from tests.helpers.raw_peer import RawPeer, frame, put_bytes


@pytest.fixture(params=[Durability.RELAXED, Durability.FULL])
def daemon(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Daemon]:
    with embedded(tmp_path / "root", durability=request.param) as running:
        yield running


def statuses(peer: RawPeer, count: int) -> list[str]:
    return [answer.get("code", answer["status"]) for answer in (peer.read() for _ in range(count))]


def test_neighbours_that_came_together_share_a_walk(daemon: Daemon, monkeypatch: pytest.MonkeyPatch) -> None:
    walks = 0
    real = Volume.enter

    def enter(self: Volume, parts: tuple[str, ...]) -> object:
        nonlocal walks
        walks += 1
        return real(self, parts)

    with dial(daemon) as peer:
        assert peer.ask("mkdir", path="d")["status"] == "ok"
        monkeypatch.setattr(Volume, "enter", enter)
        peer.send(b"".join(put_bytes(f"d/{number}", b"x") for number in range(200)))
        assert statuses(peer, 200) == ["ok"] * 200
        assert walks < 200  # two for each that comes alone; the system may have cut it into several pieces


def test_a_directory_that_moves_between_two_files_takes_none_along(daemon: Daemon) -> None:
    """Pipelined with them, by another client between them, and by hand between them."""
    public = daemon.settings.root / "public"
    with dial(daemon) as peer, dial(daemon) as other:
        peer.send(
            frame({"op": "mkdir", "path": "d"})
            + put_bytes("d/one", b"1")
            + frame({"op": "mv", "path": "d", "to": "e"})
            + put_bytes("d/two", b"2")
            + frame({"op": "mkdir", "path": "d"})
            + put_bytes("d/three", b"3")
            + frame({"op": "rm", "path": "d", "recursive": True})
            + put_bytes("d/four", b"4")
        )
        assert statuses(peer, 8) == ["ok", "ok", "ok", "not-found", "ok", "ok", "ok", "not-found"]
        assert peer.put("e/five", b"5")["status"] == "ok"
        assert other.ask("mv", path="e", to="f")["status"] == "ok"
        assert peer.put("e/six", b"6")["code"] == "not-found"
        assert peer.get("f/five")[0] == b"5"
        os.rename(public / "f", public / "g")
        assert peer.ask("get", path="f/five", algorithm="md5")["code"] == "not-found"
        (public / "f").symlink_to("g")
        assert peer.put("f/seven", b"7")["status"] == "error"
        assert sorted(set(os.listdir(public)) - {".ftpsvc"}) == ["f", "g"]
        assert sorted(os.listdir(public / "g")) == ["five", "one"]


def test_a_client_that_is_waited_for_keeps_no_directory_open(daemon: Daemon) -> None:
    public = daemon.settings.root / "public"
    with dial(daemon) as peer:
        assert peer.ask("mkdir", path="d")["status"] == "ok"
        assert peer.put("d/one", b"1")["status"] == "ok"
        # Closed before the answer was sent.
        opened = set()
        for fd in os.listdir("/proc/self/fd"):
            with suppress(FileNotFoundError):  # one that other threads have closed by now
                opened.add(os.readlink(f"/proc/self/fd/{fd}"))
        assert str(public) in opened
        assert str(public / "d") not in opened
