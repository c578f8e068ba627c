"""One connection from its greeting to its end, in the thread of the connection.

Source: docs/protocol.md section 3.
"""

from __future__ import annotations

import logging
import select
import socket
import time
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final

from ftpsvc.buffers import BufferPool
from ftpsvc.deadline import Deadline
from ftpsvc.exceptions import (
    ConnectionLost,
    FtpsvcError,
    LocalProtocolError,
    PermissionDenied,
    RemoteProtocolError,
    TransferTimeout,
    TransportError,
    Unavailable,
)
from ftpsvc.protocol.connection import Connection, RequestReceived
from ftpsvc.protocol.headers import Quit
from ftpsvc.protocol.limits import MAX_HEADER_BEFORE_LOGIN
from ftpsvc.protocol.state import Role
from ftpsvc.server import log, service, trail
from ftpsvc.server.audit import Audit
from ftpsvc.server.batch import Budget
from ftpsvc.server.config import Settings
from ftpsvc.server.exchange import Exchange, Fatal
from ftpsvc.server.extension import Extensions
from ftpsvc.server.guests import Guests
from ftpsvc.server.login import Logins
from ftpsvc.server.peers import Peer
from ftpsvc.server.registry import Registry, Seat
from ftpsvc.server.session import Rights, Session
from ftpsvc.server.shares import Bandwidth
from ftpsvc.storage import nearby
from ftpsvc.transport import Channel

_LINGER_SECONDS: Final = 2.0
"""How long a client gets to read our last words before the socket is closed under them."""

# Linux tells that the peer sends no more even while there is something left to read; elsewhere a look has to do.
_PEER_ENDED: Final = getattr(select, "POLLRDHUP", 0)

_QUIT: Final = "quit"
_CLOSED: Final = "closed"
_STOPPING: Final = "stopping"
_DISMISSED: Final = "dismissed"
_SUPERSEDED: Final = "superseded"

_log = logging.getLogger("ftpsvc.server.connection")


@dataclass(frozen=True, slots=True)
class Context:
    """What all connections of a daemon share. No state of a session is among it.

    Attributes:
        settings: The daemon's settings.
        registry: Its connections.
        pool: Its transfer buffers.
        guests: Its rule for who does not log in.
        logins: What log-ins need.
        bandwidth: What payloads share; None is no limit.
        audit: Where what is done is written down; None is nowhere.
        budget: How many uploads may wait to be committed together; None: none ever does.
        extensions: What is served, the server's own operations among it.
    """

    settings: Settings
    registry: Registry
    pool: BufferPool
    guests: Guests
    logins: Logins | None = None
    bandwidth: Bandwidth | None = None
    audit: Audit | None = None
    budget: Budget | None = None
    extensions: Extensions = field(default_factory=lambda: Extensions(service.OPERATIONS))


def hold(
    sock: socket.socket,
    seat: Seat,
    peer: Peer,
    context: Context,
    *,
    on_every_address: bool,
    binding: bytes | None = None,
) -> None:
    """Holds a conversation to its end, and closes the socket. Whatever happens is logged and goes no further.

    Args:
        sock: The accepted socket.
        seat: Its place in the registry.
        peer: Who is at the other end.
        context: What the daemon shares.
        on_every_address: Whether the listener was given no address of its own.
        binding: The `tls-server-end-point` hash of the certificate that the connection was accepted with; None
            without TLS.
    """
    timeouts = context.settings.timeouts
    channel = Channel(
        sock,
        Connection(Role.SERVER, max_header=MAX_HEADER_BEFORE_LOGIN),
        stall=timeouts.stall,
        header=timeouts.header,
    )
    seat.attach(channel)
    started = time.monotonic()
    talk = _Talk(sock, channel, seat, context)
    session = context.guests.open_session(
        seat.number, peer, on_every_address=on_every_address, binding=binding
    )
    last: FtpsvcError | None = None
    try:
        reason = talk.run(session)
    except Fatal as fatal:
        reason, last = fatal.error.code, fatal.error
    except ConnectionLost as error:
        reason, last = (_STOPPING, talk.stopping()) if context.registry.stopping else (str(error), None)
    except (RemoteProtocolError, TransferTimeout) as error:
        reason, last = str(error), error
    except PermissionDenied as error:
        reason, last = error.code, error
    except Exception as error:  # noqa: BLE001 -- one request that hits a fault of ours must not end the server
        log.internal_error(_log, error, session=seat.number, peer=peer.shown)
        reason, last = "internal", FtpsvcError("the server failed at this; it was noted in its log")
    if seat.dismissed:
        reason, last = _DISMISSED, None
    elif session.superseded:
        reason, last = _SUPERSEDED, None
    seat.begin_ending()
    session.end()
    _end(channel, last, politely=reason == _QUIT)
    if context.audit is not None:
        trail.end(context.audit, session)
    log.event(
        _log,
        logging.INFO,
        "connection",
        session=seat.number,
        peer=peer.shown,
        end=reason,
        requests=talk.requests,
        received=channel.wire.received,
        sent=channel.wire.sent,
        seconds=round(time.monotonic() - started, 3),
    )


class _Talk:
    """The loop of requests and answers."""

    def __init__(self, sock: socket.socket, channel: Channel, seat: Seat, context: Context) -> None:
        self.requests = 0
        self._sock = sock
        self._channel = channel
        self._seat = seat
        self._context = context

    def run(self, session: Session) -> str:
        """Serves requests until the client ends the conversation; returns how it did."""
        channel, settings = self._channel, self._context.settings
        log.event(_log, logging.DEBUG, "connected", session=session.number, peer=session.peer)
        logins = self._context.logins
        extensions = self._context.extensions
        greeting = service.greeting(session, settings, logins, extensions.features)
        channel.queue(channel.connection.send_greeting(greeting))
        exchange = Exchange(
            channel, session, settings, self._context.pool, self.check, logins,
            bandwidth=self._context.bandwidth, gone=self.gone, sit=self._seat.take_for, audit=self._context.audit,
            budget=self._context.budget, operations=extensions.operations,
        )  # fmt: skip
        exchange.settle = lambda: service.settle(exchange)
        channel.before_wait = lambda: self._before_waiting(exchange)
        with nearby.keeping():
            try:
                return self._serve(session, exchange)
            finally:
                with suppress(TransportError):
                    if exchange.batch:  # complete before whatever has ended this
                        exchange.settle()
                        channel.flush()

    def _before_waiting(self, exchange: Exchange) -> None:
        """Keeps nothing from what has arrived for what is to come; the batch only if more has arrived already."""
        batch = exchange.batch
        if batch and (batch.full or not self._channel.wire.readable(0)):
            exchange.settle()
        nearby.leave()  # afterwards, since a batch of one walks there once more

    def _serve(self, session: Session, exchange: Exchange) -> str:
        channel, settings = self._channel, self._context.settings
        timeouts = settings.timeouts
        if session.rights is not Rights.NONE:
            self._seat.take_for(None)
        log_in = Deadline(timeouts.login, "a log-in")
        while True:
            # All of it changes with a log-in.
            wait, within, channel.watch = timeouts.idle, None, exchange.watch
            if session.rights is Rights.NONE:
                wait, within = timeouts.greeting, log_in
                channel.watch = lambda count, seconds: bool(log_in.remaining())  # raises when it is over
            channel.connection.max_header = service.max_header(session)
            if not self._seat.begin_waiting():
                raise Fatal(self.stopping())
            event = channel.receive_event(wait, "a request", within=within)
            if event is None and not self._context.registry.stopping:
                return _CLOSED
            if not self._seat.begin_working():
                raise Fatal(self.stopping())
            if not isinstance(event, RequestReceived):  # between requests nothing else can come
                raise TypeError(f"{type(event).__name__} in place of a request")
            self.requests += 1
            if isinstance(event.request, Quit):
                exchange.settle()
                channel.queue(channel.connection.send_goodbye())
                return _QUIT
            service.answer(exchange, event)

    def stopping(self) -> Unavailable:
        """Returns what a client is told when the server stops."""
        return Unavailable("", "the server is stopping")

    def check(self) -> None:
        """Raises when long work is no longer wanted: see `Exchange.check`."""
        if self._context.registry.stopping:
            raise self.stopping()
        if self._peer_is_gone():
            raise ConnectionLost("the client went away while the server was at work for it")

    def gone(self, sending: bool) -> bool:
        """Returns whether nobody is at the other end of a transfer any more.

        Args:
            sending: Whether it is to the client. From a client that has ended its direction there may be more to read.
        """
        if sending:
            return self._peer_is_gone()
        poller = select.poll()
        poller.register(self._sock.fileno(), 0)  # that it is cut, or reset, is told always
        return bool(poller.poll(0))

    def _peer_is_gone(self) -> bool:
        """Returns whether the client has ended the connection, or at least its direction of it."""
        poller = select.poll()
        poller.register(self._sock.fileno(), _PEER_ENDED or select.POLLIN)
        events = poller.poll(0)
        if not events:
            return False
        if events[0][1] & ~select.POLLIN:
            return True
        try:
            # The bare socket's own: a TLS socket cannot peek, and only the end is looked for.
            return not socket.socket.recv(self._sock, 1, socket.MSG_PEEK | socket.MSG_DONTWAIT)
        except BlockingIOError:
            return False
        except OSError:
            return True


def _end(channel: Channel, last: FtpsvcError | None, *, politely: bool) -> None:
    """Says why the connection ends, where that can still be said, and closes it."""
    channel.watch = None  # the last word is sent also when the time for everything else is over
    if last is not None and not channel.wire.send_failed:
        try:
            channel.queue(channel.connection.send_error(last, fatal=True))
            politely = True
        except (LocalProtocolError, TransportError):
            pass  # a payload is half sent, or nobody takes anything: only the end itself can be said
    if politely:
        channel.linger(_LINGER_SECONDS)
    else:
        channel.close()
