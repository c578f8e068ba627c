"""What is left of uploads that broke off, so that they can be resumed (docs/storage.md section 7).

A partial is a file in `.ftpsvc/partials`, named by its owner and path, and beside it a note, `NAME.json`, that says
what it is. It is written where it lies from the first byte on, so that kill -9 at any moment leaves it there.
"""

from __future__ import annotations

import errno
import hashlib
import itertools
import json
import os
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final, Self

from ftpsvc.confine import Directory, Staged, open_root
from ftpsvc.digests import Hasher
from ftpsvc.paths import RemotePath
from ftpsvc.storage.names import HIDDEN

FOLDER: Final = "partials"
NOTE: Final = b".json"
_MAX_NOTE: Final = 65536
_NAME_BYTES: Final = 16
_PIECE: Final = 1 << 20
_LOOK: Final = 16 << 20

PASSING: Final = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOMEM})
"""What the system lacks for a moment. It says nothing about a partial, so nothing is dropped for it."""

CHECKPOINT: Final = 64 << 20
"""Bytes after which a begun upload is made durable as far as it is: what a power cut may take of it at most."""


@dataclass(frozen=True, slots=True)
class Note:
    """What a partial is.

    Attributes:
        path: Where the file was to be, in the volume.
        owner: Who began it.
        durable: Bytes of it that a power cut cannot take.
        boot: The system's run in which this was written; what was written since then, in the same run, is there too.
    """

    path: str
    owner: str
    durable: int
    boot: str

    def encode(self) -> bytes:
        """Returns the bytes that are kept."""
        return json.dumps(asdict(self)).encode()

    @classmethod
    def decode(cls, data: bytes) -> Self | None:
        """Returns a note, or None for what is none."""
        try:
            fields: dict[str, Any] = json.loads(data)
            path, owner, boot, durable = (fields[key] for key in ("path", "owner", "boot", "durable"))
            if not all(isinstance(text, str) for text in (path, owner, boot)) or type(durable) is not int:
                return None
            # Who owns the folder as a user of this machine may have written anything.
            RemotePath.parse(path)
            owner.encode()
        except (ValueError, TypeError, KeyError, RecursionError):
            return None
        return cls(path, owner, max(0, durable), boot)


def partial_name(path: RemotePath, owner: str) -> bytes:
    """Returns the name of a user's partial for a path."""
    what = f"{owner}\0{path}".encode()
    return hashlib.blake2b(what, digest_size=_NAME_BYTES).hexdigest().encode()


@cache
def this_boot() -> str:
    """Returns what tells this run of the system from others, or "" where nothing does."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return ""


class Partials:
    """The partials of one volume. Thread-safe, as long as each is used by its one writer."""

    def __init__(self, folder: Directory, staging: Directory | None, *, durable: bool) -> None:
        """Takes what it works with.

        Args:
            folder: Where they are; `close` closes it.
            staging: A folder on the same file system for notes being written; None when none are.
            durable: Whether what is kept is synced.
        """
        self._folder = folder
        self._staging = staging
        self._durable = durable
        self._numbers = itertools.count()

    def close(self) -> None:
        """Gives back what is open."""
        self._folder.close()

    def tidy(self) -> list[tuple[bytes, int]]:
        """Removes what is no partial or cannot be trusted, and returns the rest: names and lengths, newest first.

        To be called while nobody uses any: when the volume is opened.

        Raises:
            OSError: The folder cannot be read.
        """
        with self._folder.scan() as entries:
            names = {os.fsencode(entry.name) for entry in entries}
        found: list[tuple[int, bytes, int]] = []
        for name in names:
            if name.endswith(NOTE):
                if name[: -len(NOTE)] not in names:
                    self._unlink(name)
                continue
            try:
                info = self._folder.lstat(name)
                # With a second name it is a file by now: publishing it without clobber ended between link and unlink.
                size = self._trusted(name, info.st_size) if info.st_nlink == 1 else 0
                if 0 < size < info.st_size:
                    self.cut(name, size)
            except OSError as problem:
                if problem.errno in PASSING:
                    raise
                size = 0
            if size:
                found.append((info.st_mtime_ns, name, size))
            else:
                self.drop(name)
        return [(name, size) for _, name, size in sorted(found, reverse=True)]

    def _trusted(self, name: bytes, size: int) -> int:
        """Returns how many bytes of a partial are what was written."""
        note = self.note(name)
        if note is None:
            return 0
        # After a power cut a file may be as long as it was and hold something else from some point on.
        same_run = note.boot != "" and note.boot == this_boot()
        return size if same_run or not self._durable else min(size, note.durable)

    def note(self, name: bytes) -> Note | None:
        """Returns what a partial is, or None where nobody can tell. Raises OSError for what passes."""
        try:
            fd = self._folder.open_file(name + NOTE)
        except OSError as problem:
            if problem.errno in PASSING:
                raise
            return None
        try:
            note = Note.decode(os.read(fd, _MAX_NOTE))
        except OSError:
            return None
        finally:
            os.close(fd)
        # What is written in it is what the name is made of: else somebody else wrote it.
        if note is not None and partial_name(RemotePath.parse(note.path), note.owner) != name:
            return None
        return note

    def held(self, name: bytes) -> int:
        """Returns the length of a partial; 0 where there is none."""
        try:
            return self._folder.lstat(name).st_size
        except OSError:
            return 0

    def hash(self, name: bytes, size: int, hasher: Hasher, look: Callable[[], None] | None) -> None:
        """Hashes the `size` bytes of a partial.

        Args:
            name: The partial.
            size: Its length.
            hasher: What takes them in.
            look: Is called now and then; what it raises ends it.

        Raises:
            OSError: It cannot be read, or is shorter.
        """
        fd = self._folder.open_file(name)
        try:
            view = memoryview(bytearray(min(size, _PIECE)))
            left = size
            while left:
                if look is not None and (size - left) % _LOOK == 0:
                    look()
                done = os.readv(fd, [view[: min(left, _PIECE)]])
                if not done:
                    raise OSError(errno.EIO, os.strerror(errno.EIO))
                hasher.update(view[:done])
                left -= done
        finally:
            os.close(fd)

    def open(self, path: RemotePath, owner: str, held: int) -> Staged:
        """Opens a partial to be written on, or makes one where nothing is held. Raises OSError."""
        name = partial_name(path, owner)
        if held:
            return self._folder.stage_again(name)
        self.drop(name)  # of a note without content
        self.write_note(path, owner, 0)
        return self._folder.stage(name, 0o666)

    def write_note(self, path: RemotePath, owner: str, durable: int) -> None:
        """Writes down how much of a partial is durable. Raises OSError."""
        name = partial_name(path, owner)
        if self._staging is None:
            raise OSError(errno.EROFS, os.strerror(errno.EROFS))
        with self._staging.stage(b"note-%x" % next(self._numbers)) as staged:
            staged.write(Note(str(path), owner, durable, this_boot()).encode())
            if self._durable and durable:
                staged.sync()
            staged.publish(self._folder, name + NOTE)
        if self._durable and durable:
            self._folder.sync()

    def cut(self, name: bytes, size: int) -> None:
        """Shortens a partial. Raises OSError."""
        staged = self._folder.stage_again(name)
        try:
            staged.cut(size)
        finally:
            staged.leave()

    def forget(self, name: bytes) -> None:
        """Removes the note of a partial that has become a file."""
        self._unlink(name + NOTE)

    def drop(self, name: bytes) -> None:
        """Removes a partial, if there is one."""
        self._unlink(name)
        self._unlink(name + NOTE)

    def _unlink(self, name: bytes) -> None:
        with suppress(OSError):
            self._folder.unlink(name)

    def expired(self, seconds: float) -> Iterator[tuple[bytes, Note]]:
        """Yields name and note of those that nobody wrote to for so many seconds. Raises OSError."""
        with self._folder.scan() as entries:
            names = [os.fsencode(entry.name) for entry in entries]
        for name in names:
            if name.endswith(NOTE):
                continue
            note = self.note(name) if self.is_old(name, seconds) else None
            if note is not None:
                yield name, note

    def is_old(self, name: bytes, seconds: float) -> bool:
        """Returns whether nobody wrote to a partial for so many seconds. Raises OSError."""
        try:
            return self._folder.lstat(name).st_mtime_ns < time.time_ns() - int(seconds * 1e9)
        except FileNotFoundError:
            return False


def sweep(volume: Path, seconds: float) -> int:
    """Removes what nobody came back for in a volume that is not open, without opening it.

    Args:
        volume: Its folder. Nobody may open it meanwhile.
        seconds: Age from which on partials go.

    Returns:
        How many went. A folder that cannot be read has none.
    """
    count = 0
    with suppress(OSError), open_root(volume) as root, root.walk([HIDDEN, FOLDER]) as folder:
        partials = Partials(folder, None, durable=False)
        for name, _ in list(partials.expired(seconds)):
            partials.drop(name)
            count += 1
    return count
