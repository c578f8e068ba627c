"""Which names of a tree are left out: patterns as in a .gitignore file."""

from __future__ import annotations

import os
from collections.abc import Iterable

from ftpsvc.exceptions import ConfigError
from ftpsvc_client.local import local_error


class Filter:
    """Patterns by the rules of gitignore, the last one that matches decides; `!` takes a name in again.

    A pattern with a `/` at its beginning or in its middle counts from the top of the tree, any other at each depth; one
    with a `/` at its end is for directories only. What is in a directory that is left out is left out, too.
    """

    def __init__(self, patterns: Iterable[str]) -> None:
        """Compiles patterns.

        Raises:
            ConfigError: One makes no sense.
        """
        from pathspec import GitIgnoreSpec

        try:
            self._spec = GitIgnoreSpec.from_lines(patterns)
        except ValueError as error:
            raise ConfigError(f"a pattern makes no sense: {error}") from None

    def ignores(self, path: str, is_directory: bool) -> bool:
        """Returns whether a path (relative, `/` in between) is left out."""
        return self._spec.match_file(path + "/" if is_directory else path)


def read_patterns(path: str) -> list[str]:
    """Returns the lines of a file of patterns; empty ones and those that begin with `#` are nothing.

    A byte order mark, which editors on Windows write, belongs to no pattern.

    Raises:
        FtpsvcError: It cannot be read. ConfigError: It is no UTF-8.
    """
    try:
        with open(os.fspath(path), encoding="utf-8-sig") as file:
            return file.read().splitlines()
    except UnicodeDecodeError:
        raise ConfigError(f"{path} is no UTF-8 text") from None
    except OSError as error:
        raise local_error(error, path) from None
