"""What grading says of one version of a hand-in: Gradescope's results.json, ours in `extra_data` (docs/grading.md).

The numbers are Gradescope's too, so `score` is what counts after the penalty. Exports are computed from results and
never stored; this module has the one for programs that read JUnit's XML.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any, Final, Literal
from xml.etree import ElementTree

from pydantic import BaseModel, ConfigDict, Field

from ftpsvc.homework.grading.verdict import Verdict
from ftpsvc.homework.model import Visibility

SCHEMA: Final = 1

NOT_SCORED: Final = "not scored"
"""The tag of what could not be measured on a hand-in: no points, and no fault of anybody."""

_OPTIONAL: Final = ("score", "status")
_NOT_IN_XML: Final = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Measured(_Part):
    """How a test ended: seconds, bytes, and the codes of the program that ended it.

    Attributes:
        verdict: None for what a person judges.
        rss: The most resident memory, bytes.
        expected: The beginning of what was expected, where the student may see it.
        actual: The beginning of what was written instead.
    """

    verdict: Verdict | None
    cpu: float = 0.0
    wall: float = 0.0
    rss: int = 0
    exit: int | None = None
    signal: int | None = None
    killed_by: str | None = None
    truncated: bool = False
    expected: str | None = None
    actual: str | None = None


class TestResult(_Part):
    """One test.

    Attributes:
        number: Its place in the assignment, from "1"; the tests of one pytest file are "3.1", "3.2".
        name: Its name.
        score: Points; None where nothing can be said: skipped, by hand, our fault.
        max_score: What it is worth.
        status: None where there is no score.
        visibility: When the student may see it.
        output: What the student is told.
        tags: Its kind; "skipped", "error" or "by hand" where there is no score.
        extra_data: What was measured.
    """

    __test__ = False  # pytest: no test, in spite of its name

    number: str
    name: str
    score: float | None = None
    max_score: float
    status: Literal["passed", "failed"] | None = None
    visibility: Visibility = "visible"
    output: str = ""
    tags: tuple[str, ...] = ()
    extra_data: Measured


class Late(_Part):
    """The penalty as it was when this was graded; every look computes it anew."""

    seconds: int = 0
    grace: int = 0
    late_days_used: int = 0
    percent: float = 0


class Ours(_Part):
    """What Gradescope does not know.

    Attributes:
        submission: COURSE/ASSIGNMENT/USER/VERSION.
        attempt: From 1; a regrade is the next one.
        raw: Points before the penalty, without what is given by hand.
        max: Points of all tests, those by hand included.
        caps: What the sandbox is built to hold.
        started: UTC, `2026-03-01T08:15:30.123Z`.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)

    schema_: int = Field(default=SCHEMA, alias="schema")
    submission: str
    tree_sha256: str
    assignment_sha256: str
    attempt: int
    raw: float
    max: float
    late: Late
    state: Literal["graded"] = "graded"
    sandbox: str
    caps: tuple[str, ...]
    grader: str
    host: str
    started: str
    finished: str


class Extra(_Part):
    """The place that Gradescope leaves to others."""

    ftpsvc: Ours


class Result(_Part):
    """One attempt at one version: what a results.json holds.

    Attributes:
        score: After the penalty; None in state `error`, which is no result and never stored as one.
    """

    score: float | None
    execution_time: float
    output: str = ""
    visibility: Visibility = "visible"
    tests: tuple[TestResult, ...]
    extra_data: Extra

    @property
    def ours(self) -> Ours:
        """What Gradescope does not know."""
        return self.extra_data.ftpsvc


def encode(result: Result) -> bytes:
    """Returns the results.json of a result. Where there is no score, there is no `score` either: null is none."""
    data: dict[str, Any] = result.model_dump(mode="json", by_alias=True)
    for part in (data, *data["tests"]):
        for name in _OPTIONAL:
            if part.get(name, 0) is None:
                del part[name]
    return json.dumps(data, indent=1).encode("ascii") + b"\n"


def decode(content: bytes) -> Result:
    """Returns the result that a results.json of ours holds.

    Raises:
        ValueError: It is none.
    """
    data = json.loads(content)
    if isinstance(data, dict):
        data.setdefault("score", None)
    return Result.model_validate_json(json.dumps(data))


def read(path: Path) -> Result:
    """Returns a stored result.

    Raises:
        OSError: It cannot be read.
        ValueError: It is none.
    """
    return decode(path.read_bytes())


def junit(results: list[Result]) -> bytes:
    """Returns results as JUnit's XML: a suite for each, named by its submission."""
    root = ElementTree.Element("testsuites")
    for result in results:
        verdicts = [test.extra_data.verdict for test in result.tests]
        suite = ElementTree.SubElement(
            root,
            "testsuite",
            name=_xml(result.ours.submission),
            tests=str(len(result.tests)),
            failures=str(sum(test.status == "failed" for test in result.tests)),
            errors=str(verdicts.count("IE")),
            skipped=str(sum(verdict in ("SKIP", None) for verdict in verdicts)),
            time=f"{result.execution_time:.3f}",
            timestamp=result.ours.started,
            hostname=_xml(result.ours.host),
        )
        for test in result.tests:
            case = ElementTree.SubElement(
                suite,
                "testcase",
                classname=_xml(result.ours.submission),
                name=_xml(test.name),
                time=f"{test.extra_data.wall:.3f}",
            )
            verdict = test.extra_data.verdict
            if test.status == "failed":
                failure = ElementTree.SubElement(
                    case, "failure", type=str(verdict), message=_first(test.output)
                )
                failure.text = _xml(test.output)
            elif verdict == "IE":
                ElementTree.SubElement(case, "error", type="IE", message=_first(test.output))
            elif verdict in ("SKIP", None):
                ElementTree.SubElement(case, "skipped", message=_first(test.output))
    return bytes(ElementTree.tostring(root, encoding="utf-8", xml_declaration=True))


def _first(text: str) -> str:
    return _xml(text.partition("\n")[0])


def _xml(text: str) -> str:
    """Returns a text without what XML cannot hold."""
    return _NOT_IN_XML.sub("\ufffd", text)
