"""The quota to the byte: raced for, overwritten, moved, aborted, and after kill -9 (CASES C40 to C43)."""

import os
import random
import threading
from pathlib import Path
from typing import BinaryIO, cast

import pytest

from ftpsvc.accounts.quota import recount
from ftpsvc.confine import open_root
from ftpsvc.exceptions import FtpsvcError, QuotaExceeded, TransportError
from ftpsvc_client import Client, Credentials, connect
from tests.helpers.counts import count
from tests.helpers.daemon import server
from tests.helpers.embedded import embedded
from tests.helpers.users import add_user

MIB = 1 << 20


def books_are_exact(client: Client, home: Path) -> int:
    """Compares what `df` says with what lies in the home; returns the bytes in use."""
    with open_root(home) as top:
        used, _ = recount(top)
    space = client.space()
    assert (space.used, space.reserved) == (used, 0)
    assert space.limit is None or used <= space.limit
    return used


def test_c40_connections_race_for_the_last_megabyte(tmp_path: Path) -> None:
    """Each wants a third of what is left: exactly as many get it as fit, whatever the order."""
    root, racers = tmp_path / "root", count(24, 100)
    alice = add_user(root, "alice", quota=10 * MIB)
    home = root / "users" / "alice"
    with (
        server(root, guest="none", settings={"limits.per_user": racers + 5}) as running,
        connect(running.url, credentials=alice) as first,
    ):
        first.put(os.urandom(9 * MIB), "/most")
        results: list[str] = []
        together = threading.Barrier(racers)

        def race(number: int) -> None:
            with connect(running.url, credentials=alice) as client:
                together.wait(60)
                try:
                    client.put(os.urandom(MIB // 3), f"/{number}")
                    results.append("stored")
                except QuotaExceeded as error:
                    results.append("refused, try again" if error.retry else "refused")

        threads = [threading.Thread(target=race, args=(number,)) for number in range(racers)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert results.count("stored") == 3
        assert results.count("refused") == racers - 3
        assert books_are_exact(first, home) == 9 * MIB + 3 * (MIB // 3)


def test_c43_refused_by_the_declared_size_before_the_first_byte(tmp_path: Path) -> None:
    root = tmp_path / "root"
    alice = add_user(root, "alice", quota=1000)
    with (
        embedded(root, guest="none") as daemon,
        connect(str(daemon.addresses[0]), credentials=alice) as client,
    ):
        client.put(bytes(600), "/a")
        with pytest.raises(QuotaExceeded) as caught:
            client.put(bytes(401), "/b")
        error = caught.value
        assert (error.requested, error.used, error.limit, error.retry) == (401, 600, 1000, False)
        assert str(error) == "/b: needs 401 B, 400 B of 1000 B left"
        client.put(bytes(400), "/b")
        assert not list((root / "users" / "alice" / ".ftpsvc" / "staging").iterdir())


def test_c42_every_way_to_change_what_is_used(tmp_path: Path) -> None:
    root = tmp_path / "root"
    alice = add_user(root, "alice", quota=1000)
    home = root / "users" / "alice"
    with (
        embedded(root, guest="none") as daemon,
        connect(str(daemon.addresses[0]), credentials=alice) as client,
    ):

        def used() -> int:
            return books_are_exact(client, home)

        client.put(bytes(1000), "/a")
        client.put(bytes(1000), "/a")  # an overwrite pays the difference, which is nothing
        assert used() == 1000
        client.put(bytes(300), "/a")
        assert used() == 300
        client.put(bytes(700), "/b")
        client.rename("/a", "/b")  # what is replaced is given back
        assert used() == 300
        client.mkdir("/d/e", parents=True)
        client.rename("/b", "/d/e/b")
        client.put(bytes(200), "/d/c")
        assert used() == 500
        client.rename("/d", "/f")
        assert used() == 500
        assert client.remove("/f", recursive=True) == 4
        assert used() == 0
        client.put(b"", "/empty")
        client.put(bytes(1000), "/full")
        client.put(b"", "/empty2")
        with pytest.raises(QuotaExceeded):
            client.put(b"x", "/empty")
        assert used() == 1000
        client.remove("/full")
        assert used() == 0


def test_c42_an_upload_that_is_aborted_gives_back_what_it_was_promised(tmp_path: Path) -> None:
    root = tmp_path / "root"
    alice = add_user(root, "alice", quota=100_000)
    with embedded(root, guest="none") as daemon:
        url = str(daemon.addresses[0])
        with connect(url, credentials=alice) as client:
            for _ in range(count(5, 30)):
                other = connect(url, credentials=alice)
                with pytest.raises(RuntimeError), other:
                    other.put(cast(BinaryIO, _Failing(90_000)), "/x")
            other.close()
            with pytest.raises(QuotaExceeded):
                client.put(bytes(100_001), "/y")
            # A connection that broke is noticed a moment after the client has gone.
            for _ in range(600):
                if not client.space().reserved:
                    break
                threading.Event().wait(0.02)
            assert books_are_exact(client, root / "users" / "alice") == 0
            client.put(bytes(100_000), "/y")


class _Failing:
    """A file whose reading fails in the middle, with an error that the client cannot know."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._at = 0

    def read(self, size: int = -1) -> bytes:
        if self._at > self._size // 2:
            raise RuntimeError("the caller's own trouble")
        self._at += 1000
        return bytes(1000)

    def readinto(self, view: memoryview) -> int:
        data = self.read()[: len(view)]
        view[: len(data)] = data
        return len(data)

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return 0

    def seek(self, offset: int, whence: int = 0) -> int:
        return self._size if whence == 2 else offset


@pytest.mark.timeout(600)
def test_c42_after_kill_9_the_recount_is_what_the_books_say(tmp_path: Path) -> None:
    """Writers at full speed, the server killed at some point; what it then says is what lies there, and fits."""
    root, limit = tmp_path / "root", 3 * MIB
    alice = add_user(root, "alice", quota=limit)
    home = root / "users" / "alice"
    seed = random.randrange(2**32)
    for turn in range(count(3, 30)):
        chance = random.Random(seed + turn)
        with server(root, guest="none") as running:
            with connect(running.url, credentials=alice) as client:
                books_are_exact(client, home)
            threads = [
                threading.Thread(target=_work, args=(running.url, alice, chance.randrange(2**32)))
                for _ in range(4)
            ]
            for thread in threads:
                thread.start()
            threading.Event().wait(chance.uniform(0.05, 0.5))
            running.kill()
            for thread in threads:
                thread.join()
        with open_root(home) as top:
            used, _ = recount(top)
        assert used <= limit, seed
    with server(root, guest="none") as running, connect(running.url, credentials=alice) as client:
        books_are_exact(client, home)
        assert not list((home / ".ftpsvc" / "staging").iterdir())


def _work(url: str, credentials: Credentials, seed: int) -> None:
    """Changes a home in every way until the server is gone."""
    chance = random.Random(seed)
    try:
        with connect(url, credentials=credentials) as client:
            while True:
                name = f"/{chance.randrange(12)}"
                try:
                    match chance.randrange(6):
                        case 0:
                            client.remove(name)
                        case 1:
                            client.rename(name, f"/{chance.randrange(12)}")
                        case 2:
                            client.mkdir(f"/d{name}", parents=True)
                            client.put(bytes(chance.randrange(100_000)), f"/d{name}/x")
                        case 3:
                            client.remove("/d", recursive=True)
                        case _:
                            client.put(bytes(chance.randrange(600_000)), name)
                except TransportError:
                    raise
                except FtpsvcError:
                    continue
    except FtpsvcError:
        return


def test_many_changes_at_once_keep_the_books_exact(tmp_path: Path) -> None:
    root, limit = tmp_path / "root", 2 * MIB
    alice = add_user(root, "alice", quota=limit)
    with server(root, guest="none") as running:
        writers = [
            threading.Thread(target=_bounded, args=(running.url, alice, seed, count(40, 400)))
            for seed in range(6)
        ]
        for thread in writers:
            thread.start()
        for thread in writers:
            thread.join()
        with connect(running.url, credentials=alice) as client:
            books_are_exact(client, root / "users" / "alice")


def _bounded(url: str, credentials: Credentials, seed: int, changes: int) -> None:
    chance = random.Random(seed)
    with connect(url, credentials=credentials) as client:
        for _ in range(changes):
            one, other = f"/{chance.randrange(5)}", f"/{chance.randrange(5)}"
            try:
                match chance.randrange(4):
                    case 0:
                        client.remove(one)
                    case 1:
                        client.rename(one, other)
                    case _:
                        client.put(bytes(chance.randrange(700_000)), one)
            except TransportError:
                raise
            except FtpsvcError:
                continue
