"""What is typed into a client: the words of lesson 10, or those of the hand-in's client.toml (docs/kit.md)."""

from __future__ import annotations

import os
import stat
import string
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self

from ftpsvc.homework.kit.findings import Fault
from ftpsvc.homework.kit.said import said
from ftpsvc.text import printable

FILE: Final = "client.toml"

COMMANDS: Final[Mapping[str, str]] = {
    "put": "put {local} {remote}",
    "get": "get {remote} {local}",
    "ls": "ls {path}",
    "cd": "cd {path}",
    "quit": "quit",
}
"""What is typed where nobody says anything else."""

_PLACES: Final = {
    name: {place for _, place, _, _ in string.Formatter().parse(text) if place}
    for name, text in COMMANDS.items()
}
_MOST: Final = 1 << 16
_LONGEST: Final = 200


@dataclass(frozen=True, slots=True)
class Words:
    """The commands of a client, each as one line with places for names."""

    commands: Mapping[str, str]

    @classmethod
    def of(cls, folder: Path) -> Self:
        """Returns those of a hand-in.

        Raises:
            Fault: Its client.toml is none.
        """
        text = _text(folder / FILE)
        if text is None:
            return cls(COMMANDS)
        try:
            given = tomllib.loads(text)
        except ValueError as error:
            raise _fault(printable(str(error))[:200]) from error
        table = given.pop("commands", {})
        if given:
            raise _fault(said("it has no {key}", key=printable(next(iter(given)))[:60]))
        if not isinstance(table, dict):
            raise _fault(said("commands is a table"))
        for name, line in table.items():
            if name not in COMMANDS:
                raise _fault(said("it has no {key}", key=printable(f"commands.{name}")[:60]))
            _check(name, line)
        return cls({**COMMANDS, **table})

    def put(self, local: str, remote: str) -> str:
        """Returns what puts a file."""
        return self.commands["put"].format(local=local, remote=remote)

    def get(self, remote: str, local: str) -> str:
        """Returns what gets a file."""
        return self.commands["get"].format(local=local, remote=remote)

    def ls(self, path: str = ".") -> str:
        """Returns what lists a directory."""
        return self.commands["ls"].format(path=path)

    def cd(self, path: str) -> str:
        """Returns what changes the directory."""
        return self.commands["cd"].format(path=path)

    def quit(self) -> str:
        """Returns what ends the client."""
        return self.commands["quit"]


def _check(name: str, line: Any) -> None:
    if not isinstance(line, str) or not line.isprintable() or not 0 < len(line) <= _LONGEST:
        raise _fault(said("{key} is one line of text", key=f"commands.{name}"))
    try:
        parts = list(string.Formatter().parse(line))
    except ValueError:
        parts = [("", "?", "", None)]
    places = [part[1] for part in parts if part[1] is not None]
    plain = all(not part[2] and part[3] is None for part in parts)
    if not plain or set(places) != _PLACES[name]:
        wanted = ", ".join(f"{{{place}}}" for place in sorted(_PLACES[name])) or "-"
        raise _fault(said("the places of {key} are {places}", key=f"commands.{name}", places=wanted))


def _text(path: Path) -> str | None:
    """Returns the file's text; None where there is none. A link of a hand-in leads nowhere."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise _fault(said("it cannot be read")) from error
    with open(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise _fault(said("it cannot be read"))
        data = file.read(_MOST + 1)
    if len(data) > _MOST:
        raise _fault(said("it cannot be read"))
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise _fault(said("it cannot be read")) from error


def _fault(why: str) -> Fault:
    hint = said("mend {file} first: no check was tried", file=FILE)
    return Fault(said("a client.toml that says what is typed"), why, FILE, hint=hint)
