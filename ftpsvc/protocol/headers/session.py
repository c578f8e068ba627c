"""The headers that a conversation is made of, whatever it is about: greeting, refusal, directory, end.

Source: docs/protocol.md sections 3 and 6.1.
"""

from typing import Annotated, ClassVar, Literal

from pydantic import ConfigDict, Field

from ftpsvc.protocol.headers.base import Algorithm, Header, Request, Size, Time


class Window(Header):
    """What the server takes at most. All are optional; a peer that says nothing gets the careful value."""

    header: Annotated[int, Field(ge=256, le=65536)] = 4096
    """Longest header in bytes."""
    window: Annotated[int, Field(ge=1)] = 1
    """Unanswered requests."""
    window_bytes: Annotated[int, Field(ge=4096)] = 65536
    """Header bytes of unanswered requests."""
    drain: Size = 0
    """Payload bytes of a refused request that are read and dropped; beyond, the connection is closed."""
    file_size: Size | None = None
    """Largest file; None is no limit but the disk."""
    page: Annotated[int, Field(ge=1)] = 1000
    """Most entries of a page of `ls`."""


class Greeting(Header):
    """The first message, from the server."""

    always: ClassVar[tuple[str, ...]] = ("service", "version")
    """Keys that are never left out, though they have defaults here: they tell a greeting from other JSON."""

    service: Literal["ftpsvc"] = "ftpsvc"
    version: Annotated[int, Field(ge=1)] = 1
    """Protocol version. A client goes on with any version of at least 1 and uses what the greeting announces."""
    algorithms: Annotated[list[Algorithm], Field(min_length=1, max_length=16)]
    """Digest algorithms in the server's order of preference."""
    software: Annotated[str, Field(max_length=80)] | None = None
    mechanisms: list[str] = []  # noqa: RUF012  # pydantic copies it for each greeting
    """Log-in mechanisms. Empty: nobody can log in."""
    features: list[str] = []  # noqa: RUF012
    """What the server has beyond the base profile: names of ops and options."""
    guest: Literal["none", "read", "write"] | None = None
    """What a client may do that does not log in. None (the base profile): whatever the server allows."""
    limits: Window = Field(default_factory=Window)
    time: Time | None = None
    banner: Annotated[str, Field(max_length=2000)] | None = None


class ErrorResponse(Header):
    """An answer that refuses. Numbers that belong to the error stand beside these fields."""

    model_config = ConfigDict(extra="allow")

    status: Literal["error"] = "error"
    code: Annotated[str, Field(min_length=1, max_length=64)]
    """Stable slug (docs/protocol.md section 7)."""
    message: Annotated[str, Field(max_length=8192)] = ""
    """A sentence for a person."""
    fatal: bool = False
    """Whether the server closes the connection after this."""
    retry: bool = False
    """Whether the same request may succeed later unchanged."""


class Quit(Request):
    """Ends the conversation politely."""

    base = True

    op: Literal["quit"] = "quit"
