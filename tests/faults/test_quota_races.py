"""The books agree with the files while one user's connections put, move and remove the same things (C42)."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from ftpsvc.accounts.quota import Books, recount
from ftpsvc.confine import open_root
from ftpsvc.exceptions import FtpsvcError
from ftpsvc.paths import RemotePath
from ftpsvc.storage.base import Durability
from ftpsvc.storage.local import LocalStorage
from tests.helpers.counts import count

TURNS = count(200, 5000)


def at(path: str) -> RemotePath:
    return RemotePath.parse(path)


def test_c42_the_books_are_right_while_directories_move_and_go_beneath_uploads(tmp_path: Path) -> None:
    books = Books(None, 0, 0)
    storage = LocalStorage(tmp_path, durability=Durability.RELAXED, quota=books)
    storage.make_directory(at("/a"))

    def put(name: str, size: int) -> None:
        with storage.create(at(name), size, algorithm="blake3") as upload:
            upload.write(bytes(size))
            upload.commit(None)

    def turn(choice: random.Random) -> None:
        where = choice.choice(("/a", "/b"))
        there: list[Callable[[], object]] = [
            lambda: put(f"{where}/f", choice.choice((0, 1, 1000))),
            lambda: put(f"{where}/f", choice.choice((0, 1, 1000))),
            lambda: storage.remove(at(f"{where}/f")),
            lambda: storage.rename(at("/a"), at("/b")),
            lambda: storage.rename(at("/b"), at("/a")),
            lambda: storage.rename(at(f"{where}/f"), at(f"{where}/g")),
            lambda: storage.rename(at(f"{where}/g"), at(f"{where}/f")),
            lambda: storage.remove(at(where), recursive=True),
            lambda: storage.make_directory(at(where)),
        ]
        with suppress(FtpsvcError):
            choice.choice(there)()

    def work(seed: int) -> None:
        choice = random.Random(seed)
        for _ in range(TURNS):
            turn(choice)

    for number in range(5):
        threads = [threading.Thread(target=work, args=(4 * number + seed,)) for seed in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        with open_root(tmp_path) as top:
            assert (books.books()[1], books.files) == recount(top)
        assert books.books()[2] == 0
    storage.close()


def test_c42_a_name_has_one_lock_by_whatever_path_its_directory_was_entered(tmp_path: Path) -> None:
    storage = LocalStorage(tmp_path, durability=Durability.RELAXED)
    volume = storage._volume
    storage.make_directory(at("/a"))
    with volume.enter(("a",)) as before:
        storage.rename(at("/a"), at("/b"))
        with volume.enter(("b",)) as after:
            for name in map(str, range(64)):
                assert volume.lock(before, name) is volume.lock(after, name)
                assert volume.guard(after, name.encode()) is volume.lock(after, name)
            assert volume.guard(after, "e\u0301".encode()) is volume.lock(after, "\u00e9")
    storage.close()
