"""What a power cut may leave: a recorder of everything that is done to a folder, and the states that follow from it.

`Recorder` wraps the calls of `os` that change a disk and notes, in their order, what they did to the folder and what
made it durable. It is in the process rather than outside (strace), since answers are to be ordered among the calls
exactly, and since it works wherever the tests run. That nothing went past it is checked, not believed:
`Recording.whole` is compared with the folder as it is.

`Recording.states` gives what may be on the disk after a power cut. The model is that of a journaling file system, in
its weakest legal form:

* A change of names (create, link, unlink, mkdir, rmdir, rename) happens as a whole or not at all. It is durable when
  one of the directories that it touches was synced after it. Of those that are not, any may be there and any other not,
  in any combination: an order is not relied upon, so all ordered outcomes are among them. A name never makes another
  one durable, nor does the sync of a file make its name durable.
* Content that was not synced may be there in any of its blocks, the length too; lost blocks read as zeros. Times and
  attributes come and go independently of the content; fdatasync keeps content and length only.
* A sync covers what had been done when it began, and counts when it has ended. What was synced is there: disks that lie
  are not in the model, nor is rot.
"""

from __future__ import annotations

import itertools
import os
import random
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

BLOCK = 4096
EVERYTHING = "everything"
_MOST_COMBINATIONS = 6  # 2**6 of what is not durable are tried one by one; of more, samples


@dataclass(frozen=True)
class Entry:
    """One half of a change of names: in the directory `where`, `name` now is the object `what` (None: nothing)."""

    where: int
    name: str
    what: int | None


@dataclass(frozen=True)
class Names:
    """A change of names, in one step."""

    entries: tuple[Entry, ...]


@dataclass(frozen=True)
class Content:
    """Bytes written to an object; `data` None is a new length, `at`."""

    what: int
    at: int
    data: bytes | None


@dataclass(frozen=True)
class Attribute:
    """A time or an extended attribute of an object; the time has no name. None: the attribute was removed."""

    what: int
    name: str | None
    value: bytes | int | None


@dataclass(frozen=True)
class Sync:
    """What was done to an object before the step `began` is durable; `what` None is everything."""

    what: int | None
    began: int
    content_only: bool = False


@dataclass(frozen=True)
class Mark:
    """What a client was told, or is about to ask for: a line as `believing.Model` reads it, by whom."""

    who: str
    line: str


Step = Names | Content | Attribute | Sync | Mark


@dataclass
class File:
    """A file, or a directory, as it is on the disk."""

    data: bytearray = field(default_factory=bytearray)
    modified: int | None = None
    attributes: dict[str, bytes] = field(default_factory=dict)


@dataclass
class Tree:
    """A state of the folder: what each directory object holds, and each file object."""

    directories: dict[int, dict[str, int]]
    files: dict[int, File]
    inodes: dict[int, int]  # as they were when it was recorded

    def key(self) -> tuple[object, ...]:
        """Returns what tells this state from others."""
        return tuple(
            (path, None if what in self.directories else self._file_key(self.files[what]))
            for path, what in sorted(self.walk())
        )

    def _file_key(self, file: File) -> tuple[object, ...]:
        return bytes(file.data), file.modified, tuple(sorted(file.attributes.items()))

    def walk(self, top: int = 0, above: str = "") -> Iterator[tuple[str, int]]:
        """Gives path and object of everything that can be reached."""
        for name, what in self.directories.get(top, {}).items():
            path = f"{above}/{name}"
            yield path, what
            if what in self.directories:
                yield from self.walk(what, path)

    def make(self, folder: Path) -> None:
        """Makes it on a real disk, in an empty directory."""
        top = str(folder)  # thousands of states are made: with Path objects it takes a third longer
        made: dict[int, str] = {}
        for path, what in self.walk():
            place = top + path
            if what in self.directories:
                os.mkdir(place, 0o700)
            elif what in made:
                os.link(made[what], place)
            else:
                with open(place, "wb") as file:
                    file.write(self.files[what].data)
                made[what] = place
        self._rename_sidecars(f"{top}/.ftpsvc/", made)
        for what, place in made.items():
            data = self.files[what]
            for name, value in data.attributes.items():
                os.setxattr(place, name, value)
            if data.modified is not None:
                os.utime(place, ns=(data.modified, data.modified))

    def _rename_sidecars(self, hidden: str, made: dict[int, str]) -> None:
        """Gives records that are named by inode (docs/storage.md section 4) the numbers that the files have here."""
        folder = hidden + "digests"
        sides = [what for what, place in made.items() if os.path.dirname(place) == folder]
        numbers = {self.inodes[what]: place for what, place in made.items() if what not in sides}
        aside = {what: f"{hidden}aside-{what}" for what in sides}
        for what, place in aside.items():
            os.rename(made[what], place)
        for what, place in aside.items():
            file = numbers.get(int(os.path.basename(made[what]), 16))
            made[what] = f"{folder}/{0 if file is None else os.stat(file).st_ino:x}"
            os.rename(place, made[what])


class Recorder:
    """Notes what is done beneath `root`, which is empty and durable at first, while it is a context manager.

    Attributes:
        steps: What was done, in order.
        during_sync: Is called when a sync of one object has begun, with its path beneath the root (empty: the root).
        deaf: Says of such a path, or of EVERYTHING, whether a sync of it is kept from the recording, as if it had been
            left out: with that it is shown that the check of the states can fail.
    """

    def __init__(self, root: Path) -> None:
        self.steps: list[Step] = []
        self.during_sync: Callable[[str], None] = lambda path: None
        self.deaf: Callable[[str], bool] = lambda path: False
        self._root = root
        info = root.stat()
        self._device = info.st_dev
        self._objects = {info.st_ino: 0}
        self._inodes = {0: info.st_ino}
        self._directories = {0}
        self._numbers = itertools.count(1)
        self._lock = threading.RLock()
        self._patch = pytest.MonkeyPatch()

    def __enter__(self) -> Recorder:
        for name in (
            "write", "pwrite", "fsync", "fdatasync", "utime", "setxattr", "removexattr", "ftruncate",
        ):  # fmt: skip
            self._patch.setattr(os, name, self._on_descriptor(name, getattr(os, name)))
        for name in ("unlink", "remove", "rmdir", "mkdir"):
            self._patch.setattr(os, name, self._on_name(name, getattr(os, name)))
        for name in ("replace", "rename", "link"):
            self._patch.setattr(os, name, self._on_two_names(name, getattr(os, name)))
        for name in (
            "writev", "pwritev", "sendfile", "copy_file_range", "splice", "posix_fallocate", "truncate", "symlink",
            "mknod", "mkfifo",
        ):  # fmt: skip
            self._patch.setattr(os, name, self._unknown(name, getattr(os, name)))
        self._patch.setattr(os, "open", self._on_open(os.open))
        self._patch.setattr(os, "sync", self._on_sync(os.sync))
        return self

    def __exit__(self, *_: object) -> None:
        self._patch.undo()

    def mark(self, who: str, line: str) -> None:
        """Notes what somebody asks for or was told."""
        with self._lock:
            self.steps.append(Mark(who, line))

    def recording(self) -> Recording:
        """Returns what was recorded so far."""
        with self._lock:
            return Recording(list(self.steps), frozenset(self._directories), dict(self._inodes), self._root)

    # ------------------------------------------------------------ the calls

    def _object(self, descriptor: object) -> int | None:
        if not isinstance(descriptor, int):
            return None
        info = os.fstat(descriptor)
        return self._objects.get(info.st_ino) if info.st_dev == self._device else None

    def _new(self, inode: int, *, directory: bool = False) -> int:
        number = next(self._numbers)
        self._objects[inode] = number
        self._inodes[number] = inode
        if directory:
            self._directories.add(number)
        return number

    def _on_open(self, real: Callable[..., int]) -> Callable[..., int]:
        def call(path: Any, flags: int, mode: int = 0o777, *, dir_fd: int | None = None) -> int:
            where = self._object(dir_fd)
            if where is None or not flags & os.O_CREAT:
                return real(path, flags, mode, dir_fd=dir_fd)
            with self._lock:
                before = _inode(path, dir_fd)
                assert before is None or not flags & os.O_TRUNC, "a file that is there was truncated"
                descriptor = real(path, flags, mode, dir_fd=dir_fd)
                if before is None:
                    new = self._new(os.fstat(descriptor).st_ino)
                    self.steps.append(Names((Entry(where, os.fsdecode(path), new),)))
                return descriptor

        return call

    def _on_descriptor(self, name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def call(descriptor: Any, *args: Any, **options: Any) -> Any:
            what = self._object(descriptor)
            if what is None:
                return real(descriptor, *args, **options)
            if name in ("fsync", "fdatasync"):
                with self._lock:
                    began = len(self.steps)
                path = os.readlink(f"/proc/self/fd/{descriptor}").removeprefix(str(self._root))
                self.during_sync(path)
                result = real(descriptor)
                if not self.deaf(path):
                    with self._lock:
                        self.steps.append(Sync(what, began, content_only=name == "fdatasync"))
                return result
            with self._lock:
                result = real(descriptor, *args, **options)
                match name:
                    case "write":
                        at = os.lseek(descriptor, 0, os.SEEK_CUR) - result
                        self.steps.append(Content(what, at, bytes(args[0])[:result]))
                    case "pwrite":
                        self.steps.append(Content(what, args[1], bytes(args[0])[:result]))
                    case "ftruncate":
                        self.steps.append(Content(what, args[0], None))
                    case "utime":
                        self.steps.append(Attribute(what, None, options["ns"][1]))
                    case "setxattr":
                        self.steps.append(Attribute(what, args[0], bytes(args[1])))
                    case _:
                        self.steps.append(Attribute(what, args[0], None))
                if name in ("write", "pwrite", "ftruncate"):
                    self.steps.append(Attribute(what, None, os.fstat(descriptor).st_mtime_ns))
                return result

        return call

    def _on_name(self, name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def call(path: Any, *args: Any, dir_fd: int | None = None) -> Any:
            where = self._object(dir_fd)
            if where is None:
                return real(path, *args, dir_fd=dir_fd)
            with self._lock:
                result = real(path, *args, dir_fd=dir_fd)
                new = None
                if name == "mkdir":
                    new = self._new(os.stat(path, dir_fd=dir_fd).st_ino, directory=True)
                self.steps.append(Names((Entry(where, os.fsdecode(path), new),)))
                return result

        return call

    def _on_two_names(self, name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def call(
            source: Any,
            target: Any,
            *,
            src_dir_fd: int | None = None,
            dst_dir_fd: int | None = None,
            **options: Any,
        ) -> Any:
            old, new = self._object(src_dir_fd), self._object(dst_dir_fd)
            if old is None or new is None:
                return real(source, target, src_dir_fd=src_dir_fd, dst_dir_fd=dst_dir_fd, **options)
            with self._lock:
                what = self._objects[os.stat(source, dir_fd=src_dir_fd, follow_symlinks=False).st_ino]
                result = real(source, target, src_dir_fd=src_dir_fd, dst_dir_fd=dst_dir_fd, **options)
                entries = [Entry(new, os.fsdecode(target), what)]
                if name != "link":
                    entries.insert(0, Entry(old, os.fsdecode(source), None))
                self.steps.append(Names(tuple(entries)))
                return result

        return call

    def _on_sync(self, real: Callable[[], None]) -> Callable[[], None]:
        def call() -> None:
            with self._lock:
                began = len(self.steps)
            real()
            if not self.deaf(EVERYTHING):
                with self._lock:
                    self.steps.append(Sync(None, began))

        return call

    def _unknown(self, name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **options: Any) -> Any:
            target = args[1] if name in ("copy_file_range", "splice") else args[0]
            for place in (target, options.get("dir_fd")):
                assert self._object(place) is None, f"os.{name} is not recorded"
            return real(*args, **options)

        return call


def _inode(name: Any, dir_fd: int | None) -> int | None:
    try:
        return os.stat(name, dir_fd=dir_fd, follow_symlinks=False).st_ino
    except FileNotFoundError:
        return None


@dataclass
class Recording:
    """What was done to a folder, and what may be left of it."""

    steps: list[Step]
    directories: frozenset[int]
    inodes: dict[int, int]
    root: Path

    def whole(self) -> Tree:
        """Returns the folder after all that was recorded, nothing lost: what is to be found in it now."""
        return self._tree(set(range(len(self.steps))))

    def least(self, cut: int) -> Tree:
        """Returns what is left at least after a power cut before the step `cut`: nothing but what is durable."""
        return self._tree(self._durable(cut)[0])

    def said(self, cut: int) -> dict[str, list[str]]:
        """Returns what was asked for and answered before a cut, by whom."""
        said: dict[str, list[str]] = {}
        for step in self.steps[:cut]:
            if isinstance(step, Mark):
                said.setdefault(step.who, []).append(step.line)
        return said

    def cuts(self) -> list[int]:
        """Returns the moments that differ: after each step."""
        return list(range(len(self.steps) + 1))

    def states(self, cut: int, chance: random.Random, samples: int) -> Iterator[Tree]:
        """Gives what a power cut before the step `cut` may leave.

        Args:
            cut: The step.
            chance: For samples.
            samples: How many combinations of lost names are tried where there are too many for all of them, and how
                many of lost blocks for each state with content that is not durable.
        """
        durable, loose = self._durable(cut)
        for kept in _combinations(loose, chance, samples):
            names = {index for index in durable | kept if isinstance(self.steps[index], Names)}
            with_all = names | {index for index in range(cut) if not isinstance(self.steps[index], Names)}
            tree = self._tree(with_all)
            reachable = {what for _, what in tree.walk()}
            undecided = [
                index
                for index in range(cut)
                if index not in durable
                and isinstance(step := self.steps[index], (Content, Attribute))
                and step.what in reachable
            ]
            if not undecided:
                yield tree
                continue
            yield tree
            yield self._tree(names | durable)
            contents = {index for index in undecided if isinstance(self.steps[index], Content)}
            yield self._tree(names | durable | (set(undecided) - contents))  # attributes, and no content
            yield self._tree(names | durable | contents)
            for _ in range(samples):
                some = {index for index in undecided if chance.random() < 0.5}
                yield self._tree(names | durable | some, chance, frozenset(undecided))

    def _durable(self, cut: int) -> tuple[set[int], list[int]]:
        """Returns the steps that are durable at a cut, and the changes of names that may be or not and matter."""
        durable: set[int] = set()
        for sync in self.steps[:cut]:
            if isinstance(sync, Sync):
                durable |= {
                    index
                    for index in range(min(sync.began, cut))
                    if index not in durable and _covers(sync, self.steps[index])
                }
        decided: set[tuple[int, str]] = set()
        loose = []
        for index in range(cut - 1, -1, -1):
            step = self.steps[index]
            if not isinstance(step, Names):
                continue
            places = {(entry.where, entry.name) for entry in step.entries}
            if index in durable:
                decided |= places
            elif (
                not places <= decided
            ):  # else a later change of the same names is there, whatever became of this one
                loose.append(index)
        return durable, loose

    def _tree(
        self, kept: set[int], chance: random.Random | None = None, torn: frozenset[int] = frozenset()
    ) -> Tree:
        tree = Tree({what: {} for what in self.directories}, {}, self.inodes)
        for index in sorted(kept):
            match self.steps[index]:
                case Names(entries):
                    for entry in entries:
                        if entry.what is None:
                            tree.directories[entry.where].pop(entry.name, None)
                        else:
                            tree.directories[entry.where][entry.name] = entry.what
                            if entry.what not in tree.directories:
                                tree.files.setdefault(entry.what, File())
                case Content(what, at, None):
                    data = tree.files.setdefault(what, File()).data
                    del data[at:]
                    data.extend(bytes(at - len(data)))
                case Content(what, at, bytes(new)):
                    data = tree.files.setdefault(what, File()).data
                    data.extend(bytes(max(0, at + len(new) - len(data))))
                    data[at : at + len(new)] = new
                    if index in torn and chance is not None:
                        _tear(data, at, len(new), chance)
                case Attribute(what, None, int(time)):
                    tree.files.setdefault(what, File()).modified = time
                case Attribute(what, str(name), value) if what not in tree.directories:
                    attributes = tree.files.setdefault(what, File()).attributes
                    attributes.pop(name, None)
                    if isinstance(value, bytes):
                        attributes[name] = value
        return tree


def _tear(data: bytearray, at: int, length: int, chance: random.Random) -> None:
    """Loses some blocks of what was written last, and perhaps the end."""
    for start in range(at - at % BLOCK, at + length, BLOCK):
        if chance.random() < 0.5:
            first, last = max(at, start), min(at + length, start + BLOCK)
            data[first:last] = bytes(last - first)
    if chance.random() < 0.3:
        del data[at + chance.randrange(length + 1) :]


def _covers(sync: Sync, step: Step) -> bool:
    match step:
        case Names(entries):
            return sync.what is None or any(entry.where == sync.what for entry in entries)
        case Content(what):
            return sync.what in (None, what)
        case Attribute(what):
            return sync.what in (None, what) and not sync.content_only
        case _:
            return False


def _combinations(loose: list[int], chance: random.Random, samples: int) -> Iterator[set[int]]:
    if len(loose) <= _MOST_COMBINATIONS:
        for count in range(len(loose) + 1):
            yield from map(set, itertools.combinations(loose, count))
        return
    in_order = sorted(loose)
    for end in range(len(in_order) + 1):  # as a journal loses them: all from some point on
        yield set(in_order[:end])
    for one in loose:
        yield {one}
        yield set(loose) - {one}
    for _ in range(samples):
        share = chance.random()
        yield {index for index in loose if chance.random() < share}
