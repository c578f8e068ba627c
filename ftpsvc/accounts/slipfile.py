"""Writing the slips so that no code is lost and none is left lying about: prepared, made durable, then renamed."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

import click

from ftpsvc.accounts.enrol import Enrolled
from ftpsvc.accounts.slips import Server, Slip, as_html, as_text
from ftpsvc.exceptions import ConfigError


class SlipFile:
    """The file that the codes of one import go to. Leaving the context removes what was not published.

    Attributes:
        expires: When the codes end, seconds since 1970.
    """

    def __init__(self, path: Path, server: Server, expires: int) -> None:
        """Checks that the file can be made.

        Args:
            path: `.html` for a page, anything else for text; `-` is stdout.
            server: What the slips say about the server.
            expires: When the codes end, seconds since 1970.

        Raises:
            ConfigError: It is there already: it may hold the only copy of codes that are still good.
        """
        self.expires = expires
        self._server = server
        self._path = None if str(path) == "-" else path
        self._staged: Path | None = None
        self._slips: list[Slip] = []
        if self._path is not None and os.path.lexists(self._path):
            raise ConfigError(
                f"{path} is there already, and may hold codes that are still good",
                hint="name another file with --codes, or move that one away",
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._staged is not None:
            with suppress(OSError):
                self._staged.unlink()

    def prepare(self, done: list[Enrolled]) -> None:
        """Writes the slips beside their place, readable for nobody else, and makes them durable.

        Raises:
            ConfigError: They cannot be written; the import is then undone.
        """
        self._slips = [
            Slip(one.user.name, one.user.display_name, one.user.group, one.code, self.expires)
            for one in done
            if one.code is not None
        ]
        if self._path is None or not self._slips:
            return
        html = self._path.suffix.lower() in (".html", ".htm")
        text = (as_html if html else as_text)(self._slips, self._server)
        staged = self._path.with_name(f".{self._path.name}.{os.getpid()}.part")
        try:
            fd = os.open(staged, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            self._staged = staged
            with open(fd, "w", encoding="utf-8", newline="\n") as stream:
                stream.write(text)
                stream.flush()
                os.fsync(fd)
        except OSError as problem:
            raise ConfigError(
                f"cannot write {self._path}: {problem.strerror}",
                hint="nothing was imported; name another --codes",
            ) from problem

    def publish(self) -> int:
        """Puts the slips in their place once the codes are good, and returns how many there are.

        Raises:
            ConfigError: They cannot be put there; where they are is said instead.
        """
        if not self._slips:
            return 0
        if self._path is None:
            click.echo(as_text(self._slips, self._server), nl=False)
        elif self._staged is not None:
            staged, self._staged = self._staged, None  # from here on it is the only copy
            try:
                os.replace(staged, self._path)
            except OSError as problem:
                raise ConfigError(f"the codes are in {staged}: {problem.strerror}") from problem
        return len(self._slips)
