"""The TLS handshake of a connection, in the thread of the connection and under a deadline (CASES C57)."""

from __future__ import annotations

import logging
import select
import socket
import ssl
from contextlib import suppress
from typing import Final

from ftpsvc.deadline import Deadline
from ftpsvc.exceptions import FtpsvcError, InvalidRequest
from ftpsvc.protocol.connection import Connection
from ftpsvc.protocol.state import Role
from ftpsvc.server import log
from ftpsvc.server.registry import Seat
from ftpsvc.server.tls import Identity

_HANDSHAKE: Final = b"\x16"
"""The first byte of everything that TLS begins with (RFC 8446 section 5.1)."""

_log = logging.getLogger("ftpsvc.server.connection")


def secure(
    sock: socket.socket, seat: Seat, identity: Identity, *, seconds: float, peer: str
) -> ssl.SSLSocket | None:
    """Makes a TLS connection of an accepted socket.

    Args:
        sock: The accepted socket. It is taken over: the caller need not close it any more.
        seat: Its place in the registry, which from now on ends the TLS socket.
        identity: The certificate to show.
        seconds: That the client has for all of it.
        peer: Its address, for the log.

    Returns:
        The TLS socket, or None where none came about: then it is closed, and the reason is logged. A client that does
        not speak TLS gets an answer that says so.
    """
    deadline = Deadline(seconds, "a TLS handshake")
    reason = "it does not speak TLS"
    try:
        first = _first_byte(sock, deadline)
        if first == _HANDSHAKE:
            tls = seat.wrap(lambda bare: identity.context.wrap_socket(
                bare, server_side=True, do_handshake_on_connect=False
            ))  # fmt: skip
            if isinstance(tls, ssl.SSLSocket) and (failure := _shake_hands(tls, deadline)) is None:
                return tls
            sock, reason = tls, failure or reason
        elif first:
            _answer_in_plain(sock)
        else:
            reason = "it went away"
    except FtpsvcError as error:
        reason = str(error)
        _answer_in_plain(sock)
    except OSError as error:
        reason = error.strerror or type(error).__name__
    with suppress(OSError):
        sock.close()
    log.event(_log, logging.INFO, "no-handshake", session=seat.number, peer=peer, reason=reason)
    return None


def _first_byte(sock: socket.socket, deadline: Deadline) -> bytes:
    """Returns the first byte, which stays to be read; empty when the client is gone.

    Raises:
        TransferTimeout: None came.
        OSError: The connection broke.
    """
    poller = select.poll()
    poller.register(sock, select.POLLIN)
    if not poller.poll((deadline.remaining() or 0) * 1000):
        raise deadline.expired()
    return sock.recv(1, socket.MSG_PEEK)


def _shake_hands(tls: ssl.SSLSocket, deadline: Deadline) -> str | None:
    """Returns None when it is done, or why it failed."""
    try:
        # One time for all of it: Python counts it down over as many reads and writes as there are.
        tls.settimeout(deadline.remaining())
        tls.do_handshake()
    except TimeoutError:
        return str(deadline.expired())
    except ssl.SSLError as error:
        return f"TLS: {(error.reason or type(error).__name__).replace('_', ' ').lower()}"
    except (OSError, ValueError) as error:  # ValueError: the other side of a cut
        return getattr(error, "strerror", None) or type(error).__name__
    return None


def _answer_in_plain(sock: socket.socket) -> None:
    """Tells a client that waits for a greeting in plain text why there is none, without waiting for it."""
    error = InvalidRequest("this port speaks TLS: connect to it with ftpsvc:// and not with ftpsvc+tcp://")
    data = Connection(Role.SERVER).send_error(error, fatal=True)
    with suppress(OSError):
        sock.setblocking(False)
        sock.send(data)
        sock.shutdown(socket.SHUT_WR)
        # What it has said already would turn our closing into a reset, which may overtake the answer.
        sock.recv(65536)
