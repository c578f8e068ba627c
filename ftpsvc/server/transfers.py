"""Content: `put`, `get` and `verify` (docs/protocol.md sections 5 and 6)."""

from __future__ import annotations

from ftpsvc import digests
from ftpsvc.exceptions import BadOffset, Changed, DigestMismatch, InvalidRequest, TooLarge
from ftpsvc.protocol.headers import Content, Get, Put, Stored, Verified, Verify
from ftpsvc.protocol.limits import MAX_SIZE
from ftpsvc.server.exchange import Exchange
from ftpsvc.storage.base import Digest


def put(exchange: Exchange, request: Put) -> Stored:
    """Stores a file: refused before its first byte, or visible when it is answered."""
    place = exchange.session.writing(request.path)
    path = str(place.path)
    if request.offset:
        raise BadOffset(path, request.offset, 0)
    if request.file_size not in (None, request.size):
        raise InvalidRequest("put: file_size is not size, though it begins at 0")
    limit = exchange.limits.file_size
    if limit is not None and request.size > limit:
        raise TooLarge(path, request.size, limit)
    with (
        place as storage,
        storage.create(
            place.inner,
            request.size,
            algorithm=request.algorithm,
            modified=request.modified,
            mode=request.mode,
            clobber=request.clobber,
        ) as upload,
    ):
        try:
            exchange.receive_content(upload.write)
        finally:
            exchange.about["bytes"] = upload.written
        digest = exchange.receive_digest(path)
        exchange.about |= {"algorithm": request.algorithm, "digest": digest}
        entry = upload.commit(digest)
    return Stored(
        path=path,
        file_size=entry.size,
        algorithm=request.algorithm,
        digest=digest,  # the very one that `commit` compared with what was written
        modified=since_1970(entry.modified),
        version=entry.version or None,
    )


def get(exchange: Exchange, request: Get) -> None:
    """Sends a file from an offset on, with the digest of the whole of it."""
    place = exchange.session.reading(request.path)
    path, offset = str(place.path), request.offset
    fresh = digests.new(request.algorithm)
    with place as storage, storage.read(place.inner) as reader:
        entry = reader.entry
        if request.version is not None and request.version != entry.version:
            raise Changed(path)
        if offset > entry.size:
            raise BadOffset(path, offset, entry.size)
        known = entry.digest.value if entry.digest and entry.digest.algorithm == request.algorithm else ""
        if known:
            reader.seek(offset)
        else:
            # The trailer is about the whole file, so what the client has already is read too.
            exchange.hash(reader, fresh, offset, path)
        header = Content(
            size=entry.size - offset,
            file_size=entry.size,
            algorithm=request.algorithm,
            modified=since_1970(entry.modified),
            mode=entry.mode,
            version=entry.version or None,
        )
        try:
            sent = exchange.send_content(header, reader, None if known else fresh, known, path)
        finally:
            exchange.about["bytes"] = header.size - exchange.channel.connection.outgoing_payload
        if sent:
            exchange.about |= {"algorithm": request.algorithm, "digest": sent}
        else:
            exchange.about["result"] = "read-failed"
        if sent and entry.digest is None:
            reader.record(Digest(request.algorithm, sent))


def verify(exchange: Exchange, request: Verify) -> Verified:
    """Reads a file again and compares it with the digest that was recorded when it was stored."""
    place = exchange.session.reading(request.path)
    path = str(place.path)
    with place as storage, storage.read(place.inner) as reader:
        entry = reader.entry
        recorded = entry.digest
        algorithm = recorded.algorithm if recorded else (request.algorithm or digests.DEFAULT)
        hasher = digests.new(algorithm)
        exchange.hash(reader, hasher, entry.size, path)
        reader.check_unchanged()
        found = Digest(algorithm, hasher.hexdigest())
        if recorded is None:
            reader.record(found)
        elif found != recorded:
            damage = DigestMismatch(path, algorithm, recorded.value, found.value)
            damage.retry = False  # what rotted on the disk is no better the next time
            raise damage
    return Verified(
        path=path,
        algorithm=algorithm,
        digest=found.value,
        file_size=entry.size,
        recorded=recorded is not None,
    )


def since_1970(nanoseconds: int) -> int | None:
    """Returns a time as `Time` on the wire can hold it, or None where it cannot."""
    return nanoseconds if 0 <= nanoseconds <= MAX_SIZE else None
