"""The books of a quota, and many clients at once: the contract of ftpsvc/storage/base.py, for every backend."""

import itertools
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import pytest

from ftpsvc.exceptions import (
    AlreadyExists,
    FtpsvcError,
    NoSpace,
    QuotaExceeded,
)
from ftpsvc.storage.base import Digest, Storage
from tests.contract.conftest import Backend
from tests.helpers.counts import count
from tests.helpers.stores import at, digest_of, everything, get, names, put


def test_c42_the_books_are_what_a_recount_gives(backend: Backend) -> None:
    storage, ledger = backend.storage, backend.ledger
    put(storage, "/f", b"x" * 100)
    put(storage, "/f", b"x" * 30)
    put(storage, "/g", b"x" * 50)
    storage.make_directory(at("/d"))
    put(storage, "/d/h", b"x" * 7)
    upload = storage.create(at("/i"), 1000, algorithm="blake3")
    assert storage.space().reserved == ledger.reserved == 1000
    upload.abort()
    storage.rename(at("/f"), at("/g"))
    put(storage, "/d/k", b"")
    storage.remove(at("/d/h"))
    entries = [entry for entry in everything(storage) if entry.kind == "file"]
    assert (ledger.used, ledger.files) == (sum(entry.size for entry in entries), len(entries))
    assert (storage.space().limit, storage.space().used) == (ledger.limit, 30)
    assert storage.space().free > 0


def test_c43_too_much_is_refused_before_the_first_byte(backend: Backend) -> None:
    storage, ledger = backend.storage, backend.ledger
    ledger.limit = 1000
    put(storage, "/f", b"x" * 600)
    with pytest.raises(QuotaExceeded) as caught:
        storage.create(at("/g"), 401, algorithm="blake3")
    assert (caught.value.requested, caught.value.used, caught.value.limit) == (401, 600, 1000)
    assert not caught.value.retry
    put(storage, "/f", b"x" * 1000)  # pays the difference only
    assert ledger.books() == (1000, 1000, 0)


def test_c40_many_race_for_the_last_room(backend: Backend) -> None:
    storage, ledger = backend.storage, backend.ledger
    ledger.limit = 10 * 100
    outcomes = in_parallel(lambda i: put(storage, f"/{i}", b"x" * 100), 40)
    assert sum(isinstance(outcome, QuotaExceeded) for outcome in outcomes) == 30
    assert len(names(storage)) == 10
    assert ledger.books() == (1000, 1000, 0)


def in_parallel(work: Callable[[int], object], times: int) -> list[object]:
    """Starts all at one moment; returns what each gave, or the error of ftpsvc that it raised."""
    start = threading.Barrier(min(times, 16))

    def run(number: int) -> object:
        if number < 16:
            start.wait()
        try:
            return work(number)
        except FtpsvcError as problem:
            return problem

    with ThreadPoolExecutor(16) as pool:
        return list(pool.map(run, range(times)))


def test_c54_of_many_uploads_of_one_name_one_wins_whole(backend: Backend) -> None:
    storage = backend.storage
    contents = [bytes([number]) * (1000 + number) for number in range(32)]
    for _ in range(count(5, 50)):
        outcomes = in_parallel(lambda number: put(storage, "/f", contents[number]), 32)
        assert not [outcome for outcome in outcomes if isinstance(outcome, Exception)]
        content = get(storage, "/f")
        entry = storage.stat(at("/f"))
        assert content in contents
        assert entry.digest == Digest("blake3", digest_of(content))
        assert backend.ledger.books()[1:] == (len(content), 0)
        assert backend.ledger.files == 1


def test_the_last_commit_wins_not_the_last_start(storage: Storage) -> None:
    one = storage.create(at("/f"), 1, algorithm="blake3")
    two = storage.create(at("/f"), 1, algorithm="blake3")
    two.write(b"2")
    one.write(b"1")
    two.commit(None)
    one.commit(None)
    assert get(storage, "/f") == b"1"


def test_without_clobber_only_one_of_many_gets_the_name(backend: Backend) -> None:
    storage = backend.storage
    for round_ in range(count(5, 50)):
        path = f"/f{round_}"
        outcomes = in_parallel(partial(put_number, storage, path), 16)
        winners = [n for n, outcome in enumerate(outcomes) if not isinstance(outcome, Exception)]
        assert len(winners) == 1
        assert all(isinstance(o, AlreadyExists) for n, o in enumerate(outcomes) if n not in winners)
        assert get(storage, path) == b"%d" % winners[0]
    backend.assert_nothing_staged()


def put_number(storage: Storage, path: str, number: int) -> None:
    put(storage, path, b"%d" % number, clobber=False)


def test_a_reader_among_writers_sees_whole_files_only(storage: Storage) -> None:
    contents = [bytes([number]) * 300_000 for number in range(4)]
    put(storage, "/f", contents[0])
    stop = threading.Event()

    def write() -> None:
        for content in itertools.cycle(contents):
            if stop.is_set():
                return
            put(storage, "/f", content)

    with ThreadPoolExecutor(1) as pool:
        writer = pool.submit(write)
        try:
            for _ in range(count(50, 500)):
                assert get(storage, "/f", piece=10_000) in contents
        finally:
            stop.set()
        writer.result()


def test_directories_made_by_many_at_once(storage: Storage) -> None:
    outcomes = in_parallel(lambda number: storage.make_directory(at("/a/b/c"), parents=True), 16)
    assert [outcome for outcome in outcomes if isinstance(outcome, Exception)] == []
    assert outcomes.count(True) == 1
    outcomes = in_parallel(lambda number: storage.make_directory(at("/d")), 16)
    assert sum(isinstance(outcome, AlreadyExists) for outcome in outcomes) == 15


def test_moves_against_each_other_lose_nothing(backend: Backend) -> None:
    storage = backend.storage
    put(storage, "/a", b"1")
    put(storage, "/b", b"22")
    in_parallel(lambda n: storage.rename(at("/" + "ab"[n % 2]), at("/" + "ba"[n % 2])), count(64, 640))
    (left,) = names(storage)
    assert get(storage, f"/{left}") in (b"1", b"22")
    assert (backend.ledger.used, backend.ledger.files) == (len(get(storage, f"/{left}")), 1)


def test_an_absurd_size_is_refused_before_the_first_byte(backend: Backend) -> None:
    backend.ledger.limit = 1 << 63
    with pytest.raises(NoSpace) as caught:
        backend.storage.create(at("/f"), (1 << 63) - 1, algorithm="blake3")
    assert caught.value.requested == (1 << 63) - 1
    assert caught.value.available is not None
    assert caught.value.available < 1 << 62
    assert backend.ledger.books()[1:] == (0, 0)
