"""A student's client in the sandbox: its files, and runs of it (the program inside: `client_relay`)."""

from __future__ import annotations

import os
import select
import socket
import stat
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

from ftpsvc.homework.kit import client_relay
from ftpsvc.homework.kit.findings import Fault, Gone
from ftpsvc.homework.kit.inside import Inside
from ftpsvc.homework.kit.said import said
from ftpsvc.homework.sandbox.base import Cap, Job, Limits, Sandbox, SandboxError
from ftpsvc.text import printable

WALL: Final = 30.0
"""Seconds that one check may take, whatever the client does."""

LIMITS: Final = Limits(cpu=20, wall=WALL, memory=256 << 20, processes=64)
"""What a client may use during one check."""

MOST_OUTPUT: Final = 8 << 20
"""Bytes that a client may write in one run: a bar that is drawn for every KiB of 8 MiB stays below."""

MOST_FILE: Final = 64 << 20

_RELAY: Final = ".ftpsvc-client-relay.py"
_LOOK: Final = 0.2  # seconds between two looks at whether something still happens
_LAST_WORDS: Final = 2.0  # seconds that the end of what an ended client wrote may take to come
_CTRL_C, _CTRL_D = b"\x03", b"\x04"


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientHandIn:
    """A client to be judged, and how it is started.

    Attributes:
        command: The program and its arguments, as the sandbox runs them.
        port: The port of 127.0.0.1 that it then connects to.
        folder: Its files.
        python: The sandbox's Python, for the relay.
        mounts: What its Python needs to see of this machine.
        limits: What it may use; `wall` is what one check may take.
    """

    command: tuple[str, ...]
    port: int
    folder: Path
    python: str
    mounts: tuple[Path, ...] = ()
    limits: Limits = LIMITS


class Activity:
    """When something last happened: a byte passed or was written. For any thread.

    Attributes:
        at: That moment, of the monotonic clock.
        flooded: Whether there was more of it than there may be: nobody needs to wait for the end.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._written = 0
        self.flooded = False
        self.at = time.monotonic()

    def touch(self) -> None:
        """Something happened."""
        self.at = time.monotonic()

    def wrote(self) -> None:
        """The client wrote something."""
        with self._changed:
            self._written += 1
            self.touch()
            self._changed.notify_all()

    def written(self) -> int:
        """Returns a number that grows with what the client writes."""
        return self._written

    def wait_written(self, since: int, seconds: float) -> None:
        """Waits until the client has written something since `written` returned that number, or a while."""
        with self._changed:
            self._changed.wait_for(lambda: self._written != since, seconds)


class ClientBox:
    """A sandbox in which a client may be run, one run after the other. Close it.

    Args:
        sandbox: Where it is.
        hand_in: What runs in it.
        patience: Seconds in which something has to happen.

    Attributes:
        listener: What clients connect to.
        activity: When something last happened.
    """

    def __init__(self, sandbox: Sandbox, hand_in: ClientHandIn, patience: float) -> None:
        """Starts the sandbox.

        Raises:
            SandboxError: It failed; nothing is left.
        """
        self.activity = Activity()
        self._hand_in = hand_in
        self._patience = patience
        self._inside = Inside(sandbox, patience)
        self._inside.start(
            Job(
                argv=(hand_in.python, "-I", _RELAY, str(hand_in.port)),
                folder=hand_in.folder,
                files={_RELAY: Path(client_relay.__file__)},
                limits=hand_in.limits,
                env={"PYTHONUNBUFFERED": "1", "PYTHONDONTWRITEBYTECODE": "1", "TERM": "xterm"},
                mounts=hand_in.mounts,
            )
        )
        try:
            # No student's program runs yet, so what goes wrong is ours.
            _, passed = self._inside.hear(most=1)
            if not passed:
                raise SandboxError("the helper in the sandbox could not listen")
            self.listener = socket.socket(fileno=passed[0])
        except Gone as gone:
            self._inside.close()
            raise SandboxError("the helper in the sandbox could not listen") from gone
        except BaseException:
            self._inside.close()
            raise

    def close(self) -> None:
        """Ends the sandbox with all that runs in it. A second call does nothing."""
        self.listener.close()
        self._inside.close()

    def end(self) -> str:
        """Closes it, and returns which limit ended it before, in one line; "" where none did.

        Raises:
            SandboxError: The sandbox failed.
        """
        self.listener.close()
        return self._inside.end()

    @property
    def killed_by(self) -> Cap | None:
        """The limit that ended it; None where none did, and before it was closed."""
        outcome = self._inside.outcome
        return outcome.killed_by if outcome is not None else None

    def write(self, name: str, content: bytes) -> None:
        """Puts a file into the box."""
        descriptor = os.memfd_create("content", os.MFD_CLOEXEC)
        with open(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            self._inside.ask({"do": "write", "path": name}, [descriptor])

    def read(self, name: str) -> bytes | None:
        """Returns the content of a file in the box, 64 MiB of it at most; None where there is none."""
        _, passed = self._inside.ask({"do": "read", "path": name}, most=1)
        if not passed:
            return None
        with open(passed[0], "rb", buffering=0) as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                return None
            content = bytearray()
            while len(content) < MOST_FILE and (piece := file.read(1 << 20)):
                content += piece
        return bytes(content)

    def names(self) -> list[str]:
        """Returns the names of the first thousand files in the box, escaped."""
        names = self._inside.ask({"do": "names"})[0].get("names")
        return [str(one) for one in names] if isinstance(names, list) else []

    def drained(self, port: int) -> None:
        """Waits until the client has read all that was sent to one of its ports, or until the patience is over."""
        self._inside.ask({"do": "drained", "from": port, "seconds": self._patience})

    def run(self, *, terminal: bool) -> Running:
        """Starts the client anew. The caller closes what is returned.

        Args:
            terminal: Whether it gets a pseudo-terminal, and else pipes.

        Raises:
            Fault: It does not start.
        """
        question = {"do": "start", "command": self._hand_in.command, "terminal": terminal}
        answer, passed = self._inside.ask(question, most=2 if terminal else 3)
        if not passed:
            raise Fault(said("a client that starts"), printable(str(answer.get("error", "it did not")))[:300])
        return Running(self, passed, self._patience)

    def exit(self) -> int | None:
        """Returns the exit code of a client that ended; None where it is not known."""
        code = self._inside.ask({"do": "status", "seconds": _LAST_WORDS})[0].get("exit")
        return code if isinstance(code, int) else None


class Running:
    """One run of a client, with a person at its keyboard. Close it.

    Args:
        box: Where it runs.
        descriptors: A terminal, or what is typed and what is shown, and in the end its process; they belong to it.
        patience: Seconds in which something has to happen.
    """

    def __init__(self, box: ClientBox, descriptors: list[int], patience: float) -> None:
        *ways, self._process = descriptors
        self._terminal = len(ways) == 1
        self._descriptors = descriptors
        self._typed, self._shown = ways[0], ways[-1]
        self._box = box
        self._patience = patience
        self._output = bytearray()
        self._flooded = False
        for one in ways:
            os.set_blocking(one, False)
        self._wake, self._woken = os.pipe2(os.O_CLOEXEC)
        self._reader = threading.Thread(target=self._read, name="client's output")
        self._reader.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def output(self) -> str:
        """What it wrote so far."""
        return bytes(self._output).decode("utf-8", "replace")

    def type(self, lines: Sequence[str], *, end: bool = True) -> None:
        """Types lines, and that there are no more. A client that is gone by now does not see them."""
        self._press("".join(f"{line}\n" for line in lines).encode())
        if end and self._terminal:
            self._press(_CTRL_D)
        elif end and self._typed in self._descriptors:
            self._descriptors.remove(self._typed)
            os.close(self._typed)

    def interrupt(self) -> None:
        """Presses Ctrl-C."""
        self._press(_CTRL_C)

    def ends(self, patience: float | None = None) -> bool:
        """Waits until it ended; False when nothing happened for as long as the patience is, or far too much did.

        Raises:
            Fault: It writes without end.
        """
        patience = self._patience if patience is None else patience
        self._box.activity.touch()
        poll = select.poll()
        poll.register(self._process, select.POLLIN)
        while True:
            left = self._box.activity.at + patience - time.monotonic()
            if poll.poll(max(0.0, min(left, _LOOK)) * 1000):
                self._reader.join(_LAST_WORDS)
                break
            if left <= 0 or self._flooded or self._box.activity.flooded:
                break
        if self._flooded:
            raise Fault(
                said("output that a person can read"),
                said("it floods: more than {most} MiB of output", most=MOST_OUTPUT >> 20),
            )
        return left > 0 and not self._box.activity.flooded

    def close(self) -> None:
        """Lets go of it; what still runs of it is ended with the next run, or with the box."""
        os.write(self._woken, b"x")
        self._reader.join()
        for one in (*self._descriptors, self._wake, self._woken):
            os.close(one)

    def _press(self, keys: bytes) -> None:
        with suppress(BlockingIOError, BrokenPipeError, OSError):
            os.write(self._typed, keys)

    def _read(self) -> None:
        poll = select.poll()
        poll.register(self._wake, select.POLLIN)
        poll.register(self._shown, select.POLLIN)
        while True:
            ready = {one for one, _ in poll.poll()}
            if self._shown in ready:
                try:
                    data = os.read(self._shown, 1 << 16)
                except BlockingIOError:
                    continue
                except OSError:  # a terminal that nobody has open any more
                    return
                if not data:
                    return
                self._output += data
                if len(self._output) > MOST_OUTPUT:
                    self._flooded = True
                    return
                self._box.activity.wrote()
            if self._wake in ready:
                return
