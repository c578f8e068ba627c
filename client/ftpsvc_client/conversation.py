"""A client's side of a conversation: the connection, who may use it now, and its return after a loss."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Self, TypeVar

from ftpsvc.addresses import Address
from ftpsvc.buffers import BufferPool
from ftpsvc.digests import ALGORITHMS
from ftpsvc.exceptions import (
    Busy,
    ConfigError,
    FtpsvcError,
    InvalidRequest,
    LocalProtocolError,
    Unavailable,
)
from ftpsvc.protocol import headers
from ftpsvc.protocol.headers import Greeting, Request
from ftpsvc.text import printable
from ftpsvc_client.link import Answered, Link
from ftpsvc_client.retries import Told, Tries

if TYPE_CHECKING:
    from ftpsvc.credentials import Credentials
    from ftpsvc_client.trust import Trust

_Result = TypeVar("_Result")


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
        retries: int = 0,
        told: Told | None = None,
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
        self._retries = retries
        self._told = told
        self._given_up = threading.Event()
        self._pool = BufferPool()
        self._turn_lock = threading.Lock()
        self._closed = False
        self._link: Link | None = None
        tries = self._tries()
        while True:
            try:
                with self._turn():
                    break
            except (Busy, Unavailable) as error:  # a server that nobody can reach is told about at once
                tries.wait(error)

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

    def _tries(self) -> Tries:
        return Tries(self._retries, self._told, self._given_up)

    def _again(self, work: Callable[[Link], _Result], tries: Tries | None = None) -> _Result:
        """Does what may be done twice, again after errors that pass, with the connection that there is then.

        Args:
            work: Does it.
            tries: What counts; whoever makes progress says so there. None is a count of its own.

        Raises:
            FtpsvcError: What `work` raised, or connecting anew.
        """
        tries = tries or self._tries()
        while True:
            try:
                with self._turn() as link:
                    return work(link)
            except FtpsvcError as error:
                tries.wait(error)

    def _twin(self) -> Conversation:
        """Returns another conversation with the same server, in the same directory; the caller closes it.

        Raises:
            FtpsvcError: As `connect`. A server that has no room now is not waited for.
        """
        twin = Conversation(
            self.address,
            credentials=self._credentials,
            trust=self._trust,
            timeout=self._timeout,
            algorithm=self.algorithm,
            directory=self._directory,
            allow_plain=self._allow_plain,
            told=self._told,
        )
        twin._retries = self._retries
        return twin

    def _give_up(self) -> None:
        """Makes the call under way in another thread fail soon."""
        self._given_up.set()
        link = self._link
        if link is not None:
            link.channel.interrupt()

    def _renew(self) -> Link:
        """Connects anew in the middle of a call."""
        self._link = self._connect()
        return self._link

    def _mended(self, tries: Tries, error: FtpsvcError | None) -> Link:
        """Returns a new connection in the middle of a call, as soon as there is one.

        Args:
            tries: What counts.
            error: Why the one before ended; None where that was no failure, so that nothing has to be waited for.

        Raises:
            FtpsvcError: `error`, or why there is no new connection, where it is not worth trying (any longer).
        """
        while True:
            if error is not None:
                tries.wait(error)
            try:
                return self._renew()
            except FtpsvcError as failed:
                error = failed

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
