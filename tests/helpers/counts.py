"""How often an expensive test repeats itself.

`make test` takes samples so that it stays under ten minutes on two cores; `make test-full` sets `FTPSVC_FULL=1` and
runs the numbers that the project promises.
"""

import os


def full() -> bool:
    """Say whether this run is `make test-full`: the environment variable FTPSVC_FULL is set, and not to 0."""
    return os.environ.get("FTPSVC_FULL", "0") not in ("", "0")


def count(sampled: int, full_count: int) -> int:
    """Choose how many rounds, bytes or clients a test uses.

    Args:
        sampled: the number for `make test`.
        full_count: the number for `make test-full`.
    """
    return full_count if full() else sampled
