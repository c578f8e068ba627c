"""What a check is given, and what several of them do."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from ftpsvc.homework.kit.declared import FILE, Account
from ftpsvc.homework.kit.dialect import Conversation, Dialect
from ftpsvc.homework.kit.findings import Fault, NotScored, Refused
from ftpsvc.homework.kit.rubric import Check
from ftpsvc.homework.kit.said import said
from ftpsvc.homework.kit.server import Prepared, Server
from ftpsvc.homework.kit.wire import Wire
from ftpsvc.text import format_size

INSIDE: Final = "a song that is in the folder\n"


class Tester:
    """What a check has: a running server, its dialect, and what was put into the box.

    Attributes:
        server: The server.
        dialect: How it is spoken to.
        secret: What lies in files beside the shared folder: nobody may see it or change it.
        shared: The folder that the first user has as theirs, relative to the box: shared, or a home.
        last: The wire that was used last, whose `sent` the report shows.
    """

    def __init__(
        self, server: Server, dialect: Dialect, patience: float, *, shared: str, secret: str
    ) -> None:
        self.server = server
        self.dialect = dialect
        self.shared = shared
        self.secret = secret.encode()
        self.last: Wire | None = None
        self._patience = patience

    @property
    def accounts(self) -> tuple[Account, ...]:
        """The accounts that the server has; () where it has no log-in."""
        return self.dialect.declared.accounts

    @property
    def beside(self) -> str:
        """The folder that the shared one lies in, relative to the box, with a / behind it; "" is the box."""
        above, slash, _ = self.shared.rpartition("/")
        return above + slash

    def needs_room(self, size: int) -> None:
        """Sees to it that the first user may store so many bytes.

        Raises:
            NotScored: The account has less.
        """
        quota = self.accounts[0].quota if self.accounts else None
        if quota is not None and quota < size + (1 << 16):
            raise NotScored(
                said("the first account of {file} has no room for {size}", file=FILE, size=format_size(size))
            )

    @contextmanager
    def wire(self) -> Iterator[Wire]:
        """Yields a new connection on which nothing was said."""
        made = Wire(self.server.connect(), self._patience, self.server.drained)
        self.last = made
        try:
            if self.dialect.declared.tls:
                made.encrypt()
            yield made
        finally:
            made.close()

    @contextmanager
    def greeted(self) -> Iterator[Conversation]:
        """Yields a new conversation in which nobody has logged in."""
        with self.wire() as wire:
            conversation = self.dialect.converse(wire)
            conversation.greet()
            yield conversation

    def log_in(self, conversation: Conversation, account: Account) -> None:
        """Logs in.

        Raises:
            Refused: The server lets nobody in with that.
        """
        conversation.say(conversation.login(account), said("log-in of {name}", name=account.name))

    @contextmanager
    def entered(self, account: Account | None = None) -> Iterator[Conversation]:
        """Yields a new conversation, logged in where there are accounts: as the first one, or another.

        Raises:
            Fault: The log-in was refused.
        """
        with self.greeted() as conversation:
            if self.accounts:
                one = account or self.accounts[0]
                try:
                    self.log_in(conversation, one)
                except Refused as refused:
                    expected = said("that {name} is let in", name=one.name)
                    raise Fault(expected, said("it was refused: {reason}", reason=str(refused))) from refused
            yield conversation

    @contextmanager
    def conversation(self, account: Account | None = None) -> Iterator[Conversation]:
        """Yields what `entered` does; what the server refuses in it unasked is a fault."""
        with self.entered(account) as conversation:
            try:
                yield conversation
            except Refused as refused:
                raise Fault(
                    said("that it is done"), said("it was refused: {reason}", reason=str(refused))
                ) from refused

    def refused(self, action: Callable[[], object], what: str) -> Refused:
        """Expects that the server says no, in an orderly way.

        Raises:
            Fault: It did not.
        """
        try:
            action()
        except Refused as refused:
            return refused
        raise Fault(said("that {what} is refused", what=what), said("it was done"))


def prepared(shared: str, secret: str) -> Prepared:
    """Returns what the checks find in the box: directories, as the base profile cannot make any, and traps."""
    above, slash, name = shared.rpartition("/")
    beside = above + slash
    return Prepared(
        folders=(f"{shared}/music/rock", f"{shared}/empty", f"{shared}-2"),
        files={
            f"{shared}/music/song.txt": INSIDE,
            f"{shared}/music/rock/deep.txt": INSIDE,
            f"{beside}outside.txt": secret,
            f"{beside}{name}-2/outside.txt": secret,
        },
        links={f"{shared}/way-out": "../outside.txt", f"{shared}/way-up": ".."},
    )


class Checks(list[Check[Tester]]):
    """The checks of one point of the rubric, in the order in which they are run."""

    def __init__(self, point: int) -> None:
        super().__init__()
        self._point = point

    def add(
        self, name: str, hint: str, *cases: str
    ) -> Callable[[Callable[[Tester], None]], Callable[[Tester], None]]:
        """Returns a decorator that makes a function a check."""

        def added(function: Callable[[Tester], None]) -> Callable[[Tester], None]:
            self.append(Check(name, self._point, cases, hint, function))
            return function

        return added


def same(seen: bytes, content: bytes, expected: str) -> None:
    """Expects that two contents are one.

    Raises:
        Fault: They are not.
    """
    if seen != content:
        first = next(
            (at for at, (a, b) in enumerate(zip(seen, content, strict=False)) if a != b),
            min(len(seen), len(content)),
        )
        raise Fault(
            expected,
            said(
                "{count} bytes for {wanted}, different from byte {first} on",
                count=len(seen),
                wanted=len(content),
                first=first,
            ),
        )


def alive(test: Tester, what: str) -> None:
    """Expects that the server goes on, and serves others.

    Raises:
        Fault: It does not.
    """
    if (code := test.server.exit()) is not None:
        raise Fault(said("that the server goes on"), said("it ended with {code}", code=code), what)
    with test.conversation() as user:
        try:
            user.ls()
        except (Fault, Refused) as error:
            raise Fault(said("that the server goes on for others"), _seen(error), what) from error


def _seen(error: Fault | Refused) -> str:
    if isinstance(error, Refused):
        return said("it was refused: {reason}", reason=str(error))
    return said("{seen} (expected: {expected})", seen=error.seen, expected=error.expected)


def new_secret() -> str:
    """Returns what lies outside: of each run another one, so that no server can know it."""
    return f"secret {secrets.token_hex(16)}\n"
