"""What has nothing to do with a partial takes nothing from it: a want of descriptors, and an expiry that comes late."""

import errno
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from ftpsvc.exceptions import Unavailable
from ftpsvc.storage.base import Begun
from ftpsvc.storage.local import LocalStorage
from ftpsvc.storage.partials import partial_name
from ftpsvc.storage.writers import Writer
from tests.helpers.stores import Ledger, at, digest_of, get

CONTENT = bytes(range(256)) * 8
HALF = len(CONTENT) // 2


def begin(storage: LocalStorage) -> Begun:
    return storage.begin(
        at("/f"), len(CONTENT), algorithm="blake3", owner="alice", evict=lambda: pytest.fail("taken over")
    )


@pytest.fixture
def ledger() -> Ledger:
    return Ledger()


@pytest.fixture
def half(tmp_path: Path, ledger: Ledger) -> Iterator[LocalStorage]:
    """A storage that holds half of a file."""
    storage = LocalStorage(tmp_path, quota=ledger)
    upload = begin(storage)
    upload.write(CONTENT[:HALF])
    upload.suspend()
    yield storage
    storage.close()


def test_too_many_open_files_at_any_step_of_a_begin_take_nothing(
    half: LocalStorage, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.open
    left = 0

    def scarce(*arguments: object, **options: object) -> int:
        nonlocal left
        left -= 1
        if left == 0:
            raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
        return real(*arguments, **options)  # type: ignore[arg-type]  # handed on as they came

    monkeypatch.setattr(os, "open", scarce)
    steps = 0
    while True:
        steps += 1
        left = steps
        try:
            upload = begin(half)
        except Unavailable:
            assert ledger.books()[1:] == (HALF, 0)
            continue
        if left > 0:  # it went through without the one that would have failed
            break
        pytest.fail(f"nobody noticed that open {steps} failed")
    left = 0
    assert steps > 2
    assert upload.written == HALF
    upload.write(CONTENT[HALF:])
    upload.commit(digest_of(CONTENT))
    assert get(half, "/f") == CONTENT


def test_what_somebody_came_back_for_meanwhile_does_not_expire(
    half: LocalStorage, ledger: Ledger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    partial = tmp_path / ".ftpsvc" / "partials" / os.fsdecode(partial_name(at("/f"), "alice"))
    os.utime(partial, ns=(0, 0))
    writers = half._volume.writers
    take_free = writers.take_free

    def after_a_while(*arguments: str) -> Writer | None:
        upload = begin(half)
        upload.write(CONTENT[HALF : HALF + 1])
        upload.suspend()
        return take_free(*arguments)  # type: ignore[arg-type]  # handed on as they came

    with monkeypatch.context() as patch:
        patch.setattr(writers, "take_free", after_a_while)
        assert half.expire(3600) == 0
    assert ledger.books()[1:] == (HALF + 1, 0)
    os.utime(partial, ns=(0, 0))
    assert half.expire(3600) == 1
    assert ledger.books()[1:] == (0, 0)
    assert begin(half).written == 0
