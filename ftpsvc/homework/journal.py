"""The server's chain of receipts, and the key that signs them.

    ROOT/.ftpsvc/homework/receipt_ed25519       the private key, 0600
    ROOT/.ftpsvc/homework/receipt_ed25519.pub   what is handed out
    ROOT/.ftpsvc/homework/receipts.jsonl        the chain: a line for each receipt, as it was signed

One process writes: the daemon, which holds the lock of the submissions. Source: docs/receipts.md section 4.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from ftpsvc.exceptions import BadReceipt, ConfigError
from ftpsvc.receipts.chain import Head, Link
from ftpsvc.receipts.receipt import GENESIS, Receipt, digest
from ftpsvc.receipts.sshsig import PublicKey, Signer

FOLDER: Final = Path(".ftpsvc", "homework")
KEY: Final = "receipt_ed25519"
CHAIN: Final = "receipts.jsonl"


class Journal:
    """The chain, open for appending. Not thread-safe: the desk appends under a lock.

    Attributes:
        signer: The server's key.
        head: The newest receipt.
        received: When that was received, as receipts write it; empty for an empty chain.
        known: All versions in it: assignment, user, number.
    """

    def __init__(self, root: Path, *, durable: bool = True) -> None:
        """Opens it; key and chain are made where they are missing.

        Args:
            root: The server's root.
            durable: Whether an appended line is on the disk when `append` returns.

        Raises:
            ConfigError: It cannot be opened, or the key is gone that signed what is there.
        """
        self._durable = durable
        self._folder = root / FOLDER
        self._path = self._folder / CHAIN
        self.head = Head(0, GENESIS)
        self.received = ""
        self.known: set[tuple[str, str, int]] = set()
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._cut_torn_line()
            for link in read(root):
                self._note(link.paper, Receipt.decode(link.paper))
            self.signer = self._key()
        except OSError as error:
            raise ConfigError(f"the receipts in {self._folder} cannot be opened: {error.strerror}") from None
        except BadReceipt as error:
            raise ConfigError(
                f"{self._path} is damaged: {error}",
                hint="ftpsvc-server receipts audit says where; restore it from a backup",
            ) from None

    def append(self, paper: bytes, signature: str) -> None:
        """Adds a receipt to the chain. When it returns, the receipt is kept for good.

        Raises:
            OSError: It is not; the chain is as before.
        """
        line = json.dumps({"receipt": paper.decode(), "signature": signature}, ensure_ascii=False) + "\n"
        with open(self._path, "ab") as file:
            before = file.tell()
            try:
                file.write(line.encode())
                file.flush()
                if self._durable:
                    os.fsync(file.fileno())
            except OSError:
                os.ftruncate(file.fileno(), before)
                raise
        self._note(paper, Receipt.decode(paper))

    def _note(self, paper: bytes, receipt: Receipt) -> None:
        self.head = Head(receipt.seq, digest(paper))
        self.received = max(self.received, receipt.received)
        self.known.add((receipt.assignment, receipt.user, receipt.version))

    def _cut_torn_line(self) -> None:
        """Takes away what a crash left of a line: nobody was given that receipt, and its version tells it again."""
        with open(self._path, "a+b") as file:
            size = file.tell()
            end = size
            while end:
                file.seek(end - 1)
                if file.read(1) == b"\n":
                    break
                end -= 1
            if end < size:
                os.ftruncate(file.fileno(), end)

    def _key(self) -> Signer:
        path = self._folder / KEY
        if not path.exists():
            if self.known:
                raise ConfigError(
                    f"the key {path} is gone, which signed {self.head.seq} receipts",
                    hint="restore it from a backup: receipts of another key would be worth nothing",
                )
            _write_new(path, Signer.generate(), 0o600)
        signer = Signer.load(path)
        public = path.with_suffix(".pub")
        if not public.exists():
            _write_new(public, f"{signer.public.line} ftpsvc receipts\n".encode(), 0o644)
        _sync(self._folder)
        return signer


def read(root: Path) -> Iterator[Link]:
    """Reads a server's chain from its beginning, also while the server runs. A last line without end is left out.

    Raises:
        BadReceipt: A line is none of a chain.
        OSError: It cannot be read. One that does not exist is empty.
    """
    try:
        file = open(root / FOLDER / CHAIN, "rb")  # noqa: SIM115 - closed below
    except FileNotFoundError:
        return
    with file:
        for number, line in enumerate(file, 1):
            if not line.endswith(b"\n"):
                return
            yield _link(line, number)


def public_key(root: Path) -> PublicKey:
    """Returns the key that signs a server's receipts.

    Raises:
        ConfigError: There is none yet.
    """
    path = root / FOLDER / f"{KEY}.pub"
    try:
        return PublicKey.parse(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError):
        raise ConfigError(
            f"there is no key for receipts in {path.parent}", hint="the server makes it when it first starts"
        ) from None


def _link(line: bytes, number: int) -> Link:
    try:
        fields = json.loads(line)
    except (ValueError, RecursionError):
        fields = None
    if not isinstance(fields, dict) or fields.keys() != {"receipt", "signature"}:
        raise BadReceipt(f"line {number} of the chain is none of a receipt")
    receipt, signature = fields["receipt"], fields["signature"]
    if not isinstance(receipt, str) or not isinstance(signature, str):
        raise BadReceipt(f"line {number} of the chain is none of a receipt")
    return Link(receipt.encode("utf-8", "surrogatepass"), signature)


def _write_new(path: Path, data: bytes, mode: int) -> None:
    """Writes a file whole or not at all."""
    temporary = path.with_name(path.name + ".new")
    temporary.unlink(missing_ok=True)
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with open(descriptor, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    temporary.rename(path)


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
