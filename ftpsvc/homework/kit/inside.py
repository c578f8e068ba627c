"""A helper program in a sandbox, and the socket over which it is asked and passes descriptors out."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import socket
import tempfile
import threading
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from ftpsvc.homework.kit.findings import Gone
from ftpsvc.homework.kit.said import said
from ftpsvc.homework.sandbox.base import Job, Limits, Outcome, Sandbox, SandboxError
from ftpsvc.text import format_size, printable

SETUP_SECONDS: Final = 60.0
"""How long the sandbox may take until its helper calls: a time for a machine that stands still."""

_MOST: Final = 1 << 16
_DESCRIPTORS: Final = 4
_HINT: Final = "the folder for temporary files must be one that every user may pass through: set TMPDIR"


class Inside:
    """A sandbox with a helper in it, from `start` to `end` or `close`. `ask` may be called by any thread.

    What the helper says is believed nothing once a student's program runs beside it: the two are the same user.

    Args:
        sandbox: Where it runs.
        patience: Seconds that the helper may take for an answer, and a minute more.
    """

    def __init__(self, sandbox: Sandbox, patience: float) -> None:
        self._sandbox = sandbox
        self._patience = patience
        self._lock = threading.Lock()
        self._outcome: Outcome | None = None
        self._error: Exception | None = None
        self._job: Job | None = None

    def start(self, job: Job) -> None:
        """Starts the helper, and waits until it calls.

        Args:
            job: The helper; the name of the socket that it is to call becomes its last argument.

        Raises:
            SandboxError: The sandbox failed; nothing is left.
        """
        self._place = Path(tempfile.mkdtemp(prefix="ftpsvc-kit-"))
        try:
            # Who the sandbox runs as is somebody else, who may pass here and reach one name that nobody can guess.
            self._place.chmod(0o711)
            where = self._place / secrets.token_hex(8)
            self._job = replace(job, argv=(*job.argv, str(where)), mounts=(self._place, *job.mounts))
            self._begin(where)
        except BaseException:
            shutil.rmtree(self._place, ignore_errors=True)
            raise

    def ask(
        self, question: dict[str, Any], passed: Sequence[int] = (), *, most: int = 0
    ) -> tuple[dict[str, Any], list[int]]:
        """Returns one answer and the descriptors that came with it, which the caller closes.

        Args:
            question: What is asked.
            passed: Descriptors that go with it; they stay the caller's.
            most: The number of descriptors that belong to the answer; with any other number there are none.

        Raises:
            Gone: There is no helper any more, or it talks nonsense.
        """
        with self._lock:
            try:
                socket.send_fds(self._control, [json.dumps(question).encode()], list(passed))
                return self._received(most)
            except OSError as error:
                raise _gone() from error

    def hear(self, *, most: int = 0) -> tuple[dict[str, Any], list[int]]:
        """Returns what the helper says unasked (as `ask`)."""
        with self._lock:
            try:
                return self._received(most)
            except OSError as error:
                raise _gone() from error

    def close(self) -> None:
        """Ends the sandbox with all that runs in it, and waits until that is gone. A second call does nothing."""
        self._control.close()
        self._thread.join()
        shutil.rmtree(self._place, ignore_errors=True)

    def end(self) -> str:
        """Closes it, and returns which limit ended it before, in one line; "" where none did.

        Raises:
            SandboxError: The sandbox failed.
        """
        self.close()
        if self._outcome is None or self._job is None:
            raise self._error or SandboxError("the sandbox ended without a word")
        return _limit(self._outcome, self._job.limits)

    @property
    def outcome(self) -> Outcome | None:
        """How it ended; None before it was closed."""
        return self._outcome

    def _begin(self, where: Path) -> None:
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listener:
            try:
                listener.bind(str(where))
            except OSError as error:
                raise SandboxError(f"cannot listen in {self._place}: {error}", hint=_HINT) from error
            where.chmod(0o666)
            listener.listen(1)
            listener.settimeout(0.1)
            self._thread = threading.Thread(target=self._run, name="student's program")
            self._thread.start()
            try:
                self._control = self._called(listener)
            except BaseException:
                listener.close()  # a helper that called meanwhile ends by that, and the sandbox with it
                self._thread.join()
                raise
        os.unlink(where)  # the student's program, which is the same user, finds no way to call us
        self._control.settimeout(self._patience + SETUP_SECONDS)

    def _called(self, listener: socket.socket) -> socket.socket:
        while True:
            running = self._thread.is_alive()
            try:
                return listener.accept()[0]
            except TimeoutError:
                if not running:
                    wrote = self._outcome.stderr.decode("utf-8", "replace").strip() if self._outcome else ""
                    reason = printable((wrote or str(self._error)).splitlines()[-1])
                    raise SandboxError(
                        f"the helper in the sandbox did not call: {reason}", hint=_HINT
                    ) from self._error

    def _run(self) -> None:
        assert self._job is not None  # noqa: S101 -- `start` set it
        try:
            self._outcome = self._sandbox.run(self._job)
        except Exception as error:  # noqa: BLE001 -- it is told by the thread that waits
            self._error = error

    def _received(self, most: int) -> tuple[dict[str, Any], list[int]]:
        data, descriptors, _, _ = socket.recv_fds(self._control, _MOST, _DESCRIPTORS, socket.MSG_CMSG_CLOEXEC)
        try:
            answer = json.loads(data)
            if not isinstance(answer, dict):
                raise ValueError("no object")
        except (ValueError, RecursionError) as error:
            _close(descriptors)
            raise _gone() from error
        if len(descriptors) != most:
            _close(descriptors)
            descriptors = []
        return answer, descriptors


def _close(descriptors: list[int]) -> None:
    for one in descriptors:
        with suppress(OSError):
            os.close(one)


def _gone() -> Gone:
    return Gone(said("a program that runs"), said("the sandbox is gone"))


def _limit(outcome: Outcome, limits: Limits) -> str:
    """Returns which limit ended a sandbox, in one line; "" where none did."""
    match outcome.killed_by:
        case None:
            return ""
        case "cpu":
            return said("stopped: more than {seconds:g} s of processor time", seconds=limits.cpu)
        case "wall":
            return said("stopped: not finished after {seconds:g} s", seconds=limits.wall)
        case "memory":
            return said("stopped: more than {size} of memory", size=format_size(limits.memory))
        case "output":
            return said("stopped: more than {size} of output", size=format_size(limits.output))
        case "processes":
            return said("stopped: more than {count} processes and threads at once", count=limits.processes)
        case "disk":
            return said(
                "stopped: files of more than {size}, or one larger than {one}",
                size=format_size(limits.disk),
                one=format_size(limits.file),
            )
