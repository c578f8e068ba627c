"""The headers of handing in: `assignments`, `submit-begin`, `submit-commit` (docs/protocol.md sections 6.22 to 6.24).

Percentages and points are integers, hundredths of them: 12.5 is 1250.
"""

from typing import Annotated, Literal

from pydantic import Field

from ftpsvc.protocol.headers.base import Algorithm, Header, HexDigest, Located, Request, Response, Size, Time

AssignmentId = Annotated[str, Field(min_length=1, max_length=40)]


class AssignmentLine(Header):
    """One line of the answer to `assignments`."""

    id: AssignmentId
    title: Annotated[str, Field(max_length=1000)]
    open: Time
    due: Time
    """With extensions, as all dates of a line."""
    close: Time
    versions: Size
    """How many there are of this user."""
    counts: Size | None = None
    """Number of the version that counts; None: there is none."""
    late_seconds: Size = 0
    """Of the version that counts, as what follows."""
    percent: Size = 0
    late_days_used: Size = 0
    points: Size | None = None
    """None: not known, or not published."""
    max_points: Size
    max_files: Size
    max_bytes: Size
    required: list[str] = []  # noqa: RUF012  # pydantic copies it
    """Patterns; of each a file has to be there."""
    optional: list[str] = []  # noqa: RUF012
    extra: Literal["drop", "refuse", "keep"] = "drop"
    """What becomes of files that no pattern fits."""


class AssignmentList(Response):
    """The answer to `assignments`. Followed by `size` bytes of JSON Lines, one `AssignmentLine` each."""

    size: Size
    time: Time
    """The server's clock, which decides."""
    course: Annotated[str, Field(max_length=1000)] = ""
    late_days_left: Size = 0
    late_days: Size = 0
    """What the pool was."""


class Assignments(Request):
    """Asks what there is to be handed in, and how one stands."""

    answer = AssignmentList
    payload_answer = True
    lines_answer = True
    line = AssignmentLine

    op: Literal["assignments"] = "assignments"


class OfferedFile(Header):
    """One line of the content of `submit-begin`."""

    path: Annotated[str, Field(max_length=4096)]
    """Relative to the hand-in's folder."""
    size: Size
    sha256: Annotated[str, Field(min_length=64, max_length=64, pattern="^[0-9a-f]+$")]


class OfferedLine(Header):
    """One line of the answer to `submit-begin`: a file that was offered."""

    path: Annotated[str, Field(max_length=4096)]
    state: Literal["wanted", "held", "dropped"]
    """`wanted`: to be sent. `held`: it is here already. `dropped`: no part of the version."""


class HandInBegun(Located):
    """The answer to `submit-begin`. Followed by `size` bytes of JSON Lines, one `OfferedLine` each."""

    size: Size
    begun: Time
    """When this list of files was first accepted; `submit-commit` names it."""
    time: Time
    tree_sha256: HexDigest
    """Of the files that are not dropped."""
    due: Time
    close: Time
    number: Size
    """What the version would be called."""
    late: bool
    """Whether being late would cost anything if it were complete now, and so needs a yes."""
    late_seconds: Size
    percent: Size
    late_days_used: Size
    late_days_left: Size


class SubmitBegin(Request):
    """Offers the files of a hand-in. Followed by `size` bytes of JSON Lines, one `OfferedFile` each, and a trailer."""

    answer = HandInBegun
    content = True
    payload_answer = True
    lines_answer = True
    line = OfferedLine
    content_line = OfferedFile

    op: Literal["submit-begin"] = "submit-begin"
    assignment: AssignmentId
    size: Size
    algorithm: Algorithm
    """Of the trailer's digest."""


class HandedIn(Located):
    """The answer to `submit-commit`: the version is there for good, at `path`, with its receipt."""

    number: Size
    received: Time
    tree_sha256: HexDigest
    late_seconds: Size
    percent: Size
    late_days_used: Size


class SubmitCommit(Request):
    """Makes what was begun and sent a version, whole, or not at all."""

    answer = HandedIn

    op: Literal["submit-commit"] = "submit-commit"
    assignment: AssignmentId
    begun: Time
    tree_sha256: HexDigest
    """What the client computed."""
    late: bool = False
    """Whether the user said yes to being late."""
