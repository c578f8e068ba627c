"""Updates that send only the blocks that differ: `blocks` and `patch` (docs/protocol.md section 5.7)."""

from __future__ import annotations

from typing import Final

from ftpsvc.blocks import MAX_BLOCKS, BlockDigests, BlockMap
from ftpsvc.digests import Bytes
from ftpsvc.exceptions import Changed, InvalidRequest, TooLarge
from ftpsvc.protocol.headers import BlockList, Blocks, Patch, Stored
from ftpsvc.server.exchange import Exchange
from ftpsvc.server.transfers import since_1970
from ftpsvc.storage.base import Upload

_CLIENT_RATE: Final = 20_000_000
"""Bytes per second that a client is granted for hashing what it does not send."""


def blocks(exchange: Exchange, request: Blocks) -> None:
    """Answers with the digests of neighbouring blocks of a file."""
    place = exchange.session.reading(request.path)
    path = str(place.path)
    found = BlockDigests(request.algorithm, request.block_size)
    with place as storage, storage.read(place.inner) as reader:
        entry = reader.entry
        if request.version is not None and request.version != entry.version:
            raise Changed(path)
        start = min(request.first * request.block_size, entry.size)
        reader.seek(start)
        exchange.hash(reader, found, min(request.count * request.block_size, entry.size - start), path)
        reader.check_unchanged()
    digests = found.finish()
    header = BlockList(path=path, size=len(digests), file_size=entry.size, version=entry.version)
    exchange.send_page(header, digests)
    # At once, though more may be asked already: while we read on, the client compares.
    exchange.channel.flush()


def patch(exchange: Exchange, request: Patch) -> Stored:
    """Stores a file of which only some blocks are sent, the rest being those of the version that is there."""
    session = exchange.session
    session.reading(request.path)
    place = session.writing(request.path)
    path = str(place.path)
    _length_of_map(request)  # before anything is reserved for it
    limit = exchange.limits.file_size
    if limit is not None and request.file_size > limit:
        raise TooLarge(path, request.file_size, limit)
    with place as storage, storage.read(place.inner) as base:
        if base.entry.version != request.version:
            raise Changed(path)
        with storage.create(
            place.inner,
            request.file_size,
            algorithm=request.algorithm,
            modified=request.modified,
            mode=request.mode,
        ) as upload:
            sent = _Sent(request, base.entry.size, upload)
            try:
                exchange.receive_content(sent.write)
            finally:
                exchange.about["bytes"] = sent.placed
            exchange.put_together(upload, base, sent.blocks.runs())
            digest = exchange.receive_digest(path, wait=request.file_size / _CLIENT_RATE)
            exchange.about |= {"algorithm": request.algorithm, "digest": digest}
            base.check_unchanged()
            entry = upload.commit(digest)
    return Stored(
        path=path,
        file_size=entry.size,
        algorithm=request.algorithm,
        digest=digest,
        modified=since_1970(entry.modified),
        version=entry.version or None,
    )


def _length_of_map(request: Patch) -> int:
    """Returns how many bytes of the payload are its map.

    Raises:
        InvalidRequest: The payload has no room for it, or the map would be too long.
    """
    if request.file_size > MAX_BLOCKS * request.block_size:
        raise InvalidRequest(f"patch: the file has more than {MAX_BLOCKS} blocks")
    length = BlockMap.length(request.file_size, request.block_size)
    if request.size < length:
        raise InvalidRequest("patch: the payload is shorter than the map")
    return length


class _Sent:
    """The payload of a `patch` as it comes: first the map, then the blocks that it marks, each to its place.

    Attributes:
        blocks: The map, once it has come.
        placed: Bytes of blocks that came.
    """

    def __init__(self, request: Patch, base: int, upload: Upload) -> None:
        """Takes what the map has to fit to: the request, and the length of the file that it is based on."""
        self._missing = _length_of_map(request)
        self.blocks = BlockMap(request.file_size, request.block_size)
        self.placed = 0
        self._request = request
        self._base = base
        self._upload = upload
        self._begun = bytearray()
        self._runs = self.blocks.runs()
        self._at = self._end = 0
        if not self._missing:
            self._read_map()

    def write(self, data: Bytes) -> None:
        """Takes the next piece of the payload.

        Raises:
            InvalidRequest: The map is not one of this file.
        """
        view = memoryview(data)
        if self._missing:
            part = view[: self._missing]
            self._begun += part
            self._missing -= len(part)
            view = view[len(part) :]
            if self._missing:
                return
            self._read_map()
        while view:
            if self._at == self._end:
                run = next(run for run in self._runs if run.changed)
                self._at, self._end = run.offset, run.offset + run.size
            piece = view[: self._end - self._at]
            self._upload.place(piece, self._at)
            self._at += len(piece)
            self.placed += len(piece)
            view = view[len(piece) :]

    def _read_map(self) -> None:
        request = self._request
        try:
            self.blocks = BlockMap(request.file_size, request.block_size, bytes(self._begun))
        except ValueError:
            raise InvalidRequest("patch: the map marks blocks that the file does not have") from None
        if len(self._begun) + self.blocks.changed != request.size:
            raise InvalidRequest("patch: the payload is not as long as the blocks that the map marks")
        if any(not run.changed and run.offset + run.size > self._base for run in self.blocks.runs()):
            raise InvalidRequest("patch: the map leaves out blocks that the version does not have")
        self._runs = self.blocks.runs()
