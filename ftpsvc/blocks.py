"""Files as rows of blocks: what both sides of an update by blocks have to agree on (docs/protocol.md section 5.7).

A file is cut into blocks of one size, the last of which may be shorter. The digest of a block only finds what differs;
that the whole is right is proved by the digest of the whole file. So sixteen bytes of it do.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NamedTuple

from ftpsvc import digests
from ftpsvc.digests import Bytes

DIGEST_BYTES: Final = 16
"""What is kept of a block's digest."""
MIN_BLOCK: Final = 4096
MAX_BLOCK: Final = 16 << 20
MAX_BLOCKS: Final = 1 << 20
"""Most blocks of a file that is updated: their map has 128 KiB then."""
MAX_ASKED: Final = 1 << 16
"""Most blocks of one answer: 1 MiB of digests, held in memory."""


class Run(NamedTuple):
    """Neighbouring blocks that are treated alike.

    Attributes:
        offset: Where in the file they begin, in bytes.
        size: How many bytes they have.
        changed: Whether they are sent; else they are as they were.
    """

    offset: int
    size: int
    changed: bool


def count(size: int, block: int) -> int:
    """Returns how many blocks a file of `size` bytes has."""
    return -(-size // block)


class BlockDigests:
    """The digests of a row of blocks, from pieces of any length.

    Attributes:
        found: Those that are complete, one after the other.
    """

    __slots__ = ("_algorithm", "_begun", "_block", "_digest", "_held", "found")

    def __init__(self, algorithm: str, block: int) -> None:
        """Takes a name of `ftpsvc.digests`, and the length of a block in bytes.

        Raises:
            InvalidRequest: There is no such algorithm.
        """
        self.found = bytearray()
        self._algorithm = algorithm
        self._block = block
        self._digest = digests.one_shot(algorithm)
        self._begun = digests.new(algorithm)
        self._held = 0

    def update(self, piece: Bytes) -> None:
        """Takes the next piece."""
        view = memoryview(piece)
        if self._held:
            rest = self._block - self._held
            self._begin(view[:rest])
            view = view[rest:]
        whole = len(view) // self._block * self._block
        for at in range(0, whole, self._block):
            self.found += self._digest(view[at : at + self._block])[:DIGEST_BYTES]
        if whole < len(view):
            self._begin(view[whole:])

    def finish(self) -> bytearray:
        """Ends the last block, if it is a short one, and returns all digests."""
        if self._held:
            self.found += bytes.fromhex(self._begun.hexdigest())[:DIGEST_BYTES]
            self._begun = digests.new(self._algorithm)
            self._held = 0
        return self.found

    def _begin(self, view: memoryview) -> None:
        self._begun.update(view)
        self._held += len(view)
        if self._held == self._block:
            self.finish()


class BlockMap:
    """Which blocks of a file differ from the version that the receiver has: one bit each, the lowest of a byte first.

    Attributes:
        size: Length of the file in bytes.
        block: Length of a block.
        count: How many there are.
    """

    __slots__ = ("_bits", "block", "count", "size")

    def __init__(self, size: int, block: int, bits: bytes | None = None) -> None:
        """Makes a map; without `bits` no block differs.

        Raises:
            ValueError: `bits` has another length than such a map, or a bit behind the last block.
        """
        self.size = size
        self.block = block
        self.count = count(size, block)
        self._bits = bytearray(self.length(size, block)) if bits is None else bytearray(bits)
        spare = len(self._bits) * 8 - self.count
        if len(self._bits) != self.length(size, block) or (spare and self._bits[-1] >> (8 - spare)):
            raise ValueError("a map has other bits than the file has blocks")

    @staticmethod
    def length(size: int, block: int) -> int:
        """Returns the length of a map in bytes."""
        return -(-count(size, block) // 8)

    def add(self, number: int) -> None:
        """Notes that a block differs."""
        self._bits[number >> 3] |= 1 << (number & 7)

    def __contains__(self, number: int) -> bool:
        return bool(self._bits[number >> 3] >> (number & 7) & 1)

    def __bytes__(self) -> bytes:
        return bytes(self._bits)

    @property
    def changed(self) -> int:
        """How many bytes the blocks that differ have."""
        blocks = int.from_bytes(self._bits).bit_count()
        if self.count and self.count - 1 in self:
            return blocks * self.block - (self.count * self.block - self.size)
        return blocks * self.block

    def runs(self) -> Iterator[Run]:
        """Yields the file from its start to its end, in runs that are as long as they can be."""
        first = 0
        while first < self.count:
            changed = first in self
            last = first + 1
            while last < self.count and (last in self) is changed:
                last += 1
            start = first * self.block
            yield Run(start, min(last * self.block, self.size) - start, changed)
            first = last
