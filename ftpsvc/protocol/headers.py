"""Every header of the protocol as a pydantic model.

Requests are told apart by `op` (the table `REQUESTS`), a response by the request that it answers (`Request.answer`),
a trailer by its place after a payload. Unknown keys are ignored: that is how the protocol grows.
docs/protocol.schema.json is generated from these classes. Source: docs/protocol.md sections 2 to 7.
"""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field
from pydantic_core import PydanticSerializationError

from ftpsvc.exceptions import LocalProtocolError
from ftpsvc.protocol.limits import MAX_PAGE, MAX_SIZE

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
ScramMessage = Annotated[str, Field(max_length=2048)]
"""A message of RFC 5802, as it is: not base64 of it."""
VerifierText = Annotated[str, Field(max_length=256)]
"""`SCRAM-SHA-256$iterations:salt$StoredKey:ServerKey`, base64 where bytes are."""
UserName = Annotated[str, Field(min_length=1, max_length=64)]
RoleName = Literal["student", "teacher", "admin"]
TokenId = Annotated[str, Field(min_length=1, max_length=32)]


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


# ---------------------------------------------------------------- the server's first message


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
    mechanisms: list[str] = []
    """Log-in mechanisms. Empty: nobody can log in."""
    features: list[str] = []
    """What the server has beyond the base profile: names of ops and options."""
    guest: Literal["none", "read", "write"] | None = None
    """What a client may do that does not log in. None (the base profile): whatever the server allows."""
    limits: Window = Window()
    time: Time | None = None
    banner: Annotated[str, Field(max_length=2000)] | None = None


# ---------------------------------------------------------------- responses


class Response(Header):
    """A successful answer."""

    status: Literal["ok"] = "ok"


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


class Located(Response):
    """An answer that says where."""

    path: str
    """Absolute, as the server sees it after `.`, `..` and NFC."""


class Stored(Located):
    """The answer to `put`: durable and visible now."""

    file_size: Size
    algorithm: Algorithm
    digest: HexDigest
    modified: Time | None = None
    version: Version | None = None


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


class Listing(Response):
    """The answer to `ls`. Followed by `size` bytes of JSON Lines, one `EntryLine` each, and no trailer."""

    size: Size
    path: str | None = None
    cursor: Cursor | None = None
    """Send it back to get the next page; None on the last."""


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


class Status(Located):
    """The answer to `stat`."""

    entry: EntryLine


class Made(Located):
    """The answer to `mkdir`."""

    created: bool


class Removed(Response):
    """The answer to `rm`."""

    removed: Size
    """How many names went."""


class Room(Response):
    """The answer to `df`: bytes. Without `limit` there is no quota; without `used` nobody counts."""

    limit: Size | None = None
    used: Size | None = None
    reserved: Size = 0
    free: Size | None = None
    """Free on the server's disk."""


class Verified(Located):
    """The answer to `verify`: the content was read again and is what was stored."""

    algorithm: Algorithm
    digest: HexDigest
    file_size: Size
    recorded: bool
    """False when there was no digest from before to compare with (stored or changed by hand): now there is."""


class AuthStep(Response):
    """The answer to a step of `auth`."""

    data: ScramMessage
    """The server's SCRAM message."""
    user: UserName | None = None
    """Who it is, with the last step: from here on the session is logged in."""
    role: RoleName | None = None


class Identified(Response):
    """The answer to `whoami`."""

    user: UserName | None = None
    """None: a guest."""
    role: RoleName | None = None
    via: Literal["password", "code", "token"] | None = None
    """What was logged in with."""
    token: TokenId | None = None
    group: Annotated[str, Field(max_length=64)] | None = None
    may: Literal["none", "read", "write"]
    """What the session may do where it starts."""


class TokenIssued(Response):
    """The answer to `issue-token`."""

    token: TokenId


class TokensRevoked(Response):
    """The answer to `revoke-token`."""

    revoked: Size


# ---------------------------------------------------------------- requests


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

    op: str


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
    modified: Time | None = None
    mode: Mode | None = None
    clobber: bool = True


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


class Ls(Request):
    """Lists a directory, or one file, in pages."""

    answer = Listing
    base = True
    payload_answer = True

    op: Literal["ls"] = "ls"
    path: str = "."
    recursive: bool = False
    digests: bool = False
    """Whether digests are wanted: those on record, and computed for files that have none."""
    algorithm: Algorithm | None = None
    """Which digests; None is whichever is on record."""
    limit: Annotated[int, Field(ge=1, le=MAX_PAGE)] | None = None
    cursor: Cursor | None = None


class Cd(Request):
    """Changes the session's directory."""

    answer = Located
    base = True

    op: Literal["cd"] = "cd"
    path: str


class Pwd(Request):
    """Asks for the session's directory."""

    answer = Located

    op: Literal["pwd"] = "pwd"


class Stat(Request):
    """Asks what is at a path."""

    answer = Status

    op: Literal["stat"] = "stat"
    path: str


class Mkdir(Request):
    """Makes a directory."""

    answer = Made

    op: Literal["mkdir"] = "mkdir"
    path: str
    parents: bool = False
    """Also make what is missing on the way; it is no error if the directory is there."""


class Rm(Request):
    """Removes a file or directory."""

    answer = Removed

    op: Literal["rm"] = "rm"
    path: str
    recursive: bool = False


class Mv(Request):
    """Gives a file or directory another path."""

    answer = Located

    op: Literal["mv"] = "mv"
    path: str
    to: str
    clobber: bool = True


class Df(Request):
    """Asks how much room there is."""

    answer = Room

    op: Literal["df"] = "df"


class Verify(Request):
    """Has the server read a stored file again and compare it with the digest recorded when it was stored."""

    answer = Verified

    op: Literal["verify"] = "verify"
    path: str
    algorithm: Algorithm | None = None
    """Algorithm to use where nothing is on record; None is the server's first."""


class Auth(Request):
    """One step of a log-in by SCRAM (RFC 5802); the first names the mechanism."""

    answer = AuthStep

    op: Literal["auth"] = "auth"
    mechanism: Annotated[str, Field(max_length=32)] | None = None
    data: ScramMessage


class Whoami(Request):
    """Asks who the session is."""

    answer = Identified

    op: Literal["whoami"] = "whoami"


class SetPassword(Request):
    """Sets one's password. Only over TLS or AF_UNIX."""

    op: Literal["set-password"] = "set-password"
    verifier: VerifierText
    """SCRAM-SHA-256 verifier that the client derived; the server never sees the password."""


class IssueToken(Request):
    """Makes a device token for oneself. Only over TLS or AF_UNIX."""

    answer = TokenIssued

    op: Literal["issue-token"] = "issue-token"
    label: Annotated[str, Field(min_length=1, max_length=80)]
    """What the device is called."""
    verifier: VerifierText


class RevokeToken(Request):
    """Makes one of one's device tokens worthless, or all of them."""

    answer = TokensRevoked

    op: Literal["revoke-token"] = "revoke-token"
    token: TokenId | None = None
    """None: all of them."""


class Quit(Request):
    """Ends the conversation politely."""

    base = True

    op: Literal["quit"] = "quit"


REQUESTS: dict[str, type[Request]] = {
    str(cls.model_fields["op"].default): cls
    for cls in (
        Put,
        Get,
        Ls,
        Cd,
        Pwd,
        Stat,
        Mkdir,
        Rm,
        Mv,
        Df,
        Verify,
        Auth,
        Whoami,
        SetPassword,
        IssueToken,
        RevokeToken,
        Quit,
    )
}


# ---------------------------------------------------------------- after content


class TrailerError(Header):
    """Why the sender could not finish. The payload was filled up with zeros."""

    code: Annotated[str, Field(max_length=64)]
    message: Annotated[str, Field(max_length=1000)] = ""


class Trailer(Header):
    """Follows every payload of content: the digest of the whole file, or why there is none."""

    digest: HexDigest | None = None
    error: TrailerError | None = None


def explain(error: Any) -> str:
    """Returns what is wrong with a header, from pydantic's ValidationError, in one line without the input."""
    first = error.errors(include_url=False, include_input=False)[0]
    where = ".".join(str(part) for part in first["loc"])[:80]
    return f"{where}: {first['msg']}" if where else str(first["msg"])
