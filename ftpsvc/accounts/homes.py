"""What becomes of a home when its user is removed: it is set aside, in one step, and kept."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Final

from ftpsvc.accounts.database import HIDDEN
from ftpsvc.confine import open_root
from ftpsvc.exceptions import ConfigError

USERS: Final = b"users"
REMOVED: Final = b"removed"


def set_aside(root: Path, name: str, now: int) -> Path | None:
    """Moves the home of a user to `ROOT/.ftpsvc/removed/NAME-TIME`, where no request can reach it.

    Moved and not left, because whoever gets the same name later would find it to be theirs; and not deleted, because a
    mistake could not be taken back.

    Args:
        root: The server's root.
        name: The user.
        now: Seconds since 1970; becomes part of the new name, in UTC.

    Returns:
        Where it is now, or None where there was none.

    Raises:
        ConfigError: It cannot be moved.
    """
    to = f"{name}-{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime(now))}".encode()
    hidden = HIDDEN.encode()
    try:
        with open_root(root) as top:
            try:
                homes = top.walk([USERS])
            except FileNotFoundError:
                return None
            with homes:
                try:
                    homes.directory(name.encode()).close()
                except FileNotFoundError:
                    return None
                top.make_directories([hidden, REMOVED], 0o700)
                with top.walk([hidden, REMOVED]) as removed:
                    homes.rename(name.encode(), removed, to)
                    removed.sync()
                homes.sync()
    except OSError as problem:
        raise ConfigError(
            f"cannot set the home of {name!r} aside: {os.strerror(problem.errno or 0)}",
            hint="nothing was removed; move the home away by hand first",
        ) from problem
    return root / HIDDEN / os.fsdecode(REMOVED) / os.fsdecode(to)
