"""What a dialect is: how one kind of server is spoken to. The checks know nothing but this.

A dialect is a small class. It says what a request looks like in bytes and reads an answer; deadlines, bounds and what
is to be reported belong to the wire. So a check can send the same request whole, byte by byte, or half, whatever the
dialect.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import ClassVar, Final, Literal, TypeAlias

from ftpsvc.homework.kit.declared import Account, Declared
from ftpsvc.homework.kit.findings import NotScored
from ftpsvc.homework.kit.said import said
from ftpsvc.homework.kit.wire import Wire

DROPS: Final = 64
"""Bytes at each end of a piece that are sent one by one."""

Op: TypeAlias = Literal["put", "get", "ls", "cd"]


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of a listing.

    Attributes:
        kind: What it is; None where the dialect does not tell.
        size: Its bytes; None where the dialect does not tell, and for directories.
    """

    kind: Literal["file", "dir", "other"] | None
    size: int | None


@dataclass(frozen=True, slots=True)
class Piece:
    """Bytes of a request.

    Attributes:
        whole: They must come in one piece: the dialect has no frame by which a server could put them together.
    """

    data: bytes
    whole: bool = False


class Conversation(ABC):
    """One conversation on one connection, from the greeting on. Whoever opened it closes it.

    A request is an iterator of its pieces. Between two of them it may read what the server has to say before it gets
    the next one, so it may raise what `done` raises; and it can be left in the middle, which is an interruption.

    Attributes:
        wire: The connection. After a `Fault` or a fatal `Refused` nothing more is to be expected on it.
        offset: How many bytes the server said it had of the upload that was resumed last.
    """

    def __init__(self, wire: Wire) -> None:
        self.wire = wire
        self.offset = 0

    @abstractmethod
    def greet(self) -> None:
        """Does what comes before the log-in: reads a greeting."""

    def login(self, account: Account) -> Iterator[Piece]:
        """Returns a log-in, at whose end the answer to it was read (errors: `done`)."""
        raise NotScored(said("the dialect has no log-in"))

    @abstractmethod
    def request(self, op: Op, path: str, content: bytes = b"", offset: int = 0) -> Iterator[Piece]:
        """Returns a request; of a `put` with its content and what follows that.

        Args:
            op: What to do.
            path: With what.
            content: Of a `put`.
            offset: Where a `get` begins.
        """

    def resumed(self, path: str, content: bytes) -> Iterator[Piece]:
        """Returns a `put` that can be interrupted and goes on where the server says that it is, in `offset`."""
        raise NotScored(said("the dialect cannot go on with an upload"))

    def spoilt(self, path: str, content: bytes) -> Iterator[Piece]:
        """Returns a `put` with the digest of something else."""
        raise NotScored(said("the dialect has no digests"))

    @abstractmethod
    def done(self) -> None:
        """Reads the answer to a `put` or `cd`.

        Raises:
            Refused: The server said no.
            Fault: It said nothing that the dialect knows.
        """

    @abstractmethod
    def opened(self) -> int:
        """Reads the answer to a `get` up to where its content begins, and returns how long that is (errors: `done`)."""

    @abstractmethod
    def content(self) -> bytes:
        """Reads the answer to a `get`, and compares digests where the dialect has them (errors: `done`)."""

    @abstractmethod
    def listing(self) -> Mapping[str, Entry]:
        """Reads the answer to an `ls` (errors: `done`)."""

    def say(self, pieces: Iterable[Piece], what: str) -> None:
        """Sends a request whole."""
        self.wire.sent = what
        for piece in pieces:
            self.wire.send(piece.data, what)

    def dribble(self, pieces: Iterable[Piece], what: str) -> None:
        """Sends a request byte by byte, the next one when the server has taken the one before it.

        The middle of a long piece is sent at once: its ends are where servers go wrong, and each byte takes some
        milliseconds.
        """
        for piece in pieces:
            if piece.whole:
                self.wire.send(piece.data, what)
                continue
            self.wire.dribble(piece.data[:DROPS], what)
            if middle := piece.data[DROPS:-DROPS]:
                self.wire.send(middle, what)
            self.wire.dribble(piece.data[max(DROPS, len(piece.data) - DROPS) :], what)

    def begin(self, pieces: Iterable[Piece], count: int, what: str) -> None:
        """Sends the first bytes of a request, and no more."""
        self.wire.sent = what
        for piece in pieces:
            self.wire.send(piece.data[:count], what)
            count -= len(piece.data)
            if count <= 0:
                break

    def put(self, path: str, content: bytes) -> None:
        """Stores a file."""
        self.say(
            self.request("put", path, content),
            said('put "{path}", {size} bytes', path=path, size=len(content)),
        )
        self.done()

    def get(self, path: str, offset: int = 0) -> bytes:
        """Returns a file's content, from an offset on."""
        what = (
            said('get "{path}" from byte {offset} on', path=path, offset=offset)
            if offset
            else said('get "{path}"', path=path)
        )
        self.say(self.request("get", path, offset=offset), what)
        return self.content()

    def ls(self, path: str = ".") -> Mapping[str, Entry]:
        """Returns a listing by name."""
        self.say(self.request("ls", path), said('ls "{path}"', path=path))
        return self.listing()

    def cd(self, path: str) -> None:
        """Changes the directory of this conversation."""
        self.say(self.request("cd", path), said('cd "{path}"', path=path))
        self.done()


class Dialect(ABC):
    """A kind of server. It is made of what the hand-in declares.

    Attributes:
        name: What it is called on the command line.
        pipelined: Whether the next request may be sent before the answer to the one before it has come.
        empty_content: Whether a content of no bytes can be told from none at all.
        answers_put: Whether the server says what became of a `put`.
        declared: What the hand-in says of itself.
    """

    name: ClassVar[str]
    pipelined: bool = False
    empty_content: bool = True
    answers_put: bool = True

    def __init__(self, declared: Declared) -> None:
        """Makes the dialect of one hand-in.

        Raises:
            DeclarationError: The hand-in declares what this dialect does not have.
        """
        self.declared = declared

    @abstractmethod
    def converse(self, wire: Wire) -> Conversation:
        """Returns a conversation on a connection that was just opened."""

    @property
    @abstractmethod
    def unmeasured(self) -> Mapping[int, str]:
        """The points of the rubric that cannot be measured in this dialect, and why."""

    @property
    @abstractmethod
    def messages(self) -> Mapping[str, bytes]:
        """Messages that the server must refuse, or close the connection for, and survive; by what they are."""

    def holds(self, text: str) -> bool:
        """Returns whether a message of this dialect can hold a name, of a file or a user."""
        return True
