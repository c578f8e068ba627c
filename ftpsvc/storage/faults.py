"""The one table from what a disk answers to the errors of ftpsvc; always with the remote path, never a real one."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from ftpsvc.exceptions import (
    AlreadyExists,
    Busy,
    DirectoryNotEmpty,
    FtpsvcError,
    InvalidPath,
    InvalidRequest,
    IsADirectory,
    NoSpace,
    NotADirectory,
    NotAFile,
    NotFound,
    PermissionDenied,
    Unavailable,
)
from ftpsvc.paths import RemotePath
from ftpsvc.text import printable

OTHER_FILE_SYSTEM: Final = "another file system is mounted here, which is not served"
READ_ONLY: Final = "this folder is read-only"
RESERVED: Final = "this name is reserved for the server"

_NOT_ALLOWED: Final = "the server's own rights do not allow it"
_NOT_HELD: Final = "the server's file system cannot hold this name"

_TABLE: Final[dict[int, Callable[[str], FtpsvcError]]] = {
    errno.ENOENT: NotFound,
    errno.EEXIST: AlreadyExists,
    errno.EISDIR: IsADirectory,
    errno.ENOTDIR: NotADirectory,
    errno.ENOTEMPTY: DirectoryNotEmpty,
    errno.ELOOP: NotAFile,
    errno.ENOSPC: NoSpace,
    errno.EDQUOT: NoSpace,
    errno.EBUSY: lambda path: Busy(path, "is in use on the server"),
    errno.EACCES: lambda path: PermissionDenied(_NOT_ALLOWED, path),
    errno.EPERM: lambda path: PermissionDenied(_NOT_ALLOWED, path),
    errno.EROFS: lambda path: PermissionDenied("the server's disk is read-only", path),
    errno.EXDEV: lambda path: PermissionDenied(OTHER_FILE_SYSTEM, path),
    # A name that RemotePath allows and this disk does not: VFAT's characters, ZFS' utf8only, eCryptfs' 143 bytes.
    errno.ENAMETOOLONG: lambda path: InvalidPath(path, _NOT_HELD),
    errno.EILSEQ: lambda path: InvalidPath(path, _NOT_HELD),
    errno.EINVAL: lambda path: InvalidPath(path, _NOT_HELD),
    errno.EMFILE: lambda path: Unavailable(path, "the server has too many files open"),
    errno.ENFILE: lambda path: Unavailable(path, "the server has too many files open"),
    errno.ENOMEM: lambda path: Unavailable(path, "the server is short of memory"),
    errno.EFBIG: lambda path: Unavailable(path, "the file is larger than the server's file system can hold"),
}


def storage_error(problem: OSError, path: RemotePath) -> FtpsvcError:
    """Returns the error of ftpsvc for what the disk answered about `path`."""
    make = _TABLE.get(problem.errno or 0)
    if make is not None:
        return make(str(path))
    # strerror only: the text of an OSError has a real name in it.
    return Unavailable(str(path), f"the server's disk failed: {os.strerror(problem.errno or errno.EIO)}")


def wrong_length(path: RemotePath, announced: int, written: int) -> FtpsvcError:
    """Returns the error for an upload of another length than was announced."""
    came = "more" if written > announced else f"{written}"
    return InvalidRequest(f"{printable(str(path))}: {announced} bytes were announced and {came} came")


@contextmanager
def translated(path: RemotePath) -> Iterator[None]:
    """Turns what the disk raises in a block into the error of ftpsvc about `path`."""
    try:
        yield
    except OSError as problem:
        raise storage_error(problem, path) from problem
