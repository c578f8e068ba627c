"""A process of its own that swaps a directory and a link for one another, at every pace, until its input ends.

Usage: python -m tests.helpers.swapper DIRECTORY LINK
Prints `ready` after the first swap, and in the end how often it swapped. Leaves both as it found them.
"""

import ctypes
import os
import random
import select
import sys

_AT_FDCWD = -100
_RENAME_EXCHANGE = 2


def exchange(one: bytes, other: bytes) -> None:
    """Swaps two names in one step where the system can (Linux), else in three."""
    rename = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    if rename is None or rename(_AT_FDCWD, one, _AT_FDCWD, other, _RENAME_EXCHANGE) != 0:
        aside = one + b".aside"
        os.rename(one, aside)
        os.rename(other, one)
        os.rename(aside, other)


def main() -> None:
    """Swaps until standard input is closed."""
    one, other = map(os.fsencode, sys.argv[1:3])
    swaps = 0
    while True:
        exchange(one, other)
        swaps += 1
        if swaps == 1:
            print("ready", flush=True)
        # Now and then at once, now and then after some hundred microseconds: operations must meet a swap at every step,
        # and must get through as well.
        for _ in range(random.choice((0, 0, 1_000, 5_000, 10_000))):
            pass
        # An even number, so that both are where they were.
        if swaps % 2 == 0 and select.select([sys.stdin], [], [], 0)[0]:
            break
    print(swaps, flush=True)


if __name__ == "__main__":
    main()
