"""TLS on a connected socket, for the client. Imported when a server is dialled by TLS and not before: `ssl` takes 8 ms.

TLS 1.3 and nothing older. Whom the certificate belongs to is for `ftpsvc_client.trust` to decide; here it is only made
sure that the peer has its key. Source: docs/protocol.md section 8.1.
"""

from __future__ import annotations

import functools
import socket
import ssl
from contextlib import closing

from ftpsvc.addresses import TCP, Address
from ftpsvc.exceptions import ConnectFailed, FtpsvcError, TransferTimeout
from ftpsvc.protocol.connection import Connection, Event, GreetingReceived, ServerClosing
from ftpsvc.protocol.state import Role
from ftpsvc.transport import Channel

_PLAIN_SECONDS = 2.0
_NO_TLS = "WRONG_VERSION_NUMBER"
"""What OpenSSL says of an answer that is no TLS at all."""


def secure(sock: socket.socket, address: Address, timeout: float) -> tuple[ssl.SSLSocket, bytes]:
    """Makes a TLS connection of a connected socket, which is taken over.

    Returns:
        The TLS socket, and the server's certificate (DER).

    Raises:
        ConnectFailed: No TLS 1.3 comes about. TransferTimeout: The server was silent.
        FtpsvcError: The server says in plain text why it does not serve us (Busy, Unavailable).
    """
    tls = sock
    try:
        # One time for all of it: Python counts it down over as many reads and writes as there are.
        sock.settimeout(timeout)
        tls = _context().wrap_socket(sock, do_handshake_on_connect=False)
        tls.do_handshake()
        certificate = tls.getpeercert(binary_form=True)
        if certificate is None:
            raise ConnectFailed(str(address), "the server showed no certificate")
    except TimeoutError:
        tls.close()
        silent = TransferTimeout("a TLS handshake", timeout)
        silent.hint = "is it an ftpsvc server with TLS, and is the address right?"
        raise silent from None
    except OSError as error:
        tls.close()
        raise _failed(address, error) from None
    except BaseException:
        tls.close()
        raise
    return tls, certificate


@functools.cache
def _context() -> ssl.SSLContext:
    """Returns the one context of this process. Making one takes longer than a handshake."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    # In place of authorities and names: the fingerprint, which `trust` compares, and the binding of the log-in.
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def _failed(address: Address, error: OSError) -> FtpsvcError:
    hint = "is it an ftpsvc server, and is the address right?"
    reason = error.strerror or type(error).__name__
    if isinstance(error, ssl.SSLEOFError):
        reason = "it ended the TLS handshake"
    elif isinstance(error, ssl.SSLError):
        reason = f"no TLS 1.3: {(error.reason or reason).replace('_', ' ').lower()}"
    # A server that has no room, and one that is plain, speak before any TLS. OpenSSL has swallowed part of that.
    if getattr(error, "reason", None) == _NO_TLS or isinstance(error, ConnectionError):
        event = _what_is_said_in_plain(address)
        if isinstance(event, ServerClosing) and event.error.retry:
            return event.error
        if isinstance(event, GreetingReceived):
            reason = "the server does not speak TLS on this port"
            hint = (
                f"{Address(TCP, address.host, address.port)} reaches it, and anybody on the way can read and change "
                "everything then"
            )
    return ConnectFailed(str(address), reason, hint=hint)


def _what_is_said_in_plain(address: Address) -> Event | None:
    """Dials once more, without TLS, and listens; nothing is sent.

    Nobody vouches for what comes: it becomes the text of an error and nothing else.
    """
    try:
        sock = socket.create_connection((address.host, address.port), _PLAIN_SECONDS)
    except OSError:
        return None
    channel = Channel(sock, Connection(Role.CLIENT), stall=_PLAIN_SECONDS, header=_PLAIN_SECONDS)
    with closing(channel):
        try:
            return channel.receive_event(_PLAIN_SECONDS, "a greeting")
        except FtpsvcError:
            return None
