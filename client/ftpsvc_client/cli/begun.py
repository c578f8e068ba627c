"""Trees that a command has begun under a new name, so that the same command goes on with them.

`put -r photos --to holiday` makes `holiday` where there is no such directory, and `holiday/photos` where there is one.
A command that was interrupted has made it already, and must mean the same when it is given again. So there is a note
while it is under way, and as long as something is missing:

    STATE/trees/KEY.json    {"server": URL, "source": PATH, "target": PATH}
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

from ftpsvc.exceptions import ConfigError
from ftpsvc_client import smallfiles
from ftpsvc_client.profiles import state_directory

if TYPE_CHECKING:
    from ftpsvc_client.cli.app import App

_LONGEST = 30 * 86400
"""Seconds after which nobody is taken to go on with a tree: by then the same words mean what they say."""


class Begun:
    """The note about one tree and its new name.

    Attributes:
        name: The new name as it was given.
    """

    def __init__(self, app: App, verb: str, source: str, target: str, *, name: str) -> None:
        """Finds the place of the note; there may be none.

        Args:
            app: Says which server it is.
            verb: The command.
            source: The tree, by a path that is the same wherever the command is given.
            target: Its new name, likewise.
            name: See the attribute.
        """
        self.name = name
        self._about = {"server": str(app.target.server), "source": source, "target": target}
        words = "\0".join((verb, *self._about.values(), app.target.user or ""))
        key = hashlib.sha256(words.encode("utf-8", "surrogatepass")).hexdigest()[:32]
        self._folder = os.path.join(state_directory(), "trees")
        self._path = os.path.join(self._folder, f"{key}.json")

    def is_noted(self) -> bool:
        """Returns whether this tree was begun under this name, and is not complete."""
        try:
            return time.time() - os.stat(self._path).st_mtime < _LONGEST
        except OSError:
            return False

    def becomes(self, name: str) -> str:
        """Returns the new name, whatever the tree is called."""
        return self.name

    @contextlib.contextmanager
    def noted(self) -> Iterator[None]:
        """Keeps the note for the length of a block, and longer if that fails. It is no error if it cannot be kept."""
        self._forget_old()
        with contextlib.suppress(ConfigError):
            smallfiles.write(self._path, self._about)
        yield
        with contextlib.suppress(ConfigError):
            smallfiles.remove(self._path)

    def _forget_old(self) -> None:
        with contextlib.suppress(OSError), os.scandir(self._folder) as found:
            for entry in found:
                if time.time() - entry.stat().st_mtime >= _LONGEST:
                    os.unlink(entry.path)
