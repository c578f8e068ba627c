"""Local files as the client sees them: what is there, what is in it, and what the disk refuses."""

from __future__ import annotations

import errno
import os
import stat

from ftpsvc import digests
from ftpsvc.confine import Directory
from ftpsvc.exceptions import (
    AlreadyExists,
    FtpsvcError,
    InvalidPath,
    IsADirectory,
    NoSpace,
    NotADirectory,
    NotAFile,
    NotFound,
    PermissionDenied,
    Unavailable,
)

_BUFFER = 1 << 20


def local_error(error: OSError, path: str) -> FtpsvcError:
    """Returns the error class for what the local disk refused, with the path as the user knows it."""
    match error.errno:
        case errno.ENOENT:
            return missing(path)
        case errno.EEXIST:
            return AlreadyExists(path)
        case errno.EISDIR:
            return IsADirectory(path)
        case errno.ENOTDIR:
            return NotADirectory(path)
        case errno.ELOOP | errno.EXDEV:
            return NotAFile(path)
        case errno.ENOSPC | errno.EDQUOT:
            return NoSpace(path)
        case errno.EACCES | errno.EPERM | errno.EROFS:
            return PermissionDenied(error.strerror or "permission denied", path)
        case _:
            failed = Unavailable(path, error.strerror or str(error))
            failed.retry = False  # a server may get well again by itself, this disk will not
            return failed


def missing(path: str) -> FtpsvcError:
    """Returns the error for a local path where nothing is; an empty one (a variable that is unset) is told as that."""
    return NotFound(path) if path else InvalidPath(path, "it is empty")


def existing_file(folder: Directory, name: str, path: str) -> os.stat_result | None:
    """Returns what a regular file under that name is, or None where nothing is.

    Raises:
        IsADirectory, NotAFile: Something else is there, which no download replaces.
        FtpsvcError: The directory cannot be read.
    """
    try:
        info = folder.lstat(name)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise local_error(error, path) from None
    if stat.S_ISDIR(info.st_mode):
        raise IsADirectory(path)
    if not stat.S_ISREG(info.st_mode):
        raise NotAFile(path)
    return info


def digest_of(folder: Directory, name: str, algorithm: str) -> str:
    """Returns the digest of a local file, lower-case hex.

    Raises:
        OSError: It cannot be read.
    """
    hasher = digests.new(algorithm)
    with os.fdopen(folder.open_file(name), "rb", buffering=0) as file:
        buffer = memoryview(bytearray(_BUFFER))
        while count := file.readinto(buffer):
            hasher.update(buffer[:count])
    return hasher.hexdigest()
