"""The headers of an update that sends only the blocks that differ: `blocks`, `patch`.

Source: docs/protocol.md sections 5.7, 6.19 and 6.20.
"""

from typing import Annotated, Literal

from pydantic import Field

from ftpsvc.blocks import MAX_ASKED, MAX_BLOCK, MIN_BLOCK
from ftpsvc.protocol.headers.base import Algorithm, Located, Mode, Request, Size, Time, Version
from ftpsvc.protocol.headers.content import Stored

BlockSize = Annotated[int, Field(ge=MIN_BLOCK, le=MAX_BLOCK)]


class BlockList(Located):
    """The answer to `blocks`. Followed by `size` bytes: sixteen for each block."""

    size: Size
    file_size: Size
    version: Version
    """Of the file that they are of: `patch` names it."""


class Blocks(Request):
    """Asks for the digests of some neighbouring blocks of a file."""

    answer = BlockList
    payload_answer = True

    op: Literal["blocks"] = "blocks"
    path: str
    algorithm: Algorithm
    block_size: BlockSize
    first: Size = 0
    """Number of the first block wanted, from 0."""
    count: Annotated[int, Field(ge=1, le=MAX_ASKED)] = MAX_ASKED
    version: Version | None = None
    """Refuse with `changed` if the file is another version by now."""


class Patch(Request):
    """Stores a file, atomically, of which many blocks are those of the version that is there."""

    answer = Stored
    content = True

    op: Literal["patch"] = "patch"
    path: str
    size: Size
    """Bytes that follow: the map, and the blocks that differ."""
    file_size: Size
    block_size: BlockSize
    version: Version
    """What the server must still have."""
    algorithm: Algorithm
    modified: Time | None = None
    mode: Mode | None = None
