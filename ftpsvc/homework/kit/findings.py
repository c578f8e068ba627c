"""What a check can come to: a fault of the server, or that it cannot be told here."""

from __future__ import annotations

from ftpsvc.homework.sandbox.base import Cap


class Fault(Exception):
    """The server did something else than it should.

    Attributes:
        expected: What should have happened, one sentence without a full stop.
        seen: What did.
        sent: What was sent before, as far as the check says; else the runner takes it from the wire.
        killed_by: The limit that ended the server; None where none did.
        hint: What to look for, where that is not what the check is about; "" leaves it to the check.
    """

    def __init__(
        self, expected: str, seen: str, sent: str = "", killed_by: Cap | None = None, hint: str = ""
    ) -> None:
        super().__init__(f"expected {expected}; seen: {seen}")
        self.expected = expected
        self.seen = seen
        self.sent = sent
        self.killed_by = killed_by
        self.hint = hint


class Hung(Fault):
    """The server did not answer, or did not read, in time."""


class Gone(Fault):
    """The server closed the connection where it should have said something."""


class Garbled(Fault):
    """What came is not what the dialect says; nobody knows where the next message begins."""


class Refused(Exception):
    """The server said no, in the words of the dialect; the conversation goes on unless `fatal`.

    Attributes:
        code: The server's word for the reason, as it came.
        fatal: Whether it closes.
    """

    def __init__(self, code: str, message: str = "", *, fatal: bool = False) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.fatal = fatal


class NotScored(Exception):
    """It cannot be measured on this server: no points are to be had, and none are lost."""
