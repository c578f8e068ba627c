"""A student's server in the sandbox, and the way to it (the program inside: `relay`)."""

from __future__ import annotations

import base64
import json
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self

from ftpsvc.homework.kit import relay
from ftpsvc.homework.kit.declared import FILE
from ftpsvc.homework.kit.findings import Fault, Gone
from ftpsvc.homework.kit.inside import Inside
from ftpsvc.homework.kit.said import said
from ftpsvc.homework.kit.server import AGAIN, Prepared, Usage
from ftpsvc.homework.sandbox.base import BOX, Cap, Job, Limits, Sandbox
from ftpsvc.text import printable

START: Final = 20.0
"""Seconds that a server may take until it listens."""

WALL: Final = 30.0
"""Seconds that one check may take, whatever the server does."""

LIMITS: Final = Limits(cpu=20, wall=WALL, memory=512 << 20, processes=96, file=64 << 20, disk=192 << 20)
"""What a server may use during one check."""

_RELAY: Final = ".ftpsvc-relay.py"


@dataclass(frozen=True, slots=True, kw_only=True)
class HandIn:
    """A server to be judged, and how it is started.

    Attributes:
        command: The program and its arguments, as the sandbox runs them.
        port: The port that it then listens on.
        folder: Its files.
        python: The sandbox's Python, for the relay.
        reset: What is run in its files before anything else, or ().
        mounts: What its Python needs to see of this machine.
        start: Seconds that it may take until it listens.
        limits: What it may use; `wall` is what one check may take.
    """

    command: tuple[str, ...]
    port: int
    folder: Path
    python: str
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
        self._hand_in = hand_in
        self._prepared = prepared
        self._patience = patience
        self._inside = Inside(sandbox, max(patience, hand_in.start))

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
        given = {
            "folders": self._prepared.folders,
            "files": self._prepared.files,
            "links": self._prepared.links,
            "reset": self._hand_in.reset,
            "command": self._hand_in.command,
            "port": self._hand_in.port,
        }
        self._inside.start(
            Job(
                argv=(self._hand_in.python, "-I", _RELAY, json.dumps(given)),
                folder=self._hand_in.folder,
                files={_RELAY: Path(relay.__file__)},
                limits=self._hand_in.limits,
                env={"PYTHONUNBUFFERED": "1", "PYTHONDONTWRITEBYTECODE": "1"},
                mounts=self._hand_in.mounts,
            )
        )
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
        answer, passed = self._inside.ask({"do": "connect", "seconds": self._patience}, most=1)
        if not passed:
            late = said("it hangs: it accepted nothing for {seconds:g} s", seconds=self._patience)
            seen = late if answer.get("late") else printable(str(answer.get("error")))
            raise Gone(said("a connection to be accepted"), seen)
        connection = socket.socket(fileno=passed[0])
        if (connection.family, connection.type) != (socket.AF_INET, socket.SOCK_STREAM):
            connection.close()
            raise Gone(said("a connection to be accepted"), said("the sandbox is gone"))
        return connection

    def drained(self, connection: socket.socket) -> bool:
        """Waits until the server has read all that was sent on a connection; False when the patience is over."""
        port = connection.getsockname()[1]
        return self._ask({"do": "drained", "from": port, "seconds": self._patience}).get("drained") is True

    def content(self, name: str) -> bytes | None:
        """Returns the first 4 KiB of a file in the box; None where there is none to be read."""
        answer = self._ask({"do": "read", "path": name})
        try:
            return base64.b64decode(answer["content"])
        except (KeyError, TypeError, ValueError):
            return None

    def exit(self, seconds: float = 0.0) -> int | None:
        """Returns the exit code of the server's process; None while it runs, and does so for some seconds more."""
        code = self._ask({"do": "status", "seconds": seconds}).get("exit")
        return code if isinstance(code, int) else None

    def again(self, signal: int) -> None:
        """Ends the server by a signal, starts it again at once, and waits until it listens.

        Raises:
            Fault: It does not.
        """
        answer = self._ask({"do": "again", "signal": signal, "seconds": self._hand_in.start})
        try:
            self._listens(answer, said("that it starts again at once, on the same port"))
        except Fault as fault:
            fault.hint = AGAIN
            raise

    def usage(self) -> Usage:
        """Returns what the server uses, with all processes that it started."""
        answer = self._ask({"do": "usage"})
        numbers = [answer.get(name) for name in ("threads", "descriptors", "peak")]
        return Usage(*(one if isinstance(one, int) else 0 for one in numbers))

    def holding(self, text: str) -> list[str]:
        """Returns the files in the box that hold a text, but for the one that tells us of it."""
        names = self._ask({"do": "find", "text": text, "but": [FILE, _RELAY]}).get("names")
        return [printable(str(one)) for one in names] if isinstance(names, list) else []

    def close(self) -> None:
        """Ends it with all that it started, and waits until that is gone. A second call does nothing."""
        self._inside.close()

    def end(self) -> str:
        """Closes it, and returns which limit ended it before, in one line; "" where none did.

        Raises:
            SandboxError: The sandbox failed.
        """
        return self._inside.end()

    @property
    def killed_by(self) -> Cap | None:
        """The limit that ended it; None where none did, and before it was closed."""
        outcome = self._inside.outcome
        return outcome.killed_by if outcome is not None else None

    def output(self) -> str:
        """Returns the last lines that it wrote, escaped; "" before it was closed."""
        outcome = self._inside.outcome
        if outcome is None:
            return ""
        text = (outcome.stderr or outcome.stdout).decode("utf-8", "replace")
        return "\n".join(printable(line)[:300] for line in text.strip().splitlines()[-6:])

    def _wait_until_it_listens(self) -> None:
        expected = self._listening
        started, _ = self._inside.hear()
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
        answer = self._ask({"do": "ready", "seconds": self._hand_in.start})
        self._listens(answer, expected)

    def _listens(self, answer: dict[str, Any], expected: str) -> None:
        if not answer.get("ready"):
            if (code := answer.get("exit")) is not None:
                raise Fault(expected, said("it ended with {code}", code=code))
            raise Fault(
                expected, said("nothing listens there after {seconds:g} s", seconds=self._hand_in.start)
            )

    def _ask(self, question: dict[str, Any]) -> dict[str, Any]:
        return self._inside.ask(question)[0]
