"""Users, tokens and who somebody turned out to be: what `ftpsvc.accounts.store` hands out. All immutable."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from ftpsvc.credentials import Kind


class Role(StrEnum):
    """What a user may do, from least to most."""

    STUDENT = "student"
    TEACHER = "teacher"
    ADMIN = "admin"


@dataclass(frozen=True, slots=True)
class User:
    """One account.

    Attributes:
        id: Never used again for another user.
        name: What they log in as, and the name of their home.
        role: What they may do.
        quota: Bytes, or None for no limit but the disk.
        group: Section of the class; may be empty.
        student_id: May be empty.
        display_name: What people call them; may be empty.
        disabled: Whether nobody can log in as this user.
        created: Seconds since 1970, UTC.
    """

    id: int
    name: str
    role: Role
    quota: int | None
    group: str
    student_id: str
    display_name: str
    disabled: bool
    created: int


@dataclass(frozen=True, slots=True)
class Token:
    """One device token, without its secret.

    Attributes:
        id: Its public part.
        label: The device that it was made on, as its client called it.
        created: Seconds since 1970, UTC.
        used: Its last log-in, at most a minute early; None: never.
    """

    id: str
    label: str
    created: int
    used: int | None


@dataclass(frozen=True, slots=True)
class Secrets:
    """Which secrets a user has, for an operator.

    Attributes:
        password: Whether there is a password.
        code_expires: When the unused code ends or ended, seconds since 1970; None where there is none.
        code_used: When the last code was used, or None.
        tokens: Newest first.
    """

    password: bool
    code_expires: int | None
    code_used: int | None
    tokens: tuple[Token, ...]


@dataclass(frozen=True, slots=True)
class Identity:
    """Who logged in, and by what.

    Attributes:
        user: The account as it was then.
        kind: Which kind of secret.
        token_id: Which token; None for the other kinds.
        label: The token's device; empty for the other kinds.
    """

    user: User
    kind: Kind
    token_id: str | None = None
    label: str = ""
