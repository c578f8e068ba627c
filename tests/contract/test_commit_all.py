"""Uploads that are committed together: the contract of ftpsvc/storage/base.py, for every backend."""

import errno
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ftpsvc.exceptions import (
    AlreadyExists,
    DigestMismatch,
    FtpsvcError,
    InvalidRequest,
    IsADirectory,
    NotFound,
    Unavailable,
)
from ftpsvc.storage.base import Entry, Storage, Upload
from ftpsvc.storage.local import LocalStorage
from ftpsvc.storage.together import Syncers
from tests.contract.conftest import Backend
from tests.helpers.stores import Ledger, at, digest_of, everything, get, names, put

CONTENT = b"content"


def ready(storage: Storage, path: str, content: bytes = CONTENT, *, clobber: bool = True) -> Upload:
    upload = storage.create(at(path), len(content), algorithm="blake3", clobber=clobber)
    upload.write(content)
    return upload


def together(storage: Storage, *uploads: Upload, digest: str = digest_of(CONTENT)) -> list[str]:
    """Commits them; returns the class of each outcome."""
    outcomes = storage.commit_all([(upload, digest) for upload in uploads])
    return [type(outcome).__name__ for outcome in outcomes]


def test_all_are_there_with_their_entries(backend: Backend) -> None:
    storage = backend.storage
    for folder in ("/a", "/a/b"):
        storage.make_directory(at(folder))
    put(storage, "/a/old", b"old")
    paths = ["/top", "/a/old", "/a/new", "/a/b/f"]
    uploads = [(ready(storage, path), digest_of(CONTENT)) for path in paths]
    outcomes = storage.commit_all(uploads)
    assert outcomes == [storage.stat(at(path)) for path in paths]
    assert all(get(storage, path) == CONTENT for path in paths)
    assert backend.ledger.books()[1:] == (4 * len(CONTENT), 0)
    backend.assert_nothing_staged()


def test_one_that_fails_harms_no_other(backend: Backend) -> None:
    storage = backend.storage
    for folder in ("/gone", "/kept"):
        storage.make_directory(at(folder))
    good = [ready(storage, f"/kept/{number}") for number in range(3)]
    gone, blocked = ready(storage, "/gone/f"), ready(storage, "/blocked")
    late, wrong = ready(storage, "/taken", clobber=False), ready(storage, "/wrong", b"CONTENT")
    short = storage.create(at("/short"), 100, algorithm="blake3")
    storage.remove(at("/gone"))
    storage.make_directory(at("/blocked"))
    put(storage, "/taken", b"first")
    found = together(storage, gone, good[0], blocked, late, good[1], wrong, short, good[2])
    assert found == [
        NotFound.__name__, "Entry", IsADirectory.__name__, AlreadyExists.__name__, "Entry",
        DigestMismatch.__name__, InvalidRequest.__name__, "Entry",
    ]  # fmt: skip
    assert names(storage) == ["blocked", "kept", "kept/0", "kept/1", "kept/2", "taken"]
    assert get(storage, "/taken") == b"first"
    sizes = [entry.size for entry in everything(storage)]
    assert backend.ledger.books()[1:] == (sum(sizes), 0)
    backend.assert_nothing_staged()


@pytest.fixture
def grouping(tmp_path: Path) -> Iterator[LocalStorage]:
    """A local storage that syncs in threads."""
    syncers = Syncers()
    (tmp_path / "root").mkdir()
    storage = LocalStorage(tmp_path / "root", quota=Ledger(), syncers=syncers)
    yield storage
    storage.close()
    syncers.close()


def test_every_file_is_durable_before_the_first_is_seen_and_every_name_before_the_end(
    grouping: LocalStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    for folder in "ab":
        grouping.make_directory(at(f"/{folder}"))
    uploads = [ready(grouping, f"/{'ab'[number % 2]}/{number}") for number in range(20)]
    steps: list[str] = []
    real_sync, real_replace = os.fsync, os.replace

    def sync(fd: int) -> None:
        steps.append("file" if stat.S_ISREG(os.fstat(fd).st_mode) else "directory")
        real_sync(fd)

    def replace(*args: Any, **kwargs: Any) -> None:
        steps.append("name")
        real_replace(*args, **kwargs)

    monkeypatch.setattr(os, "fsync", sync)
    monkeypatch.setattr(os, "replace", replace)
    assert together(grouping, *uploads) == ["Entry"] * 20
    assert steps == ["file"] * 20 + ["name"] * 20 + ["directory"] * 2


@pytest.mark.parametrize("what", ["file", "directory"])
def test_c54_a_sync_that_fails_is_answered_to_those_that_it_is_about(
    grouping: LocalStorage, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, what: str
) -> None:
    for folder in "ab":
        grouping.make_directory(at(f"/{folder}"))
    uploads = [ready(grouping, f"/{'ab'[number % 2]}/{number}") for number in range(6)]
    number = (tmp_path / "root" / "b").stat().st_ino
    real = os.fsync
    failed: list[int] = []

    def fsync(fd: int) -> None:
        info = os.fstat(fd)
        bad = info.st_ino == number if what == "directory" else stat.S_ISREG(info.st_mode) and not failed
        if bad:
            failed.append(fd)
            raise OSError(errno.EIO, "x")
        real(fd)

    monkeypatch.setattr(os, "fsync", fsync)
    outcomes = grouping.commit_all([(upload, digest_of(CONTENT)) for upload in uploads])
    bad = [outcome for outcome in outcomes if isinstance(outcome, FtpsvcError)]
    assert all(isinstance(error, Unavailable) for error in bad)
    seen = set(names(grouping)) - {"a", "b"}
    if what == "file":
        assert len(bad) == 1
        (missing,) = {f"{'ab'[each % 2]}/{each}" for each in range(6)} - seen
        assert str(bad[0]).startswith(f"/{missing}: ")
    else:
        # The content is in place, whole, and nobody knows what a power cut would leave: no good answer.
        assert [isinstance(outcome, Entry) for outcome in outcomes] == [True, False] * 3
        assert len(seen) == 6
    assert list((tmp_path / "root" / ".ftpsvc" / "staging").iterdir()) == []
