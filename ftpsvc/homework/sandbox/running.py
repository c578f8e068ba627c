"""One job in a sandbox that bwrap makes: waiting until it is set up, the word to go, the watch, the end."""

from __future__ import annotations

import json
import os
import re
import selectors
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Final

from ftpsvc.homework.sandbox.base import Cap, Job, Outcome, SandboxError
from ftpsvc.homework.sandbox.inputs import Inputs
from ftpsvc.homework.sandbox.watcher import Watcher
from ftpsvc.text import printable

SETUP_SECONDS: Final = 60.0
"""How long bwrap may take until the program can start. A time for a machine that stands still, not for a busy one."""

END_SECONDS: Final = 30.0
"""How long processes that were killed may take to vanish."""

POLL_SECONDS: Final = 0.05
"""The time between two looks of the watcher; the first ones follow quicker, so that short programs are seen too."""

_FIRST_POLL: Final = 0.002
_CHUNK: Final = 1 << 16


class Ends:
    """This side's descriptors of a started bwrap."""

    def __init__(self) -> None:
        self.pipes: dict[str, int] = {}
        # A file that bwrap writes before its child goes on, so it is whole when the gate reports.
        self.info = -1
        self.process: subprocess.Popen[bytes]

    def close(self, name: str) -> None:
        """Closes one, if it is open."""
        if (descriptor := self.pipes.pop(name, None)) is not None:
            os.close(descriptor)


class Run:
    """One job, from the started bwrap to its outcome."""

    def __init__(self, ends: Ends, job: Job, given: Inputs, stack: ExitStack) -> None:
        self._ends = ends
        self._process = ends.process
        self._limits = job.limits
        self._given = len(given.copies) + len(given.fixed) + len(given.folders)
        self._stack = stack
        self._texts = {"out": bytearray(), "err": bytearray()}
        self._report = bytearray()
        self._room = job.limits.output
        self._truncated = False
        self._first: int | None = None  # a pidfd of the sandbox's first process
        self._spent = 0.0
        self._code = 0

    def to_its_end(self) -> Outcome:
        """Runs the program. Nothing of it is there when this returns or raises."""
        with selectors.DefaultSelector() as selector, self._killed_at_last():
            for name in ("out", "err", "report"):
                os.set_blocking(self._ends.pipes[name], False)
                selector.register(self._ends.pipes[name], selectors.EVENT_READ, name)
            watcher = self._ready(selector)
            try:
                return self._watched(selector, watcher)
            finally:
                watcher.close()

    def _ready(self, selector: selectors.BaseSelector) -> Watcher:
        """Waits until the sandbox is set up and its gate waits.

        Raises:
            SandboxError: It did not come so far.
        """
        deadline = time.monotonic() + SETUP_SECONDS
        while self._report != b"r":
            events = selector.select(max(0.0, deadline - time.monotonic()))
            for key, _ in events:
                self._receive(selector, key.data)
            if "report" not in self._ends.pipes:
                raise self._not_set_up()
            if not events and time.monotonic() >= deadline:
                raise SandboxError(f"the sandbox was not ready within {SETUP_SECONDS:g} s")
        try:
            pid = int(json.loads(os.pread(self._ends.info, _CHUNK, 0))["child-pid"])
            self._first = os.pidfd_open(pid)
        except (ValueError, KeyError, OSError) as error:
            raise SandboxError(
                f"bwrap did not say which process it started: {printable(str(error))}"
            ) from error
        self._stack.callback(os.close, self._first)
        return Watcher(pid, self._limits, self._given)

    def _not_set_up(self) -> SandboxError:
        self._kill()
        with selectors.DefaultSelector() as rest:
            if "err" in self._ends.pipes:
                rest.register(self._ends.pipes["err"], selectors.EVENT_READ, "err")
                self._drain(rest)
        lines = self._texts["err"].decode("utf-8", "replace").strip().splitlines()
        said = printable(lines[-1]) if lines else f"bwrap ended with {self._code}"
        return SandboxError(f"the sandbox cannot be set up: {said}", hint=_hint(said))

    def _watched(self, selector: selectors.BaseSelector, watcher: Watcher) -> Outcome:
        """Gives the word and looks on until the end."""
        if "report" in self._ends.pipes:
            selector.unregister(self._ends.pipes["report"])
            self._ends.close("report")
        killed_by: Cap | None = None
        ended = os.pidfd_open(self._process.pid)
        self._stack.callback(os.close, ended)
        selector.register(ended, selectors.EVENT_READ, "ended")
        start = time.monotonic()
        os.write(self._ends.pipes["go"], b"g")
        self._ends.close("go")
        pause, look_at = _FIRST_POLL, start + _FIRST_POLL
        over = False
        while not over and killed_by is None:
            wait = min(look_at, start + self._limits.wall) - time.monotonic()
            for key, _ in selector.select(max(0.0, wait)):
                if key.data == "ended":
                    over = True
                else:
                    self._receive(selector, key.data)
            now = time.monotonic()
            if self._truncated:
                killed_by = "output"
            elif over:
                watcher.look()  # the last chance to see what it used
            elif now >= look_at or now - start >= self._limits.wall:
                killed_by = watcher.exceeded(watcher.look(), now - start)
                pause = min(2 * pause, POLL_SECONDS)
                look_at = now + pause
        if killed_by is not None:
            self._kill()
        else:
            self._reap()
        wall = time.monotonic() - start
        selector.unregister(ended)
        self._drain(selector)
        if killed_by is None and self._truncated:
            killed_by = "output"
        cpu = max(self._spent, watcher.cpu)
        exit_code, number = (None, self._code - 128) if 128 < self._code <= 192 else (self._code, None)
        if killed_by is not None:
            exit_code, number = None, int(signal.SIGKILL)
        elif self._code != 0:
            killed_by = self._by_the_kernel(number, cpu, watcher)
        return Outcome(
            exit=exit_code,
            signal=number,
            killed_by=killed_by,
            cpu=cpu,
            wall=wall,
            rss=watcher.peak,
            stdout=bytes(self._texts["out"]),
            stderr=bytes(self._texts["err"]),
            truncated=self._truncated,
        )

    def _by_the_kernel(self, number: int | None, cpu: float, watcher: Watcher) -> Cap | None:
        """Returns the limit that the kernel ended a program for, where that is certain."""
        if number == signal.SIGXFSZ or watcher.full():
            return "disk"
        if number in (signal.SIGXCPU, signal.SIGKILL) and cpu >= self._limits.cpu:
            return "cpu"
        return None

    def _receive(self, selector: selectors.BaseSelector, name: str) -> None:
        """Takes what there is of one pipe; output over the limit is thrown away."""
        descriptor = self._ends.pipes[name]
        try:
            data = os.read(descriptor, _CHUNK)
        except BlockingIOError:
            return
        if not data:
            selector.unregister(descriptor)
            self._ends.close(name)
        elif name == "report":
            self._report += data
        else:
            self._truncated |= len(data) > self._room
            self._texts[name] += data[: self._room]
            self._room -= min(len(data), self._room)

    def _drain(self, selector: selectors.BaseSelector) -> None:
        """Takes the rest of the output. All who could write are gone, so it has an end."""
        deadline = time.monotonic() + END_SECONDS
        while selector.get_map():
            events = selector.select(max(0.0, deadline - time.monotonic()))
            if not events:
                raise SandboxError("the output has no end though all processes were ended")
            for key, _ in events:
                self._receive(selector, key.data)

    def _kill(self) -> None:
        """Ends the sandbox with all that is in it, and waits until it is gone."""
        if self._process.returncode is None:
            if self._first is not None:
                # Its first process takes all others along, and bwrap, which waits for it, ends last.
                with suppress(ProcessLookupError):
                    signal.pidfd_send_signal(self._first, signal.SIGKILL)
            else:
                with suppress(ProcessLookupError):
                    os.kill(self._process.pid, signal.SIGKILL)
            self._reap()

    def _reap(self) -> None:
        """Waits until bwrap and the sandbox are gone.

        bwrap ends as soon as it knows how the program did, while the first process of the sandbox takes along what the
        program left behind: only when that is gone too, everything is.
        """
        bwrap = os.pidfd_open(self._process.pid)
        deadline = time.monotonic() + END_SECONDS
        with selectors.DefaultSelector() as selector:
            try:
                selector.register(bwrap, selectors.EVENT_READ, "bwrap")
                if self._first is not None:
                    selector.register(self._first, selectors.EVENT_READ)
                while selector.get_map() and (
                    events := selector.select(max(0.0, deadline - time.monotonic()))
                ):
                    for key, _ in events:
                        selector.unregister(key.fileobj)
                        if key.data == "bwrap" and self._first is not None:
                            with suppress(ProcessLookupError):
                                signal.pidfd_send_signal(self._first, signal.SIGKILL)
                gone = not selector.get_map()
            finally:
                os.close(bwrap)
        if not gone:
            self._process.kill()
            raise SandboxError(f"the sandbox was ended and not gone after {END_SECONDS:g} s")
        _, status, used = os.wait4(self._process.pid, 0)
        self._code = os.waitstatus_to_exitcode(status)
        self._process.returncode = self._code
        self._spent = used.ru_utime + used.ru_stime

    @contextmanager
    def _killed_at_last(self) -> Iterator[None]:
        try:
            yield
        finally:
            self._kill()


def _hint(said: str) -> str | None:
    """Returns what helps against the usual reasons for which bwrap cannot be set up."""
    if re.search(r"uid map|namespace|loopback", said):
        if _setting("kernel/apparmor_restrict_unprivileged_userns") == "1":
            return "AppArmor forbids user namespaces here: give bwrap a profile (docs/grading.md, Ubuntu)"
        if _setting("kernel/unprivileged_userns_clone") == "0" or _setting("user/max_user_namespaces") == "0":
            return "user namespaces are switched off here (docs/grading.md, What it needs)"
        return "user namespaces are forbidden here, as in most containers (docs/grading.md, Containers)"
    if "proc" in said:
        return "the container hides parts of /proc (docs/grading.md, Containers)"
    return None


def _setting(name: str) -> str:
    try:
        return Path("/proc/sys", name).read_text(encoding="ascii").strip()
    except OSError:
        return ""
