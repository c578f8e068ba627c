"""Where states after a power cut are made, and how."""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from ftpsvc.confine import open_root
from ftpsvc.storage import volume
from ftpsvc.storage.records import attributes_work


@pytest.fixture(params=["attributes", "sidecars"])
def records(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Both places for digest records."""
    if request.param == "sidecars":
        monkeypatch.setattr(volume, "attributes_work", lambda folder, *, writable: False)
    return str(request.param)


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Path]:
    """Where states are made: in memory if it can hold extended attributes, since thousands are made and removed."""
    memory = Path("/dev/shm")
    folder = Path(tempfile.mkdtemp(dir=memory if memory.is_dir() else tmp_path))
    try:
        with open_root(folder) as top:
            able = attributes_work(top, writable=True)
        yield folder if able else tmp_path
    finally:
        shutil.rmtree(folder)
