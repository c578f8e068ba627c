"""What the checks need of a running server, wherever it runs."""

from __future__ import annotations

import socket
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Protocol

AGAIN: Final = (
    "allow_reuse_address = True, or SO_REUSEADDR before bind: else the port stays taken for a minute"
)
"""The hint of every check that starts a server again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """What lies in the server's folder before it starts; names are relative to that folder."""

    folders: tuple[str, ...] = ()
    files: Mapping[str, str] = field(default_factory=dict)
    links: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Usage:
    """What a server uses: threads, descriptors, and the most bytes of memory that were resident since it started."""

    threads: int
    descriptors: int
    peak: int


class Server(Protocol):
    """A server that runs, and the folder that it runs in."""

    @property
    def place(self) -> str:
        """The folder, as the server knows it: an absolute path."""

    def connect(self) -> socket.socket:
        """Returns a new connection; the caller closes it.

        Raises:
            Fault: It takes none.
        """

    def drained(self, connection: socket.socket) -> bool:
        """Waits until the server has read all that was sent on a connection; False when it did not in time."""

    def content(self, name: str) -> bytes | None:
        """Returns the first 4 KiB of a file in the folder; None where there is none to be read."""

    def holding(self, text: str) -> list[str]:
        """Returns the files in the folder that hold a text, but for accounts.toml; ten at the most."""

    def usage(self) -> Usage:
        """Returns what the server uses, with all processes that it started."""

    def exit(self, seconds: float = 0.0) -> int | None:
        """Returns the exit code of the server's process; None while it runs, and does so for some seconds more."""

    def again(self, signal: int) -> None:
        """Ends the server by a signal, starts it again at once, and waits until it listens.

        Raises:
            Fault: It does not.
        """
