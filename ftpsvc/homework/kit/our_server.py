"""Our own server, as clients are judged against it: a real daemon in this process, with an empty folder for guests."""

from __future__ import annotations

import logging
import os
import shutil
import socket
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Final, Self

from ftpsvc.server.config import Settings
from ftpsvc.server.daemon import running
from ftpsvc.storage.base import Durability

_LOG: Final = "ftpsvc.server"


class OurServer:
    """A server that runs from `__enter__` to `__exit__`; guests may write. All that it keeps vanishes with it."""

    def __enter__(self) -> Self:
        """Starts it.

        Raises:
            ConfigError: It cannot start.
            OSError: There is no room for its folder.
        """
        self._stack = ExitStack()
        with ExitStack() as stack:
            place = Path(tempfile.mkdtemp(prefix="ftpsvc-kit-"))
            stack.callback(shutil.rmtree, place, ignore_errors=True)
            self._folder, self._socket = place / "files", place / "socket"
            self._folder.mkdir()
            # What a student's client does to it is told in the report, and not on the teacher's terminal.
            log, silent = logging.getLogger(_LOG), logging.NullHandler()
            log.addHandler(silent)
            stack.callback(log.removeHandler, silent)
            settings = Settings(
                root=place / "root",
                share=self._folder,
                guest="write",
                listen=(f"ftpsvc+unix://{self._socket}",),
                durability=Durability.RELAXED,
            )
            stack.enter_context(running(settings))
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def connect(self) -> socket.socket:
        """Returns a new connection, which the caller closes.

        Raises:
            OSError: It takes none.
        """
        made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            made.connect(str(self._socket))
        except BaseException:
            made.close()
            raise
        return made

    def write(self, name: str, content: bytes) -> None:
        """Puts a file into its folder, and the directories that the name needs."""
        path = self._folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)

    def mkdir(self, name: str) -> None:
        """Makes a directory in its folder."""
        (self._folder / name).mkdir(parents=True)

    def read(self, name: str) -> bytes | None:
        """Returns the content of a file in its folder; None where there is none."""
        try:
            return (self._folder / name).read_bytes()
        except OSError:
            return None

    def names(self) -> list[str]:
        """Returns the names of all files in its folder."""
        found = []
        for at, _, names in os.walk(self._folder):
            found += [os.path.relpath(os.path.join(at, one), self._folder) for one in names]
        return sorted(found)
