"""What goes wrong with grading itself, and is never the student's fault."""

from __future__ import annotations

from ftpsvc.exceptions import FtpsvcError


class GradingFailed(FtpsvcError):
    """A hand-in could not be graded: its tests, its assignment or the grader failed. There is no result.

    Attributes:
        reason: What failed, one line, printable.
        hint: What to do about it, or None.
        passing: Whether it may go well the next time.
    """

    code = "grading-failed"

    def __init__(self, reason: str, *, hint: str | None = None, passing: bool = False) -> None:
        super().__init__(reason)
        self.reason = reason
        self.hint = hint
        self.passing = passing
