"""What grading is made of, without a sandbox: comparing, values that pass the wall, results and their exports."""

import collections
import json
import math
from contextlib import suppress
from typing import Any, NamedTuple
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as some

from ftpsvc.homework.grading import compare, stub
from ftpsvc.homework.grading.kinds.common import shown, tail
from ftpsvc.homework.grading.results import (
    Extra,
    Late,
    Measured,
    Ours,
    Result,
    TestResult,
    decode,
    encode,
    junit,
)
from ftpsvc.homework.grading.values import pack, unpack
from ftpsvc.homework.grading.verdict import of_end, told
from ftpsvc.homework.model import Compare
from ftpsvc.homework.sandbox.base import Limits, Outcome
from ftpsvc.text import printable

EXACT, TRIM, TOKENS, FLOATS = Compare("exact"), Compare("trim"), Compare("tokens"), Compare("floats", 1e-3)


@pytest.mark.parametrize(
    ("how", "expected", "actual"),
    [
        (EXACT, b"a\n", b"a\n"),
        (TRIM, b"a\nb\n", b"a  \r\nb\n\n\n"),
        (TRIM, b"", b"\n\n"),
        (TOKENS, b"1 2\n3\n", b"1\n2   3"),
        (FLOATS, b"0.3333 x", b"0.33333333 x"),
        (FLOATS, b"1000000", b"1000999"),
        (FLOATS, b"nan inf -0", b"NaN inf 0.0"),
        (FLOATS, b"1", b"1e0"),
    ],
)
def test_outputs_that_are_the_same(how: Compare, expected: bytes, actual: bytes) -> None:
    assert compare.difference(how, expected, actual) is None


@pytest.mark.parametrize(
    ("how", "expected", "actual", "said"),
    [
        (EXACT, b"a\n", b"a", 'line 2: expected "", but the output ends before'),
        (EXACT, b"a\n", b"a \n", 'line 1: expected "a", got "a "'),
        (TRIM, b"a\nb", b"a\n b", 'line 2: expected "b", got " b"'),
        (TRIM, b"a", b"a\nb", 'line 2: got "b", but the output should end before'),
        (TRIM, b"a", b"", 'line 1: expected "a", but the output ends before'),
        (TOKENS, b"1 2", b"1 3", 'word 2: expected "2", got "3"'),
        (TOKENS, b"1", b"1.0", 'word 1: expected "1", got "1.0"'),
        (FLOATS, b"1", b"1.01", 'word 1: expected "1", got "1.01"'),
        (FLOATS, b"1", b"nan", 'word 1: expected "1", got "nan"'),
        (FLOATS, b"1000", b"1_000", 'word 1: expected "1000", got "1_000"'),
        (FLOATS, b"inf", b"1e999x", 'word 1: expected "inf", got "1e999x"'),
        (TRIM, b"a", b"\x1b[2J\xff", 'line 1: expected "a", got "\\x1b[2J\ufffd"'),
    ],
)
def test_the_first_difference_is_told(how: Compare, expected: bytes, actual: bytes, said: str) -> None:
    assert compare.difference(how, expected, actual) == said


def test_a_long_line_is_cut_and_a_pattern_is_not_tried_here() -> None:
    said = compare.difference(TRIM, b"a", b"x" * 100_000)
    assert said is not None
    assert len(said) < 200
    with pytest.raises(ValueError, match="sandbox"):
        compare.difference(Compare("regex"), b"(a+)+b", b"a" * 50)


@given(some.binary(), some.binary())
def test_any_bytes_can_be_compared_and_are_the_same_as_themselves(one: bytes, other: bytes) -> None:
    for how in EXACT, TRIM, TOKENS, FLOATS:
        assert compare.difference(how, one, one) is None
        said = compare.difference(how, one, other)
        assert said is None or said == printable(said)


PLAIN = some.recursive(
    some.none() | some.booleans() | some.integers() | some.floats(allow_nan=False) | some.text() | some.binary()
    | some.complex_numbers(allow_nan=False),
    lambda inner: (
        some.lists(inner)
        | some.lists(inner).map(tuple)
        | some.dictionaries(some.text() | some.integers(), inner)
        | some.sets(some.integers() | some.text())
        | some.frozensets(some.tuples(some.integers(), some.text()))
    ),
    max_leaves=20,
)  # fmt: skip


@given(PLAIN)
def test_values_pass_the_wall_as_they_are(value: Any) -> None:
    there = unpack(json.loads(json.dumps(pack(value))))
    assert there == value
    assert type(there) is type(value)


def test_what_is_no_number_passes_the_wall_too() -> None:
    there = unpack(json.loads(json.dumps(pack([float("nan"), {0: float("inf")}]))))
    assert repr(there) == "[nan, {0: inf}]"


class Pair(NamedTuple):
    x: int
    y: int


class Liar(int):
    """Equal to everything, where it is let through."""

    def __eq__(self, other: object) -> bool:
        return True

    __hash__ = int.__hash__


def test_what_passes_is_plain_whatever_it_was() -> None:
    assert unpack(pack(Liar(3))) != 4
    assert type(unpack(pack(Liar(3)))) is int
    assert unpack(pack(collections.OrderedDict(a=1))) == {"a": 1}
    assert unpack(pack(Pair(x=1, y=2))) == (1, 2)
    assert math.isnan(unpack(pack(math.nan)))
    with pytest.raises(TypeError, match="of type object"):
        pack([object()])
    loop: list[Any] = []
    loop.append(loop)
    with pytest.raises(RecursionError):
        pack(loop)


TAGS = ["dict", "set", "tuple", "bytes", "float", "complex", "value", "raised", "x"]
JSON = some.recursive(
    some.none() | some.booleans() | some.integers() | some.floats() | some.text(),
    lambda inner: some.lists(inner) | some.dictionaries(some.sampled_from(TAGS), inner),
)  # fmt: skip


@given(JSON)
def test_c06_an_answer_that_is_forged_is_a_value_or_none(data: Any) -> None:
    with suppress(ValueError):  # and nothing else
        unpack(data)
    _, came = stub.answers(b"printed#" + json.dumps(data).encode(), "#", 1)
    assert came is None or len(came) == 1


@pytest.mark.parametrize(
    "answer", [b"", b"[", b"[]", b"{}", b"[1]", b"[" * 100_000, b"9" * 10_000, b'[{"value":{"set":[[]]}}]', b"\xff"]
)  # fmt: skip
def test_c06_what_is_no_answer_is_none(answer: bytes) -> None:
    assert stub.answers(b"printed#" + answer, "#", 1) == (b"printed", None)
    assert stub.answers(answer, "#", 1) == (answer, None)


def test_text_is_shown_line_by_line_and_drives_no_terminal() -> None:
    assert shown(b"a\n\x1b[31m\xff\tb\r\n") == "a\n\\x1b[31m\ufffd  b\n"
    assert len(shown(b"x" * 100_000)) < 5000
    assert tail(b"\n".join(b"%d" % number for number in range(100))).split("\n")[0] == "80"


def outcome(**more: Any) -> Outcome:
    plain = {"exit": 0, "signal": None, "killed_by": None, "cpu": 0.1, "wall": 0.2, "rss": 1 << 20}
    return Outcome(**({"stdout": b"", "stderr": b"", "truncated": False} | plain | more))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("how", "expected", "verdict", "said"),
    [
        ({}, 0, "AC", ""),
        ({"exit": 3}, 3, "AC", ""),
        ({"exit": 3}, 0, "RE", "ended with exit code 3, not 0"),
        ({}, 3, "WA", "ended with exit code 0, not 3"),
        ({"exit": None, "signal": 11}, 0, "SG", "ended by signal 11 (segmentation fault)"),
        ({"exit": None, "signal": 9, "killed_by": "cpu"}, 0, "TLE", "stopped: more than 5 s of processor time"),
        ({"killed_by": "wall"}, 0, "WTLE", "stopped: not finished after 15 s"),
        ({"killed_by": "memory"}, 0, "MLE", "stopped: more than 256.0 MiB of memory"),
        ({"killed_by": "output"}, 0, "OLE", "stopped: more than 1.0 MiB of output"),
        ({"killed_by": "disk"}, 0, "OLE",
         "stopped: files of more than 64.0 MiB, one larger than 16.0 MiB, or too many"),
        ({"killed_by": "processes"}, 0, "PLE", "stopped: more than 32 processes and threads at once"),
    ],
)  # fmt: skip
def test_the_way_a_program_ends_is_a_verdict(
    how: dict[str, Any], expected: int, verdict: str, said: str
) -> None:
    assert of_end(outcome(**how), expected) == verdict
    assert told(outcome(**how), Limits(), expected) == said


def result() -> Result:
    tests = (
        TestResult(number="1", name="right", score=4.0, max_score=4.0, status="passed",
                   extra_data=Measured(verdict="AC", wall=0.5)),
        TestResult(number="2", name="wrong \x00<&>", score=0.0, max_score=2.0, status="failed",
                   output="line 1\n\x01]]>", extra_data=Measured(verdict="WA")),
        TestResult(number="3", name="skipped", max_score=1.0, output="not run", extra_data=Measured(verdict="SKIP")),
        TestResult(number="4", name="style", max_score=5.0, output="graded by hand", extra_data=Measured(verdict=None)),
    )  # fmt: skip
    ours = Ours(
        submission="prog1/hw1/alice/3", tree_sha256="0" * 64, assignment_sha256="1" * 64, attempt=1, raw=4.0, max=12.0,
        late=Late(seconds=60, percent=10), sandbox="bwrap 0.8.0", caps=("net",), grader="ftpsvc 0", host="g",
        started="2026-01-01T00:00:00.000Z", finished="2026-01-01T00:00:01.000Z",
    )  # fmt: skip
    return Result(score=3.6, execution_time=1.0, tests=tests, extra_data=Extra(ftpsvc=ours))


def test_a_result_is_what_gradescope_reads() -> None:
    """By https://gradescope-autograders.readthedocs.io/en/latest/specs/: every key that it knows, and its type."""
    data = json.loads(encode(result()))
    known = {
        "score": float,
        "execution_time": float,
        "output": str,
        "visibility": str,
        "tests": list,
        "extra_data": dict,
    }
    assert {key: type(value) for key, value in data.items()} == known
    of_a_test = {
        "score": float, "max_score": float, "status": str, "name": str, "number": str, "output": str, "tags": list,
        "visibility": str, "extra_data": dict,
    }  # fmt: skip
    for test in data["tests"]:
        assert all(type(value) is of_a_test[key] for key, value in test.items())
        assert test.get("status") in ("passed", "failed", None)
    assert [test.get("score") for test in data["tests"]] == [4.0, 0.0, None, None]
    assert "score" not in data["tests"][2]
    assert data["extra_data"]["ftpsvc"]["schema"] == 1


def test_a_result_is_read_as_it_was_written() -> None:
    assert decode(encode(result())) == result()
    for damaged in b"", b"[]", b"{}", encode(result())[:-20], encode(result()).replace(b'"raw"', b'"row"'):
        with pytest.raises(ValueError, match=r"."):
            decode(damaged)


def test_junit_has_what_failed_and_what_was_not_run_and_is_xml_whatever_is_in_it() -> None:
    root = ElementTree.fromstring(junit([result(), result()]))  # noqa: S314 -- our own
    suite = root.findall("testsuite")[1]
    assert {key: suite.get(key) for key in ("tests", "failures", "errors", "skipped")} == {
        "tests": "4", "failures": "1", "errors": "0", "skipped": "2",
    }  # fmt: skip
    assert [case.get("name") for case in suite] == ["right", "wrong \ufffd<&>", "skipped", "style"]
    failure = suite[1].find("failure")
    assert failure is not None
    assert (failure.get("type"), failure.text) == ("WA", "line 1\n\ufffd]]>")
