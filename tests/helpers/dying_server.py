"""The daemon, with a wish: `python -m tests.helpers.dying_server` is `ftpsvc-server` that can be told to kill itself.

Once the file that DIE_WHEN names is there, with a number N in it, the Nth moment from then on is its last: there is one
right before and one right after each call that changes a disk or sends to a client. It dies as by kill -9.
"""

import itertools
import os
import signal
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import ftpsvc.confine  # noqa: F401  # asks os what it can do, before the calls are wrapped
from ftpsvc.server.cli import main

_CALLS = (
    "write",
    "pwrite",
    "ftruncate",
    "utime",
    "setxattr",
    "fsync",
    "fdatasync",
    "replace",
    "rename",
    "link",
    "unlink",
    "mkdir",
    "rmdir",
)
_SENDS = ("send", "sendall", "sendmsg")


class _Wish:
    def __init__(self, place: Path) -> None:
        self._place = place
        self._last = 0
        self._moments = itertools.count(1)

    def moment(self) -> None:
        """Is told of every moment."""
        if not self._last:
            try:
                self._last = int(self._place.read_text() or 0)
            except FileNotFoundError:
                return
        elif next(self._moments) >= self._last:
            os.kill(os.getpid(), signal.SIGKILL)

    def around(self, real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **options: Any) -> Any:
            self.moment()
            result = real(*args, **options)
            self.moment()
            return result

        return call


if __name__ == "__main__":
    wish = _Wish(Path(os.environ["DIE_WHEN"]))
    for name in _CALLS:
        setattr(os, name, wish.around(getattr(os, name)))
    for name in _SENDS:
        setattr(socket.socket, name, wish.around(getattr(socket.socket, name)))
    main()
