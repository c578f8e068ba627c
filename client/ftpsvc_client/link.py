"""One connection to a server: dialled and greeted, with any number of requests under way.

Requests are pipelined: `submit` sends one and says who takes its answer; answers are collected when somebody waits for
one, or when the window is full. The rules that keep two full pipes from blocking each other are in one place, here
(docs/protocol.md section 3.3). Not thread-safe.
"""

from __future__ import annotations

import contextlib
import socket
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

from ftpsvc.addresses import TLS, Address
from ftpsvc.buffers import SMALL_BUFFER_BYTES, BufferPool
from ftpsvc.exceptions import (
    AuthenticationFailed,
    CertificateChanged,
    ConnectFailed,
    ConnectionLost,
    FtpsvcError,
    InvalidRequest,
    LocalProtocolError,
    PermissionDenied,
    RemoteProtocolError,
    TransferTimeout,
)
from ftpsvc.protocol import headers
from ftpsvc.protocol.connection import (
    Connection,
    Event,
    GreetingReceived,
    ResponseReceived,
    ServerClosing,
    TrailerReceived,
)
from ftpsvc.protocol.headers import Greeting, Quit, Request, Response
from ftpsvc.protocol.limits import MAX_HEADER, MAX_WINDOW, PREFIX_BYTES
from ftpsvc.protocol.state import Role, State
from ftpsvc.transport import Channel

if TYPE_CHECKING:
    from ftpsvc.credentials import Credentials
    from ftpsvc_client.trust import Trust

Answer = Callable[[ResponseReceived], None]
"""Takes the answer to a request. One that announces content must read it, and its trailer, before it returns."""

Answered = TypeVar("Answered", bound=Response)

_HEADER_SECONDS = 30.0
_GOODBYE_SECONDS = 3.0
"""What a server has to answer `quit`: nothing depends on it any more."""
_THROTTLED_SECONDS = 30.0
"""What a server may make a log-in wait after failed ones."""


class Link:
    """A connection to a server, ready for requests.

    Attributes:
        address: Where it goes.
        greeting: What the server said first.
        channel: The socket and the protocol's state.
        certificate: What the server showed, DER; None without TLS.
        binding: The `tls-server-end-point` hash of that certificate; None without TLS.
        pool: Where transfer buffers come from.
    """

    def __init__(
        self,
        address: Address,
        *,
        timeout: float,
        pool: BufferPool,
        trust: Trust | None = None,
        by_token: bool = False,
        allow_plain: bool = False,
    ) -> None:
        """Connects and waits for the greeting.

        Args:
            address: Where to.
            timeout: Seconds without progress after which anything is given up.
            pool: Where transfer buffers come from.
            trust: Decides about the server's certificate, before anything is sent to it; None are the user's pins,
                with nobody to ask. Without TLS it is not used.
            by_token: Whether a log-in by a device token follows. It proves which server this is, so a changed
                certificate is let pass for the time being: until `log_in` succeeded nothing else can be sent.
            allow_plain: Whether a password may cross a connection to another machine that is not encrypted.

        Raises:
            ConnectFailed: Nobody listens there, the name is unknown, or no TLS comes about where it is due.
            UntrustedServer: The server's certificate is not to be believed.
            ConnectionLost, TransferTimeout, RemoteProtocolError: Somebody listens, but it is no ftpsvc server.
            FtpsvcError: The server refused, with its reason (for instance Busy).
        """
        self.address = address
        self.timeout = timeout
        self.pool = pool
        self._scratch: memoryview | None = None
        self.certificate: bytes | None = None
        self.binding: bytes | None = None
        self._trust = trust
        self._allow_plain = allow_plain
        self._unproved: CertificateChanged | None = None
        sock = _dial(address, timeout)
        self._exposed = not address.is_tls and _leaves_this_machine(sock)
        if address.is_tls:
            sock = self._secure(sock, by_token=by_token)
        self.channel = Channel(
            sock,
            Connection(Role.CLIENT, max_header=MAX_HEADER),
            stall=timeout,
            header=min(timeout, _HEADER_SECONDS),
        )
        self._answers: deque[Answer] = deque()
        self._waits: deque[float] = deque()
        self._closed = False
        try:
            event = self.channel.receive_event(timeout, "the greeting")
            if isinstance(event, ServerClosing):
                raise event.error
            if not isinstance(event, GreetingReceived):
                raise ConnectionLost("the peer closed it without a greeting; is it an ftpsvc server?")
            self.greeting: Greeting = event.greeting
            self._max_header = event.greeting.limits.header
        except RemoteProtocolError as error:
            self.close()
            raise ConnectFailed(str(address), f"no ftpsvc server answers there ({error})") from None
        except TransferTimeout as error:
            self.close()
            error.hint = _why_silent(address)
            raise
        except BaseException:
            self.close()
            raise
        limits = self.greeting.limits
        self._window = min(limits.window, MAX_WINDOW)
        self._window_bytes = limits.window_bytes
        self.features = frozenset(self.greeting.features)

    def _secure(self, sock: socket.socket, *, by_token: bool) -> socket.socket:
        """Returns the TLS socket over `sock`, once its certificate is believed."""
        from ftpsvc.certificates import binding
        from ftpsvc_client.secure import secure
        from ftpsvc_client.trust import Pins

        tls, self.certificate = secure(sock, self.address, self.timeout)
        try:
            self.binding = binding(self.certificate)
            if self._trust is None:
                self._trust = Pins()
            try:
                self._trust.check(self.address, self.certificate)
            except CertificateChanged as error:
                if not by_token:
                    raise
                self._unproved = error
        except BaseException:
            tls.close()
            raise
        return tls

    def log_in(self, credentials: Credentials) -> headers.AuthStep:
        """Logs in by SCRAM; nothing else is sent before the server has proved that it knows the account too.

        Args:
            credentials: Who, and by what.

        Returns:
            The last answer: who we are now.

        Raises:
            AuthenticationFailed: Refused, or the server failed to prove itself. The link is closed.
            CertificateChanged: The same, with a server whose certificate has changed: it is not pinned.
            ConfigError: The name or secret cannot be used in a log-in.
            PermissionDenied: It is a password, which others could guess from what they read on the way, and that was
                not allowed.
            FtpsvcError: Another refusal, or the connection's end.
        """
        from ftpsvc.credentials import Kind
        from ftpsvc.scram import ClientLogin

        unproved = self._unproved
        if unproved is not None and not credentials.by_token:
            self.close()
            raise unproved
        if self._exposed and credentials.name.kind is Kind.PASSWORD and not self._allow_plain:
            self.close()
            raise refused_in_plain()
        login = ClientLogin(credentials.name, credentials.secret, self.binding)
        try:
            if not self.greeting.mechanisms:
                raise AuthenticationFailed("this server lets nobody log in over this connection")
            self._unproved = None
            # The mechanism follows from our side of the connection, and never from what the server offers.
            first = self.call(headers.Auth(mechanism=login.mechanism, data=login.first()), headers.AuthStep)
            last = self.call(
                headers.Auth(data=login.answer(first.data)), headers.AuthStep, wait=_THROTTLED_SECONDS
            )
            login.finish(last.data)
            # The greeting spoke of clients that have not logged in.
            self._max_header = MAX_HEADER
        except FtpsvcError as error:
            self.close()
            if unproved is not None and isinstance(error, AuthenticationFailed):
                raise unproved from error
            raise
        if unproved is not None and self._trust is not None and self.certificate is not None:
            self._trust.proved(self.address, self.certificate)
        return last

    # ------------------------------------------------------------ requests

    @property
    def scratch(self) -> memoryview:
        """A buffer of 64 KiB of this connection, for whoever is just using it: small files need no other each."""
        if self._scratch is None:
            self._scratch = memoryview(bytearray(SMALL_BUFFER_BYTES))
        return self._scratch

    def call(self, request: Request, kind: type[Answered], *, wait: float = 0) -> Answered:
        """Sends a request without content and returns its answer.

        Args:
            request: What to ask.
            kind: What the answer is: `type(request).answer`, named so that the type is known.
            wait: Seconds that the server may need beyond the time-out (to hash a large file, say).

        Raises:
            FtpsvcError: The server's refusal, or the connection's end.
        """
        answers: list[ResponseReceived] = []
        self.submit(request, answers.append, wait=wait)
        while not answers:
            self.collect()
        return accepted(answers[0], kind)

    def submit(self, request: Request, answer: Answer, *, wait: float = 0) -> None:
        """Queues a request. If it has content, the caller sends payload and trailer next.

        Args:
            request: What to ask.
            answer: Who takes the answer. What it raises comes out of whatever collected the answer.
            wait: As for `call`.

        Raises:
            InvalidRequest: It is longer than the server takes. Nothing was sent.
            FtpsvcError: The connection's end, while waiting for room in the window.
        """
        if self._unproved is not None:
            raise self._unproved
        connection = self.channel.connection
        encoded = request.encode()
        header = len(encoded)
        if header > self._max_header:
            raise InvalidRequest(
                f"{request.op}: a name is too long for this server "
                f"({header} bytes in all, {self._max_header} are taken)"
            )
        size = PREFIX_BYTES + header
        while connection.unanswered and (
            len(connection.unanswered) >= self._window
            or connection.unanswered_bytes + size > self._window_bytes
            or (request.content and connection.unanswered_payloads)
        ):
            self.collect()
        self._answers.append(answer)
        self._waits.append(wait)
        self.channel.queue(connection.send_request(request, encoded))

    def collect(self) -> None:
        """Waits for the oldest answer that is due and hands it to who asked for it.

        Raises:
            FtpsvcError: The connection's end: what is unanswered stays so. Or what the taker of the answer raised.
        """
        wait = self.timeout + (self._waits[0] if self._waits else 0)
        event = self.channel.receive_event(wait, "the server's answer")
        if event is None:
            raise ConnectionLost("the server closed it")
        if isinstance(event, ServerClosing):
            raise event.error
        if not isinstance(event, ResponseReceived):
            raise LocalProtocolError(f"{type(event).__name__} where an answer is due")
        self._waits.popleft()
        self._answers.popleft()(event)
        if event.error is not None and event.error.fatal:
            raise event.error

    def settle(self) -> None:
        """Collects every answer that is due.

        Raises:
            As `collect`.
        """
        while self._answers:
            self.collect()

    def trailer(self, wait: float = 0) -> TrailerReceived:
        """Returns the trailer that ends the content under way.

        Raises:
            FtpsvcError: The connection's end.
        """
        event: Event | None = self.channel.receive_event(self.timeout + wait, "a trailer")
        if not isinstance(event, TrailerReceived):
            raise ConnectionLost("the server closed it before a trailer")
        return event

    # ------------------------------------------------------------ the end

    @property
    def usable(self) -> bool:
        """Whether a new request can be sent: nothing is half sent, half read or unanswered."""
        connection = self.channel.connection
        at_rest = connection.incoming is State.IDLE and connection.outgoing is State.IDLE
        return not self._closed and at_rest and not connection.unanswered and not self._answers

    @property
    def can_go_on(self) -> bool:
        """Whether another request can be sent, though answers may still be due."""
        connection = self.channel.connection
        ended = self._closed or self.channel.wire.send_failed or connection.incoming is State.CLOSED
        return not ended and connection.outgoing is State.IDLE

    def take_queued(self) -> None:
        """Hands out the answers that have arrived already, without waiting for any. What they raise is left out."""
        while self._answers and self.channel.has_events:
            with contextlib.suppress(FtpsvcError):
                self.collect()

    @property
    def closed(self) -> bool:
        """Whether `close` was called: a transfer that could only be stopped this way does it."""
        return self._closed

    def quit(self) -> None:
        """Says goodbye if that is possible, waits a moment for the answer, and closes."""
        try:
            if self.usable:
                self.timeout = min(self.timeout, _GOODBYE_SECONDS)
                self.call(Quit(), Response)
        except (FtpsvcError, OSError):
            pass  # the goodbye is a courtesy
        finally:
            self.close()

    def close(self) -> None:
        """Closes the socket at once."""
        self._closed = True
        self.channel.close()


def accepted(event: ResponseReceived, kind: type[Answered]) -> Answered:
    """Returns the successful answer, or raises the refusal.

    Args:
        event: What came.
        kind: What the answer is: `type(event.request).answer`, which the connection validated it as.

    Raises:
        FtpsvcError: The server refused.
        LocalProtocolError: `kind` is not what this request is answered with.
    """
    if event.error is not None:
        raise event.error
    if not isinstance(event.response, kind):
        raise LocalProtocolError(f"{kind.__name__} is not the answer to {event.request.op}")
    return event.response


def _why_silent(address: Address) -> str:
    """Returns what may be wrong with a server that was connected to and does not greet."""
    if address.is_tls or address.path is not None:
        return "is it an ftpsvc server? one greets at once; this one may be stuck, or too busy to answer"
    return f"is it an ftpsvc server, and one without TLS? try {Address(TLS, address.host, address.port)}"


def _leaves_this_machine(sock: socket.socket) -> bool:
    """Returns whether what is sent can be read on the way by others."""
    try:
        return others_can_read(sock.getpeername())
    except OSError:  # it is gone already, which the greeting will show
        return True


def others_can_read(peer: object) -> bool:
    """Returns whether a connection to this peer, as `getpeername` names it, leaves the machine."""
    if not isinstance(peer, tuple):  # AF_UNIX
        return False
    import ipaddress

    host = ipaddress.ip_address(str(peer[0]))
    return not (getattr(host, "ipv4_mapped", None) or host).is_loopback


def refused_in_plain() -> PermissionDenied:
    """Returns the error that keeps a password from a plain connection."""
    error = PermissionDenied(
        "a password does not cross a plain connection to another machine: whoever listens could guess it"
    )
    error.hint = "use ftpsvc://, or a device token; --allow-plain if you know that nobody listens"
    return error


def _dial(address: Address, timeout: float) -> socket.socket:
    try:
        if address.path is not None:
            if not hasattr(socket, "AF_UNIX"):
                raise ConnectFailed(str(address), "Python has no AF_UNIX sockets on Windows")
            sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            sock.settimeout(timeout)
            try:
                sock.connect(address.path)
            except BaseException:
                sock.close()
                raise
            return sock
        sock = socket.create_connection((address.host, address.port), timeout=timeout)
    except UnicodeError:  # a name that no DNS can hold: an empty or overlong part
        raise ConnectFailed(str(address), "that is no host name") from None
    except TimeoutError:
        raise TransferTimeout(f"a connection to {address}", timeout) from None
    except OSError as error:
        reason = error.strerror or str(error)
        raise ConnectFailed(
            str(address), reason, hint="is the server running, and is the address right?"
        ) from None
    # Small messages must not wait for the answer to the one before (Nagle).
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    return sock
