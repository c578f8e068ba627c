r"""What was handed in, as one number that standard tools can make too.

    cd hw3 && LC_ALL=C find . -type f -printf '%P\0' | LC_ALL=C sort -z | xargs -0 sha256sum | sha256sum

prints the tree digest of a folder: the SHA-256 of the lines that `sha256sum` prints for its files, in the order of the
bytes of their paths. Source: docs/receipts.md section 2.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

from ftpsvc.exceptions import InvalidPath
from ftpsvc.paths import MAX_PATH_BYTES, RemotePath

MAX_PATH: Final = MAX_PATH_BYTES - 512
"""Longest path of a file in bytes: on the server it stands behind `/submissions/ID/incoming/`."""


class File(NamedTuple):
    """One file of a hand-in.

    Attributes:
        path: Relative, `/` between components, NFC.
        size: Length in bytes.
        sha256: Of its content, 64 lower-case hex digits.
    """

    path: str
    size: int
    sha256: str


def checked_path(text: str) -> str:
    """Returns the path of a file in a hand-in in NFC, or refuses it.

    No backslash and no control character is ever in one, so `sha256sum` prints it as it is.

    Raises:
        InvalidPath: It is absolute, leaves its folder, or breaks a rule of docs/protocol.md section 4.
    """
    if text.startswith("/"):
        raise InvalidPath(text, "it is not relative")
    path = RemotePath.parse(text)
    if path.is_root or len(str(path).encode()) > MAX_PATH:
        raise InvalidPath(text, "it names no file" if path.is_root else f"it is longer than {MAX_PATH} bytes")
    return str(path)[1:]


def in_order(files: Iterable[File]) -> list[File]:
    """Returns files in the order of the bytes of their paths, as `LC_ALL=C sort` has it."""
    return sorted(files, key=lambda file: file.path.encode())


def checksums(files: Iterable[File]) -> str:
    """Returns what `sha256sum` prints for the files, which is also what `sha256sum --check` reads."""
    return "".join(f"{file.sha256}  {file.path}\n" for file in in_order(files))


def tree_sha256(files: Iterable[File]) -> str:
    """Returns the tree digest, 64 lower-case hex digits."""
    return hashlib.sha256(checksums(files).encode()).hexdigest()


def collisions(files: Sequence[File]) -> list[str]:
    """Returns what is wrong with files as a whole, a sentence each: paths that come twice, or lie in a file."""
    paths: set[str] = set()
    faults: list[str] = []
    for file in files:
        if file.path in paths:
            faults.append(f"{file.path}: is named twice")
        paths.add(file.path)
    for path in sorted(paths):
        parts = path.split("/")
        above = ("/".join(parts[:end]) for end in range(1, len(parts)))
        faults += [f"{path}: {folder} is a file" for folder in above if folder in paths]
    return faults
