"""The fallback, for systems without descriptors of directories (the client on Windows): paths, checked before each use.

What it guarantees: no name reaches outside by its text (`..`, a drive, a stream, a device name), and no link, junction
or other stand-in **that is there when a call begins** is followed, neither on the way nor at the end. What it does not:
a process on the same machine that swaps a directory for a link between the check and the use, some microseconds,
is not found out. A server cannot do that: it gives names, and nothing here makes a link from a name. Against
a hostile local user on Windows, save into a directory that only you can write to.
"""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path
from typing import Final

from ftpsvc.confine.base import READ_FLAGS, Directory, Found, Name, check_component, error
from ftpsvc.exceptions import InvalidPath
from ftpsvc.paths import portability_problem

# The bit of a reparse tag that says "stands for another place": symbolic links and junctions (mount points) have it,
# files that a cloud drive has not fetched yet do not, and many students' documents are such files.
_NAME_SURROGATE: Final = 0x2000_0000


def is_stand_in(info: os.stat_result) -> bool:
    """Returns whether what `lstat` says of an entry is a link, a junction or any other name for another place."""
    return stat.S_ISLNK(info.st_mode) or bool(getattr(info, "st_reparse_tag", 0) & _NAME_SURROGATE)


class CheckedDirectory(Directory):
    """A directory by the components that lead to it from a root; each is looked at again before every use."""

    __slots__ = ("_device", "_names", "_top")

    fd: None
    inode: None

    def __init__(self, top: str, names: tuple[str, ...], device: int) -> None:
        self.fd = None
        self.inode = None
        self._top = top
        self._names = names
        self._device = device

    def _spell(self, name: Name) -> str:
        text = _checked_name(name)
        self._check()
        return os.path.join(self._top, *self._names, text)

    def _check(self) -> None:
        """Looks at every component from the root down, so that a link that appeared is not walked through."""
        path = self._top
        for name in self._names:
            path = os.path.join(path, name)
            self._check_directory(os.lstat(path))

    def _check_directory(self, info: os.stat_result) -> None:
        if is_stand_in(info) or not stat.S_ISDIR(info.st_mode):
            raise error(errno.ENOTDIR)
        if self.foreign(info):
            raise error(errno.EXDEV)

    def directory(self, name: Name) -> CheckedDirectory:
        path = self._spell(name)
        self._check_directory(os.lstat(path))
        return CheckedDirectory(self._top, (*self._names, _checked_name(name)), self._device)

    def open_file(self, name: Name) -> int:
        path = self._spell(name)
        self._check_file(os.lstat(path))
        fd = os.open(path, READ_FLAGS)
        try:
            self._check_file(os.fstat(fd))
        except BaseException:
            os.close(fd)
            raise
        return fd

    def _check_file(self, info: os.stat_result) -> None:
        if is_stand_in(info) or not stat.S_ISREG(info.st_mode):
            raise error(errno.EISDIR if stat.S_ISDIR(info.st_mode) and not is_stand_in(info) else errno.ELOOP)
        if self.foreign(info):
            raise error(errno.EXDEV)

    def scan(self) -> Found:
        self._check()
        return os.scandir(os.path.join(self._top, *self._names))

    def sync(self) -> None:
        """Does nothing: Windows has no fsync for directories, and the client promises no durability there."""

    def foreign(self, info: os.stat_result) -> bool:
        return info.st_dev != self._device

    def close(self) -> None:
        """Does nothing: there is no descriptor."""

    def _again(self) -> CheckedDirectory:
        return self


class CheckedRoot(CheckedDirectory):
    """The directory where walks begin. Links in its own path are followed: it is the user's choice."""

    __slots__ = ()

    def __init__(self, path: str | bytes | Path) -> None:
        top = os.path.realpath(os.fsdecode(path))
        info = os.stat(top)
        if not stat.S_ISDIR(info.st_mode):
            raise error(errno.ENOTDIR)
        super().__init__(top, (), info.st_dev)


def _checked_name(name: Name) -> str:
    r"""Returns a component as text, or refuses what Windows would take for something else.

    `C:x` would replace all that it is joined to, `a:b` is a stream of `a`, `nul` a device in every directory.
    """
    check_component(name)
    text = os.fsdecode(name)
    if problem := portability_problem(text):
        raise InvalidPath(text, problem)
    return text
