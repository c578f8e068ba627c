"""Hand-ins graded in the real sandbox: each kind of test, each way to fail, and whose fault it is."""

from pathlib import Path

import pytest

from ftpsvc.homework.grading import judge
from ftpsvc.homework.grading.faults import GradingFailed
from ftpsvc.homework.grading.kinds import pytest as by_pytest
from ftpsvc.homework.grading.results import TestResult
from ftpsvc.homework.lateness import Lateness
from ftpsvc.homework.model import Assignment, load
from ftpsvc.homework.sandbox.base import Sandbox
from tests.helpers.grading import assignment, write

RUNS = """
[[test]]
name = "compiles"
kind = "run"
run = ["python3", "-m", "py_compile", "main.py"]
points = 0
[[test]]
name = "sum"
kind = "run"
run = ["python3", "main.py", "numbers.txt"]
files = ["numbers.txt"]
expect = { stdout_file = "sum.out" }
points = 4
needs = ["compiles"]
hint = "Read every line"
[[test]]
name = "usage"
kind = "run"
run = ["python3", "main.py"]
expect = { exit = 2 }
points = 1
needs = ["compiles"]
[[test]]
name = "pattern"
kind = "run"
run = ["python3", "main.py", "-"]
stdin = "1\\n2\\n"
expect = { stdout = "su[m]: \\\\d" }
compare = "regex"
visibility = "hidden"
points = 3
needs = ["compiles"]
[[test]]
name = "style"
kind = "manual"
points = 2
"""

GOOD = """
import sys
if len(sys.argv) < 2:
    sys.exit(2)
file = sys.stdin if sys.argv[1] == "-" else open(sys.argv[1])
print("sum:", sum(map(int, file)))
"""


@pytest.fixture
def runs(tmp_path: Path) -> Assignment:
    return assignment(
        tmp_path / "hw1", RUNS, files={"tests/numbers.txt": "1\n2\n3\n", "tests/sum.out": "sum: 6\n"}
    )


def graded(
    assignment: Assignment, tmp_path: Path, files: dict[str, str], sandbox: Sandbox
) -> dict[str, TestResult]:
    folder = write(tmp_path / "in", files)
    return {one.result.name: one.result for one in judge.test(assignment, folder, sandbox).tests}


def verdicts(results: dict[str, TestResult]) -> dict[str, str | None]:
    return {name: one.extra_data.verdict for name, one in results.items()}


def test_a_right_hand_in_gets_all_points(runs: Assignment, sandbox: Sandbox, tmp_path: Path) -> None:
    folder = write(tmp_path / "in", {"main.py": GOOD, "numbers.txt": "forged"})
    late = Lateness(5400, on_time=False, percent=10.0, late_days_used=1)
    hand_in = judge.HandIn("prog1/hw1/alice/2", folder, "0" * 64, attempt=3, lateness=late)
    result, tested = judge.grade(runs, hand_in, sandbox)
    assert [(one.number, one.name, one.score, one.status) for one in result.tests] == [
        ("1", "compiles", 0.0, "passed"),
        ("2", "sum", 4.0, "passed"),
        ("3", "usage", 1.0, "passed"),
        ("4", "pattern", 3.0, "passed"),
        ("5", "style", None, None),
    ]
    assert (tested.raw, tested.max, tested.by_hand, result.score) == (8.0, 10.0, 2.0, 7.2)
    ours = result.ours
    assert (ours.raw, ours.max, ours.attempt, ours.late.seconds, ours.late.late_days_used) == (
        8.0,
        10.0,
        3,
        5400,
        1,
    )
    assert ours.assignment_sha256 == runs.sha256
    assert ours.sandbox == sandbox.name
    assert dict(tested.tests[1].streams) == {"stdout": b"sum: 6\n"}


def test_a_wrong_one_is_told_what_is_wrong(runs: Assignment, sandbox: Sandbox, tmp_path: Path) -> None:
    wrong = GOOD.replace("sum(map(int, file))", "sum(map(int, file)) * 7")
    results = graded(runs, tmp_path, {"main.py": wrong}, sandbox)
    assert verdicts(results) == {"compiles": "AC", "sum": "WA", "usage": "AC", "pattern": "WA", "style": None}
    assert results["sum"].output == 'line 1: expected "sum: 6", got "sum: 42"\nhint: Read every line'
    assert (results["sum"].extra_data.expected, results["sum"].extra_data.actual) == ("sum: 6\n", "sum: 42\n")
    assert results["pattern"].extra_data.expected is None


def test_what_does_not_compile_skips_what_needs_it(
    runs: Assignment, sandbox: Sandbox, tmp_path: Path
) -> None:
    results = graded(runs, tmp_path, {"main.py": "def ("}, sandbox)
    assert verdicts(results) == {
        "compiles": "RE",
        "sum": "SKIP",
        "usage": "SKIP",
        "pattern": "SKIP",
        "style": None,
    }
    assert "SyntaxError" in results["compiles"].output
    assert (results["sum"].score, results["sum"].status, results["sum"].output) == (
        None, None, "not run, because it needs 'compiles'",
    )  # fmt: skip


def test_a_pattern_that_is_tried_for_ever_stops_nobody(sandbox: Sandbox, tmp_path: Path) -> None:
    pattern = """
[[test]]
name = "explodes"
kind = "run"
run = ["python3", "-c", "print('a' * 60 + 'b')"]
expect = { stdout = "(a+)+" }
compare = "regex"
points = 1
"""
    results = graded(assignment(tmp_path / "hw1", pattern), tmp_path, {"a": ""}, sandbox)
    assert verdicts(results) == {"explodes": "WA"}
    assert "not decided in time" in results["explodes"].output


UNIT = """
import pytest

def test_value(student):
    assert student.call("solution", "double", 3) == 6

@pytest.mark.points(2)
def test_kinds(student):
    assert student.call("solution", "echo", (1, {2: b"x"}), key={1.5}) == [(1, {2: b"x"}), {1.5}]

@pytest.mark.points(3)
def test_state(student):
    assert student.calls([("solution", "remember", [5]), ("solution", "recall", [])])[1] == 5
    student.stdin = "ab\\n"
    assert student.call("solution", "shout") == "AB"
    assert student.printed == "AB\\n"
    assert student.run("python3", "solution.py", stdin="cd\\n").stdout == "CD\\n"
    assert "def double" in student.read("solution.py")
    with pytest.raises(FileNotFoundError):
        student.read("../hw1/tests/test_it.py")

def test_error(student):
    with pytest.raises(Exception, match="ZeroDivisionError") as caught:
        student.call("solution", "divide", 0)
    assert caught.value.type == "ZeroDivisionError"
"""

SOLUTION = """
kept = None
def double(x): return 2 * x
def echo(x, key): return [x, key]
def remember(x):
    global kept
    kept = x
def recall(): return kept
def shout():
    line = input().upper()
    print(line)
    return line
def divide(x): return 1 / x
if __name__ == "__main__":
    shout()
"""

BY_PYTEST = """
[[test]]
name = "unit"
kind = "pytest"
path = "tests/test_it.py"
points = 14
"""


@pytest.fixture
def unit(tmp_path: Path) -> Assignment:
    return assignment(tmp_path / "hw1", BY_PYTEST, files={"tests/test_it.py": UNIT})


def test_pytest_reaches_the_hand_in_by_calls_only(
    unit: Assignment, sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = write(tmp_path / "in", {"solution.py": SOLUTION})
    # A relative folder, as under the root that is the default: pytest is started somewhere else.
    monkeypatch.chdir(tmp_path)
    tested = judge.test(load(unit.folder.relative_to(tmp_path)), folder, sandbox)
    found = [
        (one.result.number, one.result.name, one.result.score, one.result.output) for one in tested.tests
    ]
    assert found == [
        ("1.1", "unit: test_value", 2.0, ""),
        ("1.2", "unit: test_kinds", 4.0, ""),
        ("1.3", "unit: test_state", 6.0, ""),
        ("1.4", "unit: test_error", 2.0, ""),
    ]
    assert (tested.raw, tested.max) == (14.0, 14.0)
    assert all(one.result.extra_data.wall > 0 for one in tested.tests)
    assert sorted(path.name for path in (tmp_path / "hw1" / "tests").iterdir()) == ["test_it.py"]


def test_pytest_tells_why(unit: Assignment, sandbox: Sandbox, tmp_path: Path) -> None:
    broken = SOLUTION.replace("2 * x", "0").replace("[x, key]", "object()").replace("= x", "= exit(3)")
    results = graded(unit, tmp_path, {"solution.py": broken}, sandbox)
    assert verdicts(results) == {
        "unit: test_value": "WA", "unit: test_kinds": "RE", "unit: test_state": "RE", "unit: test_error": "AC",
    }  # fmt: skip
    assert "assert 0 == 6" in results["unit: test_value"].output
    assert "a value of type object cannot pass" in results["unit: test_kinds"].output
    assert "SystemExit: 3" in results["unit: test_state"].output
    assert "in remember" in results["unit: test_state"].output


def test_large_values_are_not_searched_for_differences(sandbox: Sandbox, tmp_path: Path) -> None:
    tests = """
def test_texts(student):
    assert student.call("solution", "texts") == [str(n) for n in range(10000)]
def test_digits(student):
    assert student.call("solution", "digits") == "0 " * 200000
"""
    code = """
def texts(): return [str(n * 7 % 10000) for n in range(10000)]
def digits(): return chr(10).join(["01"] * 130000)
"""
    large = assignment(tmp_path / "hw1", BY_PYTEST, files={"tests/test_it.py": tests})
    results = graded(large, tmp_path, {"solution.py": code}, sandbox)
    assert verdicts(results) == {"unit: test_texts": "WA", "unit: test_digits": "WA"}
    assert all(len(one.output) < 1000 for one in results.values())


def test_what_takes_the_tests_for_ever_is_the_hand_ins_fault(
    sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(by_pytest, "OWN_CPU", 2)
    tests = """
def test_first(student):
    assert student.call("solution", "numbers", 3)[0] == 2305843009213693951
def test_slow(student):
    found = set()
    try:
        for number in student.call("solution", "numbers", 60000):
            found.add(number)
    except Exception:
        pass
    assert found
def test_after(student):
    assert student.call("solution", "numbers", 1)
"""
    # All have one hash: each comes into a set behind a look at all that are there.
    code = "def numbers(many): return [n * (2**61 - 1) for n in range(1, many + 1)]"
    roomy = BY_PYTEST + 'limits = { output = "8M" }'
    assigned = assignment(tmp_path / "hw1", roomy, files={"tests/test_it.py": tests})
    results = graded(assigned, tmp_path, {"solution.py": code}, sandbox)
    assert verdicts(results) == {
        "unit: test_first": "AC",
        "unit: test_slow": "TLE",
        "unit: test_after": "TLE",
    }
    assert "did not come to an end with what was returned" in results["unit: test_slow"].output
    assert "not run" in results["unit: test_after"].output


def test_tests_that_never_end_by_themselves_are_not(
    sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(by_pytest, "OWN_CPU", 2)
    tests = "def test_it(student):\n    while True: pass\n"
    assigned = assignment(tmp_path / "hw1", BY_PYTEST, files={"tests/test_it.py": tests})
    with pytest.raises(GradingFailed, match="broke off with code -24"):
        graded(assigned, tmp_path, {"solution.py": SOLUTION}, sandbox)


@pytest.mark.parametrize(
    ("tests", "said"),
    [
        ("import nowhere", "cannot be collected: .*No module named 'nowhere'"),
        ("", "has no tests in it"),
        ("import os\ndef test_it(): os._exit(0)", "broke off with code 0"),
        ("def test_it(missing): pass", "itself failed: .*missing"),
        ("def test_it(student): student.run('a\\0b')", "asks for what cannot be run"),
    ],
)
def test_tests_that_fail_themselves_are_no_fault_of_the_student(
    tests: str, said: str, sandbox: Sandbox, tmp_path: Path
) -> None:
    faulty = assignment(tmp_path / "hw1", BY_PYTEST, files={"tests/test_it.py": tests})
    with pytest.raises(GradingFailed, match=said):
        graded(faulty, tmp_path, {"solution.py": SOLUTION}, sandbox)


def test_a_python_that_is_not_there_is_no_fault_of_the_student(sandbox: Sandbox, tmp_path: Path) -> None:
    nowhere = assignment(tmp_path / "hw1", BY_PYTEST, files={"tests/test_it.py": UNIT},
                         more='[runtime]\npython = "/usr/bin/python0"')  # fmt: skip
    with pytest.raises(GradingFailed, match="does not run in the sandbox"):
        graded(nowhere, tmp_path, {"solution.py": SOLUTION}, sandbox)
