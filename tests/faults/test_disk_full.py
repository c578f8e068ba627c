"""C54: a disk that is full, for real: a small tmpfs, a limit on file size, and the memory of the backend for tests."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from ftpsvc.exceptions import NoSpace
from ftpsvc.storage.base import Durability, Storage, Upload
from ftpsvc.storage.local import LocalStorage
from ftpsvc.storage.memory import MemoryStorage
from tests.helpers.rights import mounted
from tests.helpers.stores import Ledger, at, digest_of, get, names, put

KIBIBYTE = 1024
CAPACITY = 1024 * KIBIBYTE


@pytest.fixture
def ledger() -> Ledger:
    return Ledger()


@pytest.fixture(params=["tmpfs", "tmpfs-relaxed", "memory"])
def small(request: pytest.FixtureRequest, tmp_path: Path, ledger: Ledger) -> Iterator[Storage]:
    """A storage with room for a megabyte."""
    if request.param == "memory":
        yield MemoryStorage(ledger, CAPACITY)
        return
    root = tmp_path / "root"
    root.mkdir()
    with mounted(root, "tmpfs", f"size={CAPACITY}"):
        durability = Durability.RELAXED if request.param == "tmpfs-relaxed" else Durability.FULL
        storage = LocalStorage(root, quota=ledger, durability=durability)
        yield storage
        assert os.listdir(root / ".ftpsvc" / "staging") == []
        storage.close()


def test_c43_what_cannot_fit_is_refused_before_the_first_byte(small: Storage, ledger: Ledger) -> None:
    put(small, "/f", b"x" * 900 * KIBIBYTE)
    with pytest.raises(NoSpace) as caught:
        small.create(at("/g"), 200 * KIBIBYTE, algorithm="blake3")
    assert caught.value.requested == 200 * KIBIBYTE
    assert caught.value.available is not None
    assert caught.value.available < 200 * KIBIBYTE
    assert caught.value.retry
    assert small.space().free < 200 * KIBIBYTE
    assert ledger.books()[1:] == (900 * KIBIBYTE, 0)
    # An old file of that size does not help: both are there until the new one is whole.
    with pytest.raises(NoSpace):
        small.create(at("/f"), 200 * KIBIBYTE, algorithm="blake3")
    assert small.remove(at("/f")) == 1
    put(small, "/g", b"x" * 200 * KIBIBYTE)


def test_c54_a_disk_that_fills_up_meanwhile_ends_the_upload_and_no_other(
    small: Storage, ledger: Ledger
) -> None:
    put(small, "/f", b"old")
    content = b"x" * 700 * KIBIBYTE
    one = small.create(at("/f"), len(content), algorithm="blake3")
    two = small.create(at("/g"), len(content), algorithm="blake3")
    for start in range(0, 400 * KIBIBYTE, 100 * KIBIBYTE):
        two.write(content[start : start + 100 * KIBIBYTE])
    with pytest.raises(NoSpace):
        write_in_pieces(one, content)
    with pytest.raises(NoSpace):
        one.commit(digest_of(content))
    assert get(small, "/f") == b"old"
    # What the dead one held is free again, at once.
    two.write(content[400 * KIBIBYTE :])
    two.commit(digest_of(content))
    assert names(small) == ["f", "g"]
    assert get(small, "/g") == content
    assert ledger.books()[1:] == (3 + len(content), 0)


def write_in_pieces(upload: Upload, content: bytes) -> None:
    for start in range(0, len(content), 100 * KIBIBYTE):
        upload.write(content[start : start + 100 * KIBIBYTE])


def test_no_more_names_is_no_space_too(tmp_path: Path, ledger: Ledger) -> None:
    root = tmp_path / "root"
    root.mkdir()
    with mounted(root, "tmpfs", "size=10m,nr_inodes=20"):
        storage = LocalStorage(root, quota=ledger)
        with pytest.raises(NoSpace):
            put_many(storage)
        stored = len(names(storage))
        assert 5 < stored < 20
        with pytest.raises(NoSpace):
            storage.make_directory(at("/d"))
        assert ledger.books()[1:] == (7 * stored, 0)
        storage.remove(at("/0"))
        put(storage, "/again")
        storage.close()


def put_many(storage: Storage) -> None:
    for number in range(30):
        put(storage, f"/{number}")


def test_a_disk_filled_by_others_is_found_at_the_write_though_there_was_room(tmp_path: Path) -> None:
    root = tmp_path / "root"
    root.mkdir()
    with mounted(root, "tmpfs", f"size={CAPACITY}"):
        storage = LocalStorage(root)
        put(storage, "/f", b"old")
        (root / "by hand").write_bytes(b"x" * (CAPACITY - 40 * KIBIBYTE))
        with pytest.raises(NoSpace):
            put(storage, "/f", b"x" * 100 * KIBIBYTE)
        assert get(storage, "/f") == b"old"
        storage.close()


LIMITED = """
import resource, sys
from pathlib import Path
from ftpsvc.exceptions import Unavailable
from ftpsvc.storage.local import LocalStorage
from tests.helpers.stores import get, names, put
storage = LocalStorage(Path(sys.argv[1]))
put(storage, "/f", b"old")
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
try:
    put(storage, "/f", b"x" * 300_000)
except Unavailable as problem:
    print(problem)
assert get(storage, "/f") == b"old" and names(storage) == ["f"]
put(storage, "/g", b"x" * 100_000)
storage.close()
"""


def test_a_file_larger_than_the_file_system_takes(tmp_path: Path) -> None:
    (tmp_path / "root").mkdir()
    done = subprocess.run(
        [sys.executable, "-c", LIMITED, str(tmp_path / "root")],
        capture_output=True,
        text=True,
        check=False,
        cwd=Path(__file__).resolve().parents[2],
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "/f: the file is larger than the server's file system can hold\n"
    assert os.listdir(tmp_path / "root" / ".ftpsvc" / "staging") == []
