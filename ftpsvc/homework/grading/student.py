"""The plugin that the grader's pytest runs with: the fixture `student`, behind which the hand-in is (docs/grading.md).

It runs outside the sandbox, together with the teacher's tests, and never imports anything of a hand-in. Whatever is to
run inside it asks of the grader, over the socket that it was started with; what the tests say goes the same way. No
file and no exit code says who passed, so there is nothing to forge.
"""

from __future__ import annotations

import ctypes
import json
import os
import resource
import secrets
import signal
import socket
from collections.abc import Generator
from typing import Any, Final, NoReturn

import pytest

from ftpsvc.homework.grading import stub
from ftpsvc.homework.grading.values import pack

CHANNEL: Final = "FTPSVC_GRADING_FD"
"""Environment variable with the number of the socket."""

CPU: Final = "FTPSVC_GRADING_CPU"
"""Environment variable with the seconds that the tests themselves may use of the processor, beside the sandbox."""

_DIE_WITH_PARENT: Final = 1
_COMPARED: Final = 4000


class Raised(Exception):
    """The student's function raised.

    Attributes:
        type: Name of the exception's class: "ValueError".
        message: Its text.
    """

    def __init__(self, raised: stub.Raised) -> None:
        super().__init__(f"{raised.type}: {raised.message}" if raised.message else raised.type)
        self.type = raised.type
        self.message = raised.message
        self.traceback = raised.traceback


class Ended(Exception):
    """The student's program ended before it answered: a limit, a signal, an exit.

    Attributes:
        killed_by: The limit, or None.
        signal: Number of the signal, or None.
        exit: The exit code, or None.
    """

    def __init__(self, ended: dict[str, Any]) -> None:
        super().__init__(ended["text"])
        self.killed_by: str | None = ended["killed_by"]
        self.signal: int | None = ended["signal"]
        self.exit: int | None = ended["exit"]


class Slow(BaseException):
    """The tests have used up their processor time, on what the hand-in returned: no test's own `except` is for it."""


class Run:
    """How a program of the student's ended (`Student.run`).

    Attributes:
        exit: Its exit code; None when a signal ended it.
        stdout: What it wrote, undecodable bytes replaced.
        stderr: What it wrote to standard error.
    """

    def __init__(self, exit: int | None, stdout: str, stderr: str) -> None:
        self.exit = exit
        self.stdout = stdout
        self.stderr = stderr


class Student:
    """The hand-in, from where nothing of it can reach the tests. Each call starts it anew in a sandbox of its own.

    Attributes:
        stdin: What the next calls read from standard input.
        printed: What the last call printed.
        errors: What the last call wrote to standard error.
    """

    def __init__(self, channel: _Channel) -> None:
        self._channel = channel
        self.stdin = ""
        self.printed = ""
        self.errors = ""

    def call(self, module: str, function: str, /, *args: Any, **kwargs: Any) -> Any:
        """Calls a function of the hand-in and returns what it returned: a plain value, whatever it was.

        Args:
            module: A module of the hand-in: "paths" for paths.py.
            function: A name in it, dots allowed: "Graph.shortest".
            args: Plain values.
            kwargs: Plain values.

        Raises:
            Raised: The function raised, or the module did when it was imported.
            Ended: The program ended before it answered.
        """
        return self.calls([(module, function, args, kwargs)])[0]

    def calls(self, calls: list[tuple[Any, ...]]) -> list[Any]:
        """Calls functions one after the other in one process, so that one finds what another left behind.

        Args:
            calls: Each a module, a function, arguments, and keyword arguments or nothing.

        Raises:
            Raised: One of them raised; those behind it were called nevertheless.
            Ended: The program ended before it answered.
        """
        wanted = [
            {"module": one[0], "name": one[1], "args": pack(list(one[2])), "kwargs": pack(dict(*one[3:4]))}
            for one in calls
        ]
        marker = secrets.token_hex(16)
        line = stub.request(wanted, marker)
        answer = self._channel.ask(do="call", stdin=line.decode("ascii") + self.stdin)
        printed, came = stub.answers(bytes.fromhex(answer["stdout"]), marker, len(wanted))
        self.printed, self.errors = printed.decode("utf-8", "replace"), _text(answer["stderr"])
        if came is None:
            raise Ended(answer)
        for one in came:
            if isinstance(one, stub.Raised):
                raise Raised(one)
        return [one[0] for one in came]

    def run(self, *argv: str, stdin: str | None = None) -> Run:
        r"""Runs a program in the hand-in's folder: `student.run("python3", "main.py", stdin="3\n")`.

        Raises:
            Ended: A limit or a signal ended it.
        """
        answer = self._channel.ask(do="run", argv=argv, stdin=self.stdin if stdin is None else stdin)
        self.printed, self.errors = _text(answer["stdout"]), _text(answer["stderr"])
        if answer["killed_by"] is not None or answer["signal"] is not None:
            raise Ended(answer)
        return Run(answer["exit"], self.printed, self.errors)

    def read(self, name: str) -> str:
        """Returns the text of a file that was handed in, undecodable bytes replaced: for tests that look at it.

        Raises:
            FileNotFoundError: There is none of this name, or it is no plain file.
        """
        answer = self._channel.ask(do="read", name=name)
        if answer["content"] is None:
            raise FileNotFoundError(name)
        return _text(answer["content"])


def _text(content: str) -> str:
    return bytes.fromhex(content).decode("utf-8", "replace")


class _Channel:
    """Asks the grader. One question at a time; a grader that is gone ends this process."""

    def __init__(self, descriptor: int) -> None:
        self.given = False  # whether anything of the hand-in's has come to the tests
        self.talking = False  # half a message, or half an answer, would spoil all that follow
        self._socket = socket.socket(fileno=descriptor)
        self._socket.set_inheritable(False)
        self._file = self._socket.makefile("rb")

    def tell(self, **message: Any) -> None:
        try:
            self._socket.sendall(json.dumps(message).encode("ascii") + b"\n")
        except OSError:
            _gone()

    def ask(self, **message: Any) -> dict[str, Any]:
        self.talking = True
        try:
            self.tell(**message)
            line = self._file.readline()
        except OSError:
            _gone()
        finally:
            self.talking = False
        if not line.endswith(b"\n"):
            _gone()
        self.given = True
        answer: dict[str, Any] = json.loads(line)
        return answer


def _gone() -> NoReturn:
    os._exit(70)


class _Plugin:
    """Tells the grader what there is to test, and how each test ended."""

    def __init__(self, channel: _Channel) -> None:
        self._channel = channel
        self._within = False
        self._over = False

    def overtime(self, *_: object) -> None:
        """Is called when the tests have used up their processor time, and each second of it from then on.

        A student can return what takes the best test for ever, and that must be no failure of the tests. Where nothing
        of the hand-in's has come to them it is one, and goes on until the kernel ends it.
        """
        self._over = self._channel.given
        if self._over and self._within and not self._channel.talking:
            raise Slow("the tests did not come to an end with what was returned")

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_setup(self) -> Generator[None]:
        return (yield from self._bounded())

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_call(self) -> Generator[None]:
        return (yield from self._bounded())

    def _bounded(self) -> Generator[None]:
        """Lets a part of a test be stopped: a stop in pytest's own code would break all of it off."""
        self._within = True
        try:
            if self._over:
                raise Slow("not run: the tests before it used up the time for all of them")
            yield
        finally:
            self._within = False

    @pytest.fixture
    def student(self) -> Student:
        """The hand-in."""
        return Student(self._channel)

    @pytest.hookimpl(tryfirst=True)
    def pytest_assertrepr_compare(self, op: str, left: object, right: object) -> list[str] | None:
        """Keeps pytest from looking for the differences of large values: a student could make that last for ever."""
        texts = [_shortened(value) for value in (left, right)]
        if all(len(text) <= _COMPARED for text in texts):
            return None
        return [" ".join((texts[0][:200], op, texts[1][:200]))]

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.failed:
            self._channel.tell(do="broken", text=_message(report))

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        tests = [{"id": item.nodeid, "name": item.name, "points": _points(item)} for item in session.items]
        self._channel.tell(do="tests", tests=tests)

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        self._channel.tell(do="start", id=nodeid)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        report = yield
        error = call.excinfo.value if call.excinfo is not None else None
        kinds = ((Ended, "ended"), (Raised, "raised"), (Slow, "slow"))
        whose = next((name for kind, name in kinds if isinstance(error, kind)), "tests")
        self._channel.tell(
            do="phase",
            id=item.nodeid,
            phase=report.when,
            outcome=report.outcome,
            whose=whose,
            text=_message(report),
            inside=error.traceback if isinstance(error, Raised) else "",
        )
        return report


def _shortened(value: object) -> str:
    try:
        return repr(value)
    except (ValueError, RecursionError):  # a number of too many digits, something nested too deep
        return " " * (_COMPARED + 1)


def _points(item: pytest.Item) -> float | None:
    marker = item.get_closest_marker("points")
    return None if marker is None else float(marker.args[0])


def _message(report: pytest.CollectReport | pytest.TestReport) -> str:
    """Returns what went wrong: the assertion as pytest explains it, without the lines of the test round it."""
    crash = getattr(report.longrepr, "reprcrash", None)
    text = crash.message if crash is not None else str(report.longrepr or "")
    return str(text)[:4000]


def pytest_configure(config: pytest.Config) -> None:
    """Is called by pytest: takes the socket, and bounds what the tests themselves may use."""
    config.addinivalue_line("markers", "points(n): the test's share of the points")
    ctypes.CDLL(None).prctl(
        _DIE_WITH_PARENT, signal.SIGKILL
    )  # a killed grader leaves no tests behind that sleep
    seconds = int(os.environ.pop(CPU))
    last = seconds * 3 // 2  # for what does not listen: then the kernel ends it
    resource.setrlimit(resource.RLIMIT_CPU, (last, last + 5))
    plugin = _Plugin(_Channel(int(os.environ.pop(CHANNEL))))
    signal.signal(signal.SIGPROF, plugin.overtime)
    signal.setitimer(signal.ITIMER_PROF, seconds, 1)
    config.pluginmanager.register(plugin)
