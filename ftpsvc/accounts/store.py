"""`Accounts`: everything about users that a server, a command or a test needs, on one database.

Source: docs/accounts.md; docs/security.md ("Identity") for what is promised.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from sqlalchemy import Connection, delete, insert, select, update
from sqlalchemy.exc import IntegrityError

from ftpsvc.accounts import keys
from ftpsvc.accounts.database import Database
from ftpsvc.accounts.keys import Found
from ftpsvc.accounts.model import Identity, Role, Secrets, Token, User
from ftpsvc.accounts.names import check_user_name, confusion_key
from ftpsvc.accounts.schema import settings, users
from ftpsvc.credentials import Kind, LoginName, Verifier, new_code
from ftpsvc.exceptions import AuthenticationFailed, ConfigError, Unavailable
from ftpsvc.scram import derive
from ftpsvc.text import printable

CODE_LIFETIME: Final = 14 * 24 * 3600
"""Seconds that an enrolment code can be used, unless an operator says otherwise."""
MAX_TEXT: Final = {"group": 64, "student_id": 64, "display_name": 200}
"""Characters of what is written about a user."""
MAX_QUOTA: Final = 2**63 - 1
NO_LONGER: Final = "this session is over: its account or device was changed or taken away; log in again"
"""Says the same whatever it was: who asks may be the thief of a device."""


class Accounts:
    """The users of one server. Thread-safe, and safe beside other processes on the same database; a context manager.

    Every method raises `Unavailable` when the database fails.
    """

    def __init__(self, root: Path, url: str | None = None, *, clock: Callable[[], float] = time.time) -> None:
        """Opens the database; see `Database`.

        Args:
            root: The server's root.
            url: A SQLAlchemy URL; None is SQLite under `root`.
            clock: Seconds since 1970, UTC.

        Raises:
            ConfigError: It cannot be opened.
        """
        self.database = Database(root, url)
        self._clock = clock
        try:
            with self.database.read() as connection:
                self._mock_secret: bytes = connection.execute(
                    select(settings.c.value).where(settings.c.name == "mock")
                ).scalar_one()
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Closes the database."""
        self.database.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def now(self) -> int:
        """Seconds since 1970, UTC, by the clock in use."""
        return int(self._clock())

    # ------------------------------------------------------------ log-in

    def find(self, scram_name: str) -> Found:
        """Returns what a log-in by this name is checked against. Never tells an unknown name from a known one (C37)."""
        with self.database.read() as connection:
            return keys.find(connection, LoginName.parse(scram_name), self._mock_secret, self.now)

    def verifier(self, scram_name: str) -> Verifier:
        """Returns the verifier for a SCRAM user name: see `find`."""
        return self.find(scram_name).verifier

    def complete(self, found: Found, kind: Kind) -> Identity | None:
        """Ends a log-in whose proof was right: uses a code up, notes when a token was used.

        Args:
            found: What `find` gave for it.
            kind: Of the name that it gave it for.

        Returns:
            Who logged in; None when the secret was revoked or used, or the user disabled, in the meantime.
        """
        if found.credential is None:
            return None
        if kind is Kind.CODE:
            with self.database.write() as connection:
                return keys.use_code(connection, found, self.now)
        with self.database.read() as connection:
            known = keys.owner(connection, found, kind)
        if known is None:
            return None
        identity, used = known
        now = self.now
        if used is None or not used <= now < used + keys.TOUCH_SECONDS:
            # A disk that is full or busy for a moment is no reason to keep somebody out.
            with suppress(Unavailable), self.database.write() as connection:
                keys.touch(connection, found, now)
        return identity

    def still(self, identity: Identity) -> bool:
        """Returns whether who logged in before may go on: see `keys.still`."""
        with self.database.read() as connection:
            return keys.still(connection, identity)

    # ------------------------------------------------------------ users

    def add(
        self,
        name: str,
        *,
        role: Role = Role.STUDENT,
        quota: int | None = None,
        group: str = "",
        student_id: str = "",
        display_name: str = "",
    ) -> User:
        """Adds a user, who cannot log in until a code or password is set.

        Raises:
            InvalidPath: The name breaks a rule (`check_user_name`).
            ConfigError: The name is taken, or could be taken for one that is; or another value cannot be used.
        """
        with self.database.write() as connection:
            return insert_user(
                connection, self.now, name, role=role, quota=quota,
                group=group, student_id=student_id, display_name=display_name,
            )  # fmt: skip

    def user(self, name: str) -> User:
        """Returns the user of this name.

        Raises:
            ConfigError: There is none.
        """
        with self.database.read() as connection:
            return get_user(connection, name)

    def users(self, *, role: Role | None = None, group: str | None = None) -> list[User]:
        """Returns the users, by name; only those of a role, or of a group, if given."""
        statement = select(*keys.USER_COLUMNS).order_by(users.c.name)
        if role is not None:
            statement = statement.where(users.c.role == role.value)
        if group is not None:
            statement = statement.where(users.c.group == group)
        with self.database.read() as connection:
            return [keys.user_of(row) for row in connection.execute(statement)]

    def change(self, name: str, **values: Any) -> User:
        """Changes role, quota (None: no limit), group, student_id, display_name or disabled of a user.

        A server ends the sessions of who was disabled or has another role now (`still`); the rest holds for the next
        log-in.

        Raises:
            ConfigError: There is no such user, or a value cannot be used.
        """
        check_values(values)
        with self.database.write() as connection:
            user = get_user(connection, name)
            if values:
                connection.execute(update(users).where(users.c.id == user.id).values(**values))
            return get_user(connection, name)

    def remove(self, name: str) -> User:
        """Removes a user with all secrets, and returns what was removed. Files are not touched.

        Raises:
            ConfigError: There is no such user.
        """
        with self.database.write() as connection:
            user = get_user(connection, name)
            connection.execute(delete(users).where(users.c.id == user.id))
            return user

    # ------------------------------------------------------------ secrets

    def issue_code(self, name: str, lifetime: int = CODE_LIFETIME) -> str:
        """Makes a one-time code, in place of the one before, and returns it: nobody can ask for it again.

        Args:
            name: The user.
            lifetime: Seconds.

        Raises:
            ConfigError: There is no such user.
        """
        code = new_code()
        verifier = derive(code, Kind.CODE)  # before the database is locked: it takes a millisecond
        with self.database.write() as connection:
            user = get_user(connection, name)
            now = self.now
            keys.put(connection, user.id, Kind.CODE, verifier, now, expires=now + lifetime)
        return code

    def set_password(self, user: User, verifier: Verifier, *, by: Identity | None = None) -> None:
        """Sets a password by the verifier that the client made of it.

        Args:
            user: Whose.
            verifier: Of the password.
            by: Who asks for it in a session; None is an operator.

        Raises:
            InvalidRequest: The verifier is not of the sizes in use.
            AuthenticationFailed: The user is gone, or `by` may not go on (`still`).
        """
        verifier.check(Kind.PASSWORD)
        with self.database.write() as connection:
            _check_there(connection, user, by)
            keys.put(connection, user.id, Kind.PASSWORD, verifier, self.now)

    def issue_token(self, user: User, label: str, verifier: Verifier, *, by: Identity | None = None) -> Token:
        """Adds a device token by the verifier that the client made of its secret.

        Args:
            user: Whose.
            label: What the device is called; shortened to `MAX_LABEL` characters.
            verifier: Of the secret.
            by: Who asks for it in a session; None is an operator.

        Raises:
            InvalidRequest: The verifier is not of the sizes in use.
            AuthenticationFailed: The user is gone, or `by` may not go on (`still`).
        """
        verifier.check(Kind.TOKEN)
        with self.database.write() as connection:
            _check_there(connection, user, by)
            return keys.add_token(connection, user.id, printable(label), verifier, self.now)

    def revoke_token(self, user: User, token_id: str | None) -> int:
        """Takes a device token away, or with None all of the user's; returns how many went. No error if none did."""
        with self.database.write() as connection:
            return keys.revoke(connection, user.id, token_id)

    def secrets(self, user: User) -> Secrets:
        """Returns which secrets a user has."""
        with self.database.read() as connection:
            return keys.secrets_of(connection, user.id)


def _check_there(connection: Connection, user: User, by: Identity | None) -> None:
    """Refuses a user who was removed, also where there is another of the same name since, and a session that is over.

    In the transaction that writes: a device that is being taken away must not leave another one behind.
    """
    if connection.execute(select(users.c.id).where(users.c.id == user.id)).one_or_none() is None:
        raise AuthenticationFailed("this account was removed")
    if by is not None and not keys.still(connection, by):
        raise AuthenticationFailed(NO_LONGER)


def get_user(connection: Connection, name: str) -> User:
    """Returns a user, in the caller's transaction. Raises ConfigError where there is none."""
    row = connection.execute(select(*keys.USER_COLUMNS).where(users.c.name == name)).one_or_none()
    if row is None:
        raise ConfigError(
            f"there is no user {printable(name)!r}", hint="ftpsvc-server user list shows who there is"
        )
    return keys.user_of(row)


def insert_user(connection: Connection, now: int, name: str, **values: Any) -> User:
    """Adds a user in the caller's transaction; see `Accounts.add`."""
    name = check_user_name(name)
    check_values(values)
    key = confusion_key(name)
    twin = connection.execute(select(users.c.name).where(users.c.key == key)).scalar()
    if twin == name:
        raise ConfigError(f"there is a user {name!r} already")
    if twin is not None:
        raise ConfigError(f"the name {name!r} could be taken for that of the user {twin!r}")
    try:
        connection.execute(insert(users).values(name=name, key=key, created=now, disabled=False, **values))
    except IntegrityError:  # only where the database lets another writer in between
        raise ConfigError(f"there is a user like {name!r} already") from None
    return get_user(connection, name)


def check_values(values: dict[str, Any]) -> None:
    """Refuses what cannot be written about a user, and brings the rest into the form that is written.

    Raises:
        ConfigError: A text is too long or has control characters, or a quota is no number of bytes.
    """
    for field, limit in MAX_TEXT.items():
        text = values.get(field, "")
        if len(text) > limit:
            raise ConfigError(f"the {field.replace('_', ' ')} has more than {limit} characters")
        if printable(text) != text:
            raise ConfigError(f"the {field.replace('_', ' ')} has control characters")
    if "role" in values:
        values["role"] = Role(values["role"]).value  # plain text: drivers differ in what they make of an enum
    quota = values.get("quota")
    if quota is not None and not 0 <= quota <= MAX_QUOTA:
        raise ConfigError("a quota is a number of bytes from 0 on")
