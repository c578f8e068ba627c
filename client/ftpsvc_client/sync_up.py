"""What of a local directory has to be sent, so that a remote one has it, and what has to go there."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Literal, NamedTuple, TypeAlias

from ftpsvc.exceptions import DirectoryNotEmpty, FtpsvcError, IsADirectory, NotADirectory, NotAFile
from ftpsvc_client.compare import same_mode, same_time
from ftpsvc_client.content import FileSource
from ftpsvc_client.local import local_error
from ftpsvc_client.local_tree import File, Folder, Ignored, Links, walk
from ftpsvc_client.results import Action, Problem, RemoteEntry, TreeReport

PIECE_FILES = 64
"""Files that one of several connections takes at once."""

Compare: TypeAlias = Literal["nothing", "times", "all", "digests"]
"""What shows that a file need not be sent: nothing, size and time, the executable bit as well, or the digest."""


class Wanted(NamedTuple):
    """A file that has to be sent: its local path, its remote one, and whether another version of it is there."""

    path: str
    target: str
    known: bool


class Piece(NamedTuple):
    """Work for one connection, in this order: what to remove, the directory, files for it.

    Attributes:
        remove: Remote paths that stand in the way.
        path: The local directory.
        target: The remote one.
        make: Whether it is to be made.
        files: Files for it.
    """

    remove: list[str]
    path: str
    target: str
    make: bool
    files: list[Wanted]


@dataclass
class Upload:
    """The plan of an upload.

    Attributes:
        local: The source.
        remote: The target.
        there: What is at the target, by relative path; empty where it is missing.
        exists: Whether the target is there.
        algorithm: For `digests`.
        compare: What shows that a file need not be sent.
        replace: Whether what is of another kind at the target is removed; else it is a problem.
        links: What becomes of links.
        ignored: What is left out.
        told: Is told of each action; None is nobody.
        listed: Problems with listing the source, and what of it is never sent. With a problem it was not listed whole.
        report: Other problems, and what is there already.
        seen: Relative paths of all that the source has, also what is not sent.
    """

    local: str
    remote: str
    there: dict[str, RemoteEntry]
    exists: bool
    algorithm: str
    compare: Compare
    replace: bool = False
    links: Links = "skip"
    ignored: Ignored | None = None
    told: Callable[[Action], object] | None = None
    listed: TreeReport = field(default_factory=TreeReport)
    report: TreeReport = field(default_factory=TreeReport)
    seen: set[str] = field(default_factory=set)
    _blocked: set[tuple[str, ...]] = field(default_factory=set, init=False)
    _unsent: set[str] = field(default_factory=set, init=False)

    def pieces(self) -> Iterator[Piece]:
        """Yields the work, each directory before what is in it."""
        for folder in walk(self.local, self.listed, links=self.links, ignored=self.ignored):
            if folder.names and folder.names[:-1] in self._blocked:
                self._blocked.add(folder.names)
                continue
            remove: list[str] = []
            target = self._target(folder.names)
            make = self._make(folder, target, remove)
            if make is None:
                continue
            files: list[Wanted] = []
            for file in folder.files:
                path = "/".join((*folder.names, file.name))
                self.seen.add(path)
                where = self._target((*folder.names, file.name))
                if self._is_needed(file, path, where, remove):
                    files.append(Wanted(file.path, where, path in self.there))
                    if len(files) == PIECE_FILES:
                        yield Piece(remove, folder.path, target, make, files)
                        remove, make, files = [], False, []
            self._unsent.update("/".join((*folder.names, name)) for name in folder.others)
            if remove or make or files:
                yield Piece(remove, folder.path, target, make, files)

    def deletions(self) -> Iterator[str]:
        """Yields the relative paths of what the source does not have, to be asked for when `pieces` is through.

        A directory stands for all that is in it, unless something in it is left out and so has to stay. What the source
        has and does not send (a link) stays with all that is in it: what that leads to was not looked at.
        """
        kept: set[str] = set()
        left_out: set[str] = set()
        extra: list[str] = []
        for path, entry in sorted(self.there.items()):
            parent = path.rpartition("/")[0]
            if parent in left_out or path in self._unsent or self._is_ignored(entry):
                left_out.add(path)
                while parent and parent not in kept:
                    kept.add(parent)
                    parent = parent.rpartition("/")[0]
            elif path not in self.seen:
                extra.append(path)
        gone: set[str] = set()
        for path in extra:
            if path in kept:
                continue
            above = path.rpartition("/")[0]
            if above in gone:
                gone.add(path)
                continue
            gone.add(path)
            yield path

    def _target(self, names: tuple[str, ...]) -> str:
        return "/".join([self.remote.rstrip("/"), *names]) or "/"

    def _make(self, folder: Folder, target: str, remove: list[str]) -> bool | None:
        """Returns whether a directory has to be made; None where that cannot be."""
        path = "/".join(folder.names)
        self.seen.add(path)
        entry = self.there.get(path)
        if (entry is not None and entry.kind == "dir") or (not path and self.exists):
            self.report.directories += 1
            return False
        if entry is not None:
            if not self.replace:
                self._blocked.add(folder.names)
                self.report.problems.append(Problem(folder.path, NotADirectory(target)))
                return None
            self._remove(path, target, remove)
        if self.told is not None:
            self.told(Action("mkdir", path))
        return True

    def _is_needed(self, file: File, path: str, target: str, remove: list[str]) -> bool:
        """Returns whether a file has to be sent."""
        entry = self.there.get(path)
        try:
            if entry is not None and entry.kind != "file":
                if not self.replace:
                    raise IsADirectory(target) if entry.kind == "dir" else NotAFile(target)
                if any(map(self._is_ignored, self._beneath(path))):
                    self._unsent.add(path)
                    raise DirectoryNotEmpty(target)  # of what is left out, nothing is removed
                self._remove(path, target, remove)
            elif entry is not None and self._is_same(file, entry):
                self.report.present += 1
                return False
            if self.told is not None:
                self.told(Action("put", path, file.info().st_size))
        except OSError as error:
            self.report.problems.append(Problem(file.path, local_error(error, file.path)))
            return False
        except FtpsvcError as error:
            self.report.problems.append(Problem(file.path, error))
            return False
        return True

    def _is_same(self, file: File, entry: RemoteEntry) -> bool:
        if self.compare == "nothing":
            return False
        info = file.info()
        if entry.size != info.st_size:
            return False
        if self.compare == "digests":
            if entry.digest is None or entry.algorithm != self.algorithm or not same_mode(entry.mode, info):
                return False
            with FileSource(file.path) as source:
                return source.digest(self.algorithm) == entry.digest
        return same_time(entry.modified, info) and (self.compare == "times" or same_mode(entry.mode, info))

    def _remove(self, path: str, target: str, remove: list[str]) -> None:
        if self.told is not None:
            self.told(Action("delete", path))
        remove.append(target)
        for below in [path, *(entry.path for entry in self._beneath(path))]:
            del self.there[below]

    def _beneath(self, path: str) -> list[RemoteEntry]:
        return [entry for name, entry in self.there.items() if name.startswith(path + "/")]

    def _is_ignored(self, entry: RemoteEntry) -> bool:
        return self.ignored is not None and self.ignored(entry.path, entry.kind == "dir")
