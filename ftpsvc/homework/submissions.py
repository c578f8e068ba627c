"""What was handed in: immutable, numbered versions, as everybody above the server reads them.

    ROOT/submissions/ID/USER/versions/0001/files/         what was handed in, read-only
    ROOT/submissions/ID/USER/versions/0001/receipt.json   with receipt.json.sig beside it (docs/receipts.md)

A version is there whole or not at all, and never changes; `desk.Desk` makes them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

from ftpsvc.accounts.names import check_user_name
from ftpsvc.exceptions import BadReceipt, FtpsvcError
from ftpsvc.homework.lateness import HandIn, Stamps
from ftpsvc.receipts.receipt import Receipt

FOLDER: Final = "submissions"
VERSIONS: Final = "versions"
FILES: Final = "files"
RECEIPT: Final = "receipt.json"
SIGNATURE: Final = "receipt.json.sig"

_ID: Final = re.compile(r"[a-z0-9][a-z0-9._-]{0,39}")
_NUMBER: Final = re.compile(r"[0-9]{4,9}")


@dataclass(frozen=True, slots=True)
class Version:
    """One version of one student.

    Attributes:
        assignment: Its assignment's id.
        user: Whose it is.
        number: From 1.
        folder: Where it lies: `files/` and its receipt.
        stamps: Its times, by the server's clock, UTC.
        tree_sha256: The digest of all its files (docs/receipts.md section 2).
        receipt: What its receipt says.
    """

    assignment: str
    user: str
    number: int
    folder: Path
    stamps: Stamps
    tree_sha256: str
    receipt: Receipt

    @property
    def files(self) -> Path:
        """The folder of the files that were handed in."""
        return self.folder / FILES

    def hand_in(self, points: float | None = None) -> HandIn:
        """Returns it as `lateness.standing` takes it.

        Args:
            points: What it got, before any penalty; None where it is not graded.
        """
        return HandIn(self.assignment, self.number, self.stamps, points)


class Submissions:
    """Reads what was handed in under a root, also while the server runs. Thread-safe; nothing is kept.

    Attributes:
        folder: `ROOT/submissions`, which need not exist.
    """

    def __init__(self, root: Path) -> None:
        """Looks at a root; nothing is read yet."""
        self.folder: Final = root / FOLDER

    def of(self, assignment: str, user: str) -> Path:
        """Returns the folder of a user's hand-ins for an assignment, which need not exist.

        Raises:
            ValueError: It could be none of an assignment and a user.
        """
        if not _ID.fullmatch(assignment):
            raise ValueError("that is no id of an assignment")
        return self.folder / assignment / check_user_name(user)

    def has(self, assignment: str, user: str) -> bool:
        """Returns whether there is anything of a user for an assignment, also if it is only under way."""
        try:
            return self.of(assignment, user).is_dir()
        except ValueError:
            return False

    def assignments(self) -> list[str]:
        """Returns the ids of the assignments that anything was handed in for, sorted."""
        return [name for name in _folders(self.folder) if _ID.fullmatch(name)]

    def users(self, assignment: str) -> list[str]:
        """Returns the names of the users who handed anything in for an assignment, sorted."""
        if not _ID.fullmatch(assignment):
            return []
        names = _folders(self.folder / assignment)
        return [name for name in names if _is_user(name) and self.numbers(assignment, name)]

    def numbers(self, assignment: str, user: str) -> list[int]:
        """Returns the numbers of the versions of a user, ascending."""
        names = _folders(self.of(assignment, user) / VERSIONS)
        return sorted(int(name) for name in names if _NUMBER.fullmatch(name))

    def versions(self, assignment: str, user: str) -> list[Version]:
        """Returns the versions of a user, oldest first.

        Raises:
            BadReceipt: A version's receipt is gone or damaged.
        """
        return [self.version(assignment, user, number) for number in self.numbers(assignment, user)]

    def version(self, assignment: str, user: str, number: int) -> Version:
        """Returns one version.

        Raises:
            BadReceipt: There is none, or its receipt is damaged.
        """
        folder = self.of(assignment, user) / VERSIONS / f"{number:04}"
        try:
            receipt = Receipt.decode((folder / RECEIPT).read_bytes())
        except OSError:
            raise BadReceipt(f"version {number} of {assignment} of {user} has no receipt") from None
        stamps = Stamps(datetime.fromisoformat(receipt.begun), datetime.fromisoformat(receipt.received))
        return Version(assignment, user, number, folder, stamps, receipt.tree_sha256, receipt)

    def all(self, assignment: str | None = None) -> Iterator[Version]:
        """Returns all versions, those of one assignment or of all, by assignment, user and number.

        Raises:
            BadReceipt: As `versions`.
        """
        for name in self.assignments() if assignment is None else [assignment]:
            for user in self.users(name):
                yield from self.versions(name, user)


def _is_user(name: str) -> bool:
    try:
        return check_user_name(name) == name
    except (FtpsvcError, ValueError):
        return False


def _folders(folder: Path) -> list[str]:
    try:
        return sorted(one.name for one in folder.iterdir() if one.is_dir() and not one.is_symlink())
    except (FileNotFoundError, NotADirectoryError):
        return []
