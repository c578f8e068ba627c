"""Disks with odd things on them: device nodes (C20), hard links, and directories too large to hold in memory."""

import os
import stat
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import pytest

from ftpsvc.exceptions import NotADirectory, NotAFile
from ftpsvc.paths import ROOT
from ftpsvc.storage.base import Durability, Storage
from ftpsvc.storage.local import LocalStorage
from tests.helpers.counts import count
from tests.helpers.rights import needs_root
from tests.helpers.stores import at, get, names, put


@pytest.fixture
def root(tmp_path: Path) -> Path:
    path = tmp_path / "root"
    path.mkdir()
    return path


@pytest.fixture
def storage(root: Path) -> Iterator[Storage]:
    storage = LocalStorage(root, durability=Durability.RELAXED)
    yield storage
    storage.close()


@pytest.mark.parametrize(
    ("kind", "device"), [(stat.S_IFCHR, (1, 5)), (stat.S_IFCHR, (5, 0)), (stat.S_IFBLK, (259, 4095))]
)
def test_c20_a_device_is_not_opened(storage: Storage, root: Path, kind: int, device: tuple[int, int]) -> None:
    needs_root()
    os.mknod(root / "device", kind | 0o666, os.makedev(*device))
    assert storage.stat(at("/device")).kind == "other"
    for refused in (
        lambda: storage.read(at("/device")),
        lambda: put(storage, "/device"),
        lambda: storage.rename(at("/device"), at("/x")),
    ):
        with pytest.raises(NotAFile):
            refused()
    with pytest.raises(NotADirectory):
        storage.make_directory(at("/device/x"))
    assert stat.S_IFMT((root / "device").lstat().st_mode) == kind
    assert storage.remove(at("/device")) == 1


@pytest.mark.parametrize("target", ["missing", "../outside/new", "/dev/zero", "."])
def test_c20_a_link_at_the_target_is_neither_followed_nor_replaced(
    storage: Storage, root: Path, target: str
) -> None:
    outside = root.parent / "outside"
    outside.mkdir()
    (root / "link").symlink_to(target)
    early = storage.create(at("/later"), 1, algorithm="blake3")
    early.write(b"x")
    (root / "later").symlink_to(target)
    with pytest.raises(NotAFile):
        early.commit(None)
    for clobber in (True, False):
        with pytest.raises(NotAFile):
            put(storage, "/link", clobber=clobber)
    assert os.readlink(root / "link") == os.readlink(root / "later") == target
    assert list(outside.iterdir()) == []


def test_c20_a_hard_link_is_read_and_never_written_through(storage: Storage, root: Path) -> None:
    outside = root.parent / "outside"
    outside.write_bytes(b"linked")
    os.link(outside, root / "f")
    put(storage, "/one", b"both")
    os.link(root / "one", root / "two")
    assert get(storage, "/f") == b"linked"
    put(storage, "/f", b"new")
    put(storage, "/two", b"other")
    assert outside.read_bytes() == b"linked"
    assert (get(storage, "/one"), get(storage, "/two"), get(storage, "/f")) == (b"both", b"other", b"new")


def test_moving_a_file_onto_another_name_of_its_own_leaves_one(storage: Storage, root: Path) -> None:
    put(storage, "/a", b"x")
    os.link(root / "a", root / "b")
    storage.rename(at("/a"), at("/b"))  # rename(2) alone would do nothing and say nothing
    assert names(storage) == ["b"]
    assert get(storage, "/b") == b"x"


def test_a_page_of_an_enormous_directory_costs_a_page_of_memory(storage: Storage, root: Path) -> None:
    total = count(20_000, 200_000)
    folder = os.open(root, os.O_RDONLY)
    for number in range(total):
        os.mknod(f"a file with a name of a common length {number:07}", dir_fd=folder)
    os.close(folder)
    peaks = []
    for after in (None, (f"a file with a name of a common length {total // 2:07}",)):
        for recursive in (False, True):
            tracemalloc.start()
            page = storage.list(ROOT, after=after, limit=100, recursive=recursive)
            peaks.append(tracemalloc.get_traced_memory()[1])
            tracemalloc.stop()
            first = 0 if after is None else total // 2 + 1
            assert [int(entry.name[-7:]) for entry in page.entries] == list(range(first, first + 100))
    # The names alone would be more than 100 bytes each.
    assert max(peaks) < total * 100 / 5
