"""What is to be graded: a queue in SQLite that outlives every grader (docs/grading.md, "The queue").

A task is one attempt at one version. It is written here before anything is graded, and is done when its result is on
the disk; between the two a grader may die at any moment. A running task belongs to a grader that holds a lock on a file
of its own; when the lock is free its grader is gone, and the task goes back into the queue. Doing a task twice is
harmless (`grading.store`).

For each student and assignment one task runs at a time. Fresh hand-ins go before regrades, and what a grader died of
goes last, so that it holds up nobody.
"""

from __future__ import annotations

import fcntl
import json
import os
import secrets
import sqlite3
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal, TypeAlias

State: TypeAlias = Literal["queued", "running", "done", "error", "superseded"]

FOLDER: Final = (".ftpsvc", "homework")
MAX_TRIES: Final = 3
"""Times that a task is tried, where grading itself fails for a reason that may pass."""
MAX_CRASHES: Final = 10
"""Graders that may die of a task."""

_DAY: Final = 86400.0
_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS task (
    id INTEGER PRIMARY KEY,
    assignment TEXT NOT NULL, user TEXT NOT NULL, version INTEGER NOT NULL, attempt INTEGER NOT NULL,
    rerun INTEGER NOT NULL, state TEXT NOT NULL, queued REAL NOT NULL, not_before REAL NOT NULL,
    tries INTEGER NOT NULL DEFAULT 0, crashes INTEGER NOT NULL DEFAULT 0, owner TEXT, reason TEXT,
    UNIQUE (assignment, user, version, attempt)
) STRICT;
CREATE INDEX IF NOT EXISTS by_state ON task (state, assignment, user);
"""
_COLUMNS: Final = "id, assignment, user, version, attempt, rerun, state, tries, crashes, reason"


@dataclass(frozen=True, slots=True)
class Task:
    """One attempt at one version.

    Attributes:
        rerun: Whether it is a regrade, or was asked for by a teacher.
        tries: How often grading itself failed.
        crashes: How many graders died while they had it.
        reason: Of state `error`: what failed.
    """

    id: int
    assignment: str
    user: str
    version: int
    attempt: int
    rerun: bool
    state: State
    tries: int
    crashes: int
    reason: str | None


class Queue:
    """The queue of a root. Thread-safe; any number of processes may have it open at once.

    Close it at the end: `with Queue(root) as queue`.
    """

    def __init__(self, root: Path) -> None:
        """Opens it, and makes it if need be.

        Raises:
            OSError: Its folder cannot be made.
            sqlite3.Error: It cannot be opened.
        """
        folder = root.joinpath(*FOLDER)
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._leases = folder / "graders"
        self._leases.mkdir(mode=0o700, exist_ok=True)
        self._lock = threading.RLock()
        self._lease: int | None = None
        self._owner = f"{os.getpid()}-{secrets.token_hex(8)}"
        self._database = sqlite3.connect(
            folder / "queue.db", timeout=120, isolation_level=None, check_same_thread=False
        )
        try:
            self._database.execute("PRAGMA journal_mode = WAL")
            self._database.execute("PRAGMA synchronous = FULL")
            self._database.executescript(_SCHEMA)
        except BaseException:
            self._database.close()
            raise

    def __enter__(self) -> Queue:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Closes it. What this process had claimed and not finished is for others from now on."""
        with self._lock:
            self._database.close()
            if self._lease is not None:
                (self._leases / self._owner).unlink(missing_ok=True)
                os.close(self._lease)
                self._lease = None

    # ------------------------------------------------------------ what is to be done

    def put(
        self,
        assignment: str,
        user: str,
        version: int,
        attempt: int,
        *,
        rerun: bool = False,
        per_day: int | None = None,
    ) -> bool:
        """Adds a task. Returns False where it is there already, queued, running or done.

        Args:
            assignment: The assignment's id.
            user: Whose hand-in.
            version: Its number.
            attempt: From 1.
            rerun: It may wait for fresh hand-ins.
            per_day: So many fresh ones of a user and assignment within 24 hours go at once; this one waits if there
                were as many. None is no limit.
        """
        now = time.time()
        with self._change() as database:
            not_before = 0.0
            if per_day is not None:
                rows = database.execute(
                    "SELECT max(queued, not_before) FROM task WHERE assignment = ? AND user = ? AND NOT rerun "
                    "AND state != 'superseded' AND max(queued, not_before) > ? ORDER BY 1 DESC LIMIT ?",
                    (assignment, user, now - _DAY, max(per_day, 1)),
                ).fetchall()
                if len(rows) >= per_day:
                    not_before = (rows[-1][0] if rows else now) + _DAY
            changed = database.execute(
                "INSERT INTO task (assignment, user, version, attempt, rerun, state, queued, not_before) "
                "VALUES (?, ?, ?, ?, ?, 'queued', ?, ?) ON CONFLICT DO UPDATE SET state = 'queued', tries = 0, "
                "crashes = 0, reason = NULL, rerun = excluded.rerun, not_before = excluded.not_before "
                "WHERE state IN ('error', 'superseded')",
                (assignment, user, version, attempt, rerun, now, not_before),
            )
            return changed.rowcount > 0

    def hurry(self, assignment: str, user: str) -> None:
        """Lets what waits for another day go at once: a teacher asked for it."""
        with self._change() as database:
            database.execute(
                "UPDATE task SET not_before = 0 WHERE assignment = ? AND user = ? AND state = 'queued'",
                (assignment, user),
            )

    def supersede(self, assignment: str, user: str, keep: Iterable[int]) -> int:
        """Takes fresh tasks of other versions than these out of the queue, and returns how many."""
        with self._change() as database:
            return database.execute(
                "UPDATE task SET state = 'superseded' WHERE assignment = ? AND user = ? AND state = 'queued' "
                "AND NOT rerun AND version NOT IN (SELECT value FROM json_each(?))",
                (assignment, user, json.dumps(list(keep))),
            ).rowcount

    # ------------------------------------------------------------ doing it

    def claim(self, assignment: str | None = None, users: Iterable[str] | None = None) -> Task | None:
        """Returns the next task, which is this process's now; None where nothing can be done at the moment.

        Args:
            assignment: Of this one only; None is any.
            users: Of these only; None is any.
        """
        self._hold()
        wanted = None if users is None else json.dumps(sorted(users))
        with self._change() as database:
            row = database.execute(
                f"SELECT {_COLUMNS} FROM task AS one WHERE state = 'queued' AND not_before <= ? "  # noqa: S608
                "AND (? IS NULL OR assignment = ?) AND (? IS NULL OR user IN (SELECT value FROM json_each(?))) "
                "AND NOT EXISTS (SELECT 1 FROM task AS other WHERE other.state = 'running' "
                "AND other.assignment = one.assignment AND other.user = one.user) "
                "ORDER BY crashes, rerun, id LIMIT 1",
                (time.time(), assignment, assignment, wanted, wanted),
            ).fetchone()
            if row is None:
                return None
            database.execute(
                "UPDATE task SET state = 'running', owner = ? WHERE id = ?", (self._owner, row[0])
            )
            return _task((*row[:6], "running", *row[7:]))

    def done(self, task: Task) -> None:
        """Says that a task's result is on the disk."""
        self._set(task, state="done")

    def again(self, task: Task) -> None:
        """Puts a task back, because grading failed for a reason that may pass."""
        self._set(task, state="queued", tries=task.tries + 1)

    def back(self, task: Task) -> None:
        """Puts a task back, because it was not begun."""
        self._set(task, state="queued")

    def failed(self, task: Task, reason: str) -> None:
        """Gives a task up, and says why. `put` of the same task begins anew."""
        self._set(task, state="error", reason=reason)

    def recover(self) -> list[Task]:
        """Puts tasks back whose grader is gone. Returns those that too many graders died of, now in state `error`."""
        given_up = []
        with self._change() as database:
            rows = database.execute("SELECT DISTINCT owner FROM task WHERE state = 'running'").fetchall()
            for owner in [row[0] for row in rows if row[0] != self._owner and not self._alive(row[0])]:
                database.execute(
                    "UPDATE task SET state = 'queued', owner = NULL, crashes = crashes + 1 "
                    "WHERE state = 'running' AND owner = ?",
                    (owner,),
                )
            reason = f"{MAX_CRASHES} graders ended while they graded it"
            rows = database.execute(
                f"SELECT {_COLUMNS} FROM task WHERE state = 'queued' AND crashes >= ?",  # noqa: S608
                (MAX_CRASHES,),
            ).fetchall()
            for row in rows:
                database.execute("UPDATE task SET state = 'error', reason = ? WHERE id = ?", (reason, row[0]))
                given_up.append(_task((*row[:6], "error", *row[7:9], reason)))
        return given_up

    # ------------------------------------------------------------ looking

    def tasks(self, *states: State, assignment: str | None = None) -> list[Task]:
        """Returns the tasks in these states, in the order in which they came.

        Args:
            states: At least one.
            assignment: Of this one only; None is all.
        """
        with self._lock:
            rows = self._database.execute(
                f"SELECT {_COLUMNS} FROM task WHERE state IN (SELECT value FROM json_each(?)) "  # noqa: S608
                "AND (? IS NULL OR assignment = ?) ORDER BY id",
                (json.dumps(states), assignment, assignment),
            ).fetchall()
        return [_task(row) for row in rows]

    def of(self, assignment: str, user: str) -> list[Task]:
        """Returns all tasks of a user for an assignment, in the order in which they came."""
        with self._lock:
            rows = self._database.execute(
                f"SELECT {_COLUMNS} FROM task WHERE assignment = ? AND user = ? ORDER BY id",  # noqa: S608
                (assignment, user),
            ).fetchall()
        return [_task(row) for row in rows]

    # ------------------------------------------------------------ within

    @contextmanager
    def _change(self) -> Iterator[sqlite3.Connection]:
        with self._lock:
            self._database.execute("BEGIN IMMEDIATE")
            try:
                yield self._database
            except BaseException:
                self._database.execute("ROLLBACK")
                raise
            self._database.execute("COMMIT")

    def _set(self, task: Task, *, state: State, tries: int | None = None, reason: str | None = None) -> None:
        with self._change() as database:
            database.execute(
                "UPDATE task SET state = ?, owner = NULL, tries = coalesce(?, tries), reason = ? "
                "WHERE id = ? AND state = 'running' AND owner = ?",
                (state, tries, reason, task.id, self._owner),
            )

    def _hold(self) -> None:
        """Takes the lock that shows that this process lives: the kernel gives it back however the process ends."""
        with self._lock:
            if self._lease is None:
                flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
                descriptor = os.open(self._leases / self._owner, flags, 0o600)
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                self._lease = descriptor

    def _alive(self, owner: str) -> bool:
        try:
            descriptor = os.open(self._leases / owner, os.O_RDWR | os.O_CLOEXEC)
        except FileNotFoundError:
            return False
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        else:
            (self._leases / owner).unlink(missing_ok=True)
            return False
        finally:
            os.close(descriptor)


def _task(row: tuple[Any, ...]) -> Task:
    number, assignment, user, version, attempt, rerun, state, tries, crashes, reason = row
    return Task(number, assignment, user, version, attempt, bool(rerun), state, tries, crashes, reason)
