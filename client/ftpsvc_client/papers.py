"""Receipts on the student's side: kept beside the work, and checked without a server (docs/receipts.md)."""

from __future__ import annotations

import os
import secrets
from collections.abc import Sequence
from pathlib import Path
from typing import Final, NamedTuple

from ftpsvc.exceptions import BadReceipt, ConfigError
from ftpsvc.receipts.receipt import MAX_BYTES, Receipt, Refusal
from ftpsvc.receipts.sshsig import PublicKey, read_signers
from ftpsvc.receipts.tree import File
from ftpsvc_client.local import local_error

FOLDER: Final = os.path.join(".ftpsvc", "receipts")
"""Where receipts are kept, from the folder of the work."""
SIGNERS: Final = "allowed_signers"


class Checked(NamedTuple):
    """A receipt that is genuine.

    Attributes:
        receipt: What it says.
        key: What signed it.
        signers: The file that has this key; None where there was none to compare with.
        differences: What is not as the receipt says, a sentence each; empty where no directory was compared.
    """

    receipt: Receipt
    key: PublicKey
    signers: str | None
    differences: list[str]


def keep(folder: str, paper: bytes, signature: str, name: str, kind: type[Receipt] | type[Refusal]) -> str:
    """Stores a paper with its signature, and the key where none is known yet; returns the path of the paper.

    Args:
        folder: Where to; it is made.
        paper: Its bytes.
        signature: Armoured.
        name: The file's name without `.json`.
        kind: What it is.

    Raises:
        BadReceipt: It is not genuine, or signed by another key than those that are kept there.
        FtpsvcError: The disk refuses.
    """
    _, key = kind.verified(paper, signature)
    signers = os.path.join(folder, SIGNERS)
    path = os.path.join(folder, f"{name}.json")
    try:
        os.makedirs(folder, exist_ok=True)
        if os.path.exists(signers):
            _check_known(key, signers)
        else:
            line = key.allowed_signers([Receipt.NAMESPACE, Refusal.NAMESPACE])
            _write(signers, f"{line}\n".encode())
        _write(f"{path}.sig", signature.encode())
        _write(path, paper)
    except OSError as error:
        raise local_error(error, error.filename or folder) from None
    return path


def read(path: str) -> tuple[bytes, str]:
    """Returns a paper's bytes and its signature, which lies beside it.

    Raises:
        FtpsvcError: One of them is missing, or cannot be read.
    """
    return _read(path), _read(f"{path}.sig").decode("utf-8", "replace")


def check(path: str, directory: str | None = None, signers: str | None = None) -> Checked:
    """Checks a receipt: its signature, and with a directory the bytes of the files in it.

    Args:
        path: The receipt; `PATH.sig` is its signature.
        directory: Where the files lie; None: they are not compared.
        signers: An allowed_signers file with the keys that count; None: the one beside the receipt, if there is one.

    Raises:
        BadReceipt: It is no genuine receipt, or signed by a key that does not count.
        FtpsvcError: A file cannot be read.
    """
    receipt, key = Receipt.verified(*read(path))
    if signers is None:
        beside = os.path.join(os.path.dirname(path), SIGNERS)
        signers = beside if os.path.exists(beside) else None
    if signers is not None:
        _check_known(key, signers)
    differences = [] if directory is None else _differences(receipt.tree, directory)
    return Checked(receipt, key, signers, differences)


def _check_known(key: PublicKey, signers: str) -> None:
    try:
        known = read_signers(_read(signers).decode())
    except (ConfigError, UnicodeDecodeError):
        raise ConfigError(f"{signers} is no allowed_signers file with an Ed25519 key") from None
    if key not in known:
        error = BadReceipt(f"it is signed by the key {key.fingerprint}, which is not in {signers}")
        error.hint = "ask the teacher for the line that `ftpsvc-server receipts key` prints"
        raise error


def _differences(files: Sequence[File], directory: str) -> list[str]:
    from ftpsvc_client.handin import measured

    found = []
    for file in files:
        path = os.path.join(directory, *file.path.split("/"))
        if not os.path.lexists(path):
            found.append(f"{file.path} is missing")
        elif not os.path.isfile(path):
            found.append(f"{file.path} is no file")
        elif measured(file.path, path) != file:
            found.append(f"{file.path} has another content")
    return found


def _read(path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            data = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise local_error(error, path) from None
    if len(data) > MAX_BYTES:
        raise BadReceipt(f"{path} is longer than any receipt")
    return data


def _write(path: str, data: bytes) -> None:
    """Writes a file whole or not at all; a receipt that is there is the same one."""
    # A name of its own: two hand-ins from one folder at the same time may be given the same receipt.
    temporary = Path(f"{path}.{secrets.token_hex(4)}.new")
    try:
        with temporary.open("xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
