"""Where things go: a target that ends in `/` or is a directory means into it, otherwise it is the new name."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING

from ftpsvc.exceptions import ConfigError

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
    separators = (os.sep, "/") if os.altsep is None else (os.sep, os.altsep)
    if target.endswith(separators) or os.path.isdir(target):
        return lambda name: os.path.join(target, name)
    if several:
        raise _one_for_several(target, "make one first")
    return lambda name: target


def _one_for_several(target: str, hint: str) -> ConfigError:
    return ConfigError(f"several things cannot all become {target}, which is no directory", hint=hint)
