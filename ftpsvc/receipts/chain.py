"""The chain of a server's receipts: each names the one before it, so none can be removed, added or moved unseen.

What a chain alone cannot show is that its newest links are missing: that takes a head which was published, or a receipt
that somebody keeps. Source: docs/receipts.md section 4.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from ftpsvc.exceptions import ConfigError
from ftpsvc.receipts.receipt import GENESIS, NoReceipt, Receipt, digest
from ftpsvc.receipts.sshsig import BadSignature, PublicKey


class Link(NamedTuple):
    """One receipt with its signature, as they were made.

    Attributes:
        paper: The receipt's bytes.
        signature: Armoured.
    """

    paper: bytes
    signature: str


class Head(NamedTuple):
    """The newest receipt of a chain: what is published binds the server to everything before it.

    Attributes:
        seq: Its number; 0 for an empty chain.
        digest: SHA-256 of its bytes, `GENESIS` for an empty chain.
    """

    seq: int
    digest: str

    def __str__(self) -> str:
        return f"{self.seq}:{self.digest}"

    @classmethod
    def parse(cls, text: str) -> Head:
        """Returns the head that `str` wrote.

        Raises:
            ConfigError: It is none.
        """
        seq, colon, value = text.strip().partition(":")
        if not (colon and seq.isascii() and seq.isdigit() and len(seq) < 19 and len(value) == 64):
            raise ConfigError("that is no head of receipts: it looks like 128:9f86d0... with 64 digits")
        return cls(int(seq), value)


class Fault(NamedTuple):
    """Something that is wrong with a chain.

    Attributes:
        place: Which link it is, counted from 1.
        text: What, in words.
    """

    place: int
    text: str


class Audit:
    """Reads a chain from its beginning, link by link, and says what is wrong with it.

    Attributes:
        head: The last link that was read.
        receipts: How many could be read.
    """

    def __init__(self, keys: Iterable[PublicKey]) -> None:
        """Takes the keys that may have signed."""
        self._keys = frozenset(keys)
        self._received = ""
        self._versions: dict[tuple[str, str], int] = {}
        self._place = 0
        self.head = Head(0, GENESIS)
        self.receipts = 0

    def take(self, link: Link) -> Iterator[Fault]:
        """Reads the next link."""
        self._place += 1
        for text in self._faults(link):
            yield Fault(self._place, text)

    def _faults(self, link: Link) -> Iterator[str]:
        before, self.head = self.head, Head(self.head.seq + 1, digest(link.paper))
        try:
            receipt, key = Receipt.verified(link.paper, link.signature)
        except (NoReceipt, BadSignature) as error:
            yield str(error)
            return
        self.receipts += 1
        self.head = Head(receipt.seq, self.head.digest)
        if key not in self._keys:
            yield f"is signed by the key {key.fingerprint}, which is not the server's"
        if receipt.seq != before.seq + 1:
            yield f"has number {receipt.seq} where {before.seq + 1} is due: something was removed, added or moved"
        if receipt.prev != before.digest:
            yield f"number {receipt.seq} does not follow what is before it: something was removed, added or changed"
        if receipt.received < self._received:
            yield f"number {receipt.seq} was received at {receipt.received}, before the one before it: it is back-dated"
        self._received = max(self._received, receipt.received)
        owner = (receipt.assignment, receipt.user)
        due = self._versions.get(owner, 0) + 1
        if receipt.version != due:
            yield f"is version {receipt.version} of {'/'.join(owner)} where {due} is due"
        self._versions[owner] = receipt.version
