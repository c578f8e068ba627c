"""The queue, the results on the disk, and the engine between them: whatever dies, one result for each attempt."""

import os
import sqlite3
import subprocess
import sys
import threading
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest

from ftpsvc.homework import placing
from ftpsvc.homework.engine import Engine, Report, Work
from ftpsvc.homework.extensions import Extension
from ftpsvc.homework.grading import byhand
from ftpsvc.homework.grading.kinds.common import Judged
from ftpsvc.homework.grading.results import Extra, Late, Measured, Ours, Result, TestResult
from ftpsvc.homework.grading.store import Failure, Results
from ftpsvc.homework.intake import Intake
from ftpsvc.homework.queue import MAX_CRASHES, Queue, Task
from tests.helpers.grading import Course

REPOSITORY = Path(__file__).resolve().parents[2]
TEST = '[[test]]\nname = "t"\nkind = "run"\nrun = ["true"]\npoints = 1\n'


def test_fresh_ones_go_first_and_one_at_a_time_of_a_student(tmp_path: Path) -> None:
    with Queue(tmp_path) as queue:
        assert queue.put("hw1", "alice", 1, 2, rerun=True)
        assert queue.put("hw1", "bob", 1, 1)
        assert queue.put("hw1", "bob", 2, 1)
        assert queue.put("hw2", "bob", 1, 1)
        assert not queue.put("hw1", "bob", 2, 1)
        one, two, three = queue.claim(), queue.claim(), queue.claim()
        assert queue.claim() is None
        assert [(task.assignment, task.user, task.version) for task in (one, two, three) if task] == [
            ("hw1", "bob", 1), ("hw2", "bob", 1), ("hw1", "alice", 1),
        ]  # fmt: skip
        assert one is not None
        queue.done(one)
        again = queue.claim("hw1", ["bob"])
        assert again is not None
        assert again.version == 2
        queue.failed(again, "no disk")
        assert [task.reason for task in queue.tasks("error")] == ["no disk"]
        assert queue.put("hw1", "bob", 2, 1)
        assert not queue.put("hw1", "bob", 1, 1)


def test_a_newer_one_supersedes_what_waits_and_not_what_a_teacher_asked_for(tmp_path: Path) -> None:
    with Queue(tmp_path) as queue:
        queue.put("hw1", "alice", 1, 1)
        queue.put("hw1", "alice", 2, 1)
        queue.put("hw1", "alice", 3, 1, rerun=True)
        assert queue.supersede("hw1", "alice", [2]) == 1
        assert [task.version for task in queue.tasks("queued")] == [2, 3]
        assert queue.put("hw1", "alice", 1, 1)


def test_beyond_so_many_a_day_a_hand_in_waits_until_a_teacher_hurries_it(tmp_path: Path) -> None:
    with Queue(tmp_path) as queue:
        for version in range(1, 4):
            assert queue.put("hw1", "alice", version, 1, per_day=2)
        assert queue.put("hw1", "bob", 1, 1, per_day=2)
        found = []
        while (task := queue.claim()) is not None:
            found.append((task.user, task.version))
            queue.done(task)
        assert found == [("alice", 1), ("alice", 2), ("bob", 1)]
        queue.hurry("hw1", "alice")
        last = queue.claim()
        assert last is not None
        assert last.version == 3


HOLDER = """
import sys
from pathlib import Path
from ftpsvc.homework.queue import Queue
queue = Queue(Path(sys.argv[1]))
assert queue.claim()
print("claimed", flush=True)
sys.stdin.read()
"""


def test_what_a_dead_grader_had_goes_back_and_what_a_living_one_has_does_not(tmp_path: Path) -> None:
    with Queue(tmp_path) as queue:
        queue.put("hw1", "alice", 1, 1)
        queue.put("hw1", "bob", 1, 1)
        with subprocess.Popen(
            [sys.executable, "-c", HOLDER, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        ) as holder:
            assert holder.stdout is not None
            assert holder.stdout.readline() == b"claimed\n"
            assert queue.recover() == []
            assert [task.user for task in queue.tasks("running")] == ["alice"]
            holder.kill()
        assert queue.recover() == []
        assert queue.tasks("running") == []
        tasks = [queue.claim(), queue.claim()]
        assert [(task.user, task.crashes) for task in tasks if task] == [("bob", 0), ("alice", 1)]
    assert os.listdir(tmp_path / ".ftpsvc" / "homework" / "graders") == []


def test_what_too_many_graders_died_of_is_given_up(tmp_path: Path) -> None:
    with Queue(tmp_path) as queue:
        queue.put("hw1", "alice", 1, 1)
        with sqlite3.connect(tmp_path / ".ftpsvc" / "homework" / "queue.db") as database:
            database.execute(
                "UPDATE task SET state = 'running', owner = 'gone', crashes = ?", (MAX_CRASHES - 1,)
            )
        database.close()
        assert [(task.user, task.state) for task in queue.recover()] == [("alice", "error")]
        assert queue.claim() is None


def test_ten_claim_at_once_and_each_task_is_had_by_one(tmp_path: Path) -> None:
    with Queue(tmp_path) as queue:
        for number in range(40):
            queue.put("hw1", f"s{number}", 1, 1)

    def take(_: int) -> list[str]:
        with Queue(tmp_path) as mine:
            found = []
            while (task := mine.claim()) is not None:
                found.append(task.user)
                mine.done(task)
            return found

    with ThreadPoolExecutor(10) as pool:
        had = [user for part in pool.map(take, range(10)) for user in part]
    assert sorted(had) == sorted(f"s{number}" for number in range(40))


def result(attempt: int, raw: float = 1.0) -> tuple[Result, tuple[Judged, ...]]:
    test = TestResult(
        number="1", name="t", score=raw, max_score=1.0, status="passed", extra_data=Measured(verdict="AC")
    )
    ours = Ours(
        submission="c/hw1/alice/1", tree_sha256="0" * 64, assignment_sha256="0" * 64, attempt=attempt, raw=raw, max=1.0,
        late=Late(), sandbox="s", caps=(), grader="g", host="h", started="a", finished="b",
    )  # fmt: skip
    whole = Result(score=raw, execution_time=0.1, tests=(test,), extra_data=Extra(ftpsvc=ours))
    return whole, (Judged(test, (("stdout", b"said"),)),)


def test_a_result_is_there_once_and_the_newest_counts(tmp_path: Path) -> None:
    results = Results(tmp_path / "alice")
    assert results.newest(1) is None
    assert results.write(1, *result(1, 0.5))
    assert not results.write(1, *result(1, 0.7))
    results.fail(1, Failure(2, "no disk", None, "now"))
    newest = results.newest(1)
    assert newest is not None
    assert newest.ours.raw == 0.5
    assert results.failure(1) == Failure(2, "no disk", None, "now")
    assert results.write(1, *result(2, 0.7))
    newest = results.newest(1)
    assert newest is not None
    assert (newest.ours.raw, results.attempts(1), results.failure(1)) == (0.7, [1, 2], None)
    assert [path.read_bytes() for path in results.outputs(1, 2)] == [b"said"]
    assert sorted(os.listdir(results.of(1))) == ["0001", "0001.json", "0002", "0002.json"]


def test_what_a_killed_grader_left_half_written_is_no_result_and_goes(tmp_path: Path) -> None:
    results = Results(tmp_path / "alice")
    results.of(1).mkdir(parents=True)
    (results.of(1) / ".staged-0001.json").write_text("{")
    (results.of(1) / ".staged-0001").mkdir()
    (results.of(1) / "0001").mkdir()
    (results.of(1) / "0001" / "9.stdout").write_text("of the killed one")
    assert results.attempts(1) == []
    assert results.write(1, *result(1))
    assert sorted(os.listdir(results.of(1))) == ["0001", "0001.json"]
    assert [path.name for path in results.outputs(1, 1)] == ["1.stdout"]


def test_points_by_hand_are_for_a_version_and_can_be_taken_back(tmp_path: Path) -> None:
    for version, points in (1, 2.0), (1, 3.0), (2, 1.0), (2, None):
        byhand.append(tmp_path, byhand.Entry("now", "prof", version, "style", points, "read it"))
    with open(tmp_path / byhand.FILE, "ab") as file:
        file.write(b'{"time": "no')
    byhand.append(tmp_path, byhand.Entry("now", "prof", 3, "style", 0.0, "none of it"))
    entries = byhand.read(tmp_path)
    assert len(entries) == 5
    assert [byhand.points(entries, version) for version in (1, 2, 3, 4)] == [
        {"style": 3.0},
        {},
        {"style": 0.0},
        {},
    ]
    assert byhand.read(tmp_path / "nobody") == []


class Scripted:
    """An executor whose tasks end as they are told to: an engine may not depend on what carries them out."""

    def __init__(self, *ends: Report | Exception) -> None:
        self.slots = 2
        self.done: list[Work] = []
        self._ends = list(ends)

    def submit(self, work: Work) -> Future[Report]:
        self.done.append(work)
        future: Future[Report] = Future()
        end = self._ends.pop(0)
        if isinstance(end, Exception):
            future.set_exception(end)
        else:
            future.set_result(end)
        return future

    def close(self) -> None:
        pass


GOOD = Report(raw=1.0, max=1.0)
PASSING = Report("no sandbox", "install one", passing=True)


@pytest.mark.parametrize(
    ("ends", "state", "tries"),
    [
        ([GOOD], "done", 1),
        ([PASSING, RuntimeError("a worker was killed"), GOOD], "done", 3),
        ([PASSING, PASSING, PASSING], "error", 3),
        ([Report("no such test")], "error", 1),
    ],
)
def test_a_failure_of_ours_is_tried_again_and_never_a_result(
    ends: list[Report | Exception], state: str, tries: int, tmp_path: Path
) -> None:
    told: list[tuple[Task, Report]] = []
    executor = Scripted(*ends)
    (tmp_path / "submissions" / "hw1" / "alice").mkdir(parents=True)
    with Queue(tmp_path) as queue:
        queue.put("hw1", "alice", 1, 1)
        Engine(tmp_path, queue, executor, lambda *one: told.append(one)).run(
            threading.Event(), "hw1", ["alice"]
        )
        assert [task.state for task in queue.of("hw1", "alice")] == [state]
    assert len(executor.done) == tries
    assert [report.reason for _, report in told] == [getattr(ends[-1], "reason", None)]
    results = Results(tmp_path / "submissions" / "hw1" / "alice")
    failure = results.failure(1)
    assert (failure.reason if failure else None) == getattr(ends[-1], "reason", None)
    assert results.newest(1) is None


def test_an_engine_that_is_stopped_begins_nothing_more(tmp_path: Path) -> None:
    stop = threading.Event()
    executor = Scripted(GOOD, GOOD, GOOD)
    with Queue(tmp_path) as queue:
        for user in "abc":
            queue.put("hw1", f"user-{user}", 1, 1)
        Engine(tmp_path, queue, executor, lambda *_: stop.set()).serve(stop, lambda: None)
        assert (len(queue.tasks("done")), len(queue.tasks("queued"))) == (2, 1)


def queued(course: Course) -> list[tuple[str, str, int]]:
    with Queue(course.root) as queue:
        Intake(course.root, queue).look()
        return [(task.assignment, task.user, task.version) for task in queue.tasks("queued")]


def test_the_queue_is_filled_from_what_lies_on_the_disk(tmp_path: Path) -> None:
    course = Course(tmp_path)
    due = "2026-06-02T00:00:00Z"
    course.assignment("now", TEST, due=due)
    course.assignment("best", TEST, more='[grading]\ncount = "best"')
    course.assignment("later", TEST, more='[grading]\non = "due"')
    course.assignment("over", TEST, due=due, more='[grading]\non = "due"')
    course.assignment("asked", TEST, more='[grading]\non = "manual"')
    for name in "now", "best", "later", "over", "asked":
        for text in "first", "second":
            course.hand_in(name, "alice", {"a.py": text})
    late = course.now.replace(month=7)
    course.hand_in("now", "alice", {"a.py": "late"}, at=late)
    # Of `now` the version that counts, which the late one does not replace, and the newest one, for its feedback.
    assert queued(course) == [("best", "alice", 1), ("best", "alice", 2), ("now", "alice", 2), ("now", "alice", 3),
                              ("over", "alice", 2)]  # fmt: skip
    course.hand_in("now", "alice", {"a.py": "later still"}, at=late.replace(day=2))
    assert queued(course)[-1] == ("now", "alice", 4)
    assert ("now", "alice", 3) not in queued(course)


def test_an_extension_that_makes_another_version_count_has_that_graded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ftpsvc.homework.intake.LOOK_SECONDS", 0.0)
    course = Course(tmp_path)
    course.assignment("hw1", TEST, due="2026-06-02T00:00:00Z")
    for day in 1, 2, 3, 4:
        course.hand_in("hw1", "alice", {"a.py": str(day)}, at=course.now.replace(day=day, hour=12))
    with Queue(course.root) as queue:
        intake = Intake(course.root, queue)
        intake.look()
        assert [task.version for task in queue.tasks("queued")] == [1, 4]
        given = Extension(user="alice", due=course.now.replace(day=3), close=course.now.replace(year=2099))
        placing.give(intake.catalog.get("hw1"), [given])
        intake.look()
        assert sorted(task.version for task in queue.tasks("queued")) == [3, 4]


def test_one_damaged_hand_in_keeps_no_other_from_the_queue(tmp_path: Path) -> None:
    course = Course(tmp_path)
    for name in "hw1", "hw2":
        course.assignment(name, TEST)
        for user in "alice", "bob":
            course.hand_in(name, user, {"a.py": user})
    receipt = tmp_path / "submissions" / "hw1" / "alice" / "versions" / "0001" / "receipt.json"
    receipt.chmod(0o600)
    receipt.write_bytes(b"{}")
    assert queued(course) == [("hw1", "bob", 1), ("hw2", "alice", 1), ("hw2", "bob", 1)]
