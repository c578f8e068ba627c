"""Whether a file here and one on the server are the same, as far as size and time can tell."""

from __future__ import annotations

import os

from ftpsvc.protocol.limits import MAX_SIZE

_SECOND = 1_000_000_000
_TICK = 1000
"""Nanoseconds within which two times are one: Windows counts by the hundred."""
_EXECUTABLE = 0o100


def time_on_wire(time_ns: int) -> int:
    """Returns the time nearest to a file's that a header can hold: 1970 to 2262 (docs/protocol.md section 4)."""
    return min(max(time_ns, 0), MAX_SIZE)


def same_time(modified: int | None, info: os.stat_result) -> bool:
    """Returns whether a file here was changed last when the server's was.

    A file system that keeps whole seconds only drops what is behind them: then nobody looks there.

    Args:
        modified: What the server says, nanoseconds since 1970 UTC; None is never the same.
        info: What the file here is.
    """
    if modified is None:
        return False
    # A listing tells times that a transfer cannot carry: what is older than 1970 arrives as of then.
    mine, modified = time_on_wire(info.st_mtime_ns), time_on_wire(modified)
    if mine % _SECOND == 0 or modified % _SECOND == 0:
        return mine // _SECOND == modified // _SECOND
    return abs(mine - modified) < _TICK


def same_mode(mode: int | None, info: os.stat_result) -> bool:
    """Returns whether both are executable, or neither is; True where that cannot be told."""
    return os.name == "nt" or mode is None or (mode & _EXECUTABLE) == (info.st_mode & _EXECUTABLE)
