"""The one door to a disk: every file and directory that a peer can name is reached through here.

The server's storage and the client's saving of trees both use it (invariant 4 of docs/design.md; the guarantees
are spelled out in docs/storage.md). `open_root` opens a directory, and everything beneath it is named by single
components, never by a joined string:

    with open_root(target) as root:
        root.make_directories(names[:-1])
        with root.walk(names[:-1]) as folder, folder.stage(names[-1] + ".part") as staged:
            staged.write(data)
            staged.set_modified(modified)
            staged.sync()
            staged.publish(folder, names[-1], clobber=False)
            folder.sync()

Everything here raises `OSError` with the errno of the system (and `InvalidPath` for what is no single component): the
callers know how to speak of a name, this package does not. A link where a directory or a file was expected is ENOTDIR
or ELOOP, another file system is EXDEV, and what is neither a regular file nor a directory is ELOOP too.
"""

from __future__ import annotations

import os
from pathlib import Path

from ftpsvc.confine.base import Directory, Name, Removed, Staged
from ftpsvc.confine.checked import CheckedRoot
from ftpsvc.confine.posix import PosixRoot

__all__ = [
    "CheckedRoot",
    "Directory",
    "Name",
    "PosixRoot",
    "Removed",
    "Staged",
    "open_root",
    "walks_on_descriptors",
]


_NEEDED = {os.open, os.stat, os.mkdir, os.rmdir, os.unlink, os.rename, os.link}
_WALKS = os.supports_dir_fd >= _NEEDED and os.scandir in os.supports_fd and hasattr(os, "O_NOFOLLOW")


def walks_on_descriptors() -> bool:
    """Returns whether this system has what `PosixRoot` needs; else `CheckedRoot` is all there is (Windows)."""
    return _WALKS


def open_root(path: str | bytes | Path) -> Directory:
    """Opens a directory whose content is to be reached, by the strongest means that this system has.

    Args:
        path: The directory. It is the user's own choice, so links in this path are followed.

    Returns:
        The directory; the caller closes it.

    Raises:
        OSError: It is missing, no directory, or may not be read.
    """
    return PosixRoot(path) if walks_on_descriptors() else CheckedRoot(path)
