"""The audit: who did what, in append-only files of one JSON object a line (docs/audit.md).

ROOT/.ftpsvc/audit/audit.jsonl          being written to
ROOT/.ftpsvc/audit/audit-TIME.jsonl     finished; TIME is when, in UTC
ROOT/.ftpsvc/audit/lock                 held by the daemon

What concerns accounts is on the disk before it is answered. Log-ins and refusals are with the operating system before
they are answered, everything else soon after: 10,000 small files do not pay for 10,000 writes. A disk that takes no
more stops the audit and not the service; the log tells, and so does the audit when it goes on.
"""

from __future__ import annotations

import enum
import functools
import json
import logging
import os
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from pydantic_core import PydanticSerializationError, to_json

from ftpsvc.exceptions import ConfigError
from ftpsvc.server import log
from ftpsvc.server.allowance import Allowance

FOLDER: Final = (".ftpsvc", "audit")
CURRENT: Final = "audit.jsonl"

_DELAY_SECONDS: Final = 0.5
"""How long an event may wait to be written together with others, and a written one to be synced."""
_HELD_BYTES: Final = 256 * 1024
"""Beyond this whoever adds an event writes them all, so that memory is bounded."""
_PATH_CHARACTERS: Final = 4096
_TEXT_CHARACTERS: Final = 300
_PATHS: Final = frozenset({"path", "to"})
_RARE_SECONDS: Final = 1.0

_log = logging.getLogger("ftpsvc.server.audit")


class Urgency(enum.Enum):
    """How soon an event must be safe.

    SOON: written within half a second. WRITTEN: with the operating system before `record` returns, so that a killed
    process does not lose it. SYNCED: on the disk before `record` returns.
    """

    SOON = "soon"
    WRITTEN = "written"
    SYNCED = "synced"


class Audit:
    """Writes the audit of one root. Thread-safe; one daemon at a time, which a lock ensures.

    Attributes:
        strangers: How much who has not logged in may have written down.
    """

    def __init__(self, root: Path, *, file_size: int, files: int, durable: bool = True) -> None:
        """Opens the audit, and makes its folder if need be.

        Args:
            root: The server's root, which has its hidden folder.
            file_size: Bytes after which the next file is begun.
            files: How many are kept, the current one among them.
            durable: Whether to sync at all.

        Raises:
            ConfigError: It cannot be written, or another daemon writes it.
        """
        import fcntl  # POSIX only, like all that runs here; late, so that the module can be read anywhere

        self.strangers = Allowance()
        self._file_size = file_size
        self._files = files
        self._durable = durable
        self._lock = threading.Lock()
        self._wanted = threading.Event()
        self._closing = threading.Event()
        self._held: list[bytes] = []
        self._held_bytes = 0
        self._unsynced = False
        self._lost = 0
        self._torn = False
        self._rare: dict[str, tuple[float, int]] = {}
        folder = root.joinpath(*FOLDER)
        self._fd = self._lock_fd = -1
        try:
            folder.mkdir(mode=0o700, exist_ok=True)
            self._folder = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            try:
                self._lock_fd = os.open(
                    "lock", os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600, dir_fd=self._folder
                )
                fcntl.flock(self._lock_fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                self._open()
            except BaseException:
                self._close_all()
                raise
        except BlockingIOError:
            raise ConfigError(
                f"another ftpsvc-server serves {root}",
                hint="stop that one first, or use another root",
            ) from None
        except OSError as error:
            raise ConfigError(f"cannot write the audit in {folder}: {error.strerror}") from None
        self._thread = threading.Thread(target=self._run, name="audit")
        self._thread.start()

    def record(self, event: str, *, urgency: Urgency = Urgency.SOON, **fields: Any) -> None:
        """Adds an event. Never raises for what the disk does.

        Args:
            event: What happened; docs/audit.md lists the names.
            urgency: How soon it must be safe.
            fields: What belongs to it; None is left out. Never a secret, never content.
        """
        self.add(event, fields, urgency)

    def add(self, event: str, fields: dict[str, Any], urgency: Urgency) -> None:
        """As `record`, for fields that are together already."""
        data = line(event, fields)
        with self._lock:
            self._held.append(data)
            self._held_bytes += len(data)
            if urgency is not Urgency.SOON or self._held_bytes >= _HELD_BYTES:
                self._write()
            if urgency is Urgency.SYNCED:
                self._sync()
        if not self._wanted.is_set():
            self._wanted.set()

    def record_rarely(self, event: str, **fields: Any) -> None:
        """Adds an event of which anybody can cause any number: one a second at most, with the number left out."""
        now = time.monotonic()
        with self._lock:
            last, left_out = self._rare.get(event, (-_RARE_SECONDS, 0))
            if now - last < _RARE_SECONDS:
                self._rare[event] = last, left_out + 1
                return
            self._rare[event] = now, 0
        self.record(event, left_out=left_out or None, **fields)

    def flush(self) -> None:
        """Hands what is held to the operating system, as at the end of a session."""
        with self._lock:
            if self._held:
                self._write()

    def close(self) -> None:
        """Writes and syncs what is left, and gives the lock back. No event may follow."""
        if left_out := self.strangers.close():
            self.record("more-refusals", count=left_out)
        self._closing.set()
        self._wanted.set()
        self._thread.join()
        with self._lock:
            self._write()
            self._sync()
            if self._lost:
                log.event(_log, logging.ERROR, "audit-failed", lost=self._lost)
            self._close_all()

    # ------------------------------------------------------------ the thread that writes

    def _run(self) -> None:
        while not self._closing.is_set():
            self._wanted.wait()
            self._closing.wait(_DELAY_SECONDS)
            self._wanted.clear()
            with self._lock:
                if self._held:
                    self._write()
                descriptor = -1
                if self._unsynced and self._durable:
                    with suppress(OSError):  # no descriptor left: the next time, then
                        descriptor = os.dup(self._fd)
                        self._unsynced = False
            if descriptor >= 0:
                # Without the lock: whoever records meanwhile does not wait for the disk.
                with suppress(OSError):
                    os.fdatasync(descriptor)
                os.close(descriptor)

    # ------------------------------------------------------------ files; all under the lock

    def _open(self) -> None:
        self._fd, self._torn = _open_current(self._folder)
        self._size = os.fstat(self._fd).st_size
        if self._durable:
            os.fsync(self._folder)

    def _write(self) -> None:
        data, self._held, self._held_bytes = b"".join(self._held), [], 0
        if not data:
            return
        lost, self._lost = self._lost, 0
        if lost:
            data = line("lost", {"count": lost}) + data
        try:
            if self._fd >= 0 and not self._is_there():
                old, self._fd = self._fd, -1
                os.close(old)
            if self._fd < 0:
                self._open()
            if self._size and self._size + len(data) > self._file_size:
                self._rotate()
            if self._torn:
                data = b"\n" + data
            _append(self._fd, data)
        except OSError as error:
            self._torn = True
            self._lost = lost + data.count(b'{"time"') - bool(lost)
            if not lost:
                log.event(_log, logging.ERROR, "audit-failed", reason=os.strerror(error.errno or 0))
            return
        self._torn = False
        self._size += len(data)
        self._unsynced = True

    def _is_there(self) -> bool:
        """Returns whether the open file still has its name: an operator may have moved it away, or removed it."""
        try:
            there = os.stat(CURRENT, dir_fd=self._folder, follow_symlinks=False)
        except FileNotFoundError:
            return False
        return os.path.samestat(there, os.fstat(self._fd))

    def _sync(self) -> None:
        if self._durable and self._unsynced:
            with suppress(OSError):
                os.fdatasync(self._fd)
            self._unsynced = False

    def _rotate(self) -> None:
        self._sync()
        stamp = time.strftime("%Y%m%dT%H%M%S", time.gmtime()) + f".{time.time_ns() // 1000 % 10**6:06}Z"
        os.rename(
            CURRENT, f"audit-{stamp}.jsonl", src_dir_fd=self._folder, dst_dir_fd=self._folder
        )  # the time is finer than any rotation, so no file is replaced
        old, self._fd = self._fd, -1
        os.close(old)
        self._open()
        for name in finished(self._folder)[: -(self._files - 1)]:
            os.unlink(name, dir_fd=self._folder)

    def _close_all(self) -> None:
        for descriptor in (self._fd, self._lock_fd, self._folder):
            if descriptor >= 0:
                os.close(descriptor)
        self._fd = self._lock_fd = self._folder = -1


def record_beside(root: Path, event: str, **fields: Any) -> None:
    """Adds one event from a process that is not the daemon, and syncs it.

    Raises:
        OSError: It cannot be written.
    """
    folder = root.joinpath(*FOLDER)
    folder.mkdir(mode=0o700, exist_ok=True)
    directory = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        current, torn = _open_current(directory)
        try:
            _append(current, b"\n" * torn + line(event, fields))
            os.fsync(current)
        finally:
            os.close(current)
    finally:
        os.close(directory)


def line(event: str, fields: dict[str, Any]) -> bytes:
    """Returns an event as it is written: a line of ASCII, 64 KiB at most."""
    values: dict[str, Any] = {"time": now(), "event": event}
    for key, value in fields.items():
        if value is None:
            continue
        if isinstance(value, str) and len(value) > _TEXT_CHARACTERS:
            limit = _PATH_CHARACTERS if key in _PATHS else _TEXT_CHARACTERS
            value = value if len(value) <= limit else value[:limit] + "..."
        values[key] = value
    try:
        data = to_json(values, ensure_ascii=True)  # a quarter of the time of json.dumps, for each small file
    except PydanticSerializationError:  # half a surrogate pair, in whatever a client made up
        data = json.dumps(values).encode()
    return data + b"\n"


def now() -> str:
    """Returns the time as it is written: `2026-03-01T08:15:30.123Z`, UTC. Sorted as text it is sorted by time."""
    second, milliseconds = divmod(time.time_ns() // 10**6, 1000)
    return f"{_to_the_second(second)}.{milliseconds:03}Z"


@functools.lru_cache(maxsize=1)
def _to_the_second(second: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(second))


def finished(folder: int | Path) -> list[str]:
    """Returns the names of the finished files in an audit's folder, oldest first."""
    return sorted(
        name for name in os.listdir(folder) if name.startswith("audit-") and name.endswith(".jsonl")
    )


def _open_current(folder: int) -> tuple[int, bool]:
    """Opens the current file to append; returns also whether a process that was killed left half a line there."""
    descriptor = os.open(
        CURRENT, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600, dir_fd=folder
    )
    try:
        size = os.fstat(descriptor).st_size
        # The newline comes with the next event: a disk that has no room for it now is no reason not to start.
        return descriptor, bool(size) and os.pread(descriptor, 1, size - 1) != b"\n"
    except BaseException:
        os.close(descriptor)
        raise


def _append(descriptor: int, data: bytes) -> None:
    """Writes all of `data`. Raises OSError, and half a line may be written then."""
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]
