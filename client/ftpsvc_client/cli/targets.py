"""Where things go: a target that ends in `/` or is a directory means into it, otherwise it is the new name."""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from ftpsvc.exceptions import AlreadyExists, ConfigError
from ftpsvc.paths import twin_key
from ftpsvc.text import printable

if TYPE_CHECKING:
    from ftpsvc_client.client import Client

_DIRECTIONS = ("", ".", "..")


def join(directory: str, name: str) -> str:
    """Returns the remote path of `name` in `directory`, where an empty one is the session's."""
    if not directory or name.startswith("/"):
        return name
    return directory + name if directory.endswith("/") else f"{directory}/{name}"


def name_of_local(path: str) -> str:
    """Returns the last component of a local path; empty for `.`, `..` and a root, whose content has no name."""
    separators = os.sep + (os.altsep or "")
    name = os.path.basename(os.path.splitdrive(path)[1].rstrip(separators))
    return "" if name in _DIRECTIONS else name


def name_of_remote(path: str) -> str:
    """Returns the last component of a remote path; empty for `.`, `..` and the root."""
    name = path.rstrip("/").rpartition("/")[2]
    return "" if name in _DIRECTIONS else name


def on_server(client: Client, target: str | None, *, several: bool) -> Callable[[str], str]:
    """Returns the function from a name to the remote path that it goes to.

    Args:
        client: The connection.
        target: `--to`, or None for the session's directory.
        several: Whether more than one name goes there, which takes a directory.

    Raises:
        ConfigError: There are several, and the target is no directory.
    """
    if target is None:
        return lambda name: name or "."
    if target.endswith("/") or client.is_directory(target):
        return lambda name: join(target, name)
    if several:
        raise _one_for_several(target, "`ftpsvc mkdir` makes one")
    return lambda name: target


def on_disk(target: str | None, *, several: bool) -> Callable[[str], str]:
    """Returns the function from a name to the local path that it goes to; arguments and errors as `on_server`."""
    if target is None:
        return lambda name: name or os.curdir
    if is_into(target) or os.path.isdir(target):
        return lambda name: os.path.join(target, name)
    if several:
        raise _one_for_several(target, "make one first")
    return lambda name: target


def is_into(target: str) -> bool:
    """Returns whether a local path says by itself that it is a directory to put things into."""
    return target.endswith((os.sep, "/") if os.altsep is None else (os.sep, os.altsep))


class Given:
    """The names that one command has given: what it has just put there it does not replace by something else.

    `mv a/x b/x there/` would leave one of the two, and `put a/x b/x --to there/` say of both that they are stored.
    """

    def __init__(self, *, locally: bool = False) -> None:
        self._sources: dict[str, str] = {}
        self._folds_case = False
        if locally:
            # Late, since it is loaded anyway where something is fetched, and by nothing else.
            from ftpsvc_client.download_tree import FOLDS_CASE

            self._folds_case = FOLDS_CASE

    @contextmanager
    def giving(self, target: str, source: str) -> Iterator[None]:
        """Lets a block give a name to a source: it is the source's once the block has come to its end.

        The same source may come twice, and the content of `.` goes where other content has gone.

        Raises:
            AlreadyExists: It is another source's.
        """
        key = twin_key(target) if self._folds_case else unicodedata.normalize("NFC", target)
        first = self._sources.get(key, source)
        if os.path.normpath(first) != os.path.normpath(source) and name_of_local(source):
            error = AlreadyExists(target)
            error.hint = (
                f"{printable(first)} has got this name just now, which {printable(source)} would replace"
            )
            raise error
        yield
        self._sources[key] = source


def _one_for_several(target: str, hint: str) -> ConfigError:
    return ConfigError(f"several things cannot all become {target}, which is no directory", hint=hint)
