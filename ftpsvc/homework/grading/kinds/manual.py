"""What a person judges: the result has its place, and no points until `ftpsvc-grade set` gives them."""

from __future__ import annotations

from ftpsvc.homework.grading.kinds.common import Judged
from ftpsvc.homework.grading.results import Measured, TestResult
from ftpsvc.homework.model import ManualTest


def entry(test: ManualTest) -> Judged:
    """Returns its place in a result."""
    return Judged(
        TestResult(
            number="",
            name=test.name,
            max_score=test.points,
            visibility=test.visibility,
            output="graded by hand",
            tags=(test.kind, "by hand"),
            extra_data=Measured(verdict=None),
        )
    )
