"""Users with a device token each, made straight in the database of a root, for clients that log in."""

from pathlib import Path

from ftpsvc.accounts.model import Role
from ftpsvc.accounts.store import Accounts
from ftpsvc.credentials import Credentials, Kind, new_token, token_text
from ftpsvc.scram import ClientLogin, derive
from tests.helpers.raw_peer import RawPeer


def add_user(
    root: Path, name: str, *, quota: int | None = None, role: Role = Role.STUDENT, group: str = ""
) -> Credentials:
    """Adds a user to a root, which is made if need be; returns what to log in with, as often as wanted."""
    (root / ".ftpsvc").mkdir(mode=0o700, parents=True, exist_ok=True)
    with Accounts(root) as accounts:
        user = accounts.add(name, quota=quota, role=role, group=group)
        secret = new_token()
        token = accounts.issue_token(user, "test", derive(secret, Kind.TOKEN))
    return Credentials.token(name, token_text(token.id, secret))


def log_in(peer: RawPeer, credentials: Credentials) -> RawPeer:
    """Logs a raw connection without TLS in, and returns it."""
    login = ClientLogin(credentials.name, credentials.secret)
    first = peer.ask("auth", mechanism=login.mechanism, data=login.first())
    last = peer.ask("auth", data=login.answer(first["data"]))
    login.finish(last["data"])
    return peer
