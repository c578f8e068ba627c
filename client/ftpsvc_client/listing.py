"""Names on the server: listings in pages, and what is at a path, also with a server that has only the base profile."""

from __future__ import annotations

from pydantic import ValidationError

from ftpsvc.exceptions import (
    FtpsvcError,
    InvalidHeader,
    NotADirectory,
    NotFound,
    RemoteProtocolError,
)
from ftpsvc.paths import is_addressable
from ftpsvc.protocol import headers, onepass
from ftpsvc.protocol.connection import ResponseReceived
from ftpsvc.protocol.headers import EntryLine, Listing, Ls, explain
from ftpsvc.protocol.limits import MAX_PAGE_BYTES
from ftpsvc.protocol.strictjson import decode_object
from ftpsvc_client.link import Link, accepted
from ftpsvc_client.results import RemoteEntry

_HASH_SECONDS = 600.0
"""What a server is granted to compute the digests of a page."""


class Pages:
    """A listing that is fetched page by page.

    Attributes:
        done: Whether there are no more pages.
    """

    def __init__(
        self,
        path: str,
        *,
        recursive: bool = False,
        digests: bool = False,
        algorithm: str | None = None,
        versions: bool = True,
    ) -> None:
        self.done = False
        self._versions = versions
        self._path = path
        self._recursive = recursive
        self._digests = digests
        self._algorithm = algorithm
        self._cursor: str | None = None
        self._waiting: list[str] = []  # directories still to list, where the server does not descend itself
        self._prefix = ""

    def next_page(self, link: Link) -> list[RemoteEntry]:
        """Returns the next page; may be empty.

        Raises:
            FtpsvcError: The server's refusal, or the connection's end.
        """
        descends = "recursive" in link.features
        request = Ls(
            path=_joined(self._path, self._prefix),
            recursive=self._recursive and descends,
            digests=self._digests and "digests" in link.features,
            algorithm=self._algorithm,
            versions=self._versions,
            cursor=self._cursor,
        )
        try:
            entries, cursor = _page(link, request, wait=_HASH_SECONDS if self._digests else 0)
        except (NotFound, NotADirectory):
            if not self._prefix:
                raise
            entries, cursor = [], None  # it went between two pages
        if self._recursive and not descends:
            # A name that is no single name would make us list somewhere else: it is reported, not followed.
            folders = [
                f"{self._prefix}/{entry.path}" if self._prefix else entry.path
                for entry in entries
                if entry.kind == "dir" and entry.note is None and is_addressable(entry.path)
            ]
            entries = [_beneath(entry, self._prefix) for entry in entries]
            self._waiting.extend(reversed(folders))
        if cursor is not None and (cursor == self._cursor or not entries):
            raise RemoteProtocolError("the server returns the same page of a listing again and again")
        self._cursor = cursor
        if cursor is None:
            if self._waiting:
                self._prefix = self._waiting.pop()
            else:
                self.done = True
        return entries


def stat(link: Link, path: str) -> RemoteEntry:
    """Returns what is at a path.

    Raises:
        NotFound: Nothing is. FtpsvcError: any other refusal, or the connection's end.
    """
    if "stat" in link.features:
        answer = link.call(headers.Stat(path=path), headers.Status)
        return RemoteEntry.from_line(answer.entry, answer.path)
    parent, _, name = path.rstrip("/").rpartition("/")
    if name in ("", ".", ".."):
        if is_directory(link, path):
            return RemoteEntry(path, "dir")
        raise NotFound(path)
    pages = Pages(parent or ("/" if path.startswith("/") else "."))
    while not pages.done:
        for entry in pages.next_page(link):
            if entry.path == name and entry.note is None:
                return RemoteEntry(path, entry.kind, entry.size, entry.modified, entry.mode, entry.version)
    raise NotFound(path)


def is_directory(link: Link, path: str) -> bool:
    """Returns whether there is a directory at `path`; False also when nothing is.

    Raises:
        FtpsvcError: Another refusal, or the connection's end.
    """
    if "stat" in link.features:
        try:
            return stat(link, path).kind == "dir"
        except (NotFound, NotADirectory):
            return False
    # The base profile has no stat; `cd` tells, and is undone at once.
    here = link.call(headers.Cd(path="."), headers.Located)
    returned = False
    try:
        try:
            link.call(headers.Cd(path=path), headers.Located)
        except (NotFound, NotADirectory):
            returned = True
            return False
        link.call(headers.Cd(path=here.path), headers.Located)
        returned = True
    finally:
        if (
            not returned
        ):  # Ctrl-C, say: a new connection begins where the session is, this one may be elsewhere
            link.close()
    return True


def exists(link: Link, path: str) -> bool:
    """Returns whether there is anything at `path`.

    Raises:
        FtpsvcError: Another refusal than that there is nothing, or the connection's end.
    """
    try:
        stat(link, path)
    except (NotFound, NotADirectory):
        return False
    return True


def _page(link: Link, request: Ls, *, wait: float) -> tuple[list[RemoteEntry], str | None]:
    pages: list[tuple[list[RemoteEntry], str | None]] = []

    def take(event: ResponseReceived) -> None:
        if event.error is None:
            pages.append(_entries(link, event))
        else:
            errors.append(event.error)

    errors: list[FtpsvcError] = []
    link.submit(request, take, wait=wait)
    while not pages and not errors:
        link.collect()
    if errors:
        raise errors[0]
    return pages[0]


def _entries(link: Link, event: ResponseReceived) -> tuple[list[RemoteEntry], str | None]:
    """Reads the payload of a listing: JSON Lines, one entry each."""
    answer = accepted(event, Listing)
    if answer.size > MAX_PAGE_BYTES:
        link.close()
        raise RemoteProtocolError(
            f"a page of a listing of {answer.size} bytes, where {MAX_PAGE_BYTES} are accepted"
        )
    data = bytearray()
    for piece in link.channel.payload(link.pool):
        data += piece
    entries = []
    try:
        for line in bytes(data).splitlines():
            if line.strip():
                found = onepass.read(EntryLine, line)
                if found is None:
                    found = EntryLine.model_validate(decode_object(line))
                entries.append(RemoteEntry.from_line(found))
    except ValidationError as error:
        raise InvalidHeader(f"a line of a listing is not what it should be: {explain(error)}") from None
    return entries, answer.cursor


def _joined(path: str, below: str) -> str:
    return f"{path.rstrip('/')}/{below}" if below else path


def _beneath(entry: RemoteEntry, prefix: str) -> RemoteEntry:
    if not prefix:
        return entry
    return RemoteEntry(
        f"{prefix}/{entry.path}", entry.kind, entry.size, entry.modified, entry.mode, entry.version,
        entry.algorithm, entry.digest, entry.note,
    )  # fmt: skip
