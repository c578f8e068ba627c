"""A file that is put in place in the middle of the removal of its directory goes with it, at every moment of that."""

import os
from pathlib import Path

import pytest

from ftpsvc.storage.local import LocalStorage
from ftpsvc.storage.upload import LocalUpload
from tests.helpers.stores import Ledger, at, digest_of, names, put


@pytest.mark.parametrize("folder", ["d", "d/deep"])
def test_c42_what_comes_into_a_directory_that_is_being_removed_goes_with_it(
    tmp_path: Path, folder: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else the removal fails, and the file is neither there nor gone: out of sight, on the books until a restart."""
    ledger = Ledger()
    storage = LocalStorage(tmp_path, quota=ledger)
    storage.make_directory(at("/d/deep"), parents=True)
    put(storage, f"/{folder}/f")
    upload = storage.create(at(f"/{folder}/late"), 4, algorithm="blake3")
    assert isinstance(upload, LocalUpload)
    upload.write(b"late")
    upload.seal(digest_of(b"late"))
    directory = storage._volume.enter(folder.split("/"))
    real = os.rmdir
    came: list[str] = []

    def rmdir(name: bytes, *, dir_fd: int | None = None) -> None:
        # The directory has just been found empty.
        if not came and name.startswith(b"away-" if folder == "d" else b"deep"):
            storage.make_directory(at("/d"))  # the name is taken, so nothing could be brought back to it
            came.append(upload.publish(directory).name)
        real(name, dir_fd=dir_fd)

    monkeypatch.setattr(os, "rmdir", rmdir)
    assert storage.remove(at("/d"), recursive=True) == 4
    directory.close()
    assert came == ["late"]
    assert names(storage) == ["d"]
    assert os.listdir(tmp_path / ".ftpsvc" / "staging") == []
    assert ledger.books()[1:] == (0, 0)
    storage.close()
