"""Who somebody is: the steps of a log-in, and what one may do about one's own account (docs/protocol.md section 11)."""

from typing import Annotated, Literal

from pydantic import Field

from ftpsvc.protocol.headers.base import Request, Response, Size

ScramMessage = Annotated[str, Field(max_length=2048)]
"""A message of RFC 5802, as it is: not base64 of it."""
VerifierText = Annotated[str, Field(max_length=256)]
"""`SCRAM-SHA-256$iterations:salt$StoredKey:ServerKey`, base64 where bytes are."""
UserName = Annotated[str, Field(min_length=1, max_length=64)]
RoleName = Literal["student", "teacher", "admin"]
TokenId = Annotated[str, Field(min_length=1, max_length=32)]


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
