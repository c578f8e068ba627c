"""What is wrong with a teacher's file, and where: all of it at once."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from ftpsvc.exceptions import ConfigError
from ftpsvc.text import count, printable


@dataclass(frozen=True, slots=True, order=True)
class Fault:
    """One thing that is wrong.

    Attributes:
        file: The file that it is wrong in.
        line: The line, from 1; 0 is the file as a whole.
        text: What is wrong, one line without a full stop.
        hint: What to do about it; empty where the text says it.
    """

    file: Path
    line: int
    text: str
    hint: str = ""

    def __str__(self) -> str:
        where = f"{self.file}:{self.line}" if self.line else str(self.file)
        return printable(f"{where}: {self.text}" + (f" ({self.hint})" if self.hint else ""))


class HomeworkFaults(ConfigError):
    """A teacher's file cannot be used.

    Attributes:
        faults: All that is wrong, in the order of the files and their lines; at least one.
    """

    def __init__(self, what: str, faults: Iterable[Fault]) -> None:
        """Takes what the faults are in, as "assignment hw3", and the faults."""
        self.faults = tuple(sorted(set(faults)))
        super().__init__(f"{what} has {count(len(self.faults), 'fault')}")

    def lines(self) -> list[str]:
        """Returns the faults, one a line, for a person."""
        return [str(fault) for fault in self.faults]


class AssignmentFaults(HomeworkFaults):
    """An assignment cannot be used: its file, or what the file names, is wrong."""
