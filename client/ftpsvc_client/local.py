"""The local side of a download: a file appears under its name whole, or not at all."""

from __future__ import annotations

import errno
import os
import secrets
import stat

from ftpsvc import digests
from ftpsvc.confine import Directory, Staged
from ftpsvc.exceptions import (
    AlreadyExists,
    FtpsvcError,
    IsADirectory,
    NoSpace,
    NotADirectory,
    NotAFile,
    NotFound,
    PermissionDenied,
    Unavailable,
)

_BUFFER = 1 << 20
_EXECUTABLE = 0o100


def local_error(error: OSError, path: str) -> FtpsvcError:
    """Returns the error class for what the local disk refused, with the path as the user knows it."""
    match error.errno:
        case errno.ENOENT:
            return NotFound(path)
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
            return Unavailable(path, error.strerror or str(error))


class Saving:
    """A download on its way to the disk. A context manager: leaving it without `keep` drops what was written."""

    def __init__(self, folder: Directory, name: str, *, mode: int | None) -> None:
        """Makes a temporary file beside the target.

        Args:
            folder: The directory of the target; must stay open as long.
            name: The name that the file will have.
            mode: Permission bits of the original; of these only the owner's executable bit is taken, since the
                rest is the umask's. None is not executable.

        Raises:
            OSError: The directory cannot be written to.
        """
        self._folder = folder
        self._name = name
        allowed = 0o777 if mode is not None and mode & _EXECUTABLE else 0o666
        self._staged: Staged = folder.stage(f".ftpsvc-{secrets.token_hex(6)}.part", allowed)
        self.write = self._staged.write

    def keep(self, *, modified: int | None, clobber: bool) -> None:
        """Gives the file its name.

        Args:
            modified: mtime to set, nanoseconds since 1970 UTC, or None.
            clobber: Whether a file of that name may be replaced.

        Raises:
            OSError: EEXIST where the name is taken and `clobber` is False; nothing was changed.
        """
        if modified is not None:
            self._staged.set_modified(modified)
        self._staged.publish(self._folder, self._name, clobber=clobber)

    def __enter__(self) -> Saving:
        return self

    def __exit__(self, *_: object) -> None:
        self._staged.discard()


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
