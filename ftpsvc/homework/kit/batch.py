"""Judges many hand-ins at once: one that cannot be judged stops no other (GRADING 3.3 rule 9)."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path

from ftpsvc.homework.kit.rubric import Report, Result
from ftpsvc.homework.sandbox.base import SandboxError


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """What became of one hand-in of many.

    Attributes:
        name: Its folder's name.
        report: What was found; None where it could not be judged.
        error: Why it could not be; "" otherwise. Never the student's fault.
    """

    name: str
    report: Report | None = None
    error: str = ""


def judge_each(
    folders: Sequence[Path],
    judge: Callable[[Path, Callable[[Result], None]], Report],
    jobs: int,
    done: Callable[[Entry], None],
) -> list[Entry]:
    """Judges each of some hand-ins.

    Args:
        folders: The hand-ins.
        judge: Judges one; it is given what to call with each result, and lets through what that raises.
        jobs: How many at once.
        done: Called with each entry as it comes, from the calling thread.

    Returns:
        An entry for each, in the order of the folders.

    Raises:
        KeyboardInterrupt: It was stopped. What runs ends with the check that it is at, and nothing is left.
    """
    stop = threading.Event()

    def told(_: Result) -> None:
        if stop.is_set():
            raise _Stopped

    def one(folder: Path) -> Entry:
        if stop.is_set():
            raise _Stopped
        try:
            return Entry(name=folder.name, report=judge(folder, told))
        except SandboxError as error:
            return Entry(name=folder.name, error=str(error))

    found: dict[str, Entry] = {}
    with ThreadPoolExecutor(jobs, thread_name_prefix="judge") as pool:
        try:
            for future in as_completed([pool.submit(one, folder) for folder in folders]):
                entry = future.result()
                found[entry.name] = entry
                done(entry)
        except BaseException:
            stop.set()
            pool.shutdown(wait=True, cancel_futures=True)
            raise
    return [found[folder.name] for folder in folders]


class _Stopped(Exception):
    """The whole batch was stopped."""
