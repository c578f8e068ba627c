"""Pages of `ls`: JSON Lines bounded in entries, in bytes and in the work of computing digests, and their cursors.

Source: docs/protocol.md section 6 (`ls`).
"""

from __future__ import annotations

import base64
import binascii
from typing import Final

from ftpsvc import digests
from ftpsvc.exceptions import FtpsvcError, InvalidRequest, PermissionDenied, StorageError, Unavailable
from ftpsvc.paths import MAX_DEPTH, RemotePath
from ftpsvc.protocol.headers import EntryLine, Listing, Ls
from ftpsvc.protocol.limits import MAX_SIZE
from ftpsvc.server.exchange import Exchange
from ftpsvc.storage.base import Digest, Entry, Page, Storage

_PAGE_BYTES: Final = 1 << 20
"""A page is held in memory on both sides; a thousand ordinary entries are a quarter of this."""
_PAGE_HASHED: Final = 256 << 20
"""Bytes hashed for the digests of one page: a fraction of a second, so that no client waits in vain for its answer."""
_NAME_CHARACTERS: Final = 4096
_NOTE_CHARACTERS: Final = 200
_CURSOR_NAME_CHARACTERS: Final = 2048
"""A name that cannot be addressed is listed in an escaped form, six characters a byte at most."""


def ls(exchange: Exchange, request: Ls) -> None:
    """Sends one page of a directory, or a file's own entry."""
    place = exchange.session.reading(request.path)
    if request.algorithm is not None:
        digests.new(request.algorithm)
    after = None if request.cursor is None else decode_cursor(request.cursor)
    limit = min(request.limit or exchange.limits.page, exchange.limits.page)
    with place as storage:
        page = storage.list(
            place.inner,
            after=after,
            limit=limit,
            recursive=request.recursive,
            versions=request.versions or request.digests,
        )
        page = _with_mounts(page, exchange.session.namespace.beneath(place.path), after)
        hashing = _Hashing(exchange, storage, place.inner, request.algorithm) if request.digests else None
        lines = bytearray()
        cursor = page.cursor
        for number, entry in enumerate(page.entries, 1):
            lines += _line(entry, hashing).encode()
            lines += b"\n"
            full = len(lines) >= _PAGE_BYTES or (hashing is not None and hashing.done >= _PAGE_HASHED)
            if full and number < len(page.entries):
                cursor = (*entry.where, entry.name)
                break
    header = Listing(
        size=len(lines), path=str(place.path), cursor=None if cursor is None else encode_cursor(cursor)
    )
    exchange.send_page(header, lines)


def _with_mounts(page: Page, names: list[str], after: tuple[str, ...] | None) -> Page:
    """Puts the folders that the server itself shows here into their place in a page.

    They are not descended into: they are other parts of the server, to be listed by their own path. What a storage has
    under such a name cannot be reached, and is not shown.
    """
    if not names:
        return page
    shown = [
        Entry(name, "dir", mode=0o755)
        for name in names
        if (after is None or (name,) > after) and (page.cursor is None or (name,) <= page.cursor)
    ]
    hidden = frozenset(names)
    rest = [entry for entry in page.entries if (*entry.where, entry.name)[0] not in hidden]
    return Page(sorted([*rest, *shown], key=lambda entry: (*entry.where, entry.name)), page.cursor)


def describe(entry: Entry, digest: Digest | None) -> EntryLine:
    """Returns what a client is told of an entry."""
    name = "/".join((*entry.where, entry.name))
    is_file = entry.kind == "file"
    return EntryLine(
        name=name if len(name) <= _NAME_CHARACTERS else "..." + name[3 - _NAME_CHARACTERS :],
        type=entry.kind,
        file_size=entry.size if is_file else None,
        # A folder that the server itself shows has no time.
        modified=entry.modified
        if (is_file or entry.modified) and -MAX_SIZE <= entry.modified <= MAX_SIZE
        else None,
        mode=entry.mode,
        version=entry.version or None,
        algorithm=None if digest is None else digest.algorithm,
        digest=None if digest is None else digest.value,
        note=None if entry.note is None else entry.note[:_NOTE_CHARACTERS],
    )


def _line(entry: Entry, hashing: _Hashing | None) -> EntryLine:
    if hashing is None or entry.kind != "file" or entry.note is not None:
        return describe(entry, None)
    return describe(entry, hashing.digest(entry))


class _Hashing:
    """Finds the digests for one page.

    Attributes:
        done: Bytes hashed so far.
    """

    def __init__(self, exchange: Exchange, storage: Storage, top: RemotePath, algorithm: str | None) -> None:
        self.done = 0
        self._exchange = exchange
        self._storage = storage
        self._top = top
        self._algorithm = algorithm
        # A file that is listed is its own only entry.
        self._is_directory = storage.stat(top).kind == "dir"

    def digest(self, entry: Entry) -> Digest | None:
        """Returns the digest of a file, from its record or computed; None for one that cannot be read just now."""
        wanted = self._algorithm
        if entry.digest is not None and wanted in (None, entry.digest.algorithm):
            return entry.digest
        path = self._top
        try:
            if self._is_directory:
                for name in (*entry.where, entry.name):
                    path = path.child(name)
            return self._compute(path, wanted or digests.DEFAULT, entry.version)
        except (StorageError, PermissionDenied) as error:
            if isinstance(error, Unavailable):
                self._exchange.check()  # it may be the server that stops, and not the file
            return None

    def _compute(self, path: RemotePath, algorithm: str, version: str) -> Digest | None:
        with self._storage.read(path) as reader:
            if reader.entry.version != version:
                return None
            size = reader.entry.size
            hasher = digests.new(algorithm)
            self._exchange.hash(reader, hasher, size, str(path))
            self.done += size
            reader.check_unchanged()
            digest = Digest(algorithm, hasher.hexdigest())
            if reader.entry.digest is None:
                reader.record(digest)
        return digest


def encode_cursor(parts: tuple[str, ...]) -> str:
    """Returns the text that stands for a place in a listing."""
    return base64.urlsafe_b64encode("/".join(parts).encode("utf-8", "surrogateescape")).decode()


def decode_cursor(text: str) -> tuple[str, ...]:
    """Returns the place in a listing that a text stands for. It is compared with names, never opened.

    Raises:
        InvalidRequest: The text was not made by `encode_cursor`.
    """
    try:
        raw = base64.b64decode(text.encode("ascii"), altchars=b"-_", validate=True)
        parts = tuple(raw.decode("utf-8", "surrogateescape").split("/"))
    except (ValueError, binascii.Error):
        raise _bad_cursor() from None
    # One level more than can be addressed: what lies too deep is listed with a note.
    if len(parts) > MAX_DEPTH + 1 or any(
        part in ("", ".", "..") or "\0" in part or len(part) > _CURSOR_NAME_CHARACTERS for part in parts
    ):
        raise _bad_cursor()
    # Decoding takes `/` for `_` and `+` for `-`, and bits that nothing needs.
    if encode_cursor(parts) != text:
        raise _bad_cursor()
    return parts


def _bad_cursor() -> FtpsvcError:
    return InvalidRequest("ls: the cursor is none that this server gave")
