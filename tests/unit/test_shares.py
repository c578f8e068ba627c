"""Fair shares of the bandwidth, on a clock that the test turns."""

import heapq
import math
import random
from collections import Counter
from collections.abc import Iterator

import pytest

from ftpsvc.server.shares import Bandwidth, Shares, Turn

KIB = 1024
MIB = 1 << 20


class Clock:
    """Seconds that pass when the test says so."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Sender:
    """A connection that wants to move `left` bytes of a user from `start` seconds on."""

    def __init__(self, name: str, user: str, left: int, start: float = 0.0) -> None:
        self.name = name
        self.user = user
        self.left = left
        self.start = start
        self.turn: Turn | None = None


def run(
    shares: Shares, clock: Clock, senders: list[Sender], until: float = math.inf
) -> Iterator[tuple[float, str, int]]:
    """Runs senders side by side, each as `Exchange` does it; yields (seconds, name, bytes) of each move."""
    begin = clock.now
    while clock.now - begin < until:
        moved = True
        while moved:
            moved = False
            for sender in senders:
                if not sender.left or clock.now < begin + sender.start:
                    continue
                if sender.turn is None:
                    sender.turn = shares.ask(sender.user, min(sender.left, shares.piece))
                if sender.turn.seconds() == 0.0:
                    moved = True
                    count = sender.turn.count
                    with sender.turn:
                        sender.left -= count
                    sender.turn = None
                    yield clock.now - begin, sender.name, count
        waits = [sender.turn.seconds() for sender in senders if sender.turn is not None]
        waits += [begin + sender.start - clock.now for sender in senders if clock.now < begin + sender.start]
        if not waits:
            return
        step = min(waits)
        assert 0 < step < math.inf, "somebody waits, and nobody would wake"
        clock.now += step


def test_one_alone_gets_all_of_it() -> None:
    clock = Clock()
    shares = Shares(MIB, None, clock)
    moves = list(run(shares, clock, [Sender("a", "alice", 8 * MIB)]))
    assert moves[-1][0] == pytest.approx(8, abs=0.2)
    assert sum(count for _, _, count in moves) == 8 * MIB


def test_never_more_than_the_limit_and_one_burst() -> None:
    clock = Clock()
    shares = Shares(MIB, 256 * KIB, clock)
    senders = [
        Sender(f"{user}{number}", user, MIB, random.random()) for user in "abcdef" for number in range(3)
    ]
    total = 0
    by_user: Counter[str] = Counter()
    for when, name, count in run(shares, clock, senders):
        total += count
        by_user[name[0]] += count
        assert total <= MIB * (when + 0.1) + 2 * shares.piece
        assert by_user[name[0]] <= 256 * KIB * (when + 0.1) + 2 * shares.piece
    assert total == 18 * MIB


def test_ten_gib_of_one_do_not_stop_ten_kib_of_another() -> None:
    clock = Clock()
    shares = Shares(MIB, None, clock)
    senders = [Sender(f"big {number}", "alice", 10 << 30) for number in range(10)]
    senders.append(Sender("small", "bob", 10 * KIB, start=60))
    after = 0
    for when, name, _ in run(shares, clock, senders):
        if name == "small":
            assert after <= 2  # pieces of 20 ms each that were on their way
            assert when - 60 < 0.1
            break
        after += when >= 60
    else:
        pytest.fail("it never came")


def test_users_get_the_same_however_many_connections_they_have() -> None:
    clock = Clock()
    shares = Shares(MIB, None, clock)
    senders = [Sender(f"a{number}", "alice", 1 << 40) for number in range(20)]
    senders += [Sender("b", "bob", 1 << 40), Sender("c0", "carol", 1 << 40), Sender("c1", "carol", 1 << 40)]
    by_user: Counter[str] = Counter()
    for _, name, count in run(shares, clock, senders, until=30):
        by_user[name[0]] += count
    # The first burst goes to whoever asks first.
    assert max(by_user.values()) - min(by_user.values()) <= 0.1 * MIB + 2 * shares.piece
    assert sum(by_user.values()) == pytest.approx(30 * MIB, rel=0.02)


def test_who_was_away_has_nothing_saved_up() -> None:
    clock = Clock()
    shares = Shares(MIB, None, clock)
    senders = [Sender("a", "alice", 1 << 40), Sender("b", "bob", 1 << 40, start=100)]
    by_user: Counter[str] = Counter()
    for when, name, count in run(shares, clock, senders, until=110):
        if when >= 100:
            by_user[name] += count
    assert by_user["a"] == pytest.approx(by_user["b"], rel=0.05)


def test_what_one_may_not_use_the_others_get() -> None:
    clock = Clock()
    shares = Shares(MIB, 700 * KIB, clock)
    senders = [
        Sender("a", "alice", 1 << 40),
        Sender("b", "bob", 100 * KIB),
        Sender("c", "carol", 1 << 40, start=10),
    ]
    before: Counter[str] = Counter()
    after: Counter[str] = Counter()
    for when, name, count in run(shares, clock, senders, until=20):
        (after if when > 10 else before)[name] += count
    assert before["a"] == pytest.approx(7000 * KIB, rel=0.03)
    assert after["a"] == pytest.approx(after["c"], rel=0.05)
    assert after["a"] + after["c"] == pytest.approx(10 * MIB, rel=0.03)


def test_a_limit_per_user_alone() -> None:
    clock = Clock()
    shares = Shares(None, 100 * KIB, clock)
    senders = [Sender(f"{user}{number}", user, 500 * KIB) for user in "abcd" for number in range(2)]
    last: dict[str, float] = {}
    for when, name, _ in run(shares, clock, senders):
        last[name[0]] = when
    for seconds in last.values():  # each user's ten seconds' worth at the same time, not one after the other
        assert seconds == pytest.approx(10, abs=0.3)


def test_a_turn_given_back_holds_nobody_up() -> None:
    clock = Clock()
    shares = Shares(MIB, MIB // 2, clock)
    with shares.ask("alice", shares.piece) as first:
        assert first.seconds() == 0.0
    given_up = [shares.ask("alice", MIB) for _ in range(50)]
    waiting = shares.ask("alice", 1000)
    assert waiting.seconds() > 0
    for turn in given_up:
        with turn:
            pass
    seen = []
    for _ in range(10):
        seconds = waiting.seconds()
        if not seconds:
            break
        clock.now += min(seconds, 100.0)
        seen.append(seconds)
    else:
        pytest.fail(f"still waiting: {seen}")


def test_the_next_in_line_is_told() -> None:
    """Only whose turn is next waits for a time: when it gives up, the one behind it must learn that."""
    clock = Clock()
    shares = Shares(10 * KIB, None, clock)
    with shares.ask("alice", 100 * KIB):
        pass
    turns = [shares.ask(user, 4096) for user in ("bob", "carol")]
    waits = [turn.seconds() for turn in turns]
    assert heapq.nsmallest(1, waits)[0] < math.inf
    assert waits[1] == math.inf
    with turns[0]:
        pass
    assert turns[1].news.is_set()
    assert turns[1].seconds() < math.inf
    clock.now += 60
    assert turns[1].seconds() == 0.0


def test_users_are_forgotten() -> None:
    clock = Clock()
    shares = Shares(None, 100 * MIB, clock)
    for number in range(20_000):
        clock.now += 1
        with shares.ask(f"user {number}", 4096) as turn:
            assert turn.seconds() == 0.0
    assert len(shares._users) <= 8192


@pytest.mark.parametrize(
    ("total", "per_user", "piece"),
    [(1024, None, 4096), (None, 10 * MIB, 10 * MIB // 50), (1 << 40, None, MIB), (1 << 40, 50 * 8192, 8192)],
)
def test_pieces_fit_the_least_limit(total: int | None, per_user: int | None, piece: int) -> None:
    assert Shares(total, per_user, Clock()).piece == piece


def test_without_limits_there_is_nothing_to_ask() -> None:
    assert Bandwidth.limited(None, None, Clock()) is None
