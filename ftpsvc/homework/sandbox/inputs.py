"""What a job is given, as open descriptors: bwrap copies from them, so the sandbox's uid needs no way to the files.

A hand-in lies where only the server may look, and the sandbox runs as somebody else. Descriptors lead there without
a path, without a copy on the disk that a killed grader would leave, and without following a link of the hand-in.
"""

from __future__ import annotations

import fcntl
import os
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Final

from ftpsvc.homework.sandbox.base import MAX_FILES, SandboxError
from ftpsvc.text import printable

_SEALS: Final = fcntl.F_SEAL_SEAL | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_WRITE
_READ: Final = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY


@dataclass
class Inputs:
    """Descriptors that are open for one job; `opened` closes them.

    Attributes:
        folders: Folders of the hand-in, each after the one that it is in.
        copies: Files of the hand-in: name, descriptor, whether it may be executed.
        fixed: Further files: name, descriptor.
        size: Bytes of the hand-in's files.
        stdin: What the program reads.
    """

    folders: list[str] = field(default_factory=list)
    copies: list[tuple[str, int, bool]] = field(default_factory=list)
    fixed: list[tuple[str, int]] = field(default_factory=list)
    size: int = 0
    stdin: int = -1

    @property
    def descriptors(self) -> list[int]:
        """All but `stdin`."""
        return [one for _, one, _ in self.copies] + [one for _, one in self.fixed]


@contextmanager
def opened(folder: Path | None, files: Mapping[str, bytes | Path], stdin: bytes | Path) -> Iterator[Inputs]:
    """Opens all that a job is given.

    Raises:
        SandboxError: Something is unreadable, or there are more than `MAX_FILES` files.
        ValueError: A name of `files` is none inside the box.
    """
    inputs = Inputs()
    try:
        _check(files)
        try:
            inputs.stdin = _sealed(stdin)
            if folder is not None:
                _walk(folder, files, inputs)
            for name, source in files.items():
                _count(inputs)
                inputs.fixed.append((name, _sealed(source)))
        except OSError as error:
            where = printable(str(error.filename)) if error.filename else "a file of the job"
            raise SandboxError(f"cannot read {where}: {error.strerror}") from error
        yield inputs
    finally:
        for descriptor in (*inputs.descriptors, inputs.stdin):
            if descriptor >= 0:
                os.close(descriptor)


def _check(files: Mapping[str, object]) -> None:
    for name in files:
        path = PurePosixPath(name)
        if "\0" in name or path.is_absolute() or ".." in path.parts or str(path) != name or name == ".":
            raise ValueError(f"{name!r} is no name inside the box")


def _count(inputs: Inputs) -> None:
    if len(inputs.copies) + len(inputs.fixed) >= MAX_FILES:
        raise SandboxError(
            f"more than {MAX_FILES} files for one run",
            hint="lower max_files of the assignment, or hand in an archive",
        )


def _sealed(source: bytes | Path) -> int:
    """Returns a descriptor of its content, from the beginning.

    Never one of the file itself: whoever holds that could open it anew for writing, through /proc/self/fd, where the
    sandbox's uid owns the file.
    """
    content = source if isinstance(source, bytes) else source.read_bytes()
    descriptor = os.memfd_create("input", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    try:
        rest = memoryview(content)
        while rest:
            rest = rest[os.write(descriptor, rest) :]
        os.lseek(descriptor, 0, os.SEEK_SET)
        fcntl.fcntl(descriptor, fcntl.F_ADD_SEALS, _SEALS)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def _walk(folder: Path, files: Mapping[str, object], inputs: Inputs) -> None:
    """Opens the hand-in's regular files, but for those that `files` cover."""
    covered = {PurePosixPath(name) for name in files}
    above = {parent for path in covered for parent in path.parents}

    def fail(error: OSError) -> None:
        raise error

    for here, folders, names, descriptor in os.fwalk(folder, onerror=fail, follow_symlinks=False):
        relative = PurePosixPath(os.path.relpath(here, folder))
        for name in list(folders):
            status = os.stat(name, dir_fd=descriptor, follow_symlinks=False)
            if relative / name in covered or not stat.S_ISDIR(status.st_mode):
                folders.remove(name)
            else:
                inputs.folders.append(str(relative / name))
        for name in names:
            if relative / name in covered or relative / name in above:
                continue
            _open(name, descriptor, str(relative / name), inputs)


def _open(name: str, folder: int, relative: str, inputs: Inputs) -> None:
    if not stat.S_ISREG(os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode):
        return
    _count(inputs)
    descriptor = os.open(name, _READ, dir_fd=folder)
    status = os.fstat(descriptor)
    inputs.copies.append((relative, descriptor, bool(status.st_mode & stat.S_IXUSR)))
    if not stat.S_ISREG(
        status.st_mode
    ):  # replaced meanwhile: no version of a hand-in changes, so somebody tries
        raise SandboxError(f"{printable(relative)} of the hand-in changed while it was read")
    inputs.size += status.st_size
