"""Patterns: `*`, `?`, `[...]` and `**`, expanded here where no shell does it, on both sides.

A name that exists as it is written is that name and no pattern, so `a[1].txt` needs no quoting of ours. A pattern
matches no name that begins with a dot unless it says so itself. `**` stands for directories, any number of them.
"""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

from ftpsvc.exceptions import InvalidPath, NotADirectory, NotFound
from ftpsvc.paths import is_addressable
from ftpsvc_client.cli.targets import join

if TYPE_CHECKING:
    from ftpsvc_client.client import Client
    from ftpsvc_client.results import RemoteEntry

_MAGIC = frozenset("*?[")
_DEEP = "**"


class NoMatch(NotFound):
    """A pattern that matches nothing."""

    text = "matches nothing"


class Found(NamedTuple):
    """A path on the server, and what is known of it: None where nobody has looked."""

    path: str
    entry: RemoteEntry | None = None


def local(arguments: Sequence[str], *, unexpanded: bool) -> list[str]:
    """Returns the local paths that arguments mean.

    Args:
        arguments: Paths, patterns, `-` for stdin.
        unexpanded: Whether no shell has seen them: then `~` is expanded, too.

    Raises:
        NoMatch: A pattern matches nothing.
    """
    paths: list[str] = []
    for argument in arguments:
        path = home(argument, unexpanded=unexpanded)
        if path == "-" or _MAGIC.isdisjoint(path) or os.path.lexists(path):
            paths.append(path)
            continue
        import glob

        found = sorted(glob.glob(path, recursive=True))
        if not found:
            raise NoMatch(argument)
        paths.extend(found)
    return paths


def home(path: str, *, unexpanded: bool) -> str:
    """Returns a local path with the user's directory in place of `~`, where no shell has seen to it."""
    if unexpanded and path.startswith("~") and not os.path.lexists(path):
        return os.path.expanduser(path)
    return path


def remote(client: Client, arguments: Sequence[str], skipped: Callable[[RemoteEntry], object]) -> list[Found]:
    """Returns the paths on the server that arguments mean. Those without a pattern are not looked up.

    Args:
        client: The connection.
        arguments: Paths or patterns.
        skipped: Is told of names that cannot be addressed, which no pattern matches.

    Raises:
        NoMatch: A pattern matches nothing.
        FtpsvcError: Another refusal, or the connection's end.
    """
    paths: list[Found] = []
    for argument in arguments:
        if _MAGIC.isdisjoint(argument):
            paths.append(Found(argument))
            continue
        entry = _entry(client, argument)
        if entry is not None:
            paths.append(Found(argument, entry))
            continue
        parts = [part for part in unicodedata.normalize("NFC", argument).split("/") if part]
        base = "/" if argument.startswith("/") else ""
        found = [*_Expansion(client, skipped).walk(base, parts)]
        if not found:
            raise NoMatch(argument)
        paths.extend(found)
    return paths


class _Expansion:
    """The expansion of one pattern."""

    def __init__(self, client: Client, skipped: Callable[[RemoteEntry], object]) -> None:
        self._client = client
        self._skipped = skipped

    def walk(self, base: str, parts: Sequence[str]) -> Iterator[Found]:
        """Yields what matches `parts` beneath the directory `base` (empty: the session's)."""
        part, rest = parts[0], parts[1:]
        if part == _DEEP:
            matches = _compiled(parts)
            for entry in self._listed(base, recursive=True):
                if matches(entry.path.split("/")):
                    yield Found(join(base, entry.path), entry)
        elif _MAGIC.isdisjoint(part):
            path = join(base, part)
            if rest:
                yield from self.walk(path, rest)
            elif (last := _entry(self._client, path)) is not None:
                yield Found(path, last)
        else:
            matches = _compiled([part])
            for entry in self._listed(base, recursive=False):
                if not matches([entry.path]):
                    continue
                if not rest:
                    yield Found(join(base, entry.path), entry)
                elif entry.kind == "dir":
                    yield from self.walk(join(base, entry.path), rest)

    def _listed(self, base: str, *, recursive: bool) -> Iterator[RemoteEntry]:
        try:
            for entry in self._client.iter_list(base or ".", recursive=recursive):
                # What a server lists is believed only if it can be the name of something in that directory.
                names = entry.path.split("/") if recursive else [entry.path]
                if entry.note is None and all(map(is_addressable, names)):
                    yield entry
                else:
                    self._skipped(entry)
        except (NotFound, NotADirectory):
            return


def _entry(client: Client, path: str) -> RemoteEntry | None:
    try:
        return client.stat(path)
    except (NotFound, NotADirectory, InvalidPath):
        return None


def _compiled(parts: Sequence[str]) -> Callable[[Sequence[str]], bool]:
    """Returns the function that says whether the components of a path match those of a pattern."""
    import fnmatch
    import re

    tests: list[Callable[[str], object] | None] = []
    for part in parts:
        if part == _DEEP:
            tests.append(None)
            continue
        match = re.compile(fnmatch.translate(part)).match
        tests.append(match if part.startswith(".") else _unhidden(match))

    def matches(names: Sequence[str]) -> bool:
        # Which tests may come next, after each name: a pattern with many `**` must not cost more than its length.
        reached = _with_skips({0})
        for name in names:
            after = set()
            for index in reached:
                if index == len(tests):
                    continue
                test = tests[index]
                if test is None:
                    if not name.startswith("."):
                        after.add(index)
                elif test(name):
                    after.add(index + 1)
            reached = _with_skips(after)
        return len(tests) in reached

    def _with_skips(reached: set[int]) -> set[int]:
        for index in range(len(tests)):
            if index in reached and tests[index] is None:
                reached.add(index + 1)
        return reached

    return matches


def _unhidden(match: Callable[[str], object]) -> Callable[[str], object]:
    return lambda name: not name.startswith(".") and match(name)
