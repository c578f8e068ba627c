"""Accounts for a whole class at once, in one transaction: all of them or none (docs/accounts.md, "A whole class")."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from sqlalchemy import Connection, select, update

from ftpsvc.accounts import keys
from ftpsvc.accounts.model import Role, User
from ftpsvc.accounts.roster import Fault, RosterFaulty, Row
from ftpsvc.accounts.schema import users
from ftpsvc.accounts.store import CODE_LIFETIME, Accounts, get_user, insert_user
from ftpsvc.credentials import Kind, Verifier, new_code
from ftpsvc.exceptions import FtpsvcError
from ftpsvc.scram import derive


@dataclass(frozen=True, slots=True)
class Enrolled:
    """What became of one row.

    Attributes:
        user: The account as it is now.
        change: What was done to it.
        code: Its new enrolment code, or None where it got none.
    """

    user: User
    change: Literal["added", "updated", "unchanged"]
    code: str | None


def enrol(
    accounts: Accounts,
    rows: list[Row],
    faults: list[Fault],
    *,
    skip_faulty: bool = False,
    new_codes: bool = False,
    quota: int | None = None,
    lifetime: int = CODE_LIFETIME,
    deliver: Callable[[list[Enrolled]], None] | None = None,
) -> list[Enrolled]:
    """Adds the students that are new and brings names and groups of the others up to date.

    A student gets a code who can neither log in nor has one: those who have a password, a device, or a code that is
    still good keep what they have.

    Args:
        accounts: Where to.
        rows: The students.
        faults: What is wrong with other rows; those that do not fit the accounts there are are added to the list.
        skip_faulty: Whether the good rows are taken when there are faults.
        new_codes: Whether everybody in `rows` gets a new code.
        quota: Bytes for new accounts; None is no limit.
        lifetime: Of the codes, in seconds.
        deliver: Called with the result just before it becomes durable: where it fails nothing is changed, so no code
            exists that was not written down.

    Raises:
        RosterFaulty: There are faults, and they are not to be skipped.
    """
    # Before the database is locked: a class of 500 costs a second here.
    codes = [new_code() for _ in rows]
    verifiers = [derive(code, Kind.CODE) for code in codes]
    with accounts.database.write() as connection:
        done: list[Enrolled] = []
        now = accounts.now
        for row, code, verifier in zip(rows, codes, verifiers, strict=True):
            try:
                enrolled, needs_code = _take(connection, row, quota, now)
            except FtpsvcError as problem:
                faults.append(Fault(row.line, str(problem)))
                continue
            given = code if needs_code or new_codes else None
            if given is not None:
                _give(connection, enrolled.user, verifier, now, lifetime)
            done.append(Enrolled(enrolled.user, enrolled.change, given))
        faults.sort()
        if faults and not skip_faulty:
            raise RosterFaulty(faults)
        if deliver is not None:
            deliver(done)
    return done


def _give(connection: Connection, user: User, verifier: Verifier, now: int, lifetime: int) -> None:
    keys.put(connection, user.id, Kind.CODE, verifier, now, expires=now + lifetime)


def _take(connection: Connection, row: Row, quota: int | None, now: int) -> tuple[Enrolled, bool]:
    """Returns what became of a row, and whether its student has no way to log in."""
    values = {"group": row.group, "student_id": row.student_id, "display_name": row.display_name}
    there = connection.execute(select(*keys.USER_COLUMNS).where(users.c.name == row.user)).one_or_none()
    if there is None:
        user = insert_user(connection, now, row.user, role=Role.STUDENT, quota=quota, **values)
        return Enrolled(user, "added", None), True
    user = keys.user_of(there)
    if user.role is not Role.STUDENT:
        raise RosterConflict(f"the user {user.name!r} is there already, as {user.role}")
    known = keys.secrets_of(connection, user.id)
    good_code = known.code_expires is not None and known.code_expires > now
    needs_code = not (known.password or known.tokens or good_code)
    if (user.group, user.student_id, user.display_name) == (row.group, row.student_id, row.display_name):
        return Enrolled(user, "unchanged", None), needs_code
    connection.execute(update(users).where(users.c.id == user.id).values(**values))
    return Enrolled(get_user(connection, user.name), "updated", None), needs_code


class RosterConflict(FtpsvcError):
    """A row of a roster that does not fit the accounts there are."""
