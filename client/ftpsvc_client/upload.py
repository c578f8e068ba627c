"""One file, or one's own bytes, to the server."""

from __future__ import annotations

from collections.abc import Callable

from ftpsvc.protocol.connection import ResponseReceived
from ftpsvc.protocol.headers import Put, Stored
from ftpsvc_client.content import FileSource, Source, send
from ftpsvc_client.delta import Updated, update
from ftpsvc_client.link import Link, accepted
from ftpsvc_client.results import Transfer
from ftpsvc_client.watching import Progress


def store(
    link: Link,
    request: Put,
    source: Source,
    local: str | None,
    watcher: Progress,
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
        relink: Makes another connection, in the same directory, when an update by blocks cost this one; None: the
            file is sent whole, whatever the server has.
    """
    answers: list[ResponseReceived] = []
    done = False
    watcher.begin(local or request.path, source.size)
    try:
        updated = None
        if relink is not None and isinstance(source, FileSource):
            updated = update(link, request, source, watcher)
        if updated is None:
            if relink is not None and not link.usable:
                link = relink()
            send(link, request, source, watcher, answers.append)
            watcher.verifying()
            link.settle()
            updated = Updated(accepted(answers[0], Stored), source.size)
        stored, sent = updated
        done = True
    finally:
        watcher.end(done=done)
    return Transfer(
        stored.path, local, stored.file_size, stored.algorithm, stored.digest, sent, stored.version
    )
