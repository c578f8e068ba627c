"""Verifiers in the database: found for a log-in, checked once more at its end, made and revoked.

Each function works on a connection in a transaction that its caller holds.
"""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import Connection, Row, Select, and_, delete, exists, func, insert, select, update

from ftpsvc.accounts.model import Identity, Role, Secrets, Token, User
from ftpsvc.accounts.schema import credentials, users
from ftpsvc.credentials import ITERATIONS, SALT_BYTES, Kind, LoginName, Verifier, new_token_id

MAX_TOKENS: Final = 32
"""Device tokens of one user. A new one beyond that takes the place of the one not used for longest."""
MAX_LABEL: Final = 100
TOUCH_SECONDS: Final = 60
"""Last use is written down at most this often: a write costs a sync of the disk, a log-in by token else nothing."""

USER_COLUMNS: Final = (
    users.c.id,
    users.c.name,
    users.c.role,
    users.c.quota,
    users.c.group,
    users.c.student_id,
    users.c.display_name,
    users.c.disabled,
    users.c.created,
)

_FIND = (
    select(
        credentials.c.id,
        credentials.c.salt,
        credentials.c.iterations,
        credentials.c.stored_key,
        credentials.c.server_key,
        credentials.c.expires,
        credentials.c.used,
        credentials.c.token_id,
        users.c.name,
        users.c.disabled,
    )
    .join(users, users.c.id == credentials.c.user_id)
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Found:
    """What a log-in is checked against.

    Attributes:
        verifier: Of the account, or made up for a name that cannot log in.
        credential: The row that it came from; None when it is made up.
    """

    verifier: Verifier
    credential: int | None


def find(connection: Connection, login: LoginName, secret: bytes, now: int) -> Found:
    """Returns the verifier for a log-in; a made-up one, at the same cost, where nobody can log in by that name."""
    row = connection.execute(
        _FIND.where(
            users.c.name == login.user,
            credentials.c.kind == login.kind.value,
            credentials.c.token_id == (login.token_id or ""),
        )
    ).one_or_none()
    made_up = mock(login, secret)  # also when it is not needed: a known name must not be quicker
    if row is None or row.disabled:
        return Found(made_up, None)
    # Some databases find `alice` for `ALICE` too: each spelling would be slowed down by itself, as another user is.
    if (row.name, row.token_id) != (login.user, login.token_id or ""):
        return Found(made_up, None)
    if login.kind is Kind.CODE and (row.used is not None or row.expires is None or row.expires <= now):
        return Found(made_up, None)
    return Found(Verifier(row.salt, row.iterations, row.stored_key, row.server_key), row.id)


def mock(login: LoginName, secret: bytes) -> Verifier:
    """Returns a verifier that nothing satisfies, always the same for one name (C37)."""
    salt, stored, server = (
        hmac.digest(secret, part + str(login).encode(), hashlib.sha256) for part in (b"s\0", b"k\0", b"v\0")
    )
    return Verifier(salt[:SALT_BYTES], ITERATIONS[login.kind], stored, server)


def use_code(connection: Connection, found: Found, now: int) -> Identity | None:
    """Uses a code up, in one statement that only one of several racers can do, and returns whose it was."""
    taken = connection.execute(
        update(credentials)
        .where(
            credentials.c.id == found.credential,
            credentials.c.stored_key == found.verifier.stored_key,
            credentials.c.used.is_(None),
            credentials.c.expires > now,
            exists().where(users.c.id == credentials.c.user_id, users.c.disabled.is_(False)),
        )
        .values(used=now, salt=b"", stored_key=b"", server_key=b"")
    )
    if taken.rowcount != 1:
        return None
    row = connection.execute(_owner(found)).one()
    return Identity(user_of(row), Kind.CODE)


def owner(connection: Connection, found: Found, kind: Kind) -> tuple[Identity, int | None] | None:
    """Returns whose a password or token is now, and when it was last used; None if it is no longer valid."""
    row = connection.execute(
        _owner(found).where(
            credentials.c.stored_key == found.verifier.stored_key, users.c.disabled.is_(False)
        )
    ).one_or_none()
    if row is None:
        return None
    return Identity(user_of(row), kind, row.token_id or None, row.label), row.used


def still(connection: Connection, identity: Identity) -> bool:
    """Returns whether who logged in before may still be what they were then.

    Not when the user was removed (also where another has the name since), disabled or given another role, or when the
    device that logged in was taken away. A password or code that was replaced since was good when it was used.
    """
    statement = select(users.c.role).where(users.c.id == identity.user.id, users.c.disabled.is_(False))
    if identity.kind is Kind.TOKEN:
        statement = statement.where(
            exists().where(
                credentials.c.user_id == users.c.id,
                credentials.c.kind == Kind.TOKEN.value,
                credentials.c.token_id == identity.token_id,
            )
        )
    return connection.execute(statement).scalar() == identity.user.role.value


def _owner(found: Found) -> Select[Any]:
    return (
        select(*USER_COLUMNS, credentials.c.token_id, credentials.c.label, credentials.c.used)
        .join(credentials, credentials.c.user_id == users.c.id)
        .where(credentials.c.id == found.credential)
    )


def touch(connection: Connection, found: Found, now: int) -> None:
    """Notes the last use of a password or token."""
    connection.execute(update(credentials).where(credentials.c.id == found.credential).values(used=now))


def put(
    connection: Connection,
    user_id: int,
    kind: Kind,
    verifier: Verifier,
    now: int,
    *,
    expires: int | None = None,
) -> None:
    """Sets the password or code of a user, in place of the one before."""
    connection.execute(
        delete(credentials).where(credentials.c.user_id == user_id, credentials.c.kind == kind.value)
    )
    _insert(connection, user_id, kind, verifier, now, expires=expires)


def add_token(connection: Connection, user_id: int, label: str, verifier: Verifier, now: int) -> Token:
    """Adds a device token; beyond `MAX_TOKENS` the one not used for longest goes."""
    mine = and_(credentials.c.user_id == user_id, credentials.c.kind == Kind.TOKEN.value)
    last = func.coalesce(credentials.c.used, credentials.c.created)
    kept = connection.execute(
        select(credentials.c.id).where(mine).order_by(last.desc(), credentials.c.id.desc())
    ).scalars()
    for row_id in list(kept)[MAX_TOKENS - 1 :]:
        connection.execute(delete(credentials).where(credentials.c.id == row_id))
    token_id = new_token_id()
    _insert(connection, user_id, Kind.TOKEN, verifier, now, token_id=token_id, label=label[:MAX_LABEL])
    return Token(token_id, label[:MAX_LABEL], now, None)


def _insert(
    connection: Connection,
    user_id: int,
    kind: Kind,
    verifier: Verifier,
    now: int,
    *,
    token_id: str = "",
    label: str = "",
    expires: int | None = None,
) -> None:
    connection.execute(
        insert(credentials).values(
            user_id=user_id, kind=kind.value, token_id=token_id, label=label, salt=verifier.salt,
            iterations=verifier.iterations, stored_key=verifier.stored_key, server_key=verifier.server_key,
            created=now, expires=expires,
        )
    )  # fmt: skip


def revoke(connection: Connection, user_id: int, token_id: str | None) -> int:
    """Takes a token of a user away, or with None all of them; returns how many went."""
    statement = delete(credentials).where(
        credentials.c.user_id == user_id, credentials.c.kind == Kind.TOKEN.value
    )
    if token_id is not None:
        statement = statement.where(credentials.c.token_id == token_id)
    return connection.execute(statement).rowcount


def secrets_of(connection: Connection, user_id: int) -> Secrets:
    """Returns which secrets a user has."""
    rows = connection.execute(
        select(credentials).where(credentials.c.user_id == user_id).order_by(credentials.c.id.desc())
    ).all()
    code = next((row for row in rows if row.kind == Kind.CODE.value), None)
    return Secrets(
        any(row.kind == Kind.PASSWORD.value for row in rows),
        code.expires if code is not None and code.used is None else None,
        code.used if code is not None else None,
        tuple(
            Token(row.token_id, row.label, row.created, row.used)
            for row in rows
            if row.kind == Kind.TOKEN.value
        ),
    )


def user_of(row: Row[*tuple[Any, ...]]) -> User:
    """Returns the user in a row that has `USER_COLUMNS`."""
    return User(
        row.id, row.name, Role(row.role), row.quota, row.group, row.student_id, row.display_name,
        bool(row.disabled), row.created,
    )  # fmt: skip
