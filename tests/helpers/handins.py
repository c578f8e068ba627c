"""A server with an assignment and students who hand in: real, and started once for a module."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ftpsvc.credentials import Credentials
from ftpsvc.homework.extension import Homework
from ftpsvc.homework.submissions import Submissions
from ftpsvc_client import Client, connect
from tests.helpers import assignments
from tests.helpers.embedded import embedded
from tests.helpers.users import add_user


@dataclass(frozen=True)
class Course:
    """A running server with students.

    Attributes:
        root: Its root.
        url: Where it is.
        tokens: Of its users, by name.
    """

    root: Path
    url: str
    tokens: dict[str, Credentials]

    @property
    def submissions(self) -> Submissions:
        """What was handed in."""
        return Submissions(self.root)

    def client(self, name: str) -> Client:
        """A client that is logged in."""
        return connect(self.url, credentials=self.tokens[name])


@contextmanager
def course(root: Path, *names: str, **settings: Any) -> Iterator[Course]:
    """Runs a server for the length of a block, with an assignment `sums` that is open, and one user for each name."""
    root.mkdir(exist_ok=True)
    assignments.write(root / "assignments" / "sums")
    tokens = {name: add_user(root, name) for name in names}
    with embedded(root, extensions=[Homework()], guest="read", **settings) as daemon:
        yield Course(root, str(daemon.addresses[0]), tokens)
