"""The connection to the database: opened with the newest schema, SQLite with the settings that keep its promises.

Source: docs/accounts.md ("The database").
"""

from __future__ import annotations

import os
import stat
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from sqlalchemy import URL, Connection, Engine, create_engine, event, inspect, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, NoSuchModuleError, SQLAlchemyError

from ftpsvc.accounts.schema import HEAD
from ftpsvc.exceptions import ConfigError, Unavailable

HIDDEN: Final = ".ftpsvc"
FILE: Final = "ftpsvc.db"
BUSY_SECONDS: Final = 10
"""How long a writer waits for another one. SQLite has one at a time, for milliseconds each."""

_ROOM: Final = 256 << 10
"""What SQLite needs of a disk to open a database, and some more."""

_WRITES: Final = "ftpsvc_writes"
_UNREACHABLE: Final = "the user database cannot be used at the moment"


class Database:
    """An open database. Thread-safe; the opener closes it.

    Attributes:
        url: Where it is, without a password.
    """

    def __init__(self, root: Path, url: str | None = None) -> None:
        """Opens the database, makes it when there is none, and brings it to the newest schema.

        Args:
            root: The server's root, which must exist.
            url: A SQLAlchemy URL; None is SQLite in `ROOT/.ftpsvc/ftpsvc.db`, readable for its owner only.

        Raises:
            ConfigError: It cannot be opened, or belongs to a newer ftpsvc.
        """
        place = _prepare(root) if url is None else _parse(url)
        self.url = place.render_as_string(hide_password=True)
        try:
            self._engine = _engine(place)
        except (ArgumentError, NoSuchModuleError, ImportError) as problem:
            raise ConfigError(
                f"no driver for the database {self.url}: {problem}",
                hint="install the driver that its URL names",
            ) from problem
        try:
            self._migrate()
        except SQLAlchemyError as problem:
            self.close()
            hint = "make some room: its disk is full" if _on_full_disk(place) else None
            raise ConfigError(
                f"cannot open the database {self.url}: {_reason(problem)}", hint=hint
            ) from problem
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Closes all connections."""
        self._engine.dispose()

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """Gives a connection in a transaction that sees one state and changes nothing.

        Raises:
            Unavailable: The database fails.
        """
        try:
            with self._engine.connect() as connection, connection.begin():
                yield connection
        except SQLAlchemyError as problem:
            raise Unavailable("", _UNREACHABLE) from problem

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """Gives a connection in a transaction that may change things: all of it is durable at the end, or nothing.

        Raises:
            Unavailable: The database fails, or another writer keeps it for `BUSY_SECONDS`.
        """
        try:
            with (
                self._engine.connect().execution_options(**{_WRITES: True}) as connection,
                connection.begin(),
            ):
                yield connection
        except SQLAlchemyError as problem:
            raise Unavailable("", _UNREACHABLE) from problem

    def _migrate(self) -> None:
        with self._engine.connect() as connection, connection.begin():
            if _version(connection) == HEAD:
                return  # the usual case, and without Alembic, which takes long to import
        # Under the write lock, so that of two processes that start together one waits, and then finds it done.
        with (
            self._engine.connect().execution_options(**{_WRITES: True}) as connection,
            connection.begin(),
        ):
            if (version := _version(connection)) != HEAD:
                with _UPGRADING:
                    _upgrade(connection, version)


_UPGRADING: Final = threading.Lock()
"""What Alembic is upgrading is one for the process: two databases at once were given each other's tables."""


def _version(connection: Connection) -> str | None:
    if not inspect(connection).has_table("alembic_version"):
        return None
    return connection.execute(text("SELECT version_num FROM alembic_version")).scalar()


def _upgrade(connection: Connection, version: str | None) -> None:
    from alembic import command
    from alembic.config import Config
    from alembic.script import ScriptDirectory

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations").replace("%", "%%"))
    config.attributes["connection"] = connection
    known = {step.revision for step in ScriptDirectory.from_config(config).walk_revisions()}
    if version is not None and version not in known:
        raise ConfigError(
            f"the user database has schema {version}, this ftpsvc knows none newer than {HEAD}",
            hint="install the ftpsvc that it was last used with, or a newer one",
        )
    command.upgrade(config, HEAD)


def _parse(url: str) -> URL:
    try:
        return make_url(url)
    except ArgumentError as problem:
        raise ConfigError(
            "the database URL cannot be read", hint="it looks like postgresql+psycopg://USER@HOST/NAME"
        ) from problem


def _engine(place: URL) -> Engine:
    if place.get_backend_name() != "sqlite":
        return create_engine(place, pool_pre_ping=True)
    # Log-ins take one for half a millisecond: eight serve any number of threads, which wait for each other.
    engine = create_engine(
        place, connect_args={"timeout": BUSY_SECONDS, "check_same_thread": False}, pool_size=8, max_overflow=0
    )

    @event.listens_for(engine, "connect")
    def _connected(connection: Any, _record: object) -> None:
        connection.isolation_level = None  # the driver begins nothing behind our back; see _begin
        for pragma in (
            "journal_mode=WAL",  # readers and the writer do not wait for each other
            "synchronous=FULL",  # a code that was used stays used through a power cut
            "foreign_keys=ON",
            "secure_delete=ON",  # what was removed or replaced is overwritten in the file
        ):
            connection.execute(f"PRAGMA {pragma}").close()

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        # A writer that began as a reader could lose its turn in the middle: it asks for the lock at once.
        writes = connection.get_execution_options().get(_WRITES)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

    return engine


def _on_full_disk(place: URL) -> bool:
    """Returns whether a database is a file on a disk without room. SQLite calls that an input or output error."""
    if not place.database or not place.drivername.startswith("sqlite"):
        return False
    try:
        about = os.statvfs(os.path.dirname(os.path.abspath(place.database)))
    except OSError:
        return False
    return about.f_bavail * about.f_frsize < _ROOM


def _prepare(root: Path) -> URL:
    """Makes the hidden folder, and a file that only the owner may read before SQLite makes one that others may."""
    try:
        owner = root.stat().st_uid
        if hasattr(os, "geteuid") and os.geteuid() == 0 and owner != 0:
            # Root would leave files behind that the daemon's own user could not open.
            raise ConfigError(
                f"{root} belongs to another user, and root would leave files there that this user cannot open",
                hint="run it as that user: sudo -u USER ftpsvc-server ...",
            )
        folder = root / HIDDEN
        folder.mkdir(mode=0o700, exist_ok=True)
        path = folder / FILE
        flags = os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0)
        fd = os.open(path, flags, 0o600)
        try:
            if hasattr(os, "fchmod") and stat.S_IMODE(os.fstat(fd).st_mode) != 0o600:
                os.fchmod(fd, 0o600)  # SQLite gives its -wal and -shm the mode of the file
        finally:
            os.close(fd)
    except OSError as problem:
        reason = os.strerror(problem.errno or 0)
        hint = (
            "make the folder, or name another with --root" if isinstance(problem, FileNotFoundError) else None
        )
        raise ConfigError(f"cannot keep users in {root}: {reason}", hint=hint) from problem
    return URL.create("sqlite", database=str(path))


def _reason(problem: SQLAlchemyError) -> str:
    """The driver's own words, without the statement and its values."""
    return str(getattr(problem, "orig", None) or problem).splitlines()[0]
