"""Handing in over the wire: `assignments`, `submit-begin`, `submit-commit` (docs/protocol.md sections 6.22 to 6.24)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final

from ftpsvc import digests
from ftpsvc.digests import Bytes
from ftpsvc.exceptions import (
    AuthenticationFailed,
    DigestMismatch,
    InvalidHeader,
    InvalidRequest,
    NotFound,
    TooLarge,
    Unavailable,
)
from ftpsvc.homework import feedback
from ftpsvc.homework.catalog import AssignmentFaults, HomeworkFaults, NoSuchAssignment
from ftpsvc.homework.desk import INCOMING, Desk
from ftpsvc.homework.lateness import Lateness, Standing
from ftpsvc.homework.model import Assignment
from ftpsvc.homework.ownfolder import check_own
from ftpsvc.homework.submissions import FOLDER as SUBMISSIONS
from ftpsvc.protocol.headers import (
    AssignmentLine,
    AssignmentList,
    Assignments,
    HandedIn,
    HandInBegun,
    OfferedFile,
    OfferedLine,
    SubmitBegin,
    SubmitCommit,
    explain,
)
from ftpsvc.protocol.strictjson import decode_object
from ftpsvc.receipts.tree import File
from ftpsvc.server.exchange import Exchange
from ftpsvc.server.service import Operation

_MAX_LIST: Final = 4 << 20
"""Longest list of files that is read, in bytes."""

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)


class Service:
    """The operations, for one daemon. Thread-safe."""

    def __init__(self) -> None:
        """Makes the table; nothing is served before `open`."""
        self._opened: Desk | None = None
        self.operations: dict[str, Operation] = {
            "assignments": Operation(self.assignments),
            "submit-begin": Operation(self.begin, writes=True, kept=True),
            "submit-commit": Operation(self.commit, writes=True, kept=True),
        }

    def open(self, desk: Desk) -> None:
        """Takes the desk that they are about."""
        self._opened = desk

    @property
    def _desk(self) -> Desk:
        if self._opened is None:
            raise Unavailable("", "the server is not ready for hand-ins")
        return self._opened

    def _who(self, exchange: Exchange) -> str:
        identity = exchange.session.identity
        if identity is None:
            raise AuthenticationFailed("this is for users who logged in")
        check_own(self._desk, identity.user.name, identity.user.created)
        return identity.user.name

    def assignments(self, exchange: Exchange, request: Assignments) -> None:
        """Lists the assignments that are open or were, and how the user stands."""
        user, desk = self._who(exchange), self._desk
        now = datetime.now(UTC)
        lines = bytearray()
        try:
            course = desk.catalog.course()
            standing = desk.standing(user)
            for assignment in desk.catalog.all()[0]:
                line = self._line(assignment, user, standing, now)
                if line is not None:
                    lines += line.encode() + b"\n"
        except (HomeworkFaults, AssignmentFaults) as error:
            raise _unusable() from error
        header = AssignmentList(
            size=len(lines), time=nanoseconds(now), course=course.title, late_days=course.late_days,
            late_days_left=standing.late_days_left,
        )  # fmt: skip
        exchange.send_page(header, lines)

    def _line(
        self, assignment: Assignment, user: str, standing: Standing, now: datetime
    ) -> AssignmentLine | None:
        """Returns what a user is told of an assignment; None before it opens."""
        name = assignment.id
        dates = self._desk.catalog.dates(assignment, user)
        if now < dates.open:
            return None
        counting, versions = standing.counting.get(name), self._desk.submissions.numbers(name, user)
        told = feedback.read(self._desk.submissions.of(name, user))
        if told is None and assignment.grading.count == "best" and len(versions) > 1:
            counting = None  # which one is best, only graders know before
        found = Lateness(0, on_time=True, percent=0.0, late_days_used=0)
        if counting is not None:
            found = standing.lateness[name, counting]
        points = None if told is None or told.version != counting else hundredths(told.score)
        rules = assignment.files
        return AssignmentLine(
            id=name, title=assignment.title, open=nanoseconds(dates.open), due=nanoseconds(dates.due),
            close=nanoseconds(dates.close), versions=len(versions), counts=counting,
            late_seconds=found.seconds, percent=hundredths(found.percent), late_days_used=found.late_days_used,
            points=points, max_points=hundredths(assignment.points), max_files=rules.max_files,
            max_bytes=rules.max_bytes, required=list(rules.required), optional=list(rules.optional), extra=rules.extra,
        )  # fmt: skip

    def begin(self, exchange: Exchange, request: SubmitBegin) -> None:
        """Takes the list of files of a hand-in, or refuses it for all that is wrong."""
        user = self._who(exchange)
        offered = _receive_list(exchange, request)
        try:
            begun = self._desk.begin(request.assignment, user, offered)
        except NoSuchAssignment:
            raise NotFound(request.assignment) from None
        except (HomeworkFaults, AssignmentFaults) as error:
            raise _unusable() from error
        under = begun.under
        states = dict.fromkeys(under.dropped, "dropped") | {
            file.path: "held" if file.path in begun.held else "wanted" for file in under.files
        }
        lines = bytearray()
        for path, state in states.items():
            lines += OfferedLine.model_validate({"path": path, "state": state}).encode() + b"\n"
        found, terms = begun.lateness, begun.terms
        header = HandInBegun(
            path=f"/{SUBMISSIONS}/{request.assignment}/{INCOMING}", size=len(lines), begun=nanoseconds(under.begun),
            time=nanoseconds(datetime.now(UTC)), tree_sha256=under.tree_sha256, due=nanoseconds(terms.dates.due),
            close=nanoseconds(terms.dates.close), number=begun.number, late=not found.on_time,
            late_seconds=found.seconds, percent=hundredths(found.percent), late_days_used=found.late_days_used,
            late_days_left=begun.late_days_left,
        )  # fmt: skip
        exchange.about |= {"tree_sha256": under.tree_sha256, "version": begun.number}
        exchange.send_page(header, lines)

    def commit(self, exchange: Exchange, request: SubmitCommit) -> HandedIn:
        """Makes what was sent a version, for good."""
        user, desk = self._who(exchange), self._desk
        exchange.session.let_go()  # what was begun of a file of it is over
        begun = _EPOCH + timedelta(microseconds=request.begun // 1000)
        try:
            version = desk.commit(request.assignment, user, request.tree_sha256, begun, late=request.late)
            standing = desk.standing(user)
        except NoSuchAssignment:
            raise NotFound(request.assignment) from None
        except (HomeworkFaults, AssignmentFaults) as error:
            raise _unusable() from error
        exchange.about |= {
            "tree_sha256": version.tree_sha256, "version": version.number, "seq": version.receipt.seq,
        }  # fmt: skip
        # It is handed in, also where an older version is damaged and nobody can say how it stands.
        key = (request.assignment, version.number)
        found = standing.lateness.get(key) or Lateness(
            version.receipt.late_seconds, on_time=True, percent=0.0, late_days_used=0
        )
        return HandedIn(
            path=f"/{SUBMISSIONS}/{request.assignment}/{version.number:04}", number=version.number,
            received=nanoseconds(version.stamps.received), tree_sha256=version.tree_sha256,
            late_seconds=found.seconds, percent=hundredths(found.percent), late_days_used=found.late_days_used,
        )  # fmt: skip


def nanoseconds(when: datetime) -> int:
    """Returns a time as the wire has it."""
    return max(0, (when - _EPOCH) // _MICROSECOND * 1000)


def hundredths(value: float) -> int:
    """Returns a percentage or points as the wire has them."""
    return round(value * 100)


def _unusable() -> Unavailable:
    # What is wrong with a teacher's file is for the teacher: it may quote tests.
    return Unavailable("", "the assignment cannot be used at the moment: its teacher has to look at it")


def _receive_list(exchange: Exchange, request: SubmitBegin) -> list[File]:
    """Returns the files that the content of a request names."""
    if request.size > _MAX_LIST:
        raise TooLarge("", request.size, _MAX_LIST)
    hasher = digests.new(request.algorithm)
    data = bytearray()

    def take(piece: Bytes) -> None:
        hasher.update(piece)
        data.extend(piece)

    exchange.receive_content(take)
    digest = exchange.receive_digest("")
    if not digests.equal(digest, hasher.hexdigest()):
        raise DigestMismatch("", request.algorithm, digest, hasher.hexdigest())
    try:
        offered = [OfferedFile.model_validate(decode_object(line)) for line in data.splitlines()]
    except InvalidHeader as error:
        raise InvalidRequest(f"submit-begin: a line of the list is no JSON object: {error}") from None
    except ValueError as error:
        reason = explain(error) if hasattr(error, "errors") else str(error)
        raise InvalidRequest(f"submit-begin: a line of the list: {reason}") from None
    return [File(file.path, file.size, file.sha256) for file in offered]
