import threading
from contextlib import ExitStack

import pytest

from ftpsvc.accounts import throttle
from ftpsvc.accounts.throttle import FREE, MAX_DELAY, MAX_WAITING, Throttle, network_of
from ftpsvc.exceptions import Busy
from tests.helpers.logins import Clock


def fail(slowed: Throttle, name: str = "alice", address: str = "192.0.2.1", times: int = 1) -> list[float]:
    delays = []
    for _ in range(times):
        with slowed.begin(name, address) as attempt:
            delays.append(attempt.delay)
    return delays


def test_c36_guessing_is_slowed_up_to_a_cap() -> None:
    delays = fail(Throttle(Clock()), times=2000)
    assert delays[: FREE + 5] == [0, 0, 0, 1, 2, 4, 8, 10]
    assert set(delays[FREE + 4 :]) == {MAX_DELAY}


def test_c36_nobody_else_behind_the_address_is_slowed() -> None:
    slowed = Throttle(Clock())
    fail(slowed, times=50)
    for name in ("bob", "alice#t:ABCDEFGH", "alice#code", "Alice"):
        assert fail(slowed, name) == [0]
    assert fail(slowed, "alice", "192.0.2.2") == [0]
    assert fail(slowed, "alice") == [MAX_DELAY]


def test_c36_the_right_password_is_never_locked_out_and_clears_the_record() -> None:
    slowed = Throttle(Clock())
    fail(slowed, times=50)
    with slowed.begin("alice", "192.0.2.1") as attempt:
        assert attempt.delay == MAX_DELAY
        attempt.succeed()
    assert len(slowed) == 0
    assert fail(slowed) == [0]


def test_c36_guessing_in_parallel_gains_nothing() -> None:
    slowed = Throttle(Clock())
    fail(slowed, times=FREE)
    with ExitStack() as attempts:
        delays = [
            attempts.enter_context(slowed.begin("alice", "192.0.2.1")).delay for _ in range(MAX_WAITING)
        ]
        assert delays == [1, 2, 4, 8]
        with pytest.raises(Busy) as refused:
            slowed.begin("alice", "192.0.2.1")
        assert refused.value.retry
        assert fail(slowed, "bob") == [0]
    assert fail(slowed) == [MAX_DELAY]


def test_c36_a_failed_log_in_frees_its_place_however_it_ends() -> None:
    slowed = Throttle(Clock())
    for _ in range(MAX_WAITING * 3):
        with pytest.raises(ConnectionError), slowed.begin("alice", "192.0.2.1"):
            raise ConnectionError
    attempt = slowed.begin("alice", "192.0.2.1")
    attempt.end()
    attempt.end()
    with ExitStack() as attempts:
        for _ in range(MAX_WAITING):
            attempts.enter_context(slowed.begin("alice", "192.0.2.1"))


def test_a_pair_is_forgotten_after_a_while() -> None:
    clock = Clock()
    slowed = Throttle(clock)
    fail(slowed, times=10)
    clock.now += throttle.FORGET
    assert fail(slowed) == [MAX_DELAY]
    clock.now += throttle.FORGET + 1
    assert fail(slowed) == [0]


def test_memory_is_bounded_and_a_record_cannot_be_washed_out() -> None:
    slowed = Throttle(Clock(), max_pairs=100)
    fail(slowed, times=10)
    with slowed.begin("bob", "192.0.2.1"):  # one under way is never forgotten
        for number in range(5000):
            fail(slowed, f"made-up-{number}" * 50)
            assert len(slowed) <= 101
    assert fail(slowed) == [MAX_DELAY]


def test_old_records_go_before_any_other() -> None:
    clock = Clock()
    slowed = Throttle(clock, max_pairs=10)
    for number in range(10):
        fail(slowed, f"old-{number}", times=20)
    clock.now += throttle.FORGET + 1
    fail(slowed, "new")
    assert len(slowed) == 1


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::9", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("", ""),
        ("unix", "unix"),
    ],
)
def test_what_counts_as_one_address(address: str, network: str) -> None:
    assert network_of(address) == network


def test_many_threads_leave_nothing_behind() -> None:
    slowed = Throttle()

    def guess(number: int) -> None:
        for _ in range(200):
            try:
                with slowed.begin("alice" if number % 2 else f"user-{number}", "192.0.2.1") as attempt:
                    attempt.succeed()
            except Busy:
                pass

    threads = [threading.Thread(target=guess, args=(number,)) for number in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with slowed.begin("alice", "192.0.2.1") as attempt:
        attempt.succeed()
    assert len(slowed) == 0


def test_a_secret_that_nobody_guesses_may_be_used_in_parallel() -> None:
    """A token used by twenty transfers at once: no delay and no busy, though failures still count."""
    slowed = Throttle(Clock())
    attempts = [slowed.begin("alice#t:ID", "10.0.0.1", guessable=False) for _ in range(20)]
    assert {attempt.delay for attempt in attempts} == {0.0}
    for attempt in attempts:
        attempt.end()
    assert slowed.begin("alice#t:ID", "10.0.0.1", guessable=False).delay == MAX_DELAY
