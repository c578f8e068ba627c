"""A student's server in the sandbox, and the way to it (the program inside: `relay`)."""

from __future__ import annotations

import base64
import json
import os
import secrets
import shutil
import socket
import tempfile
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self

from ftpsvc.homework.kit import relay
from ftpsvc.homework.kit.declared import FILE
from ftpsvc.homework.kit.findings import Fault, Gone
from ftpsvc.homework.kit.said import said
from ftpsvc.homework.kit.server import Prepared, Usage
from ftpsvc.homework.sandbox.base import BOX, Cap, Job, Limits, Outcome, Sandbox, SandboxError
from ftpsvc.text import format_size, printable

SETUP_SECONDS: Final = 60.0
"""How long the sandbox may take until its relay calls: a time for a machine that stands still."""

START: Final = 20.0
"""Seconds that a server may take until it listens."""

WALL: Final = 30.0
"""Seconds that one check may take, whatever the server does."""

LIMITS: Final = Limits(cpu=20, wall=WALL, memory=512 << 20, processes=96, file=64 << 20, disk=192 << 20)
"""What a server may use during one check."""

_RELAY: Final = ".ftpsvc-relay.py"
_MOST: Final = 1 << 16
_HINT: Final = "the folder for temporary files must be one that every user may pass through: set TMPDIR"


@dataclass(frozen=True, slots=True, kw_only=True)
class HandIn:
    """A server to be judged, and how it is started.

    Attributes:
        command: The program and its arguments, as the sandbox runs them.
        port: The port that it then listens on.
        folder: Its files.
        python: The sandbox's Python, for the relay.
        shared: The folder that it shares, relative to its files.
        reset: What is run in its files before anything else, or ().
        mounts: What its Python needs to see of this machine.
        start: Seconds that it may take until it listens.
        limits: What it may use; `wall` is what one check may take.
    """

    command: tuple[str, ...]
    port: int
    folder: Path
    python: str
    shared: str = "shared"
    reset: tuple[str, ...] = ()
    start: float = START
    mounts: tuple[Path, ...] = ()
    limits: Limits = LIMITS


class SandboxedServer:
    """A server that runs from `__enter__` to `__exit__`, in a sandbox of its own. Its methods may be called by threads.

    Args:
        sandbox: Where it runs.
        hand_in: What runs.
        prepared: What it finds.
        patience: Seconds that it may take to accept a connection.
    """

    def __init__(self, sandbox: Sandbox, hand_in: HandIn, prepared: Prepared, patience: float) -> None:
        self._sandbox = sandbox
        self._hand_in = hand_in
        self._prepared = prepared
        self._patience = patience
        self._lock = threading.Lock()
        self._outcome: Outcome | None = None
        self._error: Exception | None = None
        self._killed = ""

    @property
    def _listening(self) -> str:
        return said("a server that listens on port {port}", port=self._hand_in.port)

    @property
    def place(self) -> str:
        """The folder that it runs in, as it knows it."""
        return BOX

    def __enter__(self) -> Self:
        """Starts it and waits until it listens.

        Raises:
            SandboxError: The sandbox failed; nothing is left.
            Fault: The server does not listen; nothing is left.
        """
        self._place = Path(tempfile.mkdtemp(prefix="ftpsvc-kit-"))
        try:
            self._start()
        except BaseException:
            shutil.rmtree(self._place, ignore_errors=True)
            raise
        try:
            self._wait_until_it_listens()
        except Fault as fault:
            killed = self.end()
            last = self.output().splitlines()[-1:]
            seen = said("{seen}: {words}", seen=fault.seen, words=last[0]) if last else fault.seen
            expected = self._listening if isinstance(fault, Gone) else fault.expected
            raise Fault(expected, killed or seen, killed_by=self.killed_by) from fault
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def connect(self) -> socket.socket:
        """Returns a new connection to the server; the caller closes it.

        Raises:
            Fault: It takes none.
        """
        answer, passed = self._ask({"do": "connect", "seconds": self._patience})
        if passed is None:
            raise Gone(said("a connection to be accepted"), printable(str(answer.get("error"))))
        return passed

    def drained(self, connection: socket.socket) -> bool:
        """Waits until the server has read all that was sent on a connection; False when the patience is over."""
        port = connection.getsockname()[1]
        return self._ask({"do": "drained", "from": port, "seconds": self._patience})[0].get("drained") is True

    def content(self, name: str) -> bytes | None:
        """Returns the first 4 KiB of a file in the box; None where there is none to be read."""
        answer, _ = self._ask({"do": "read", "path": name})
        try:
            return base64.b64decode(answer["content"])
        except (KeyError, TypeError, ValueError):
            return None

    def exit(self, seconds: float = 0.0) -> int | None:
        """Returns the exit code of the server's process; None while it runs, and does so for some seconds more."""
        code = self._ask({"do": "status", "seconds": seconds})[0].get("exit")
        return code if isinstance(code, int) else None

    def again(self, signal: int) -> None:
        """Ends the server by a signal, starts it again at once, and waits until it listens.

        Raises:
            Fault: It does not.
        """
        answer, _ = self._ask({"do": "again", "signal": signal, "seconds": self._hand_in.start})
        self._listens(answer, said("that it starts again at once, on the same port"))

    def usage(self) -> Usage:
        """Returns what the server uses, with all processes that it started."""
        answer, _ = self._ask({"do": "usage"})
        numbers = [answer.get(name) for name in ("threads", "descriptors", "peak")]
        return Usage(*(one if isinstance(one, int) else 0 for one in numbers))

    def holding(self, text: str) -> list[str]:
        """Returns the files in the box that hold a text, but for the one that tells us of it."""
        names = self._ask({"do": "find", "text": text, "but": [FILE, _RELAY]})[0].get("names")
        return [printable(str(one)) for one in names] if isinstance(names, list) else []

    def close(self) -> None:
        """Ends it with all that it started, and waits until that is gone. A second call does nothing."""
        self._control.close()
        self._thread.join()
        shutil.rmtree(self._place, ignore_errors=True)

    def end(self) -> str:
        """Closes it, and returns which limit ended it before, in one line; "" where none did.

        Raises:
            SandboxError: The sandbox failed.
        """
        self.close()
        if self._outcome is None:
            raise self._error or SandboxError("the sandbox ended without a word")
        return _limit(self._outcome, self._hand_in.limits)

    @property
    def killed_by(self) -> Cap | None:
        """The limit that ended it; None where none did, and before it was closed."""
        return self._outcome.killed_by if self._outcome is not None else None

    def output(self) -> str:
        """Returns the last lines that it wrote, escaped; "" before it was closed."""
        if self._outcome is None:
            return ""
        text = (self._outcome.stderr or self._outcome.stdout).decode("utf-8", "replace")
        return "\n".join(printable(line)[:300] for line in text.strip().splitlines()[-6:])

    def _start(self) -> None:
        # Who the sandbox runs as is somebody else, who may pass here and reach one name that nobody else can guess.
        self._place.chmod(0o711)
        where = self._place / secrets.token_hex(8)
        given = {
            "folders": self._prepared.folders,
            "files": self._prepared.files,
            "links": self._prepared.links,
            "reset": self._hand_in.reset,
            "command": self._hand_in.command,
            "port": self._hand_in.port,
        }
        job = Job(
            argv=(self._hand_in.python, "-I", _RELAY, str(where), json.dumps(given)),
            folder=self._hand_in.folder,
            files={_RELAY: Path(relay.__file__)},
            limits=self._hand_in.limits,
            env={"PYTHONUNBUFFERED": "1", "PYTHONDONTWRITEBYTECODE": "1"},
            mounts=(self._place, *self._hand_in.mounts),
        )
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listener:
            try:
                listener.bind(str(where))
            except OSError as error:
                raise SandboxError(f"cannot listen in {self._place}: {error}", hint=_HINT) from error
            where.chmod(0o666)
            listener.listen(1)
            listener.settimeout(0.1)
            self._thread = threading.Thread(target=self._run, args=(job,), name="student's server")
            self._thread.start()
            try:
                self._control = self._called(listener)
            except BaseException:
                listener.close()  # a relay that called meanwhile ends by that, and the sandbox with it
                self._thread.join()
                raise
        os.unlink(where)  # the server, which is the same user, finds no way to call us
        self._control.settimeout(max(self._patience, self._hand_in.start) + SETUP_SECONDS)

    def _called(self, listener: socket.socket) -> socket.socket:
        while True:
            running = self._thread.is_alive()
            try:
                return listener.accept()[0]
            except TimeoutError:
                if not running:
                    said = self.output() or str(self._error)
                    reason = f"the relay in the sandbox did not call: {printable(said)}"
                    raise SandboxError(reason, hint=_HINT) from None

    def _run(self, job: Job) -> None:
        try:
            self._outcome = self._sandbox.run(job)
        except Exception as error:  # noqa: BLE001 -- it is told by the thread that waits
            self._error = error

    def _wait_until_it_listens(self) -> None:
        expected = self._listening
        started = self._received()[0]
        if started.get("failed") == "reset":
            name, code = " ".join(self._hand_in.reset), started.get("exit")
            raise Fault(
                said("that what resets it ends with 0"),
                said("{name} ended with {code}", name=name, code=code),
            )
        if started.get("failed"):
            name, reason = (
                started.get("name") or self._hand_in.command[0],
                printable(str(started.get("reason"))),
            )
            raise Fault(
                expected, said("{name} does not start: {reason}", name=printable(str(name)), reason=reason)
            )
        answer, _ = self._ask({"do": "ready", "seconds": self._hand_in.start})
        self._listens(answer, expected)

    def _listens(self, answer: dict[str, Any], expected: str) -> None:
        if not answer.get("ready"):
            if (code := answer.get("exit")) is not None:
                raise Fault(expected, said("it ended with {code}", code=code))
            raise Fault(
                expected, said("nothing listens there after {seconds:g} s", seconds=self._hand_in.start)
            )

    def _ask(self, question: dict[str, Any]) -> tuple[dict[str, Any], socket.socket | None]:
        with self._lock:
            try:
                self._control.send(json.dumps(question).encode())
                return self._received()
            except OSError as error:
                raise Gone(said("a server that runs"), said("the sandbox is gone")) from error

    def _received(self) -> tuple[dict[str, Any], socket.socket | None]:
        """Returns one answer of the relay, which is believed nothing, and the connection that came with it."""
        data, passed, _, _ = socket.recv_fds(self._control, _MOST, 1, socket.MSG_CMSG_CLOEXEC)
        connection = socket.socket(fileno=passed[0]) if passed else None
        try:
            answer = json.loads(data)
            if not isinstance(answer, dict):
                raise ValueError("no object")
            if connection is not None and (connection.family, connection.type) != (
                socket.AF_INET,
                socket.SOCK_STREAM,
            ):
                raise ValueError("no connection")
        except (ValueError, RecursionError) as error:
            if connection is not None:
                connection.close()
            raise Gone(said("a server that runs"), said("the sandbox is gone")) from error
        return answer, connection


def _limit(outcome: Outcome, limits: Limits) -> str:
    """Returns which limit ended a server, in one line; "" where none did."""
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
