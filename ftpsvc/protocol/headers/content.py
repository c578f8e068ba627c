"""The headers of what moves or reads content: `begin`, `put`, `get`, `verify`, and the trailer.

Source: docs/protocol.md sections 5 and 6.
"""

from typing import Annotated, Literal

from pydantic import Field

from ftpsvc.protocol.headers.base import (
    Algorithm,
    Header,
    HexDigest,
    Located,
    Mode,
    Request,
    Response,
    Size,
    Time,
    Version,
)


class Stored(Located):
    """The answer to `put`: durable and visible now."""

    file_size: Size
    algorithm: Algorithm
    digest: HexDigest
    modified: Time | None = None
    version: Version | None = None


class Put(Request):
    """Stores a file, atomically. Followed by `size` bytes and a trailer."""

    answer = Stored
    base = True
    content = True

    op: Literal["put"] = "put"
    path: str
    size: Size
    file_size: Size | None = None
    algorithm: Algorithm
    offset: Size = 0
    """Where in the file the payload begins: what `begin` was answered with."""
    modified: Time | None = None
    mode: Mode | None = None
    clobber: bool = True


class Begun(Located):
    """The answer to `begin`: what the server holds already."""

    offset: Size
    algorithm: Algorithm
    digest: HexDigest
    """Of the first `offset` bytes."""


class Begin(Request):
    """Announces an upload that can be resumed, before a byte of it is sent (docs/protocol.md section 5.6)."""

    answer = Begun

    op: Literal["begin"] = "begin"
    path: str
    file_size: Size
    algorithm: Algorithm
    restart: bool = False
    """Drop what is held: it is of another file."""
    clobber: bool = True


class Content(Response):
    """The answer to `get`. Followed by `size` bytes of payload and a trailer."""

    size: Size
    """Bytes that follow: from `offset` to the end."""
    file_size: Size
    algorithm: Algorithm
    """Algorithm of the trailer's digest."""
    modified: Time | None = None
    mode: Mode | None = None
    version: Version | None = None


class Get(Request):
    """Returns a file's content from `offset` on."""

    answer = Content
    base = True
    content_answer = True
    payload_answer = True

    op: Literal["get"] = "get"
    path: str
    algorithm: Algorithm
    offset: Size = 0
    version: Version | None = None
    """Refuse with `changed` if the file is another version by now."""


class Verified(Located):
    """The answer to `verify`: the content was read again and is what was stored."""

    algorithm: Algorithm
    digest: HexDigest
    file_size: Size
    recorded: bool
    """False when there was no digest from before to compare with (stored or changed by hand): now there is."""


class Verify(Request):
    """Has the server read a stored file again and compare it with the digest recorded when it was stored."""

    answer = Verified

    op: Literal["verify"] = "verify"
    path: str
    algorithm: Algorithm | None = None
    """Algorithm to use where nothing is on record; None is the server's first."""


class TrailerError(Header):
    """Why the sender could not finish. The payload was filled up with zeros."""

    code: Annotated[str, Field(max_length=64)]
    message: Annotated[str, Field(max_length=1000)] = ""


class Trailer(Header):
    """Follows every payload of content: the digest of the whole file, or why there is none."""

    digest: HexDigest | None = None
    error: TrailerError | None = None
