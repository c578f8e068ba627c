"""What of a remote directory has to be fetched, so that a local one has it, and what has to go here."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from ftpsvc.confine import Directory
from ftpsvc.exceptions import (
    DirectoryNotEmpty,
    FtpsvcError,
    InvalidPath,
    IsADirectory,
    NotADirectory,
    NotAFile,
)
from ftpsvc.paths import check_name, twin_key
from ftpsvc_client import parts
from ftpsvc_client.compare import same_mode, same_time
from ftpsvc_client.download_tree import FOLDS_CASE
from ftpsvc_client.local import digest_of, local_error
from ftpsvc_client.local_tree import Ignored
from ftpsvc_client.results import Action, Problem, RemoteEntry, TreeReport


@dataclass
class Download:
    """The plan of a download.

    Attributes:
        root: The target; None where it is missing, and not to be made.
        local: The target, for people.
        algorithm: For `checksum`.
        checksum: Whether the digest shows that a file need not be fetched, and not size and time.
        replace: Whether what is of another kind at the target is removed; else it is a problem.
        dry_run: Whether nothing is to be changed.
        ignored: What is left out.
        told: Is told of each action.
        report: Problems, and what is there already.
        seen: Relative paths of all that the source has, also what is not fetched.
        whole: Whether all of the source was listed: what was not must not be taken for deleted.
    """

    root: Directory | None
    local: str
    algorithm: str
    checksum: bool
    replace: bool
    dry_run: bool
    ignored: Ignored | None
    told: Callable[[Action], object]
    report: TreeReport = field(default_factory=TreeReport)
    seen: set[str] = field(default_factory=set)
    whole: bool = True
    _left_out: set[str] = field(default_factory=set)
    _folders: set[str] = field(default_factory=set)

    def is_needed(self, entry: RemoteEntry, names: tuple[str, ...]) -> bool:
        """Returns whether something of the source has to be made or fetched here.

        Raises:
            FtpsvcError: It cannot be, or what is here cannot be looked at.
        """
        key = _key("/".join(names))
        self.seen.add(key)
        if entry.kind == "dir":
            self._folders.add(key)
        if entry.kind not in ("file", "dir"):
            return True  # to be noted as left out
        path = os.path.join(self.local, *names)
        try:
            here = self._look(names)
            if here is not None and (stat.S_ISDIR(here.st_mode), stat.S_ISREG(here.st_mode)) != (
                entry.kind == "dir",
                entry.kind == "file",
            ):
                if not self.replace:
                    raise _in_the_way(entry, here, path)
                self._remove(names)
                here = None
            if entry.kind == "dir":
                if here is None:
                    self.told(Action("mkdir", "/".join(names)))
                return True
            if here is None or not self._is_same(entry, names, here):
                self.told(Action("get", "/".join(names), entry.size))
                return True
            self.report.present += 1
            if not same_mode(entry.mode, here):
                self._set_mode(names, here, entry.mode or 0)
        except OSError as error:
            raise local_error(error, path) from None
        return False

    def is_left_out(self, entry: RemoteEntry) -> bool:
        """Returns whether the filter leaves something out, by itself or with the directory that it is in."""
        path = entry.path
        if self.ignored is None:
            return False
        if path.rpartition("/")[0] in self._left_out or self.ignored(path, entry.kind == "dir"):
            self._left_out.add(path)
            return True
        return False

    def delete(self) -> int:
        """Removes what the source does not have, and returns how many names that were."""
        if self.root is None:
            return 0
        return sum(1 for _ in self._extra(self.root, ()))

    def _extra(self, folder: Directory, names: tuple[str, ...]) -> Iterator[str]:
        try:
            with folder.scan() as found:
                entries = sorted((entry.name, entry.is_dir(follow_symlinks=False)) for entry in found)
        except OSError as error:
            self._problem(names, error)
            return
        for name, is_folder in entries:
            path = "/".join((*names, _normal(name)))
            if parts.is_hidden(name) or (self.ignored is not None and self.ignored(path, is_folder)):
                continue
            try:
                key = _key(path)
                known = key in self.seen
                if known and key not in self._folders:
                    continue  # where the source has a link, nobody has looked at what it leads to
                if is_folder and (known or self._holds_left_out(folder, name, path)):
                    with folder.directory(os.fsencode(name) if folder.fd is not None else name) as below:
                        yield from self._extra(below, (*names, name))
                elif not known:
                    self.told(Action("delete", path))
                    if not self.dry_run:
                        folder.remove_tree(os.fsencode(name) if folder.fd is not None else name)
                    yield path
            except OSError as error:
                self._problem((*names, name), error)

    def _holds_left_out(self, folder: Directory, name: str, path: str) -> bool:
        """Returns whether something that is left out lies beneath a directory: it has to stay then."""
        if self.ignored is None:
            return False
        with (
            folder.directory(os.fsencode(name) if folder.fd is not None else name) as below,
            below.scan() as found,
        ):
            entries = [(entry.name, entry.is_dir(follow_symlinks=False)) for entry in found]
            for inner, is_folder in entries:
                inside = f"{path}/{_normal(inner)}"
                if self.ignored(inside, is_folder) or (
                    is_folder and self._holds_left_out(below, inner, inside)
                ):
                    return True
        return False

    def _problem(self, names: tuple[str, ...], error: OSError) -> None:
        path = os.path.join(self.local, *names)
        self.report.problems.append(Problem(path, local_error(error, path)))

    def _look(self, names: tuple[str, ...]) -> os.stat_result | None:
        if self.root is None:
            return None
        try:
            with self.root.walk(names[:-1]) as folder:
                return folder.lstat(names[-1])
        except (FileNotFoundError, NotADirectoryError):
            return None

    def _is_same(self, entry: RemoteEntry, names: tuple[str, ...], here: os.stat_result) -> bool:
        if entry.size != here.st_size:
            return False
        if not self.checksum:
            return same_time(entry.modified, here)
        if entry.digest is None or entry.algorithm != self.algorithm or self.root is None:
            return False
        with self.root.walk(names[:-1]) as folder:
            return digest_of(folder, names[-1], self.algorithm) == entry.digest

    def _remove(self, names: tuple[str, ...]) -> None:
        if self.root is None:
            return
        with self.root.walk(names[:-1]) as folder:
            is_folder = stat.S_ISDIR(folder.lstat(names[-1]).st_mode)
            if is_folder and self._holds_left_out(folder, names[-1], "/".join(names)):
                raise DirectoryNotEmpty(os.path.join(self.local, *names))
            self.told(Action("delete", "/".join(names)))
            if not self.dry_run:
                folder.remove_tree(names[-1])

    def _set_mode(self, names: tuple[str, ...], here: os.stat_result, mode: int) -> None:
        self.told(Action("mode", "/".join(names)))
        if self.root is None or self.dry_run:
            return
        now = stat.S_IMODE(here.st_mode)
        with self.root.walk(names[:-1]) as folder:
            descriptor = folder.open_file(names[-1])
            try:
                os.fchmod(descriptor, now | (now & 0o444) >> 2 if mode & 0o100 else now & ~0o111)
            finally:
                os.close(descriptor)


def _in_the_way(entry: RemoteEntry, here: os.stat_result, path: str) -> FtpsvcError:
    if entry.kind == "dir":
        return NotADirectory(path)
    return IsADirectory(path) if stat.S_ISDIR(here.st_mode) else NotAFile(path)


def _normal(name: str) -> str:
    """Returns a local name as the server would call it; one that it could not have stays as it is."""
    try:
        return check_name(name)
    except InvalidPath:
        return name


def _key(path: str) -> str:
    return twin_key(path) if FOLDS_CASE else path
