"""What both ways to a disk share: a directory whose entries are named by single components, and a staged file.

`posix.py` reaches entries by a directory's descriptor, `checked.py` by a path that was checked a moment before.
All calls that change a disk are in this file, so that one place can be watched, counted or recorded.
"""

from __future__ import annotations

import errno
import itertools
import os
import stat
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Self, TypeAlias

from ftpsvc.exceptions import InvalidPath

if TYPE_CHECKING:
    from ftpsvc.digests import Bytes

Name: TypeAlias = str | bytes
"""One component. Bytes are what the disk holds (POSIX only); a str is encoded as Python's file system encoding says."""

Found: TypeAlias = AbstractContextManager[Iterator[os.DirEntry[str]]]
"""A running scan of a directory, to be closed by leaving it as a context manager."""

Removed: TypeAlias = Callable[[os.stat_result], None]
Guard: TypeAlias = Callable[["Directory", Name], AbstractContextManager[Any]]
"""Called after each name that a removal took away, with what it was."""

# O_NONBLOCK: opening a FIFO without a writer must not wait. O_NOCTTY: opening a terminal must not adopt it.
READ_FLAGS: Final = (
    os.O_RDONLY
    | getattr(os, "O_NOFOLLOW", 0)
    | getattr(os, "O_NONBLOCK", 0)
    | getattr(os, "O_NOCTTY", 0)
    | getattr(os, "O_BINARY", 0)
)
CREATE_FLAGS: Final = (
    os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
)
REOPEN_FLAGS: Final = (
    os.O_RDWR
    | getattr(os, "O_NOFOLLOW", 0)
    | getattr(os, "O_NONBLOCK", 0)
    | getattr(os, "O_NOCTTY", 0)
    | getattr(os, "O_BINARY", 0)
)

# What a file system without hard links answers to link(2) (FAT, exFAT, some network and FUSE file systems).
_NO_LINKS: Final = frozenset({errno.EPERM, errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOTSUP, errno.EMLINK})

_MAX_OPEN_LEVELS: Final = 64
"""Directories that a removal keeps open at once; what lies deeper is moved up first."""

_ROUNDS: Final = 1000
"""How often a removal begins anew with directories that are not empty any more: who had one open puts files into it."""

_hoisted = itertools.count()

_UTIME_BY_DESCRIPTOR: Final = os.utime in os.supports_fd


def error(number: int) -> OSError:
    """Returns the OSError of an errno, without any path in it."""
    return OSError(number, os.strerror(number))


def check_component(name: Name) -> None:
    """Refuses what is no single component.

    Names from a peer have passed `RemotePath` long before. This is the last line: a slash here would make one
    system call walk several directories, links among them.

    Raises:
        InvalidPath: It is empty, `.` or `..`, or has a slash or NUL.
    """
    if isinstance(name, bytes):
        bad = b"/" in name or b"\0" in name or name in (b"", b".", b"..")
    else:
        bad = "/" in name or "\0" in name or name in ("", ".", "..")
    if bad:
        raise InvalidPath(os.fsdecode(name), "it is not a single name")


class Directory(ABC):
    """An open directory. A context manager: leaving it closes. Usable from several threads until it is closed.

    Attributes:
        fd: Its descriptor, or None where entries are reached by checked paths.
        inode: Its number, which stays the same wherever it is moved while it is open; None likewise.
    """

    __slots__ = ("fd", "inode")

    fd: int | None
    inode: int | None

    @abstractmethod
    def _spell(self, name: Name) -> Name:
        """Returns what to hand to the system, beside `dir_fd=self.fd`, to reach `name`; checks it first."""

    @abstractmethod
    def directory(self, name: Name) -> Directory:
        """Opens a directory in this one; the caller closes it.

        Raises:
            OSError: ENOENT; ENOTDIR or ELOOP for a link or anything else; EXDEV for another file system.
        """

    @abstractmethod
    def open_file(self, name: Name) -> int:
        """Opens a regular file for reading and returns its descriptor; the caller closes it.

        Raises:
            OSError: ENOENT; EISDIR; ELOOP for a link, FIFO, device or socket; EXDEV for another file system.
        """

    @abstractmethod
    def scan(self) -> Found:
        """Returns a scan of the entries, to be closed by the caller. Their names are decoded as `os.fsdecode` does."""

    @abstractmethod
    def sync(self) -> None:
        """Makes names that were made, changed or removed in this directory durable (does nothing on Windows)."""

    @abstractmethod
    def close(self) -> None:
        """Closes the directory. May be called more than once."""

    @abstractmethod
    def foreign(self, info: os.stat_result) -> bool:
        """Returns whether an entry with this `lstat` lies on another file system, so that it is refused."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def walk(self, names: Sequence[Name]) -> Directory:
        """Opens the directory that lies `names` beneath this one, one component after the other.

        Without names it is this directory under a second handle, good for as long as this one is open.

        Raises:
            OSError: As for `directory`.
        """
        if not names:
            return self._again()
        here = self.directory(names[0])
        for name in names[1:]:
            above = here
            try:
                here = above.directory(name)
            finally:
                above.close()
        return here

    @abstractmethod
    def _again(self) -> Directory:
        """Returns a second handle of this directory; closing that one does not close this one."""

    def lstat(self, name: Name) -> os.stat_result:
        """Returns what an entry is; of a link the link itself."""
        return os.stat(self._spell(name), dir_fd=self.fd, follow_symlinks=False)

    def mkdir(self, name: Name, mode: int = 0o777) -> None:
        """Makes a directory with `mode` less the umask."""
        os.mkdir(self._spell(name), mode, dir_fd=self.fd)

    def make_directories(self, names: Sequence[Name], mode: int = 0o777) -> int:
        """Makes the directories that are missing on the way down `names`.

        Returns:
            How many were made: the last so many of `names`. The parent of each is to be synced by the caller.

        Raises:
            OSError: As for `directory` and `mkdir`. What was made before stays.
        """
        made = 0
        here: Directory = self._again()
        try:
            for name in names:
                above = here
                try:
                    here = above.directory(name)
                except FileNotFoundError:
                    try:
                        above.mkdir(name, mode)
                        made += 1
                    except FileExistsError:  # somebody else made it in between
                        pass
                    here = above.directory(name)
                above.close()
        finally:
            here.close()
        return made

    def unlink(self, name: Name) -> None:
        """Removes an entry that is no directory; of a link the link itself."""
        os.unlink(self._spell(name), dir_fd=self.fd)

    def rmdir(self, name: Name) -> None:
        """Removes an empty directory."""
        os.rmdir(self._spell(name), dir_fd=self.fd)

    def rename(self, name: Name, to: Directory, new: Name) -> None:
        """Moves an entry, in one step, to `new` in the directory `to`. A file that is there is replaced."""
        os.replace(self._spell(name), to._spell(new), src_dir_fd=self.fd, dst_dir_fd=to.fd)

    def move_file(self, name: Name, to: Directory, new: Name) -> None:
        """Moves a file to a name that must be free; never replaces, whoever takes the name meanwhile.

        By link and unlink: a crash in between leaves both names. Where the file system has no hard links the name is
        looked up and then taken, which another process can come between.

        Raises:
            OSError: EEXIST when the name is taken; nothing was changed then.
        """
        if os.name == "nt":  # rename there refuses to replace, and link may not be to be had
            os.rename(self._spell(name), to._spell(new))
            return
        try:
            self.link(name, to, new)
        except OSError as problem:
            if problem.errno not in _NO_LINKS:
                raise
            try:
                to.lstat(new)
            except FileNotFoundError:
                self.rename(name, to, new)
                return
            raise error(errno.EEXIST) from None
        try:
            self.unlink(name)
        except OSError:  # not moved then, rather than there twice
            with suppress(OSError):
                to.unlink(new)
            raise

    def link(self, name: Name, to: Directory, new: Name) -> None:
        """Gives a file one more name, `new` in the directory `to`, which must be free."""
        os.link(
            self._spell(name), to._spell(new), src_dir_fd=self.fd, dst_dir_fd=to.fd, follow_symlinks=False
        )

    def stage(self, name: Name, mode: int = 0o600) -> Staged:
        """Makes a new file in this directory, to be written and then published under its real name.

        Args:
            name: A name that must be free (O_EXCL); a link there, dangling or not, is not followed.
            mode: Permission bits less the umask. Keep 0600 unless nobody else can enter this directory.

        Raises:
            OSError: EEXIST when the name is taken.
        """
        return Staged(self, name, os.open(self._spell(name), CREATE_FLAGS, mode, dir_fd=self.fd))

    def stage_again(self, name: Name) -> Staged:
        """Opens a file that was staged before and left, to go on with it where it ends. Its content can be read, too.

        Raises:
            OSError: ENOENT; ELOOP for what is no regular file, or has another name as well: what is written here must
                be seen nowhere else; EXDEV for another file system.
        """
        before = self.lstat(name)
        if not stat.S_ISREG(before.st_mode):
            raise error(errno.ELOOP)
        fd = os.open(self._spell(name), REOPEN_FLAGS, dir_fd=self.fd)
        try:
            info = os.fstat(fd)
            if (info.st_dev, info.st_ino) != (before.st_dev, before.st_ino) or info.st_nlink > 1:
                raise error(errno.ELOOP)
            if self.foreign(info):
                raise error(errno.EXDEV)
            os.lseek(fd, 0, os.SEEK_END)
        except BaseException:
            os.close(fd)
            raise
        return Staged(self, name, fd)

    def remove_tree(
        self,
        name: Name,
        removed: Removed | None = None,
        *,
        spare: Directory | None = None,
        guard: Guard | None = None,
    ) -> None:
        """Removes an entry with all that is beneath it. Links are removed, never followed.

        Args:
            name: The entry.
            removed: Called after each name that went.
            spare: A directory on the same file system in which temporary names may be made. With it a tree of any
                depth goes with a bounded number of descriptors; without it one deeper than 64 levels is refused.
            guard: Returns a lock that is held while a file is looked at, removed and counted.

        Raises:
            OSError: EXDEV at another file system mounted beneath; ELOOP when too deep. What went before is gone.
        """
        waiting = [(self, name)]
        while waiting:
            where, what = waiting.pop()
            info = where.lstat(what)
            if stat.S_ISDIR(info.st_mode):
                _empty(where, what, removed, spare, waiting, guard)
                for left in reversed(range(_ROUNDS)):
                    if _remove_empty(where, what, left):
                        break
                    _empty(where, what, removed, spare, waiting, guard)
            else:
                where.unlink(what)
            if removed is not None:
                removed(info)


def _empty(
    where: Directory,
    what: Name,
    removed: Removed | None,
    spare: Directory | None,
    waiting: list[tuple[Directory, Name]],
    guard: Guard | None,
) -> None:
    """Removes what is in a directory, depth first, with at most `_MAX_OPEN_LEVELS` open at once."""
    open_levels = [where.directory(what)]
    names: list[Name] = []  # of all levels but the top one, to remove each from above once it is empty
    again = _ROUNDS
    try:
        while True:
            here = open_levels[-1]
            deeper = _remove_flat(here, removed, guard)
            if deeper is None:
                here.close()
                open_levels.pop()
                if not open_levels:
                    return
                name, above = names.pop(), open_levels[-1]
                info = above.lstat(name)
                if not _remove_empty(above, name, again):
                    again -= 1
                    open_levels.append(above.directory(name))
                    names.append(name)
                    continue
                if removed is not None:
                    removed(info)
            elif len(open_levels) < _MAX_OPEN_LEVELS:
                open_levels.append(here.directory(deeper))
                names.append(deeper)
            elif spare is None:
                raise error(errno.ELOOP)
            else:
                up = f"deep-{os.getpid():x}-{next(_hoisted):x}"
                here.rename(deeper, spare, up)
                waiting.append((spare, up))
    finally:
        for level in open_levels:
            level.close()


def _remove_empty(where: Directory, what: Name, left: int) -> bool:
    """Removes a directory; returns False where somebody has put something into it again, and `left` is not 0."""
    try:
        where.rmdir(what)
    except OSError as problem:
        if not left or problem.errno not in (errno.ENOTEMPTY, errno.EEXIST):
            raise
        return False
    return True


def _remove_flat(here: Directory, removed: Removed | None, guard: Guard | None) -> Name | None:
    """Removes the entries of a directory until one is a directory itself, and returns that one's name."""
    found = True
    while found:  # some file systems skip entries when others are removed during a scan
        found = False
        with here.scan() as entries:
            for entry in entries:
                found = True
                name: Name = os.fsencode(entry.name) if here.fd is not None else entry.name
                if entry.is_dir(follow_symlinks=False):
                    return name
                try:
                    with guard(here, name) if guard is not None else nullcontext():
                        info = here.lstat(name)
                        here.unlink(name)
                except FileNotFoundError:  # somebody else was faster
                    continue
                if removed is not None:
                    removed(info)
    return None


WRITE_BYTES: Final = 128 << 10
"""Bytes of one write. For a longer one the kernel (6.18, ext4) takes one large piece of memory, which lies cold: 1 GiB
in writes of a MiB took 2.7 times as long (docs/design.md, "Buffers")."""


class Staged:
    """A new file that nobody sees under its real name until `publish`. Leaving it as a context manager discards it.

    It belongs to one thread at a time, and its directory must stay open as long. Nothing that exists is ever written
    to, so a hard link to an old file keeps the old content.

    Attributes:
        fd: Its descriptor, open for writing; -1 after `publish` or `discard`.
    """

    __slots__ = ("_home", "_modified", "_name", "fd")

    def __init__(self, home: Directory, name: Name, fd: int) -> None:
        self.fd = fd
        self._home: Directory | None = home
        self._name = name
        self._modified: int | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.discard()

    def write(self, data: Bytes) -> None:
        """Appends all of `data`."""
        size = len(data)  # a memoryview of bytes, here and in the rest of ftpsvc
        done = os.write(self.fd, data) if size <= WRITE_BYTES else 0
        if done != size:
            view = memoryview(data)
            while done < size:
                done += os.write(self.fd, view[done : done + WRITE_BYTES])

    def cut(self, size: int) -> None:
        """Drops what was written beyond `size` bytes; what is written next follows those."""
        os.ftruncate(self.fd, size)
        os.lseek(self.fd, size, os.SEEK_SET)

    def write_at(self, data: Bytes, offset: int) -> None:
        """Writes all of `data` at `offset` bytes from the start (POSIX only); where `write` goes on is as it was."""
        view = memoryview(data)
        while view:
            written = os.pwrite(self.fd, view[:WRITE_BYTES], offset)
            view, offset = view[written:], offset + written

    def read_at(self, view: memoryview, offset: int) -> int:
        """Reads back what was written at `offset` (POSIX only) and returns how many bytes; 0 is the end."""
        return os.preadv(self.fd, [view], offset)

    def set_modified(self, modified: int) -> None:
        """Sets the mtime, in nanoseconds since 1970 UTC (on Windows only at `publish`, since closing would undo it)."""
        if self._by_descriptor:
            os.utime(self.fd, ns=(modified, modified))
        else:
            self._modified = modified

    @property
    def _by_descriptor(self) -> bool:
        return _UTIME_BY_DESCRIPTOR and self._home is not None and self._home.fd is not None

    def set_mode(self, mode: int) -> None:
        """Sets the permission bits as they are given, without the umask (does nothing where there are none)."""
        if hasattr(os, "fchmod"):
            os.fchmod(self.fd, mode)

    def set_attribute(self, name: str, value: bytes) -> None:
        """Sets an extended attribute.

        Raises:
            OSError: ENOTSUP where the file system, or this system's Python, has none.
        """
        if not hasattr(os, "setxattr"):
            raise error(errno.ENOTSUP)
        os.setxattr(self.fd, name, value)

    def truncate(self) -> None:
        """Drops the content, to be written from the beginning."""
        os.ftruncate(self.fd, 0)
        os.lseek(self.fd, 0, os.SEEK_SET)

    def leave(self) -> None:
        """Closes the file and leaves it under its staged name; `Directory.stage_again` goes on with it."""
        self._home = None
        with suppress(OSError):
            self._close()

    def stat(self) -> os.stat_result:
        """Returns what the file is now."""
        return os.fstat(self.fd)

    def sync(self) -> None:
        """Makes content and attributes durable.

        Raises:
            OSError: They are not. The only right thing is `discard`: the system may have dropped the dirty pages, and a
                second fsync would then succeed without them.
        """
        os.fsync(self.fd)

    def publish(self, to: Directory, name: Name, *, clobber: bool = True) -> None:
        """Gives the file its real name, in one step; with `clobber` it replaces a file that is there.

        Raises:
            OSError: EEXIST when the name is taken and `clobber` is False; EISDIR when a directory is there. The file is
                still staged then, but can only be discarded.
        """
        home = self._home
        if home is None:
            raise error(errno.EBADF)
        self._close()  # first, since Windows renames no open file, and NFS reports a failed write only here
        if self._modified is not None:
            path = home._spell(self._name)
            if os.utime in os.supports_follow_symlinks:
                os.utime(path, ns=(self._modified, self._modified), follow_symlinks=False)
            else:
                os.utime(path, ns=(self._modified, self._modified))
        if clobber:
            home.rename(self._name, to, name)
        else:
            home.move_file(self._name, to, name)
        self._home = None

    def discard(self) -> None:
        """Removes the file. Does nothing after `publish` or `discard`, and never raises for what the disk does."""
        home = self._home
        if home is None:
            return
        self._home = None
        with suppress(OSError):
            self._close()
        with suppress(OSError):
            home.unlink(self._name)

    def _close(self) -> None:
        fd, self.fd = self.fd, -1
        if fd >= 0:
            os.close(fd)
