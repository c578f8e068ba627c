"""The tables. Every change of them is a new file in `migrations/versions`; a test compares the two."""

from __future__ import annotations

from typing import Final

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    UniqueConstraint,
)

HEAD: Final = "0001"
"""The newest migration."""

# SQLite counts rows by itself only in a column that is exactly INTEGER.
_Id: Final = BigInteger().with_variant(Integer, "sqlite")

metadata = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "uq": "uq_%(table_name)s_%(column_0_name)s",
        "ix": "ix_%(table_name)s_%(column_0_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
    }
)

settings = Table(
    "settings",
    metadata,
    Column("name", String(64), primary_key=True),
    Column("value", LargeBinary, nullable=False),
)
"""Secrets of this server. `mock`: what the salts of unknown users are derived from, 32 bytes."""

users = Table(
    "users",
    metadata,
    Column("id", _Id, primary_key=True),
    Column("name", String(64), nullable=False, unique=True),
    Column("key", String(200), nullable=False, unique=True),  # names.confusion_key
    Column("role", String(16), nullable=False),
    Column("quota", BigInteger),  # bytes; NULL: none
    Column("group", String(64), nullable=False),
    Column("student_id", String(64), nullable=False),
    Column("display_name", String(200), nullable=False),
    Column("disabled", Boolean, nullable=False),
    Column("created", BigInteger, nullable=False),  # seconds since 1970, UTC, like all times here
    CheckConstraint("role IN ('student', 'teacher', 'admin')", name="role"),
    CheckConstraint("quota IS NULL OR quota >= 0", name="quota"),
    sqlite_autoincrement=True,  # no id is ever used again, as a session may still hold it
)

credentials = Table(
    "credentials",
    metadata,
    Column("id", _Id, primary_key=True),
    Column("user_id", _Id, ForeignKey("users.id", ondelete="CASCADE"), nullable=False),
    Column("kind", String(16), nullable=False),
    Column("token_id", String(16), nullable=False),  # empty but for tokens
    Column("label", String(100), nullable=False),  # the device that a token is for
    Column("salt", LargeBinary, nullable=False),
    Column("iterations", Integer, nullable=False),
    Column("stored_key", LargeBinary, nullable=False),
    Column("server_key", LargeBinary, nullable=False),
    Column("created", BigInteger, nullable=False),
    Column("expires", BigInteger),  # codes only
    Column("used", BigInteger),  # last use, at most once a minute; of a code its only one
    UniqueConstraint("user_id", "kind", "token_id"),
    CheckConstraint("kind IN ('password', 'code', 'token')", name="kind"),
    Index(None, "user_id"),
    sqlite_autoincrement=True,
)
"""Verifiers: one password and one code at most for each user, any number of tokens."""
