"""Directories, removing and renaming: the contract of ftpsvc/storage/base.py, for every backend."""

import pytest

from ftpsvc.exceptions import (
    AlreadyExists,
    DirectoryNotEmpty,
    InvalidPath,
    IsADirectory,
    NotADirectory,
    NotFound,
    PermissionDenied,
)
from ftpsvc.paths import MAX_DEPTH, ROOT
from ftpsvc.storage.base import Storage
from tests.contract.conftest import Backend
from tests.helpers.stores import at, get, names, put

MODIFIED = 1_500_000_000_123_456_789


def test_making_directories(storage: Storage) -> None:
    assert storage.make_directory(at("/a"))
    assert storage.make_directory(at("/a/b/c/d"), parents=True)
    assert not storage.make_directory(at("/a/b"), parents=True)
    assert not storage.make_directory(ROOT, parents=True)
    put(storage, "/a/file")
    for path, parents, error in (
        ("/", False, AlreadyExists),
        ("/a", False, AlreadyExists),
        ("/a/file", False, AlreadyExists),
        ("/a/file", True, AlreadyExists),
        ("/x/y", False, NotFound),
        ("/a/file/x", False, NotADirectory),
        ("/a/file/x", True, NotADirectory),
    ):
        with pytest.raises(error):
            storage.make_directory(at(path), parents=parents)
    assert names(storage) == ["a", "a/b", "a/b/c", "a/b/c/d", "a/file"]
    entry = storage.stat(at("/a/b"))
    assert (entry.name, entry.kind, entry.size, entry.version, entry.digest) == ("b", "dir", 0, "", None)


def test_c08_an_empty_directory(storage: Storage) -> None:
    assert storage.list(ROOT) == storage.list(ROOT, recursive=True)
    assert not storage.list(ROOT).entries
    assert storage.list(ROOT).cursor is None
    assert storage.stat(ROOT).kind == "dir"
    assert storage.stat(ROOT).name == ""


def test_removing(backend: Backend) -> None:
    storage = backend.storage
    storage.make_directory(at("/d/e/empty"), parents=True)
    for path in ("/d/one", "/d/e/two", "/d/e/three", "/kept"):
        put(storage, path, b"12345")
    with pytest.raises(DirectoryNotEmpty):
        storage.remove(at("/d"))
    assert len(names(storage)) == 7
    assert storage.remove(at("/d/e/two")) == 1
    assert storage.remove(at("/d/e/empty")) == 1
    assert storage.remove(at("/d"), recursive=True) == 4
    assert names(storage) == ["kept"]
    assert backend.ledger.books()[1:] == (5, 0)
    assert backend.ledger.files == 1
    assert storage.remove(at("/kept"), recursive=True) == 1
    assert backend.ledger.books()[1] == backend.ledger.files == 0
    backend.assert_nothing_staged()


def test_c33_the_root_stays_where_it_is(storage: Storage) -> None:
    put(storage, "/f")
    for recursive in (False, True):
        with pytest.raises(PermissionDenied):
            storage.remove(ROOT, recursive=recursive)
    for source, target in ((ROOT, at("/x")), (at("/f"), ROOT), (ROOT, ROOT)):
        with pytest.raises(PermissionDenied):
            storage.rename(source, target)
    assert names(storage) == ["f"]


def test_what_is_missing_is_not_found(storage: Storage) -> None:
    put(storage, "/file")
    put(storage, "/other")
    for path, error in (
        ("/missing", NotFound),
        ("/missing/x", NotFound),
        ("/file/x", NotADirectory),
        ("/file/x/y", NotADirectory),
    ):
        for operation in (storage.stat, storage.list, storage.read, storage.remove):
            with pytest.raises(error) as caught:
                operation(at(path))
            assert path in str(caught.value)
        with pytest.raises(error):
            storage.rename(at(path), at("/elsewhere"))
        with pytest.raises(NotADirectory if error is NotADirectory else NotFound):
            storage.rename(at("/other"), at(path).child("deeper"))
    storage.make_directory(at("/dir"))
    for path in ("/dir", "/"):
        with pytest.raises(IsADirectory):
            storage.read(at(path))
    assert names(storage) == ["dir", "file", "other"]


def test_renaming_files_and_directories(backend: Backend) -> None:
    storage = backend.storage
    storage.make_directory(at("/a/sub"), parents=True)
    storage.make_directory(at("/other"))
    moved = put(storage, "/a/sub/f", b"moved", modified=MODIFIED)
    storage.rename(at("/a/sub/f"), at("/other/g"))
    assert storage.stat(at("/other/g")).digest == moved.digest
    storage.rename(at("/other"), at("/a/sub/below"), clobber=False)
    assert names(storage) == ["a", "a/sub", "a/sub/below", "a/sub/below/g"]
    storage.rename(at("/a"), at("/b"))
    assert get(storage, "/b/sub/below/g") == b"moved"
    assert backend.ledger.books()[1:] == (5, 0)


def test_renaming_over_a_file_replaces_it_once(backend: Backend) -> None:
    storage = backend.storage
    put(storage, "/one", b"1")
    put(storage, "/two", b"22")
    with pytest.raises(AlreadyExists):
        storage.rename(at("/one"), at("/two"), clobber=False)
    assert get(storage, "/two") == b"22"
    storage.rename(at("/one"), at("/two"))
    assert names(storage) == ["two"]
    assert get(storage, "/two") == b"1"
    assert (backend.ledger.used, backend.ledger.files) == (1, 1)
    storage.rename(at("/two"), at("/free"), clobber=False)
    assert names(storage) == ["free"]


def test_renaming_onto_itself_changes_nothing(backend: Backend) -> None:
    storage = backend.storage
    put(storage, "/f")
    storage.make_directory(at("/d"))
    storage.rename(at("/f"), at("/f"))
    with pytest.raises(AlreadyExists):
        storage.rename(at("/f"), at("/f"), clobber=False)
    with pytest.raises(NotFound):
        storage.rename(at("/g"), at("/g"))
    assert names(storage) == ["d", "f"]
    assert get(storage, "/f") == b"content"
    assert backend.ledger.files == 1


def test_c15_trees_do_not_grow_deeper_than_can_be_named_by_moving_them_into_one_another(
    storage: Storage,
) -> None:
    deep = "/d" * (MAX_DEPTH - 1)
    for name in ("/one", "/two"):
        storage.make_directory(at(name + deep), parents=True)
    for target in (f"/two{deep[2:]}/x", "/two/d/x"):
        with pytest.raises(InvalidPath, match="deep"):
            storage.rename(at("/one"), at(target))
    storage.rename(at("/one"), at("/three"))
    storage.rename(at("/three/d/d"), at("/two/d/x"))
    assert storage.stat(at("/two/d/x" + "/d" * (MAX_DEPTH - 3))).kind == "dir"
    with pytest.raises(InvalidPath, match="deep"):
        storage.rename(at("/two"), at("/three/two"))
    put(storage, "/file")
    storage.rename(at("/file"), at("/two/d/x" + "/d" * (MAX_DEPTH - 4) + "/file"))
    storage.make_directory(at("/three/empty"))
    storage.rename(at("/three/empty"), at("/two/d/x" + "/d" * (MAX_DEPTH - 4) + "/empty"))


def test_what_cannot_be_renamed(storage: Storage) -> None:
    storage.make_directory(at("/d/sub"), parents=True)
    storage.make_directory(at("/empty"))
    put(storage, "/f")
    for source, target, error in (
        ("/d", "/d/sub/x", InvalidPath),
        ("/d", "/d/x", InvalidPath),
        ("/d/sub", "/d", AlreadyExists),
        ("/f", "/empty", AlreadyExists),
        ("/d", "/empty", AlreadyExists),
        ("/d", "/f", AlreadyExists),
        ("/f", "/missing/x", NotFound),
        ("/f", "/f/x", InvalidPath),
    ):
        for clobber in (True, False):
            with pytest.raises(error):
                storage.rename(at(source), at(target), clobber=clobber)
    assert names(storage) == ["d", "d/sub", "empty", "f"]
    storage.rename(at("/d"), at("/dd"))  # a neighbour by prefix lies not beneath
    assert names(storage) == ["dd", "dd/sub", "empty", "f"]
