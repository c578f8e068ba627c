"""What a dialect is: how one kind of server is spoken to. The checks know nothing but this.

A dialect is a small class. It says what a request looks like in bytes and reads an answer; deadlines, bounds and what
is to be reported belong to the wire. So a check can send the same request whole, byte by byte, or half, whatever the
dialect.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal, TypeAlias

from ftpsvc.homework.kit.wire import Wire

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


class Conversation(ABC):
    """One conversation on one connection, from the greeting on. Whoever opened it closes it.

    Attributes:
        wire: The connection. After a `Fault` or a fatal `Refused` nothing more is to be expected on it.
    """

    def __init__(self, wire: Wire) -> None:
        self.wire = wire

    @abstractmethod
    def greet(self) -> None:
        """Does what comes before the first request: reads a greeting, logs in."""

    @abstractmethod
    def request(self, op: Op, path: str, content: bytes = b"") -> bytes:
        """Returns all bytes of a request; of a `put` with its content and what follows that."""

    @abstractmethod
    def done(self) -> None:
        """Reads the answer to a `put` or `cd`.

        Raises:
            Refused: The server said no.
            Fault: It said nothing that the dialect knows.
        """

    @abstractmethod
    def content(self) -> bytes:
        """Reads the answer to a `get`, and compares digests where the dialect has them (errors: `done`)."""

    @abstractmethod
    def listing(self) -> Mapping[str, Entry]:
        """Reads the answer to an `ls` (errors: `done`)."""

    def put(self, path: str, content: bytes) -> None:
        """Stores a file."""
        self.wire.send(self.request("put", path, content), f'put "{path}", {len(content)} bytes')
        self.done()

    def get(self, path: str) -> bytes:
        """Returns a file's content."""
        self.wire.send(self.request("get", path), f'get "{path}"')
        return self.content()

    def ls(self, path: str = ".") -> Mapping[str, Entry]:
        """Returns a listing by name."""
        self.wire.send(self.request("ls", path), f'ls "{path}"')
        return self.listing()

    def cd(self, path: str) -> None:
        """Changes the directory of this conversation."""
        self.wire.send(self.request("cd", path), f'cd "{path}"')
        self.done()


class Dialect(ABC):
    """A kind of server.

    Attributes:
        name: What it is called on the command line.
        unmeasured: Points of the rubric that this dialect cannot measure, by number, and why.
        messages: Messages that the server must refuse, or close the connection for, and survive; by what they are.
        wrong_digest: Whether `spoilt` gives a put whose digest is not its content's.
    """

    name: ClassVar[str]
    unmeasured: ClassVar[Mapping[int, str]] = {}
    messages: ClassVar[Mapping[str, bytes]] = {}
    wrong_digest: ClassVar[bool] = False

    @abstractmethod
    def converse(self, wire: Wire) -> Conversation:
        """Returns a conversation on a connection that was just opened."""

    def spoilt(self, conversation: Conversation, path: str, content: bytes) -> bytes:
        """Returns the bytes of a `put` with the digest of something else."""
        raise NotImplementedError
