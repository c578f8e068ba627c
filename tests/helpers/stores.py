"""Short words for what tests do with a storage, and books that can be read."""

import threading

from ftpsvc import digests
from ftpsvc.exceptions import QuotaExceeded
from ftpsvc.paths import RemotePath
from ftpsvc.storage.base import Entry, Storage


def at(text: str) -> RemotePath:
    """Parses an absolute path."""
    return RemotePath.parse(text)


def digest_of(content: bytes, algorithm: str = "blake3") -> str:
    """Hashes content the way a sender does."""
    hasher = digests.new(algorithm)
    hasher.update(content)
    return hasher.hexdigest()


def put(
    storage: Storage,
    path: str,
    content: bytes = b"content",
    *,
    algorithm: str = "blake3",
    modified: int | None = None,
    mode: int | None = None,
    clobber: bool = True,
) -> Entry:
    """Stores a file as a client does: announced, written in two pieces, with the sender's digest."""
    with storage.create(
        at(path), len(content), algorithm=algorithm, modified=modified, mode=mode, clobber=clobber
    ) as upload:
        half = len(content) // 2
        upload.write(content[:half])
        upload.write(memoryview(content)[half:])
        return upload.commit(digest_of(content, algorithm))


def get(storage: Storage, path: str, *, piece: int = 65536) -> bytes:
    """Reads a file to its end, `piece` bytes at a time."""
    content, buffer = bytearray(), memoryview(bytearray(piece))
    with storage.read(at(path)) as reader:
        while count := reader.read_into(buffer):
            content += buffer[:count]
        reader.check_unchanged()
        assert len(content) == reader.entry.size
    return bytes(content)


def everything(
    storage: Storage, path: str = "/", *, recursive: bool = True, limit: int = 1000
) -> list[Entry]:
    """Lists a directory, page by page, to its end."""
    found: list[Entry] = []
    after: tuple[str, ...] | None = None
    while True:
        page = storage.list(at(path), after=after, limit=limit, recursive=recursive)
        assert len(page.entries) <= limit
        found += page.entries
        if page.cursor is None:
            return found
        assert page.cursor == (*page.entries[-1].where, page.entries[-1].name)
        after = page.cursor


def names(storage: Storage, path: str = "/", *, recursive: bool = True, limit: int = 1000) -> list[str]:
    """Lists a directory as relative paths."""
    entries = everything(storage, path, recursive=recursive, limit=limit)
    return ["/".join((*entry.where, entry.name)) for entry in entries]


class Ledger:
    """Real books in memory, as a server keeps them: never more used and reserved than the limit.

    Attributes:
        limit: Bytes.
        used: Bytes charged.
        files: Files charged.
        reserved: Bytes promised to uploads under way.
    """

    def __init__(self, limit: int = 1 << 40) -> None:
        self.limit = limit
        self.used = 0
        self.files = 0
        self.reserved = 0
        self._lock = threading.Lock()

    def reserve(self, path: RemotePath, size: int, replaced: int | None, held: int = 0) -> "_Promise":
        """Promises room, or refuses."""
        needed = max(0, size - (replaced or 0))
        with self._lock:
            if self.used + self.reserved + needed - held > self.limit:
                raise QuotaExceeded(str(path), needed - held, self.used + self.reserved, self.limit)
            self.reserved += needed
            self.used -= held
            self.files -= held > 0
        return _Promise(self, needed)

    def adopt(self, size: int) -> int:
        """Charges a partial, as far as it fits."""
        with self._lock:
            fits = min(size, max(0, self.limit - self.used - self.reserved))
            self.used += fits
            self.files += fits > 0
        return fits

    def removed(self, size: int, files: int) -> None:
        """Takes off what went."""
        with self._lock:
            self.used -= size
            self.files -= files

    def books(self) -> tuple[int | None, int | None, int]:
        """Says how it stands."""
        with self._lock:
            return self.limit, self.used, self.reserved

    def close_promise(self, promised: int, used: int, files: int) -> None:
        """Ends a promise and charges what came of it."""
        with self._lock:
            self.reserved -= promised
            self.used += used
            self.files += files


class _Promise:
    def __init__(self, ledger: Ledger, promised: int) -> None:
        self._ledger = ledger
        self._promised = promised
        self._open = True

    def confirm(self, displaced: int | None) -> None:
        assert self._open, "a promise is confirmed before it is settled"

    def settle(self, size: int, displaced: int | None) -> None:
        assert self._open, "a promise is settled once"
        self._open = False
        self._ledger.close_promise(self._promised, size - (displaced or 0), int(displaced is None))

    def keep(self, size: int) -> int:
        self.release()
        return self._ledger.adopt(size)

    def release(self) -> None:
        if self._open:
            self._open = False
            self._ledger.close_promise(self._promised, 0, 0)
