"""Point 1: encrypted log-in."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import suppress
from typing import Final

from ftpsvc.homework.kit.checks.tester import INSIDE, Checks, Tester, alive
from ftpsvc.homework.kit.declared import Account
from ftpsvc.homework.kit.dialect import Piece
from ftpsvc.homework.kit.findings import Fault, Garbled, Gone, NotScored, Refused
from ftpsvc.homework.kit.said import said

CHECKS: Final = Checks(1)


@CHECKS.add(
    "who may log in",
    "look a name up, compare with hmac.compare_digest, and say the same of a wrong name as of a wrong password",
    "C36",
    "C37",
)
def _who(test: Tester) -> None:
    account = test.accounts[0]
    nobody = Account(name=f"nobody-{secrets.token_hex(4)}", password=account.password)
    answers = []
    for stranger, what in (
        (_impostor(account), said("a log-in with a wrong password")),
        (nobody, said("a log-in of somebody unknown")),
    ):
        with test.greeted() as user, suppress(Gone):
            refused = test.refused(lambda: test.log_in(user, stranger), what)  # noqa: B023 -- called at once
            answers.append(str(refused).replace(stranger.name, "NAME"))
    if len(set(answers)) > 1:
        raise Fault(
            said("the same answer to a wrong password and to a wrong name"),
            said("{first} and {second}", first=answers[0], second=answers[1]),
        )
    with test.conversation() as user:
        user.ls()


@CHECKS.add(
    "odd user names",
    "compare a name as it is, in full: no strip, no lower, and never make a path of it before it is known",
    "C29",
    "C17",
)
def _odd_users(test: Tester) -> None:
    account = test.accounts[0]
    known = {one.name for one in test.accounts}
    mine = account.name
    for name in (
        mine.swapcase(), f" {mine}", f"{mine} ", f"{mine}\n", f"{mine}\0", f"../{mine}", f"./{mine}", f"{mine}/",
        f"{mine}|", "", "*", "../..", "x" * 300, f"{mine}\u200b",
    ):  # fmt: skip
        if name in known or not test.dialect.holds(name):
            continue
        stranger = Account(name=name, password=account.password)
        with test.greeted() as user, suppress(Gone, NotScored):
            test.refused(
                lambda: test.log_in(user, stranger),  # noqa: B023 -- called at once
                said("a log-in as {name}, with the password of {other}", name=repr(name), other=account.name),
            )
    alive(test, said("odd user names"))


@CHECKS.add(
    "nothing without a log-in",
    "one place looks whether somebody has logged in, before any operation",
    "C11",
    "C39",
)
def _nothing(test: Tester) -> None:
    account = test.accounts[0]
    for refused_before in (False, True):
        for op in ("get", "put", "ls"):
            with test.greeted() as user:
                seen = ""
                with suppress(Refused, Gone):
                    if refused_before:
                        with suppress(Refused):
                            test.log_in(user, _impostor(account))
                    if op == "get":
                        seen = said("its content") if INSIDE.encode() in user.get("music/song.txt") else ""
                    elif op == "put":
                        user.put("stranger.txt", b"stranger")
                    else:
                        seen = said("its name") if "music" in user.ls() else ""
                if seen:
                    expected = said("that nobody sees anything without a log-in")
                    raise Fault(expected, seen, f"{op}")
            if test.server.content(f"{test.shared}/stranger.txt") is not None:
                raise Fault(
                    said("that nobody stores anything without a log-in"), said("it was stored"), f"{op}"
                )


@CHECKS.add(
    "no password on the wire",
    "send a proof that you know it, as hmac.new(key, challenge), or speak TLS: whoever listens must learn nothing",
    "C34",
)
def _clear(test: Tester) -> None:
    if test.dialect.declared.tls:
        with test.conversation():
            return
    account = test.accounts[0]
    recorded = _recorded(test, account)
    if account.password.encode() in b"".join(recorded):
        raise Fault(said("that the password does not cross the wire"), said("the password, as it is typed"))


@CHECKS.add(
    "a log-in that was recorded",
    "a digest of the password is as good as the password: answer a challenge that is another one each time",
    "C35",
)
def _replay(test: Tester) -> None:
    if test.dialect.declared.tls:
        with test.conversation():
            return
    account = test.accounts[0]
    recorded = _recorded(test, account)
    what = said("the bytes of an earlier log-in")
    with test.greeted() as thief, suppress(Refused, Gone):
        # What is due next is read as in a log-in with a wrong password, and what was heard is sent in its place.
        steps: Iterator[Piece] | None = thief.login(_impostor(account))
        for heard in recorded:
            try:
                steps = steps if steps is not None and next(steps, None) is not None else None
            except Garbled:  # an answer to a message that this log-in did not send
                steps = None
            thief.wire.send(heard, what)
        if steps is None:
            thief.done()
        else:
            next(steps, None)
        if "music" in thief.ls():
            raise Fault(said("that an earlier log-in lets nobody in"), said("it was let in"), what)


@CHECKS.add(
    "no password in a file",
    "keep a salt and hashlib.pbkdf2_hmac of the password; print none, and log none",
    "C34",
)
def _stored(test: Tester) -> None:
    for account in test.accounts:
        with test.conversation(account):
            pass
        with test.greeted() as user, suppress(Refused, Gone):
            test.log_in(user, _impostor(account))
        if found := test.server.holding(account.password):
            raise Fault(
                said("that no file holds the password of {name}", name=account.name), ", ".join(found)[:200]
            )
    alive(test, said("log-ins"))


def _recorded(test: Tester, account: Account) -> list[bytes]:
    """Logs in, and returns all that was sent for it."""
    with test.greeted() as user:
        recorded = user.wire.record = []
        test.log_in(user, account)
    return recorded


def _impostor(account: Account) -> Account:
    return account.with_password(f"wrong-{secrets.token_hex(6)}")
