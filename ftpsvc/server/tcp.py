"""Listening sockets: thin. They accept, give a seat or say busy, and leave the rest to a thread of the connection.

The accept loop never waits for a client. Source: docs/protocol.md section 8.
"""

from __future__ import annotations

import errno
import logging
import os
import socket
import socketserver
import stat
import threading
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from ftpsvc.addresses import TLS, UNIX, Address
from ftpsvc.exceptions import Busy, ConfigError
from ftpsvc.protocol.connection import Connection
from ftpsvc.protocol.state import Role
from ftpsvc.server import log, trail
from ftpsvc.server.conversation import Context, hold
from ftpsvc.server.handshake import secure
from ftpsvc.server.peers import peer_of
from ftpsvc.server.tls import Certificates

_KEEP_ALIVE: Final = {"TCP_KEEPIDLE": 60, "TCP_KEEPINTVL": 15, "TCP_KEEPCNT": 4}
"""Seconds of silence before the kernel asks, seconds between questions, questions: a vanished machine is noticed after
two minutes, not after two hours."""
_FULL: Final = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})
_PAUSE_SECONDS: Final = 0.1

_log = logging.getLogger("ftpsvc.server.listener")


class _Handler(socketserver.BaseRequestHandler):
    """Holds one conversation."""

    server: Listener

    def handle(self) -> None:
        """Runs in the thread of the connection, until it ends."""
        seat = self.server.context.registry.seat_of(self.request)
        threading.current_thread().name = f"connection {seat.number}"
        try:
            peer = peer_of(self.request, self.client_address, self.server.scheme)
        except OSError:
            return  # it was gone before it was looked at
        sock, binding = self.request, None
        if self.server.certificates is not None:
            # Taken once: what log-ins are bound to is the certificate that this very connection is shown.
            identity = self.server.certificates.current
            timeouts = self.server.context.settings.timeouts
            sock = secure(sock, seat, identity, seconds=timeouts.handshake, peer=peer.shown)
            if sock is None:
                return
            binding = identity.binding
        hold(
            sock,
            seat,
            peer,
            self.server.context,
            on_every_address=self.server.on_every_address,
            binding=binding,
        )


class Listener(socketserver.ThreadingTCPServer):
    """One listening socket and its accept loop.

    Attributes:
        scheme: That of its address.
        context: What the daemon shares; there from `start` on.
        certificates: What it shows to clients; there from `start` on; None without TLS.
        address: Where it listens, with the port that the system chose for port 0.
        on_every_address: Whether it listens on all addresses of the machine.
    """

    allow_reuse_address = True
    # The registry knows the connections and waits for them; socketserver would wait without end.
    daemon_threads = False
    block_on_close = False

    def __init__(
        self,
        family: socket.AddressFamily,
        where: Any,
        *,
        scheme: str,
        backlog: int,
        v6only: bool = True,
        mode: int = 0o600,
    ) -> None:
        """Binds and listens; accepting begins with `start`.

        Args:
            family: AF_INET, AF_INET6 or AF_UNIX.
            where: The socket address of that family.
            scheme: That of the address.
            backlog: How many connections may wait to be accepted.
            v6only: For AF_INET6: whether IPv4 clients are left to another socket.
            mode: For AF_UNIX: permissions of the socket.

        Raises:
            OSError: The address cannot be had.
        """
        self.scheme = scheme
        self.address_family = family
        self.request_queue_size = backlog
        self._v6only = v6only
        self._mode = mode
        self._identity: tuple[int, int] | None = None
        self._closing = threading.Event()
        self._thread: threading.Thread | None = None
        # Held back for the moment when there is no descriptor left to accept with (see `get_request`).
        self._spare = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
        try:
            super().__init__(where, _Handler)
        except BaseException:
            self._drop_spare()
            raise
        self.socket.setblocking(False)  # a client that is gone again before accept must not block the loop
        self.address = self._own_address()
        self.on_every_address = family is not socket.AF_UNIX and self.address.host in ("0.0.0.0", "::")

    def server_bind(self) -> None:
        """Binds; see `__init__`."""
        if self.address_family is socket.AF_INET6:
            self.socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, self._v6only)
        super().server_bind()
        if self.address_family is socket.AF_UNIX:
            path = os.fsdecode(self.server_address)  # type: ignore[arg-type]  # typeshed knows AF_INET only
            # Nobody can connect in between: it listens only after this.
            os.chmod(path, self._mode)
            self._identity = _identity(path)

    def _own_address(self) -> Address:
        name = self.socket.getsockname()
        if self.address_family is socket.AF_UNIX:
            return Address(UNIX, path=os.fsdecode(name))
        return Address(self.scheme, name[0], name[1])

    def start(self, context: Context, certificates: Certificates | None) -> None:
        """Starts the accept loop in a thread of its own.

        Args:
            context: What the daemon shares.
            certificates: What to show to clients, if the address is one of TLS.
        """
        self.context = context
        self.certificates = certificates if self.scheme == TLS else None
        self._thread = threading.Thread(target=self._accept, name=f"accept {self.address}")
        self._thread.start()

    def _accept(self) -> None:
        self.serve_forever()

    def stop(self) -> None:
        """Ends the accept loop and joins its thread, closes the socket, and removes the file of an AF_UNIX socket."""
        self._closing.set()
        if self._thread is not None:
            with suppress(OSError):
                # Wakes the loop on Linux; elsewhere it looks about twice a second.
                self.socket.shutdown(socket.SHUT_RDWR)
            self.shutdown()
            self._thread.join()
        self.server_close()

    def server_close(self) -> None:
        """Closes the socket; see `stop`."""
        super().server_close()
        self._drop_spare()
        if self._identity is not None:
            path = os.fsdecode(self.server_address)  # type: ignore[arg-type]  # see server_bind
            with suppress(OSError):
                if _identity(path) == self._identity:  # not that of a server that was started since
                    os.unlink(path)

    def get_request(self) -> tuple[socket.socket, Any]:
        """Accepts one connection. Raises OSError when there is none; socketserver goes on then."""
        try:
            sock, address = self.socket.accept()
        except OSError as error:
            if error.errno in _FULL and not self._closing.is_set():
                self._turn_away_without_descriptors(error)
            raise
        try:
            sock.setblocking(True)
            sock.settimeout(None)
            if self.address_family is not socket.AF_UNIX:
                _prepare(sock)
        except OSError:
            sock.close()
            raise
        return sock, address

    def verify_request(self, request: Any, client_address: Any) -> bool:
        """Gives the connection a seat, or says busy; socketserver closes it in the second case."""
        try:
            peer = peer_of(request, client_address)
        except OSError:
            return False
        try:
            self.context.registry.admit(request, peer.group)
        except Busy as busy:
            log.event(_log, logging.INFO, "turned-away", peer=peer.shown, reason=str(busy))
            if self.context.audit is not None:
                trail.turned_away(self.context.audit, peer.address, str(busy))
            _say_busy(request, busy)
            return False
        return True

    def process_request(self, request: Any, client_address: Any) -> None:
        """Starts the thread of a connection that has a seat."""
        try:
            super().process_request(request, client_address)
        except RuntimeError as error:  # the system gives no more threads
            log.event(_log, logging.WARNING, "no-thread", reason=str(error))
            self.context.registry.release(request, None)
            _say_busy(request, Busy("", "the server has no thread left for another connection"))
            self.shutdown_request(request)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Is the thread of a connection."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self.context.registry.release(request, threading.current_thread())

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Logs what went wrong in the accept loop or in a handler; socketserver would print it."""
        import sys

        error = sys.exception() if hasattr(sys, "exception") else sys.exc_info()[1]
        if error is not None:
            log.internal_error(_log, error)

    def _turn_away_without_descriptors(self, error: OSError) -> None:
        """Tells one client that the server is full: with the spare descriptor, so that the loop does not spin."""
        log.event(_log, logging.WARNING, "no-descriptor", reason=error.strerror)
        self._drop_spare()
        try:
            with suppress(OSError):
                sock, _ = self.socket.accept()
                with sock:
                    _say_busy(sock, Busy("", "the server has too many files and connections open"))
            self._spare = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            # Another thread was faster: wait until something is closed, or the server.
            self._closing.wait(_PAUSE_SECONDS)

    def _drop_spare(self) -> None:
        spare, self._spare = self._spare, -1
        if spare >= 0:
            os.close(spare)


def _prepare(sock: socket.socket) -> None:
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in _KEEP_ALIVE.items():
        if hasattr(socket, name):  # macOS has other names for some
            sock.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)


def _say_busy(sock: socket.socket, busy: Busy) -> None:
    """Sends one fatal answer without waiting: a fresh connection has room for it, and one that has not gets none."""
    data = Connection(Role.SERVER).send_error(busy, fatal=True)
    with suppress(OSError):
        sock.setblocking(False)
        sock.send(data)
        sock.shutdown(socket.SHUT_WR)
        # What the client said already would turn our closing into a reset, which may overtake the answer.
        sock.recv(65536)


def _identity(path: str) -> tuple[int, int]:
    info = os.stat(path)
    return info.st_dev, info.st_ino


# ---------------------------------------------------------------- from addresses to listeners


def listen(
    addresses: Iterable[Address], *, backlog: int, socket_mode: int
) -> tuple[list[Listener], list[str]]:
    """Binds everything that is to be listened on.

    Args:
        addresses: Where.
        backlog: How many connections may wait to be accepted, at each address.
        socket_mode: Permissions of AF_UNIX sockets.

    Returns:
        The listeners, and notes on what is not quite as it was asked for.

    Raises:
        ConfigError: An address cannot be had. Nothing is left bound.
    """
    addresses = tuple(addresses)
    listeners: list[Listener] = []
    notes: list[str] = []
    ipv4_too = not any(address.host == "0.0.0.0" for address in addresses)
    try:
        for address in addresses:
            if address.path is not None:
                listeners.append(_listen_unix(address, backlog, socket_mode))
            else:
                listeners += _listen_tcp(address, backlog, notes, ipv4_too=ipv4_too)
    except BaseException:
        for listener in listeners:
            listener.stop()
        raise
    return listeners, notes


def _listen_tcp(address: Address, backlog: int, notes: list[str], *, ipv4_too: bool) -> list[Listener]:
    """Listens on every address that the host stands for, but for those that the machine does not have."""
    try:
        found = socket.getaddrinfo(
            address.host, address.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
    except (OSError, UnicodeError) as error:
        raise ConfigError(f"cannot listen on {address}: its host is not known ({_reason(error)})") from None
    listeners: list[Listener] = []
    problem: OSError | None = None
    for family, _, _, _, where in dict.fromkeys(found):
        dual = family is socket.AF_INET6 and where[0] == "::" and ipv4_too
        try:
            listeners.append(Listener(family, where, scheme=address.scheme, backlog=backlog, v6only=not dual))
        except OSError as error:
            problem = error
            if error.errno not in (errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL):
                break
    if problem is not None and not listeners and address.host == "::" and _lacks_family(problem):
        instead = Address(address.scheme, "0.0.0.0", address.port)
        notes.append(f"this machine has no IPv6: listening on {instead} in place of {address}")
        return _listen_tcp(instead, backlog, notes, ipv4_too=False)
    if not listeners or (problem is not None and not _lacks_family(problem)):
        for listener in listeners:
            listener.stop()
        raise _cannot_listen(address, problem)
    if problem is not None:
        notes.append(f"of what {address} stands for, one address is left out: {_reason(problem)}")
    return listeners


def _lacks_family(error: OSError) -> bool:
    return error.errno in (errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL)


def _listen_unix(address: Address, backlog: int, mode: int) -> Listener:
    path = Path(address.path or "")
    _remove_stale(address, path)
    try:
        return Listener(socket.AF_UNIX, str(path), scheme=UNIX, backlog=backlog, mode=mode)
    except OSError as error:
        raise _cannot_listen(address, error) from None


def _remove_stale(address: Address, path: Path) -> None:
    """Removes the file of a socket that a killed server left; refuses anything else that is there."""
    try:
        if not stat.S_ISSOCK(path.lstat().st_mode):
            raise ConfigError(f"cannot listen on {address}: there is something that is no socket")
    except FileNotFoundError:
        return
    except OSError as error:
        raise _cannot_listen(address, error) from None
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.setblocking(False)
        try:
            probe.connect(str(path))
        except ConnectionRefusedError:
            with suppress(FileNotFoundError):
                path.unlink()
            return
        except FileNotFoundError:
            return
        except OSError:
            pass  # a full backlog, or no right to: somebody is there
    raise ConfigError(
        f"cannot listen on {address}: another server does", hint="stop that one first, or choose another path"
    )


def _cannot_listen(address: Address, error: OSError | None) -> ConfigError:
    hint = None
    if error is not None and error.errno == errno.EADDRINUSE:
        hint = "another program has this port: stop it, or choose another port"
    elif error is not None and error.errno == errno.EACCES and 0 < address.port < 1024:
        hint = "ports below 1024 are the system's: choose a higher one"
    return ConfigError(f"cannot listen on {address}: {_reason(error)}", hint=hint)


def _reason(error: Exception | None) -> str:
    return getattr(error, "strerror", None) or type(error).__name__
