"""What may be added to the daemon from above: operations, folders that sessions see, and work of its own.

The server knows this contract and no extension; the programs at the top (`ftpsvc.commands`) put them together.

    with running(settings, [Homework()]) as daemon: ...
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from ftpsvc.exceptions import ConfigError
from ftpsvc.server.namespace import Mount

if TYPE_CHECKING:
    from ftpsvc.accounts.store import Accounts
    from ftpsvc.server.audit import Audit
    from ftpsvc.server.config import Settings
    from ftpsvc.server.service import Operation
    from ftpsvc.server.session import Session
    from ftpsvc.storage.base import Storage
    from ftpsvc.storage.together import Syncers


@dataclass(frozen=True, slots=True)
class Grounds:
    """What an extension finds when it starts. All of it is the daemon's, which closes it after the extension stopped.

    Attributes:
        settings: The daemon's.
        accounts: The users.
        handouts: What is at `/handouts` without any extension: a folder that teachers change.
        audit: Where what is done is written down.
        syncers: Threads that sync files at once; None: files are committed one by one.
    """

    settings: Settings
    accounts: Accounts
    handouts: Storage
    audit: Audit
    syncers: Syncers | None

    @property
    def root(self) -> Path:
        """The server's root; its folders are there."""
        return self.settings.root


class Extension(Protocol):
    """One addition. It belongs to one daemon, which calls `start` once, and `stop` once if that returned."""

    @property
    def features(self) -> Sequence[str]:
        """What the greeting names besides: names of operations and options (docs/protocol.md section 6.1)."""

    @property
    def operations(self) -> Mapping[str, Operation]:
        """Handlers by the name of their op, which `protocol.headers.REQUESTS` has and the server itself does not serve.

        A handler runs in the thread of its connection. It raises what it refuses, as the server's own do.
        """

    def start(self, grounds: Grounds) -> None:
        """Opens what it needs. No connection is accepted yet.

        Raises:
            ConfigError: It cannot; the daemon does not start. Nothing is left open.
        """

    def mounts(self, session: Session) -> Iterable[Mount]:
        """Returns what a session that has just logged in sees besides; one at the path of another takes its place.

        Called in the thread of the connection, with `session.identity` set. What is opened for this one session is
        closed by `session.on_end`.
        """

    def expire(self, seconds: float) -> int:
        """Drops what is held of uploads that nobody wrote to for so long; returns how many those were.

        Called now and then from a thread of its own.
        """

    def stop(self) -> None:
        """Closes everything. All connections have ended."""


class Extensions:
    """The extensions of one daemon, as one. What they are is fixed; only `start` and `stop` change anything.

    Attributes:
        operations: Of all of them, and the server's own.
        features: Of all of them, without the server's own.
    """

    def __init__(self, own: Mapping[str, Operation], extensions: Sequence[Extension] = ()) -> None:
        """Puts extensions together.

        Args:
            own: The server's own operations.
            extensions: In the order in which they start.

        Raises:
            ConfigError: Two of them, or one and the server, have an operation of the same name.
        """
        self._extensions = tuple(extensions)
        table = dict(own)
        for one in self._extensions:
            if twice := sorted(table.keys() & one.operations.keys()):
                raise ConfigError(f"two parts of the server serve the operation {twice[0]}")
            table |= one.operations
        self.operations: Mapping[str, Operation] = table
        self.features: tuple[str, ...] = tuple(name for one in self._extensions for name in one.features)

    def __iter__(self) -> Iterator[Extension]:
        return iter(self._extensions)

    def mounts(self, session: Session, own: Iterable[Mount]) -> list[Mount]:
        """Returns what a session sees: the server's own mounts, and those of the extensions over them."""
        seen = {mount.prefix: mount for mount in own}
        for one in self._extensions:
            seen |= {mount.prefix: mount for mount in one.mounts(session)}
        return list(seen.values())
