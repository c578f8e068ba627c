"""One file, or one's own bytes, to the server."""

from __future__ import annotations

from ftpsvc.protocol.connection import ResponseReceived
from ftpsvc.protocol.headers import Put, Stored
from ftpsvc_client.content import Source, send
from ftpsvc_client.link import Link, accepted
from ftpsvc_client.results import Transfer
from ftpsvc_client.watching import Progress


def store(link: Link, request: Put, source: Source, local: str | None, watcher: Progress) -> Transfer:
    """Stores a file and waits until it is stored for good; the errors are those of `Client.put`.

    Args:
        link: The connection.
        request: What to store, and where.
        source: Where the bytes come from, at its beginning.
        local: Its local path; None for what has none.
        watcher: Is told how it goes on.
    """
    answers: list[ResponseReceived] = []
    done = False
    watcher.begin(local or request.path, source.size)
    try:
        send(link, request, source, watcher, answers.append)
        watcher.verifying()
        link.settle()
        stored = accepted(answers[0], Stored)
        done = True
    finally:
        watcher.end(done=done)
    return Transfer(
        stored.path, local, stored.file_size, stored.algorithm, stored.digest, source.size, stored.version
    )
