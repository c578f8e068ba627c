"""The rules, without sockets: which operations there are, what each one needs, and what it does.

A request reaches its handler through the table `OPERATIONS`, by its name and in no other way: nothing is looked up by a
name from the wire anywhere else. Source: docs/protocol.md section 6.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import ftpsvc
from ftpsvc import digests
from ftpsvc.exceptions import (
    AlreadyExists,
    FtpsvcError,
    NotADirectory,
    PermissionDenied,
    ProtocolError,
    TransportError,
    UnknownOperation,
)
from ftpsvc.protocol.connection import RequestReceived
from ftpsvc.protocol.headers import (
    Cd,
    Df,
    Greeting,
    Located,
    Made,
    Mkdir,
    Mv,
    Pwd,
    Removed,
    Response,
    Rm,
    Room,
    Stat,
    Status,
    Window,
)
from ftpsvc.protocol.limits import MAX_HEADER, MAX_HEADER_BEFORE_LOGIN
from ftpsvc.server import log, trail
from ftpsvc.server.batch import SMALL, Later, Waiting
from ftpsvc.server.config import Settings
from ftpsvc.server.delta import blocks, patch
from ftpsvc.server.exchange import Exchange, Fatal
from ftpsvc.server.listing import describe, ls
from ftpsvc.server.login import Logins, auth, issue_token, revoke_token, set_password, whoami
from ftpsvc.server.session import Rights, Session
from ftpsvc.server.transfers import begin, get, put, stored, verify
from ftpsvc.storage import nearby
from ftpsvc.storage.base import Entry

FEATURES: Final = (
    "stat", "pwd", "mkdir", "rm", "mv", "df", "verify", "begin", "blocks", "patch",
    "offset", "version", "pages", "recursive", "digests", "no-clobber",
)  # fmt: skip
"""What the greeting announces beyond the base profile: names of ops and options."""

ACCOUNT_FEATURES: Final = ("auth", "whoami", "set-password", "issue-token", "revoke-token")
"""What it announces besides where there are accounts."""

_WORTH_A_WARNING: Final = frozenset({"digest-mismatch", "no-space", "read-failed", "unavailable"})

_log = logging.getLogger("ftpsvc.server.service")


@dataclass(frozen=True, slots=True)
class Operation:
    """What an op is.

    Attributes:
        handle: Does it, and returns the answer, or None when it has sent one itself.
        writes: Whether it changes anything, and so needs the right to.
        open: Whether it is served before a log-in.
        kept: Whether the audit keeps each of these, as it does those of `trail.KEPT`.
    """

    handle: Callable[[Exchange, Any], Response | Later | None]
    writes: bool = False
    open: bool = False
    kept: bool = False


def greeting(
    session: Session, settings: Settings, logins: Logins | None, further: Sequence[str] = ()
) -> Greeting:
    """Returns what the server says first; `further` are the features of extensions, which need accounts."""
    limits = settings.limits
    return Greeting(
        algorithms=list(digests.ALGORITHMS),
        software=f"ftpsvc {ftpsvc.__version__}",
        mechanisms=[] if logins is None else logins.mechanisms(session),
        features=[*FEATURES, *((*ACCOUNT_FEATURES, *further) if logins is not None else ())],
        guest=session.rights.value,
        limits=Window(
            header=max_header(session),
            window=limits.window,
            window_bytes=limits.window_bytes,
            drain=limits.drain,
            file_size=limits.file_size,
            page=limits.page,
        ),
        time=time.time_ns(),
        banner=settings.banner,
    )


def max_header(session: Session) -> int:
    """Returns the longest header accepted from a session: guests that are served count as logged in."""
    return MAX_HEADER_BEFORE_LOGIN if session.rights is Rights.NONE else MAX_HEADER


def answer(exchange: Exchange, event: RequestReceived) -> None:
    """Serves one request: whatever comes of it, one answer is queued, now or with those of a batch.

    Raises:
        Fatal: It was refused, and the connection cannot go on.
        TransportError, RemoteProtocolError: The connection broke.
    """
    started = time.monotonic()
    outcome: BaseException | None = None
    kept = False
    batch = exchange.batch
    if batch and (event.op != "put" or event.request is None or event.size > SMALL):
        exchange.settle()
    if event.op not in ("put", "get"):
        nearby.leave()  # it may move or remove directories
    exchange.about = {}
    try:
        response = _serve(exchange, event)
        if isinstance(response, Later):
            batch.add(Waiting(event, response, exchange.about, started))
            if batch.full:
                exchange.settle()
            return
        # Before the answer is sent: what a client was told, the audit knows.
        kept = True
        _write_down(exchange, event, None, started)
        if response is not None:
            exchange.channel.queue(exchange.channel.connection.send_response(response))
    except BaseException as error:
        outcome = error.error if isinstance(error, Fatal) else error
        if not kept:
            _write_down(exchange, event, outcome, started)
        if isinstance(error, ProtocolError | TransportError) or not isinstance(error, FtpsvcError):
            raise
        exchange.settle()
        exchange.refuse(error)
    _note(exchange, event, outcome if isinstance(outcome, FtpsvcError) else None, started)


def settle(exchange: Exchange) -> None:
    """Commits the uploads that wait, and queues their answers in the order of the requests.

    Raises:
        TransportError: The connection broke.
    """
    waiting = exchange.batch.close()
    if not waiting:
        return
    about = exchange.about
    try:
        for one, outcome in zip(waiting, _commit(waiting), strict=True):
            request, path = one.later.request, str(one.later.place.path)
            refusal = outcome if isinstance(outcome, FtpsvcError) else None
            exchange.about = one.about
            _write_down(exchange, one.event, refusal, one.started)
            connection = exchange.channel.connection
            if isinstance(outcome, FtpsvcError):
                exchange.channel.queue(connection.send_error(outcome))
            else:
                answered = stored(request, path, one.later.digest, outcome)
                exchange.channel.queue(connection.send_response(answered))
            _note(exchange, one.event, refusal, one.started)
    finally:
        exchange.about = about


def _commit(waiting: list[Waiting]) -> list[Entry | FtpsvcError]:
    """Commits uploads, those of each storage together; errors name paths as the client knows them."""
    outcomes: dict[int, Entry | FtpsvcError] = {}
    try:
        for storage in {id(one.later.place.storage): one.later.place.storage for one in waiting}.values():
            here = [number for number, one in enumerate(waiting) if one.later.place.storage is storage]
            uploads = [(waiting[number].later.upload, waiting[number].later.digest) for number in here]
            outcomes |= zip(here, storage.commit_all(uploads), strict=True)
    finally:
        for one in waiting:
            one.later.upload.abort()  # does nothing after a commit
    for number, outcome in outcomes.items():
        if isinstance(outcome, FtpsvcError):
            waiting[number].later.place.__exit__(type(outcome), outcome, None)
    return [outcomes[number] for number in range(len(waiting))]


def _write_down(
    exchange: Exchange, event: RequestReceived, outcome: BaseException | None, started: float
) -> None:
    """Tells the audit about a request, if it is one that it keeps."""
    audit = exchange.audit
    if audit is not None:
        trail.request(audit, exchange, event, outcome, time.monotonic() - started)


def _serve(exchange: Exchange, event: RequestReceived) -> Response | Later | None:
    if exchange.logins is not None:
        exchange.logins.check_still(exchange)
    operation = exchange.operations.get(event.op)
    # What there is and what there is not is nobody's business before a log-in.
    if operation is None or not operation.open:
        exchange.session.check(writes=operation is not None and operation.writes)
    if operation is None or event.request is None:
        # An op of the protocol that only an extension serves is unknown to a server without it.
        raise event.error or UnknownOperation(f"this server has no operation {event.op}")
    return operation.handle(exchange, event.request)


def _note(exchange: Exchange, event: RequestReceived, refusal: FtpsvcError | None, started: float) -> None:
    """Logs a request: a line for each is for whoever asks for it, the server's own troubles are for everybody."""
    level = logging.WARNING if refusal is not None and refusal.code in _WORTH_A_WARNING else logging.DEBUG
    if _log.isEnabledFor(level):
        log.event(
            _log,
            level,
            "request",
            session=exchange.session.number,
            op=event.op,
            path=getattr(event.request, "path", None),
            to=getattr(event.request, "to", None),
            size=event.size if event.content else None,
            result="ok" if refusal is None else refusal.code,
            reason=None if refusal is None else str(refusal),
            seconds=round(time.monotonic() - started, 6),
        )


# ---------------------------------------------------------------- handlers without content


def stat(exchange: Exchange, request: Stat) -> Status:
    """Says what is at a path."""
    place = exchange.session.reading(request.path)
    with place as storage:
        entry = storage.stat(place.inner)
    return Status(path=str(place.path), entry=describe(entry, entry.digest))


def cd(exchange: Exchange, request: Cd) -> Located:
    """Changes the session's directory, if there is such a one."""
    place = exchange.session.reading(request.path)
    with place as storage:
        if storage.stat(place.inner).kind != "dir":
            raise NotADirectory(str(place.inner))
    exchange.session.directory = place.path
    return Located(path=str(place.path))


def pwd(exchange: Exchange, request: Pwd) -> Located:
    """Says what the session's directory is."""
    return Located(path=str(exchange.session.directory))


def mkdir(exchange: Exchange, request: Mkdir) -> Made:
    """Makes a directory."""
    session = exchange.session
    path = session.path(request.path)
    if session.namespace.is_mount_point(path):
        if not request.parents:
            raise AlreadyExists(str(path))
        return Made(path=str(path), created=False)
    place = session.writing(request.path)
    with place as storage:
        created = storage.make_directory(place.inner, parents=request.parents)
    return Made(path=str(place.path), created=created)


def rm(exchange: Exchange, request: Rm) -> Removed:
    """Removes a file or directory."""
    place = exchange.session.writing(request.path)
    exchange.session.namespace.check_movable(place.path)
    with place as storage:
        return Removed(removed=storage.remove(place.inner, recursive=request.recursive))


def mv(exchange: Exchange, request: Mv) -> Located:
    """Gives a file or directory another path, within one mount."""
    session = exchange.session
    source, target = session.writing(request.path), session.writing(request.to)
    for place in (source, target):
        session.namespace.check_movable(place.path)
    if source.mount is not target.mount:
        raise PermissionDenied("it cannot be moved to another part of the server", str(source.path))
    with source as storage:
        storage.rename(source.inner, target.inner, clobber=request.clobber)
    return Located(path=str(target.path))


def df(exchange: Exchange, request: Df) -> Room:
    """Says how much room there is where the session is."""
    place = exchange.session.namespace.resolve(exchange.session.directory)
    with place as storage:
        space = storage.space()
    return Room(limit=space.limit, used=space.used, reserved=space.reserved, free=space.free)


OPERATIONS: Final[dict[str, Operation]] = {
    "put": Operation(put, writes=True),
    "begin": Operation(begin, writes=True),
    "get": Operation(get),
    "ls": Operation(ls),
    "stat": Operation(stat),
    "cd": Operation(cd),
    "pwd": Operation(pwd),
    "mkdir": Operation(mkdir, writes=True),
    "rm": Operation(rm, writes=True),
    "mv": Operation(mv, writes=True),
    "df": Operation(df),
    "verify": Operation(verify),
    "blocks": Operation(blocks),
    "patch": Operation(patch, writes=True),
    "auth": Operation(auth, open=True),
    "whoami": Operation(whoami, open=True),
    "set-password": Operation(set_password),
    "issue-token": Operation(issue_token),
    "revoke-token": Operation(revoke_token),
}
"""Every op but `quit`, which ends the conversation and needs no right."""
