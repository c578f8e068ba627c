"""A daemon as a process: what it says when it starts, and how signals end it.

SIGTERM and SIGINT stop it; a second one cuts running transfers at once; a third one ends the process as the system does
by default. SIGHUP has the certificate read again.
"""

from __future__ import annotations

import os
import signal
import socket
import threading
from collections.abc import Sequence
from types import FrameType, TracebackType
from typing import Any, Final, Self

from ftpsvc.certificates import shown
from ftpsvc.server.config import Settings
from ftpsvc.server.daemon import Daemon
from ftpsvc.server.exits import Exit
from ftpsvc.server.extension import Extension
from ftpsvc.server.log import Output
from ftpsvc.storage.base import Durability

_DESCRIPTORS_EACH: Final = 3
"""A connection's socket, the file, and a directory while a name is walked."""
_DESCRIPTORS_BESIDE: Final = 64
_STACK_BYTES: Final = 512 * 1024
"""A connection's stack. The default of 8 MiB is only reserved, but 1,000 of them are 8 GiB where address space is
limited, and on some systems they are backed by pages of 2 MiB (docs/server.md, "Memory")."""

_STOPS: Final = frozenset({signal.SIGTERM, signal.SIGINT})


class _Signals:
    """Signals as bytes in a socket, which one thread can wait for together with other news. A context manager.

    Python runs handlers in the main thread between two instructions, where taking a lock may wait for ever;
    `set_wakeup_fd` writes the number of the signal without running anything.
    """

    def __enter__(self) -> Self:
        self._read, self._write = socket.socketpair()
        self._write.setblocking(False)
        self._previous_fd = signal.set_wakeup_fd(self._write.fileno(), warn_on_full_buffer=False)
        self._previous: dict[int, Any] = {
            number: signal.signal(number, _ignore) for number in (*_STOPS, signal.SIGHUP)
        }
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(self._previous_fd)
        self._read.close()
        self._write.close()

    def wait(self) -> int:
        """Waits for a signal, or for `wake`; returns the signal's number, or 0."""
        return self._read.recv(1)[0]

    def wake(self) -> None:
        """Ends a `wait`. From any thread."""
        self._write.send(b"\0")

    def default(self) -> None:
        """Leaves further signals to the system."""
        for number in _STOPS:
            signal.signal(number, signal.SIG_DFL)


def _ignore(number: int, frame: FrameType | None) -> None:
    """Is there so that the signal is not handled by default; the wake-up descriptor has told it already."""


def run(settings: Settings, output: Output, extensions: Sequence[Extension] = ()) -> Exit:
    """Runs a daemon until a signal ends it.

    Args:
        settings: Its settings.
        output: Where it says what it does.
        extensions: What is added to the server.

    Returns:
        The exit code.

    Raises:
        ConfigError: It cannot start.
    """
    notes = _raise_descriptor_limit(settings.limits.connections, settings.limits.waiting)
    previous = threading.stack_size(_STACK_BYTES)
    try:
        with _Signals() as signals:
            daemon = Daemon(settings, extensions)
            daemon.start()
            _announce(daemon, output, notes)
            while (number := signals.wait()) not in _STOPS:
                if number == signal.SIGHUP:
                    daemon.reload()
            return _stop(daemon, signals)
    finally:
        threading.stack_size(previous)


def _stop(daemon: Daemon, signals: _Signals) -> Exit:
    cut = 0

    def stop() -> None:
        nonlocal cut
        try:
            cut = daemon.stop()
        finally:
            signals.wake()

    stopper = threading.Thread(target=stop, name="stop")
    stopper.start()
    while (number := signals.wait()) != 0:
        if number in _STOPS:
            signals.default()
            daemon.cut()
    stopper.join()
    return Exit.CUT if cut else Exit.CLEAN


def _announce(daemon: Daemon, output: Output, notes: list[str]) -> None:
    settings = daemon.settings
    for note in daemon.notes + notes:
        output.say(f"note: {note}", "note", text=note)
    for hint in _hints(daemon, settings):
        output.say(f"hint: {hint}", "hint", text=hint)
    if daemon.certificates is not None:
        identity = daemon.certificates.current
        output.say(
            f"certificate SHA256 {shown(identity.fingerprint)}",
            "certificate",
            fingerprint=identity.fingerprint,
            days=identity.days_left,
            made=identity.made,
        )
    for address in daemon.addresses:
        output.say(f"listening on {address}", "listening", address=str(address))
    output.say("ready", "ready", pid=os.getpid())


def _hints(daemon: Daemon, settings: Settings) -> list[str]:
    hints = []
    if settings.durability is Durability.RELAXED:
        hints.append("durability is relaxed: a power cut may take back what was answered in the last seconds")
    if settings.guest_may == "none":
        if not daemon.has_users:
            hints.append(
                "there are no users yet, and guests may do nothing: `ftpsvc-server user add NAME --code` and "
                "`ftpsvc-server user import FILE` make accounts, also while the server runs; or --guest read"
            )
    elif daemon.on_every_address:
        hints.append(
            "guests are served on this machine only, since no address to listen on is named; "
            "name one to serve others: --listen ftpsvc://192.168.1.10:9021"
        )
    return hints


def _raise_descriptor_limit(connections: int, waiting: int) -> list[str]:
    """Raises the limit of open descriptors as far as the connections need, or returns a note that it is too low."""
    import resource  # POSIX only, as the daemon is; imported here so that `--help` works anywhere

    needed = _DESCRIPTORS_EACH * connections + waiting + _DESCRIPTORS_BESIDE
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= needed:
        return []
    wanted = needed if hard == resource.RLIM_INFINITY else min(needed, hard)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    except (OSError, ValueError):
        wanted = soft
    if wanted >= needed:
        return []
    note = (
        f"{connections} connections may need {needed} open files, this system allows {wanted}: "
        "raise that limit (ulimit -n), or lower limits.connections"
    )
    return [note]
