"""An assignment tried out before students see it: its solution must get all points, its starter must not.

Both are treated as hand-ins: they pass the same door, and what the assignment would drop is not there for the tests.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from ftpsvc.homework.door import look
from ftpsvc.homework.grading.faults import GradingFailed
from ftpsvc.homework.grading.judge import Tested, test
from ftpsvc.homework.model import SOLUTION, STARTER, Assignment
from ftpsvc.homework.sandbox.base import Sandbox, SandboxError
from ftpsvc.receipts.tree import File
from ftpsvc.text import printable


@dataclass(slots=True)
class Report:
    """What came out.

    Attributes:
        said: What was tried, a line each.
        faults: What is wrong, a line each; none: it can be handed out.
    """

    said: list[str] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)


def try_out(assignment: Assignment, sandbox: Sandbox) -> Report:
    """Grades the solution and the starter of an assignment.

    Raises:
        SandboxError: The sandbox failed. Nothing is known then.
    """
    report = Report()
    report.faults += _given_away(assignment)
    if assignment.solution.is_dir():
        _solution(assignment, sandbox, report)
    else:
        report.faults.append(f"there is no {SOLUTION}/: nobody knows whether the tests can be passed")
    if assignment.starter.is_dir():
        _starter(assignment, sandbox, report)
    else:
        report.said.append(f"there is no {STARTER}/, so it was not tried")
    return report


def _solution(assignment: Assignment, sandbox: Sandbox, report: Report) -> None:
    tested = _tested(assignment, assignment.solution, sandbox, report, must_pass_the_door=True)
    if tested is None:
        return
    report.said.append(f"{SOLUTION}/: {_points(tested)}")
    if tested.raw < tested.max - tested.by_hand:
        report.faults.append(f"{SOLUTION}/ must get all points, and got {_points(tested)}")
        for one in tested.tests:
            result = one.result
            if "by hand" in result.tags or result.extra_data.verdict == "AC":
                continue
            said = printable(result.output.strip().replace("\n", " | "))[:400]
            verdict = result.extra_data.verdict or "no verdict"
            report.faults.append(f"  {result.number} {printable(result.name)}: {verdict}: {said}")


def _starter(assignment: Assignment, sandbox: Sandbox, report: Report) -> None:
    tested = _tested(assignment, assignment.starter, sandbox, report, must_pass_the_door=False)
    if tested is None:
        return
    report.said.append(f"{STARTER}/: {_points(tested)}")
    if tested.max > tested.by_hand and tested.raw >= tested.max - tested.by_hand:
        report.faults.append(f"{STARTER}/ gets all points: the tests do not see that nothing was done")


def _points(tested: Tested) -> str:
    by_hand = f", {tested.by_hand:g} more by hand" if tested.by_hand else ""
    return f"{tested.raw:g} of {tested.max - tested.by_hand:g} points in {tested.seconds:.1f} s{by_hand}"


def _tested(
    assignment: Assignment, folder: Path, sandbox: Sandbox, report: Report, *, must_pass_the_door: bool
) -> Tested | None:
    """Returns what the tests say of a folder; None where it came to no result, which the report has then."""
    name = f"{folder.name}/"
    looked = look(assignment, list(_files(folder)))
    if looked.faults:
        if must_pass_the_door:
            report.faults += [f"{name} would be refused at hand-in: {fault}" for fault in looked.faults]
        else:
            report.said.append(
                f"{name} could not be handed in ({'; '.join(looked.faults)}), so it was not tried"
            )
        return None
    with tempfile.TemporaryDirectory(prefix="ftpsvc-check-") as made:
        for file in looked.kept:
            target = Path(made) / file.path
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(folder / file.path, target)
        try:
            return test(assignment, Path(made), sandbox)
        except SandboxError:
            raise
        except GradingFailed as error:
            report.faults.append(f"{name} cannot be graded: {error.reason}")
            if error.hint:
                report.faults.append(f"  {error.hint}")
            return None


def _given_away(assignment: Assignment) -> Iterator[str]:
    """Yields the files of the solution that students would find in the hand-out."""
    if not (assignment.handout.is_dir() and assignment.solution.is_dir()):
        return
    secret = {file.sha256: file.path for file in _files(assignment.solution) if file.size}
    begun = {file.sha256 for file in _files(assignment.starter)} if assignment.starter.is_dir() else set()
    for file in _files(assignment.handout):
        if file.sha256 in secret and file.sha256 not in begun:
            yield f"handout/{file.path} is {SOLUTION}/{secret[file.sha256]}: students would get the solution"


def _files(folder: Path) -> Iterator[File]:
    """Yields the files of a folder, as a client would offer them."""
    for where, folders, names in os.walk(folder, followlinks=True):
        folders[:] = sorted(name for name in folders if name not in (".ftpsvc", "__pycache__"))
        for name in sorted(names):
            path = Path(where) / name
            if path.is_file():
                with path.open("rb") as stream:
                    digest = hashlib.file_digest(stream, "sha256").hexdigest()
                yield File(path.relative_to(folder).as_posix(), path.stat().st_size, digest)
