"""Listings, page by page, and the names in them: the contract of ftpsvc/storage/base.py, for every backend."""

import itertools
import threading
import unicodedata
from concurrent.futures import ThreadPoolExecutor

import pytest

from ftpsvc.paths import ROOT
from ftpsvc.storage.base import Storage
from tests.helpers.counts import count
from tests.helpers.names import USABLE
from tests.helpers.stores import at, everything, get, names, put


def tree(storage: Storage) -> list[str]:
    paths = ["a", "a/x", "a/x/1", "a/x/2", "a/y", "a-b", "a-b/z", "aa", "b", "é", "é/e", "世", "\U0001f389"]
    for path in paths:
        if any(other.startswith(f"{path}/") for other in paths):
            storage.make_directory(at(f"/{path}"))
        else:
            put(storage, f"/{path}", path.encode())
    return paths


@pytest.mark.parametrize("limit", [1, 2, 3, 5, 12, 13, 14, 1000])
def test_pages_together_are_the_whole_listing_in_order(storage: Storage, limit: int) -> None:
    paths = tree(storage)
    in_order = sorted(tuple(path.split("/")) for path in paths)
    assert names(storage, limit=limit) == ["/".join(parts) for parts in in_order]
    assert names(storage, recursive=False, limit=limit) == ["/".join(p) for p in in_order if len(p) == 1]
    assert names(storage, "/a", limit=limit) == ["x", "x/1", "x/2", "y"]


def test_an_entry_in_a_listing_is_that_of_stat(storage: Storage) -> None:
    tree(storage)
    for entry in everything(storage, "/a"):
        path = at("/a").join(at("/" + "/".join((*entry.where, entry.name))))
        alone = storage.stat(path)
        for name in ("name", "kind", "size", "modified", "mode", "version", "digest", "note"):
            assert getattr(entry, name) == getattr(alone, name)


def test_a_listing_of_a_file_is_its_own_entry(storage: Storage) -> None:
    entry = put(storage, "/f")
    for recursive in (False, True):
        assert list(storage.list(at("/f"), recursive=recursive).entries) == [entry]
        assert storage.list(at("/f"), recursive=recursive).cursor is None
    assert not storage.list(at("/f"), after=("f",)).entries


def test_a_listing_without_versions_is_the_same_but_for_them(storage: Storage) -> None:
    tree(storage)
    whole = storage.list(ROOT, recursive=True).entries
    assert all(entry.version and entry.digest for entry in whole if entry.kind == "file")
    without = [entry._replace(version="", digest=None) for entry in whole]
    assert list(storage.list(ROOT, recursive=True, versions=False).entries) == without
    (alone,) = storage.list(at("/b"), versions=False).entries
    assert alone == storage.stat(at("/b"))._replace(version="", digest=None)


def test_a_listing_goes_on_though_its_cursor_is_gone(storage: Storage) -> None:
    tree(storage)
    first = storage.list(ROOT, limit=3, recursive=True)
    assert first.cursor == ("a", "x", "1")
    storage.remove(at("/a"), recursive=True)
    assert names_after(storage, first.cursor) == ["a-b", "a-b/z", "aa", "b", "é", "é/e", "世", "\U0001f389"]
    put(storage, "/a")  # a file by now, where the cursor goes through
    assert names_after(storage, first.cursor)[0] == "a-b"


def names_after(storage: Storage, cursor: tuple[str, ...]) -> list[str]:
    page = storage.list(ROOT, after=cursor, recursive=True)
    assert page.cursor is None
    return ["/".join((*entry.where, entry.name)) for entry in page.entries]


@pytest.mark.parametrize(
    "cursor", [("a",), ("a", "x"), ("a", "x", "1"), ("a", "zzz"), ("aa", "below a file"), ("0",)]
)
def test_any_cursor_starts_right_after_it(storage: Storage, cursor: tuple[str, ...]) -> None:
    paths = tree(storage)
    in_order = sorted(tuple(path.split("/")) for path in paths)
    assert names_after(storage, cursor) == ["/".join(parts) for parts in in_order if parts > cursor]


@pytest.mark.parametrize(
    "cursor", [("..",), ("..", "..", "etc"), ("/",), ("a/x",), ("",), ("a\0",), ("\ud800",), ("a", "..", "b")]
)
def test_c15_a_cursor_is_only_ever_compared(storage: Storage, cursor: tuple[str, ...]) -> None:
    paths = tree(storage)
    assert set(names_after(storage, cursor)) <= set(paths)


def test_a_listing_while_entries_come_and_go(storage: Storage) -> None:
    lasting = [f"d{i:02}/f{j}" for i in range(8) for j in range(3)]
    for i in range(8):
        storage.make_directory(at(f"/d{i:02}"))
    for path in lasting:
        put(storage, f"/{path}")
    stop = threading.Event()

    def come_and_go() -> int:
        for i in itertools.count():
            if stop.is_set():
                return i
            directory = f"/d{i % 8:02}x"
            storage.make_directory(at(directory), parents=True)
            put(storage, f"{directory}/passing")
            put(storage, f"/d{i % 8:02}/passing")
            storage.remove(at(directory), recursive=True)
            storage.remove(at(f"/d{i % 8:02}/passing"))
        return 0

    with ThreadPoolExecutor(1) as pool:
        goer = pool.submit(come_and_go)
        try:
            for _ in range(count(50, 500)):
                found = names(storage, limit=5)
                assert [path for path in found if path in lasting] == lasting
                assert len(set(found)) == len(found)
        finally:
            stop.set()
        assert goer.result() > 0


@pytest.mark.parametrize("name", USABLE)
def test_c22_c30_every_usable_name_can_be_used(storage: Storage, name: str) -> None:
    nfc = unicodedata.normalize("NFC", name)
    path = ROOT.child(name)
    with storage.create(path, 3, algorithm="blake3") as upload:
        upload.write(b"abc")
        assert upload.commit(None).name == nfc
    assert storage.stat(path).name == nfc
    assert [entry.name for entry in storage.list(ROOT).entries] == [nfc]
    assert storage.list(ROOT).entries[0].note is None
    storage.rename(path, at("/plain"))
    storage.make_directory(path)
    storage.rename(at("/plain"), path.child(name))
    with storage.read(path.child(name)) as reader:
        assert reader.read_into(memoryview(bytearray(10))) == 3
    assert storage.remove(path, recursive=True) == 2
    assert names(storage) == []


def test_c17_names_that_differ_a_little_are_different_names(storage: Storage) -> None:
    alike = ["a", "A", "ab", "a b", "a.", "a ", "á", "ａ", "а"]  # the last is Cyrillic
    for name in alike:
        put(storage, f"/{name}", name.encode())
    assert names(storage) == sorted(alike)
    for name in alike:
        assert get(storage, f"/{name}") == name.encode()


def test_both_unicode_forms_are_one_name(storage: Storage) -> None:
    put(storage, "/caf\u00e9", b"1")
    put(storage, "/cafe\u0301", b"2")
    assert names(storage) == ["caf\u00e9"]
    assert get(storage, "/cafe\u0301") == b"2"
