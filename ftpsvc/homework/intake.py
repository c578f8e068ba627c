"""What is to be graded of what lies on the disk: the queue is filled from there, so no hand-in is ever missed.

The daemon knows nothing of the grader. Versions are on the disk before their receipt is given, and a look at their
numbers, which costs a listing for each student, tells what is new.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from ftpsvc.exceptions import FtpsvcError
from ftpsvc.homework.catalog import Catalog
from ftpsvc.homework.engine import standing_of
from ftpsvc.homework.grading.results import Result
from ftpsvc.homework.grading.store import Results
from ftpsvc.homework.lateness import Terms
from ftpsvc.homework.model import Assignment
from ftpsvc.homework.queue import Queue
from ftpsvc.homework.submissions import Submissions

LOOK_SECONDS: Final = 1.0
"""How often it is looked for what is new."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """A version that may be graded.

    Attributes:
        version: Its number.
        newest: Its newest result; None where it has none.
        attempt: The number of the next attempt.
        failed: Whether the last attempt ended in an error.
    """

    version: int
    newest: Result | None
    attempt: int
    failed: bool


class Intake:
    """Looks for hand-ins, and puts them into the queue. For one thread."""

    def __init__(self, root: Path, queue: Queue) -> None:
        self.submissions: Final = Submissions(root)
        self.catalog: Final = Catalog(root)
        self._queue = queue
        self._seen: dict[tuple[str, str], tuple[list[int], Terms]] = {}
        self._looked = float("-inf")

    def look(self) -> None:
        """Puts what has come into the queue, as its assignment wants it: at the hand-in, or once it is due."""
        if time.monotonic() - self._looked < LOOK_SECONDS:
            return
        for name in self.submissions.assignments():
            try:
                assignment = self.catalog.get(name)
            except FtpsvcError:
                continue  # `ftpsvc-server assignment check` says what is wrong with it
            if assignment.grading.on == "manual":
                continue
            for user in self.submissions.users(name):
                try:
                    # Another due time, or another rule, may make another version count.
                    there = self.submissions.numbers(name, user), self.catalog.terms(assignment, user)
                    if self._seen.get((name, user)) == there:
                        continue
                    if self._take(assignment, user):
                        self._seen[name, user] = there
                except (FtpsvcError, OSError, ValueError):
                    continue  # damaged: the audits of hand-ins and receipts tell, and the others go on
        self._looked = time.monotonic()

    def _take(self, assignment: Assignment, user: str) -> bool:
        """Puts what is new of one student into the queue. Returns False where it is too early."""
        if assignment.grading.on == "due" and datetime.now(UTC) <= self.catalog.dates(assignment, user).due:
            return False
        wanted = self.wanted(assignment, user)
        per_day = assignment.grading.feedback_per_day if assignment.grading.on == "hand-in" else None
        for one in wanted:
            if one.newest is None and not one.failed:
                self._queue.put(assignment.id, user, one.version, one.attempt, per_day=per_day)
        self._queue.supersede(assignment.id, user, [one.version for one in wanted])
        return True

    def wanted(self, assignment: Assignment, user: str) -> list[Wanted]:
        """Returns the versions that are worth a grade, oldest first: the one that counts and the newest one.

        Where the best one counts that is all of them: which is best shows when they are graded.

        Raises:
            FtpsvcError: Something is damaged.
            OSError: Something cannot be read.
            ValueError: A result is damaged.
        """
        numbers = self.submissions.numbers(assignment.id, user)
        if assignment.grading.count != "best" and numbers:
            counting = standing_of(self.catalog, self.submissions, user).counting.get(assignment.id)
            numbers = sorted({numbers[-1], counting if counting is not None else numbers[-1]})
        results = Results(self.submissions.of(assignment.id, user))
        tasks = self._queue.of(assignment.id, user)
        found = []
        for number in numbers:
            self.submissions.version(assignment.id, user, number)  # a damaged one is told, not graded
            mine = [task for task in tasks if task.version == number]
            done = results.attempts(number)
            # An attempt that is queued, or failed, is the next one; another comes after what has a result.
            open_ = [task.attempt for task in mine if task.attempt not in done and task.state != "done"]
            attempt = max(open_, default=max([0, *done, *(task.attempt for task in mine)]) + 1)
            failed = any(task.state == "error" and task.attempt == attempt for task in mine)
            found.append(Wanted(number, results.read(number, done[-1]) if done else None, attempt, failed))
        return found
