"""One folder that is served: its open root, its hidden folder, and what several operations on it share.

The hidden folder `.ftpsvc` (0700) holds `staging` for what is being written or taken away, `partials` for uploads that
can be resumed, `digests` where the file system has no extended attributes, and `unclean` while a server has the volume
open, or after one that left something unsynced; else `clean` (docs/storage.md section 1).
"""

from __future__ import annotations

import errno
import itertools
import os
import stat
import threading
import unicodedata
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

from ftpsvc.confine import Directory, Name, PosixRoot, Staged, walks_on_descriptors
from ftpsvc.exceptions import ConfigError, NotFound, PermissionDenied
from ftpsvc.paths import RemotePath
from ftpsvc.storage import nearby
from ftpsvc.storage.faults import READ_ONLY, RESERVED
from ftpsvc.storage.names import HIDDEN, is_hidden, other_spelling
from ftpsvc.storage.partials import FOLDER, Partials
from ftpsvc.storage.quota import Quota
from ftpsvc.storage.records import AttributeRecords, NoRecords, Records, SidecarRecords, attributes_work
from ftpsvc.storage.writers import Writers

_HIDDEN: Final = HIDDEN.encode()
_STAGING: Final = b"staging"
_DIGESTS: Final = b"digests"
_PARTIALS: Final = FOLDER.encode()
_CLEAN: Final = b"clean"
_UNCLEAN: Final = b"unclean"
_STRIPES: Final = 64


class Volume:
    """The shared part of `LocalStorage` and its uploads. Thread-safe.

    Attributes:
        root: The top directory.
        durable: Whether answers wait for the disk.
        quota: Who keeps the books.
        read_only: Whether nothing may be changed.
        records: Where digests are recorded.
        writers: Who has begun to write to which path.
    """

    def __init__(self, path: Path, *, durable: bool, quota: Quota, read_only: bool) -> None:
        """Opens the folder.

        Raises:
            ConfigError: It cannot be served: it is missing, another server has it, or it cannot keep the promise.
        """
        self.durable = durable and not read_only
        self.quota = quota
        self.read_only = read_only
        if not walks_on_descriptors():
            raise ConfigError(
                "this system cannot open files relative to a directory, which ftpsvc-server needs",
                hint="run it on Linux, macOS or WSL2",
            )
        self._numbers = itertools.count()
        self._stripes = tuple(threading.Lock() for _ in range(_STRIPES))
        self._in_flux = 0
        self._flux_lock = threading.Lock()
        self._hidden: Directory | None = None
        self._staging: Directory | None = None
        self._partials: Partials | None = None
        self.writers = Writers()
        self.records: Records = NoRecords()
        try:
            self.root: Directory = PosixRoot(path)
            try:
                if read_only:
                    self._open_read_only()
                else:
                    self._open(path)
            except BaseException:
                self.close(clean=False)
                raise
        except OSError as problem:
            reason = os.strerror(problem.errno or errno.EIO)
            hint = "make the folder, or name another" if problem.errno == errno.ENOENT else None
            raise ConfigError(f"cannot serve {path}: {reason}", hint=hint) from problem

    def _open_read_only(self) -> None:
        if attributes_work(self.root, writable=False):
            self.records = AttributeRecords(writable=False)
            return
        with suppress(OSError):
            self.records = SidecarRecords(self.root.walk([_HIDDEN, _DIGESTS]), None, durable=False)

    def _open(self, path: Path) -> None:
        made = self.root.make_directories([_HIDDEN], 0o700)
        self._hidden = self.root.directory(_HIDDEN)
        _lock(self._hidden, path)
        made += self._hidden.make_directories([_STAGING], 0o700)
        self._staging = self._hidden.directory(_STAGING)
        if not self._mark_unclean(self._hidden) and self.durable:
            # The last server was killed, or never synced. What it made is seen by us, so what we build on it and
            # promise would hang in the air: sync all of it once.
            os.sync()
        with self._staging.scan() as leftovers:
            names = [os.fsencode(entry.name) for entry in leftovers]
        for name in names:
            with suppress(
                OSError
            ):  # one that cannot be removed harms nobody, a server that does not start does
                self._staging.remove_tree(name, spare=self._staging)
        made += self._hidden.make_directories([_PARTIALS], 0o700)
        self._partials = Partials(self._hidden.directory(_PARTIALS), self._staging, durable=self.durable)
        self._adopt(self._partials)
        if attributes_work(self._hidden, writable=True):
            self.records = AttributeRecords(writable=True)
        else:
            made += self._hidden.make_directories([_DIGESTS], 0o700)
            folder = self._hidden.directory(_DIGESTS)
            self.records = SidecarRecords(folder, self._staging, durable=self.durable)
        if self.durable:
            self._check_sync(path)
            if made:
                self._hidden.sync()
                self.root.sync()

    def _mark_unclean(self, hidden: Directory) -> bool:
        """Notes that a server has the volume open; returns whether the last one left nothing that is not synced."""
        try:
            hidden.lstat(_UNCLEAN)
        except FileNotFoundError:
            try:
                # A name that is there already gets another: on a full disk there may be no room for a new one.
                hidden.rename(_CLEAN, hidden, _UNCLEAN)
            except FileNotFoundError:
                hidden.mkdir(_UNCLEAN)
            return True
        return False

    def _adopt(self, partials: Partials) -> None:
        """Brings what is left of uploads to book, the newest first; what the quota has no room for goes."""
        for name, size in partials.tidy():
            kept = self.quota.adopt(size)
            if not kept:
                partials.drop(name)
            elif kept < size:
                partials.cut(name, kept)

    def _check_sync(self, path: Path) -> None:
        """Finds out now, not at the first upload, that a file system cannot sync directories."""
        try:
            self.root.sync()
        except OSError as problem:
            if problem.errno in (errno.EINVAL, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS):
                raise ConfigError(
                    f"the file system of {path} cannot make directories durable",
                    hint="serve a folder of a journaling file system, or set durability to relaxed",
                ) from problem
            raise

    def close(self, *, clean: bool = True) -> None:
        """Closes what is open; `clean` notes that nothing is left to be synced or removed at the next start."""
        self.records.close()
        if self._partials is not None:
            self._partials.close()
        if self._staging is not None:
            self._staging.close()
        if self._hidden is not None:
            if clean and self.durable and not self._in_flux:
                with suppress(OSError):
                    self._hidden.rename(_UNCLEAN, self._hidden, _CLEAN)
            self._hidden.close()  # gives back the lock
        self.root.close()

    def check_writable(self, path: RemotePath) -> None:
        """Refuses what may not be changed: everything when read-only, and the hidden folder."""
        if self.read_only:
            raise PermissionDenied(READ_ONLY, str(path))
        if is_hidden(path.parts):
            raise PermissionDenied(RESERVED, str(path))

    def check_visible(self, path: RemotePath) -> None:
        """Refuses the hidden folder as if it were not there."""
        if is_hidden(path.parts):
            raise NotFound(str(path))

    def enter(self, parts: Sequence[str]) -> Directory:
        """Opens the directory with these components, in either spelling; the caller closes it. Raises OSError."""
        try:
            return self.root.walk([name.encode() for name in parts])
        except FileNotFoundError:
            if all(other_spelling(name) is None for name in parts):
                raise
        here: Directory = self.root.walk(())
        for name in parts:
            above = here
            try:
                raw, _ = self.find(above, name)
                here = above.directory(raw)
            finally:
                above.close()
        return here

    def enter_near(self, parts: tuple[str, ...]) -> Directory:
        """As `enter`, but for a file on its own: the directory may be the one of the file before (`nearby`)."""
        return nearby.enter(self, parts, self.enter)

    def find(self, directory: Directory, name: str) -> tuple[bytes, os.stat_result | None]:
        """Looks a name up in either spelling.

        Returns:
            The spelling on the disk, or that for a new entry; and what `lstat` says, or None where there is nothing.
        """
        raw = name.encode()
        try:
            return raw, directory.lstat(raw)
        except FileNotFoundError:
            other = other_spelling(name)
        if other is not None:
            try:
                return other, directory.lstat(other)
            except FileNotFoundError:
                pass
            except OSError as problem:
                if problem.errno != errno.ENAMETOOLONG:
                    raise
        return raw, None

    def lock(self, directory: Directory, name: str) -> threading.Lock:
        """Returns the lock that whoever changes what `name` is in an open directory holds while looking and changing.

        It is of the directory itself and not of its path: that may be another one by the time the change is made.
        """
        return self._stripes[self._stripe(directory, name)]

    def locks(self, *places: tuple[Directory, str]) -> list[threading.Lock]:
        """Returns the locks of several names, in the order in which they are to be taken."""
        return [self._stripes[number] for number in sorted({self._stripe(*place) for place in places})]

    def _stripe(self, directory: Directory, name: str) -> int:
        return hash((directory.inode, name)) % _STRIPES

    def guard(self, directory: Directory, name: Name) -> threading.Lock:
        """Returns the same lock for a name as it is on the disk."""
        text = os.fsdecode(name)
        return self.lock(directory, text if text.isascii() else unicodedata.normalize("NFC", text))

    def stage(self, mode: int) -> Staged:
        """Makes a new file in the staging folder. Raises OSError."""
        # With its final mode from the start: nobody but the server can enter the folder.
        return self._open_staging().stage(b"%x" % next(self._numbers), mode)

    @property
    def partials(self) -> Partials:
        """What is left of uploads that can be resumed. Raises OSError where nothing may be changed."""
        if self._partials is None:
            raise OSError(errno.EROFS, os.strerror(errno.EROFS))
        return self._partials

    def take_away(self, directory: Directory, name: bytes) -> bytes:
        """Moves a tree into the staging folder in one step, out of sight, and returns its name there."""
        away = b"away-%x" % next(self._numbers)
        directory.rename(name, self._open_staging(), away)
        return away

    def bring_back(self, away: bytes, directory: Directory, name: bytes) -> None:
        """Moves what `take_away` took back to where it was, if nothing is there by now."""
        try:
            directory.lstat(name)
        except FileNotFoundError:
            self._open_staging().rename(away, directory, name)

    def clear(self, away: bytes, tally: Tally) -> None:
        """Removes what `take_away` took. Raises OSError; what is left then is still there."""
        staging = self._open_staging()
        # An upload that entered the tree while it was in sight may still put a file into it: each goes under its lock,
        # so that what it displaces and what is removed here are not both taken from the books.
        staging.remove_tree(away, tally.add, spare=staging, guard=self.guard)

    def _open_staging(self) -> Directory:
        if self._staging is None:
            raise OSError(errno.EROFS, os.strerror(errno.EROFS))
        return self._staging

    def sync_names(self, parts: tuple[str, ...], directory: Directory, *, own: int = 0) -> None:
        """Makes changes of names in `directory`, which has the components `parts`, durable.

        While another thread has made or moved a directory and not synced its name yet, a file answered for in
        there would depend on that: the whole chain above is synced then. `own` is what the caller itself has in flux.
        """
        if not self.durable:
            return
        directory.sync()
        if self._in_flux > own:
            for depth in range(len(parts) - 1, -1, -1):
                with suppress(FileNotFoundError, NotADirectoryError), self.enter(parts[:depth]) as above:
                    above.sync()

    def names_in_flux(self, change: int) -> None:
        """Counts directories whose names are visible and not yet durable: +1 before the change, -1 after its sync.

        Where the sync failed it stays counted, so that all later answers sync the whole chain.
        """
        if self.durable:
            with self._flux_lock:
                self._in_flux += change


class Tally:
    """Counts what a removal took away.

    Attributes:
        names: All names.
        files: Regular files.
        size: Their bytes.
    """

    def __init__(self, records: Records) -> None:
        """Takes where the records of removed files are to be forgotten."""
        self.names = 0
        self.files = 0
        self.size = 0
        self._records = records

    def add(self, info: os.stat_result) -> None:
        """Counts one name."""
        self.names += 1
        if stat.S_ISREG(info.st_mode):
            self.files += 1
            self.size += info.st_size
            self._records.forget(info)


def _lock(hidden: Directory, path: Path) -> None:
    """Takes the volume for this process, until `hidden` is closed."""
    import fcntl  # POSIX only, like everything here; imported late so that the module can be read anywhere

    if hidden.fd is None:
        raise OSError(errno.ENOTSUP, os.strerror(errno.ENOTSUP))
    try:
        fcntl.flock(hidden.fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise ConfigError(
            f"another ftpsvc-server serves {path}", hint="stop that one first, or serve another folder"
        ) from None
