"""Digests recorded beside the files: what is in a record, and where it is kept (docs/storage.md section 4)."""

from __future__ import annotations

import errno
import itertools
import os
import struct
from abc import ABC, abstractmethod
from contextlib import suppress
from dataclasses import dataclass
from typing import Final, Self

from ftpsvc.confine import Directory, Staged
from ftpsvc.confine.base import READ_FLAGS
from ftpsvc.digests import LENGTHS
from ftpsvc.storage.base import Digest

ATTRIBUTE: Final = "user.ftpsvc.digest"
"""The extended attribute. Record and name together fit into an ext4 inode of 256 bytes; four bytes more would cost each
file a block of its own."""

_FORMAT: Final = 1
_HEAD: Final = struct.Struct(">BBqQ")  # format, algorithm and flag, mtime in ns, size
_STORED: Final = 0x80
_NUMBERS: Final = {"blake3": 1, "sha256": 2, "md5": 3}  # for ever: they are on disks
_NAMES: Final = {number: name for name, number in _NUMBERS.items()}
_MAX_BYTES: Final = 256


@dataclass(frozen=True, slots=True)
class Record:
    """A digest, and the size and mtime of the file when it was true.

    Attributes:
        digest: Algorithm and value.
        size: Bytes.
        modified: mtime in nanoseconds since 1970 UTC.
        stored: True when it was verified at the upload, False when it was computed later from the file.
    """

    digest: Digest
    size: int
    modified: int
    stored: bool

    def encode(self) -> bytes:
        """Returns the bytes that are kept."""
        return encode(self.digest, self.size, self.modified, stored=self.stored)

    @classmethod
    def decode(cls, data: bytes) -> Self | None:
        """Returns a record, or None for what is none (of another version, cut off, or not ours)."""
        if len(data) < _HEAD.size:
            return None
        version, kind, modified, size = _HEAD.unpack_from(data)
        algorithm = _NAMES.get(kind & ~_STORED)
        value = data[_HEAD.size :].hex()
        if version != _FORMAT or algorithm is None or len(value) != LENGTHS[algorithm]:
            return None
        return cls(Digest(algorithm, value), size, modified, bool(kind & _STORED))

    def fits(self, info: os.stat_result) -> bool:
        """Returns whether the file is still what the record is about, as far as size and mtime tell."""
        return self.size == info.st_size and self.modified == info.st_mtime_ns


def encode(digest: Digest, size: int, modified: int, *, stored: bool) -> bytes:
    """Returns the bytes of a record; see `Record` for the meaning of each part."""
    kind = _NUMBERS[digest.algorithm] | (_STORED if stored else 0)
    return _HEAD.pack(_FORMAT, kind, modified, size) + bytes.fromhex(digest.value)


class Records(ABC):
    """Where the records of a volume are kept."""

    @abstractmethod
    def attach(self, staged: Staged, info: os.stat_result, record: bytes) -> None:
        """Gives a staged file its record, as durable as the file itself will be. Raises OSError."""

    @abstractmethod
    def read(self, fd: int, info: os.stat_result) -> Record | None:
        """Returns the record of an open file if there is one that fits."""

    @abstractmethod
    def find(self, directory: Directory, name: bytes, info: os.stat_result) -> Record | None:
        """Returns the record of a regular file in a directory if there is one that fits."""

    @abstractmethod
    def keep(self, fd: int, info: os.stat_result, record: bytes) -> None:
        """Gives an open file a record, where that is possible; a failure costs no more than hashing once more."""

    @abstractmethod
    def forget(self, info: os.stat_result) -> None:
        """Notes that a file with this `lstat` is about to go."""

    @abstractmethod
    def close(self) -> None:
        """Gives back what is open."""


class AttributeRecords(Records):
    """Records in an extended attribute of each file: they move, and go, with it."""

    def __init__(self, *, writable: bool) -> None:
        """Takes whether records may be added."""
        self._writable = writable

    def attach(self, staged: Staged, info: os.stat_result, record: bytes) -> None:
        staged.set_attribute(ATTRIBUTE, record)

    def read(self, fd: int, info: os.stat_result) -> Record | None:
        try:
            record = Record.decode(os.getxattr(fd, ATTRIBUTE))
        except OSError:  # none there, or not readable: a file without a record is nothing special
            return None
        return record if record is not None and record.fits(info) else None

    def find(self, directory: Directory, name: bytes, info: os.stat_result) -> Record | None:
        # By descriptor, since Python's getxattr takes no dir_fd. The cheap flags of confine, without its fstat:
        # whatever is opened here, a record counts only when it fits what lstat said.
        try:
            fd = os.open(name, READ_FLAGS, dir_fd=directory.fd)
        except OSError:
            return None
        try:
            return self.read(fd, info)
        finally:
            os.close(fd)

    def keep(self, fd: int, info: os.stat_result, record: bytes) -> None:
        if self._writable:
            with suppress(OSError):
                os.setxattr(fd, ATTRIBUTE, record)

    def forget(self, info: os.stat_result) -> None:
        pass

    def close(self) -> None:
        pass


class SidecarRecords(Records):
    """Records in files of a hidden folder, named by inode, for systems without extended attributes.

    A file that was replaced by hand may inherit the number, and so the record, of one that was removed by hand, if size
    and mtime are equal to the nanosecond as well. What ftpsvc itself removes or replaces takes its record along.
    """

    def __init__(self, folder: Directory, staging: Directory | None, *, durable: bool) -> None:
        """Takes what it works with.

        Args:
            folder: Where the records are; `close` closes it.
            staging: A folder on the same file system for records being written, or None when none may be.
            durable: Whether records are synced.
        """
        self._folder = folder
        self._staging = staging
        self._durable = durable
        self._numbers = itertools.count()

    def attach(self, staged: Staged, info: os.stat_result, record: bytes) -> None:
        self._write(info, record)

    def read(self, fd: int, info: os.stat_result) -> Record | None:
        try:
            side = self._folder.open_file(_side_name(info))
        except OSError:
            return None
        try:
            record = Record.decode(os.read(side, _MAX_BYTES))
        except OSError:
            return None
        finally:
            os.close(side)
        return record if record is not None and record.fits(info) else None

    def find(self, directory: Directory, name: bytes, info: os.stat_result) -> Record | None:
        return self.read(-1, info)

    def keep(self, fd: int, info: os.stat_result, record: bytes) -> None:
        with suppress(OSError):
            self._write(info, record)

    def forget(self, info: os.stat_result) -> None:
        with suppress(OSError):
            self._folder.unlink(_side_name(info))

    def close(self) -> None:
        self._folder.close()

    def _write(self, info: os.stat_result, record: bytes) -> None:
        if self._staging is None:
            return
        with self._staging.stage(b"record-%x" % next(self._numbers)) as side:
            side.write(record)
            if self._durable:
                side.sync()
            side.publish(self._folder, _side_name(info))
        if self._durable:
            self._folder.sync()


class NoRecords(Records):
    """No records: a volume that is only read, on a system without extended attributes and without sidecars."""

    def attach(self, staged: Staged, info: os.stat_result, record: bytes) -> None:
        pass

    def read(self, fd: int, info: os.stat_result) -> Record | None:
        return None

    def find(self, directory: Directory, name: bytes, info: os.stat_result) -> Record | None:
        return None

    def keep(self, fd: int, info: os.stat_result, record: bytes) -> None:
        pass

    def forget(self, info: os.stat_result) -> None:
        pass

    def close(self) -> None:
        pass


def attributes_work(folder: Directory, *, writable: bool) -> bool:
    """Returns whether files beneath an open directory can have extended attributes; tries it on the directory.

    Raises:
        OSError: The disk failed in some other way.
    """
    if not hasattr(os, "setxattr") or folder.fd is None:  # Python has them on Linux only
        return False
    try:
        if writable:
            os.setxattr(folder.fd, ATTRIBUTE, b"")
            os.removexattr(folder.fd, ATTRIBUTE)
        else:
            os.getxattr(folder.fd, ATTRIBUTE)
    except OSError as problem:
        if problem.errno in (errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS):
            return False
        # A disk that is full has them as well: what is there can be read, and room be made.
        if problem.errno not in (errno.ENODATA, errno.ENOSPC, errno.EDQUOT):
            raise
    return True


def _side_name(info: os.stat_result) -> bytes:
    return b"%x" % info.st_ino
