"""The strong way: a walk from an open directory, one component at a time, that no link and no mount can lead astray.

Each step is `openat(parent, name, O_DIRECTORY|O_NOFOLLOW)` and a check of the device, so what was opened is beneath
the root whatever is renamed or swapped meanwhile: there is no moment between a check and a use.
"""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path
from typing import Final

from ftpsvc.confine.base import READ_FLAGS, Directory, Found, Name, check_component, error

# The second line is for type checkers and imports on Windows, where this class is never made.
_DIRECTORY_FLAGS: Final = os.O_RDONLY | getattr(os, "O_DIRECTORY", 0) | getattr(os, "O_NOFOLLOW", 0)
_ROOT_FLAGS: Final = os.O_RDONLY | getattr(os, "O_DIRECTORY", 0)

# What open answers to a socket, to a device without a driver, and on some BSDs to a link under O_NOFOLLOW.
_NOT_OPENED: Final = frozenset({errno.ENXIO, errno.EOPNOTSUPP, errno.ENODEV, errno.EMLINK})


class PosixDirectory(Directory):
    """A directory by its descriptor, on the device of its root."""

    __slots__ = ("_device", "_lent")

    fd: int

    def __init__(self, fd: int, device: int, inode: int | None, *, lent: bool = False) -> None:
        self.fd = fd
        self.inode = inode
        self._device = device
        self._lent = lent  # the descriptor is another handle's, and not to be closed by this one

    def _spell(self, name: Name) -> Name:
        check_component(name)
        return name

    def directory(self, name: Name) -> PosixDirectory:
        check_component(name)
        fd = os.open(name, _DIRECTORY_FLAGS, dir_fd=self.fd)
        try:
            info = os.fstat(fd)
            if info.st_dev != self._device:
                raise error(errno.EXDEV)
        except BaseException:
            os.close(fd)
            raise
        return PosixDirectory(fd, self._device, info.st_ino)

    def open_file(self, name: Name) -> int:
        check_component(name)
        try:
            fd = os.open(name, READ_FLAGS, dir_fd=self.fd)
        except OSError as problem:
            if problem.errno in _NOT_OPENED:
                raise error(errno.ELOOP) from None
            raise
        try:
            info = os.fstat(fd)
            if not stat.S_ISREG(info.st_mode):
                raise error(errno.EISDIR if stat.S_ISDIR(info.st_mode) else errno.ELOOP)
            if info.st_dev != self._device:
                raise error(errno.EXDEV)
        except BaseException:
            os.close(fd)
            raise
        return fd

    def scan(self) -> Found:
        return os.scandir(self.fd)

    def sync(self) -> None:
        os.fsync(self.fd)

    def foreign(self, info: os.stat_result) -> bool:
        return info.st_dev != self._device

    def close(self) -> None:
        if self.fd >= 0:
            fd, self.fd = self.fd, -1
            if not self._lent:
                os.close(fd)

    def _again(self) -> PosixDirectory:
        return PosixDirectory(self.fd, self._device, self.inode, lent=True)


class PosixRoot(PosixDirectory):
    """The directory where walks begin. Links in its own path are followed: it is the operator's or user's choice."""

    __slots__ = ()

    def __init__(self, path: str | bytes | Path) -> None:
        fd = os.open(path, _ROOT_FLAGS)
        info = os.fstat(fd)
        super().__init__(fd, info.st_dev, info.st_ino)
