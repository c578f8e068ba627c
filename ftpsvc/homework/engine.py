"""Grades what is in the queue: some hand-ins at once, each by a task that may be done any number of times.

The queue is durable and ours (`queue`); who carries the tasks out is behind `Executor`. A task that fails says why and
harms no other; a failure of our own is tried again, is then written down for the teacher, and never becomes a result
(GRADING 3.3 rules 6 to 9).
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

from ftpsvc.exceptions import BadReceipt, FtpsvcError
from ftpsvc.homework.catalog import Catalog, NoSuchAssignment
from ftpsvc.homework.faults import HomeworkFaults
from ftpsvc.homework.grading import judge
from ftpsvc.homework.grading.faults import GradingFailed
from ftpsvc.homework.grading.store import Failure, Results
from ftpsvc.homework.lateness import HandIn, Standing, standing
from ftpsvc.homework.queue import MAX_TRIES, Queue, Task
from ftpsvc.homework.sandbox.base import Sandbox, SandboxError
from ftpsvc.homework.submissions import Submissions
from ftpsvc.server.audit import now
from ftpsvc.text import printable

POLL_SECONDS: Final = 0.5
"""How long a grader that has nothing to do sleeps before it looks again."""

_RECOVER_SECONDS: Final = 5.0


@dataclass(frozen=True, slots=True)
class Work:
    """A task as an executor takes it: plain values only, so that it may travel.

    Attributes:
        root: The server's root.
    """

    root: str
    assignment: str
    user: str
    version: int
    attempt: int


@dataclass(frozen=True, slots=True)
class Report:
    """What became of it.

    Attributes:
        reason: Why there is no result; None where there is one.
        hint: What to do about it, or None.
        passing: Whether it may go well the next time.
        raw: Points before the penalty; None without a result.
        max: Points that there are, without those that are given by hand.
        seconds: How long it took.
    """

    reason: str | None = None
    hint: str | None = None
    passing: bool = False
    raw: float | None = None
    max: float | None = None
    seconds: float = 0.0


class Executor(Protocol):
    """Carries tasks out, here or elsewhere. A task that it loses, or does twice, is no harm."""

    @property
    def slots(self) -> int:
        """How many tasks it wants at once."""

    def submit(self, work: Work) -> Future[Report]:
        """Begins a task. What goes wrong with it is in the report; an exception is a failure of the executor."""

    def close(self) -> None:
        """Waits for what was begun, and ends."""


class Local:
    """Carries tasks out in threads of this process, which live as long as it does: sandboxes die with their thread.

    Args:
        sandbox: What runs programs.
        slots: Hand-ins at once.
    """

    def __init__(self, sandbox: Sandbox, slots: int) -> None:
        self._slots = slots
        self._sandbox = sandbox
        self._pool = ThreadPoolExecutor(slots, thread_name_prefix="grading")

    @property
    def slots(self) -> int:
        """How many tasks it wants at once."""
        return self._slots

    def submit(self, work: Work) -> Future[Report]:
        """Begins a task."""
        return self._pool.submit(perform, work, self._sandbox)

    def close(self) -> None:
        """Waits for what was begun, and ends."""
        self._pool.shutdown(cancel_futures=True)


class Engine:
    """Takes tasks from a queue and has them carried out. One thread calls it.

    Args:
        root: The server's root.
        queue: What is to be done. The caller closes it.
        executor: Who does it. The caller closes it.
        told: Is called with each task that came to its end, and with what became of it.
    """

    def __init__(
        self,
        root: Path,
        queue: Queue,
        executor: Executor,
        told: Callable[[Task, Report], None] = lambda *_: None,
    ) -> None:
        self._root = root
        self._queue = queue
        self._executor = executor
        self._told = told
        self._recovered = float("-inf")

    def run(self, stop: threading.Event, assignment: str, users: Iterable[str]) -> None:
        """Grades what is queued of one assignment and these users, until nothing of it is left, or `stop` is set.

        What another grader has taken is waited for.
        """
        wanted = frozenset(users)

        def left() -> bool:
            tasks = self._queue.tasks("queued", "running", assignment=assignment)
            return any(task.user in wanted for task in tasks)

        self._go(stop, lambda: self._queue.claim(assignment, wanted), left, lambda: None)

    def serve(self, stop: threading.Event, intake: Callable[[], None]) -> None:
        """Grades whatever comes, until `stop` is set; what was begun by then is finished.

        Args:
            stop: Ends it.
            intake: Is called again and again, to put into the queue what has come.
        """
        self._go(stop, self._queue.claim, lambda: True, intake)

    def _go(
        self,
        stop: threading.Event,
        claim: Callable[[], Task | None],
        left: Callable[[], bool],
        intake: Callable[[], None],
    ) -> None:
        running: dict[Future[Report], Task] = {}
        try:
            while True:
                if not stop.is_set():
                    self._recover()
                    intake()
                    while len(running) < self._executor.slots and (task := claim()) is not None:
                        running[self._begin(task)] = task
                if running:
                    ended, _ = wait(running, POLL_SECONDS, FIRST_COMPLETED)
                    for future in ended:
                        self._settle(running.pop(future), future)
                elif stop.is_set() or not left():
                    return
                else:
                    stop.wait(POLL_SECONDS)
        except BaseException:
            wait(running)
            raise

    def _begin(self, task: Task) -> Future[Report]:
        work = Work(str(self._root), task.assignment, task.user, task.version, task.attempt)
        try:
            return self._executor.submit(work)
        except Exception:
            self._queue.back(task)
            raise

    def _settle(self, task: Task, future: Future[Report]) -> None:
        error = future.exception()
        report = (
            future.result()
            if error is None
            else Report(f"the grader failed: {printable(f'{type(error).__name__}: {error}')}", passing=True)
        )
        if report.reason is None:
            self._queue.done(task)
        elif report.passing and task.tries + 1 < MAX_TRIES:
            self._queue.again(task)
            return
        else:
            self._fail(task, report)
            self._queue.failed(task, report.reason)
        self._told(task, report)

    def _recover(self) -> None:
        """Takes over what graders left that are gone, now and then."""
        if time.monotonic() - self._recovered < _RECOVER_SECONDS:
            return
        self._recovered = time.monotonic()
        for task in self._queue.recover():
            report = Report(
                task.reason or "", hint="look at what they said when they ended; ftpsvc-grade run tries again"
            )
            self._fail(task, report)
            self._told(task, report)

    def _fail(self, task: Task, report: Report) -> None:
        """Writes down for the teacher that there is no result. A disk that refuses that too is told in the report."""
        results = Results(Submissions(self._root).of(task.assignment, task.user))
        try:
            results.fail(task.version, Failure(task.attempt, report.reason or "", report.hint, now()))
        except OSError:
            return  # the queue has it


def perform(work: Work, sandbox: Sandbox) -> Report:
    """Carries a task out: grades the version, unless that is done, and stores its result. Raises nothing."""
    begun = time.monotonic()
    root = Path(work.root)
    try:
        submissions, catalog = Submissions(root), Catalog(root)
        results = Results(submissions.of(work.assignment, work.user))
        if work.attempt in results.attempts(work.version):
            result = results.read(work.version, work.attempt)
        else:
            assignment = catalog.get(work.assignment)
            version = submissions.version(work.assignment, work.user, work.version)
            stand = standing_of(catalog, submissions, work.user)
            hand_in = judge.HandIn(
                submission=f"{assignment.course}/{work.assignment}/{work.user}/{work.version}",
                folder=version.files,
                tree_sha256=version.tree_sha256,
                attempt=work.attempt,
                lateness=stand.lateness.get((work.assignment, work.version)),
            )
            result, tested = judge.grade(assignment, hand_in, sandbox)
            results.write(work.version, result, tested.tests)
        by_hand = sum(one.max_score for one in result.tests if one.extra_data.verdict is None)
        return Report(
            raw=result.ours.raw,
            max=judge.rounded(result.ours.max - by_hand),
            seconds=time.monotonic() - begun,
        )
    except (SandboxError, GradingFailed) as error:
        passing = isinstance(error, SandboxError) or error.passing
        return Report(printable(error.reason), error.hint, passing, seconds=time.monotonic() - begun)
    except (NoSuchAssignment, HomeworkFaults) as error:
        hint = f"ftpsvc-server assignment check {work.assignment}"
        return Report(printable(str(error)), hint, seconds=time.monotonic() - begun)
    except OSError as error:
        return Report(
            printable(f"the grader: {error.strerror}"), passing=True, seconds=time.monotonic() - begun
        )
    except FtpsvcError as error:
        return Report(printable(str(error)), seconds=time.monotonic() - begun)
    except Exception as error:  # noqa: BLE001 -- one bad hand-in never stops a batch
        reason = printable(f"internal error: {type(error).__name__}: {error}")
        return Report(reason[:500], seconds=time.monotonic() - begun)


def standing_of(catalog: Catalog, submissions: Submissions, user: str) -> Standing:
    """Returns how a student stands in all assignments that can be used, by what was handed in and graded.

    An assignment of which a version is damaged is left out, so that it keeps no other from being graded.

    Raises:
        HomeworkFaults: `course.toml` cannot be used.
        OSError: Something cannot be read.
    """
    hand_ins: list[HandIn] = []
    terms = {}
    for name in submissions.assignments():
        if not submissions.numbers(name, user):
            continue
        try:
            versions = submissions.versions(name, user)
            terms[name] = catalog.terms(catalog.get(name), user)
        except (NoSuchAssignment, HomeworkFaults, BadReceipt):
            continue
        results = Results(submissions.of(name, user))
        for version in versions:
            points = None
            if terms[name].count == "best" and (newest := results.newest(version.number)) is not None:
                points = newest.ours.raw
            hand_ins.append(version.hand_in(points))
    return standing(hand_ins, terms, catalog.course().late_days)
