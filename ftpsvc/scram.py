"""The client's half of a log-in, and how a secret becomes a verifier: SCRAM-SHA-256 and -PLUS (RFC 5802, RFC 7677).

The cryptography is that of the library scramp, which is imported when a log-in begins and not before: it takes 34 ms.
What is added are the rules of docs/protocol.md section 11: the mechanism follows from the connection and never from
what the server offers, iteration counts have a floor and a ceiling, and every error is one of ours.
"""

from __future__ import annotations

import secrets
from enum import Enum
from typing import Final

from ftpsvc.credentials import (
    BINDING_TYPE,
    BOUND,
    ITERATIONS,
    MAX_ITERATIONS,
    MIN_ITERATIONS,
    PLAIN,
    SALT_BYTES,
    Kind,
    LoginName,
    Verifier,
    read_code,
)
from ftpsvc.exceptions import AuthenticationFailed, ConfigError, LocalProtocolError

MIN_PASSWORD: Final = 10
"""Characters of a new password."""
MAX_SECRET: Final = 1024
"""Characters of any secret: PBKDF2 takes any length, people do not."""
MAX_MESSAGE: Final = 2048
"""Characters of a SCRAM message: ours are below 400, and a header before log-in is at most 4096 bytes."""


class _Stage(Enum):
    NEW = 0
    FIRST = 1
    ANSWERED = 2
    DONE = 3
    FAILED = 4


class ClientLogin:
    """One log-in, without I/O: `first` is sent, `answer` to what comes back, `finish` with the last message.

    Nothing may follow the client's last message until `finish` returned: only then the server has proved that it knows
    the account too. Not thread-safe; used once.

    Attributes:
        mechanism: The mechanism to name to the server: with `binding` the bound one, else the plain one.
    """

    def __init__(self, name: LoginName, secret: str, binding: bytes | None = None) -> None:
        """Prepares a log-in.

        Args:
            name: Who, and with which kind of secret.
            secret: Password, code (in any case, with or without dashes) or the secret part of a token.
            binding: The `tls-server-end-point` hash of the certificate that the server showed; None without TLS.

        Raises:
            ConfigError: Name or secret cannot be used in SCRAM.
        """
        from scramp import ScramClient, ScramException

        self.mechanism = BOUND if binding is not None else PLAIN
        self._kind = name.kind
        self._stage = _Stage.NEW
        try:
            self._client = ScramClient(
                [self.mechanism],
                str(name),
                usable_secret(secret, name.kind),
                channel_binding=None if binding is None else (BINDING_TYPE, binding),
            )
        except (ScramException, UnicodeError):
            raise ConfigError("the user name has characters that no log-in can carry") from None

    def first(self) -> str:
        """Returns the client's first message."""
        self._advance(_Stage.NEW, _Stage.FIRST)
        return str(self._client.get_client_first())

    def answer(self, message: str) -> str:
        """Returns the client's last message, the answer to the server's first. Costs up to `MAX_ITERATIONS`.

        Raises:
            AuthenticationFailed: The server's message is none, or asks for a computation out of bounds.
        """
        from scramp import ScramException

        self._advance(_Stage.FIRST, _Stage.FAILED)
        try:
            if len(message) > MAX_MESSAGE:
                raise AuthenticationFailed("the server's log-in message is too long")
            self._client.set_server_first(message)
            self._check_iterations(int(self._client.iterations))
            answer = str(self._client.get_client_final())
        except (ScramException, ValueError):
            raise AuthenticationFailed("the server's log-in message makes no sense") from None
        self._stage = _Stage.ANSWERED
        return answer

    def _check_iterations(self, iterations: int) -> None:
        low = MIN_ITERATIONS[self._kind]
        if iterations < low:
            raise AuthenticationFailed(
                f"the server asks for {iterations:,} iterations, less than the {low:,} that keep a {self._kind} safe"
            )
        if iterations > MAX_ITERATIONS:
            raise AuthenticationFailed(
                f"the server asks for {iterations:,} iterations, more than the {MAX_ITERATIONS:,} this client computes"
            )

    def finish(self, message: str) -> None:
        """Checks the server's last message: that it knows this account as well.

        Raises:
            AuthenticationFailed: It does not. The connection must not be used on.
        """
        from scramp import ScramException

        self._advance(_Stage.ANSWERED, _Stage.FAILED)
        try:
            if len(message) > MAX_MESSAGE:
                raise ValueError
            self._client.set_server_final(message)
        except (ScramException, ValueError):
            raise AuthenticationFailed(
                "the server did not prove that it knows this account, it may not be the real one"
            ) from None
        self._stage = _Stage.DONE

    @property
    def done(self) -> bool:
        """Whether both sides have proved themselves."""
        return self._stage is _Stage.DONE

    def _advance(self, expected: _Stage, to: _Stage) -> None:
        if self._stage is not expected:
            raise LocalProtocolError("a step of a log-in out of turn")
        self._stage = to


def derive(secret: str, kind: Kind) -> Verifier:
    """Returns a verifier with a fresh salt for a secret: what `set-password` and `issue-token` send.

    Raises:
        ConfigError: The secret cannot be used in SCRAM.
    """
    from scramp import ScramMechanism

    salt, stored, server, iterations = ScramMechanism(PLAIN).make_auth_info(
        usable_secret(secret, kind), iteration_count=ITERATIONS[kind], salt=secrets.token_bytes(SALT_BYTES)
    )
    return Verifier(salt, iterations, stored, server)


def usable_secret(secret: str, kind: Kind) -> str:
    """Returns a secret as SCRAM takes it in, or says why it cannot.

    Raises:
        ConfigError: It is empty, too long, no code where a code is due, or has characters that RFC 4013 forbids.
    """
    if kind is Kind.CODE:
        return read_code(secret)
    if not 0 < len(secret) <= MAX_SECRET:
        raise ConfigError(f"a {kind} has 1 to {MAX_SECRET} characters")
    if secret.isascii() and secret.isprintable():
        return secret
    if not prepared(secret):
        raise ConfigError(
            f"the {kind} has characters that no log-in can carry",
            hint="use letters, digits and punctuation; emoji and control characters cannot be used",
        )
    return secret


def check_new_password(password: str) -> None:
    """Refuses a new password that is too easily guessed. The server cannot: it never sees one.

    Raises:
        ConfigError: It is too short, or cannot be used at all.
    """
    if len(usable_secret(password, Kind.PASSWORD)) < MIN_PASSWORD:
        raise ConfigError(
            f"a password has at least {MIN_PASSWORD} characters",
            hint="a few words in a row are easy to remember",
        )


def prepared(text: str) -> str:
    """Returns text as SASLprep (RFC 4013) makes it, or empty text where it forbids it."""
    from scramp import ScramException
    from scramp.utils import saslprep

    try:
        text.encode()
        return str(saslprep(text))
    except (ScramException, UnicodeError):
        return ""
