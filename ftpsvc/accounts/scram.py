"""The server's half of a log-in: SCRAM-SHA-256 or -PLUS, without I/O (RFC 5802, docs/protocol.md section 11)."""

from __future__ import annotations

from typing import Any, Final

from ftpsvc.accounts.keys import Found
from ftpsvc.accounts.model import Identity
from ftpsvc.accounts.store import Accounts
from ftpsvc.credentials import BINDING_TYPE, BOUND, PLAIN, LoginName
from ftpsvc.exceptions import AuthenticationFailed, FtpsvcError
from ftpsvc.scram import MAX_MESSAGE

REFUSED: Final = "the log-in was refused: unknown user, wrong secret, or one that is no longer valid"
"""The one text for every refusal (C37)."""
OTHER_CERTIFICATE: Final = (
    "the log-in was refused: it is bound to another certificate than this server has, so something in between "
    "has put its own in place"
)
"""Says the same to known and unknown users (C37): the binding is compared before anything that is theirs (C38)."""

_OTHER_BINDING: Final = "channel-bindings-dont-match"
"""RFC 5802 section 7."""


def mechanism_for(binding: bytes | None) -> str:
    """Returns the one mechanism of a connection: over TLS the bound one, else the plain one."""
    return PLAIN if binding is None else BOUND


class ServerLogin:
    """One log-in of one connection. Two steps; after the second `identity` says who it is.

    Not thread-safe; used once. After a failure every further step fails too.

    Attributes:
        claimed: Who the client says it is, once the first step is done: for the throttle and the audit log, from the
            peer and so not trusted. None before.
        identity: Who it is, once the second step is done; None before and after a failure.
    """

    def __init__(self, accounts: Accounts, mechanism: str, binding: bytes | None = None) -> None:
        """Begins a log-in.

        Args:
            accounts: Where the verifiers are.
            mechanism: What the client asked for.
            binding: The `tls-server-end-point` hash of the certificate that this connection was accepted with; None
                without TLS. With it only the bound mechanism is taken, without it only the plain one.

        Raises:
            AuthenticationFailed: The mechanism is not the one of this kind of connection.
        """
        from scramp import ScramMechanism

        if mechanism != mechanism_for(binding):
            raise AuthenticationFailed(f"this connection takes the mechanism {mechanism_for(binding)} only")
        self._accounts = accounts
        self.claimed: LoginName | None = None
        self.identity: Identity | None = None
        self._found: Found | None = None
        self._problem: FtpsvcError | None = None
        self._steps = 0
        self._server: Any = ScramMechanism(mechanism).make_server(
            self._look_up, channel_binding=None if binding is None else (BINDING_TYPE, binding)
        )

    def step(self, message: str) -> str:
        """Takes the client's next message and returns the answer to it.

        Raises:
            AuthenticationFailed: The log-in has failed; nothing is said about why.
            Unavailable: The database fails.
        """
        from scramp import ScramException

        self._steps += 1
        step, self._steps = self._steps, 3  # 3 until this step went well
        if step > 2 or len(message) > MAX_MESSAGE:
            raise AuthenticationFailed(REFUSED)
        try:
            answer = self._first(message) if step == 1 else self._last(message)
        except (ScramException, ValueError) as error:  # ValueError: half a surrogate pair, which has no UTF-8
            if self._problem is not None:
                raise self._problem from None
            if getattr(getattr(error, "server_error", None), "value", None) == _OTHER_BINDING:
                raise AuthenticationFailed(OTHER_CERTIFICATE) from None
            raise AuthenticationFailed(REFUSED) from None
        self._steps = step
        return answer

    def _first(self, message: str) -> str:
        self._server.set_client_first(message)
        return str(self._server.get_server_first())

    def _last(self, message: str) -> str:
        self._server.set_client_final(message)
        if self._found is None or self.claimed is None:
            raise AuthenticationFailed(REFUSED)
        identity = self._accounts.complete(self._found, self.claimed.kind)
        if identity is None:
            raise AuthenticationFailed(REFUSED)
        answer = str(self._server.get_server_final())
        self.identity = identity
        return answer

    def _look_up(self, scram_name: str) -> tuple[bytes, bytes, bytes, int]:
        """What the library asks for; it swallows exceptions, so a failing database is kept aside."""
        try:
            self.claimed = LoginName.parse(scram_name)
            self._found = self._accounts.find(scram_name)
        except FtpsvcError as problem:
            self._problem = problem
            raise
        verifier = self._found.verifier
        return verifier.salt, verifier.stored_key, verifier.server_key, verifier.iterations
