"""Runs the checks against a hand-in, each against a server of its own, and adds up the points."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final, Protocol

from ftpsvc.homework.kit.checks import CHECKS, Tester, new_secret, prepared
from ftpsvc.homework.kit.declared import FILE, DeclarationError, Declared, read
from ftpsvc.homework.kit.dialect import Dialect
from ftpsvc.homework.kit.dialects import Profile, speaks
from ftpsvc.homework.kit.findings import Fault, Gone, NotScored, Refused
from ftpsvc.homework.kit.rubric import POINTS, Check, Report, Result
from ftpsvc.homework.kit.said import Said, said
from ftpsvc.homework.kit.sandboxed import LIMITS, START, HandIn, SandboxedServer
from ftpsvc.homework.kit.server import Prepared, Server
from ftpsvc.homework.sandbox.base import Cap, Limits, Sandbox
from ftpsvc.text import printable

PORT: Final = 9021

PATIENCE: Final = 4.0
"""Seconds that a server may take for each thing that it has to do, where nobody says anything else."""

RUN_SECONDS: Final = 90.0
"""Time of a whole run. Checks that are not begun by then are failed: only a server that hangs needs more."""

LAST: Final = 0.6
"""Part of the time of a check that the last one has at least: 24 of 40 s, so a run of 90 s is over in two minutes."""

_MOMENT: Final = 2.0

START_HINT: Final[Said] = said(
    "first it has to start: try the same command in a fresh copy of the folder, and wait until it listens"
)
LATE: Final[Said] = said("the checks before it waited for what did not come: mend those first")


def judge_server(
    sandbox: Sandbox,
    folder: Path,
    command: Sequence[str],
    *,
    python: str,
    mounts: Sequence[Path] = (),
    port: int = PORT,
    shared: str = "shared",
    profile: Profile = "base",
    dialect: str | None = None,
    patience: float = PATIENCE,
    seconds: float = RUN_SECONDS,
    points: Mapping[int, float] = POINTS,
    checks: Sequence[Check[Tester]] = CHECKS,
    limits: Limits = LIMITS,
    told: Callable[[Result], None] = lambda _: None,
) -> Report:
    """Judges the server of a hand-in.

    Args:
        sandbox: Where it runs.
        folder: The hand-in.
        command: What starts the server in a copy of it. The word PORT becomes the port, and python
            and python3 the sandbox's.
        python: The Python inside.
        mounts: What that Python needs to see of this machine.
        port: What PORT becomes.
        shared: The folder that the server shares, relative to the hand-in.
        profile: What is asked of it.
        dialect: What it speaks: a name, or the path of a teacher's file; None is what the hand-in says, or base.
        patience: Seconds that it may take for each thing that it has to do.
        seconds: Seconds for all of it; checks that are not begun by then are failed.
        points: What the points of the rubric are worth.
        checks: What is checked.
        limits: What it may use during one check; `wall` becomes longer where the patience asks for it.
        told: Called with each result.

    Raises:
        ConfigError: There is no such dialect, or its file cannot be used.
        SandboxError: The sandbox failed. That is never the student's fault, so there is no report.
    """
    fault = None
    try:
        declared = read(folder)
        given = speaks(dialect, profile, declared)
    except DeclarationError as error:
        declared = Declared()
        given = speaks(dialect, profile, declared)
        what = said("a hand-in that says how its server is spoken to")
        fault = Fault(what, _declared(error), hint=said("mend {file} first: no check was tried", file=FILE))
    hand_in = HandIn(
        command=words(command, port, python),
        port=port,
        folder=folder,
        python=python,
        mounts=tuple(mounts),
        reset=words(declared.reset, port, python),
        start=max(START, patience),
        limits=replace(limits, wall=max(limits.wall, 10 * patience)),
    )
    began = time.monotonic()

    def start(found: Prepared) -> SandboxedServer:
        wall = wall_left(hand_in.limits.wall, seconds, began)
        bounded = replace(hand_in, limits=replace(hand_in.limits, wall=wall))
        return SandboxedServer(sandbox, bounded, found, patience)

    return judge(
        start,
        given,
        profile=profile,
        shared=shared,
        patience=patience,
        seconds=seconds,
        points=points,
        checks=checks,
        told=told,
        fault=fault,
    )


def wall_left(wall: float, seconds: float, began: float) -> float:
    """Returns how long a check may take that begins now: a late one less, so that a run ends soon after its time.

    Args:
        wall: Seconds that a check may take.
        seconds: Seconds for all of them.
        began: When the run began, by `time.monotonic`.
    """
    return max(1.0, min(wall, seconds + LAST * wall - (time.monotonic() - began)))


def words(command: Sequence[str], port: int, python: str) -> tuple[str, ...]:
    """Returns a command as the sandbox runs it."""
    given = [str(port) if word == "PORT" else word for word in command]
    return (python, *given[1:]) if given[:1] in (["python"], ["python3"]) else tuple(given)


class Running(Server, Protocol):
    """A server that is started by `__enter__`, and how it ended."""

    @property
    def killed_by(self) -> Cap | None:
        """The limit that ended it; None where none did, and before it was closed."""

    def __enter__(self) -> Server:
        """Starts it and waits until it listens.

        Raises:
            SandboxError: It could not be run; nothing is left.
            Fault: It does not listen; nothing is left.
        """

    def close(self) -> None:
        """Ends it with all that it started. A second call does nothing."""

    def end(self) -> str:
        """Closes it, and returns which limit ended it before, in one line; "" where none did.

        Raises:
            SandboxError: The sandbox failed.
        """

    def output(self) -> str:
        """Returns the last lines that it wrote, escaped; "" before it was closed."""


def judge(
    start: Callable[[Prepared], Running],
    dialect: Dialect,
    *,
    profile: Profile = "base",
    shared: str = "shared",
    patience: float = PATIENCE,
    seconds: float = RUN_SECONDS,
    points: Mapping[int, float] = POINTS,
    checks: Sequence[Check[Tester]] = CHECKS,
    told: Callable[[Result], None] = lambda _: None,
    fault: Fault | None = None,
) -> Report:
    """Judges a server.

    Args:
        start: Returns a server that is not started yet, in a folder of its own where that is prepared.
        dialect: How it is spoken to.
        profile: What is asked of it.
        shared: The folder that it shares where it has no accounts, in its own one.
        patience: Seconds that it may take for each thing that it has to do.
        seconds: Seconds for all of it; checks that are not begun by then are failed.
        points: What the points of the rubric are worth.
        checks: What is checked.
        told: Called with each result.
        fault: What keeps the server from being tried at all: every check is failed for it. None: nothing.

    Raises:
        SandboxError: The sandbox failed. That is never the student's fault, so there is no report.
    """
    began = time.monotonic()
    results: list[Result] = []
    silent = fault
    unmeasured = _unmeasured(dialect, profile)
    if dialect.declared.accounts:
        shared = dialect.declared.accounts[0].home
    for check in checks:
        if check.point in unmeasured:
            continue
        if silent is not None:
            result = _failed(check, silent)
        elif time.monotonic() - began > seconds:
            used = said("the {seconds:g} s of a run were used up before it", seconds=seconds)
            result = _failed(check, Fault(said("a run of that time"), used, hint=LATE))
        else:
            result, silent = _one(start, dialect, patience, shared, check)
        results.append(result)
        told(result)
    return Report(
        dialect=dialect.name,
        results=results,
        unmeasured=unmeasured,
        points=points,
        seconds=time.monotonic() - began,
    )


def _unmeasured(dialect: Dialect, profile: Profile) -> dict[int, str]:
    found = dict(dialect.unmeasured)
    if profile == "base":
        asked = said("the profile base does not ask for it")
        found = {1: asked, 4: asked, 9: asked} | found
    elif not dialect.declared.accounts:
        found = dict.fromkeys((1, 4), said("{file} names no account", file=FILE)) | found
    return found | {8: said("a progress bar is the client's")}


def _one(
    start: Callable[[Prepared], Running], dialect: Dialect, patience: float, shared: str, check: Check[Tester]
) -> tuple[Result, Fault | None]:
    """Returns a result, and what is wrong where the server did not even start: no other check needs to try."""
    secret = new_secret()
    server = start(prepared(shared, secret))
    try:
        server.__enter__()
    except Fault as fault:
        fault.hint = START_HINT
        return _failed(check, fault, output=server.output()), fault
    found: Fault | None = None
    test = Tester(server, dialect, patience, shared=shared, secret=secret)
    try:
        try:
            check.run(test)
        except NotScored as reason:
            return Result(check=check, status="not scored", reason=_reason(reason)), None
        except Fault as fault:
            found = fault
        except Refused as refused:  # by whom a check asked nothing that may be refused
            found = Fault(said("that it is done"), said("it was refused: {reason}", reason=str(refused)))
        found = _ended(server, found)
        killed = server.end()
    finally:
        server.close()
    if killed:
        stays = said("that it stays within its limits")
        found = Fault(stays, killed, found.sent if found else "", server.killed_by)
    if found is None:
        return Result(check=check, status="passed"), None
    sent = test.last.sent if test.last is not None else ""
    return _failed(check, found, sent, server.output()), None


def _declared(error: DeclarationError) -> str:
    text = error.args[0]
    return text if isinstance(text, Said) else printable(str(text))


def _reason(reason: NotScored) -> str:
    text = reason.args[0] if reason.args else ""
    return text if isinstance(text, str) else str(text)


def _ended(server: Server, found: Fault | None) -> Fault | None:
    """Returns the fault, with what is to be said of a server that is not there any more."""
    try:
        # The end of a process is seen a moment after the end of its connections.
        code = server.exit(_MOMENT if isinstance(found, Gone) else 0)
    except Fault as gone:
        return found or gone
    if code is None:
        return found
    how = said("the server's process ended with {code}", code=code)
    if found is None:
        return Fault(said("that the server goes on"), how)
    return Fault(found.expected, said("{seen}; {how}", seen=found.seen, how=how), found.sent, hint=found.hint)


def _failed(check: Check[Tester], fault: Fault, sent: str = "", output: str = "") -> Result:
    return Result(
        check=check,
        status="failed",
        sent=fault.sent or sent,
        expected=fault.expected,
        seen=fault.seen,
        output=output,
        killed_by=fault.killed_by,
        hint=fault.hint,
    )
