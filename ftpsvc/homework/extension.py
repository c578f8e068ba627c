"""Homework as an extension of the daemon: what it serves, and what users see of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from ftpsvc.accounts.model import Role
from ftpsvc.homework.catalog import Catalog
from ftpsvc.homework.handouts import Folders, Handouts
from ftpsvc.server.extension import Grounds
from ftpsvc.server.login import HANDOUTS
from ftpsvc.server.namespace import Mount
from ftpsvc.server.service import Operation
from ftpsvc.server.session import Session


class Homework:
    """The extension (`ftpsvc.server.extension.Extension`).

    Attributes:
        features: What the greeting names.
        operations: Handlers by op.
    """

    features: Final[Sequence[str]] = ()

    def __init__(self) -> None:
        self.operations: Mapping[str, Operation] = {}
        self._folders = Folders()
        self._handouts: dict[Role, Handouts] = {}

    def start(self, grounds: Grounds) -> None:
        """Looks for nothing yet: assignments are read when they are asked for."""
        catalog = Catalog(grounds.root)
        for role in Role:
            self._handouts[role] = Handouts(
                catalog, grounds.handouts, self._folders, early=role is not Role.STUDENT
            )

    def mounts(self, session: Session) -> Iterable[Mount]:
        """Returns the hand-outs, assignments' among them."""
        if session.identity is None:
            return ()
        role = session.identity.user.role
        return (Mount(HANDOUTS, self._handouts[role], writable=role is not Role.STUDENT),)

    def expire(self, seconds: float) -> int:
        """Drops nothing: what was begun under `/handouts` is looked after by the daemon."""
        return 0

    def stop(self) -> None:
        """Closes the hand-outs."""
        self._folders.close()
