"""Content: `begin`, `put`, `get` and `verify` (docs/protocol.md sections 5 and 6)."""

from __future__ import annotations

from ftpsvc import digests
from ftpsvc.exceptions import (
    BadOffset,
    Changed,
    DigestMismatch,
    FtpsvcError,
    InvalidRequest,
    ProtocolError,
    ReadFailed,
    TooLarge,
    TransportError,
)
from ftpsvc.protocol import headers
from ftpsvc.protocol.headers import Begin, Content, Get, Put, Stored, Verified, Verify
from ftpsvc.protocol.limits import MAX_SIZE
from ftpsvc.server.batch import Later
from ftpsvc.server.exchange import Exchange
from ftpsvc.server.namespace import Place
from ftpsvc.server.session import Started
from ftpsvc.storage.base import Digest, Entry, Storage, Upload


def put(exchange: Exchange, request: Put) -> Stored | Later:
    """Stores a file: refused before its first byte, or visible when it is answered. A small one may wait for others."""
    place = exchange.session.writing(request.path)
    path = exchange.about["path"] = str(place.path)
    started = exchange.session.started
    if started is not None and started.path == place.path:
        exchange.settle()
        return _go_on(exchange, request, place, started)
    if request.offset:
        raise BadOffset(path, request.offset, 0, held=0)
    if request.file_size not in (None, request.size):
        raise InvalidRequest("put: file_size is not size, though it begins at 0")
    limit = exchange.limits.file_size
    if limit is not None and request.size > limit:
        raise TooLarge(path, request.size, limit)
    with place as storage:
        upload = _create(exchange, request, place, storage)
        waits = False
        try:
            digest = _receive(exchange, request, path, upload)
            waits = exchange.batch.may_wait(request)
            if waits:
                return Later(request, place, upload, digest)
            exchange.settle()
            return stored(request, path, digest, upload.commit(digest))
        finally:
            if not waits:
                upload.abort()


def _create(exchange: Exchange, request: Put, place: Place, storage: Storage) -> Upload:
    """Starts an upload after whatever it may depend on is done."""
    if exchange.batch.touches(place.path.parts):
        exchange.settle()
    while True:
        try:
            return storage.create(
                place.inner,
                request.size,
                algorithm=request.algorithm,
                modified=request.modified,
                mode=request.mode,
                clobber=request.clobber,
                owner=exchange.session.owner,
            )
        except FtpsvcError:
            if not exchange.batch:
                raise
            exchange.settle()  # once those that wait are in place it may look otherwise


def begin(exchange: Exchange, request: Begin) -> headers.Begun:
    """Says what is held of an upload, and takes its path until the `put` that goes on with it."""
    session = exchange.session
    session.let_go()
    place = session.writing(request.path)
    path, limit = str(place.path), exchange.limits.file_size
    if limit is not None and request.file_size > limit:
        raise TooLarge(path, request.file_size, limit)

    def end() -> None:
        session.superseded = True
        exchange.channel.interrupt()

    exchange.channel.flush()  # what is held may have to be waited for and hashed: nobody waits for that with us
    with place as storage:
        upload = storage.begin(
            place.inner,
            request.file_size,
            algorithm=request.algorithm,
            owner=session.owner,
            evict=end,
            restart=request.restart,
            clobber=request.clobber,
            look=exchange.check,
        )
    session.started = Started(place.path, upload, request.file_size, request.algorithm)
    return headers.Begun(
        path=path, offset=upload.written, algorithm=request.algorithm, digest=upload.digest()
    )


def _go_on(exchange: Exchange, request: Put, place: Place, started: Started) -> Stored:
    """Takes the rest of an upload that was begun. What has come of it stays when the client does not."""
    path, upload = str(place.path), started.upload
    held = upload.written
    if request.offset != held:
        exchange.session.let_go()
        raise BadOffset(path, request.offset, held, held=held)
    size = request.size if request.file_size is None and not held else request.file_size
    if (size, request.algorithm) != (started.size, started.algorithm) or held + request.size != size:
        exchange.session.let_go()
        raise InvalidRequest("put: sizes and algorithm are not those that begin announced")
    exchange.session.started = None
    upload.describe(modified=request.modified, mode=request.mode, clobber=request.clobber)
    with place, upload:
        try:
            digest = _receive(exchange, request, path, upload)
            entry = upload.commit(digest)
        except (TransportError, ProtocolError):
            upload.suspend()
            raise
        except ReadFailed:
            upload.suspend(held)  # zeros may stand for what the client could not read
            raise
    return stored(request, path, digest, entry)


def _receive(exchange: Exchange, request: Put, path: str, upload: Upload) -> str:
    """Takes the content of an upload, and returns the sender's digest."""
    before = upload.written
    try:
        exchange.receive_content(upload.write)
    finally:
        exchange.about["bytes"] = upload.written - before
    digest = exchange.receive_digest(path)
    exchange.about |= {"algorithm": request.algorithm, "digest": digest}
    return digest


def stored(request: Put, path: str, digest: str, entry: Entry) -> Stored:
    """Returns the answer to a `put` that is done."""
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
    exchange.about["path"] = path
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
