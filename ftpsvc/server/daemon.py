"""Everything that runs, in the order in which it starts and stops (invariant 8).

with running(Settings(root=..., guest="write", listen=("ftpsvc+tcp://127.0.0.1:0",))) as daemon:
print(daemon.addresses[0])
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager

from ftpsvc.accounts.store import Accounts
from ftpsvc.addresses import Address
from ftpsvc.buffers import BufferPool
from ftpsvc.exceptions import ConfigError
from ftpsvc.server import log, tcp, volumes
from ftpsvc.server.audit import Audit
from ftpsvc.server.batch import Budget
from ftpsvc.server.config import Settings
from ftpsvc.server.conversation import Context
from ftpsvc.server.extension import Extension, Extensions, Grounds
from ftpsvc.server.guests import Guests
from ftpsvc.server.homes import Homes
from ftpsvc.server.login import Logins
from ftpsvc.server.registry import Registry
from ftpsvc.server.service import OPERATIONS
from ftpsvc.server.shares import Bandwidth
from ftpsvc.server.sweeper import Sweeper
from ftpsvc.server.tls import Certificates
from ftpsvc.storage.base import Durability
from ftpsvc.storage.local import LocalStorage
from ftpsvc.storage.together import Syncers

_log = logging.getLogger("ftpsvc.server.daemon")


class Daemon:
    """A server: storages, listeners and connections. `start` and `stop` once each.

    Attributes:
        settings: What it was made with.
        registry: Its connections.
        certificates: What it shows to clients; None before `start`, and where no address is one of TLS.
        has_users: Whether there were any accounts at the start.
        notes: What is not quite as it was asked for, for the operator; known after `start`.
    """

    def __init__(self, settings: Settings, extensions: Sequence[Extension] = ()) -> None:
        """Takes the settings, and what is added to the server. Nothing is opened before `start`.

        Raises:
            ConfigError: The extensions do not go together.
        """
        self.settings = settings
        limits = settings.limits
        self.registry = Registry(
            limits.connections, limits.per_address, per_user=limits.per_user, strangers=limits.strangers
        )
        self.certificates: Certificates | None = None
        self.notes: list[str] = []
        self.has_users = False
        self._opened = ExitStack()
        self._listeners: list[tcp.Listener] = []
        self._syncers: Syncers | None = None
        self._swept: list[Callable[[float], int]] = []
        self._extensions = Extensions(OPERATIONS, extensions)
        self._cut = 0

    @property
    def addresses(self) -> tuple[Address, ...]:
        """Where it listens, with the ports that the system chose; empty before `start` and after `stop`."""
        return tuple(listener.address for listener in self._listeners)

    @property
    def on_every_address(self) -> bool:
        """Whether a listener listens on all addresses of the machine, so that it serves guests on loopback only."""
        return any(listener.on_every_address for listener in self._listeners)

    def start(self) -> None:
        """Binds all addresses, opens the storages, and begins to accept.

        Raises:
            ConfigError: A folder, an address or the certificate cannot be had. Nothing is left open.
        """
        settings = self.settings
        volumes.check(settings)
        try:
            # First of all: a start that fails for a taken port leaves no folder behind where none was. Sockets in the
            # root itself have to wait for it.
            in_root = [address for address in settings.addresses if volumes.is_in_root(settings, address)]
            self._listen(address for address in settings.addresses if address not in in_root)
            volumes.lay_out(settings.root, durable=settings.durability is Durability.FULL)
            self._listen(in_root)
            context = self._open_everything()
        except BaseException:
            listeners, self._listeners = self._listeners, []
            for listener in listeners:
                listener.stop()
            self._close_all()
            raise
        self._opened.callback(Sweeper(settings.timeouts.partial, self._swept).stop)
        # All are bound before the first accepts: a daemon that cannot have one of its addresses serves nobody.
        for listener in self._listeners:
            listener.start(context, self.certificates)

    def _listen(self, addresses: Iterable[Address]) -> None:
        settings = self.settings
        listeners, notes = tcp.listen(
            addresses, backlog=settings.limits.backlog, socket_mode=settings.socket_mode
        )
        self._listeners += listeners
        self.notes += notes

    def _open_everything(self) -> Context:
        """Opens what connections need, and returns it."""
        settings = self.settings
        audit = Audit(
            settings.root,
            file_size=settings.audit.file_size,
            files=settings.audit.files,
            durable=settings.durability is Durability.FULL,
        )
        self._opened.callback(audit.close)
        self._syncers = Syncers()
        self._opened.callback(self._syncers.close)
        storage = volumes.open_for_guests(settings, self._syncers)
        if storage is not None:
            self._opened.callback(storage.close)
            self._swept.append(storage.expire)
        logins = self._open_accounts(audit)
        if any(address.is_tls for address in settings.addresses):
            self.certificates = Certificates(settings.root, settings.tls.certificate, settings.tls.key)
            self.notes += self.certificates.notes()
        return Context(
            settings=settings,
            registry=self.registry,
            pool=BufferPool(settings.limits.buffers),
            guests=Guests(settings.guest_may, storage),
            logins=logins,
            bandwidth=Bandwidth.limited(settings.limits.rate, settings.limits.user_rate, time.monotonic),
            audit=audit,
            budget=Budget(settings.limits.waiting),
            extensions=self._extensions,
        )

    def stop(self, grace: float | None = None) -> int:
        """Stops: no new connections; idle ones end at once, running requests get a grace and are cut then.

        Args:
            grace: Seconds; None is the setting's.

        Returns:
            How many requests were cut. Every thread is joined and everything closed by then.
        """
        if grace is None:
            grace = self.settings.timeouts.grace
        log.event(_log, logging.INFO, "stopping", connections=len(self.registry), grace=grace)
        listeners, self._listeners = self._listeners, []
        # The flag first: what was accepted meanwhile is told to come back later, and not served.
        self.registry.stop()
        for listener in listeners:
            listener.stop()
        if not self.registry.wait_empty(grace):
            self.cut()
            self.registry.wait_empty(None)
        self.registry.join_ended()
        self._close_all()
        log.event(_log, logging.INFO, "stopped", cut=self._cut)
        return self._cut

    def reload(self) -> None:
        """Reads the certificate again. One that cannot be used is logged, and the old one stays in use."""
        if self.certificates is None:
            return
        try:
            identity = self.certificates.reload()
        except ConfigError as error:
            log.event(_log, logging.ERROR, "certificate-kept", reason=str(error))
            return
        log.event(
            _log, logging.INFO, "certificate", fingerprint=identity.fingerprint, days=identity.days_left
        )
        for note in self.certificates.notes():
            log.event(_log, logging.WARNING, "certificate-note", note=note)

    def cut(self) -> None:
        """Ends every connection now, while `stop` waits. May be called from any thread, and more than once."""
        cut = self.registry.cut()
        if cut:
            log.event(_log, logging.WARNING, "cut", requests=cut)
        self._cut += cut

    def _open_accounts(self, audit: Audit) -> Logins:
        settings = self.settings
        accounts = Accounts(settings.root, settings.database)
        self._opened.callback(accounts.close)
        self.has_users = bool(accounts.users())
        homes = Homes(
            settings.root,
            durability=settings.durability,
            max_file_size=settings.limits.file_size,
            syncers=self._syncers,
        )
        self._opened.callback(homes.close)
        handouts = LocalStorage(
            settings.root / volumes.HANDOUTS, durability=settings.durability, syncers=self._syncers
        )
        self._opened.callback(handouts.close)
        self._swept += [homes.expire, handouts.expire]
        grounds = Grounds(settings, accounts, handouts, audit, self._syncers)
        for extension in self._extensions:
            extension.start(grounds)
            self._opened.callback(extension.stop)
            self._swept.append(extension.expire)
        return Logins(accounts, homes, handouts, plain=settings.plain_login, extensions=self._extensions)

    def _close_all(self) -> None:
        self._opened.close()


@contextmanager
def running(settings: Settings, extensions: Sequence[Extension] = ()) -> Iterator[Daemon]:
    """Runs a daemon inside this process for the length of a block; leaving it cuts what still runs, and joins.

    Args:
        settings: Usually with `listen=("ftpsvc+tcp://127.0.0.1:0",)`.
        extensions: What is added to the server.

    Raises:
        ConfigError: It cannot start.
    """
    daemon = Daemon(settings, extensions)
    daemon.start()
    try:
        yield daemon
    finally:
        daemon.stop(grace=0)
