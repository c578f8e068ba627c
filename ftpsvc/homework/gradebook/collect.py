"""Gives out what was handed in: a folder or a zip for each student, on request without anything that says whose it is.

    OUT/alice/files/...      what was handed in
    OUT/alice/about.json     whose, which version, when, how late
    OUT.key.csv              only of what is anonymous: which name stands for whom, beside OUT and never in it

What is anonymous has a random name in the place of the student's, also in names of files and folders that the student
chose; no time, no digest and no version number, by which a receipt could be found; and all files have one date. What
students wrote *into* their files stays: who is named there is told, so that a person can look.
"""

from __future__ import annotations

import csv
import io
import json
import os
import re
import secrets
import shutil
import stat
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC
from pathlib import Path
from typing import Final

from ftpsvc.exceptions import ConfigError
from ftpsvc.homework.gradebook.exports import guarded
from ftpsvc.homework.gradebook.files import write
from ftpsvc.homework.gradebook.table import Cell, Student
from ftpsvc.homework.submissions import Version
from ftpsvc.text import printable

FILES: Final = "files"
ABOUT: Final = "about.json"

_DATE: Final = (1980, 1, 1, 0, 0, 0)
_SECONDS: Final = 315532800  # the same as a number
_SHORT: Final = 3


@dataclass(frozen=True, slots=True)
class Item:
    """What is given out of one student.

    Attributes:
        student: Who.
        version: The version that counts.
        cell: What is known of it.
    """

    student: Student
    version: Version
    cell: Cell


@dataclass(frozen=True, slots=True)
class Collected:
    """What became of one.

    Attributes:
        name: Its name in OUT.
        student: Whose it is.
        naming: Files of it whose contents name the student; only looked for in what is anonymous.
    """

    name: str
    student: Student
    naming: tuple[str, ...]


def collect(
    items: list[Item], out: Path, *, zipped: bool, anonymous: bool, fixed: frozenset[str]
) -> list[Collected]:
    """Writes a folder, or with `zipped` a zip, for each item.

    Args:
        items: What is given out.
        out: Where: a folder that is made.
        zipped: `OUT/alice.zip` in the place of `OUT/alice/`.
        anonymous: Whether it says whose it is.
        fixed: Names of files that everybody has, which stay as they are.

    Returns:
        What was written, by name.

    Raises:
        ConfigError: OUT, or the key beside it, is there already.
        OSError: Something cannot be read or written; what was written goes.
    """
    key = out.with_name(out.name + ".key.csv")
    if anonymous and key.exists():
        raise ConfigError(f"{printable(str(key))} is there already", hint="name another folder")
    try:
        out.mkdir(mode=0o700)
    except FileExistsError:
        raise ConfigError(f"{printable(str(out))} is there already", hint="name another folder") from None
    except OSError as error:
        raise ConfigError(f"{printable(str(out))} cannot be made: {error.strerror}") from None
    done = []
    try:
        names = _names(items, anonymous=anonymous)
        for item, name in sorted(zip(items, names, strict=True), key=lambda one: one[1]):
            done.append(_write(item, name, out, zipped=zipped, anonymous=anonymous, fixed=fixed))
        if anonymous:
            write(str(key), _key(done))
    except BaseException:
        shutil.rmtree(out, ignore_errors=True)
        raise
    return done


def _names(items: list[Item], *, anonymous: bool) -> list[str]:
    if not anonymous:
        return [item.student.name for item in items]
    found: set[str] = set()
    while len(found) < len(items):
        found.add(f"student-{secrets.token_hex(4)}")
    names = list(found)
    secrets.SystemRandom().shuffle(names)
    return names


def _write(
    item: Item, name: str, out: Path, *, zipped: bool, anonymous: bool, fixed: frozenset[str]
) -> Collected:
    names = _identifying(item.student)
    hide = _hider(names, name) if anonymous else str
    about = json.dumps(_about(item, name, anonymous=anonymous), indent=1).encode("ascii") + b"\n"
    naming = []
    place = _Zip(out / f"{name}.zip", name) if zipped else _Tree(out / name)
    try:
        place.add(ABOUT, about, None)
        taken: set[str] = set()
        for path, file in _files(item.version.files):
            target = _free(_hidden(path, hide, fixed), taken)
            content = _read(file)
            if anonymous and _mentions(content, names):
                naming.append(target)
            place.add(f"{FILES}/{target}", content, None if anonymous else int(file.stat().st_mtime))
    finally:
        place.close()
    return Collected(name, item.student, tuple(naming))


def _about(item: Item, name: str, *, anonymous: bool) -> dict[str, object]:
    if anonymous:
        return {"assignment": item.version.assignment, "name": name, "late": item.cell.late}
    version, late = item.version, item.cell.fact.lateness
    return {
        "assignment": version.assignment, "user": version.user, "display_name": item.student.display_name,
        "student_id": item.student.student_id, "group": item.student.group, "version": version.number,
        "received": version.stamps.received.astimezone(UTC).isoformat(),
        "late_seconds": 0 if late is None else late.seconds, "tree_sha256": version.tree_sha256,
    }  # fmt: skip


def _files(folder: Path) -> Iterator[tuple[str, Path]]:
    """Returns the files of a hand-in by their paths in it, sorted."""
    for where, folders, names in os.walk(folder):
        folders.sort()
        for name in sorted(names):
            path = Path(where, name)
            if stat.S_ISREG(path.lstat().st_mode):
                yield path.relative_to(folder).as_posix(), path


def _read(path: Path) -> bytes:
    with open(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC), "rb") as file:
        return file.read()


# ------------------------------------------------------------ who it is


def _identifying(student: Student) -> list[str]:
    """Returns what says who somebody is, the longest first."""
    words = [word for word in re.split(r"[\W_]+", student.display_name) if len(word) > 1]
    whole = [student.name, student.display_name, student.student_id]
    whole += [re.sub(r"\W+", mark, student.display_name) for mark in ("", "_", "-", ".")]
    return sorted(
        {one.casefold() for one in [*whole, *words] if one.strip()}, key=lambda one: (-len(one), one)
    )


def _hider(names: list[str], name: str) -> Callable[[str], str]:
    """Returns what puts a name in the place of all that says who it is."""
    pattern = _pattern(names)
    return lambda text: pattern.sub(name, text)


def _pattern(names: list[str]) -> re.Pattern[str]:
    """Returns what finds a student's names; short ones only as words of their own, or they would be everywhere."""
    parts = [
        re.escape(one)
        if len(one) > _SHORT or not one.isascii()
        else rf"(?<![^\W\d_]){re.escape(one)}(?![^\W\d_])"
        for one in names
    ]
    return re.compile("|".join(parts), re.IGNORECASE)


def _hidden(path: str, hide: Callable[[str], str], fixed: frozenset[str]) -> str:
    return path if path in fixed else "/".join(hide(part) for part in path.split("/"))


def _free(path: str, taken: set[str]) -> str:
    """Returns a path that no other file of this hand-in has, since two names may become one.

    Files come before what is in folders beside them, so only a folder can get the name of a file.
    """
    parts = path.split("/")
    for place in range(1, len(parts)):
        while "/".join(parts[:place]).casefold() in taken:
            parts[place - 1] += "-2"
    path = "/".join(parts)
    stem, dot, suffix = path.rpartition(".")
    number, found = 1, path
    while found.casefold() in taken:
        number += 1
        found = f"{stem}-{number}{dot}{suffix}" if stem and "/" not in suffix else f"{path}-{number}"
    taken.add(found.casefold())
    return found


def _mentions(content: bytes, names: list[str]) -> bool:
    return _pattern(names).search(content.decode("utf-8", "replace")) is not None


def _key(done: list[Collected]) -> str:
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(("name", "user", "display_name"))
    writer.writerows((one.name, guarded(one.student.name), guarded(one.student.display_name)) for one in done)
    return out.getvalue()


# ------------------------------------------------------------ where it goes


class _Tree:
    """A folder."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(mode=0o700)
        self._folder = folder

    def add(self, name: str, content: bytes, modified: int | None) -> None:
        """Writes a file; without a time it gets the one date."""
        path = self._folder / name
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "wb") as file:
            file.write(content)
        seconds = _SECONDS if modified is None else modified
        os.utime(path, (seconds, seconds))

    def close(self) -> None:
        """Gives folders the one date too, since theirs say when each was collected."""
        for where, _, _ in os.walk(self._folder, topdown=False):
            os.utime(where, (_SECONDS, _SECONDS))


class _Zip:
    """A zip with one folder in it."""

    def __init__(self, path: Path, name: str) -> None:
        file = open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "wb")  # noqa: SIM115
        self._file, self._path = file, path
        self._zip = zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED)
        self._name = name

    def add(self, name: str, content: bytes, modified: int | None) -> None:
        """Writes a file; a zip has no room for zones, so all have the one date."""
        info = zipfile.ZipInfo(f"{self._name}/{name}", _DATE)
        info.external_attr = 0o644 << 16
        info.compress_type = zipfile.ZIP_DEFLATED
        self._zip.writestr(info, content)

    def close(self) -> None:
        """Ends the zip."""
        self._zip.close()
        self._file.close()
        os.utime(self._path, (_SECONDS, _SECONDS))
