"""Bytes per second: what each user gets, and all together, in fair shares (docs/server.md, "Bandwidth").

Whoever wants to move a piece of payload asks for a turn and waits until it has come. A user's own limit says from when
on a turn may come at all. The limit of all is handed out in the order of start-time fair queueing (Goyal, Vin, Cheng
1996): each user has a virtual time that goes on by what the user took, and the least is served first. So a user who
asks for little is served next, however much others want, and ten connections of one user get what one would.

Nothing here waits, and the clock is given: `Turn.seconds` says how long to wait before asking again.
"""

from __future__ import annotations

import heapq
import itertools
import threading
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Final, Self

_PIECES_A_SECOND: Final = 50
"""A piece is 20 ms of the least limit, so that whoever comes next does not wait for longer than that."""
_LEAST_PIECE: Final = 4096
_LARGEST_PIECE: Final = 1 << 20
_BURST_SECONDS: Final = 0.1
"""What nobody used in this time is not lost: else each late wake-up of a thread would cost bandwidth."""
_USERS_KEPT: Final = 4096


@dataclass(slots=True)
class _User:
    """What is remembered of one user."""

    virtual: float = 0.0
    free_at: float = 0.0
    turns: int = 0


class Shares:
    """The bandwidth of one direction. Thread-safe.

    Attributes:
        piece: Bytes to ask for at once, so that shares are fair and waits are short.
    """

    def __init__(self, total: int | None, per_user: int | None, clock: Callable[[], float]) -> None:
        """Begins with nothing taken.

        Args:
            total: Bytes per second of all users together; None is no limit.
            per_user: Bytes per second of each user, however many connections it has; None is no limit.
            clock: Seconds, going forward.
        """
        self._total = total
        self._per_user = per_user
        self._clock = clock
        least = min(limit for limit in (total, per_user, _LARGEST_PIECE * _PIECES_A_SECOND) if limit)
        self.piece: Final = max(_LEAST_PIECE, min(_LARGEST_PIECE, least // _PIECES_A_SECOND))
        self._burst = max(float(self.piece), (total or 0) * _BURST_SECONDS)
        self._tokens = self._burst
        self._filled = clock()
        self._virtual = 0.0
        self._latest = 0.0
        self._forget_at = _USERS_KEPT
        self._lock = threading.Lock()
        self._order = itertools.count()
        self._users: dict[str, _User] = {}
        self._later: list[tuple[float, int, Turn]] = []  # held back by their users' own limit, until then
        self._ready: list[tuple[float, int, Turn]] = []  # by virtual time

    def ask(self, user: str, count: int) -> Turn:
        """Asks for a turn to move `count` bytes.

        Args:
            user: Whose share it is of.
            count: Bytes, `piece` at most where it can be chosen. More is one long turn that others wait for.

        Returns:
            The turn. A context manager: leaving it before it has come gives it back.
        """
        now = self._clock()
        with self._lock:
            account = self._users.get(user)
            if account is None:
                if len(self._users) >= self._forget_at:
                    self._forget(now)
                account = self._users[user] = _User()
            account.turns += 1
            turn = Turn(self, user, count)
            if self._per_user is None:
                self._make_ready(turn, account)
            else:
                # What a user left unused is kept for the length of one burst, as for all together.
                turn.not_before = max(account.free_at, now - _BURST_SECONDS)
                account.free_at = turn.not_before + count / self._per_user
                heapq.heappush(self._later, (turn.not_before, next(self._order), turn))
            self._hand_out(now)
            return turn

    def _make_ready(self, turn: Turn, account: _User) -> None:
        tag = max(self._virtual, account.virtual)
        account.virtual = tag + turn.count
        self._latest = max(self._latest, account.virtual)
        heapq.heappush(self._ready, (tag, next(self._order), turn))

    def _hand_out(self, now: float) -> None:
        """Gives all turns that are due by now, whichever thread came to ask."""
        while self._later and self._later[0][0] <= now:
            turn = heapq.heappop(self._later)[2]
            if not turn.ended:
                self._make_ready(turn, self._users[turn.user])
        if self._total is not None:
            self._tokens = min(self._burst, self._tokens + (now - self._filled) * self._total)
            self._filled = now
        if not self._ready and (self._total is None or self._tokens >= self._burst):
            self._virtual = self._latest  # nobody wanted anything: who comes now comes to a clean slate
        while self._ready and (self._total is None or self._tokens > 0):
            tag, _, turn = heapq.heappop(self._ready)
            if turn.ended:
                continue
            # Into debt, where it is more than there is: all that follow wait until that is paid.
            if self._total is not None:
                self._tokens -= turn.count
            self._virtual = max(self._virtual, tag)
            turn.come = True
            turn.news.set()
        self._tell_next()

    def _tell_next(self) -> None:
        """Wakes the one whose turn is next: only it waits for a point in time, the others for news."""
        while self._ready and self._ready[0][2].ended:
            heapq.heappop(self._ready)
        if self._ready:
            self._ready[0][2].news.set()

    def _seconds(self, turn: Turn) -> float:
        now = self._clock()
        with self._lock:
            self._hand_out(now)
            if turn.come or turn.ended:
                return 0.0
            if turn.not_before > now:
                return turn.not_before - now
            if self._total is not None and self._ready and self._ready[0][2] is turn:
                # A billionth more than exactly: what is rounded down would wake it a moment too early, again and again.
                return -self._tokens / self._total + 1e-9
            return float("inf")

    def _end(self, turn: Turn) -> None:
        with self._lock:
            if turn.ended:
                return
            turn.ended = True
            account = self._users[turn.user]
            account.turns -= 1
            if not turn.come:
                if self._per_user is not None:
                    account.free_at -= turn.count / self._per_user
                self._tell_next()

    def _forget(self, now: float) -> None:
        """Drops users who are owed nothing and owe nothing."""
        idle = [
            name
            for name, account in self._users.items()
            if not account.turns and account.virtual <= self._virtual and account.free_at <= now
        ]
        for name in idle:
            del self._users[name]
        # Looking all of them through again has to be worth it.
        self._forget_at = max(_USERS_KEPT, 2 * len(self._users))


class Turn:
    """A turn to move some bytes; made by `Shares.ask`.

    Attributes:
        user: Whose it is.
        count: Bytes.
        not_before: When it may come by the user's own limit.
        come: Whether it has come.
        ended: Whether it is over, or was given back.
        news: Set when it is worth asking `seconds` again before the time is over.
    """

    __slots__ = ("_shares", "come", "count", "ended", "news", "not_before", "user")

    def __init__(self, shares: Shares, user: str, count: int) -> None:
        self.user = user
        self.count = count
        self.not_before = float("-inf")
        self.come = False
        self.ended = False
        self.news = threading.Event()
        self._shares = shares

    def seconds(self) -> float:
        """Returns 0 when the turn has come, else how long to wait before asking again; infinity until there is news."""
        self.news.clear()
        return self._shares._seconds(self)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._shares._end(self)


@dataclass(frozen=True, slots=True)
class Bandwidth:
    """What is limited in each direction. One of these is shared by all connections of a daemon.

    Attributes:
        receiving: From clients.
        sending: To clients.
    """

    receiving: Shares
    sending: Shares

    @classmethod
    def limited(cls, total: int | None, per_user: int | None, clock: Callable[[], float]) -> Bandwidth | None:
        """Returns the bandwidth with these limits in bytes per second, or None where there is none of them."""
        if total is None and per_user is None:
            return None
        return cls(Shares(total, per_user, clock), Shares(total, per_user, clock))
