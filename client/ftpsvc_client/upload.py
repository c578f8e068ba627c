"""One file, or one's own bytes, to the server; a large one goes on where an earlier upload of it ended."""

from __future__ import annotations

from collections.abc import Callable

from ftpsvc import digests
from ftpsvc.digests import Hasher
from ftpsvc.exceptions import BadOffset, DigestMismatch, ReadFailed, RemoteProtocolError
from ftpsvc.protocol.connection import ResponseReceived
from ftpsvc.protocol.headers import Begin, Begun, Put, Stored
from ftpsvc_client.content import FileSource, Source, send
from ftpsvc_client.delta import Updated, update
from ftpsvc_client.link import Link, accepted
from ftpsvc_client.results import Transfer
from ftpsvc_client.watching import Progress

WORTH_RESUMING = 4 << 20
"""Bytes from which an upload asks first what the server holds: less is sent again in the time that this takes."""

_HASH_RATE = 20_000_000
"""Bytes per second that a server is granted for reading what it holds before its answer counts as late."""


class Resumption:
    """How far the uploads of one file have come, over several connections.

    Attributes:
        offset: Where the last of them went on.
        restart: Whether what the server holds is to be dropped, and not gone on with. Holds for the first time only.
    """

    def __init__(self, *, restart: bool, moved: Callable[[], object]) -> None:
        """Begins to count.

        Args:
            restart: See the attribute.
            moved: Is called when the server holds more than at the time before.
        """
        self.offset = 0
        self.restart = restart
        self._moved = moved
        self._most: int | None = None

    def held(self, offset: int) -> None:
        """Says how many bytes the server holds by now."""
        self.offset = offset
        if self._most is not None and offset > self._most:
            self._moved()
        self._most = max(offset, self._most or 0)


def store(
    link: Link,
    request: Put,
    source: Source,
    local: str | None,
    watcher: Progress,
    resumption: Resumption,
    *,
    relink: Callable[[], Link] | None = None,
) -> Transfer:
    """Stores a file and waits until it is stored for good; the errors are those of `Client.put`.

    Args:
        link: The connection.
        request: What to store, and where.
        source: Where the bytes come from, at its beginning.
        local: Its local path; None for what has none.
        watcher: Is told how it goes on.
        resumption: How far it has come.
        relink: Makes another connection, in the same directory, when an update by blocks cost this one; None: the
            file is sent whole, whatever the server has.
    """
    done = False
    watcher.begin(local or request.path, source.size)
    try:
        updated = None
        if relink is not None and isinstance(source, FileSource):
            updated = update(link, request, source, watcher)
            if updated is None and not link.usable:
                link = relink()
        if updated is None:
            updated = _send_whole(link, request, source, watcher, resumption)
        done = True
    finally:
        watcher.end(done=done)
    stored, sent = updated
    return Transfer(
        stored.path, local, stored.file_size, stored.algorithm, stored.digest, sent, stored.version
    )


def _send_whole(
    link: Link, request: Put, source: Source, watcher: Progress, resumption: Resumption
) -> Updated:
    """Sends what the server does not hold of a file, or all of it where what it held was of no use."""
    try:
        return _send_rest(link, request, source, watcher, resumption)
    except (BadOffset, DigestMismatch):
        # What was gone on with has been dropped: from the beginning it can still become the right file.
        if not link.usable or not resumption.offset:
            raise
        resumption.restart = True
        source.rewind()
        return _send_rest(link, request, source, watcher, resumption)


def _send_rest(
    link: Link, request: Put, source: Source, watcher: Progress, resumption: Resumption
) -> Updated:
    hasher = None
    if is_resumable(link, source.size):
        request, hasher = go_on(link, request, source, resumption)
        watcher.advance(request.offset)
    answers: list[ResponseReceived] = []
    send(link, request, source, watcher, answers.append, hasher)
    watcher.verifying()
    link.settle()
    return Updated(accepted(answers[0], Stored), request.size)


def is_resumable(link: Link, size: int) -> bool:
    """Returns whether an upload of so many bytes asks first what the server holds."""
    return size >= WORTH_RESUMING and "begin" in link.features


def go_on(link: Link, request: Put, source: Source, resumption: Resumption) -> tuple[Put, Hasher]:
    """Asks what the server holds, and leaves the source behind as much of it as is the same (section 5.6).

    Args:
        link: The connection.
        request: The `put` of the whole file.
        source: Where the bytes come from, at its beginning.
        resumption: How far it has come.

    Returns:
        The `put` of what is missing, and a hasher that has seen what comes before it.

    Raises:
        ReadFailed: The source cannot be read.
        FtpsvcError: The refusal, which that of the `put` would be; or the connection's end.
    """
    begin = Begin(
        path=request.path, file_size=source.size, algorithm=request.algorithm, clobber=request.clobber,
        restart=resumption.restart,
    )  # fmt: skip
    wait = source.size / _HASH_RATE
    held = link.call(begin, Begun, wait=wait)
    hasher = digests.new(request.algorithm)
    if held.offset:
        _check(held, begin)
        _read(link, source, held.offset, hasher)
        if not digests.equal(hasher.hexdigest(), held.digest):
            # The beginning of another file: never gone on with, by whatever name and size.
            held = link.call(begin.model_copy(update={"restart": True}), Begun, wait=wait)
            if held.offset:
                raise RemoteProtocolError("the server drops nothing of an upload that is to begin anew")
            source.rewind()
            hasher = digests.new(request.algorithm)
    resumption.restart = False
    resumption.held(held.offset)
    rest = {"offset": held.offset, "size": source.size - held.offset}
    return request.model_copy(update=rest), hasher


def _check(held: Begun, begin: Begin) -> None:
    if held.offset > begin.file_size or held.algorithm != begin.algorithm or begin.restart:
        raise RemoteProtocolError("the server holds something else than was asked for")


def _read(link: Link, source: Source, count: int, hasher: Hasher) -> None:
    with link.pool.borrow(count) as scratch:
        while count:
            piece = scratch[: min(count, len(scratch))]
            try:
                done = source.read_into(piece)
            except OSError as error:
                raise ReadFailed(source.name, error.strerror or str(error)) from None
            if not done:
                raise ReadFailed(source.name, "it became shorter while it was read")
            hasher.update(piece[:done])
            count -= done
