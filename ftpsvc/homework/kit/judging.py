"""Runs the checks against a hand-in, each against a server of its own, and adds up the points."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final, Literal, TypeAlias

from ftpsvc.homework.kit.base_profile import BaseProfile
from ftpsvc.homework.kit.checks import CHECKS, Tester, new_secret, prepared
from ftpsvc.homework.kit.dialect import Dialect
from ftpsvc.homework.kit.findings import Fault, Gone, NotScored
from ftpsvc.homework.kit.rubric import POINTS, RUBRIC, Check, Report, Result
from ftpsvc.homework.kit.sandboxed import LIMITS, START, WALL, HandIn, SandboxedServer
from ftpsvc.homework.sandbox.base import Sandbox

Profile: TypeAlias = Literal["base", "full"]
"""base: the points of the rubric that section 9 of the protocol has; full: all that can be measured."""

PORT: Final = 9021

PATIENCE: Final = 4.0
"""Seconds that a server may take for each thing that it has to do, where nobody says anything else."""

RUN_SECONDS: Final = 90.0
"""Time of a whole run. Checks that are not begun by then are failed: only a server that hangs needs more."""

_MOMENT: Final = 2.0


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
        dialect: What it speaks; None is the base profile.
        patience: Seconds that it may take for each thing that it has to do.
        seconds: Seconds for all of it; checks that are not begun by then are failed.
        points: What the points of the rubric are worth.
        told: Called with each result.

    Raises:
        ConfigError: There is no such dialect.
        SandboxError: The sandbox failed. That is never the student's fault, so there is no report.
    """
    hand_in = HandIn(
        command=words(command, port, python),
        port=port,
        folder=folder,
        python=python,
        mounts=tuple(mounts),
        shared=shared,
        start=max(START, patience),
        limits=replace(LIMITS, wall=max(WALL, 10 * patience)),
    )
    return judge(
        sandbox, hand_in, BaseProfile(), patience=patience, seconds=seconds, points=points, told=told
    )


def words(command: Sequence[str], port: int, python: str) -> tuple[str, ...]:
    """Returns a command as the sandbox runs it."""
    given = [str(port) if word == "PORT" else word for word in command]
    return (python, *given[1:]) if given[0] in ("python", "python3") else tuple(given)


def judge(
    sandbox: Sandbox,
    hand_in: HandIn,
    dialect: Dialect,
    *,
    patience: float = PATIENCE,
    seconds: float = RUN_SECONDS,
    points: Mapping[int, float] = POINTS,
    checks: Sequence[Check[Tester]] = CHECKS,
    told: Callable[[Result], None] = lambda _: None,
) -> Report:
    """Judges a hand-in.

    Args:
        sandbox: Where its server runs.
        hand_in: What is judged.
        dialect: How its server is spoken to.
        patience: Seconds that the server may take for each thing that it has to do.
        seconds: Seconds for all of it; checks that are not begun by then are failed.
        points: What the points of the rubric are worth.
        checks: What is checked.
        told: Called with each result.

    Raises:
        SandboxError: The sandbox failed. That is never the student's fault, so there is no report.
    """
    began = time.monotonic()
    results: list[Result] = []
    silent: Fault | None = None
    for check in checks:
        if check.point in dialect.unmeasured:
            continue
        if silent is not None:
            result = _failed(check, silent)
        elif time.monotonic() - began > seconds:
            result = _failed(
                check, Fault("a run of that time", f"the {seconds:g} s of a run were used up before it")
            )
        else:
            result, silent = _one(sandbox, hand_in, dialect, patience, check)
        results.append(result)
        told(result)
    unmeasured = {number: why for number, why in dialect.unmeasured.items() if number in RUBRIC}
    return Report(
        dialect=dialect.name,
        results=results,
        unmeasured=unmeasured,
        points=points,
        seconds=time.monotonic() - began,
    )


def _one(
    sandbox: Sandbox, hand_in: HandIn, dialect: Dialect, patience: float, check: Check[Tester]
) -> tuple[Result, Fault | None]:
    """Returns a result, and what is wrong where the server did not even start: no other check needs to try."""
    secret = new_secret()
    server = SandboxedServer(sandbox, hand_in, prepared(hand_in.shared, secret), patience)
    try:
        server.__enter__()
    except Fault as fault:
        return _failed(check, fault, output=server.output()), fault
    found: Fault | None = None
    test = Tester(server, dialect, patience, shared=hand_in.shared, secret=secret)
    try:
        try:
            check.run(test)
        except NotScored as reason:
            return Result(check=check, status="not scored", reason=str(reason)), None
        except Fault as fault:
            found = fault
        found = _ended(server, found)
        killed = server.end()
    finally:
        server.close()
    if killed:
        found = Fault("that it stays within its limits", killed, found.sent if found else "")
    if found is None:
        return Result(check=check, status="passed"), None
    sent = test.last.sent if test.last is not None else ""
    return _failed(check, found, sent, server.output()), None


def _ended(server: SandboxedServer, found: Fault | None) -> Fault | None:
    """Returns the fault, with what is to be said of a server that is not there any more."""
    try:
        # The end of a process is seen a moment after the end of its connections.
        code = server.exit(_MOMENT if isinstance(found, Gone) else 0)
    except Fault as gone:
        return found or gone
    if code is None:
        return found
    how = f"the server's process ended with {code}"
    if found is None:
        return Fault("that the server goes on", how)
    return Fault(found.expected, f"{found.seen}; {how}", found.sent)


def _failed(check: Check[Tester], fault: Fault, sent: str = "", output: str = "") -> Result:
    return Result(
        check=check,
        status="failed",
        sent=fault.sent or sent,
        expected=fault.expected,
        seen=fault.seen,
        output=output,
    )
