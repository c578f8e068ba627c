"""Homes: one folder a user, opened when it is first needed, with the books of its quota.

ROOT/users/NAME/     a home: plain files, readable with any file manager
"""

from __future__ import annotations

import os
import stat
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

_DOORS: Final = 64
_IDLE_HOMES: Final = 64
"""Homes without a session that stay open: opening one walks it, to count what is used."""


@dataclass(slots=True)
class _Home:
    storage: Storage
    books: Books
    folder: tuple[int, int]
    made: bool
    users: int = 0
    current: bool = True


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
        # Each is held while a home is opened, which walks all of it: who enters another one does not wait for that.
        self._doors = tuple(threading.Lock() for _ in range(_DOORS))
        self._homes: OrderedDict[str, _Home] = OrderedDict()
        self._by_storage: dict[Storage, _Home] = {}

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
        with self._door(name):
            identity = _identity(self._folder / name)
            with self._lock:
                home = self._homes.get(name)
                if home is not None and home.folder != identity:
                    # It was set aside with its user: what is there now, or will be, is another's of the same name.
                    self._forget(name, home)
                    home = None
                if home is not None:
                    return self._take(name, home, quota)
            home = self._open(name, quota, make=make)
            with self._lock:
                self._homes[name] = self._by_storage[home.storage] = home
                return self._take(name, home, quota)

    def _take(self, name: str, home: _Home, quota: int | None) -> Storage:
        home.users += 1
        self._homes.move_to_end(name)
        home.books.set_limit(quota)
        self._close_idle(_IDLE_HOMES)
        return home.storage

    def _forget(self, name: str, home: _Home) -> None:
        """Lends a home to nobody any more; it is closed when the last one leaves."""
        del self._homes[name]
        home.current = False
        if not home.users:
            self._close(home)

    def _close(self, home: _Home) -> None:
        del self._by_storage[home.storage]
        home.storage.close()

    def _door(self, name: str) -> threading.Lock:
        return self._doors[hash(name) % _DOORS]

    def was_made(self, home: Storage) -> bool:
        """Returns whether the folder of a home that `enter` gave was not there when it was opened."""
        with self._lock:
            return self._by_storage[home].made

    def leave(self, home: Storage) -> None:
        """Ends what `enter` began, which returned `home`."""
        with self._lock:
            left = self._by_storage[home]
            left.users -= 1
            if not left.users and not left.current:
                self._close(left)

    @contextmanager
    def visit(self, name: str, quota: int | None) -> Iterator[Storage]:
        """Lends a home for the length of a block; see `enter`."""
        storage = self.enter(name, quota)
        try:
            yield storage
        finally:
            self.leave(storage)

    def exists(self, name: str) -> bool:
        """Returns whether a user has a home already."""
        return self.look(name) is not None

    def look(self, name: str) -> os.stat_result | None:
        """Returns what the folder of a home is; None where there is none. Opens nothing: that walks all of a home."""
        try:
            info = (self._folder / check_user_name(name)).stat()
        except OSError:
            return None
        return info if stat.S_ISDIR(info.st_mode) else None

    def expire(self, seconds: float) -> int:
        """Drops what is held in any home of uploads that nobody wrote to for so long; returns how many those were."""
        gone = 0
        names: list[str] = []
        with suppress(OSError), open_root(self._folder) as top, top.scan() as entries:
            names = [entry.name for entry in entries if entry.is_dir(follow_symlinks=False)]
        for name in names:
            with self._door(name):  # nobody opens it meanwhile
                with self._lock:
                    home = self._homes.get(name)
                    if home is not None:
                        home.users += 1
                if home is None:
                    gone += sweep(self._folder / name, seconds)
                    continue
                try:
                    gone += home.storage.expire(seconds)
                finally:
                    self.leave(home.storage)
        return gone

    def close(self) -> None:
        """Closes all homes. Nobody may be in one."""
        with self._lock:
            self._close_idle(0)

    def _open(self, name: str, quota: int | None, *, make: bool) -> _Home:
        folder = self._folder / name
        try:
            made = self._make(name, make=make)
            with open_root(folder) as top:
                used, files = recount(top, partials=False)  # the storage adopts those
            identity = _identity(folder)
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
        return _Home(storage, books, identity, made)

    def _make(self, name: str, *, make: bool) -> bool:
        """Sees to it that there is a home, and that its name is durable before anything in it is answered for.

        Returns:
            Whether there was none.
        """
        made = False
        with open_root(self._folder) as users:
            if make:
                with suppress(FileExistsError):
                    users.mkdir(name.encode(), 0o700)
                    made = True
            elif not self.exists(name):
                raise NotFound(f"/{name}")
            # Also of one that is there: who made it may have been killed before this.
            if self._durability is Durability.FULL:
                users.sync()
        return made

    def _close_idle(self, keep: int) -> None:
        idle = [name for name, home in self._homes.items() if not home.users]
        for name in idle[: max(0, len(idle) - keep)]:
            self._close(self._homes.pop(name))


def _identity(folder: Path) -> tuple[int, int]:
    """Returns what tells a folder from another that has its name later; nothing where there is none."""
    try:
        info = folder.stat()
    except OSError:
        return 0, 0
    return info.st_dev, info.st_ino
