"""The contract of a sandbox: what a job is, what it may use, and what is said about how it ended (docs/grading.md).

Every implementation passes tests/contract/test_sandbox.py and tests/faults/test_sandbox_hostile.py.

A sandbox promises:

1. *Nothing but the job.* The program sees the system's programs and libraries read-only, its own files in `BOX`, and
   nothing else of the machine's disk; no network but its own loopback; no process but its own; none of the grader's
   environment or descriptors.
2. *Nothing without a bound.* Every number of `Limits` holds for all processes of the job together, however they are
   related, except `file`, which is for each file.
3. *Nothing is left.* When `run` returns or raises, and also when the grader is killed with SIGKILL at any moment, no
   program and no file of the job remain. (What bwrap itself may leave of a set-up: `leftovers`.)
4. *Whose fault.* What the program does is an `Outcome`, whatever it does. What the machine fails to do is a
   `SandboxError`. The one is never told as the other.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal, Protocol, TypeAlias

from ftpsvc.exceptions import FtpsvcError

BOX: Final = "/box"
"""The working folder inside: the hand-in and the further files of the job lie here."""

MAX_FILES: Final = 1000
"""Files that one job may be given, hand-in and further files together."""

Cap: TypeAlias = Literal["cpu", "wall", "memory", "output", "processes", "disk"]
"""A limit that ended a program."""


class SandboxError(FtpsvcError):
    """The sandbox itself failed: the program did not run, or nobody can say how it ended.

    It is never the student's fault and never a result (GRADING 3.3 rule 7). Nothing of the job is left.

    Attributes:
        reason: What failed, one line, printable.
        hint: What the operator can do about it, or None.
    """

    code = "sandbox-error"
    retry = True

    def __init__(self, reason: str, *, hint: str | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.hint = hint


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What all processes of a job may use together; sizes in bytes, times in seconds.

    Attributes:
        cpu: Processor time, user and system, of all processes.
        wall: Time from the program's start.
        memory: Resident memory, summed over all processes; memory that they share counts for each of them.
        processes: Processes and threads at any moment.
        output: Standard output and error together; what comes after is cut off and ends the job.
        file: Size of any one file that is written.
        disk: What may be stored in `BOX` beside what the job was given; /tmp holds as much again.
    """

    cpu: float = 5.0
    wall: float = 15.0
    memory: int = 256 << 20
    processes: int = 32
    output: int = 1 << 20
    file: int = 16 << 20
    disk: int = 64 << 20

    def __post_init__(self) -> None:
        """Checks the numbers.

        Raises:
            ValueError: One is not above zero.
        """
        for name in ("cpu", "wall", "memory", "processes", "output", "file", "disk"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} must be more than 0")


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One program to run.

    Attributes:
        argv: The program and its arguments. A name without a slash is searched for in the sandbox's PATH, which has the
            system's folders only; relative names are relative to `BOX`.
        folder: The hand-in, or None. Its files and folders appear in `BOX`; it is only read. Links and special
            files in it are left out, so that nothing outside it is ever reached by it.
        files: Further files, by their name relative to `BOX`: content, or a file of the grader's. They cover files
            of the hand-in with the same name, and the program can neither change, remove nor replace them.
        stdin: What the program reads from standard input: content, or a file of the grader's.
        limits: What it may use.
        env: Environment variables beside the sandbox's own (PATH, HOME, TMPDIR, LANG), which they may replace.
        writable: Whether the program may write in `BOX`; the hand-in is then its own copy. /tmp is writable anyway.
        mounts: Folders of this machine that the program sees, read-only and under their own names, as a virtual
            environment outside /usr. The uid that the sandbox runs as must be able to reach them.
    """

    argv: tuple[str, ...]
    folder: Path | None = None
    files: Mapping[str, bytes | Path] = field(default_factory=dict)
    stdin: bytes | Path = b""
    limits: Limits = field(default_factory=Limits)
    env: Mapping[str, str] = field(default_factory=dict)
    writable: bool = True
    mounts: tuple[Path, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How a program ended, and what it used.

    Attributes:
        exit: Its exit code; None when a signal ended it.
        signal: The number of the signal that ended it, else None. Codes of 129 to 192 are taken for signals, as a shell
            writes them: a program that itself ends with such a code is not told from one that was killed.
        killed_by: The limit that ended it, else None. Never a guess: either the sandbox killed the job for it, or the
            kernel ended the program with the signal of just that limit.
        cpu: Seconds of processor time of all its processes, as last seen: a twentieth of a second may be missing.
        wall: Seconds from its start to its end.
        rss: The most resident memory that was seen, in bytes.
        stdout: Standard output, at most `Limits.output` bytes together with `stderr`.
        stderr: Standard error.
        truncated: Whether there was more output than is given here.
    """

    exit: int | None
    signal: int | None
    killed_by: Cap | None
    cpu: float
    wall: float
    rss: int
    stdout: bytes
    stderr: bytes
    truncated: bool

    @property
    def status(self) -> int:
        """The exit code as a shell shows it: 128 + signal for a program that a signal ended."""
        return self.exit if self.exit is not None else 128 + (self.signal or 0)


class Sandbox(Protocol):
    """Runs jobs. One object may be used by any number of threads at once; it keeps nothing between two jobs."""

    @property
    def name(self) -> str:
        """Kind and version, for results: "bwrap 0.8.0"."""

    @property
    def caps(self) -> tuple[str, ...]:
        """What it is built to hold, in the words of docs/grading.md; `doctor` finds what really is in force."""

    def run(self, job: Job) -> Outcome:
        """Runs a job to its end, at most `Limits.wall` and a moment, in the calling thread.

        The job dies with the *thread* that called, so it must not be one that somebody else may end.

        Raises:
            SandboxError: The job could not be run. Nothing of it is left.
            ValueError: The job is none: no argv, a NUL in a name, a name in `files` that leads out of `BOX`.
        """
