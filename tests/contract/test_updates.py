"""Files that are put together out of what was sent and of what another file has, for every backend."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from ftpsvc.exceptions import (
    Changed,
    DigestMismatch,
    InvalidRequest,
    LocalProtocolError,
    NoSpace,
    QuotaExceeded,
)
from ftpsvc.storage.base import Reader, Storage, Upload
from ftpsvc.storage.memory import MemoryStorage
from tests.contract.conftest import Backend
from tests.helpers.stores import Ledger, at, digest_of, get, names, put

SCRATCH = 1000


def scratch() -> memoryview:
    return memoryview(bytearray(SCRATCH))


def test_what_is_placed_and_what_is_taken_become_one_file(storage: Storage) -> None:
    old = os.urandom(10_000)
    new = old[:3000] + os.urandom(1500) + old[4500:9000] + os.urandom(3000)
    put(storage, "/f", old)
    with (
        storage.read(at("/f")) as base,
        storage.create(at("/f"), len(new), algorithm="sha256", modified=5_000_000_000) as upload,
    ):
        upload.place(new[9000:], 9000)
        upload.place(new[3000:4000], 3000)
        upload.place(memoryview(new)[4000:4500], 4000)
        assert upload.written == 0
        for size, source in ((3000, base), (1500, None), (4500, base), (3000, None)):
            upload.take(size, source, scratch())
        assert upload.written == len(new)
        assert get(storage, "/f") == old, "nothing is seen of it before the commit"
        entry = upload.commit(digest_of(new, "sha256"))
    assert get(storage, "/f") == new
    assert (entry.size, entry.modified) == (len(new), 5_000_000_000)
    assert entry.digest is not None
    assert entry.digest.value == digest_of(new, "sha256")
    assert storage.stat(at("/f")) == entry


def test_c47_a_wrong_digest_leaves_the_old_version(backend: Backend) -> None:
    put(backend.storage, "/f", b"old" * 1000)
    with backend.storage.read(at("/f")) as base:
        with backend.storage.create(at("/f"), 3000, algorithm="blake3") as upload:
            upload.place(b"new", 0)
            upload.take(3, None, scratch())
            upload.take(2997, base, scratch())
            with pytest.raises(DigestMismatch):
                upload.commit(digest_of(b"old" * 1000))
        with backend.storage.create(at("/f"), 3000, algorithm="blake3") as upload:
            upload.place(b"new", 0)
    assert get(backend.storage, "/f") == b"old" * 1000
    assert names(backend.storage) == ["f"]
    assert (backend.ledger.used, backend.ledger.reserved) == (3000, 0)


def test_more_than_was_announced_is_refused(storage: Storage) -> None:
    put(storage, "/f", b"x" * 100)
    spoils: list[Callable[[Upload, Reader], None]] = [
        lambda upload, base: upload.place(b"12", 9),
        lambda upload, base: upload.take(11, base, scratch()),
        lambda upload, base: upload.take(11, None, scratch()),
    ]
    for spoil in spoils:
        with storage.read(at("/f")) as base, storage.create(at("/g"), 10, algorithm="md5") as upload:
            with pytest.raises(InvalidRequest):
                spoil(upload, base)
            with pytest.raises(InvalidRequest):
                upload.place(b"1", 0)
            with pytest.raises(InvalidRequest):
                upload.commit(None)
    assert names(storage) == ["f"]


def test_a_source_that_ends_early_is_changed(storage: Storage) -> None:
    put(storage, "/f", b"x" * 100)
    with storage.read(at("/f")) as base, storage.create(at("/g"), 200, algorithm="md5") as upload:
        with pytest.raises(Changed):
            upload.take(101, base, scratch())
        with pytest.raises(Changed):
            upload.commit(None)
    assert names(storage) == ["f"]


def test_nothing_follows_the_end(storage: Storage) -> None:
    upload = storage.create(at("/g"), 5, algorithm="md5")
    upload.abort()
    with pytest.raises(LocalProtocolError):
        upload.place(b"1", 0)
    with pytest.raises(LocalProtocolError):
        upload.take(1, None, scratch())


def test_c40_the_quota_counts_the_whole_file(backend: Backend) -> None:
    put(backend.storage, "/f", b"x" * 5000)
    backend.ledger.limit = 9000
    with backend.storage.create(at("/f"), 9000, algorithm="md5") as upload:
        assert backend.ledger.reserved == 4000
        upload.place(b"y", 8999)
    with pytest.raises(QuotaExceeded):
        backend.storage.create(at("/f"), 9001, algorithm="md5")
    assert (backend.ledger.used, backend.ledger.reserved) == (5000, 0)


def test_memory_gives_back_what_was_placed() -> None:
    storage = MemoryStorage(Ledger(), capacity=100)
    for _ in range(3):
        with storage.create(at("/f"), 90, algorithm="md5") as upload:
            upload.place(b"1", 89)
            with pytest.raises(NoSpace):
                storage.create(at("/g"), 20, algorithm="md5")
    put(storage, "/f", b"x" * 100)


def test_a_file_that_is_replaced_meanwhile_is_still_the_base(storage: Storage) -> None:
    old = os.urandom(4000)
    put(storage, "/f", old)
    with storage.read(at("/f")) as base, storage.create(at("/f"), 4000, algorithm="blake3") as upload:
        put(storage, "/f", b"another")
        upload.take(4000, base, scratch())
        base.check_unchanged()
        upload.commit(digest_of(old))
    assert get(storage, "/f") == old


def test_a_base_that_is_written_to_by_hand_is_noticed(backend: Backend) -> None:
    root: Path | None = backend.root
    if root is None:
        return
    put(backend.storage, "/f", b"x" * 4000)
    with backend.storage.read(at("/f")) as base:
        with (root / "f").open("r+b") as file:
            file.write(b"y")
        os.utime(root / "f", ns=(1, 1))
        with pytest.raises(Changed):
            base.check_unchanged()
