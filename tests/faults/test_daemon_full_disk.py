"""C54 through a real connection: disks that fill up in the middle of a transfer, and a start on a full one.

The disk is a small tmpfs where this may be mounted; elsewhere, and for what needs no mount, the system's limit on the
size of a file, which the daemon meets in mid-file as well.
"""

import hashlib
import os
import resource
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from ftpsvc.blocks import BlockMap
from ftpsvc.exceptions import ConfigError
from ftpsvc.storage.base import Durability
from tests.helpers.embedded import dial, embedded
from tests.helpers.raw_peer import RawPeer, frame, put_bytes
from tests.helpers.rights import mounted
from tests.helpers.users import add_user, log_in

KIB, MIB = 1 << 10, 1 << 20
OLD = bytes(range(256)) * 4 * 1024
NEW = OLD[:-1] + b"?" + OLD  # 2 MiB, in the last byte of its first half and in its second half another file
BY_HAND = "by hand"


def sha(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


@dataclass
class Disk:
    """A folder on a disk that can be filled up by somebody else.

    Attributes:
        place: The folder.
        fill: Leaves less room than a transfer needs.
        free: Makes room again.
        code: What a transfer is answered that meets its end.
    """

    place: Path
    fill: Callable[[], object]
    free: Callable[[], object]
    code: str


def fill_up(place: Path, leave: int) -> None:
    """Fills a disk up to so many bytes."""
    (place / BY_HAND).unlink(missing_ok=True)
    about = os.statvfs(place)
    with (place / BY_HAND).open("wb") as file:
        file.write(bytes(max(0, about.f_bavail * about.f_frsize - leave)))


@pytest.fixture(params=["tmpfs", "limit"])
def disk(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Disk]:
    place = tmp_path / "disk"
    place.mkdir()
    if request.param == "tmpfs":
        with mounted(place, "tmpfs", "size=16m"):
            yield Disk(
                place, lambda: fill_up(place, 64 * KIB), lambda: (place / BY_HAND).unlink(), "no-space"
            )
        return
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        yield Disk(
            place,
            lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (MIB + MIB // 2, before[1])),
            lambda: resource.setrlimit(resource.RLIMIT_FSIZE, before),
            "unavailable",
        )
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def hidden(place: Path, folder: str) -> list[Path]:
    return list((place / ".ftpsvc" / folder).iterdir())


def wait_for(place: Path, folder: str, size: int) -> None:
    """Waits until so much of a transfer has come."""
    for _ in range(6000):
        if any(path.stat().st_size >= size for path in hidden(place, folder) if not path.suffix):
            return
        threading.Event().wait(0.01)
    pytest.fail("nothing arrives")


def interrupted(
    peer: RawPeer, disk: Disk, folder: str, request: dict[str, Any], payload: bytes, came: int
) -> Any:
    """Sends a transfer; once `came` bytes of its first half are on the disk that is full. Returns the answer."""
    half = len(payload) // 2
    peer.send(frame(request) + payload[:half])
    wait_for(disk.place, folder, came)
    disk.fill()
    peer.send(payload[half:] + frame({"digest": sha(NEW)}))
    answer = peer.read()
    disk.free()
    return answer


def test_c54_a_disk_that_fills_up_in_mid_transfer(disk: Disk, tmp_path: Path) -> None:
    """Put, begin and patch are answered with why; the old file is whole, nothing is left, and the next one works."""
    whole = {"path": "f", "algorithm": "sha256", "file_size": len(NEW)}
    block = 64 * KIB
    changed = BlockMap(len(NEW), block)
    for number in range(len(OLD) // block - 1, changed.count):
        changed.add(number)
    blocks = b"".join(NEW[run.offset : run.offset + run.size] for run in changed.runs() if run.changed)
    with (
        embedded(tmp_path / "root", share=disk.place, durability=Durability.FULL) as daemon,
        dial(daemon) as peer,
    ):
        assert peer.put("f", OLD)["status"] == "ok"
        version = peer.ask("stat", path="f")["entry"]["version"]
        patch = {"version": version, "block_size": block, "size": len(bytes(changed)) + len(blocks)}
        for op, folder, more, payload, came in (
            ("put", "staging", {"size": len(NEW)}, NEW, MIB // 2),
            ("begin", "partials", {"size": len(NEW), "offset": 0}, NEW, MIB // 2),
            ("patch", "staging", patch, bytes(changed) + blocks, 0),
        ):
            if op == "begin":
                assert peer.ask("begin", **whole)["offset"] == 0
            request = {"op": "put" if op == "begin" else op} | whole | more
            answer = interrupted(peer, disk, folder, request, payload, came)
            assert (answer["code"], answer["fatal"], answer["retry"]) == (disk.code, False, True), op
            assert peer.get("f")[0] == OLD
            assert [entry["name"] for entry in peer.ls()] == ["f"]
            assert hidden(disk.place, "staging") == hidden(disk.place, "partials") == []
        # What is held from before stays, where there is no room for the rest from the start.
        assert peer.ask("begin", **whole)["offset"] == 0
        peer.send(frame({"op": "put"} | whole | {"size": len(NEW), "offset": 0}) + NEW[:MIB])
        peer.half_close()
        assert peer.at_end()
        with dial(daemon) as again:
            if disk.code == "no-space":
                disk.fill()
                refused = again.ask("begin", **(whole | {"file_size": 15 * MIB}))
                assert (refused["code"], refused["available"] < 15 * MIB) == ("no-space", True)
                disk.free()
            assert again.ask("begin", **whole)["offset"] == MIB
            again.send(frame({"op": "put"} | whole | {"size": len(NEW) - MIB, "offset": MIB}) + NEW[MIB:])
            again.send(frame({"digest": sha(NEW)}))
            assert again.read()["status"] == "ok"
            assert again.get("f")[0] == NEW


def test_c54_a_disk_that_fills_up_under_a_batch(tmp_path: Path) -> None:
    """Each file is there, or answered with why. Accounts and audit are on the same disk."""
    root = tmp_path / "root"
    root.mkdir()
    with mounted(root, "tmpfs", "size=16m"):
        alice = add_user(root, "alice")
        home = root / "users" / "alice"
        contents = {f"f{number}": bytes([number]) * 60_000 for number in range(20)}
        with embedded(root, guest="none", durability=Durability.FULL) as daemon, dial(daemon) as peer:
            log_in(peer, alice)
            assert (
                peer.put("old", b"old")["status"] == "ok"
            )  # there was room, so the next ones are not looked at
            fill_up(root, 600 * KIB)
            peer.send(b"".join(put_bytes(name, data) for name, data in contents.items()))
            answers = {name: peer.read() for name in contents}
            stored = {name for name, answer in answers.items() if answer["status"] == "ok"}
            refused = [answer for name, answer in answers.items() if name not in stored]
            assert stored
            assert refused
            assert {(each["code"], each["retry"], each["fatal"]) for each in refused} == {
                ("no-space", True, False)
            }
            for name in stored:
                assert peer.get(name)[0] == contents[name]
            assert {entry["name"] for entry in peer.ls()} == stored | {"old", "handouts"}
            assert hidden(home, "staging") == []
            assert peer.ask("df")["used"] == 3 + 60_000 * len(stored)
        # The database is the one thing that needs some room at a start.
        fill_up(root, 0)
        with pytest.raises(ConfigError) as caught, embedded(root, guest="none"):
            pass
        assert caught.value.hint == "make some room: its disk is full"


def test_c54_a_server_starts_on_a_full_disk_so_that_room_can_be_made(tmp_path: Path) -> None:
    place = tmp_path / "disk"
    place.mkdir()
    with mounted(place, "tmpfs", "size=1m,nr_inodes=30"):
        with (
            embedded(tmp_path / "root", share=place, durability=Durability.FULL) as daemon,
            dial(daemon) as peer,
        ):
            assert peer.put("old", b"old")["status"] == "ok"
        fill_up(place, 0)
        for number in range(os.statvfs(place).f_favail):  # no byte is left, and no name
            (place / f"name{number}").touch()
        with pytest.raises(OSError, match="No space"):
            (place / "one more").touch()
        for _ in range(2):
            with (
                embedded(tmp_path / "root", share=place, durability=Durability.FULL) as daemon,
                dial(daemon) as peer,
            ):
                assert peer.get("old")[0] == b"old"
                assert peer.put("old", b"new")["code"] == "no-space"
                assert peer.ask("mkdir", path="d")["code"] == "no-space"
                assert peer.get("old")[0] == b"old"
        with (
            embedded(tmp_path / "root", share=place, durability=Durability.FULL) as daemon,
            dial(daemon) as peer,
        ):
            assert peer.ask("rm", path=BY_HAND)["removed"] == 1
            assert peer.put("old", b"new")["status"] == "ok"
            assert peer.get("old")[0] == b"new"
