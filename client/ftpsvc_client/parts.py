"""A download on its way to the disk: written beside its target, and gone on with after an interruption.

The bytes are in `NAME.part`, and which version of the file they are of in `NAME.part.json` (docs/cli.md, "Resuming").
No extended attributes, so that it works on each file system; and the note beside it is also what tells a part of ours
from somebody's own file of that name, which is never touched. Whoever writes a part holds a lock on it: a second
download of the same file takes another name and shares nothing.

What is not worth resuming is written under a hidden name that nobody else has, without lock and note: those would cost
a small file a tenth of its time. What a killed download leaves of them is removed by a later one that looks into the
directory.
"""

from __future__ import annotations

import contextlib
import json
import os
import time
from typing import BinaryIO, NamedTuple

from ftpsvc.confine import Directory, Staged
from ftpsvc.digests import ALGORITHMS, Hasher
from ftpsvc.exceptions import Changed, FtpsvcError, TransportError

WORTH_RESUMING = 1 << 20
"""Bytes from which a download leaves a part behind: what is smaller is fetched again in less time than asking takes."""

_BUFFER = 1 << 20
_EXECUTABLE = 0o100
_MARK = "ftpsvc-part"
_MAX_NOTE = 4096
_MAX_NAME_BYTES = 255
_STALE_SECONDS = 24 * 3600.0


class Known(NamedTuple):
    """What a part is of.

    Attributes:
        version: The server's token for the content.
        file_size: Length of the whole file in bytes.
        algorithm: What it is verified by.
    """

    version: str
    file_size: int
    algorithm: str


class Saving:
    """A download on its way to the disk. A context manager that holds the part's lock.

    Leaving it without `keep` drops what was written, unless it can be gone on with and the connection, the server or
    the user ended it: then it is left for the next time.

    Attributes:
        offset: Bytes that were there already.
        known: What they are of; None where it cannot be resumed.
    """

    def __init__(
        self, folder: Directory, name: str, staged: Staged, label: str, lock: int | None, known: Known | None
    ) -> None:
        self.known = known
        self.offset = staged.stat().st_size if known is not None else 0
        self.write = staged.write
        self._folder = folder
        self._name = name
        self._staged = staged
        self._label = label
        self._lock = lock
        self._ended = False

    def hash_into(self, hasher: Hasher) -> None:
        """Feeds a hasher with the bytes that are there already.

        Raises:
            OSError: They cannot be read.
        """
        os.lseek(self._staged.fd, 0, os.SEEK_SET)
        left = self.offset
        buffer = memoryview(bytearray(min(_BUFFER, max(1, left))))
        while left:
            piece = os.read(self._staged.fd, min(left, len(buffer)))
            if not piece:
                raise OSError(5, "it became shorter")
            hasher.update(piece)
            left -= len(piece)

    def keep(self, *, modified: int | None, mode: int | None, clobber: bool) -> None:
        """Gives the file its name.

        Args:
            modified: mtime to set, nanoseconds since 1970 UTC, or None.
            mode: Permission bits of the original; of these only the owner's executable bit is taken, since the
                rest is the umask's. None is not executable.
            clobber: Whether a file of that name may be replaced.

        Raises:
            OSError: EEXIST where the name is taken and `clobber` is False; nothing was changed.
            Changed: Somebody else has put another file in place of the part.
        """
        staged = self._staged
        if self.offset:
            _set_executable(staged, mode)
        if modified is not None:
            staged.set_modified(modified)
        if self.known is not None and not _is_still(self._folder, self._label, staged):
            raise Changed(self._label)
        if os.name == "nt":  # no open file is renamed there
            self._unlock()
        staged.publish(self._folder, self._name, clobber=clobber)
        self._ended = True
        if self.known is not None:
            self._forget()

    def __enter__(self) -> Saving:
        return self

    def __exit__(self, kind: object, problem: BaseException | None, trace: object) -> None:
        if not self._ended:
            self._ended = True
            if self.known is not None and problem is not None and _only_interrupts(problem):
                self._staged.leave()
            else:
                if os.name == "nt":
                    self._unlock()
                self._staged.discard()
                if self.known is not None:
                    self._forget()
        self._unlock()

    def _forget(self) -> None:
        with contextlib.suppress(OSError):
            self._folder.unlink(note_of(self._label))

    def _unlock(self) -> None:
        lock, self._lock = self._lock, None
        if lock is not None:
            os.close(lock)


def begin(folder: Directory, name: str, *, mode: int | None, known: Known | None) -> Saving:
    """Makes a part to write a whole file into.

    Args:
        folder: The directory of the target; must stay open as long.
        name: The name that the file will have.
        mode: As for `Saving.keep`.
        known: What it is of, where it is worth resuming; None: an interruption leaves nothing.

    Raises:
        OSError: The directory cannot be written to.
    """
    allowed = 0o777 if mode is not None and mode & _EXECUTABLE else 0o666
    if known is not None:
        for label in _labels(name):
            saving = _take(folder, name, label, allowed, known)
            if saving is not None:
                return saving
        # Each is taken by another download of the same file, or by something that is not ours.
    label = f".ftpsvc-{os.urandom(8).hex()}.part"
    return Saving(folder, name, folder.stage(label, allowed), label, None, None)


def left_over(folder: Directory, name: str) -> Saving | None:
    """Returns what an earlier download of this name left, to be gone on with; None where there is nothing of use.

    Raises:
        OSError: The directory cannot be read.
    """
    for label in _labels(name):
        known = _noted(folder, label)
        if known is None:
            continue
        try:
            staged = folder.stage_again(label)
        except OSError:
            continue
        lock = _locked(staged)
        if lock is None:
            staged.leave()
            continue
        saving = Saving(folder, name, staged, label, lock, known)
        if _is_still(folder, label, staged) and 0 < saving.offset <= known.file_size:
            return saving
        with saving:  # of no use: dropped
            pass
    return None


def clean(folder: Directory, name: str) -> None:
    """Removes what earlier downloads of this name left, unless one is still at it. Never raises an OSError."""
    with contextlib.suppress(OSError):
        while (found := left_over(folder, name)) is not None:
            with found:
                pass


def find_all(folder: Directory) -> set[str]:
    """Returns the names in a directory of which there are parts, as far as names can tell.

    Removes what downloads that were killed long ago left under hidden names. Never raises for what the disk does.
    """
    found: set[str] = set()
    stale: list[str] = []
    with contextlib.suppress(OSError), folder.scan() as entries:
        for entry in entries:
            if is_hidden(entry.name):
                stale.append(entry.name)
            elif (name := part_of(entry.name)) is not None:
                found.add(name)
    for name in stale:
        with contextlib.suppress(OSError):
            # Not the mtime: just before the end that becomes the one that the file has on the server.
            if time.time() - folder.lstat(name).st_ctime > _STALE_SECONDS:
                folder.unlink(name)
    return found


def is_hidden(name: str) -> bool:
    """Returns whether a name is one of those that downloads hide what they write under."""
    return name.startswith(".ftpsvc-") and name.endswith((".part", ".part.json", ".tmp"))


def note_of(label: str) -> str:
    """Returns the name of the note beside a part."""
    return label + ".json"


def part_of(note: str) -> str | None:
    """Returns the target's name for the name of a note beside its part; None where it is none."""
    name = note.removesuffix(".part.json")
    return name if name and name != note else None


def _labels(name: str) -> tuple[str, ...]:
    visible = f"{name}.part"
    if len(os.fsencode(note_of(visible))) > _MAX_NAME_BYTES:
        return (_hidden(name),)
    return (visible, _hidden(name))


def _hidden(name: str) -> str:
    import hashlib

    return f".ftpsvc-{hashlib.sha256(os.fsencode(name)).hexdigest()[:16]}.part"


def _take(folder: Directory, name: str, label: str, allowed: int, known: Known) -> Saving | None:
    """Returns the part of that name, empty and locked; None where it is somebody else's."""
    visible = not is_hidden(label)
    if visible and _exists(folder, note_of(label)) and _noted(folder, label) is None:
        return None
    fresh = True
    try:
        staged = folder.stage(label, allowed)
    except FileExistsError:
        if visible and _noted(folder, label) is None:
            return None
        fresh = False
        try:
            staged = folder.stage_again(label)
        except OSError:
            return None
    lock = _locked(staged)
    if lock is None:
        staged.leave()
        return None
    try:
        if not _is_still(folder, label, staged):
            staged.leave()
            os.close(lock)
            return None
        if not fresh:
            staged.truncate()
            _set_executable(staged, allowed)
        _note(folder, label, known)
        saving = Saving(folder, name, staged, label, lock, known)
    except BaseException:
        staged.discard()
        with contextlib.suppress(OSError):
            os.close(lock)
        raise
    return saving


def _note(folder: Directory, label: str, known: Known) -> None:
    data = json.dumps({"what": _MARK, **known._asdict()}).encode()
    with folder.stage(f".ftpsvc-{os.urandom(8).hex()}.tmp", 0o666) as staged:
        staged.write(data)
        staged.publish(folder, note_of(label))


def _noted(folder: Directory, label: str) -> Known | None:
    """Returns what the note beside a part says; None where there is none, or none of ours."""
    try:
        with os.fdopen(folder.open_file(note_of(label)), "rb") as file:
            return _read(file)
    except OSError:
        return None


def is_note(path: str) -> bool:
    """Returns whether a file is the note beside a part."""
    try:
        with open(path, "rb") as file:
            return _read(file) is not None
    except OSError:
        return False


def _read(file: BinaryIO) -> Known | None:
    try:
        value = json.loads(file.read(_MAX_NOTE))
    except (ValueError, RecursionError):
        return None
    if not isinstance(value, dict) or value.get("what") != _MARK:
        return None
    version, size, algorithm = value.get("version"), value.get("file_size"), value.get("algorithm")
    if not isinstance(version, str) or type(size) is not int or algorithm not in ALGORITHMS:
        return None
    return Known(version, size, algorithm)


def _exists(folder: Directory, name: str) -> bool:
    try:
        folder.lstat(name)
    except FileNotFoundError:
        return False
    return True


def _is_still(folder: Directory, label: str, staged: Staged) -> bool:
    """Returns whether the name still leads to the file that is open: whoever was at it before may have published it."""
    try:
        there, here = folder.lstat(label), staged.stat()
    except OSError:
        return False
    return (there.st_dev, there.st_ino) == (here.st_dev, here.st_ino)


def _set_executable(staged: Staged, mode: int | None) -> None:
    wanted = mode is not None and bool(mode & _EXECUTABLE)
    now = staged.stat().st_mode & 0o777
    if wanted != bool(now & _EXECUTABLE):
        with contextlib.suppress(OSError):
            staged.set_mode(now | (now & 0o444) >> 2 if wanted else now & ~0o111)


def _only_interrupts(problem: BaseException) -> bool:
    """Returns whether an error leaves what has arrived as good as it was: the connection's end, or the user's wish."""
    if isinstance(problem, FtpsvcError):
        return isinstance(problem, TransportError) or problem.fatal
    return not isinstance(problem, Exception)


def _locked(staged: Staged) -> int | None:
    """Locks a part for as long as the descriptor returned is open; None where another has it, or nobody can lock.

    Another descriptor of the same open file: the part is closed before it gets its name, and the lock must last longer.
    """
    lock = os.dup(staged.fd)
    try:
        if os.name == "nt":
            import msvcrt

            # A byte beyond any content: what is locked there can be read by nobody else.
            os.lseek(lock, 1 << 62, os.SEEK_SET)
            try:
                msvcrt.locking(lock, msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined]  # there is on Windows
            finally:
                os.lseek(lock, 0, os.SEEK_END)
        else:
            import fcntl

            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(lock)
        return None
    return lock
