"""The state of one session. It is here and nowhere else: the server object has none of it (invariant 5)."""

from __future__ import annotations

import enum
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

from ftpsvc.accounts.model import Identity
from ftpsvc.accounts.scram import ServerLogin
from ftpsvc.exceptions import AuthenticationFailed, FtpsvcError, PermissionDenied
from ftpsvc.paths import ROOT, RemotePath
from ftpsvc.server.namespace import Namespace, Place
from ftpsvc.storage.base import Begun


class Rights(enum.Enum):
    """What a session may do."""

    NONE = "none"
    READ = "read"
    WRITE = "write"


class Started(NamedTuple):
    """An upload that was begun.

    Attributes:
        path: Where it will be.
        upload: It.
        size: Length of the whole file in bytes.
        algorithm: That of its digest.
    """

    path: RemotePath
    upload: Begun
    size: int
    algorithm: str


@dataclass(slots=True)
class Session:
    """Who is at the other end, what they see, and where they are in it. Belongs to the thread of its connection.

    Attributes:
        number: Counts the connections of this server, for the log.
        peer: Address of the client, for the log.
        address: The same without its port: what failed log-ins are counted by.
        local: Whether the client is on this machine.
        private: Whether nobody else can read the connection: TLS, or AF_UNIX.
        binding: The `tls-server-end-point` hash of the certificate that the connection was accepted with; None
            without TLS.
        rights: What it may do.
        namespace: What it sees.
        directory: Where relative paths start.
        refusal: Why a client that has not logged in is refused everything else, where that is not simply the rule.
        identity: Who logged in; None is a guest.
        checked: When it was last known that whoever logged in may go on, by `time.monotonic`.
        login: A log-in whose first step is done.
        refused: How many requests were refused that the audit keeps.
        started: The upload that the last `begin` announced, until its `put` has come.
        superseded: Whether a newer connection of the same user has taken that over, so that this one ends.
    """

    number: int
    peer: str
    address: str = ""
    local: bool = False
    private: bool = False
    binding: bytes | None = None
    rights: Rights = Rights.NONE
    namespace: Namespace = field(default_factory=Namespace)
    directory: RemotePath = ROOT
    refusal: FtpsvcError | None = None
    identity: Identity | None = None
    checked: float = 0.0
    login: ServerLogin | None = None
    refused: int = 0
    started: Started | None = None
    superseded: bool = False
    _cleanups: list[Callable[[], None]] = field(default_factory=list)

    def on_end(self, cleanup: Callable[[], None]) -> None:
        """Has `cleanup` called when the session ends."""
        self._cleanups.append(cleanup)

    def end(self) -> None:
        """Gives back what the session holds. Called once, by the thread of its connection."""
        self.let_go()
        while self._cleanups:
            self._cleanups.pop()()

    def let_go(self) -> None:
        """Gives the path of an upload back that was begun and whose `put` did not come; what is held of it stays."""
        started, self.started = self.started, None
        if started is not None:
            started.upload.suspend()

    @property
    def owner(self) -> str:
        """Whose uploads it resumes: those of the user who logged in, or of guests from the same address."""
        return self.identity.user.name if self.identity is not None else f"@{self.address}"

    def check(self, *, writes: bool) -> None:
        """Refuses what this session may not do anywhere.

        Raises:
            AuthenticationFailed: It may do nothing before a log-in.
            PermissionDenied: It may only read.
        """
        if self.rights is Rights.NONE:
            raise self.refusal or AuthenticationFailed()
        if writes and self.rights is not Rights.WRITE:
            raise PermissionDenied("guests of this server may read but not write")

    def path(self, text: str) -> RemotePath:
        """Returns the path that the client means.

        Raises:
            InvalidPath: It is no usable name, or leaves the root.
        """
        return RemotePath.parse(text, self.directory)

    def reading(self, text: str) -> Place:
        """Returns where a path leads.

        Raises:
            InvalidPath: As `path`. NotFound: Nothing can be there.
        """
        return self.namespace.resolve(self.path(text))

    def writing(self, text: str) -> Place:
        """Returns where a path leads that is going to be changed.

        Raises:
            InvalidPath: As `path`. NotFound: Nothing can be there. PermissionDenied: Nothing may be changed there.
        """
        place = self.reading(text)
        if not place.mount.writable:
            raise PermissionDenied("nothing can be changed here", str(place.path))
        return place
