"""Homes: one folder a user, opened when it is first needed, with the books of its quota.

ROOT/users/NAME/     a home: plain files, readable with any file manager
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from ftpsvc.accounts.names import check_user_name
from ftpsvc.accounts.quota import Books, recount
from ftpsvc.confine import open_root
from ftpsvc.exceptions import ConfigError, NotFound, Unavailable
from ftpsvc.storage.base import Durability, Storage
from ftpsvc.storage.local import LocalStorage
from ftpsvc.storage.partials import sweep
from ftpsvc.storage.together import Syncers

USERS: Final = "users"

_IDLE_HOMES: Final = 64
"""Homes without a session that stay open: opening one walks it, to count what is used."""


@dataclass(slots=True)
class _Home:
    storage: Storage
    books: Books
    users: int = 0


class Homes:
    """The homes of a server. Thread-safe."""

    def __init__(
        self,
        root: Path,
        *,
        durability: Durability,
        max_file_size: int | None,
        syncers: Syncers | None = None,
    ) -> None:
        """Serves ROOT/users, which must exist.

        Args:
            root: The server's root.
            durability: As for `LocalStorage`.
            max_file_size: As for `LocalStorage`.
            syncers: As for `LocalStorage`.
        """
        self._syncers = syncers
        self._folder: Final = root / USERS
        self._durability = durability
        self._max_file_size = max_file_size
        self._lock = threading.Lock()
        self._homes: OrderedDict[str, _Home] = OrderedDict()

    def enter(self, name: str, quota: int | None, *, make: bool = False) -> Storage:
        """Returns a user's home, open until `leave`.

        Args:
            name: The user's name, as the accounts have it.
            quota: What the user may have in bytes; None is no limit. It is in force for all sessions from now on.
            make: Whether to make a home that is missing.

        Raises:
            NotFound: There is no such home.
            Unavailable: It cannot be opened.
        """
        # From the accounts, and yet: no other text may ever become a folder's name here.
        name = check_user_name(name)
        with self._lock:
            home = self._homes.get(name)
            if home is None:
                home = self._homes[name] = self._open(name, quota, make=make)
            home.users += 1
            self._homes.move_to_end(name)
            home.books.set_limit(quota)
            self._close_idle(_IDLE_HOMES)
            return home.storage

    def leave(self, name: str) -> None:
        """Ends what `enter` began."""
        with self._lock:
            self._homes[name].users -= 1

    @contextmanager
    def visit(self, name: str, quota: int | None) -> Iterator[Storage]:
        """Lends a home for the length of a block; see `enter`."""
        storage = self.enter(name, quota)
        try:
            yield storage
        finally:
            self.leave(name)

    def exists(self, name: str) -> bool:
        """Returns whether a user has a home already."""
        return (self._folder / check_user_name(name)).is_dir()

    def expire(self, seconds: float) -> int:
        """Drops what is held in any home of uploads that nobody wrote to for so long; returns how many those were."""
        gone = 0
        names: list[str] = []
        with suppress(OSError), open_root(self._folder) as top, top.scan() as entries:
            names = [entry.name for entry in entries if entry.is_dir(follow_symlinks=False)]
        for name in names:
            with self._lock:  # for one home at a time: whoever logs in meanwhile waits for no more than that
                home = self._homes.get(name)
                gone += (
                    home.storage.expire(seconds) if home is not None else sweep(self._folder / name, seconds)
                )
        return gone

    def close(self) -> None:
        """Closes all homes. Nobody may be in one."""
        with self._lock:
            self._close_idle(0)

    def _open(self, name: str, quota: int | None, *, make: bool) -> _Home:
        folder = self._folder / name
        try:
            if make:
                folder.mkdir(mode=0o700, exist_ok=True)
            elif not folder.is_dir():
                raise NotFound(f"/{name}")
            with open_root(folder) as top:
                used, files = recount(top, partials=False)  # the storage adopts those
            books = Books(quota, used, files)
            storage = LocalStorage(
                folder,
                durability=self._durability,
                quota=books,
                max_file_size=self._max_file_size,
                syncers=self._syncers,
            )
        except (OSError, ConfigError) as error:
            reason = error.strerror if isinstance(error, OSError) else None
            raise Unavailable("", f"the home cannot be opened{f': {reason}' if reason else ''}") from error
        return _Home(storage, books)

    def _close_idle(self, keep: int) -> None:
        idle = [name for name, home in self._homes.items() if not home.users]
        for name in idle[: max(0, len(idle) - keep)]:
            self._homes.pop(name).storage.close()
