"""LocalStorage: names that are on the disk already, in every spelling and none."""

import os
import unicodedata
from collections.abc import Iterator
from pathlib import Path

import pytest

from ftpsvc.exceptions import FtpsvcError, NotADirectory, NotAFile, NotFound
from ftpsvc.paths import MAX_DEPTH, ROOT, RemotePath
from ftpsvc.storage.base import Entry, Storage
from ftpsvc.storage.local import LocalStorage
from tests.helpers.stores import at, everything, get, names, put

NFC = "caf\u00e9"
NFD = "cafe\u0301"


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


def on_disk(root: Path) -> list[str]:
    return sorted(name for name in os.listdir(root) if name != ".ftpsvc")


def test_c30_what_came_from_a_mac_by_hand_is_found_by_its_nfc_name(storage: Storage, root: Path) -> None:
    (root / NFD / NFD).mkdir(parents=True)
    (root / NFD / NFD / NFD).write_text("x")
    path = ROOT.child(NFC).child(NFC).child(NFC)
    assert get(storage, str(path)) == b"x"
    assert storage.stat(path).name == NFC
    assert names(storage) == [NFC, f"{NFC}/{NFC}", f"{NFC}/{NFC}/{NFC}"]
    assert names(storage, f"/{NFC}", limit=1) == [NFC, f"{NFC}/{NFC}"]
    put(storage, str(path), b"replaced")
    put(storage, str(path.parent.child("new")))
    assert os.listdir(root / NFD / NFD) in ([NFD, "new"], ["new", NFD])
    assert not storage.make_directory(path.parent, parents=True)
    storage.rename(path, path.parent.child(NFC + "2"))
    assert get(storage, f"{path}2") == b"replaced"
    assert storage.remove(ROOT.child(NFC), recursive=True) == 4
    assert on_disk(root) == []


def test_c30_what_is_stored_is_nfc_on_the_disk(storage: Storage, root: Path) -> None:
    put(storage, f"/{NFD}")
    storage.make_directory(at(f"/{NFD}-dir"))
    put(storage, "/plain")
    storage.rename(at("/plain"), at(f"/{NFD}-moved"))
    assert on_disk(root) == sorted([NFC, f"{NFC}-dir", f"{NFC}-moved"])


def test_c30_of_two_spellings_on_the_disk_one_is_addressed_and_the_other_noted(
    storage: Storage, root: Path
) -> None:
    (root / NFC).write_text("nfc")
    (root / NFD).write_text("nfd")
    entries = everything(storage)
    assert [(entry.name, entry.note is None) for entry in entries] == [("cafe\\u0301", False), (NFC, True)]
    assert "another Unicode spelling" in (entries[0].note or "")
    assert get(storage, f"/{NFD}") == b"nfc"
    storage.remove(at(f"/{NFC}"))
    assert [(entry.name, entry.note) for entry in everything(storage)] == [(NFC, None)]
    assert get(storage, f"/{NFC}") == b"nfd"
    assert [names(storage, limit=limit) for limit in (1, 2)] == [[NFC], [NFC]]


def test_c30_twin_directories_are_not_mixed_in_a_recursive_listing(storage: Storage, root: Path) -> None:
    for spelling in (NFC, NFD):
        (root / spelling).mkdir()
        (root / spelling / "f").write_text(unicodedata.name(spelling[-1]))
    for limit in (1, 2, 10):
        assert names(storage, limit=limit) == ["cafe\\u0301", NFC, f"{NFC}/f"]


# What may be on a disk and cannot be named over the wire, and how it is shown.
ODD = {
    b"caf\xe9": "caf\\xe9",
    b"\xff\xfe": "\\xff\\xfe",
    b"\x80": "\\x80",
    "\u0080".encode(): "\\u0080",
    b"new\nline": "new\\u000aline",
    b"\x1b[31mred": "\\u001b[31mred",
    b"back\\slash": "back\\\\slash",
    b"\\x80": "\\\\x80",
    "\u0958".encode(): "\\u0958",  # its NFC is another, longer name, and it is not that one's NFD
    "a\u212b".encode(): "a\\u212b",
    b"caf\xe9\\": "caf\\xe9\\\\",
}
ODD_NOTES = {
    b"caf\xe9": "not UTF-8",
    b"new\nline": "control",
    b"back\\slash": "slash",
    "a\u212b".encode(): "neither",
}


@pytest.mark.parametrize("limit", [1, 2, 3, 100])
def test_c30_names_that_cannot_be_addressed_are_listed_escaped_with_a_note(
    storage: Storage, root: Path, limit: int
) -> None:
    for raw in ODD:
        (Path(os.fsdecode(os.fsencode(root) + b"/" + raw))).write_bytes(b"x")
    put(storage, "/plain")
    entries = {entry.name: entry for entry in everything(storage, limit=limit)}
    assert sorted(entries) == sorted([*ODD.values(), "plain"])
    assert entries["plain"].note is None
    for name in ODD.values():
        entry = entries[name]
        assert entry.note
        assert (entry.kind, entry.size) == ("file", 1)
        assert "\\" in name
        assert name.isprintable()
        with pytest.raises(FtpsvcError):
            RemotePath.parse(f"/{name}")
    for raw, note in ODD_NOTES.items():
        assert note in (entries[ODD[raw]].note or "")
    # The directory that holds them can be removed all the same.
    storage.make_directory(at("/d"))
    for raw in ODD:
        os.rename(os.fsencode(root) + b"/" + raw, os.fsencode(root) + b"/d/" + raw)
    assert storage.remove(at("/d"), recursive=True) == len(ODD) + 1
    assert names(storage) == ["plain"]


def test_c30_a_directory_that_cannot_be_addressed_is_not_descended_into(storage: Storage, root: Path) -> None:
    (root / "a\\b").mkdir()
    (root / "a\\b" / "inside").write_text("x")
    put(storage, "/z")
    for limit in (1, 2, 10):
        assert names(storage, limit=limit) == ["a\\\\b", "z"]


def test_c30_no_two_names_are_shown_alike(storage: Storage, root: Path) -> None:
    raw_names = {bytes([a, b]) for a in b"\\x\x80\xc2\xff\n" for b in b"\\x\x80\xa9\xff8\n"}
    for raw in raw_names:
        open(os.fsencode(root) + b"/" + raw, "wb").close()
    for limit in (1, 7, 1000):
        shown = names(storage, limit=limit)
        assert len(shown) == len(set(shown)) == len(raw_names)


@pytest.mark.parametrize("kind", ["link", "fifo", "socket"])
def test_c20_what_is_neither_file_nor_directory_is_listed_and_refused(
    storage: Storage, root: Path, kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_odd(root / "odd", kind, tmp_path, monkeypatch)
    entry = storage.stat(at("/odd"))
    assert (entry.kind, entry.size, entry.digest) == ("link" if kind == "link" else "other", 0, None)
    assert without_where(everything(storage)) == [entry]
    assert list(storage.list(at("/odd")).entries) == [entry]
    put(storage, "/f")
    for refused in (
        lambda: storage.read(at("/odd")),
        lambda: storage.create(at("/odd"), 1, algorithm="blake3"),
        lambda: storage.create(at("/odd"), 1, algorithm="blake3", clobber=False),
        lambda: storage.rename(at("/odd"), at("/x")),
        lambda: storage.rename(at("/f"), at("/odd")),
    ):
        with pytest.raises(NotAFile):
            refused()
    for below in (
        lambda: storage.stat(at("/odd/x")),
        lambda: storage.create(at("/odd/x"), 1, algorithm="blake3"),
        lambda: storage.make_directory(at("/odd/x")),
        lambda: storage.make_directory(at("/odd/x/y"), parents=True),
        lambda: storage.remove(at("/odd/x")),
        lambda: storage.rename(at("/f"), at("/odd/x")),
    ):
        with pytest.raises(NotADirectory):
            below()
    assert storage.remove(at("/odd")) == 1
    assert names(storage) == ["f"]


def make_odd(place: Path, kind: str, target: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if kind == "link":
        place.symlink_to(target)
    elif kind == "fifo":
        os.mkfifo(place)
    else:
        import socket

        monkeypatch.chdir(place.parent)  # an AF_UNIX address is short
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(place.name)


def without_where(entries: list[Entry]) -> list[Entry]:
    assert all(entry.where == () for entry in entries)
    return entries


def test_a_tree_deeper_than_a_path_may_be_is_noted_where_it_gets_too_deep(
    storage: Storage, root: Path
) -> None:
    fd = os.open(root, os.O_RDONLY)
    for _ in range(MAX_DEPTH + 3):
        os.mkdir("d", dir_fd=fd)
        deeper = os.open("d", os.O_RDONLY, dir_fd=fd)
        os.close(fd)
        fd = deeper
    os.close(fd)
    entries = everything(storage)
    assert len(entries) == MAX_DEPTH + 1
    assert [entry.note is None for entry in entries] == [True] * MAX_DEPTH + [False]
    assert everything(storage, limit=7) == entries
    assert everything(storage, "/" + "/".join("d" * 60)) == [
        Entry("d", "dir", modified=e.modified, mode=e.mode, where=e.where[60:], note=e.note)
        for e in entries[60:]
    ]
    assert storage.remove(at("/d"), recursive=True) == MAX_DEPTH + 3


def test_a_tree_whose_path_gets_too_long_is_noted(storage: Storage, root: Path) -> None:
    fd = os.open(root, os.O_RDONLY)
    for _ in range(18):
        os.mkdir("d" * 250, dir_fd=fd)
        deeper = os.open("d" * 250, os.O_RDONLY, dir_fd=fd)
        os.close(fd)
        fd = deeper
    os.close(fd)
    entries = everything(storage, limit=5)
    assert [entry.note is None for entry in entries] == [True] * 16 + [False]
    storage.stat(ROOT.join(RemotePath(("d" * 250,) * 16)))


def test_a_tree_that_was_made_too_deep_by_hand_can_still_be_moved_up_and_removed(
    storage: Storage, root: Path
) -> None:
    storage.make_directory(RemotePath(("a",) * MAX_DEPTH), parents=True)
    for _ in range(5):
        storage.make_directory(RemotePath(("b",) * (MAX_DEPTH - 1)), parents=True)
        os.rename(root / "a", root.joinpath(*("b",) * (MAX_DEPTH - 1), "a"))
        storage.rename(at("/b"), at("/a"))
    # 5 * 63 + 64 directories below one another: more than descriptors should be spent on.
    assert storage.remove(at("/a"), recursive=True) == 5 * (MAX_DEPTH - 1) + MAX_DEPTH
    assert names(storage) == []


def test_what_is_not_there_in_any_spelling(storage: Storage) -> None:
    for name in (NFC, "x" * 250 + "é", "世" * 85):
        with pytest.raises(NotFound):
            storage.stat(ROOT.child(name))
        put(storage, f"/{name}")
