"""Tests by pytest: the teacher's tests outside the sandbox, the student's code inside, and this broker between them.

A pytest of its own is started for each hand-in with the plugin `grading.student`. It asks over a socket for whatever
is to run in the sandbox, and tells over the same socket how its tests ended. The programs are started here, in the
grader's own thread, so they die with the grader; and how each ended is known here, so a verdict is not taken from the
tests alone.
"""

from __future__ import annotations

import json
import os
import socket
import stat
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import IO, Any, Final

from ftpsvc.homework.grading import stub
from ftpsvc.homework.grading.faults import GradingFailed
from ftpsvc.homework.grading.kinds.common import Judged, Place, judged, shown, tail
from ftpsvc.homework.grading.verdict import Verdict, of_end, told
from ftpsvc.homework.model import PytestTest
from ftpsvc.homework.sandbox.base import Job, Outcome
from ftpsvc.text import printable

OWN_SECONDS: Final = 900.0
"""How long the tests themselves may take, beside what runs in the sandbox."""

OWN_CPU: Final = 120
"""Seconds that the tests themselves may use of the processor, beside what runs in the sandbox."""

_PLUGIN: Final = "ftpsvc.homework.grading.student"
_CHANNEL: Final = "FTPSVC_GRADING_FD"
_CPU: Final = "FTPSVC_GRADING_CPU"
_LINE: Final = 64 << 20
_READ: Final = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
_READ_BYTES: Final = 4 << 20


@dataclass
class _Item:
    """One test of the file.

    Attributes:
        phases: What pytest said: set-up, call, tear-down.
        outcomes: Of the programs that it started.
    """

    id: str
    name: str
    points: float | None
    phases: list[dict[str, Any]] = field(default_factory=list)
    outcomes: list[Outcome] = field(default_factory=list)


def grade(test: PytestTest, place: Place) -> list[Judged]:
    """Runs a file of tests; each of its tests is one result, with its share of the points.

    Raises:
        GradingFailed: The tests themselves failed: they cannot be collected, or broke off.
        SandboxError: The student's code could not be run.
    """
    broker = _Broker(test, place)
    items = broker.run()
    shares = _shares(test.points, items)
    several = len(items) > 1
    return [
        _judge(test, place, item, points, f".{number}" if several else "")
        for number, (item, points) in enumerate(zip(items, shares, strict=True), 1)
    ]


class _Broker:
    """Runs one pytest and serves it."""

    def __init__(self, test: PytestTest, place: Place) -> None:
        self._test = test
        self._place = place
        self._files = {name: place.assignment.test_file(name) for name in test.files}
        self._items: dict[str, _Item] = {}
        self._now: _Item | None = None
        self._broken: list[str] = []

    def run(self) -> list[_Item]:
        """Returns the tests, each with all that became of it."""
        ours, theirs = socket.socketpair()
        with ours, tempfile.TemporaryFile() as log:
            try:
                process = self._start(theirs, log)
            finally:
                theirs.close()
            try:
                self._serve(ours)
                code = process.wait(OWN_SECONDS)
            except (TimeoutError, subprocess.TimeoutExpired):
                raise GradingFailed(f"test {self._test.name!r} did not end in {OWN_SECONDS:g} s") from None
            finally:
                process.kill()
                process.wait()
            self._check(code, log)
        return list(self._items.values())

    def _start(self, theirs: socket.socket, log: IO[bytes]) -> subprocess.Popen[bytes]:
        folder = self._place.assignment.folder.absolute()  # pytest is started in another one
        path = folder / self._test.path
        here = path if path.is_dir() else path.parent
        # -I: neither variables nor the working folder say what is imported. -c: no settings of whatever lies above.
        line = [
            sys.executable, "-I", "-B", "-m", "pytest", "-p", _PLUGIN, "-p", "no:cacheprovider", "-c", os.devnull,
            "--rootdir", str(folder), "--tb=short", "-q", "-o", "tmp_path_retention_policy=none", "--", str(path),
        ]  # fmt: skip
        environment = {
            "PATH": os.defpath, "LANG": "C.UTF-8", "HOME": "/nonexistent", "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
            _CHANNEL: str(theirs.fileno()), _CPU: str(OWN_CPU),
        }  # fmt: skip
        try:
            return subprocess.Popen(
                line,
                cwd=here,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                pass_fds=[theirs.fileno()],
            )
        except OSError as error:
            raise GradingFailed(f"cannot start pytest: {error.strerror}", passing=True) from error

    def _serve(self, ours: socket.socket) -> None:
        """Answers until the other side ends. Only the time in which it is waited for counts."""
        left, buffer = OWN_SECONDS, bytearray()
        while True:
            ours.settimeout(max(left, 0.001))
            begun = time.monotonic()
            try:
                data = ours.recv(1 << 20)
            except ConnectionError:
                return
            left -= time.monotonic() - begun
            if left <= 0:
                raise TimeoutError
            if not data:
                return
            buffer += data
            while (end := buffer.find(b"\n")) >= 0:
                message = json.loads(buffer[:end])
                del buffer[: end + 1]
                if (answer := self._answer(message)) is not None:
                    ours.settimeout(OWN_SECONDS)
                    try:
                        ours.sendall(json.dumps(answer).encode("ascii") + b"\n")
                    except ConnectionError:
                        return
            if len(buffer) > _LINE:
                raise GradingFailed(f"test {self._test.name!r} says more than {_LINE >> 20} MiB at once")

    def _answer(self, message: dict[str, Any]) -> dict[str, Any] | None:
        """Returns the answer to a message, or None where none is due."""
        what = message["do"]
        if what == "tests":
            self._items = {
                one["id"]: _Item(one["id"], one["name"], one["points"]) for one in message["tests"]
            }
        elif what == "start":
            self._now = self._items.get(message["id"])
        elif what == "phase":
            self._items[message["id"]].phases.append(message)
        elif what == "broken":
            self._broken.append(message["text"])
        elif what == "read":
            return {"content": self._read(message["name"])}
        else:
            python = self._place.python
            argv = tuple(message["argv"]) if what == "run" else (python, "-I", "-c", stub.PROGRAM)
            return self._in_sandbox(argv, message["stdin"].encode("utf-8", "surrogatepass"))
        return None

    def _in_sandbox(self, argv: tuple[str, ...], stdin: bytes) -> dict[str, Any]:
        place = self._place
        if argv and argv[0] in ("python3", "python"):
            argv = (place.python, *argv[1:])
        limits = place.limits(self._test)
        job = Job(
            argv=argv, folder=place.folder, files=self._files, stdin=stdin, limits=limits, mounts=place.mounts
        )
        try:
            outcome = place.sandbox.run(job)
        except ValueError as error:
            raise GradingFailed(f"test {self._test.name!r} asks for what cannot be run: {error}") from None
        if self._now is not None:
            self._now.outcomes.append(outcome)
        text = told(outcome, limits) or "ended before it answered"
        return {
            "exit": outcome.exit, "signal": outcome.signal, "killed_by": outcome.killed_by, "text": text,
            "stdout": outcome.stdout.hex(), "stderr": outcome.stderr.hex(),
        }  # fmt: skip

    def _read(self, name: str) -> str | None:
        """Returns a file of the hand-in, in hex: never through a link, and nothing outside."""
        path = PurePosixPath(name)
        if path.is_absolute() or ".." in path.parts or "\0" in name:
            return None
        descriptor = os.open(self._place.folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            for step in path.parts[:-1]:
                inner = os.open(step, _READ | os.O_DIRECTORY, dir_fd=descriptor)
                os.close(descriptor)
                descriptor = inner
            file = os.open(path.name, _READ, dir_fd=descriptor)
            with open(file, "rb") as opened:
                plain = stat.S_ISREG(os.fstat(file).st_mode)
                return opened.read(_READ_BYTES).hex() if plain else None
        except OSError:
            return None
        finally:
            os.close(descriptor)

    def _check(self, code: int, log: IO[bytes]) -> None:
        """Raises where pytest broke off: then nothing that it said is believed."""
        name = self._test.name
        if self._broken:
            raise GradingFailed(f"the tests of {name!r} cannot be collected: {_why(self._broken[0])}")
        whole = all(any(one["phase"] == "teardown" for one in item.phases) for item in self._items.values())
        if code in (0, 1) and whole and self._items:
            return
        if code == 5 or (code in (0, 1) and not self._items):
            raise GradingFailed(f"test {name!r} has no tests in it")
        log.seek(0)
        said = _line(tail(log.read()[-4096:]))
        hint = "pip install pytest, where ftpsvc-grade is" if "No module named pytest" in said else None
        raise GradingFailed(f"the tests of {name!r} broke off with code {code}: {said}", hint=hint)


def _line(text: str) -> str:
    return printable(" | ".join(filter(None, (line.strip() for line in text.split("\n")))))[:500]


def _why(text: str) -> str:
    """Returns the lines that pytest marks as the error, else all."""
    lines = [line[1:] for line in text.split("\n") if line.startswith("E ")]
    return _line("\n".join(lines) or text)


def _shares(points: float, items: list[_Item]) -> list[float]:
    """Returns what each is worth: by `@pytest.mark.points(n)`, of which a test without one has 1."""
    weights = [1.0 if item.points is None else max(item.points, 0.0) for item in items]
    whole = sum(weights)
    return [points * weight / whole if whole else 0.0 for weight in weights]


def _judge(test: PytestTest, place: Place, item: _Item, points: float, number: str) -> Judged:
    failed = next((one for one in item.phases if one["outcome"] == "failed"), None)
    skipped = any(one["outcome"] == "skipped" for one in item.phases)
    last = item.outcomes[-1] if item.outcomes else None
    used: dict[str, Any] = {
        "cpu": round(sum(one.cpu for one in item.outcomes), 3),
        "wall": round(sum(one.wall for one in item.outcomes), 3),
        "rss": max((one.rss for one in item.outcomes), default=0),
    }
    verdict: Verdict = "AC"
    text = ""
    if failed is not None:
        if failed["phase"] != "call" and failed["whose"] == "tests":
            raise GradingFailed(f"the test {item.name} itself failed: {_line(failed['text'])}")
        verdict = _verdict(failed, last)
        text = shown("\n".join(filter(None, (failed["text"], failed["inside"]))))
        if failed["whose"] == "ended" and last is not None:
            text = "\n".join(filter(None, (told(last, place.limits(test)) or text, tail(last.stderr))))
    elif skipped:
        verdict, text = "SKIP", "skipped by the test itself"
    return judged(
        test,
        verdict,
        text,
        number=number,
        name=f"{test.name}: {item.name}" if number else test.name,
        points=points,
        outcome=last,
        **used,
    )


def _verdict(failed: dict[str, Any], last: Outcome | None) -> Verdict:
    """Returns why a test failed: the student's program ended, the student's function raised, or it was wrong.

    Also what it returned can be what took too long.
    """
    if failed["whose"] == "raised":
        return "RE"
    if failed["whose"] == "slow":
        return "TLE"
    if failed["whose"] == "ended" and last is not None:
        ended = of_end(last)
        return "RE" if ended == "AC" else ended
    return "WA"
