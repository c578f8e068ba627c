"""LocalStorage: digests recorded beside the files, in attributes and in sidecars."""

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ftpsvc import digests
from ftpsvc.exceptions import Changed
from ftpsvc.storage.base import Digest, Storage
from ftpsvc.storage.local import LocalStorage
from ftpsvc.storage.records import ATTRIBUTE, Record
from tests.helpers.rights import mounted
from tests.helpers.stores import at, digest_of, everything, get, names, put

OLD = 1_400_000_000_000_000_000


@pytest.fixture
def root(tmp_path: Path) -> Path:
    path = tmp_path / "root"
    path.mkdir()
    return path


@pytest.fixture(params=["attribute", "sidecar"])
def storage(request: pytest.FixtureRequest, root: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Storage]:
    if request.param == "sidecar":
        # What Python is like on macOS: without extended attributes.
        for name in ("getxattr", "setxattr", "listxattr", "removexattr"):
            monkeypatch.delattr(os, name, raising=False)
    storage = LocalStorage(root)
    kept_aside = (root / ".ftpsvc" / "digests").is_dir()
    assert kept_aside == (request.param == "sidecar")
    yield storage
    storage.close()


def sidecars(root: Path) -> list[str]:
    folder = root / ".ftpsvc" / "digests"
    return sorted(os.listdir(folder)) if folder.is_dir() else []


def test_c45_a_record_is_true_until_the_file_is_changed_by_hand(storage: Storage, root: Path) -> None:
    put(storage, "/f", b"content", modified=OLD)
    assert storage.stat(at("/f")).digest == Digest("blake3", digest_of(b"content"))
    version = storage.stat(at("/f")).version
    os.utime(root / "f", ns=(OLD, OLD + 1))
    assert storage.stat(at("/f")).digest is None
    os.utime(root / "f", ns=(OLD, OLD))
    assert storage.stat(at("/f")).digest is not None
    with open(root / "f", "ab") as file:
        file.write(b"more")
    os.utime(root / "f", ns=(OLD, OLD))
    assert storage.stat(at("/f")).digest is None
    assert everything(storage)[0].digest is None
    assert storage.stat(at("/f")).version != version
    with storage.read(at("/f")) as reader:
        assert reader.entry.digest is None


def test_a_digest_computed_later_is_kept_and_changes_no_version(storage: Storage, root: Path) -> None:
    (root / "f").write_bytes(b"by hand")
    os.utime(root / "f", ns=(OLD, OLD))
    version = storage.stat(at("/f")).version
    assert storage.stat(at("/f")).digest is None
    found = Digest("sha256", digest_of(b"by hand", "sha256"))
    with storage.read(at("/f")) as reader:
        reader.record(found)
    entry = storage.stat(at("/f"))
    assert (entry.digest, entry.version) == (found, version)
    with storage.read(at("/f")) as reader:
        assert reader.entry == entry
        reader.record(Digest("md5", digest_of(b"by hand", "md5")))
    assert storage.stat(at("/f")).digest == found
    with open(root / "f", "ab") as file:
        file.write(b", changed")
    assert storage.stat(at("/f")).version != version


def test_a_digest_of_a_file_that_may_still_change_unnoticed_is_not_kept(storage: Storage, root: Path) -> None:
    (root / "f").write_bytes(b"just now")
    os.utime(root / "f", ns=(time.time_ns(), time.time_ns()))
    with storage.read(at("/f")) as reader:
        reader.record(Digest("blake3", digest_of(b"just now")))
    assert storage.stat(at("/f")).digest is None


def grow(path: Path) -> None:
    with path.open("ab") as file:
        file.write(b"x")


def shrink(path: Path) -> None:
    os.truncate(path, 3)


def touch(path: Path) -> None:
    os.utime(path, ns=(OLD, OLD + 1))


@pytest.mark.parametrize("change", [grow, shrink, touch])
def test_c46_a_file_that_changes_while_it_is_read_is_found_out(
    storage: Storage, root: Path, change: Callable[[Path], None]
) -> None:
    put(storage, "/f", b"content", modified=OLD)
    with storage.read(at("/f")) as reader:
        reader.check_unchanged()
        change(root / "f")
        with pytest.raises(Changed):
            reader.check_unchanged()
        reader.record(Digest("blake3", "0" * 64))
    assert storage.stat(at("/f")).digest is None


def test_records_survive_a_restart_and_go_with_their_files(storage: Storage, root: Path) -> None:
    put(storage, "/a")
    put(storage, "/b")
    storage.close()
    again = LocalStorage(root)
    assert again.stat(at("/a")).digest == Digest("blake3", digest_of(b"content"))
    again.rename(at("/a"), at("/c"))
    assert again.stat(at("/c")).digest == Digest("blake3", digest_of(b"content"))
    put(again, "/b", b"replaced")
    again.make_directory(at("/d"))
    put(again, "/d/e")
    assert len(sidecars(root)) in (0, 3)
    assert again.remove(at("/d"), recursive=True) == 2
    again.rename(at("/c"), at("/b"))
    assert len(sidecars(root)) in (0, 1)
    assert again.remove(at("/b")) == 1
    assert sidecars(root) == []
    again.close()


def test_an_inode_that_is_used_again_has_no_old_record(storage: Storage) -> None:
    # Files of one size and time, one after the other: ext4 gives each the inode of the one before.
    for number in range(20):
        content = b"%02d" % number
        entry = put(storage, "/f", content, modified=OLD)
        assert entry.digest == storage.stat(at("/f")).digest == Digest("blake3", digest_of(content))
        storage.remove(at("/f"))


@pytest.mark.parametrize(
    "damage", [b"", b"\1", b"x" * 1000, b"\2" + bytes(49), b"\1\7" + bytes(48), b"\1\1" + bytes(47)]
)
def test_a_damaged_record_is_none(root: Path, damage: bytes) -> None:
    storage = LocalStorage(root)
    put(storage, "/f")
    os.setxattr(root / "f", ATTRIBUTE, damage)
    assert storage.stat(at("/f")).digest is None
    assert get(storage, "/f") == b"content"
    storage.close()


def test_a_file_system_without_attributes_gets_sidecars(tmp_path: Path) -> None:
    root = tmp_path / "root"
    root.mkdir()
    with mounted(root, "ramfs"):
        storage = LocalStorage(root)
        put(storage, "/f", b"content", modified=OLD)
        assert storage.stat(at("/f")).digest == Digest("blake3", digest_of(b"content"))
        assert len(sidecars(root)) == 1
        reading = LocalStorage(root, read_only=True)
        assert reading.stat(at("/f")) == storage.stat(at("/f"))
        with reading.read(at("/f")) as reader:
            reader.record(Digest("md5", "0" * 32))
        assert names(reading) == ["f"]
        reading.close()
        storage.close()
        (root / ".ftpsvc" / "digests").rename(root / "moved")
        bare = LocalStorage(root, read_only=True)
        assert bare.stat(at("/f")).digest is None
        with bare.read(at("/f")) as reader:
            reader.record(Digest("md5", "0" * 32))
        assert bare.stat(at("/f")).digest is None
        bare.close()


def test_a_record_fits_into_the_inode_of_ext4() -> None:
    # 256 bytes less 128 less 32 of extra fields; a header and an end mark of 4 bytes each, 16 for the entry, its name.
    room = 256 - 128 - 32 - 4 - 4 - 16 - -(-len(ATTRIBUTE.removeprefix("user.")) // 4) * 4
    for algorithm in digests.ALGORITHMS:
        record = Record(Digest(algorithm, "0" * digests.LENGTHS[algorithm]), 2**63 - 1, OLD, True)
        assert len(record.encode()) <= room


@given(
    st.sampled_from(digests.ALGORITHMS),
    st.binary(min_size=32, max_size=32),
    st.integers(0, 2**63 - 1),
    st.integers(-(2**63), 2**63 - 1),
    st.booleans(),
)
def test_a_record_comes_back_as_it_was_written(
    algorithm: str, value: bytes, size: int, modified: int, stored: bool
) -> None:
    record = Record(Digest(algorithm, value.hex()[: digests.LENGTHS[algorithm]]), size, modified, stored)
    assert Record.decode(record.encode()) == record
    assert Record.decode(record.encode() + b"\0") is None
    assert Record.decode(record.encode()[:-1]) is None


@given(st.binary(max_size=80))
def test_any_bytes_are_a_record_or_none(data: bytes) -> None:
    record = Record.decode(data)
    assert record is None or record.encode() == data
