"""The backends that the contract is run against."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from ftpsvc.storage.base import Durability, Storage
from ftpsvc.storage.local import LocalStorage
from ftpsvc.storage.memory import MemoryStorage
from tests.helpers.stores import Ledger

BACKENDS = ("local", "relaxed", "sidecar", "memory")


@dataclass(frozen=True)
class Backend:
    """A storage with its books, and where it is on the disk (None: nowhere)."""

    storage: Storage
    ledger: Ledger
    root: Path | None

    def assert_nothing_staged(self) -> None:
        """Fails when an upload left something in the hidden folder."""
        if self.root is not None:
            assert os.listdir(self.root / ".ftpsvc" / "staging") == []


@pytest.fixture(params=BACKENDS)
def backend(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Backend]:
    """Each backend in turn, empty."""
    ledger = Ledger()
    if request.param == "memory":
        storage: Storage = MemoryStorage(ledger)
        root = None
    else:
        if request.param == "sidecar":
            # What Python is like on macOS: without extended attributes.
            for name in ("getxattr", "setxattr", "listxattr", "removexattr"):
                monkeypatch.delattr(os, name, raising=False)
        root = tmp_path / "root"
        root.mkdir()
        durability = Durability.RELAXED if request.param == "relaxed" else Durability.FULL
        storage = LocalStorage(root, durability=durability, quota=ledger)
    yield Backend(storage, ledger, root)
    storage.close()


@pytest.fixture
def storage(backend: Backend) -> Storage:
    """The storage of each backend in turn."""
    return backend.storage
