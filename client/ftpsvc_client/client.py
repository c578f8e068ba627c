"""The Python API: one object, one server, one conversation."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ftpsvc.addresses import Address
from ftpsvc.exceptions import ConfigError
from ftpsvc_client.account import AccountCalls
from ftpsvc_client.homework_calls import HomeworkCalls
from ftpsvc_client.names import NameCalls
from ftpsvc_client.transfers import TransferCalls
from ftpsvc_client.trees import TreeCalls

if TYPE_CHECKING:
    from ftpsvc.credentials import Credentials
    from ftpsvc_client.retries import Told
    from ftpsvc_client.trust import Trust

DEFAULT_TIMEOUT = 60.0


def connect(
    url: str | Address,
    *,
    credentials: Credentials | None = None,
    fingerprint: str | None = None,
    trust: Trust | None = None,
    timeout: float = DEFAULT_TIMEOUT,
    algorithm: str | None = None,
    directory: str | None = None,
    allow_plain: bool = False,
    retries: int = 0,
    told: Told | None = None,
) -> Client:
    """Connects to a server.

    Args:
        url: `ftpsvc://HOST[:PORT]`, `ftpsvc+tcp://HOST[:PORT]` or `ftpsvc+unix:///PATH`.
        credentials: What to log in with; None is a guest. They are kept as long as the client, to connect anew.
        fingerprint: SHA-256 of the server's certificate, hex, with or without colons and a prefix `SHA256:`. Only with
            `ftpsvc://`, and not together with `trust`.
        trust: Who decides about the server's certificate; None: `fingerprint`, and where that is None too, the pins
            that `ftpsvc login` keeps for this user, with nobody to ask about an unknown server.
        timeout: Seconds without progress after which anything is given up.
        algorithm: Digest algorithm to use; None takes the server's first that is known here.
        directory: Where to start on the server; None is its root.
        allow_plain: Whether a password may cross plain TCP to another machine. The server has a setting of its own.
        retries: How often in a row something is tried again after an error that passes (a lost connection, a server
            that is busy or restarts), after a pause that doubles from half a second to 30. Only what may be done twice
            is: not `remove`, `rename`, anything with `clobber` False, or what changes an account. A server that cannot
            be reached at first is not waited for.
        told: Is told before each such pause.

    Returns:
        The client, connected. The caller closes it, best by `with`.

    Raises:
        ConfigError: The URL makes no sense, or the server has no digest algorithm that is known here.
        ConnectFailed, ConnectionLost, TransferTimeout: There is no way to the server.
        UntrustedServer: Its certificate is unknown, not the expected one, or not usable. Nothing was sent to it.
        AuthenticationFailed: The log-in was refused, or the server did not prove that it knows the account.
        PermissionDenied: A password over plain TCP to another machine, without `allow_plain`.
        Busy, Unavailable: The server refuses.
        NotFound, NotADirectory: `directory` is none.
    """
    address = Address.parse(url) if isinstance(url, str) else url
    if fingerprint is not None:
        if trust is not None or not address.is_tls:
            raise ConfigError("a fingerprint is for ftpsvc:// only, and not together with `trust`")
        from ftpsvc_client.trust import Fixed

        trust = Fixed(fingerprint)
    return Client(
        address,
        credentials=credentials,
        trust=trust,
        timeout=timeout,
        algorithm=algorithm,
        directory=directory,
        allow_plain=allow_plain,
        retries=retries,
        told=told,
    )


class Client(TransferCalls, TreeCalls, NameCalls, AccountCalls, HomeworkCalls):
    """A conversation with a server. A context manager: leaving it says goodbye and closes.

    Remote paths are text, `/` between components, absolute or relative to the session's directory (docs/protocol.md
    section 5). After a lost connection or an interrupted transfer the next call connects anew and returns to the
    directory; with `retries` the call itself does, and goes on.

    Thread-safety: one thread at a time; a call that comes while another is under way raises LocalProtocolError. Make
    one client for each thread.

    Attributes:
        address: Where the server is.
        greeting: What it said at the last connect: features, limits, banner.
        certificate: What it showed then, DER; None without TLS. `ftpsvc.certificates.fingerprint` makes it comparable.
        algorithm: The digest algorithm in use.
    """
