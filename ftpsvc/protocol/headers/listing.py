"""The headers that say what there is: `ls`, `stat`. Source: docs/protocol.md section 6."""

from typing import Annotated, Literal

from pydantic import Field

from ftpsvc.protocol.headers.base import (
    Algorithm,
    Cursor,
    Header,
    HexDigest,
    Located,
    Mode,
    Request,
    Response,
    Size,
    Version,
)
from ftpsvc.protocol.limits import MAX_PAGE, MAX_SIZE


class EntryLine(Header):
    """One line of a listing, and the body of a `stat` answer."""

    name: Annotated[str, Field(max_length=4096)]
    """Of the last component; for a recursive listing the path relative to the directory that was listed."""
    type: Literal["file", "dir", "link", "other"]
    file_size: Size | None = None
    modified: Annotated[int, Field(ge=-MAX_SIZE - 1, le=MAX_SIZE)] | None = None
    """Nanoseconds since 1970-01-01 UTC; may be negative."""
    mode: Mode | None = None
    version: Version | None = None
    algorithm: Algorithm | None = None
    digest: HexDigest | None = None
    note: Annotated[str, Field(max_length=200)] | None = None
    """Why the name cannot be addressed; `name` is then escaped and only for showing."""


class Listing(Response):
    """The answer to `ls`. Followed by `size` bytes of JSON Lines, one `EntryLine` each, and no trailer."""

    size: Size
    path: str | None = None
    cursor: Cursor | None = None
    """Send it back to get the next page; None on the last."""


class Ls(Request):
    """Lists a directory, or one file, in pages."""

    answer = Listing
    base = True
    payload_answer = True
    lines_answer = True
    line = EntryLine

    op: Literal["ls"] = "ls"
    path: str = "."
    recursive: bool = False
    digests: bool = False
    """Whether digests are wanted: those on record, and computed for files that have none."""
    algorithm: Algorithm | None = None
    """Which digests; None is whichever is on record."""
    versions: bool = True
    """Whether versions are wanted: without them a server need not look for what is on record of each file."""
    limit: Annotated[int, Field(ge=1, le=MAX_PAGE)] | None = None
    cursor: Cursor | None = None


class Status(Located):
    """The answer to `stat`."""

    entry: EntryLine


class Stat(Request):
    """Asks what is at a path."""

    answer = Status

    op: Literal["stat"] = "stat"
    path: str
