"""C54 through a real connection: a disk that cannot read what it holds.

It is an image of a file system whose end was cut off while it is mounted: what is still in memory can be read, the rest
of a file is an input or output error.
"""

import fcntl
import hashlib
import os
import shutil
import struct
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ftpsvc.blocks import BlockMap
from ftpsvc.exceptions import ReadFailed
from ftpsvc.storage.base import Durability
from ftpsvc_client import connect
from tests.helpers.embedded import dial, embedded
from tests.helpers.raw_peer import RawPeer, frame
from tests.helpers.rights import mounted

MIB = 1 << 20
CONTENT = bytes(range(1, 256)) * 12_500  # about 3 MiB, and no zero in it
GOOD = MIB
"""So much of each file is kept in memory."""

_FIBMAP = 1
_LOOP_SET_CAPACITY = 0x4C07


def sha(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


@pytest.fixture
def image(tmp_path: Path) -> Path:
    if shutil.which("mkfs.ext4") is None:
        pytest.skip("NOT TESTED: there is no mkfs.ext4")
    image = tmp_path / "image"
    with image.open("wb") as file:
        file.truncate(32 * MIB)
    subprocess.run(["mkfs.ext4", "-q", "-O", "^has_journal", image], check=True, capture_output=True)
    return image


@pytest.fixture
def place(image: Path, tmp_path: Path) -> Iterator[Path]:
    place = tmp_path / "disk"
    place.mkdir()
    with mounted(place, "ext4", "loop,noatime,errors=continue", str(image)):
        yield place


def damage(image: Path, place: Path, *files: Path) -> None:
    """Takes the disk away from where these files lie on; what is in memory of their beginnings can still be read."""
    os.sync()
    cut = image.stat().st_size
    for path in files:
        with path.open("rb") as file:
            assert len(file.read(GOOD)) == GOOD
            block = fcntl.ioctl(file, _FIBMAP, struct.pack("i", 0))
            cut = min(cut, struct.unpack("i", block)[0] * os.statvfs(place).f_bsize)
    os.truncate(image, cut)
    # The device is as short as its image then: what somebody's sync writes meanwhile does not make it longer again.
    number = place.stat().st_dev
    name = Path(f"/sys/dev/block/{os.major(number)}:{os.minor(number)}").resolve().name
    with Path("/dev", name).open("rb") as device:
        fcntl.ioctl(device, _LOOP_SET_CAPACITY)
    for path in files:
        with path.open("rb") as file:
            os.posix_fadvise(file.fileno(), GOOD, 0, os.POSIX_FADV_DONTNEED)


def failed(peer: RawPeer, op: str, **fields: Any) -> None:
    answer = peer.ask(op, **fields)
    assert (answer["code"], answer["fatal"]) == ("read-failed", False), op


def test_c54_what_the_disk_cannot_read_is_said_and_nothing_else_is_harmed(
    place: Path, image: Path, tmp_path: Path
) -> None:
    with (
        embedded(tmp_path / "root", share=place, durability=Durability.FULL) as daemon,
        dial(daemon) as peer,
    ):
        assert peer.put("f", CONTENT)["status"] == "ok"
        with dial(daemon) as other:
            other.ask("begin", path="held", file_size=len(CONTENT), algorithm="sha256")
            request = {"op": "put", "path": "held", "size": len(CONTENT), "algorithm": "sha256", "offset": 0}
            other.send(frame(request | {"file_size": len(CONTENT)}) + CONTENT[: 2 * MIB])
            other.half_close()
            assert other.at_end()
        (held,) = [path for path in (place / ".ftpsvc" / "partials").iterdir() if not path.suffix]
        damage(image, place, place / "f", held)
        # With the digest on record, and with one that is hashed on the way: what is missing is zeros, and said so.
        for algorithm in ("sha256", "md5"):
            answer = peer.ask("get", path="f", algorithm=algorithm)
            content = peer.payload(answer["size"])
            came = content.find(0)
            assert 0 <= came < len(CONTENT)
            assert content == CONTENT[:came] + bytes(len(CONTENT) - came)
            assert peer.read()["error"]["code"] == "read-failed"
        failed(peer, "get", path="f", algorithm="md5", offset=2 * MIB)  # its prefix has to be hashed
        failed(peer, "verify", path="f")
        block = 64 << 10
        number = len(CONTENT) // block
        failed(peer, "blocks", path="f", algorithm="sha256", block_size=block, first=0, count=number)
        with connect(daemon.addresses[0]) as client, pytest.raises(ReadFailed):
            client.get("f", tmp_path / "got")
        assert not (tmp_path / "got").exists()
        _patch_of_what_cannot_be_read(peer, block)
        # What is held and cannot be read is dropped: nothing is ever put together out of it.
        assert peer.ask("begin", path="held", file_size=len(CONTENT), algorithm="sha256")["offset"] == 0
        assert sorted(entry["name"] for entry in peer.ls()) == ["f", "lost+found"]
    assert list((place / ".ftpsvc" / "staging").iterdir()) == []


def _patch_of_what_cannot_be_read(peer: RawPeer, block: int) -> None:
    """The file that a patch is made of fails while the new one is put together."""
    version = peer.ask("stat", path="f")["entry"]["version"]
    changed = BlockMap(len(CONTENT), block)
    changed.add(0)
    payload = bytes(changed) + bytes(block)
    request = {"op": "patch", "path": "f", "file_size": len(CONTENT), "algorithm": "sha256"}
    request |= {"size": len(payload), "block_size": block, "version": version}
    peer.send(frame(request, payload) + frame({"digest": sha(bytes(block) + CONTENT[block:])}))
    answer = peer.read()
    assert (answer["code"], answer["fatal"]) == ("read-failed", False)
    assert peer.ask("stat", path="f")["entry"]["version"] == version
