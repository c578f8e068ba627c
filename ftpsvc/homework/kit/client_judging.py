"""Runs the checks of a client, each in a sandbox and against a server of its own, and adds up the points."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

from ftpsvc.homework.kit.client_box import LIMITS, ClientBox, ClientHandIn
from ftpsvc.homework.kit.client_checks import CLIENT_CHECKS, UNMEASURED
from ftpsvc.homework.kit.client_tester import ClientTester, NoConnection
from ftpsvc.homework.kit.client_words import COMMANDS, Words
from ftpsvc.homework.kit.findings import Fault, NotScored
from ftpsvc.homework.kit.gateway import Gateway
from ftpsvc.homework.kit.judging import LATE, PATIENCE, PORT, RUN_SECONDS, wall_left, words
from ftpsvc.homework.kit.our_server import OurServer
from ftpsvc.homework.kit.rubric import POINTS, Check, Report, Result
from ftpsvc.homework.kit.said import said
from ftpsvc.homework.sandbox.base import Limits, Sandbox
from ftpsvc.text import printable

HOST: Final = "127.0.0.1"


def judge_client(
    sandbox: Sandbox,
    folder: Path,
    command: Sequence[str],
    *,
    python: str,
    mounts: Sequence[Path] = (),
    port: int = PORT,
    patience: float = PATIENCE,
    seconds: float = RUN_SECONDS,
    points: Mapping[int, float] = POINTS,
    limits: Limits = LIMITS,
    told: Callable[[Result], None] = lambda _: None,
) -> Report:
    """Judges the client of a hand-in, against our own server.

    Args:
        sandbox: Where it runs.
        folder: The hand-in.
        command: What starts the client in a copy of it. The words HOST and PORT become the server's, and python
            and python3 the sandbox's.
        python: The Python inside.
        mounts: What that Python needs to see of this machine.
        port: What PORT becomes.
        patience: Seconds in which something has to happen: a byte that passes or is shown, or the end.
        seconds: Seconds for all of it; checks that are not begun by then are failed.
        points: What the points of the rubric are worth.
        limits: What it may use during one check; `wall` becomes longer where the patience asks for it.
        told: Called with each result.

    Raises:
        SandboxError: The sandbox failed. That is never the student's fault, so there is no report.
    """
    hand_in = ClientHandIn(
        command=client_words(command, port, python),
        port=port,
        folder=folder,
        python=python,
        mounts=tuple(mounts),
        limits=replace(limits, wall=max(limits.wall, 10 * patience)),
    )
    return judge_clients(sandbox, hand_in, patience=patience, seconds=seconds, points=points, told=told)


def client_words(command: Sequence[str], port: int, python: str) -> tuple[str, ...]:
    """Returns a command as the sandbox runs it."""
    return words([HOST if word == "HOST" else word for word in command], port, python)


def judge_clients(
    sandbox: Sandbox,
    hand_in: ClientHandIn,
    *,
    patience: float = PATIENCE,
    seconds: float = RUN_SECONDS,
    points: Mapping[int, float] = POINTS,
    checks: Sequence[Check[ClientTester]] = CLIENT_CHECKS,
    told: Callable[[Result], None] = lambda _: None,
) -> Report:
    """Judges a hand-in.

    Args:
        sandbox: Where its client runs.
        hand_in: What is judged.
        patience: Seconds in which something has to happen.
        seconds: Seconds for all of it; checks that are not begun by then are failed.
        points: What the points of the rubric are worth.
        checks: What is checked.
        told: Called with each result.

    Raises:
        SandboxError: The sandbox failed. That is never the student's fault, so there is no report.
    """
    began = time.monotonic()
    results: list[Result] = []
    hopeless: Fault | None = None
    typed = Words(COMMANDS)
    try:
        typed = Words.of(hand_in.folder)
    except Fault as fault:
        hopeless = fault
    for check in checks:
        if hopeless is not None:
            result = _failed(check, hopeless)
        elif time.monotonic() - began > seconds:
            late = said("the {seconds:g} s of a run were used up before it", seconds=seconds)
            result = _failed(check, Fault(said("a run of that time"), late, hint=LATE))
        else:
            wall = wall_left(hand_in.limits.wall, seconds, began)
            bounded = replace(hand_in, limits=replace(hand_in.limits, wall=wall))
            result, hopeless = _one(sandbox, bounded, typed, patience, check)
        results.append(result)
        told(result)
    return Report(
        dialect="base",
        results=results,
        unmeasured=UNMEASURED,
        points=points,
        seconds=time.monotonic() - began,
        subject="client",
    )


def _one(
    sandbox: Sandbox, hand_in: ClientHandIn, typed: Words, patience: float, check: Check[ClientTester]
) -> tuple[Result, Fault | None]:
    """Returns a result, and what is wrong where the client does not even connect: no other check needs to try."""
    found: Fault | None = None
    with OurServer() as server:
        box = ClientBox(sandbox, hand_in, patience)
        try:
            gateway = Gateway(box, server)
            test = ClientTester(box, server, gateway, typed, patience)
            try:
                check.run(test)
            except NotScored as reason:
                return Result(check=check, status="not scored", reason=reason.args[0]), None
            except Fault as fault:
                found = fault
            finally:
                gateway.close()
            killed = box.end()
        finally:
            box.close()
    if killed:
        stays = said("that it stays within its limits")
        found = Fault(stays, killed, found.sent if found else "", box.killed_by)
    if found is None:
        return Result(check=check, status="passed"), None
    hopeless = found if isinstance(found, NoConnection) else None
    return _failed(check, found, test.typed, _last(test.output)), hopeless


def _last(output: str) -> str:
    """Returns the last lines of what a client wrote, escaped."""
    return "\n".join(printable(line)[:300] for line in output[-4096:].strip().splitlines()[-6:])


def _failed(check: Check[ClientTester], fault: Fault, typed: str = "", output: str = "") -> Result:
    return Result(
        check=check,
        status="failed",
        sent=fault.sent or typed,
        expected=fault.expected,
        seen=fault.seen,
        output=output,
        killed_by=fault.killed_by,
        hint=fault.hint,
    )
