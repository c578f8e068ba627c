"""What changes assignments on the disk: adding, replacing, and giving more time. Each is one step for all who look."""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from ftpsvc.exceptions import ConfigError
from ftpsvc.homework import extensions, model
from ftpsvc.homework.catalog import FOLDER
from ftpsvc.homework.extensions import Extension
from ftpsvc.homework.model import Assignment

_STAGED: Final = ".staged-"
_READY: Final = "ready"


def place(root: Path, folder: Path, *, replace: bool = False) -> tuple[Assignment, Path | None]:
    """Copies an assignment under the root, where it is one from then on.

    Args:
        root: The server's root, which must exist.
        folder: Where the assignment is now; it stays as it is. Links in it are followed: their content is copied.
        replace: Whether to take the place of one with the same id. Its extensions stay.

    Returns:
        The assignment as it is now, and where the one before it was moved to, if there was one.

    Raises:
        AssignmentFaults: It cannot be used; nothing was changed.
        ConfigError: There is one of that id, or it cannot be copied; nothing was changed.
    """
    assignment = model.load(folder)
    top = root / FOLDER
    target = top / assignment.id
    try:
        top.mkdir(mode=0o700, exist_ok=True)
        with locked(top):
            _heal(top)
            if target.exists() and target.resolve() == folder.resolve():
                raise ConfigError(f"{folder} is where {assignment.id} is kept already")
            if target.exists() and not replace:
                raise ConfigError(
                    f"there is an assignment {assignment.id} already",
                    hint="--replace puts this one in its place; hand-ins and extensions stay",
                )
            staged = Path(tempfile.mkdtemp(prefix=_STAGED, dir=top))
            try:
                aside = _swap(root, folder, staged, target)
            finally:
                _heal(top)
    except (OSError, shutil.Error) as error:
        raise ConfigError(f"cannot copy {folder}: {_reason(error)}") from None
    return model.load(target), aside


def heal(root: Path) -> None:
    """Finishes a replacement that was killed between its two steps, and drops what else such a command left.

    Raises:
        ConfigError: That cannot be done.
    """
    top = root / FOLDER
    if not top.is_dir():
        return
    try:
        with locked(top):
            _heal(top)
    except OSError as error:
        raise ConfigError(f"cannot look after {top}: {_reason(error)}") from None


def _heal(top: Path) -> None:
    for staged in top.glob(f"{_STAGED}*"):
        # The one before it is moved aside last of all: then this one is whole, and nothing is in its place.
        for ready in (staged / _READY).glob("*"):
            if not (top / ready.name).exists():
                ready.rename(top / ready.name)
        shutil.rmtree(staged, ignore_errors=True)


def _swap(root: Path, folder: Path, staged: Path, target: Path) -> Path | None:
    """Copies a folder to `staged`, which is in place of `target` then; returns where that one was moved to."""
    copy = staged / target.name
    shutil.copytree(folder, copy)
    replaced = target.exists()
    if replaced and (target / extensions.FILE).exists():
        shutil.copy2(target / extensions.FILE, copy / extensions.FILE)
    model.load(copy)  # what was copied, not what was read before: somebody may be at work on it
    sync(copy)
    if not replaced:
        copy.rename(target)
        _sync_folder(target.parent)
        return None
    stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
    removed = root / ".ftpsvc" / "removed"
    removed.mkdir(mode=0o700, parents=True, exist_ok=True)
    aside = Path(tempfile.mkdtemp(prefix=f"assignment-{target.name}-{stamp}-", dir=removed)) / target.name
    # There is no step that exchanges two folders: whoever finds the place empty and this one ready finishes it.
    ready = staged / _READY / target.name
    ready.parent.mkdir()
    copy.rename(ready)
    _sync_folder(ready.parent)
    _sync_folder(staged)
    _sync_folder(staged.parent)
    target.rename(aside)
    ready.rename(target)
    for changed in (aside.parent, target.parent):
        _sync_folder(changed)
    return aside


def give(assignment: Assignment, given: list[Extension]) -> None:
    """Adds extensions to the end of an assignment's list.

    Raises:
        AssignmentFaults: The list that is there cannot be used. ConfigError: It cannot be written.
            Nothing was changed in both cases.
    """
    file = assignment.folder / extensions.FILE
    try:
        with locked(assignment.folder):
            extensions.load(assignment.folder)  # never add to what nobody can read
            before = file.read_bytes() if file.exists() else b""
            if before and not before.endswith(b"\n"):
                before += b"\n"
            after = before + "".join(extensions.entry(one) for one in given).encode()
            _write(file, after if before else after.lstrip(b"\n"))
    except OSError as error:
        raise ConfigError(f"cannot write {file}: {_reason(error)}") from None


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Lets one process at a time change what is in a folder."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _write(file: Path, data: bytes) -> None:
    descriptor, name = tempfile.mkstemp(prefix=f".{file.name}-", dir=file.parent)
    try:
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        Path(name).replace(file)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
    _sync_folder(file.parent)


def sync(folder: Path) -> None:
    """Has the disk keep a folder with all that is in it."""
    for name, _, files in os.walk(folder):
        for file in files:
            with (Path(name) / file).open("rb") as stream:
                os.fsync(stream.fileno())
        _sync_folder(Path(name))


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _reason(error: OSError | shutil.Error) -> str:
    """Returns what went wrong, the first of it where copying found several things."""
    if isinstance(error, shutil.Error) and error.args and isinstance(error.args[0], list):
        source, _, reason = error.args[0][0]
        return f"{source}: {reason}"
    return error.strerror or str(error)
