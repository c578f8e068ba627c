"""Who somebody is: log-in by SCRAM, and what one may do about one's own account (docs/protocol.md section 11)."""

from __future__ import annotations

import logging
import time
from typing import Final

from ftpsvc.accounts.model import Identity, Role
from ftpsvc.accounts.scram import ServerLogin, mechanism_for
from ftpsvc.accounts.store import NO_LONGER, Accounts
from ftpsvc.accounts.throttle import Throttle
from ftpsvc.credentials import Kind, Verifier
from ftpsvc.exceptions import AuthenticationFailed, InvalidRequest, PermissionDenied, Unavailable
from ftpsvc.paths import ROOT, RemotePath
from ftpsvc.protocol.headers import (
    Auth,
    AuthStep,
    Identified,
    IssueToken,
    Response,
    RevokeToken,
    SetPassword,
    TokenIssued,
    TokensRevoked,
    Whoami,
)
from ftpsvc.server import log
from ftpsvc.server.allhomes import AllHomes
from ftpsvc.server.exchange import Exchange, Fatal
from ftpsvc.server.extension import Extensions
from ftpsvc.server.homes import Homes
from ftpsvc.server.namespace import Mount, Namespace
from ftpsvc.server.session import Rights, Session
from ftpsvc.storage.base import Storage

HANDOUTS = RemotePath(("handouts",))
ALL_HOMES = RemotePath(("users",))

_RECHECK_SECONDS: Final = 1.0
"""How old the answer to the question whether a user may go on may be: a question for each of 10,000 small files would
cost more than they do."""

_log = logging.getLogger("ftpsvc.server.login")


class Logins:
    """What the daemon needs to log anybody in. Thread-safe.

    Attributes:
        accounts: The users.
    """

    def __init__(
        self,
        accounts: Accounts,
        homes: Homes,
        handouts: Storage,
        *,
        plain: bool,
        extensions: Extensions | None = None,
    ) -> None:
        """Takes what a log-in leads to.

        Args:
            accounts: The users.
            homes: Their homes.
            handouts: What is at `/handouts` for everybody, to be changed by teachers.
            plain: Whether to log in over plain TCP from other machines.
            extensions: What users see besides comes from these; None: nothing.
        """
        self.accounts = accounts
        self._homes = homes
        self._handouts = handouts
        self._plain = plain
        self._extensions = extensions
        self._throttle = Throttle()

    def mechanisms(self, session: Session) -> list[str]:
        """Returns what a session can log in by: the one mechanism of its kind of connection, or none."""
        return [mechanism_for(session.binding)] if self._may_log_in(session) else []

    def _may_log_in(self, session: Session) -> bool:
        return session.private or session.local or self._plain

    def step(self, exchange: Exchange, request: Auth) -> AuthStep:
        """Takes one step of a log-in.

        Raises:
            AuthenticationFailed: It failed; the session is as it was before the log-in.
            PermissionDenied: Nobody can log in over this connection.
            InvalidRequest: The session is logged in, or this step is not due.
        """
        session = exchange.session
        if session.identity is not None:
            raise InvalidRequest(
                "auth: this session is logged in; a new connection can log in as somebody else"
            )
        if not self._may_log_in(session):
            raise PermissionDenied("nobody can log in over a connection that others can read: use ftpsvc://")
        if request.mechanism is not None:
            session.login = ServerLogin(self.accounts, request.mechanism, session.binding)
            return AuthStep(data=session.login.step(request.data))
        login, session.login = session.login, None
        if login is None or login.claimed is None:
            raise InvalidRequest("auth: a log-in begins with its mechanism")
        exchange.about["claimed"] = str(login.claimed)
        guessable = login.claimed.kind is Kind.PASSWORD
        with self._throttle.begin(str(login.claimed), session.address, guessable=guessable) as attempt:
            exchange.pause(attempt.delay)
            try:
                data = login.step(request.data)
            except AuthenticationFailed:
                self._note("login-refused", session, str(login.claimed))
                raise
            attempt.succeed()
        identity = login.identity
        if identity is None:  # step() raises unless it is known
            raise AuthenticationFailed
        self._let_in(exchange, identity)
        self._note("login", session, identity.user.name, via=identity.kind.value)
        return AuthStep(data=data, user=identity.user.name, role=identity.user.role.value)

    def check_still(self, exchange: Exchange) -> None:
        """Ends a session whose user was removed, disabled or given another role, or whose device was taken away.

        Raises:
            Fatal: It is over.
        """
        session = exchange.session
        identity, now = session.identity, time.monotonic()
        if identity is None or now - session.checked < _RECHECK_SECONDS:
            return
        try:
            may_go_on = self.accounts.still(identity)
        except Unavailable:
            return  # asked again at the next request; what concerns the account itself fails by itself
        if not may_go_on:
            exchange.settle()  # what was received while it was good
            self._note("session-over", session, identity.user.name)
            raise Fatal(AuthenticationFailed(NO_LONGER))
        session.checked = now

    def _let_in(self, exchange: Exchange, identity: Identity) -> None:
        session, user = exchange.session, identity.user
        home = self._homes.enter(user.name, user.quota, make=True)
        try:
            # After what may fail: a log-in that comes to nothing is not to be counted as the user's until the end.
            # A code is used up by now: whoever came with one is let in also as one connection too many.
            exchange.sit(user.name, identity.kind is Kind.CODE)
        except BaseException:
            self._homes.leave(home)
            raise
        session.let_go()  # a guest's upload that was begun is not this user's
        session.on_end(lambda: self._homes.leave(home))
        session.identity = identity
        # Whose home was just made is asked about once more, at the first request: who was removed since the log-in was
        # found to be right, with the home that there was, has got one that nobody would set aside.
        session.checked = float("-inf") if self._homes.was_made(home) else time.monotonic()
        session.rights = Rights.WRITE
        teaches = user.role is not Role.STUDENT
        mounts = [Mount(ROOT, home, writable=True), Mount(HANDOUTS, self._handouts, writable=teaches)]
        if teaches:
            everybody = AllHomes(self._homes, self._quotas)
            mounts.append(Mount(ALL_HOMES, everybody, writable=user.role is Role.ADMIN))
        if self._extensions is not None:
            mounts = self._extensions.mounts(session, mounts)
        session.namespace = Namespace(mounts)
        session.directory = ROOT

    def _quotas(self) -> dict[str, int | None]:
        return {user.name: user.quota for user in self.accounts.users()}

    def _note(self, event: str, session: Session, user: str, **more: str) -> None:
        log.event(_log, logging.INFO, event, session=session.number, peer=session.peer, user=user, **more)


def auth(exchange: Exchange, request: Auth) -> AuthStep:
    """Takes one step of a log-in."""
    return _logins(exchange).step(exchange, request)


def whoami(exchange: Exchange, request: Whoami) -> Identified:
    """Says who the session is."""
    session = exchange.session
    identity = session.identity
    if identity is None:
        return Identified(may=session.rights.value)
    return Identified(
        user=identity.user.name,
        role=identity.user.role.value,
        via=identity.kind.value,
        token=identity.token_id,
        group=identity.user.group or None,
        may=session.rights.value,
    )


def set_password(exchange: Exchange, request: SetPassword) -> Response:
    """Sets one's own password."""
    identity = _own_account(exchange)
    verifier = Verifier.parse(request.verifier, Kind.PASSWORD)
    _logins(exchange).accounts.set_password(identity.user, verifier, by=identity)
    return Response()


def issue_token(exchange: Exchange, request: IssueToken) -> TokenIssued:
    """Makes a device token for oneself."""
    identity = _own_account(exchange)
    verifier = Verifier.parse(request.verifier, Kind.TOKEN)
    token = _logins(exchange).accounts.issue_token(identity.user, request.label, verifier, by=identity).id
    exchange.about["token"] = token
    return TokenIssued(token=token)


def revoke_token(exchange: Exchange, request: RevokeToken) -> TokensRevoked:
    """Takes one's own device tokens away."""
    identity = _logged_in(exchange)
    return TokensRevoked(revoked=_logins(exchange).accounts.revoke_token(identity.user, request.token))


def _logins(exchange: Exchange) -> Logins:
    if exchange.logins is None:
        raise AuthenticationFailed("this server has no accounts")
    return exchange.logins


def _logged_in(exchange: Exchange) -> Identity:
    identity = exchange.session.identity
    if identity is None:
        raise AuthenticationFailed("this is for users who logged in")
    return identity


def _own_account(exchange: Exchange) -> Identity:
    identity = _logged_in(exchange)
    if not exchange.session.private:
        raise PermissionDenied("a new secret is only taken over TLS or a local socket: use ftpsvc://")
    return identity
