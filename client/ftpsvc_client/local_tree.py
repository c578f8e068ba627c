"""A local directory as the source of an upload: what is in it, and what of that cannot be sent."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal, TypeAlias

from ftpsvc.confine.checked import is_stand_in
from ftpsvc.exceptions import AlreadyExists, FtpsvcError, InvalidRequest, NotAFile
from ftpsvc.paths import check_name
from ftpsvc_client import parts
from ftpsvc_client.local import local_error
from ftpsvc_client.results import Problem, TreeReport

Links: TypeAlias = Literal["skip", "copy"]
"""What becomes of symbolic links: left out with a note, or sent as what they lead to."""

Ignored: TypeAlias = Callable[[str, bool], bool]
"""Says of a path (relative, `/` in between) and whether it is a directory's whether it is left out."""


@dataclass(frozen=True, slots=True)
class File:
    """A file of the tree: its local path, and its name on the server."""

    path: str
    name: str
    entry: os.DirEntry[str]

    def info(self) -> os.stat_result:
        """Returns what it is, of a link what it leads to.

        Raises:
            OSError: It went meanwhile, or may not be looked at.
        """
        return self.entry.stat()


@dataclass(frozen=True, slots=True)
class Folder:
    """A directory of the tree.

    Attributes:
        path: Its local path.
        names: Its names on the server, from the top down.
        files: Its regular files, by name.
        others: Names in it that are there and not sent.
    """

    path: str
    names: tuple[str, ...]
    files: list[File]
    others: list[str]


def walk(
    top: str, report: TreeReport, *, links: Links = "skip", ignored: Ignored | None = None
) -> Iterator[Folder]:
    """Yields the directories of a tree, each before what is in it, in the order of their names.

    What cannot be sent is noted in `report`: links, junctions and the like as skipped; unreadable directories, names
    that the protocol cannot carry, and names that are one and the same to the server, as problems. Parts that downloads
    have left are no content, and left out.
    """
    waiting: list[tuple[str, tuple[str, ...], frozenset[tuple[int, int]]]] = [(top, (), frozenset())]
    while waiting:
        path, names, above = waiting.pop()
        try:
            with os.scandir(path) as found:
                entries = sorted(found, key=lambda entry: entry.name)
            if links == "copy":
                info = os.stat(path)
                above |= {(info.st_dev, info.st_ino)}
        except OSError as error:
            report.problems.append(Problem(path, local_error(error, path)))
            continue
        ours = _parts_in(path, entries)
        folder = Folder(path, names, [], [])
        folders: list[tuple[str, tuple[str, ...], frozenset[tuple[int, int]]]] = []
        taken: set[str] = set()
        for entry in entries:
            if entry.name in ours:
                continue
            try:
                name = check_name(entry.name)
                if ignored is not None and ignored(
                    "/".join((*names, name)), entry.is_dir(follow_symlinks=links == "copy")
                ):
                    continue
                if name in taken:  # the same name in another Unicode form: the second would replace the first
                    raise AlreadyExists(entry.path)
                taken.add(name)
                _sort_in(entry, name, folder, folders, above, links, report)
            except OSError as error:
                report.problems.append(Problem(entry.path, local_error(error, entry.path)))
            except FtpsvcError as error:
                report.problems.append(Problem(entry.path, error))
        yield folder
        waiting.extend(reversed(folders))


def _sort_in(
    entry: os.DirEntry[str],
    name: str,
    folder: Folder,
    folders: list[tuple[str, tuple[str, ...], frozenset[tuple[int, int]]]],
    above: frozenset[tuple[int, int]],
    links: Links,
    report: TreeReport,
) -> None:
    follow = links == "copy"
    if entry.is_dir(follow_symlinks=follow) and (follow or not _stands_in(entry)):
        if follow and (entry.is_symlink() or _stands_in(entry)):
            info = entry.stat()
            if (info.st_dev, info.st_ino) in above:
                raise InvalidRequest(f"{entry.path}: a link to a directory that it is in")
        folders.append((entry.path, (*folder.names, name), above))
    elif entry.is_file(follow_symlinks=follow):
        folder.files.append(File(entry.path, name, entry))
    elif follow and entry.is_symlink():
        entry.stat()  # says why it leads nowhere
        folder.others.append(name)
        report.skipped.append(Problem(entry.path, NotAFile(entry.path)))
    else:
        folder.others.append(name)
        report.skipped.append(Problem(entry.path, NotAFile(entry.path)))


def _stands_in(entry: os.DirEntry[str]) -> bool:
    """Whether a directory is one elsewhere: a junction of Windows, which is a directory to all but this question."""
    try:
        return is_stand_in(entry.stat(follow_symlinks=False))
    except OSError:  # it went meanwhile; listing it will say so
        return False


def _parts_in(path: str, entries: list[os.DirEntry[str]]) -> set[str]:
    """Returns the names in a directory that downloads have left there."""
    ours: set[str] = set()
    for entry in entries:
        if parts.is_hidden(entry.name):
            ours.add(entry.name)
        elif parts.part_of(entry.name) is not None and parts.is_note(entry.path):
            ours |= {entry.name, entry.name.removesuffix(".json")}
    return ours
