"""What a running job uses, read from outside: processor time, memory, processes, disk.

The sandbox's own /proc and its file systems are looked at through /proc/PID/root of its first process. That shows just
the processes of the sandbox, whoever their parents are, and costs nothing for all others of the machine. Where there is
no /proc inside (containers that forbid it), the machine's is searched for descendants.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from typing import Final

from ftpsvc.homework.sandbox.base import BOX, Cap, Limits

DISKS: Final = (BOX, "/tmp", "/dev/shm")  # noqa: S108 -- names inside the sandbox
"""The file systems inside that can be written to."""

FILE_BYTES: Final = 4096
"""Each file counts at least this much of `Limits.disk`: an empty one costs the kernel memory too."""

SPARE_FILES: Final = 1024

_FREE_SOCKETS: Final = 16
"""AF_UNIX sockets that cost nothing: what an event loop and some children of an honest program have."""

_QUEUED: Final = {b"0002": 11}
"""Senders whose messages the queue of a socket holds, by its type: eleven of datagrams, else the one peer."""

_PAGE: Final = os.sysconf("SC_PAGESIZE")
_TICKS: Final = os.sysconf("SC_CLK_TCK")
_MOST_MAPS: Final = 1 << 22
_SHARED: Final = re.compile(
    rb"^([0-9a-f]+)-([0-9a-f]+) ...s [0-9a-f]+ (\S+ \d+) +(?:/dev/zero|/memfd:|/SYSV|anon_hugepage)",
    re.MULTILINE,
)
_UNIX: Final = re.compile(rb"^[0-9a-f]+: [0-9A-F]+ [0-9A-F]+ [0-9A-F]+ ([0-9A-F]{4}) ", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Usage:
    """What is used at one moment: seconds since the start, bytes and processes now, and full disks.

    Attributes:
        full: A file system is full, or has more files than it may.
    """

    cpu: float
    memory: int
    processes: int
    full: bool


@dataclass(frozen=True, slots=True)
class _Process:
    path: str
    started: str
    own: int
    with_children: int
    threads: int
    size: int
    resident: int
    shared: int


class Watcher:
    """Looks at one sandbox. Not for several threads.

    Args:
        pid: The sandbox's first process, as this process numbers it. It must be set up and still be there.
        limits: What the job may use.
        given: Number of files that the job was given.

    Attributes:
        peak: The most memory that was seen, in bytes.
        cpu: The most processor time that was seen, in seconds.
        sees_disks: Whether the file systems inside can be looked at.
    """

    def __init__(self, pid: int, limits: Limits, given: int = 0) -> None:
        self._limits = limits
        self._pid = pid
        self._most_files = limits.disk // FILE_BYTES + SPARE_FILES + given
        self._seen: dict[tuple[str, str], int] = {}
        self._proc = _open(f"/proc/{pid}/root/proc")
        if self._proc is not None and "1" not in os.listdir(self._proc):
            os.close(self._proc)
            self._proc = None
        self._disks = [one for disk in DISKS if (one := _open(f"/proc/{pid}/root{disk}")) is not None]
        # The longest queue that a socket can ask for: the kernel counts twice what SO_SNDBUF says.
        self._sent = 2 * int(_content("/proc/sys/net/core/wmem_max", None) or 212992)
        self.peak = 0
        self.cpu = 0.0
        self.sees_disks = len(self._disks) == len(DISKS)

    def close(self) -> None:
        """Lets go of the sandbox: its file systems vanish when its processes have and this is closed."""
        for descriptor in (*self._disks, *([self._proc] if self._proc is not None else [])):
            os.close(descriptor)
        self._disks, self._proc = [], None

    def look(self) -> Usage:
        """Returns what is used now."""
        found = self._processes()
        for process in found:
            self._seen[process.path, process.started] = process.own
        # Two sums, each blind for something: children that nobody waited for are in the first only as they were last
        # seen, short-lived ones between two looks are in the second only.
        cpu = max(sum(self._seen.values()), sum(process.with_children for process in found)) / _TICKS
        memory = sum(process.resident for process in found)
        if sum(process.size for process in found) > self._limits.memory:
            memory = max(memory, self._with_shared(found))
        memory += self._in_sockets()
        self.peak, self.cpu = max(self.peak, memory), max(self.cpu, cpu)
        return Usage(self.cpu, memory, sum(process.threads for process in found), self.full())

    def exceeded(self, usage: Usage, wall: float) -> Cap | None:
        """Returns the limit that is passed, or None.

        Args:
            usage: From `look`.
            wall: Seconds since the program's start.
        """
        limits = self._limits
        if usage.memory > limits.memory:
            return "memory"
        if usage.processes > limits.processes:
            return "processes"
        if usage.full:
            return "disk"
        if usage.cpu > limits.cpu:
            return "cpu"
        return "wall" if wall > limits.wall else None

    def full(self) -> bool:
        """Whether a file system of the sandbox is full. Also says so after the sandbox has ended."""
        for descriptor in self._disks:
            found = os.fstatvfs(descriptor)
            if found.f_blocks and (found.f_bavail == 0 or found.f_files - found.f_ffree > self._most_files):
                return True
        return False

    def _processes(self) -> list[_Process]:
        """Returns those of the sandbox. The first is bwrap's own: it has the times of orphans, and counts as none."""
        found = [self._read(f"/proc/{self._pid}", None, first=True)]
        if self._proc is not None:
            try:
                names = os.listdir(self._proc)
            except OSError:  # it has ended
                names = []
            found += [self._read(pid, self._proc) for pid in names if pid.isdigit() and pid != "1"]
        else:
            found += [self._read(f"/proc/{pid}", None) for pid in self._descendants()]
        return [one for one in found if one is not None]

    def _descendants(self) -> list[str]:
        children: dict[str, list[str]] = {}
        for pid in os.listdir("/proc"):
            if pid.isdigit() and (status := _content(f"/proc/{pid}/stat", None)):
                children.setdefault(_fields(status)[1], []).append(pid)
        found = [str(self._pid)]
        for pid in found:
            found += children.get(pid, [])
        return found[1:]

    def _read(self, path: str, folder: int | None, *, first: bool = False) -> _Process | None:
        status = _content(f"{path}/stat", folder)
        memory = _content(f"{path}/statm", folder).split()
        if not status or len(memory) < 3:
            return None
        fields = _fields(status)
        own = int(fields[11]) + int(fields[12])
        return _Process(
            path,
            fields[19],
            own,
            own + int(fields[13]) + int(fields[14]),
            0 if first else int(fields[17]),
            *(0 if first else int(number) * _PAGE for number in memory[:3]),
        )

    def _in_sockets(self) -> int:
        """Returns what all AF_UNIX sockets of the sandbox could hold, but for the first few.

        It is the kernel's memory, which no process shows, and has no bound of its own as TCP's and UDP's has: sockets
        that nobody accepted keep what they were sent, so it is not enough to look at open descriptors.
        """
        types = _UNIX.findall(_content(f"/proc/{self._pid}/net/unix", None, _MOST_MAPS))
        return max(0, sum(_QUEUED.get(kind, 1) for kind in types) - _FREE_SOCKETS) * self._sent

    def _with_shared(self, found: list[_Process]) -> int:
        """Returns the memory with what is mapped to be shared counted once and as if all of it were in use.

        A program can fill such memory and then let go of the pages: nobody's resident set shows them, and they stay.
        """
        regions: dict[bytes, int] = {}
        for process in found:
            folder = None if process.path.startswith("/") else self._proc
            maps = _content(f"{process.path}/maps", folder, _MOST_MAPS)
            for start, end, identity in _SHARED.findall(maps):
                regions[identity] = max(regions.get(identity, 0), int(end, 16) - int(start, 16))
        return sum(process.resident - process.shared for process in found) + sum(regions.values())


def _open(path: str) -> int | None:
    try:
        return os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError:
        return None


def _content(path: str, folder: int | None, most: int = 1 << 16) -> bytes:
    """Returns what is in a file of /proc, b"" when the process is gone or may not be looked at."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC, dir_fd=folder)
    except OSError:
        return b""
    try:
        parts = []
        while most > 0 and (part := os.read(descriptor, min(most, 1 << 16))):
            parts.append(part)
            most -= len(part)
        return b"".join(parts)
    except OSError:
        return b""
    finally:
        os.close(descriptor)


def _fields(status: bytes) -> list[str]:
    """Returns the fields of /proc/PID/stat from the third on: the second, a name, may hold anything."""
    return status[status.rindex(b")") + 1 :].decode("ascii").split()
