"""Looking over all receipts of a server: the chain itself, the versions that it tells of, and what others kept of it.

Source: docs/receipts.md section 6.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Collection, Iterator
from pathlib import Path

from ftpsvc.exceptions import BadReceipt
from ftpsvc.homework import journal
from ftpsvc.homework.desk import sha256_of
from ftpsvc.homework.submissions import FILES, RECEIPT, SIGNATURE, VERSIONS, Submissions
from ftpsvc.receipts.chain import Audit, Head, Link
from ftpsvc.receipts.receipt import Receipt, digest
from ftpsvc.receipts.sshsig import PublicKey


class Examination:
    """One look over a root. Go through `faults` to its end, then the other attributes are known.

    Attributes:
        head: The newest receipt of the chain.
        receipts: How many receipts could be read.
    """

    def __init__(self, root: Path, keys: Collection[PublicKey], *, digests: bool) -> None:
        """Looks at a root.

        Args:
            root: The server's.
            keys: What may have signed.
            digests: Whether to read every file that was handed in.
        """
        self._root = root
        self._submissions = Submissions(root)
        self._digests = digests
        self._audit = Audit(keys)
        self._heads: dict[int, str] = {}
        self._known: set[tuple[str, str, int]] = set()

    @property
    def head(self) -> Head:
        """The newest receipt of the chain."""
        return self._audit.head

    @property
    def receipts(self) -> int:
        """How many receipts could be read."""
        return self._audit.receipts

    def faults(self) -> Iterator[str]:
        """Returns what is wrong, a sentence each."""
        self._heads[0] = self.head.digest
        try:
            for place, link in enumerate(journal.read(self._root), 1):
                for fault in self._audit.take(link):
                    yield f"receipt {fault.place}: {fault.text}"
                self._heads[place] = self.head.digest
                yield from (f"receipt {place}: {text}" for text in self._version(link))
        except BadReceipt as error:
            yield f"the chain cannot be read any further: {error}"
        except OSError as error:
            yield f"the chain cannot be read: {error.strerror}"
        for name in self._submissions.assignments():
            for user in self._submissions.users(name):
                for number in self._submissions.numbers(name, user):
                    if (name, user, number) not in self._known:
                        yield f"{name}/{user}: version {number} is not in the chain: its receipt was removed"

    def missing_head(self, head: Head) -> str | None:
        """Returns what is wrong with a head that was published once, or None."""
        if self._heads.get(head.seq) == head.digest:
            return None
        return f"the head {head} that was published is not in the chain: it was made anew, or cut, since then"

    def missing_receipt(self, paper: bytes, signature: str) -> str | None:
        """Returns what is wrong with a receipt that somebody kept, or None."""
        try:
            receipt, _ = Receipt.verified(paper, signature)
        except BadReceipt as error:
            return str(error)
        if self._heads.get(receipt.seq) == digest(paper):
            return None
        return f"number {receipt.seq} of {receipt.user} is not in the chain: it was removed or changed since then"

    def _version(self, link: Link) -> Iterator[str]:
        """Compares a receipt with the version that it is of."""
        try:
            receipt = Receipt.decode(link.paper)
        except BadReceipt:
            return  # told already
        name, user, number = receipt.assignment, receipt.user, receipt.version
        self._known.add((name, user, number))
        where = f"version {number} of {name}/{user}"
        try:
            folder = self._submissions.of(name, user) / VERSIONS / f"{number:04}"
        except ValueError:
            yield f"{where} cannot be"
            return
        if not folder.is_dir():
            yield f"{where} is gone"
            return
        try:
            beside = (folder / RECEIPT).read_bytes(), (folder / SIGNATURE).read_bytes()
        except OSError:
            yield f"{where} has no receipt"
            return
        if beside != (link.paper, link.signature.encode()):
            yield f"{where} has another receipt than the chain"
        try:
            yield from self._files(where, folder / FILES, receipt)
        except OSError as error:  # what is behind it in the chain is looked at all the same
            yield f"{where} cannot be read: {error.strerror}"

    def _files(self, where: str, folder: Path, receipt: Receipt) -> Iterator[str]:
        """Compares the files of a version with its receipt. Only regular ones are opened: a pipe would never end."""
        there = _modes(folder)
        for name in sorted(there.keys() - {file.path for file in receipt.files}):
            yield f"{where} has a file that was not handed in: {name}"
        for file in receipt.files:
            path = folder / file.path
            if file.path not in there:
                yield f"{where} lacks {file.path}"
            elif not stat.S_ISREG(there[file.path]):
                yield f"{where} has something that is no file in the place of {file.path}"
            elif path.lstat().st_size != file.size or (self._digests and sha256_of(path) != file.sha256):
                yield f"{where} has another {file.path} than was handed in"


def _modes(folder: Path) -> dict[str, int]:
    """Returns the modes of all that is in a folder by path, but for folders; no link is followed.

    Raises:
        OSError: Something cannot be looked at.
    """

    def fail(error: OSError) -> None:
        raise error

    found: dict[str, int] = {}
    for where, folders, names in os.walk(folder, onerror=fail):
        for name in (*folders, *names):
            path = Path(where, name)
            mode = path.lstat().st_mode
            if not stat.S_ISDIR(mode):
                found[path.relative_to(folder).as_posix()] = mode
    return found
