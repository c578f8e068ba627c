"""How much who has not logged in may have written down: else a stranger could push everybody else out of the audit.

The files of the audit are bounded, so whoever causes events without end decides what is still in them. A session's own
bound is none for a stranger, who connects again. So refusals of strangers are paid for from two purses, one of their
address and one of all addresses together, which fill up slowly. One address that floods empties its own only.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from ftpsvc.accounts.throttle import network_of

ADDRESS_BURST: Final = 200
"""Events of one address at once: a class that mistypes its codes."""
ADDRESS_A_SECOND: Final = 0.5
"""Then: more than the 24 a minute that who guesses at one name gets through."""
ALL_BURST: Final = 1000
ALL_A_SECOND: Final = 2.0

_ADDRESSES: Final = 4096


@dataclass(slots=True)
class _Purse:
    left: float
    since: float

    def fill(self, now: float, a_second: float, most: float) -> float:
        """Adds what has come since it was last looked at, and returns what there is."""
        self.left = min(most, self.left + (now - self.since) * a_second)
        self.since = now
        return self.left


class Allowance:
    """What strangers have left. Thread-safe."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """Begins with everything.

        Args:
            clock: Seconds, going forward.
        """
        self._clock = clock
        self._lock = threading.Lock()
        self._all = _Purse(ALL_BURST, clock())
        self._addresses: dict[str, _Purse] = {}
        self._left_out = 0

    def take(self, address: str) -> int | None:
        """Pays for one event.

        Args:
            address: Whose it is, without the port; of an IPv6 address its network counts.

        Returns:
            How many were left out, of anybody, since the last one that was not; None when this one is left out too.
        """
        key, now = network_of(address), self._clock()
        with self._lock:
            own = self._addresses.get(key)
            if own is None:
                if len(self._addresses) >= _ADDRESSES:
                    self._forget(now)
                own = self._addresses[key] = _Purse(ADDRESS_BURST, now)
            if (
                own.fill(now, ADDRESS_A_SECOND, ADDRESS_BURST) < 1
                or self._all.fill(now, ALL_A_SECOND, ALL_BURST) < 1
            ):
                self._left_out += 1
                return None
            own.left -= 1
            self._all.left -= 1
            return self._taken()

    def close(self) -> int:
        """Returns how many were left out that no event has told of."""
        with self._lock:
            return self._taken()

    def _taken(self) -> int:
        left_out, self._left_out = self._left_out, 0
        return left_out

    def _forget(self, now: float) -> None:
        """Drops purses that are full, else all: the one of all addresses together still holds."""
        kept = {
            key: purse
            for key, purse in self._addresses.items()
            if purse.fill(now, ADDRESS_A_SECOND, ADDRESS_BURST) < ADDRESS_BURST
        }
        self._addresses = kept if len(kept) < _ADDRESSES else {}
