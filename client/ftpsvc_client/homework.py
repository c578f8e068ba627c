"""Handing in: what there is to do, and a hand-in from its files to its receipt.

Source: docs/protocol.md sections 6.22 to 6.24, docs/receipts.md.
"""

from __future__ import annotations

import io
import json
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final, NamedTuple, TypeVar

from pydantic import ValidationError

from ftpsvc.exceptions import (
    BadReceipt,
    ConfigError,
    FtpsvcError,
    HandInRefused,
    InvalidHeader,
    InvalidRequest,
    RemoteProtocolError,
)
from ftpsvc.protocol import headers
from ftpsvc.protocol.connection import ResponseReceived
from ftpsvc.protocol.headers import Header, Response, explain
from ftpsvc.protocol.limits import MAX_PAGE_BYTES
from ftpsvc.protocol.strictjson import decode_object
from ftpsvc.receipts.receipt import Receipt, Refusal
from ftpsvc.receipts.tree import File, tree_sha256
from ftpsvc.text import count
from ftpsvc_client.conversation import Conversation, need
from ftpsvc_client.handin import ALGORITHM, collect, overtaken, send
from ftpsvc_client.link import Link, accepted
from ftpsvc_client.watching import Progress, Unwatched

_SHOWN: Final = 20
"""Names of files that are told one by one."""
_COMMIT_SECONDS: Final = 300.0
"""What a server is granted beyond the time-out to read a hand-in once more and make it durable."""

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)

_Answer = TypeVar("_Answer", bound=Response)
_Line = TypeVar("_Line", bound=Header)


class AssignmentStatus(NamedTuple):
    """An assignment, and how one stands in it. Nothing of it is trusted: escape texts before they are shown.

    Attributes:
        id: What commands and paths call it.
        title: What people call it.
        open: From when on something is accepted. This and the following carry an offset, and have one's extensions.
        due: Later is late.
        close: Later nothing is accepted.
        versions: How many one has handed in.
        counts: Number of the version that counts; None: there is none, or the best one does and nobody told yet which
            that is.
        late_seconds: How late that is; 0 is in time.
        percent: What that takes of its points.
        late_days_used: Late days that it uses.
        points: What it got; None: not known yet.
        max_points: What there is to get.
        required: Patterns of files of which each has to be there.
        optional: Patterns of further files.
        extra: What becomes of others: `drop`, `refuse` or `keep`.
    """

    id: str
    title: str
    open: datetime
    due: datetime
    close: datetime
    versions: int
    counts: int | None
    late_seconds: int
    percent: float
    late_days_used: int
    points: float | None
    max_points: float
    required: tuple[str, ...]
    optional: tuple[str, ...]
    extra: str


class Course(NamedTuple):
    """What there is to be handed in.

    Attributes:
        title: The course's; may be empty.
        now: The server's clock, which decides.
        late_days: Late days that one began with.
        late_days_left: Those that are left.
        assignments: By due time.
    """

    title: str
    now: datetime
    late_days: int
    late_days_left: int
    assignments: tuple[AssignmentStatus, ...]


@dataclass(frozen=True, slots=True)
class Offer:
    """A hand-in that the server would take.

    Attributes:
        assignment: Its id.
        number: What the version would be called.
        wanted: Paths that are sent now, in order.
        held: Paths that the server has already, from an attempt that was interrupted.
        dropped: Paths that are no part of the version, since the assignment does not want them.
        size: Bytes that are sent now.
        due: When it has to be handed in.
        now: The server's clock.
        late: Whether it would be late, in a way that costs something.
        late_seconds: How late, if it were complete now.
        percent: What that takes of the points.
        late_days_used: Late days that it would use.
        late_days_left: Those that there are for it; what the version takes that counts now is free again.
        skipped: Local paths that are no part of it, being links or neither file nor directory.
    """

    assignment: str
    number: int
    wanted: tuple[str, ...]
    held: tuple[str, ...]
    dropped: tuple[str, ...]
    size: int
    due: datetime
    now: datetime
    late: bool
    late_seconds: int
    percent: float
    late_days_used: int
    late_days_left: int
    skipped: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class HandIn:
    """A version that is handed in, with a receipt that was checked: it is genuine, and of exactly these files.

    Attributes:
        assignment: Its id.
        number: The version's.
        path: Where it is on the server.
        received: When it was stored, by the server's clock.
        late_seconds: How late it is.
        percent: What that takes of the points.
        late_days_used: Late days that it uses.
        tree_sha256: Digest of all files (docs/receipts.md section 2).
        files: How many they are.
        dropped: Paths that are no part of it.
        receipt: The receipt, as it was signed.
        signature: Armoured.
        key: Fingerprint of the key that signed.
        kept: Local path of the receipt.
    """

    assignment: str
    number: int
    path: str
    received: datetime
    late_seconds: int
    percent: float
    late_days_used: int
    tree_sha256: str
    files: int
    dropped: tuple[str, ...]
    receipt: bytes
    signature: str
    key: str
    kept: str


class Homework:
    """Assignments and hand-ins over one client's conversation; see `HomeworkCalls`."""

    def __init__(self, client: Conversation) -> None:
        self._client = client

    def assignments(self) -> Course:
        """See `HomeworkCalls.assignments`."""

        def work(link: Link) -> tuple[headers.AssignmentList, list[headers.AssignmentLine]]:
            need(link, "assignments", base=False)
            request = headers.Assignments()
            return _lines(
                link, lambda take: link.submit(request, take), headers.AssignmentList, headers.AssignmentLine
            )

        found, lines = self._client._again(work)
        return Course(
            found.course, _time(found.time), found.late_days, found.late_days_left, tuple(map(_status, lines))
        )

    def submit(
        self,
        assignment: str,
        sources: Sequence[str | os.PathLike[str]],
        *,
        late: bool | Callable[[Offer], bool] = False,
        offered: Callable[[Offer], object] | None = None,
        receipts: str | os.PathLike[str] | None = None,
        progress: Progress | None = None,
    ) -> HandIn:
        """See `HomeworkCalls.submit`."""
        from ftpsvc_client import papers

        work = collect(sources)
        folder = os.fspath(receipts) if receipts is not None else _folder_for(sources)
        watcher = progress or Unwatched()
        try:
            begun, offer = self._offer(assignment, work.files, work.skipped)
            if offered is not None:
                offered(offer)
            if offer.late and not (late(offer) if callable(late) else late):
                error = HandInRefused(
                    f"it would be late ({lateness_text(offer)}), and nobody said yes to that"
                )
                error.hint = "--late hands it in all the same"
                raise error
            watcher.expect(len(offer.wanted), offer.size)
            send(self._client, assignment, work, offer.wanted, begun.path, watcher)
            done = self._commit(assignment, begun, late=offer.late)
        except HandInRefused as error:
            if error.note is not None and error.signature is not None:
                name = f"{assignment}-refused-{datetime.now(UTC):%Y%m%dT%H%M%SZ}"
                papers.keep(folder, error.note.encode(), error.signature, name, Refusal)
            raise
        paper, signature = (
            self._fetch(f"{done.path}/receipt.json"),
            self._fetch(f"{done.path}/receipt.json.sig"),
        )
        text = signature.decode("utf-8", "replace")
        try:
            key = _check(paper, text, assignment, done, work.files, offer)
            kept = papers.keep(folder, paper, text, f"{assignment}-{done.number:04}", Receipt)
        except BadReceipt as error:
            there = f"the server says that it keeps version {done.number}, with that receipt in {done.path}"
            error.hint = there if error.hint is None else f"{there}; {error.hint}"
            raise
        return HandIn(
            assignment, done.number, done.path, _time(done.received), done.late_seconds, done.percent / 100,
            done.late_days_used, done.tree_sha256, len(work.files) - len(offer.dropped), offer.dropped, paper, text,
            key, kept,
        )  # fmt: skip

    def _offer(
        self, assignment: str, files: Sequence[File], skipped: Sequence[str] = ()
    ) -> tuple[headers.HandInBegun, Offer]:
        """Offers files, and makes sure that the server understood which those are."""
        from ftpsvc_client.content import send
        from ftpsvc_client.sources import opened

        content = b"".join(json.dumps(file._asdict()).encode() + b"\n" for file in files)
        try:
            request = headers.SubmitBegin(assignment=assignment, size=len(content), algorithm=ALGORITHM)
        except ValidationError:
            raise ConfigError(
                f"{assignment!r} is no id of an assignment", hint="ftpsvc assignments shows them"
            ) from None

        def work(link: Link) -> tuple[headers.HandInBegun, list[headers.OfferedLine]]:
            need(link, "submit-begin", base=False)
            with opened(content) as (source, _):
                return _lines(
                    link,
                    lambda take: send(link, request, source, Unwatched(), take),
                    headers.HandInBegun,
                    headers.OfferedLine,
                )

        try:
            begun, lines = self._client._again(work)
        except HandInRefused as error:
            links = [path for path in skipped if os.path.basename(path) in error.reason]
            if links:  # what is missing is there, but not as a file
                error.hint = f"left out, being links or no regular files: {named(links)}"
            raise
        states = {line.path: line.state for line in lines}
        if states.keys() != {file.path for file in files} or len(lines) != len(files):
            raise RemoteProtocolError("the server speaks of other files than were offered")
        kept = [file for file in files if states[file.path] != "dropped"]
        if tree_sha256(kept) != begun.tree_sha256:
            raise RemoteProtocolError("the server computes another digest of the same files")
        by_state = {
            state: tuple(file.path for file in files if states[file.path] == state)
            for state in ("wanted", "held", "dropped")
        }
        return begun, Offer(
            assignment, begun.number, by_state["wanted"], by_state["held"], by_state["dropped"],
            sum(file.size for file in files if states[file.path] == "wanted"), _time(begun.due), _time(begun.time),
            begun.late, begun.late_seconds, begun.percent / 100, begun.late_days_used, begun.late_days_left,
            tuple(skipped),
        )  # fmt: skip

    def _commit(self, assignment: str, begun: headers.HandInBegun, *, late: bool) -> headers.HandedIn:
        request = headers.SubmitCommit(
            assignment=assignment, begun=begun.begun, tree_sha256=begun.tree_sha256, late=late
        )
        # Asked twice, it is still one version: the server knows it by `begun` and its digest.
        try:
            return self._client._again(
                lambda link: self._client._ask(link, request, headers.HandedIn, wait=_COMMIT_SECONDS)
            )
        except InvalidRequest:
            raise overtaken(assignment) from None

    def _fetch(self, remote: str) -> bytes:
        def work(link: Link) -> bytes:
            from ftpsvc_client.download import fetch_to_stream

            stream = io.BytesIO()
            fetch_to_stream(
                link, headers.Get(path=remote, algorithm=self._client.algorithm), stream, Unwatched()
            )
            return stream.getvalue()

        return self._client._again(work)


def lateness_text(offer: Offer | HandIn | AssignmentStatus) -> str:
    """Returns how late something is and what that costs, in words; empty where it is in time."""
    if not offer.late_seconds:
        return ""
    parts = [f"{span(offer.late_seconds)} late"]
    if offer.percent:
        parts.append(f"-{offer.percent:g} %")
    if offer.late_days_used:
        used = count(offer.late_days_used, "late day")
        parts.append(
            f"{offer.late_days_used} of {count(offer.late_days_left, 'late day')}"
            if isinstance(offer, Offer)
            else used
        )
    return ", ".join(parts)


def named(paths: Sequence[str]) -> str:
    """Returns names for a person, not too many of them."""
    more = f" and {len(paths) - _SHOWN} more" if len(paths) > _SHOWN else ""
    return f"{', '.join(paths[:_SHOWN])}{more}"


def span(seconds: int) -> str:
    """Returns a time span as people say it, its two largest parts: `2 d 3 h`, `5 min`."""
    minutes, rest = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    parts = [(days, "d"), (hours, "h"), (minutes, "min"), (rest, "s")]
    first = next((place for place, (number, _) in enumerate(parts) if number), len(parts) - 1)
    shown = [f"{number} {unit}" for number, unit in parts[first : first + 2] if number]
    return " ".join(shown) or "0 s"


def _check(
    paper: bytes, signature: str, assignment: str, done: headers.HandedIn, files: Sequence[File], offer: Offer
) -> str:
    """Compares a receipt with what was computed here before anything was sent; returns the key's fingerprint."""
    receipt, key = Receipt.verified(paper, signature)
    ours = [file for file in files if file.path not in offer.dropped]
    if (receipt.assignment, receipt.version) != (assignment, done.number):
        raise BadReceipt("the server's receipt is of another hand-in")
    if receipt.tree != ours:
        raise BadReceipt("the server's receipt is of other files than were handed in")
    return key.fingerprint


def _folder_for(sources: Sequence[str | os.PathLike[str]]) -> str:
    from ftpsvc_client.papers import FOLDER

    alone = os.fspath(sources[0]) if len(sources) == 1 else ""
    return os.path.join(alone, FOLDER) if alone and os.path.isdir(alone) else FOLDER


def _lines(
    link: Link,
    ask: Callable[[Callable[[ResponseReceived], None]], None],
    kind: type[_Answer],
    line: type[_Line],
) -> tuple[_Answer, list[_Line]]:
    """Asks something that is answered with lines."""
    answers: list[tuple[_Answer, list[_Line]]] = []
    errors: list[FtpsvcError] = []

    def take(event: ResponseReceived) -> None:
        if event.error is not None:
            errors.append(event.error)
            return
        answer = accepted(event, kind)
        if event.size > MAX_PAGE_BYTES:
            link.close()
            raise RemoteProtocolError(f"an answer of {event.size} bytes, where {MAX_PAGE_BYTES} are accepted")
        data = bytearray()
        for piece in link.channel.payload(link.pool):
            data += piece
        try:
            found = [line.model_validate(decode_object(text)) for text in bytes(data).splitlines()]
        except ValidationError as error:
            raise InvalidHeader(f"a line of an answer is not what it should be: {explain(error)}") from None
        answers.append((answer, found))

    ask(take)
    while not answers and not errors:
        link.collect()
    if errors:
        raise errors[0]
    return answers[0]


def _status(line: headers.AssignmentLine) -> AssignmentStatus:
    return AssignmentStatus(
        line.id, line.title, _time(line.open), _time(line.due), _time(line.close), line.versions, line.counts,
        line.late_seconds, line.percent / 100, line.late_days_used,
        None if line.points is None else line.points / 100, line.max_points / 100, tuple(line.required),
        tuple(line.optional), line.extra,
    )  # fmt: skip


def _time(nanoseconds: int) -> datetime:
    """Returns a server's time. What no calendar holds is the last moment of ours."""
    try:
        return _EPOCH + timedelta(microseconds=nanoseconds // 1000)
    except OverflowError:
        return datetime.max.replace(tzinfo=UTC)
