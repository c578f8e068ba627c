"""A client's side of a conversation: the connection, who may use it now, and its return after a loss."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from typing import TYPE_CHECKING, Self

from ftpsvc.addresses import Address
from ftpsvc.buffers import BufferPool
from ftpsvc.digests import ALGORITHMS
from ftpsvc.exceptions import ConfigError, InvalidRequest, LocalProtocolError
from ftpsvc.protocol import headers
from ftpsvc.protocol.headers import Greeting, Request
from ftpsvc.text import printable
from ftpsvc_client.link import Answered, Link

if TYPE_CHECKING:
    from ftpsvc.credentials import Credentials
    from ftpsvc_client.trust import Trust


class Conversation:
    """What all calls of a `Client` share: its connection, lent to one call at a time; see `Client`."""

    def __init__(
        self,
        address: Address,
        *,
        credentials: Credentials | None = None,
        trust: Trust | None = None,
        timeout: float,
        algorithm: str | None,
        directory: str | None,
        allow_plain: bool = False,
    ) -> None:
        """Connects; see `connect`."""
        if algorithm is not None and algorithm not in ALGORITHMS:
            raise ConfigError(f"there is no digest algorithm {algorithm!r}, only {', '.join(ALGORITHMS)}")
        self.address = address
        self._credentials = credentials
        self._trust = trust
        self._allow_plain = allow_plain
        self._timeout = timeout
        self._wanted = algorithm
        self._directory = directory
        self._pool = BufferPool()
        self._turn_lock = threading.Lock()
        self._closed = False
        self._link: Link | None = None
        with self._turn():
            pass

    @property
    def directory(self) -> str | None:
        """The session's directory as far as it was set by `cd` or the constructor; None is where the server starts."""
        return self._directory

    def close(self) -> None:
        """Says goodbye and closes. May be called more than once; every other call raises afterwards."""
        self._closed = True
        link, self._link = self._link, None
        if link is not None:
            link.quit()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @contextlib.contextmanager
    def _turn(self) -> Iterator[Link]:
        """Lends the link to one call, connecting if need be. A link that the call leaves in mid-message is dropped."""
        if not self._turn_lock.acquire(blocking=False):
            raise LocalProtocolError("this client is in use by another call; make one client for each thread")
        try:
            if self._closed:
                raise LocalProtocolError("this client is closed")
            if self._link is None:
                self._link = self._connect()
            try:
                yield self._link
            finally:
                # Asked anew: a tree may have gone on over another one.
                link = self._link
                if not link.usable:
                    link.close()
                    self._link = None
        finally:
            self._turn_lock.release()

    def _connect(self) -> Link:
        credentials = self._credentials
        link = Link(
            self.address,
            timeout=self._timeout,
            pool=self._pool,
            trust=self._trust,
            by_token=credentials is not None and credentials.by_token,
            allow_plain=self._allow_plain,
        )
        try:
            self.greeting: Greeting = link.greeting
            if credentials is not None:
                link.log_in(credentials)
            self.certificate = link.certificate
            self.algorithm = _choose(link.greeting.algorithms, self._wanted)
            if self._directory is not None:
                link.call(headers.Cd(path=self._directory), headers.Located)
        except BaseException:
            link.close()
            raise
        return link

    def _renew(self) -> Link:
        """Connects anew in the middle of a call."""
        self._link = self._connect()
        return self._link

    def _ask(self, link: Link, request: Request, kind: type[Answered], *, wait: float = 0) -> Answered:
        need(link, request.op, base=request.base)
        return link.call(request, kind, wait=wait)


def _choose(offered: list[str], wanted: str | None) -> str:
    if wanted is not None:
        if wanted in offered:
            return wanted
        raise ConfigError(f"the server offers {printable(', '.join(offered))}, not {wanted}")
    for algorithm in offered:
        if algorithm in ALGORITHMS:
            return algorithm
    raise ConfigError(f"the server offers only digests unknown here: {printable(', '.join(offered))}")


def need(link: Link, feature: str, *, base: bool) -> None:
    """Raises InvalidRequest unless the server offers a feature, or it is part of the base profile (section 9)."""
    if not base and feature not in link.features:
        raise InvalidRequest(f"this server does not offer {feature}")
