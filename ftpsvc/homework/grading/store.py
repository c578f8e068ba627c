"""Where results lie, and how one gets there whole, once, and never over another (docs/grading.md, "Where results lie").

    ROOT/submissions/ID/USER/results/0003/0001.json     version 3, first attempt: results.json
    ROOT/submissions/ID/USER/results/0003/0001/         what its programs wrote: 2.stdout, 2.stderr
    ROOT/submissions/ID/USER/results/0003/error.json    there is no newer result, because grading failed: why

A result is written aside and then linked to its name, so it is there whole or not at all, and of two graders at the
same attempt one wins and the other changes nothing: a task may be done any number of times.
"""

from __future__ import annotations

import json
import os
import re
import shutil
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from ftpsvc.homework.grading import results
from ftpsvc.homework.grading.kinds.common import Judged
from ftpsvc.homework.grading.results import Result

RESULTS: Final = "results"
ERROR: Final = "error.json"

_ATTEMPT: Final = re.compile(r"([0-9]{4,9})\.json")
_STAGED: Final = ".staged-"


@dataclass(frozen=True, slots=True)
class Failure:
    """Why there is no result.

    Attributes:
        attempt: The attempt that failed.
        reason: What failed, one line.
        hint: What to do about it, or None.
        time: When, UTC.
    """

    attempt: int
    reason: str
    hint: str | None
    time: str


class Results:
    """The results of one student for one assignment.

    Args:
        folder: `ROOT/submissions/ID/USER`.
    """

    def __init__(self, folder: Path) -> None:
        self.folder: Final = folder / RESULTS

    def of(self, version: int) -> Path:
        """Returns the folder of a version's results, which need not exist."""
        return self.folder / f"{version:04}"

    def attempts(self, version: int) -> list[int]:
        """Returns the numbers of the attempts that have a result, ascending."""
        try:
            names = os.listdir(self.of(version))
        except (FileNotFoundError, NotADirectoryError):
            return []
        return sorted(int(found[1]) for name in names if (found := _ATTEMPT.fullmatch(name)))

    def read(self, version: int, attempt: int) -> Result:
        """Returns a result.

        Raises:
            OSError: It cannot be read.
            ValueError: It is none.
        """
        return results.read(self.of(version) / f"{attempt:04}.json")

    def newest(self, version: int) -> Result | None:
        """Returns the result that counts for a version, or None where there is none yet.

        Raises:
            OSError: It cannot be read.
            ValueError: It is none.
        """
        attempts = self.attempts(version)
        return self.read(version, attempts[-1]) if attempts else None

    def failure(self, version: int) -> Failure | None:
        """Returns why the newest attempt at a version has no result; None where it has, or nobody tried."""
        try:
            return Failure(**json.loads((self.of(version) / ERROR).read_bytes()))
        except (FileNotFoundError, NotADirectoryError):
            return None

    def outputs(self, version: int, attempt: int) -> list[Path]:
        """Returns the files with what the programs of an attempt wrote, sorted by name."""
        folder = self.of(version) / f"{attempt:04}"
        return sorted(folder.iterdir()) if folder.is_dir() else []

    def write(self, version: int, result: Result, tests: tuple[Judged, ...]) -> bool:
        """Stores a result, on the disk when it returns. Returns False, and changes nothing, where the attempt has one.

        Raises:
            OSError: It cannot be written. Then there is none.
        """
        place = self._place(version)
        name = f"{result.ours.attempt:04}"
        if (place / f"{name}.json").exists():
            return False
        self._write_outputs(place, name, tests)
        staged = place / f"{_STAGED}{name}.json"
        _write(staged, results.encode(result))
        try:
            os.link(staged, place / f"{name}.json")
        except FileExistsError:
            return False
        finally:
            staged.unlink()
        with suppress(FileNotFoundError):
            (place / ERROR).unlink()
        _sync(place)
        return True

    def fail(self, version: int, failure: Failure) -> None:
        """Writes down why there is no result; those of earlier attempts stay.

        Raises:
            OSError: It cannot be written.
        """
        place = self._place(version)
        staged = place / f"{_STAGED}{ERROR}"
        _write(staged, json.dumps(asdict(failure)).encode("ascii") + b"\n")
        os.replace(staged, place / ERROR)
        _sync(place)

    def _place(self, version: int) -> Path:
        """Returns a version's folder, made if need be, without what a killed grader left half written there."""
        place = self.of(version)
        missing = [one for one in (place, *place.parents[:2]) if not one.is_dir()]
        for one in reversed(missing):
            one.mkdir(mode=0o700, exist_ok=True)
            _sync(one.parent)
        for name in os.listdir(place):
            if name.startswith(_STAGED):
                _remove(place / name)
        return place

    def _write_outputs(self, place: Path, name: str, tests: tuple[Judged, ...]) -> None:
        staged = place / f"{_STAGED}{name}"
        staged.mkdir(mode=0o700)
        for one in tests:
            for stream, content in one.streams:
                (staged / f"{one.result.number}.{stream}").write_bytes(content)
        _remove(place / name)  # of a grader that was killed before its result was there
        staged.rename(place / name)


def _write(path: Path, content: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with open(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(descriptor)


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
