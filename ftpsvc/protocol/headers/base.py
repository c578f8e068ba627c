"""What headers are made of: the base classes, and the types of fields that several headers have.

No module of headers has `from __future__ import annotations`: pydantic would have to compile and evaluate the text of
each annotation again, which is 3 of the 13 ms that all headers took. Source: docs/protocol.md section 2.
"""

from typing import Annotated, Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field
from pydantic_core import PydanticSerializationError

from ftpsvc.exceptions import LocalProtocolError
from ftpsvc.protocol.limits import MAX_SIZE

Size = Annotated[int, Field(ge=0, le=MAX_SIZE)]
"""A number of bytes."""
Time = Annotated[int, Field(ge=0, le=MAX_SIZE)]
"""Nanoseconds since 1970-01-01 UTC."""
Mode = Annotated[int, Field(ge=0, le=0o7777)]
"""POSIX permission bits."""
Algorithm = Annotated[str, Field(min_length=1, max_length=32)]
HexDigest = Annotated[str, Field(min_length=32, max_length=128, pattern="^[0-9a-f]+$")]
Version = Annotated[str, Field(max_length=128)]
Cursor = Annotated[str, Field(max_length=8192)]


class Header(BaseModel):
    """Base of all headers."""

    # defer_build: a command line that only lists must not pay for the schema of every other header.
    model_config = ConfigDict(strict=True, frozen=True, extra="ignore", defer_build=True)

    def encode(self) -> bytes:
        """Returns the JSON of this header; fields that are None are left out.

        Raises:
            LocalProtocolError: A text in it is no Unicode (a lone surrogate), so it cannot be sent.
        """
        try:
            return self.__pydantic_serializer__.to_json(self, exclude_none=True)
        except PydanticSerializationError:
            raise LocalProtocolError("a header holds text that is not valid Unicode") from None


class Response(Header):
    """A successful answer."""

    status: Literal["ok"] = "ok"


class Located(Response):
    """An answer that says where."""

    path: str
    """Absolute, as the server sees it after `.`, `..` and NFC."""


class Request(Header):
    """A request. `answer` is what its successful response looks like, `base` whether every server has it."""

    answer: ClassVar[type[Response]] = Response
    base: ClassVar[bool] = False
    content: ClassVar[bool] = False
    """Whether the request is followed by a payload of content and a trailer."""
    content_answer: ClassVar[bool] = False
    """Whether the response is."""
    payload_answer: ClassVar[bool] = False
    """Whether the response is followed by a payload at all, content or not, be it an empty one."""
    lines_answer: ClassVar[bool] = False
    """Whether that payload is lines."""
    line: ClassVar[type[Header] | None] = None
    """What each of them is; None where there are no lines."""
    content_line: ClassVar[type[Header] | None] = None
    """What the request's own content is lines of; None where it is no lines."""

    op: str


def explain(error: Any) -> str:
    """Returns what is wrong with a header, from pydantic's ValidationError, in one line without the input."""
    first = error.errors(include_url=False, include_input=False)[0]
    where = ".".join(str(part) for part in first["loc"])[:80]
    return f"{where}: {first['msg']}" if where else str(first["msg"])
