"""C20: a directory on the way is swapped for a link to the outside, again and again, while operations run."""

import os
import random
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from ftpsvc.confine import PosixRoot
from ftpsvc.exceptions import FtpsvcError, NotADirectory, NotFound
from ftpsvc.storage.base import Durability, Storage
from ftpsvc.storage.local import LocalStorage
from tests.helpers.counts import count
from tests.helpers.stores import at, get, names, put

REPOSITORY = Path(__file__).resolve().parents[2]
SECRET = b"must not be read"
INSIDE = b"may be read"
OPERATIONS = count(10_000, 50_000)


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A folder whose a/d will be swapped with the link a/l to a folder outside that looks just the same."""
    inside, outside = tmp_path / "root" / "a" / "d", tmp_path / "outside"
    for folder, content in ((inside, INSIDE), (outside, SECRET)):
        (folder / "e").mkdir(parents=True)
        (folder / "e" / "f").write_bytes(content)
        (folder / "f").write_bytes(content)
    (outside / "e" / "secret").write_bytes(SECRET)
    (outside / "secret").write_bytes(SECRET)
    (tmp_path / "root" / "a" / "l").symlink_to(outside)
    return tmp_path


@contextmanager
def swapping(place: Path) -> Iterator[None]:
    """Runs the swapper beside the block."""
    one, other = place / "root" / "a" / "d", place / "root" / "a" / "l"
    with subprocess.Popen(
        [sys.executable, "-m", "tests.helpers.swapper", str(one), str(other)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=REPOSITORY,
    ) as swapper:
        assert swapper.stdout
        try:
            assert swapper.stdout.readline() == "ready\n"
            yield
        finally:
            swaps, _ = swapper.communicate()
    assert int(swaps) > 0


def snapshot(folder: Path) -> dict[str, tuple[object, ...]]:
    """All that can be seen of a folder but its access times."""
    found: dict[str, tuple[object, ...]] = {}
    for path in (folder, *folder.rglob("*")):
        info = path.lstat()
        content = path.read_bytes() if path.is_file() else b""
        found[str(path)] = (
            info.st_ino,
            info.st_mode,
            info.st_nlink,
            info.st_mtime_ns,
            info.st_ctime_ns,
            content,
        )
    return found


class Tally:
    """Counts operations, and how often the outcome turned between done and refused."""

    def __init__(self) -> None:
        self.attempts = 0
        self.turns = 0
        self._last: bool | None = None

    def enough(self) -> bool:
        """Says whether the race was long, and was one: operations met the directory and the link by turns."""
        return self.attempts >= OPERATIONS and self.turns >= 200

    def attempt(self, work: Callable[[], object]) -> None:
        self.attempts += 1
        try:
            work()
        except (NotADirectory, NotFound, NotADirectoryError, FileNotFoundError, FileExistsError):
            done = False
        except FtpsvcError:
            return  # a name that an earlier operation left where this one wants to be
        else:
            done = True
        self.turns += done is not self._last
        self._last = done


def reads_inside_only(storage: Storage) -> None:
    for path in ("/a/d/f", "/a/d/e/f"):
        assert get(storage, path) != SECRET


def lists_inside_only(storage: Storage) -> None:
    for path in ("/a/d", "/a/d/e", "/a"):
        assert not [name for name in names(storage, path, limit=3) if "secret" in name]


def test_c20_no_operation_of_the_storage_follows_a_link_that_is_swapped_in(place: Path) -> None:
    before = snapshot(place / "outside")
    storage = LocalStorage(place / "root", durability=Durability.RELAXED)
    chance = random.Random(20)
    operations: list[Callable[[], object]] = [
        lambda: reads_inside_only(storage),
        lambda: lists_inside_only(storage),
        lambda: storage.stat(at("/a/d/e/secret")),
        lambda: put(storage, "/a/d/e/new", b"x"),
        lambda: put(storage, "/a/d/new", b"x", clobber=False),
        lambda: put(storage, "/a/d/f", INSIDE),
        lambda: put(storage, "/a/d/e/f", INSIDE),
        lambda: storage.make_directory(at("/a/d/e/made/here"), parents=True),
        lambda: storage.make_directory(at("/a/d/made")),
        lambda: storage.remove(at("/a/d/e/made"), recursive=True),
        lambda: storage.remove(at("/a/d/new")),
        lambda: storage.remove(at("/a/d/secret")),
        lambda: storage.remove(at("/a/d/e/secret")),
        lambda: storage.rename(at("/a/d/e/new"), at("/a/moved")),
        lambda: storage.rename(at("/a/d/e/secret"), at("/a/stolen")),
        lambda: storage.rename(at("/a/moved"), at("/a/d/e/moved"), clobber=False),
    ]
    tally = Tally()
    with swapping(place):
        while not tally.enough():
            tally.attempt(chance.choice(operations))
    storage.close()
    assert snapshot(place / "outside") == before
    assert not (place / "root" / "a" / "stolen").exists()


def test_c20_c21_no_saving_of_a_tree_follows_a_link_that_is_swapped_in(place: Path) -> None:
    before = snapshot(place / "outside")
    root = PosixRoot(place / "root")
    chance = random.Random(21)

    def save() -> None:
        root.make_directories(["a", "d", "e", "made"])
        with root.walk(["a", "d", "e"]) as folder, folder.stage(f"f{chance.random()}.part") as staged:
            staged.write(INSIDE)
            staged.publish(folder, "f", clobber=chance.random() < 0.5)

    def load() -> None:
        with root.walk(["a", "d", "e"]) as folder:
            fd = folder.open_file("f")
            try:
                assert os.read(fd, 100) == INSIDE
            finally:
                os.close(fd)

    def remove_below() -> None:
        with root.walk(["a", "d"]) as folder:
            folder.remove_tree("e")

    def rebuild() -> None:
        root.make_directories(["a", "d", "e"])

    tally = Tally()
    with swapping(place):
        while not tally.enough():
            tally.attempt(chance.choice([save, save, load, load, remove_below, rebuild]))
    root.remove_tree("a")
    root.close()
    assert snapshot(place / "outside") == before
