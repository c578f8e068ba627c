"""Hostile hand-ins, graded: none gets a point that it did not earn, sees what it may not, stays, or stops the others.

What a program can do to the machine is tried in test_sandbox_hostile.py; this is about what it can do to grading.
"""

import json
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from ftpsvc.homework.engine import Engine, Local, Report
from ftpsvc.homework.intake import Intake
from ftpsvc.homework.queue import Queue, Task
from ftpsvc.homework.sandbox.base import Sandbox
from tests.helpers.grading import Course
from tests.helpers.sandboxes import Mark

UNIT = """
SECRET = "the-right-answer-is-42"
def test_value(student):
    assert student.call("solution", "answer", 6) == 42
def test_again(student):
    assert student.call("solution", "answer", 7) == 49
"""
TESTS = """
[[test]]
name = "unit"
kind = "pytest"
path = "tests/test_it.py"
points = 2
[[test]]
name = "prints"
kind = "run"
run = ["python3", "solution.py", "given.txt"]
files = ["given.txt"]
expect = { stdout_file = "expected.out" }
points = 2
"""
FILES = {
    "tests/test_it.py": UNIT,
    "tests/given.txt": "5\n",
    "tests/expected.out": "the-right-answer-is-35\n",
    "solution/solution.py": "# the-right-answer-is in here\n",
}
GOOD = """
import sys
def answer(x): return 7 * x
if __name__ == "__main__":
    print("the-right-answer-is-%d" % answer(int(open(sys.argv[1]).read())))
"""

FORGERIES = {
    "ends well at once": "import os; print('2 passed'); os._exit(0)",
    "is equal to everything": """
class Any(int):
    def __eq__(self, other): return True
    def __ne__(self, other): return False
    __hash__ = int.__hash__
def answer(x): return Any(1)
""",
    "writes results": """
import json, os, sys
result = json.dumps({"score": 4, "tests": [{"name": "unit", "score": 4, "max_score": 4, "status": "passed"}]})
for folder in "/box", "/tmp", "/autograder/results", "/box/results/0001", *sys.path:
    for name in "results.json", "0001.json", "junit.xml":
        try:
            os.makedirs(folder, exist_ok=True)
            open(os.path.join(folder, name), "w").write(result)
        except OSError:
            pass
print(result)
def answer(x): return True
""",
    "answers for the stub": """
import json, os, sys
frame = sys._getframe()
while frame and "request" not in frame.f_globals:
    frame = frame.f_back
if frame:
    marker = frame.f_globals["request"]["marker"]
    forged = ["[" * 100000, "9" * 9999, '[{"value":{"set":[[]]}}]', '[{"value":true}]', "{}"]
    os.write(1, (marker + forged[os.getpid() % 5]).encode())
    os._exit(0)
""",
    "tells the tests over every descriptor": """
import os
line = b'{"do":"phase","id":"tests/test_it.py::test_value","phase":"call",'
line += b'"outcome":"passed","whose":"tests","text":""}\\n'
for number in range(3, 256):
    try: os.write(number, line)
    except OSError: pass
""",
    "raises what drives a terminal": """
Odd = type("\\x1b[2J\\x1b]0;pwned\\x07", (BaseException,), {"__str__": lambda self: "\\x1b[31m" + "x" * 10**5})
def answer(x): raise Odd
raise Odd
""",
    "replaces what the stub stands on": """
import builtins, json, os, sys
json.dumps = lambda *a, **k: '[{"value": 41}]'
sys.modules["importlib"] = None
builtins.isinstance = lambda *a: True
def answer(x): return object()
os.write = lambda *a: (_ for _ in ()).throw(SystemExit(0))
""",
    "stays behind": """
import os, time
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        os.environ["FTPSVC_TEST_MARK"] = "MARK"
        os.execvpe("sleep", ["sleep", "600"], os.environ)
    os._exit(0)
time.sleep(0.2)
""",
    "is no Python": "\\x00\\xff def (",
}  # fmt: skip

READING = """
import os
ROOT, TESTS = "ROOT", ["assignments/hw1/tests/test_it.py", "assignments/hw1/solution/solution.py",
    "submissions/hw1/good/versions/0001/files/solution.py", ".ftpsvc/homework/receipt_ed25519",
    ".ftpsvc/homework/queue.db", "submissions/hw1/good/results/0001/0001.json"]
for name in TESTS:
    for place in (ROOT, "/proc/1/root" + ROOT, "/box/../.." + ROOT, "/proc/self/cwd/.." + ROOT):
        try:
            with open(os.path.join(place, name), "rb") as file:
                print("BROKE", name, file.read(10))
        except OSError:
            pass
for here, _, names in os.walk("/box"):
    for name in names:
        try:
            if b"-".join([b"right", b"answer"]) in open(os.path.join(here, name), "rb").read():
                print("BROKE", here, name)
        except OSError:
            pass
if any("FTPSVC" in key for key in os.environ): print("BROKE environment")
def answer(x): raise SystemExit(0)
"""

LIMITED = """
[[test]]
name = "bounded"
kind = "run"
run = ["python3", "solution.py"]
points = 1
[test.limits]
memory = "96M"
processes = 12
output = "64K"
disk = "4M"
file = "2M"
"""
# They go on where a limit meets them as an error: whoever gives up at once is told by how he ended, not by the limit.
GREEDY = {
    "forks": (
        "import os\nwhile True:\n try: os.fork()\n except OSError: pass",
        "PLE",
    ),
    "eats": (
        "x = []\nwhile True:\n try: x.append(bytearray(b'x') * 10**6)\n except MemoryError: pass",
        "MLE",
    ),
    "talks": ("while True: print('x' * 1000)", "OLE"),
    "fills": ("n = 0\nwhile True:\n n += 1\n open(f'f{n}', 'wb').write(b'x' * 10**6)", "OLE"),
    "dies": ("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)", "SG"),
    "fails": ("raise SystemExit(7)", "RE"),
}


def grade_all(course: Course, sandbox: Sandbox, name: str) -> list[tuple[Task, Report]]:
    told: list[tuple[Task, Report]] = []
    with Queue(course.root) as queue:
        intake = Intake(course.root, queue)
        intake.look()
        executor = Local(sandbox, 2)
        try:
            engine = Engine(course.root, queue, executor, lambda *one: told.append(one))
            engine.run(threading.Event(), name, intake.submissions.users(name))
        finally:
            executor.close()
        assert queue.tasks("queued", "running", "error") == []
    return told


@pytest.mark.timeout(600)
def test_nobody_gets_a_point_by_force_and_nobody_is_held_up(sandbox: Sandbox, tmp_path: Path) -> None:
    mark = Mark()
    course = Course(tmp_path)
    course.assignment("hw1", TESTS, files=FILES)
    course.hand_in("hw1", "good", {"solution.py": GOOD})
    reading = READING.replace('"ROOT"', repr(str(tmp_path)))
    hostile = {"looks round": reading, **FORGERIES}
    for number, code in enumerate(hostile.values()):
        course.hand_in("hw1", f"evil{number}", {"solution.py": code.replace("MARK", mark.value)})
    told = grade_all(course, sandbox, "hw1")
    assert len(told) == len(hostile) + 1
    points = {task.user: report.raw for task, report in told}
    assert points.pop("good") == 4.0
    assert points == {f"evil{number}": 0.0 for number in range(len(hostile))}
    assert mark.wait_for(0)
    for user in points:
        results = course.results("hw1", user)
        assert results.attempts(1) == [1]
        content = (results.of(1) / "0001.json").read_bytes()
        assert b"BROKE" not in content
        assert all(b"BROKE" not in path.read_bytes() for path in results.outputs(1, 1))
        for test in json.loads(content)["tests"]:
            assert test["status"] == "failed"
            assert "\x1b" not in test["output"]
            assert len(test["output"]) < 20_000


def test_the_look_round_finds_what_is_there_where_nothing_holds_it(tmp_path: Path) -> None:
    course = Course(tmp_path)
    course.assignment("hw1", TESTS, files=FILES)
    course.hand_in("hw1", "good", {"solution.py": GOOD})
    code = READING.replace('"ROOT"', repr(str(tmp_path)))
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=100, check=True
    )
    assert done.stdout.count("BROKE") > 3


@pytest.mark.timeout(600)
def test_what_is_greedy_gets_its_verdict_and_the_rest_is_graded(sandbox: Sandbox, tmp_path: Path) -> None:
    course = Course(tmp_path)
    course.assignment("hw1", LIMITED)
    course.hand_in("hw1", "good", {"solution.py": ""})
    for name, (code, _) in GREEDY.items():
        course.hand_in("hw1", name, {"solution.py": code})
    told = grade_all(course, sandbox, "hw1")
    assert {task.user: report.raw for task, report in told} == {"good": 1.0, **dict.fromkeys(GREEDY, 0.0)}
    found = {}
    for name in GREEDY:
        newest = course.results("hw1", name).newest(1)
        assert newest is not None
        found[name] = newest.tests[0].extra_data.verdict
    assert found == {name: verdict for name, (_, verdict) in GREEDY.items()}


def test_c30_names_of_all_kinds_are_graded(sandbox: Sandbox, tmp_path: Path) -> None:
    course = Course(tmp_path)
    course.assignment("hw1", LIMITED)
    names = ["-rf", "a b", "'\"$(id)`id`", "ü\u202egpj.exe", "\U0001f600", "x" * 200, "con", "a|b;c&d"]
    course.hand_in(
        "hw1", "alice", {"solution.py": "import os; print(len(os.listdir()))", **dict.fromkeys(names, "x")}
    )
    ((_, report),) = grade_all(course, sandbox, "hw1")
    assert report.raw == 1.0
    (printed,) = course.results("hw1", "alice").outputs(1, 1)
    assert printed.read_text() == f"{len(names) + 1}\n"
    assert os.path.basename(printed) == "1.stdout"
