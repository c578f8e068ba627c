"""What the API returns: plain values, no connection behind them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Literal, NamedTuple

from ftpsvc.exceptions import FtpsvcError
from ftpsvc.protocol.headers import EntryLine

Kind = Literal["file", "dir", "link", "other"]


class RemoteEntry(NamedTuple):
    """What a server says of one name. Nothing of it is trusted: escape it before it is shown (`ftpsvc.text.printable`).

    Attributes:
        path: Path on the server; relative to what was listed in a recursive listing.
        kind: `file`, `dir`, `link` (never followed) or `other` (FIFO, device, socket).
        size: Length in bytes; None where the server did not say (and for everything but files).
        modified: Last change of the content, nanoseconds since 1970 UTC; None where the server did not say.
        mode: POSIX permission bits; None where the server did not say.
        version: Opaque token that changes with the content; None where the server has none.
        algorithm: Algorithm of `digest`, or None.
        digest: Lower-case hex, or None where none is on record or none was asked for.
        note: Why the name cannot be addressed (`path` is only for showing then), or None.
    """

    path: str
    kind: Kind
    size: int | None = None
    modified: int | None = None
    mode: int | None = None
    version: str | None = None
    algorithm: str | None = None
    digest: str | None = None
    note: str | None = None

    @property
    def name(self) -> str:
        """The last component of `path`; `/` for the root."""
        return PurePosixPath(self.path).name or "/"

    @classmethod
    def from_line(cls, line: EntryLine, path: str | None = None) -> RemoteEntry:
        """Returns the entry that a line of a listing describes; `path` replaces its name where it is known better."""
        size = line.file_size if line.type == "file" else None
        return cls(
            line.name if path is None else path, line.type, size, line.modified, line.mode, line.version,
            line.algorithm, line.digest, line.note,
        )  # fmt: skip


class Transfer(NamedTuple):
    """One file that was transferred, or was there already.

    Attributes:
        remote: Its path on the server.
        local: Its path here, or None where a stream was the other end.
        size: Length of the file in bytes.
        algorithm: Algorithm of `digest`.
        digest: What both sides computed, lower-case hex.
        sent: Payload bytes that went over the wire (0: it was there already).
        version: The server's token for this content, or None.
    """

    remote: str
    local: str | None
    size: int
    algorithm: str
    digest: str
    sent: int
    version: str | None = None

    @property
    def already_there(self) -> bool:
        """Whether nothing had to be transferred, because the same content was there."""
        return self.size > 0 and self.sent == 0


class Problem(NamedTuple):
    """A name of a tree that was left out: which (local or remote path, unescaped), and why."""

    path: str
    error: FtpsvcError


@dataclass(slots=True)
class TreeReport:
    """What became of a tree.

    Attributes:
        files: Files transferred.
        present: Files that were there already with the same content.
        directories: Directories of the tree (made or there already).
        size: Bytes of the transferred files.
        problems: Names that were not transferred though they should have been. Empty is success.
        skipped: Names that are no files or directories (links, FIFOs, ...): noted, but no failure.
        connections: How many the files went over: fewer than asked for where the server had no room for them.
    """

    files: int = 0
    present: int = 0
    directories: int = 0
    size: int = 0
    problems: list[Problem] = field(default_factory=list)
    skipped: list[Problem] = field(default_factory=list)
    connections: int = 1

    def add(self, other: TreeReport) -> None:
        """Takes in what became of another part of the same tree."""
        self.files += other.files
        self.present += other.present
        self.directories += other.directories
        self.size += other.size
        self.problems += other.problems
        self.skipped += other.skipped
        self.connections = max(self.connections, other.connections)


class Action(NamedTuple):
    """One thing that `sync` does, or would do.

    Attributes:
        what: `put` or `get` a file, `mkdir`, `mode` (the executable bit only), or `delete`.
        path: What it is done to, relative to the two directories, `/` in between; not trusted.
        size: Bytes of a file that is transferred, or None.
    """

    what: Literal["put", "get", "mkdir", "mode", "delete"]
    path: str
    size: int | None = None


@dataclass(slots=True)
class SyncReport(TreeReport):
    """What became of a synchronisation.

    Attributes:
        deleted: Names removed that the source does not have; of a directory that went as a whole only its own.
        kept: Why nothing was deleted though that was asked for, or None.
    """

    deleted: int = 0
    kept: str | None = None


class Verification(NamedTuple):
    """What the server found when it read a stored file again.

    Attributes:
        path: Absolute remote path.
        algorithm: Algorithm of `digest`.
        digest: Digest of the content, lower-case hex.
        size: Length in bytes.
        recorded: True when it equals the digest recorded when the file was stored. False when there was none to
            compare with (put there or changed by hand): from now on there is.
    """

    path: str
    algorithm: str
    digest: str
    size: int
    recorded: bool


class Identity(NamedTuple):
    """Who the session is.

    Attributes:
        user: Name; None is a guest.
        role: `student`, `teacher` or `admin`; None for a guest.
        via: `password`, `code` or `token`: what was logged in with; None for a guest.
        token: Public part of the device token, or None.
        group: Section of the class, or None.
        may: `none`, `read` or `write`: what the session may do where it starts.
    """

    user: str | None
    role: str | None
    via: str | None
    token: str | None
    group: str | None
    may: str


class Space(NamedTuple):
    """Room on the server in bytes; None where the server does not say (`limit` None: there is no quota)."""

    limit: int | None
    used: int | None
    reserved: int
    free: int | None


def total_size(entries: Sequence[RemoteEntry]) -> int:
    """Returns the bytes of the files among `entries` whose size is known."""
    return sum(entry.size or 0 for entry in entries)
