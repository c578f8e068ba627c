"""TLS on a connected socket, for the client. Imported when a server is dialled by TLS and not before: `ssl` takes 8 ms.

TLS 1.3 and nothing older. Whom the certificate belongs to is for `ftpsvc_client.trust` to decide; here it is only made
sure that the peer has its key. Source: docs/protocol.md section 8.1.
"""

from __future__ import annotations

import functools
import socket
import ssl
import time
from contextlib import suppress

from ftpsvc.addresses import TCP, Address
from ftpsvc.exceptions import ConnectFailed, FtpsvcError, TransferTimeout
from ftpsvc.protocol.connection import Connection, GreetingReceived, ServerClosing
from ftpsvc.protocol.state import Role
from ftpsvc.transport import Channel, readable

_RECORDS = frozenset((20, 21, 22, 23))
"""First bytes of what TLS sends (RFC 8446 section 5.1). The protocol in plain text begins with a 0."""

_PLAIN_SECONDS = 2.0


def secure(sock: socket.socket, address: Address, timeout: float) -> tuple[ssl.SSLSocket, bytes]:
    """Makes a TLS connection of a connected socket, which is taken over.

    Returns:
        The TLS socket, and the server's certificate (DER).

    Raises:
        ConnectFailed: No TLS 1.3 comes about. TransferTimeout: The server was silent.
        FtpsvcError: The server said in plain text why it does not serve us (Busy, Unavailable).
    """
    end = time.monotonic() + timeout
    try:
        tls = _context().wrap_socket(sock, do_handshake_on_connect=False)
    except BaseException as error:
        sock.close()
        if isinstance(error, OSError):
            raise _failed(address, error) from None
        raise
    try:
        _say_hello(tls)
        if not readable(tls, timeout):
            raise TimeoutError
        # The bare socket's own: a server that is full says so before any TLS, and that is worth reading.
        first = socket.socket.recv(tls, 1, socket.MSG_PEEK)
        if first and first[0] not in _RECORDS:
            raise _said_in_plain(tls, address)
        tls.settimeout(max(end - time.monotonic(), 0.001))
        tls.do_handshake()
        certificate = tls.getpeercert(binary_form=True)
        if certificate is None:
            raise ConnectFailed(str(address), "the server showed no certificate")
    except (TimeoutError, OSError) as error:
        tls.close()
        if isinstance(error, TimeoutError):
            raise TransferTimeout("a TLS handshake", timeout) from None
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


def _say_hello(tls: ssl.SSLSocket) -> None:
    """Sends the first message of the handshake, and does not wait for the answer."""
    tls.settimeout(0)
    with suppress(ssl.SSLWantReadError, ConnectionError):  # a server that is gone may have left its reason
        tls.do_handshake()


def _said_in_plain(tls: ssl.SSLSocket, address: Address) -> FtpsvcError:
    """Returns what to make of a server that answers in plain text.

    Nobody vouches for what it says: it ends the connection, in the words of an error, and does nothing else.
    """
    with socket.socket(fileno=tls.detach()) as sock:
        channel = Channel(sock, Connection(Role.CLIENT), stall=_PLAIN_SECONDS, header=_PLAIN_SECONDS)
        try:
            event = channel.receive_event(_PLAIN_SECONDS, "a greeting")
        except FtpsvcError:
            event = None
        if isinstance(event, ServerClosing) and event.error.retry:
            return event.error
        plain = Address(TCP, address.host, address.port)
        reason = "what answers there is no TLS"
        hint = "is the address right?"
        if isinstance(event, GreetingReceived):
            reason = "the server does not speak TLS on this port"
            hint = f"{plain} reaches it, and anybody on the way can read and change everything then"
        return ConnectFailed(str(address), reason, hint=hint)


def _failed(address: Address, error: OSError) -> ConnectFailed:
    hint = "is it an ftpsvc server, and is the address right?"
    reason = error.strerror or type(error).__name__
    if isinstance(error, ssl.SSLEOFError):
        reason = "it ended the TLS handshake"
    elif isinstance(error, ssl.SSLError):
        reason = f"no TLS 1.3: {(error.reason or reason).replace('_', ' ').lower()}"
    return ConnectFailed(str(address), reason, hint=hint)
