"""LocalStorage: the hidden folder, one server at a time, read-only folders, and what cannot be served at all."""

import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from ftpsvc.exceptions import AlreadyExists, ConfigError, FtpsvcError, NotFound, PermissionDenied, TooLarge
from ftpsvc.paths import ROOT
from ftpsvc.storage.base import Digest, Durability, Storage
from ftpsvc.storage.local import LocalStorage
from tests.helpers.rights import mounted
from tests.helpers.stores import at, get, names, put

# What a file system may take for the hidden folder: case, and format characters that HFS+ leaves out.
HIDDEN = [".ftpsvc", ".FTPSVC", ".FtpSvc", ".ftp\u017fvc", ".ftp\u200csvc", "\ufeff.ftpsvc"]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    path = tmp_path / "root"
    path.mkdir()
    return path


@pytest.fixture
def storage(root: Path) -> Iterator[Storage]:
    storage = LocalStorage(root)
    yield storage
    storage.close()


@pytest.mark.parametrize("hidden", HIDDEN)
def test_c24_the_hidden_folder_cannot_be_reached_by_any_operation(
    storage: Storage, root: Path, hidden: str
) -> None:
    put(storage, "/f")
    (root / ".ftpsvc" / "secret").write_text("secret")
    if hidden != ".ftpsvc":
        (root / hidden).mkdir(exist_ok=True)
        (root / hidden / "secret").write_text("secret")
    before = snapshot(root)
    for path in (ROOT.child(hidden), ROOT.child(hidden).child("secret"), ROOT.child(hidden).child("new")):
        for read in (storage.stat, storage.list, storage.read):
            with pytest.raises(NotFound):
                read(path)
        with pytest.raises(PermissionDenied):
            storage.create(path, 1, algorithm="blake3")
        for parents in (True, False):
            with pytest.raises(PermissionDenied):
                storage.make_directory(path, parents=parents)
        for recursive in (True, False):
            with pytest.raises(NotFound):
                storage.remove(path, recursive=recursive)
        with pytest.raises(NotFound):
            storage.rename(path, at("/x"))
        with pytest.raises(PermissionDenied):
            storage.rename(at("/f"), path)
    assert names(storage) == ["f"]
    assert names(storage, limit=1) == ["f"]
    assert snapshot(root) == before


def test_below_the_top_the_name_is_free(storage: Storage) -> None:
    storage.make_directory(at("/d/.ftpsvc"), parents=True)
    put(storage, "/d/.ftpsvc/f", b"mine")
    put(storage, "/.ftpsvc2")
    put(storage, "/ftpsvc")
    assert get(storage, "/d/.ftpsvc/f") == b"mine"
    assert names(storage) == [".ftpsvc2", "d", "d/.ftpsvc", "d/.ftpsvc/f", "ftpsvc"]


def test_the_hidden_folder_is_for_the_server_alone(storage: Storage, root: Path) -> None:
    upload = storage.create(at("/f"), 10, algorithm="blake3")
    for path in (root / ".ftpsvc", root / ".ftpsvc" / "staging"):
        assert stat.S_IMODE(path.stat().st_mode) == 0o700
    assert len(list((root / ".ftpsvc" / "staging").iterdir())) == 1
    upload.abort()


def test_a_second_server_on_the_same_folder_is_refused(storage: Storage, root: Path) -> None:
    upload = storage.create(at("/f"), 4, algorithm="blake3")
    upload.write(b"half")
    with pytest.raises(ConfigError, match="another ftpsvc-server serves") as caught:
        LocalStorage(root)
    assert caught.value.hint
    second = (
        "import pathlib, sys; from ftpsvc.storage.local import *; LocalStorage(pathlib.Path(sys.argv[1]))"
    )
    other = subprocess.run(
        [sys.executable, "-c", second, str(root)], capture_output=True, text=True, check=False
    )
    assert "ConfigError: another ftpsvc-server serves" in other.stderr
    upload.commit(None)
    assert get(storage, "/f") == b"half"


def test_after_a_close_the_folder_is_free(root: Path) -> None:
    for number in range(3):
        storage = LocalStorage(root)
        put(storage, f"/{number}")
        storage.close()
    assert sorted(os.listdir(root)) == [".ftpsvc", "0", "1", "2"]
    assert sorted(os.listdir(root / ".ftpsvc")) == ["clean", "partials", "staging"]


def test_leftovers_of_a_dead_server_are_removed(root: Path) -> None:
    staging = root / ".ftpsvc" / "staging"
    deep = staging.joinpath("away-1", *["d"] * 150)
    deep.mkdir(parents=True)
    (deep / "f").write_text("x")
    (staging / "7").write_text("half")
    outside = root.parent / "outside"
    outside.mkdir()
    (outside / "kept").write_text("x")
    (staging / "link").symlink_to(outside)
    (staging / "away-1" / "link").symlink_to(outside)
    storage = LocalStorage(root)
    storage.close()
    assert list(staging.iterdir()) == []
    assert (outside / "kept").read_text() == "x"


@pytest.mark.parametrize("durability", Durability)
def test_an_unclean_end_is_noticed_at_the_next_start(
    root: Path, durability: Durability, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[bool] = []
    system_sync = os.sync

    def noting_sync() -> None:
        synced.append(True)
        system_sync()

    monkeypatch.setattr(os, "sync", noting_sync)
    LocalStorage(root).close()
    assert synced == []
    hidden = root / ".ftpsvc"
    (hidden / "clean").rename(hidden / "unclean")  # what a server leaves that was killed
    LocalStorage(root, durability=durability).close()
    # Names that the dead server made and had not synced are built upon from now on.
    assert len(synced) == (durability is Durability.FULL)
    assert (hidden / "unclean").exists() == (durability is Durability.RELAXED)
    LocalStorage(root).close()  # after one that syncs nothing, too
    assert len(synced) == 1
    LocalStorage(root).close()
    assert len(synced) == 1


def test_a_folder_that_is_read_only_is_left_exactly_as_it_is(root: Path) -> None:
    (root / "d").mkdir()
    (root / "d" / "f").write_bytes(b"content")
    os.utime(root / "d" / "f", ns=(10**18, 10**18))
    before = snapshot(root)
    storage = LocalStorage(root, read_only=True)
    second = LocalStorage(root, read_only=True)  # changes nothing, so it needs no lock
    assert get(storage, "/d/f") == get(second, "/d/f") == b"content"
    with storage.read(at("/d/f")) as reader:
        reader.record(Digest("blake3", "0" * 64))
    assert names(storage) == ["d", "d/f"]
    for change in (
        lambda: storage.create(at("/x"), 1, algorithm="blake3"),
        lambda: storage.create(at("/d/f"), 1, algorithm="blake3"),
        lambda: storage.make_directory(at("/x")),
        lambda: storage.make_directory(at("/d"), parents=True),
        lambda: storage.remove(at("/d/f")),
        lambda: storage.remove(at("/d"), recursive=True),
        lambda: storage.rename(at("/d"), at("/e")),
    ):
        with pytest.raises(PermissionDenied, match="read-only"):
            change()
    assert storage.space().free > 0
    storage.close()
    second.close()
    assert snapshot(root) == before


def test_a_read_only_server_hides_the_folder_of_the_writing_one(storage: Storage, root: Path) -> None:
    entry = put(storage, "/f", b"content")
    reading = LocalStorage(root, read_only=True)
    assert names(reading) == ["f"]
    assert reading.stat(at("/f")) == entry
    with pytest.raises(NotFound):
        reading.list(at("/.ftpsvc"))
    reading.close()


def test_the_largest_file(root: Path) -> None:
    storage = LocalStorage(root, max_file_size=10)
    put(storage, "/f", b"x" * 10)
    with pytest.raises(TooLarge) as caught:
        storage.create(at("/f"), 11, algorithm="blake3")
    assert (caught.value.requested, caught.value.limit) == (11, 10)
    assert get(storage, "/f") == b"x" * 10
    storage.close()


def test_what_cannot_be_served(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    for path in (tmp_path / "missing", tmp_path / "file"):
        with pytest.raises(ConfigError, match="cannot serve"):
            LocalStorage(path)


@pytest.mark.parametrize("planted", ["file", "link"])
def test_c20_a_planted_hidden_folder_is_not_used(tmp_path: Path, planted: str) -> None:
    root, outside = tmp_path / "root", tmp_path / "outside"
    root.mkdir()
    outside.mkdir()
    if planted == "file":
        (root / ".ftpsvc").write_text("x")
    else:
        (root / ".ftpsvc").symlink_to(outside)
    with pytest.raises(ConfigError, match="cannot serve"):
        LocalStorage(root)
    assert list(outside.iterdir()) == []


def test_the_root_may_be_named_through_a_link(tmp_path: Path, root: Path) -> None:
    (tmp_path / "link").symlink_to(root)
    storage = LocalStorage(tmp_path / "link")
    put(storage, "/f")
    storage.close()
    assert (root / "f").exists()


def test_c33_a_mount_point_is_shown_and_otherwise_refused(storage: Storage, root: Path) -> None:
    storage.make_directory(at("/d/mount"), parents=True)
    put(storage, "/d/f")
    with mounted(root / "d" / "mount", "tmpfs"):
        (root / "d" / "mount" / "inside").write_text("x")
        shown = {entry.name: entry for entry in storage.list(at("/d"), recursive=True).entries}
        assert sorted(shown) == ["f", "mount"]
        assert shown["mount"].kind == "dir"
        assert "another file system" in (shown["mount"].note or "")
        for refused in (
            lambda: storage.read(at("/d/mount/inside")),
            lambda: storage.list(at("/d/mount")),
            lambda: storage.stat(at("/d/mount/inside")),
            lambda: storage.create(at("/d/mount/new"), 1, algorithm="blake3"),
            lambda: storage.make_directory(at("/d/mount/new")),
            lambda: storage.make_directory(at("/d/mount/new/er"), parents=True),
            lambda: storage.remove(at("/d/mount")),
            lambda: storage.remove(at("/d/mount"), recursive=True),
            lambda: storage.remove(at("/d/mount/inside")),
            lambda: storage.rename(at("/d/mount"), at("/d/other")),
            lambda: storage.rename(at("/d/f"), at("/d/mount/f")),
            lambda: storage.rename(at("/d/mount/inside"), at("/d/inside")),
        ):
            with pytest.raises(PermissionDenied, match="another file system"):
                refused()
        # A tree with a mount in it: what can go goes, the mount and its content stay where they were.
        with pytest.raises(FtpsvcError):
            storage.remove(at("/d"), recursive=True)
        assert (root / "d" / "mount" / "inside").read_text() == "x"
        assert os.path.ismount(root / "d" / "mount")
    assert storage.remove(at("/d"), recursive=True) in (2, 3)  # the file may have gone before
    assert names(storage) == []


def test_the_top_folder_exists_already(storage: Storage) -> None:
    with pytest.raises(AlreadyExists):
        storage.make_directory(ROOT)


def snapshot(root: Path) -> dict[str, tuple[int, int, int]]:
    """What is in a folder: names, inodes, times of change."""
    found = {}
    for path in (root, *root.rglob("*")):
        info = path.lstat()
        found[str(path)] = (info.st_ino, info.st_mtime_ns, info.st_ctime_ns)
    return found
