"""An update that sends only the blocks that differ from the version that the server has (docs/protocol.md section 5.7).

Two passes over the local file: the first compares its blocks with the server's, while the server reads on; the second
makes the digest of the whole, while the server puts the new file together. Each pass keeps both sides busy.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import NamedTuple

from ftpsvc import digests
from ftpsvc.blocks import (
    DIGEST_BYTES,
    MAX_BLOCK,
    MAX_BLOCKS,
    MIN_BLOCK,
    BlockDigests,
    BlockMap,
    count,
)
from ftpsvc.exceptions import (
    Changed,
    DigestMismatch,
    FtpsvcError,
    NotFound,
    ReadFailed,
    RemoteProtocolError,
)
from ftpsvc.protocol.connection import ResponseReceived
from ftpsvc.protocol.headers import BlockList, Blocks, Patch, Put, Stored
from ftpsvc_client.content import FileSource
from ftpsvc_client.link import Link, accepted
from ftpsvc_client.watching import Progress

SMALLEST = 8 << 20
"""Files from this many bytes on are compared; a smaller one is sent sooner than it is compared."""

_STEP = 16 << 20
"""Bytes that are asked for at once: the server reads the next while these are compared."""
_PROBES = 8
_PROBE = 256 << 10
"""The first look is at so many places of so many bytes: two files that have nothing in common cost no more."""
_SHARE = 2
"""At least one part of so many must be the same, or the file is sent whole."""
_RATE = 20_000_000
"""Bytes per second that a server is granted for reading and writing them before its answer counts as late."""


class Updated(NamedTuple):
    """What an update came to: the server's answer, and the payload bytes that were sent."""

    stored: Stored
    sent: int


def block_size(size: int) -> int:
    """Returns how long blocks are best for a file of `size` bytes: about its square root, a power of two.

    Half a megabyte of digests for a gigabyte, and a change of one byte costs 32 KiB.
    """
    block = max(MIN_BLOCK, 16 << 10)
    while block < MAX_BLOCK and block * block < size:
        block *= 2
    return block


def is_comparable(link: Link, request: Put, size: int) -> bool:
    """Returns whether a file is of a size that is compared, and the server can do its part."""
    fits = SMALLEST <= size <= MAX_BLOCKS * block_size(size)
    return fits and request.clobber and {"blocks", "patch"} <= link.features


def update(link: Link, request: Put, source: FileSource, watcher: Progress) -> Updated | None:
    """Stores a file by what differs from the version that is there.

    Args:
        link: The connection, with nothing unanswered.
        request: What would store it whole.
        source: The file, at its start; there it is again when this returns None.
        watcher: Is told of every piece, in two phases: comparing, sending.

    Returns:
        What was stored; or None where the file is to be sent whole: it is small, there is no version that looks
        like it, the server cannot do this, or the version changed under our hands. Nothing was stored then, and the
        link may have been ended by the server.

    Raises:
        ReadFailed, Changed: The source failed or changed while it was read; nothing was stored.
        FtpsvcError: Any other refusal, or the connection's end.
    """
    if not is_comparable(link, request, source.size):
        return None
    try:
        comparison = _Comparison(link, request, source, block_size(source.size), watcher)
        if comparison.resembles() and comparison.compare():
            return _send(link, request, source, comparison, watcher)
    except _SourceFailed as failed:
        raise failed.error from None
    except (Changed, DigestMismatch, NotFound):
        pass  # the server's version changed under our hands: out of what we know of it nothing can be made
    source.rewind()
    watcher.phase("sending", source.size)
    return None


class _SourceFailed(Exception):
    """Tells the local file's error from one that the server reports in the same words."""

    def __init__(self, error: FtpsvcError) -> None:
        super().__init__(error)
        self.error = error


_Compare = Callable[[int, bytes, bytes], None]
"""Takes the number of the first block, and the digests of it and its neighbours: the server's, and ours."""


class _Comparison:
    """Which blocks of a local file the server has.

    Attributes:
        changed: Those that it does not have.
        version: The version that has the others.
    """

    def __init__(self, link: Link, request: Put, source: FileSource, block: int, watcher: Progress) -> None:
        self.changed = BlockMap(source.size, block)
        self.version: str | None = None
        self._link = link
        self._request = request
        self._source = source
        self._watcher = watcher
        self._there = 0
        self._same = 0
        self._refused = False

    def resembles(self) -> bool:
        """Looks at a few places; returns whether there is a version worth comparing with."""
        number = self.changed.count
        each = max(1, _PROBE // self.changed.block)
        self._ask(0, each, self._probed)
        self._link.settle()
        if self._refused or min(self._there, self._source.size) * _SHARE < self._source.size:
            return False
        for probe in range(1, _PROBES):
            self._ask(probe * number // _PROBES, each, self._probed)
        self._link.settle()
        return self._same > 0

    def compare(self) -> bool:
        """Compares all blocks; returns whether enough of them are the same."""
        self._watcher.phase("comparing", self._source.size)
        self._same = 0
        block, both = self.changed.block, min(self.changed.count, count(self._there, self.changed.block))
        for number in range(both, self.changed.count):
            self.changed.add(number)
        each = max(1, _STEP // block)
        for first in range(0, both, each):
            if self._refused or self.changed.changed * _SHARE > self._source.size:
                break
            self._ask(first, min(each, both - first), self._compared)
        self._link.settle()
        return not self._refused and self.changed.changed * _SHARE <= self._source.size

    def _ask(self, first: int, number: int, compare: _Compare) -> None:
        request = Blocks(
            path=self._request.path,
            algorithm=self._request.algorithm,
            block_size=self.changed.block,
            first=first,
            count=number,
            version=self.version,
        )
        self._link.submit(
            request, partial(self._answered, request, compare), wait=number * self.changed.block / _RATE
        )

    def _answered(self, request: Blocks, compare: _Compare, event: ResponseReceived) -> None:
        if event.error is not None:
            self._refused = True  # whatever it is, the upload itself will meet it and say it better
            return
        found = accepted(event, BlockList)
        if found.size > request.count * DIGEST_BYTES or found.size % DIGEST_BYTES:
            self._link.close()
            raise RemoteProtocolError("the digests of blocks are other than were asked for")
        theirs = b"".join(map(bytes, self._link.channel.payload(self._link.pool)))
        if self.version is None:
            self.version, self._there = found.version, found.file_size
        if found.version != self.version:
            self._refused = True
        if not self._refused:
            compare(request.first, theirs, self._digests(request.first, request.count))

    def _digests(self, first: int, number: int) -> bytes:
        made = BlockDigests(self._request.algorithm, self.changed.block)
        start = first * self.changed.block
        size = min(number * self.changed.block, self._source.size - start)
        for piece in _pieces(self._link, self._source, start, size):
            made.update(piece)
        return bytes(made.finish())

    def _probed(self, first: int, theirs: bytes, ours: bytes) -> None:
        self._same += len(ours) // DIGEST_BYTES - len(_different(theirs, ours))

    def _compared(self, first: int, theirs: bytes, ours: bytes) -> None:
        for at in _different(theirs, ours):
            self.changed.add(first + at)
        block = self.changed.block
        self._watcher.advance(min(len(ours) // DIGEST_BYTES * block, self._source.size - first * block))


def _different(theirs: bytes, ours: bytes) -> list[int]:
    """Returns which of our digests are not theirs, too."""
    if theirs == ours:
        return []
    return [
        at // DIGEST_BYTES
        for at in range(0, len(ours), DIGEST_BYTES)
        if theirs[at : at + DIGEST_BYTES] != ours[at : at + DIGEST_BYTES]
    ]


def _pieces(link: Link, source: FileSource, offset: int, size: int) -> Iterator[memoryview]:
    """Yields a part of the local file; each piece is valid until the next is asked for.

    Raises:
        _SourceFailed: It cannot be read, or is not as long any more.
    """
    with link.pool.borrow(size) as scratch:
        try:
            source.seek(offset)
            while size:
                filled = source.read_into(scratch[: min(size, len(scratch))])
                if not filled:
                    raise _SourceFailed(ReadFailed(source.name, "it became shorter while it was read"))
                yield scratch[:filled]
                size -= filled
        except OSError as error:
            raise _SourceFailed(ReadFailed(source.name, error.strerror or str(error))) from None


def _send(
    link: Link, request: Put, source: FileSource, comparison: _Comparison, watcher: Progress
) -> Updated:
    changed = comparison.changed
    bits = bytes(changed)
    patch = Patch(
        path=request.path, size=len(bits) + changed.changed, file_size=source.size, block_size=changed.block,
        version=comparison.version or "", algorithm=request.algorithm, modified=request.modified, mode=request.mode,
    )  # fmt: skip
    answers: list[ResponseReceived] = []
    channel, connection = link.channel, link.channel.connection
    watcher.phase("sending", changed.changed)
    link.submit(patch, answers.append, wait=2 * source.size / _RATE)
    try:
        channel.send_payload(memoryview(bits))
        for run in changed.runs():
            if run.changed:
                for piece in _pieces(link, source, run.offset, run.size):
                    channel.send_payload(piece)
                    watcher.advance(len(piece))
        channel.flush()  # the server is busy with it while we make the digest
        watcher.verifying()
        hasher = digests.new(request.algorithm)
        for piece in _pieces(link, source, 0, source.size):
            hasher.update(piece)
        if not source.unchanged():
            raise _SourceFailed(Changed(source.name))
    except _SourceFailed as failed:
        if connection.outgoing_payload > link.greeting.limits.drain:
            link.close()
            raise
        channel.send_zeros(connection.outgoing_payload)
        channel.queue(connection.send_trailer(None, failed.error))
        link.settle()
        raise
    channel.queue(connection.send_trailer(hasher.hexdigest()))
    link.settle()
    return Updated(accepted(answers[0], Stored), patch.size)
