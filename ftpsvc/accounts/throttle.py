"""Guessing is made slow: for each user and address together, never for a whole address (C36).

A class sits behind one address, so an address is never punished, and one student who guesses at another's password
slows only log-ins by that name. Tokens and codes have names of their own (`alice#t:ID`), so whoever has one gets in
at full speed whatever happens to the password of the same user.
"""

from __future__ import annotations

import ipaddress
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Final, Self

from ftpsvc.exceptions import Busy

FREE: Final = 3
"""Failures that cost nothing: people mistype."""
FIRST_DELAY: Final = 1.0
"""Seconds after the free failures; doubles with each further one."""
MAX_DELAY: Final = 10.0
"""Seconds at most: long enough that a guesser gets through 24 a minute, short enough for the real user to wait."""
MAX_WAITING: Final = 4
"""Log-ins of one user from one address that may be under way at once, so that guessing in parallel gains nothing."""
FORGET: Final = 900.0
"""Seconds after the last failure until a pair is forgotten."""
MAX_PAIRS: Final = 10_000
"""Pairs that are remembered, about 3 MB. Beyond that those with the fewest failures are forgotten first, so that a
guesser cannot wash his own record out with made-up names."""

_MAX_NAME: Final = 80


@dataclass(slots=True)
class _Record:
    failures: int = 0
    waiting: int = 0
    last: float = 0.0


class Throttle:
    """Counts failed log-ins. Thread-safe; never sleeps, but says how long to wait."""

    def __init__(self, clock: Callable[[], float] = time.monotonic, max_pairs: int = MAX_PAIRS) -> None:
        """Begins with a clean slate.

        Args:
            clock: Seconds, going forward.
            max_pairs: See `MAX_PAIRS`.
        """
        self._clock = clock
        self._max_pairs = max_pairs
        self._records: dict[tuple[str, str], _Record] = {}
        self._lock = threading.Lock()

    def begin(self, name: str, address: str, *, guessable: bool = True) -> Attempt:
        """Registers a log-in that is about to be decided.

        It counts as failed until it is known to have succeeded, so that many at once slow each other down.

        Args:
            name: The SCRAM name that the client claims; an unknown one is slowed like a known one.
            address: The peer's IP address; anything else (AF_UNIX) is one place of its own.
            guessable: Whether the secret is one that people choose. Of one with 80 random bits nobody guesses one more
                by trying in parallel, and whoever has it may log in any number of times at once.

        Returns:
            The attempt, to be used as a context manager; its `delay` is to be waited for before the client's proof is
            looked at and answered, in a way that the end of the connection or of the server interrupts.

        Raises:
            Busy: `MAX_WAITING` log-ins of this user from this address are under way.
        """
        key = (name[:_MAX_NAME], network_of(address))
        now = self._clock()
        with self._lock:
            record = self._records.get(key)
            if record is None:
                self._make_room(now)
                record = self._records[key] = _Record()
            elif not record.waiting and now - record.last > FORGET:
                record.failures = 0
            if guessable and record.waiting >= MAX_WAITING:
                raise Busy("", "too many log-ins as this user from this address at once", MAX_WAITING)
            count = record.failures + (record.waiting if guessable else 0)
            record.waiting += 1
            record.last = now
        # The exponent is bounded before it is used: 2.0 ** 2000 is an error.
        delay = 0.0 if count < FREE else min(MAX_DELAY, FIRST_DELAY * 2.0 ** min(count - FREE, 16))
        return Attempt(self, key, delay)

    def __len__(self) -> int:
        return len(self._records)

    def _end(self, key: tuple[str, str], *, succeeded: bool) -> None:
        with self._lock:
            record = self._records[key]  # one that is waited for is never forgotten
            record.waiting -= 1
            record.last = self._clock()
            record.failures = 0 if succeeded else record.failures + 1
            if not record.failures and not record.waiting:
                del self._records[key]

    def _make_room(self, now: float) -> None:
        if len(self._records) < self._max_pairs:
            return
        idle = [(key, record) for key, record in self._records.items() if not record.waiting]
        old = [key for key, record in idle if now - record.last > FORGET]
        if not old:
            idle.sort(key=lambda item: (item[1].failures, item[1].last))
            old = [
                key for key, _ in idle[: max(1, self._max_pairs // 8)]
            ]  # many at once: sorting is not free
        for key in old:
            del self._records[key]


class Attempt:
    """A log-in that is being decided. Leaving it without `succeed` is a failure, and gives its place back.

    Attributes:
        delay: Seconds to wait before it is decided.
    """

    def __init__(self, throttle: Throttle, key: tuple[str, str], delay: float) -> None:
        self.delay = delay
        self._throttle = throttle
        self._key = key
        self._succeeded = False
        self._open = True

    def succeed(self) -> None:
        """Notes that the log-in succeeded: the failures before it are forgotten."""
        self._succeeded = True

    def end(self) -> None:
        """Ends the attempt. Does nothing the second time."""
        if self._open:
            self._open = False
            self._throttle._end(self._key, succeeded=self._succeeded)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.end()


def network_of(address: str) -> str:
    """Returns what counts as one address: an IPv4 address, the /64 that an IPv6 host chooses from, or else the text."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address[:_MAX_NAME]
    if isinstance(parsed, ipaddress.IPv6Address):
        if parsed.ipv4_mapped is not None:
            return str(parsed.ipv4_mapped)
        return str(ipaddress.ip_network((int(parsed) >> 64 << 64, 64)))
    return str(parsed)
