"""What is to be handed in: local files under the paths that they will have, each with its size and SHA-256."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from typing import Final, NamedTuple

from ftpsvc.exceptions import AlreadyExists, ConfigError, ReadFailed
from ftpsvc.receipts.tree import File, checked_path, in_order
from ftpsvc_client.content import FileSource
from ftpsvc_client.local_tree import walk
from ftpsvc_client.results import TreeReport

LEFT_OUT: Final = frozenset(
    {".ftpsvc", ".git", ".hg", ".svn", "__pycache__", ".venv", "node_modules", ".DS_Store", "Thumbs.db"}
)
"""Names that are no work: left out of directories, wherever they are in them. A file that is named itself is taken."""


class Work(NamedTuple):
    """What is to be handed in.

    Attributes:
        files: In the order of the tree digest.
        local: Where each lies, by its path.
        skipped: Local paths of what is neither a file nor a directory, and so no part of it.
    """

    files: list[File]
    local: Mapping[str, str]
    skipped: list[str]


def collect(sources: Iterable[str | os.PathLike[str]]) -> Work:
    """Finds files and computes their digests.

    Args:
        sources: One directory: all that is in it. Else files and directories, each under the path that it was given
            by, relative to the working directory; one that lies elsewhere under its own name.

    Raises:
        ConfigError: There is nothing to hand in.
        AlreadyExists: Two of them would have the same path.
        InvalidPath: A name cannot be sent.
        ReadFailed: A file cannot be read. FtpsvcError: the disk refuses something else.
    """
    names = [os.fspath(source) for source in sources]
    local: dict[str, str] = {}
    skipped: list[str] = []
    for name in names:
        if os.path.isdir(name):
            prefix = "" if len(names) == 1 else _name_of(name)
            _add_directory(local, skipped, name, prefix)
        else:
            _add(local, checked_path(_name_of(name)), name)
    if not local:
        raise ConfigError("there is nothing to hand in", hint="name files, or a directory with files in it")
    return Work(in_order(measured(path, where) for path, where in local.items()), local, skipped)


def _name_of(path: str) -> str:
    """Returns the path that a source has in the hand-in."""
    relative = os.path.normpath(path)
    if os.path.isabs(relative) or relative.split(os.sep)[0] in (os.pardir, os.curdir):
        relative = os.path.basename(os.path.abspath(path))
    return relative.replace(os.sep, "/")


def _add_directory(local: dict[str, str], skipped: list[str], top: str, prefix: str) -> None:
    report = TreeReport()
    for folder in walk(top, report, ignored=lambda path, _: path.rpartition("/")[2] in LEFT_OUT):
        for file in folder.files:
            parts = (*filter(None, (prefix,)), *folder.names, file.name)
            _add(local, checked_path("/".join(parts)), file.path)
    if report.problems:
        raise report.problems[0].error
    skipped += [problem.path for problem in report.skipped]


def _add(local: dict[str, str], path: str, where: str) -> None:
    if path in local:
        raise AlreadyExists(where)
    local[path] = where


def measured(path: str, where: str) -> File:
    """Returns a local file as part of a hand-in.

    Raises:
        ReadFailed: It cannot be read. FtpsvcError: it is no regular file, or cannot be opened.
    """
    with FileSource(where) as source:
        try:
            return File(path, source.size, source.digest("sha256"))
        except OSError as error:
            raise ReadFailed(where, error.strerror or str(error)) from None
