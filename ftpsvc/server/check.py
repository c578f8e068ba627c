"""Looks a root over from outside of a server: what is used, what was left over, what rotted (docs/server.md, "Check").

Reading goes on beside a running server; what is then under way looks like what it is. A volume is repaired only while
no server has it open, which its lock tells, and the lock is held meanwhile.
"""

from __future__ import annotations

import enum
import os
import stat
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from ftpsvc import digests
from ftpsvc.confine import Directory, open_root
from ftpsvc.exceptions import ConfigError
from ftpsvc.paths import MAX_DEPTH, MAX_PATH_BYTES
from ftpsvc.server.homes import USERS
from ftpsvc.server.volumes import HANDOUTS, PUBLIC
from ftpsvc.storage.names import HIDDEN, show
from ftpsvc.storage.partials import FOLDER, NOTE, Partials
from ftpsvc.storage.records import ATTRIBUTE, Record
from ftpsvc.text import count, format_size, printable

_HIDDEN: Final = HIDDEN.encode()
_STAGING: Final = b"staging"
_DIGESTS: Final = b"digests"
_PIECE: Final = 1 << 20
_RECORD_BYTES: Final = 256


class Level(enum.IntEnum):
    """How bad a finding is.

    NOTE: good to know. FAULT: something is not as it should be. DAMAGE: content is not what was stored.
    """

    NOTE = 0
    FAULT = 1
    DAMAGE = 2


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was found.

    Attributes:
        kind: What, as a stable name; docs/server.md lists them.
        volume: Where: `public`, `handouts`, `users/NAME`, or `users`.
        path: What in it, as it is listed; empty for the volume itself.
        level: How bad it is.
        detail: In words.
        repaired: Whether it is gone now.
    """

    kind: str
    volume: str
    path: str
    level: Level
    detail: str
    repaired: bool = False


@dataclass(slots=True)
class Report:
    """What a volume holds.

    Attributes:
        volume: Its name; see `Finding`.
        files: Regular files, by name.
        size: Their bytes: what a quota counts.
        limit: The quota in bytes; None is no limit.
        in_use: Whether a server has it open.
        verified: Files whose content was read and compared with its record.
        unrecorded: Files that have no digest to be compared with, where that was asked for.
        findings: Everything that was found in it.
    """

    volume: str
    limit: int | None = None
    files: int = 0
    size: int = 0
    in_use: bool = False
    verified: int = 0
    unrecorded: int = 0
    findings: list[Finding] = field(default_factory=list)

    def add(self, kind: str, path: str, level: Level, detail: str, *, repaired: bool = False) -> None:
        """Adds a finding."""
        self.findings.append(Finding(kind, self.volume, path, level, detail, repaired))


def check(
    root: Path,
    users: Mapping[str, int | None] | None,
    *,
    read_digests: bool = False,
    repair: bool = False,
    only: str | None = None,
) -> Iterator[Report]:
    """Looks at one volume after the other.

    Args:
        root: The server's root.
        users: Names of the users and their quotas in bytes (None: no limit); None where there are no accounts.
        read_digests: Whether to read all files and compare them with their recorded digests.
        repair: Whether to repair what can be.
        only: Look at this user's home only.

    Raises:
        ConfigError: There is no such root or user.
    """
    if not root.is_dir():
        raise ConfigError(f"there is no root {root}", hint="name it with --root")
    if only is not None:
        home = root / USERS / only
        if users is not None and only not in users and not home.is_dir():
            raise ConfigError(f"there is no user {only!r}", hint="ftpsvc-server user list shows who there is")
    else:
        for name in (PUBLIC, HANDOUTS):
            if (root / name).is_dir():
                yield _Check(root / name, Report(name), read_digests, repair).run()
    yield from _homes(root / USERS, users, only, read_digests, repair)


def _homes(
    folder: Path, users: Mapping[str, int | None] | None, only: str | None, read_digests: bool, repair: bool
) -> Iterator[Report]:
    about = Report(USERS)
    known = users or {}
    there: list[str] = []
    if folder.is_dir():
        with open_root(folder) as top, top.scan() as entries:
            for entry in entries:
                if only is not None and entry.name != only:
                    continue
                if not entry.is_dir(follow_symlinks=False):
                    about.add("foreign", show(top, entry.name).text, Level.FAULT, "it is no home")
                    continue
                there.append(entry.name)
                if users is not None and entry.name not in known:
                    about.add(
                        "orphan-home", show(top, entry.name).text, Level.FAULT, "no account has this name"
                    )
    for name in sorted(known):
        if name not in there and (only is None or name == only):
            about.add("no-home", name, Level.NOTE, "the user has no home yet: it is made at the first log-in")
    if about.findings:
        yield about
    for name in sorted(there):
        report = Report(f"{USERS}/{os.fsencode(name).decode('utf-8', 'backslashreplace')}", known.get(name))
        _Check(folder / name, report, read_digests, repair).run()
        if report.limit is not None and report.size > report.limit:
            report.add(
                "over-quota", "", Level.NOTE,
                f"{format_size(report.size)} are used, the quota is {format_size(report.limit)}",
            )  # fmt: skip
        yield report


class _Check:
    """One volume."""

    def __init__(self, path: Path, report: Report, read_digests: bool, repair: bool) -> None:
        self._path = path
        self._report = report
        self._read_digests = read_digests
        self._repair = repair
        # Where there are no extended attributes: what the sidecars say, by inode; the ones met are taken out.
        self._sides: dict[int, bytes] = {}
        self._side_folder: Directory | None = None

    def run(self) -> Report:
        """Looks at everything; a volume that cannot be read is a finding itself."""
        try:
            with open_root(self._path) as top, ExitStack() as held:
                self._look_at_hidden(top, held)
                self._walk(top)
                self._look_at_sides()
        except OSError as problem:
            self._report.add("unreadable", "", Level.FAULT, os.strerror(problem.errno or 0))
        return self._report

    def _look_at_hidden(self, top: Directory, held: ExitStack) -> None:
        try:
            hidden = held.enter_context(top.directory(_HIDDEN))
        except FileNotFoundError:
            return
        report = self._report
        report.in_use = not _take(hidden, keep=self._repair)
        if report.in_use and self._repair:
            self._repair = False
            report.add(
                "in-use", "", Level.FAULT, "a running server has it open: nothing in it was repaired; stop it first"
            )  # fmt: skip
        try:
            self._side_folder = held.enter_context(hidden.directory(_DIGESTS))
        except FileNotFoundError:
            pass
        else:
            self._read_sides(self._side_folder)
        with suppress(FileNotFoundError):
            self._look_at_partials(held.enter_context(hidden.directory(FOLDER.encode())))
        try:
            staging = held.enter_context(hidden.directory(_STAGING))
        except FileNotFoundError:
            return
        if not report.in_use:  # else it is what is under way
            self._look_at_staging(staging)

    def _look_at_partials(self, folder: Directory) -> None:
        """Counts what is held of uploads that broke off, as the quota does, and finds what cannot be resumed."""
        report = self._report
        partials = Partials(folder, None, durable=False)
        with folder.scan() as entries:
            names = sorted(os.fsencode(entry.name) for entry in entries)
        for name in names:
            shown = f"{HIDDEN}/{FOLDER}/{show(folder, os.fsdecode(name)).text}"
            note = partials.note(name.removesuffix(NOTE))
            if note is not None and name.removesuffix(NOTE) in names:
                if name.endswith(NOTE):
                    continue
                try:
                    size = folder.lstat(name).st_size
                except FileNotFoundError:  # beside a running server: it has become a file meanwhile
                    continue
                report.files += size > 0
                report.size += size
                report.add(
                    "partial", shown, Level.NOTE,
                    f"{format_size(size)} of an upload to {printable(note.path)} that can be resumed",
                )  # fmt: skip
            elif not report.in_use:
                repaired, reason = self._clear(folder, name)
                report.add(
                    "leftover", shown, Level.FAULT, f"left by a server that was killed{reason}",
                    repaired=repaired,
                )  # fmt: skip

    def _look_at_staging(self, staging: Directory) -> None:
        with staging.scan() as entries:
            names = sorted(entry.name for entry in entries)
        for name in names:
            raw = os.fsencode(name)
            info = staging.lstat(raw)
            repaired, reason = self._clear(staging, raw)
            what = "a tree being removed" if stat.S_ISDIR(info.st_mode) else format_size(info.st_size)
            shown = f"{HIDDEN}/staging/{show(staging, name).text}"
            self._report.add(
                "leftover", shown, Level.FAULT, f"left by a server that was killed ({what}){reason}",
                repaired=repaired,
            )  # fmt: skip

    def _clear(self, folder: Directory, raw: bytes) -> tuple[bool, str]:
        """Removes what was left in a folder of the server's own, if that was asked for.

        Returns:
            Whether it is gone, and what to say where it is not.
        """
        if not self._repair:
            return False, ""
        try:
            folder.remove_tree(raw, spare=folder)
        except OSError as problem:
            return False, f"; it cannot be removed: {os.strerror(problem.errno or 0)}"
        return True, ""

    def _read_sides(self, folder: Directory) -> None:
        with folder.scan() as entries:
            names = [entry.name for entry in entries]
        for name in names:
            try:
                number = int(name, 16)
                side = folder.open_file(name)
            except (OSError, ValueError):
                continue
            try:
                self._sides[number] = os.read(side, _RECORD_BYTES)
            finally:
                os.close(side)

    def _walk(self, top: Directory) -> None:
        todo: list[tuple[tuple[bytes, ...], str]] = [((), "")]
        while todo:
            raw_path, shown_path = todo.pop()
            # One open directory at a time: a deep tree must not cost a descriptor for each level.
            try:
                here = top.walk(raw_path)
            except FileNotFoundError:
                continue
            except OSError as problem:
                self._report.add("unreadable", shown_path, Level.FAULT, os.strerror(problem.errno or 0))
                continue
            with here:
                with here.scan() as entries:
                    names = sorted(entry.name for entry in entries)
                for name in names:
                    raw = os.fsencode(name)
                    if not raw_path and raw == _HIDDEN:
                        continue
                    shown = show(here, name)
                    path = f"{shown_path}/{shown.text}"
                    if self._look_at(here, raw, path, shown.note, len(raw_path) + 1):
                        todo.append(((*raw_path, raw), path))

    def _look_at(self, here: Directory, raw: bytes, path: str, note: str | None, depth: int) -> bool:
        """Looks at one entry; returns whether it is a directory to be entered."""
        report = self._report
        try:
            info = here.lstat(raw)
        except FileNotFoundError:
            return False
        if note is None and depth > MAX_DEPTH:
            note = f"it is more than {MAX_DEPTH} directories deep"
        if note is None and len(path.encode()) > MAX_PATH_BYTES:
            note = f"its path is longer than {MAX_PATH_BYTES} bytes"
        if note is not None:
            report.add("unaddressable", path, Level.FAULT, f"no client can reach it: {note}")
        if here.foreign(info):
            report.add("foreign", path, Level.FAULT, "it is on another file system, and refused")
            return False
        if stat.S_ISDIR(info.st_mode):
            return True
        if not stat.S_ISREG(info.st_mode):
            kind = "a link" if stat.S_ISLNK(info.st_mode) else "a FIFO, socket or device"
            report.add(
                "foreign", path, Level.FAULT, f"it is {kind}: it is listed, and never followed or opened"
            )
            return False
        report.files += 1
        report.size += info.st_size
        if info.st_nlink > 1:
            report.add(
                "hard-link",
                path,
                Level.NOTE,
                f"it has {info.st_nlink} names; each of them in here is counted",
            )
        try:
            fd = here.open_file(raw)
        except FileNotFoundError:
            return False
        except OSError as problem:
            report.add("unreadable", path, Level.FAULT, os.strerror(problem.errno or 0))
            return False
        try:
            self._look_at_content(fd, info, path)
        except OSError as problem:
            report.add("unreadable", path, Level.DAMAGE, os.strerror(problem.errno or 0))
        finally:
            os.close(fd)
        return False

    def _look_at_content(self, fd: int, info: os.stat_result, path: str) -> None:
        data = self._record_of(fd, info)
        record = Record.decode(data) if data else None
        if data and (record is None or not record.fits(info)):
            why = "is none" if record is None else "is of what the file was before it was changed by hand"
            self._stale(path, why, fd=fd, inode=info.st_ino)
            record = None
        if not self._read_digests:
            return
        if record is None:
            self._report.unrecorded += 1
            return
        found = _hash(fd, record.digest.algorithm)
        after = os.fstat(fd)
        if not record.fits(after):
            return  # it was changed meanwhile: what was read is of no one state
        self._report.verified += 1
        if found != record.digest.value:
            self._report.add(
                "rot", path, Level.DAMAGE,
                f"its {record.digest.algorithm} digest is {found}, {record.digest.value} was recorded",
            )  # fmt: skip

    def _record_of(self, fd: int, info: os.stat_result) -> bytes:
        side = self._sides.pop(info.st_ino, b"")
        try:
            return os.getxattr(fd, ATTRIBUTE)
        except (OSError, AttributeError):  # none there, or none on this system
            return side

    def _stale(self, path: str, why: str, *, fd: int | None, inode: int) -> None:
        repaired = False
        if self._repair:
            try:
                if fd is not None and _has_attribute(fd):
                    os.removexattr(fd, ATTRIBUTE)
                elif self._side_folder is not None:
                    self._side_folder.unlink(b"%x" % inode)
                repaired = True
            except OSError:
                pass
        self._report.add("stale-record", path, Level.NOTE, f"the recorded digest {why}", repaired=repaired)

    def _look_at_sides(self) -> None:
        if self._report.in_use:
            return  # some may be of files that came while we looked
        for inode in sorted(self._sides):
            self._stale(f"{HIDDEN}/digests/{inode:x}", "is of a file that is gone", fd=None, inode=inode)


def _has_attribute(fd: int) -> bool:
    try:
        os.getxattr(fd, ATTRIBUTE)
    except (OSError, AttributeError):
        return False
    return True


def _hash(fd: int, algorithm: str) -> str:
    hasher = digests.new(algorithm)
    view = memoryview(bytearray(_PIECE))
    while done := os.readv(fd, [view]):
        hasher.update(view[:done])
    return hasher.hexdigest()


def _take(hidden: Directory, *, keep: bool) -> bool:
    """Takes a volume's lock, for good or to see that it is free; returns whether it was."""
    import fcntl  # POSIX only, like all of this; late, so that the module can be read anywhere

    if hidden.fd is None:
        return True
    try:
        # Shared where it is only looked at, so that two checks do not take each other for a server.
        fcntl.flock(hidden.fd, (fcntl.LOCK_EX if keep else fcntl.LOCK_SH) | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    if not keep:
        fcntl.flock(hidden.fd, fcntl.LOCK_UN)
    return True


def summary(report: Report) -> str:
    """Returns a volume in one line: `users/alice: 3 files, 1.2 MiB of 5.0 GiB`."""
    limit = "" if report.limit is None else f" of {format_size(report.limit)}"
    text = f"{report.volume}: {count(report.files, 'file')}, {format_size(report.size)}{limit}"
    if report.verified or report.unrecorded:
        text += f", {report.verified:,} verified, {report.unrecorded:,} without a record"
    return text + (", in use by a server" if report.in_use else "")
