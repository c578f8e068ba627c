"""What somebody logs in with: three kinds of secret, the names they go by in SCRAM, and what a server keeps of them.

Both sides use this module; nothing here computes anything expensive or imports a library. Source: docs/protocol.md
section 11 (log-in), RFC 5802 and RFC 7677 for the verifier.
"""

from __future__ import annotations

import base64
import binascii
import re
import secrets
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Self

from ftpsvc.exceptions import ConfigError, InvalidRequest

PLAIN: Final = "SCRAM-SHA-256"
"""The mechanism on plain TCP and AF_UNIX."""
BOUND: Final = "SCRAM-SHA-256-PLUS"
"""The only mechanism over TLS: bound to the server's certificate."""
BINDING_TYPE: Final = "tls-server-end-point"
"""How it is bound (RFC 5929): Python shows no other binding that TLS 1.3 allows."""


class Kind(StrEnum):
    """Kinds of secret. Each has a SCRAM name of its own, so that the server knows which salt to send."""

    PASSWORD = "password"  # noqa: S105 - the kind, no secret
    CODE = "code"
    TOKEN = "token"  # noqa: S105 - the kind, no secret


ITERATIONS: Final = {Kind.PASSWORD: 600_000, Kind.CODE: 4096, Kind.TOKEN: 4096}
"""PBKDF2 iterations of new verifiers.

A password is guessable, so each guess of a thief of the database is made expensive: OWASP's advice for
PBKDF2-HMAC-SHA256. The client pays for it, 0.2 s at a first log-in; the server never computes it. Codes and tokens
have 80 random bits and more, which no iteration count need protect: 4096 is what RFC 7677 asks for at least.
"""

MIN_ITERATIONS: Final = {Kind.PASSWORD: 600_000, Kind.CODE: 4096, Kind.TOKEN: 4096}
"""What a client computes at least: a fake server that asks for less wants the proof that is cheap to guess from."""

MAX_ITERATIONS: Final = 5_000_000
"""What a client computes at most, about 2 s: a hostile server must not keep it busy for minutes."""

SALT_BYTES: Final = 16
KEY_BYTES: Final = 32

ALPHABET: Final = "23456789ABCDEFGHJKLMNPQRSTUVWXYZ"
"""32 symbols, 5 bits each, that can be read aloud and typed: no 0 and O, no 1 and I."""

CODE_SYMBOLS: Final = 16
"""80 random bits."""
TOKEN_SYMBOLS: Final = 24
"""120 random bits; nobody types a token, so it may be longer."""
TOKEN_ID_SYMBOLS: Final = 8

_GROUP: Final = 4
_SYMBOLS: Final = frozenset(ALPHABET)
_SEPARATORS: Final = str.maketrans("", "", "- \t\r\n\u00a0\u2010\u2011\u2012\u2013\u2014\u2212\uff0d\u3000")
_VERIFIER = re.compile(
    r"SCRAM-SHA-256\$([1-9][0-9]{3,9}):([A-Za-z0-9+/=]{16,64})\$([A-Za-z0-9+/=]{44}):([A-Za-z0-9+/=]{44})"
)


@dataclass(frozen=True, slots=True)
class LoginName:
    """Who logs in, and with what.

    Attributes:
        user: The user's name.
        kind: Which secret.
        token_id: Which device token; None for the other kinds.
    """

    user: str
    kind: Kind = Kind.PASSWORD
    token_id: str | None = None

    def __str__(self) -> str:
        """The SCRAM user name: `alice`, `alice#code` or `alice#t:ID`."""
        if self.kind is Kind.PASSWORD:
            return self.user
        return f"{self.user}#code" if self.kind is Kind.CODE else f"{self.user}#t:{self.token_id}"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Returns what a SCRAM user name means. Text of no form is a user that cannot exist (`#` is in no name)."""
        user, mark, rest = text.partition("#")
        if mark and rest == "code":
            return cls(user, Kind.CODE)
        if mark and rest.startswith("t:"):
            return cls(user, Kind.TOKEN, rest[2:])
        return cls(text)


@dataclass(frozen=True, slots=True, repr=False)
class Credentials:
    """What somebody logs in with. Its text shows nothing of the secret.

    Attributes:
        name: Who, and with which kind of secret.
        secret: Password, code, or the secret part of a token.
    """

    name: LoginName
    secret: str

    @property
    def by_token(self) -> bool:
        """Whether this is a device, which has logged in to this server before."""
        return self.name.kind is Kind.TOKEN

    @classmethod
    def password(cls, user: str, password: str) -> Self:
        """Returns the credentials of a user who types a password."""
        return cls(LoginName(user), password)

    @classmethod
    def code(cls, user: str, code: str) -> Self:
        """Returns the credentials of a user who has a one-time enrolment code."""
        return cls(LoginName(user, Kind.CODE), code)

    @classmethod
    def token(cls, user: str, token: str) -> Self:
        """Returns the credentials of a device, from a token in one piece (`token_text`).

        Raises:
            ConfigError: It is no token.
        """
        token_id, secret = read_token(token)
        return cls(LoginName(user, Kind.TOKEN, token_id), secret)


@dataclass(frozen=True, slots=True, repr=False)
class Verifier:
    """What a server keeps instead of a secret: enough to check a log-in, not enough to make one (RFC 5802 section 3).

    Attributes:
        salt: Random, `SALT_BYTES` long.
        iterations: PBKDF2 iterations.
        stored_key: H(ClientKey), 32 bytes.
        server_key: HMAC(SaltedPassword, "Server Key"), 32 bytes: proves to a client that the server knows the account.
    """

    salt: bytes
    iterations: int
    stored_key: bytes
    server_key: bytes

    def encode(self) -> str:
        """Returns it as one line of text, in the form that PostgreSQL keeps: what `set-password` sends."""
        salt, stored, server = (
            base64.b64encode(part).decode() for part in (self.salt, self.stored_key, self.server_key)
        )
        return f"{PLAIN}${self.iterations}:{salt}${stored}:{server}"

    @classmethod
    def parse(cls, text: str, kind: Kind) -> Self:
        """Reads what `encode` made, from a peer.

        Args:
            text: One line.
            kind: What it is to be for. Salt length and iterations must be exactly ours: where those of one user
                differed, an unknown name could be told from a known one.

        Raises:
            InvalidRequest: It is no verifier, or not one for this kind of secret.
        """
        match = _VERIFIER.fullmatch(text)
        if match is None:
            raise InvalidRequest("that is no SCRAM-SHA-256 verifier")
        try:
            salt, stored, server = (base64.b64decode(part, validate=True) for part in match.groups()[1:])
        except binascii.Error:
            raise InvalidRequest("that is no SCRAM-SHA-256 verifier") from None
        verifier = cls(salt, int(match[1]), stored, server)
        verifier.check(kind)
        return verifier

    def check(self, kind: Kind) -> None:
        """Refuses a verifier that is not of the sizes in use for this kind of secret.

        Raises:
            InvalidRequest: See `parse`.
        """
        if self.iterations != ITERATIONS[kind]:
            raise InvalidRequest(
                f"a verifier of {self.iterations} iterations, where a {kind} has {ITERATIONS[kind]}"
            )
        if len(self.salt) != SALT_BYTES or {len(self.stored_key), len(self.server_key)} != {KEY_BYTES}:
            raise InvalidRequest(
                f"a verifier with a salt or key that is not {SALT_BYTES} or {KEY_BYTES} bytes"
            )


def new_code() -> str:
    """Returns a fresh enrolment code, as it is printed: `K7QM-2XWP-9HTF-C4VB`."""
    return grouped(_random(CODE_SYMBOLS))


def new_token() -> str:
    """Returns the secret part of a fresh device token, without its id."""
    return _random(TOKEN_SYMBOLS)


def new_token_id() -> str:
    """Returns a fresh id of a device token: no secret, but nothing that can be counted up either."""
    return _random(TOKEN_ID_SYMBOLS)


def grouped(symbols: str) -> str:
    """Returns symbols in groups of four with dashes between."""
    return "-".join(symbols[start : start + _GROUP] for start in range(0, len(symbols), _GROUP))


def read_code(text: str) -> str:
    """Returns the secret that a code as it was typed stands for: case, dashes and spaces mean nothing.

    Raises:
        ConfigError: It cannot be a code, which is better said before a server is asked.
    """
    symbols = text.translate(_SEPARATORS).upper()
    if len(symbols) != CODE_SYMBOLS or not _SYMBOLS.issuperset(symbols):
        raise ConfigError(
            "that is no enrolment code",
            hint=f"it has {CODE_SYMBOLS} letters and digits, and never 0, O, 1 or I",
        )
    return symbols


def token_text(token_id: str, secret: str) -> str:
    """Returns a device token in one piece, as it is saved and as `FTPSVC_TOKEN` takes it."""
    return f"{token_id}-{grouped(secret)}"


def read_token(text: str) -> tuple[str, str]:
    """Returns id and secret of a device token.

    Raises:
        ConfigError: It is none.
    """
    symbols = text.translate(_SEPARATORS).upper()
    if len(symbols) != TOKEN_ID_SYMBOLS + TOKEN_SYMBOLS or not _SYMBOLS.issuperset(symbols):
        raise ConfigError("that is no device token", hint="log in again to get a new one")
    return symbols[:TOKEN_ID_SYMBOLS], symbols[TOKEN_ID_SYMBOLS:]


def _random(symbols: int) -> str:
    return "".join(secrets.choice(ALPHABET) for _ in range(symbols))
