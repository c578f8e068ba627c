"""Assignment files: what they mean, and every fault of theirs with its line."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from ftpsvc.homework import globs, model, tomltext
from ftpsvc.homework.faults import AssignmentFaults, Fault
from ftpsvc.homework.model import Assignment, Compare, RunTest
from ftpsvc.homework.sandbox.base import Limits
from tests.helpers import assignments

ALL_OF_IT = """\
schema = 1
course = "prog1-2026"
id     = "hw3"                               # [a-z0-9][a-z0-9._-]{0,39}
title  = "Shortest paths"
open   = 2026-11-10T08:00:00+01:00
due    = 2026-11-24T23:59:00+01:00           # shown everywhere, local and UTC
close  = 2026-11-27T23:59:00+01:00           # enforced; absent = due

[files]                                      # checked at hand-in, before anything is stored
required = ["paths.py"]                      # globs; missing -> refused
optional = ["lib/*.py", "README*"]
extra    = "drop"                            # drop (named in the receipt) | refuse | keep
max_files = 50
max_bytes = "2M"

[late]
grace   = "10m"                              # no penalty inside it
upload_window = "30m"                        # begun in time counts as in time if it is committed within this
per     = "1d"                               # every started day
percent = 10
max_percent = 50
late_days = true                             # use the course pool first (course.toml: late_days = 4)

[grading]
count   = "last-on-time"                     # last-on-time | last | best  (best after penalty)
on      = "hand-in"                          # hand-in | due | manual
feedback_per_day = 10                        # further hand-ins are accepted, feedback waits
sandbox = "auto"                             # auto | bwrap

[runtime]
python = "/usr/bin/python3"

[limits]                                     # defaults for every test, each may override
cpu = 5.0
wall = 15.0
memory = "256M"                              # resident, summed over all processes
processes = 32
output = "1M"
file = "16M"
disk = "64M"

[[test]]
name = "compiles"
kind = "run"
run  = ["python3", "-m", "py_compile", "paths.py"]
points = 0

[[test]]
name = "small graph"
kind = "run"                                 # judged outside the sandbox
run  = ["python3", "paths.py", "g1.txt", "A"]
files = ["g1.txt"]                           # copied in from tests/
stdin = ""                                   # or stdin_file
expect = { stdout_file = "g1.out", exit = 0 }
compare = "floats(1e-3)"
points = 4
needs = ["compiles"]                         # not run, status "skipped", if that failed
visibility = "visible"                       # visible | after_due_date | after_published | hidden
hint = "Is an edge used in both directions?"
limits = { cpu = 1, memory = "1G" }

[[test]]
name = "unit tests"
kind = "pytest"                              # tests outside, student code behind student.call()
path = "tests/test_hidden.py"
points = 6                                   # shared out by @pytest.mark.points(n), else evenly
visibility = "after_due_date"

[[test]]
name = "style"
kind = "manual"                              # entered with `ftpsvc-grade set`
points = 2

[similarity]
tool = "copydetect"
base = ["starter/"]
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return assignments.write(tmp_path / "sums")


def faults_of(folder: Path) -> list[str]:
    with pytest.raises(AssignmentFaults) as caught:
        model.load(folder)
    assert all(fault.file == folder / model.FILE for fault in caught.value.faults)
    assert str(caught.value).endswith(("fault", "faults"))
    return [
        f"{fault.line}: {fault.text}" + (f" ({fault.hint})" if fault.hint else "")
        for fault in caught.value.faults
    ]


def rewrite(folder: Path, *changes: tuple[str, str]) -> None:
    file = folder / model.FILE
    text = file.read_text("utf-8")
    for old, new in changes:
        assert old in text
        text = text.replace(old, new, 1)
    file.write_text(text, "utf-8")


def test_everything_that_a_file_may_say(folder: Path) -> None:
    (folder / model.FILE).write_text(ALL_OF_IT, "utf-8")
    for name in ("g1.txt", "g1.out", "test_hidden.py"):
        (folder / "tests" / name).touch()
    assignment = model.load(folder)
    assert (assignment.id, assignment.course, assignment.title) == ("hw3", "prog1-2026", "Shortest paths")
    assert assignment.due.astimezone(UTC) == datetime(2026, 11, 24, 22, 59, tzinfo=UTC)
    assert assignment.files.max_bytes == 2 << 20
    assert assignment.late.grace == timedelta(minutes=10)
    assert assignment.late.per == timedelta(days=1)
    assert assignment.grading.feedback_per_day == 10
    assert assignment.points == 12
    compiles, graph, units, style = assignment.tests
    assert [test.kind for test in assignment.tests] == ["run", "run", "pytest", "manual"]
    assert isinstance(graph, RunTest)
    assert graph.compare == Compare("floats", 1e-3)
    assert graph.expect.stdout_file == "g1.out"
    assert assignment.test_file("g1.txt").is_file()
    assert assignment.limits_of(compiles) == Limits()
    assert assignment.limits_of(graph) == Limits(cpu=1, memory=1 << 30)
    assert assignment.test("style") is style
    assert units.visibility == "after_due_date"
    assert assignment.similarity is not None
    assert assignment.similarity.base == ("starter",)
    assert model.values_of(assignment)["test"][1]["name"] == "small graph"


def test_what_is_left_out_has_its_default(folder: Path) -> None:
    rewrite(folder, ("close = 2099-11-27T23:59:00+01:00\n", ""))
    text = (folder / model.FILE).read_text("utf-8")
    start, end = text.index("[late]"), text.index("[[test]]")
    (folder / model.FILE).write_text(text[:start] + text[end:], "utf-8")
    assignment = model.load(folder)
    assert assignment.close == assignment.due
    assert assignment.late.upload_window == timedelta(minutes=30)
    assert (assignment.late.percent, assignment.late.late_days) == (0, False)
    assert assignment.grading.count == "last-on-time"
    assert assignment.runtime.python is None


def test_the_digest_is_of_the_bytes_of_the_file(folder: Path) -> None:
    before = model.load(folder)
    rewrite(folder, ('title = "Sums"', 'title = "Sums "'))
    assert len(before.sha256) == 64
    assert model.load(folder).sha256 != before.sha256


def test_all_faults_are_told_at_once_with_their_lines(folder: Path) -> None:
    rewrite(
        folder,
        ("schema = 1", "schema = 2"),
        ('id = "sums"', 'id = "Sums 1"'),
        ("due = 2099-11-24T23:59:00+01:00", "due = 2019-11-24T23:59:00"),
        ('optional = ["README*"]', 'optional = [\n  "README*",\n  "/etc/passwd",\n]\nextras = "drop"'),
        ('grace = "10m"', 'grace = "ten minutes"'),
        ("percent = 10", 'percent = "10"'),
        ("late_days = true", "late_days = 4"),
        ('name = "reads a file"', 'name = "adds"'),
        ('files = ["numbers.txt"]', 'files = [\n    "numbers.txt",\n    "more.txt"]'),
        ("numbers.out", "missing.out"),
        ('needs = ["adds"]', 'needs = ["add"]'),
        ("points = 6", 'points = 6\ncompare = "fuzzy"\nlimits = { cpu = 0, ram = 3 }'),
    )
    assert faults_of(folder) == [
        "1: schema: must be 1",
        "3: id: must be 1 to 40 of a-z, 0-9, dot, dash and underscore, a letter or digit first",
        "6: due: must carry an offset from UTC, as 2026-11-24T23:59:00+01:00",
        "13: files.optional[1]: must be relative, without a slash at the beginning",
        "15: files: there is no key 'extras' here (did you mean extra?)",
        '18: late.grace: is no length of time: write "90s", "10m", "12h", "1d" or "2w"',
        "19: late.percent: must be a number",
        "21: late.late_days: must be true or false",
        "31: test 'adds': line 24 has this name already",
        "36: test 'adds': there is no file tests/more.txt beside it",
        "37: test 'adds': there is no file tests/missing.out beside it",
        "38: test 'adds': needs 'add', which is no test (did you mean 'adds'?)",
        "40: test 'adds': compare: must be exact, trim, tokens, regex or floats(1e-6), in quotation marks",
        "41: test 'adds': limits.cpu: must be greater than 0",
        "41: test 'adds': limits: there is no key 'ram' here",
    ]


_FAULTS = [
    ('title = "Sums"\n', "", "1: title: is missing"),
    ("schema = 1\n", "", "1: schema: is missing"),
    ("due = 2099-11-24T23:59:00+01:00\nclose = 2099-11-27T23:59:00+01:00\n", "", "1: due: is missing"),
    ("due = 2099-11-24T23:59:00+01:00", "due = 2019-11-24T23:59:00Z", "6: due: must be later than open"),
    ("close = 2099-11-27", "close = 2099-11-20", "7: close: must not be earlier than due"),
    (
        "2099-11-27T23:59:00+01:00",
        "2099-11-27",
        "7: close: must be a date and time with its offset from UTC, as 2026-11-24T23:59:00+01:00, unquoted",
    ),
    ('id = "sums"', 'id = "sums."', "3: id: must not end with a dot, nor have two in a row"),
    ('["sums.py"]', '"sums.py"', "10: files.required: must be a list in square brackets"),
    (
        '["sums.py"]',
        '["../sums.py"]',
        "10: files.required[0]: must be a path of names with a single slash between them, without . and ..",
    ),
    ('["sums.py"]', '["lib/"]', "10: files.required[0]: is a folder; write lib/** for all that is in it"),
    ('["sums.py"]', '["[z-a]"]', "10: files.required[0]: is no pattern of files: bad character range z-a"),
    (
        'required = ["sums.py"]\noptional = ["README*"]\n',
        "",
        "9: files: nothing could be handed in (name what is expected: required",
    ),
    (
        'kind = "run"',
        'kind = "running"',
        "21: test 'adds': kind: must be run, pytest, manual or ftp-homework",
    ),
    ('kind = "run"\n', "", "19: test 'adds': has no kind: run, pytest, manual or ftp-homework"),
    ('name = "adds"', 'nam = "adds"', "19: test 1: name: is missing"),
    ("points = 4", "points = -4", "24: test 'adds': points: must be greater than or equal to 0"),
    ("points = 4", "points = nan", "24: test 'adds': points: must be"),
    (
        '"5\\n" }',
        '"5\\n", stdout_file = "numbers.out" }',
        "23: test 'adds': expect: has stdout and stdout_file: say one of them",
    ),
    (
        "points = 4",
        'points = 4\nneeds = ["reads a file"]',
        "25: test 'adds': needs 'reads a file', which must stand above it",
    ),
    (
        '"5\\n" }',
        '"(5" }\ncompare = "regex"',
        "23: test 'adds': expect.stdout is no regular expression: missing ), unterminated subpattern",
    ),
    (
        "[late]",
        '[grading]\nsandbox = "none"\n[late]',
        '14: grading.sandbox: cannot be "none": an assignment never switches the sandbox off',
    ),
    ('"Sums"', '""', "4: title: is empty"),
    ("[late]", '[late]\nper = "0s"', "14: late.per: must be 1 s or more"),
    ("[late]", "[late]\n[late]", "14: is not valid TOML: cannot declare"),
    ("[late]", "folder = 3\n[late]", "13: files: there is no key 'folder' here"),
    ("schema = 1", 'schema = 1\nsha256 = "x"', "2: there is no key 'sha256'"),
]


def test_each_kind_of_fault_has_its_words_and_its_line(folder: Path) -> None:
    good = (folder / model.FILE).read_text("utf-8")
    missed = []
    for old, new, fault in _FAULTS:
        (folder / model.FILE).write_text(good, "utf-8")
        rewrite(folder, (old, new))
        found = faults_of(folder)
        if not any(one.startswith(fault) for one in found):
            missed.append((fault, found))
    assert missed == []


def test_an_assignment_without_tests_or_points_is_a_fault(folder: Path) -> None:
    rewrite(folder, ("points = 4", "points = 0"), ("points = 6", "points = 0"))
    assert faults_of(folder) == ["19: no test is worth any points"]
    text = (folder / model.FILE).read_text("utf-8")
    (folder / model.FILE).write_text(text[: text.index("[[test]]")], "utf-8")
    assert faults_of(folder) == ["1: there is no [[test]]"]


def test_a_file_that_cannot_be_read_is_a_fault(tmp_path: Path) -> None:
    with pytest.raises(AssignmentFaults) as caught:
        model.load(tmp_path)
    assert [str(fault) for fault in caught.value.faults] == [
        f"{tmp_path / model.FILE}: cannot be read: No such file or directory"
    ]
    (tmp_path / model.FILE).write_bytes(b"schema = 1\ntitle = '\xff'\n")
    with pytest.raises(AssignmentFaults) as caught:
        model.load(tmp_path)
    assert str(caught.value.faults[0]).endswith("assignment.toml:2: is not UTF-8 here")


_ALL_OF_TOML = r"""# a comment with [brackets] and = signs
top = 1
"quoted key" = 'a # no comment'
dotted.key."x.y" = [ # with a comment ]
    1, [2,
    3],
    { a = 1, b = [
       "]", '}' ] },
]
many = QQQ
[not.a.table]
quote "" and \QQQQ
after = '''
''''

[a.b] # c
c = 1979-05-27T07:32:00Z

[[list]]
x = 1
[list.inner]
y = 2
[[list.deep]]
z = 3
[[list]]
x = 4
[[list.deep]]
z = 5
""".replace("Q", '"')


def test_lines_are_found_in_all_that_toml_has(tmp_path: Path) -> None:
    document = tomltext.parse(tmp_path / "x.toml", _ALL_OF_TOML.encode())
    assert isinstance(document, tomltext.Document), document
    paths: list[tuple[str | int, ...]] = [
        ("top",), ("quoted key",), ("dotted", "key", "x.y"), ("dotted", "key", "x.y", 1, 1),
        ("dotted", "key", "x.y", 2, "b", 1), ("many",), ("after",), ("a", "b", "c"), ("list", 0, "x"),
        ("list", 0, "inner", "y"), ("list", 0, "deep", 0, "z"), ("list", 1), ("list", 1, "deep", 0, "z"),
        ("list", 1, "missing"), ("nothing",),
    ]  # fmt: skip
    assert [document.line(path) for path in paths] == [2, 3, 4, 6, 8, 10, 13, 17, 20, 22, 24, 25, 28, 25, 1]
    windows = tomltext.parse(
        tmp_path / "x.toml", b"\xef\xbb\xbf" + _ALL_OF_TOML.replace("\n", "\r\n").encode()
    )
    assert isinstance(windows, tomltext.Document)
    assert windows.values == document.values
    assert windows.line(("list", 1, "deep", 0, "z")) == 28


def test_a_fault_cannot_drive_a_terminal() -> None:
    shown = str(Fault(Path("a\x1b[2J"), 3, "there is no key '\x1b'", "x"))
    assert shown == r"a\x1b[2J:3: there is no key '\x1b' (x)"


def test_an_assignment_is_never_changed(folder: Path) -> None:
    assignment: Assignment = model.load(folder)
    with pytest.raises(ValueError, match="frozen"):
        assignment.title = "x"  # type: ignore[misc]


def test_patterns_of_files() -> None:
    fits = [
        ("*.py", "a.py"), ("lib/*.py", "lib/a.py"), ("lib/**", "lib/x/y"), ("**/a.py", "a.py"), ("**/a.py", "x/y/a.py"),
        ("README*", "README"), ("a?c", "abc"), ("[ab].py", "b.py"), ("[!ab].py", "c.py"), ("a+b.py", "a+b.py"),
        ("[]].py", "].py"),
    ]  # fmt: skip
    not_fits = [
        ("*.py", "lib/a.py"), ("lib/*.py", "x/lib/a.py"), ("lib/*.py", "lib/x/a.py"), ("*.py", "A.PY"), ("a?c", "a/c"),
        ("[!a]c", "/c"), ("[+-0]c", "/c"), ("lib/**", "lib"), ("a.py", "axpy"),
    ]  # fmt: skip
    assert [globs.matches(pattern, path) for pattern, path in fits] == [True] * len(fits)
    assert [globs.matches(pattern, path) for pattern, path in not_fits] == [False] * len(not_fits)
