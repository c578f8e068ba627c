"""The books of a home (invariant 6): what every `ftpsvc.storage.quota.Quota` promises, and `Books` keeps."""

import os
import threading
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ftpsvc.accounts.quota import Books, Room, recount
from ftpsvc.confine import PosixRoot
from ftpsvc.exceptions import PermissionDenied, QuotaExceeded
from ftpsvc.paths import RemotePath
from ftpsvc.storage.quota import Quota, Reservation
from tests.helpers.counts import count

A = RemotePath(("a",))
B = RemotePath(("b",))


def test_the_books_are_a_quota_for_the_storage() -> None:
    quota: Quota = Books(10, 0, 0)
    reservation: Reservation = quota.reserve(A, 4, None)
    assert quota.books() == (10, 0, 4)
    reservation.settle(4, None)
    assert quota.books() == (10, 4, 0)
    quota.removed(4, 1)
    assert quota.books() == (10, 0, 0)


def test_c43_what_does_not_fit_is_refused_before_the_first_byte_with_its_numbers() -> None:
    books = Books(100, 60, 3)
    books.reserve(A, 30, None)
    with pytest.raises(QuotaExceeded) as refused:
        books.reserve(B, 11, None)
    assert (refused.value.requested, refused.value.used, refused.value.limit) == (11, 90, 100)
    assert not refused.value.retry
    assert books.books() == (100, 60, 30)
    books.reserve(B, 10, None)


def test_a_promise_is_given_back_once() -> None:
    books = Books(100, 0, 0)
    room = books.reserve(A, 60, None)
    room.release()
    room.release()
    room.settle(60, None)
    room.confirm(None)
    assert books.books() == (100, 0, 0)
    done = books.reserve(A, 60, None)
    done.settle(60, None)
    done.settle(60, None)
    done.release()
    assert books.books() == (100, 60, 0)
    assert books.files == 1


def test_c42_overwriting_pays_the_difference() -> None:
    books = Books(100, 90, 1)
    room = books.reserve(A, 95, 90)
    assert books.books() == (100, 90, 5)
    room.confirm(90)
    room.settle(95, 90)
    assert books.books() == (100, 95, 0)
    smaller = books.reserve(A, 5, 95)
    assert books.books() == (100, 95, 0)
    smaller.settle(5, 95)
    assert books.books() == (100, 5, 0)
    assert books.files == 1


def test_the_replaced_file_is_credited_once() -> None:
    books = Books(100, 60, 1)
    first = books.reserve(A, 100, 60)
    with pytest.raises(QuotaExceeded):
        books.reserve(A, 60, 60)
    first.release()
    books.reserve(A, 60, 60).settle(60, 60)
    assert books.books() == (100, 60, 0)


def test_the_credit_of_a_shrinking_file_is_nobody_elses_room() -> None:
    books = Books(100, 100, 1)
    books.reserve(A, 1, 100)
    with pytest.raises(QuotaExceeded):
        books.reserve(B, 1, None)


@pytest.mark.parametrize("displaced", [None, 5])
def test_a_file_that_went_while_its_successor_was_sent_is_no_way_past_the_limit(
    displaced: int | None,
) -> None:
    books = Books(100, 60, 1)
    room = books.reserve(A, 100, 60)
    books.removed(60, 1)  # rm, or mv to a name of its own, in the meantime
    books.reserve(B, 60 - 5, None).settle(55, None)
    if displaced is not None:
        books.reserve(A, 5, None).settle(5, None)
    with pytest.raises(QuotaExceeded):
        room.confirm(displaced)
    room.release()
    _, used, reserved = books.books()
    assert used is not None
    assert used <= 100
    assert reserved == 0


def test_the_number_of_files_can_be_limited_too() -> None:
    books = Books(None, 0, 8, max_files=10)
    rooms = [books.reserve(RemotePath((name,)), 0, None) for name in "ab"]
    with pytest.raises(PermissionDenied, match="10 files"):
        books.reserve(B, 0, None)
    books.reserve(A, 5, 0).settle(5, 0)  # replacing is no new file
    rooms[0].release()
    books.reserve(B, 0, None).settle(0, None)
    rooms[1].settle(0, None)
    assert books.files == 10
    books.removed(0, 1)
    books.reserve(B, 0, None)


def test_a_limit_that_was_lowered_lets_nothing_be_added_but_things_become_smaller() -> None:
    books = Books(100, 80, 2)
    books.set_limit(50)
    with pytest.raises(QuotaExceeded):
        books.reserve(A, 1, None)
    books.reserve(A, 40, 40).settle(40, 40)
    books.reserve(A, 0, 40).settle(0, 40)
    assert books.books() == (50, 40, 0)
    books.set_limit(None)
    books.reserve(A, 1 << 60, None)


@pytest.mark.timeout(300)
def test_c40_a_hundred_writers_of_one_user_race_for_the_last_megabyte() -> None:
    """Each puts 64 KiB at a time: exactly sixteen fit, however the threads interleave; over and over."""
    for _ in range(count(5, 50)):
        books = Books(10 << 20, 9 << 20, 1)
        begin = threading.Barrier(100)
        outcomes: list[bool] = []

        def put(
            number: int,
            books: Books = books,
            begin: threading.Barrier = begin,
            outcomes: list[bool] = outcomes,
        ) -> None:
            begin.wait()
            try:
                room = books.reserve(RemotePath((f"f{number}",)), 64 << 10, None)
            except QuotaExceeded:
                outcomes.append(False)
                return
            room.confirm(None)
            room.settle(64 << 10, None)
            outcomes.append(True)

        threads = [threading.Thread(target=put, args=(number,)) for number in range(100)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert outcomes.count(True) == 16
        assert books.books() == (10 << 20, 10 << 20, 0)
        assert books.files == 17


STEP = st.tuples(
    st.sampled_from(["reserve", "reserve", "commit", "commit", "abort", "remove", "move"]),
    st.integers(0, 3),
    st.integers(0, 60),
    st.integers(0, 3),
)


@given(st.integers(0, 100), st.lists(STEP, max_size=60))
def test_c42_any_order_of_events_keeps_books_and_files_equal_and_below_the_limit(
    limit: int, steps: list[tuple[str, int, int, int]]
) -> None:
    """A storage of four names does whatever comes; the books always say what is in it."""
    books = Books(limit, 0, 0)
    files: dict[RemotePath, int] = {}
    open_rooms: list[tuple[Room, RemotePath, int]] = []
    for what, one, size, other in steps:
        path, target = RemotePath((str(one),)), RemotePath((str(other),))
        if what == "reserve":
            with suppress(QuotaExceeded):
                open_rooms.append((books.reserve(path, size, files.get(path)), path, size))
        elif what == "commit" and open_rooms:
            room, path, size = open_rooms.pop(one % len(open_rooms))
            try:
                room.confirm(files.get(path))
            except QuotaExceeded:
                room.release()
            else:
                room.settle(size, files.get(path))
                files[path] = size
        elif what == "abort" and open_rooms:
            open_rooms.pop(one % len(open_rooms))[0].release()
        elif what == "remove" and path in files:
            books.removed(files.pop(path), 1)
        elif what == "move" and path in files and path != target:
            if target in files:
                books.removed(files[target], 1)
            files[target] = files.pop(path)
        _, used, reserved = books.books()
        assert used == sum(files.values())
        assert books.files == len(files)
        assert used + reserved <= limit
    for room, _, _ in open_rooms:
        room.release()
    assert books.books() == (limit, sum(files.values()), 0)


def test_c42_a_recount_counts_what_a_user_has_and_nothing_else(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "big").write_bytes(bytes(1000))
    home = tmp_path / "home"
    deep = home.joinpath(*["d"] * 70)
    deep.mkdir(parents=True)
    (deep / "f").write_bytes(bytes(10))
    (home / "g").write_bytes(bytes(5))
    (home / os.fsdecode(b"\xff")).write_bytes(b"1")
    (home / ".ftpsvc" / "staging").mkdir(parents=True)
    (home / ".ftpsvc" / "staging" / "0").write_bytes(bytes(100))
    (home / "d" / ".ftpsvc").mkdir()
    (home / "d" / ".ftpsvc" / "mine").write_bytes(bytes(7))
    (home / "link").symlink_to(outside)
    (home / "link2").symlink_to(outside / "big")
    os.mkfifo(home / "fifo")
    with PosixRoot(home) as root:
        assert recount(root) == (23, 4)
