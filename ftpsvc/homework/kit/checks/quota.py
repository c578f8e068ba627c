"""Point 4: quota."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, suppress
from typing import Final

from ftpsvc.homework.kit.checks.tester import Checks, Tester, same
from ftpsvc.homework.kit.declared import FILE, LEAST, MOST, Account
from ftpsvc.homework.kit.dialect import Conversation, Piece
from ftpsvc.homework.kit.findings import Fault, Gone, Hung, NotScored, Refused
from ftpsvc.homework.kit.said import said
from ftpsvc.text import format_size

CHECKS: Final = Checks(4)

_THERE: Final = 4 << 10  # what the kit itself has put into a home, in whole blocks of a disk or not

RACERS: Final = 6


def _limited(test: Tester) -> tuple[Account, int]:
    """Returns an account with a quota, and that in bytes.

    Raises:
        NotScored: There is none, or none that can be measured.
    """
    account = test.dialect.declared.limited
    if account is None or account.quota is None:
        raise NotScored(
            said(
                "no account in {file} has a quota of {least} to {most}",
                file=FILE,
                least=format_size(LEAST),
                most=format_size(MOST),
            )
        )
    return account, account.quota


def _fits(user: Conversation, name: str, content: bytes) -> None:
    try:
        user.put(name, content)
    except Refused as refused:
        raise Fault(
            said("that {size} bytes are stored while there is room", size=len(content)),
            said("it was refused: {reason}", reason=str(refused)),
        ) from refused


def _answered(test: Tester) -> None:
    if not test.dialect.answers_put:
        raise NotScored(said("the server answers no put"))


@CHECKS.add(
    "more than there is room for",
    "look at the announced size before the first byte is stored, and say no",
    "C43",
    "C10",
)
def _more(test: Tester) -> None:
    account, quota = _limited(test)
    _answered(test)
    with test.entered(account) as user, suppress(Gone):
        refused = test.refused(
            lambda: user.put("too-large.bin", bytes(quota + 1)), said("a put of one byte more than the quota")
        )
        if not refused.fatal:
            user.put("small.txt", b"small")
            same(user.get("small.txt"), b"small", said("the content that was put after a refusal"))
    with test.conversation(account) as user:
        if "too-large.bin" in user.ls():
            raise Fault(
                said("that nothing of what was refused is there"),
                said("ls shows {names}", names="too-large.bin"),
            )


@CHECKS.add("many that add up", "count what is in the home already, not only what comes", "C40", "C42")
def _add_up(test: Tester) -> None:
    account, quota = _limited(test)
    room = quota - _THERE
    _answered(test)
    content = bytes(room // 3)
    with test.entered(account) as user:
        for number in range(3):
            _fits(user, f"part-{number}.bin", content)
        test.refused(lambda: user.put("part-3.bin", content), said("a fourth file of a third of the quota"))


@CHECKS.add(
    "replacing a file",
    "what is replaced does not count twice: the new size less the old one is what is needed",
    "C42",
)
def _replace(test: Tester) -> None:
    account, quota = _limited(test)
    room = quota - _THERE
    content = bytes(room * 2 // 3)
    with test.entered(account) as user:
        for number in range(3):
            _fits(user, "same.bin", content + b"%d" % number)
        same(user.get("same.bin"), content + b"2", said("the content that was put last"))


@CHECKS.add(
    "a race for the last bytes",
    "reserve the announced size under a lock before the first byte comes, and give it back if it breaks off",
    "C40",
)
def _race(test: Tester) -> None:
    account, quota = _limited(test)
    room = quota - _THERE
    content = bytes(room * 2 // 5)
    names = [f"racer-{number}.bin" for number in range(RACERS)]
    with ExitStack() as stack:
        users = [stack.enter_context(test.entered(account)) for _ in names]
        begun = []
        for user, name in zip(users, names, strict=True):
            pieces = user.request("put", name, content)
            what = said("{count} puts of two fifths of the quota at once", count=RACERS)
            try:
                begun.append((user, _first_half(user, pieces, len(content) // 2, what)))
            except (Refused, Gone):
                continue
        for user, rest in begun:
            try:
                for data in rest:
                    user.wire.send(data, user.wire.sent)
                user.done()
            except (Refused, Gone, Hung):
                continue
    with test.conversation(account) as user:
        stored = sum(len(user.get(name)) for name in sorted(user.ls()) if name in names)
    if stored > quota:
        raise Fault(
            said("at most the quota of {quota} bytes", quota=quota),
            said("{stored} bytes were stored", stored=stored),
            said("{count} puts of two fifths of the quota at once", count=RACERS),
        )


def _first_half(user: Conversation, pieces: Iterator[Piece], count: int, what: str) -> list[bytes]:
    """Sends the first bytes of a request and returns the rest of it."""
    rest = []
    for piece in pieces:
        if count > 0:
            user.wire.send(piece.data[:count], what)
        rest.append(piece.data[max(0, count) :])
        count -= len(piece.data)
    return rest
