"""Homework as an extension of the daemon: what it serves, and what users see of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from ftpsvc.accounts.model import Role
from ftpsvc.homework import placing
from ftpsvc.homework.catalog import Catalog
from ftpsvc.homework.desk import Desk
from ftpsvc.homework.feedback import FOLDER as FEEDBACK
from ftpsvc.homework.feedback import Feedback
from ftpsvc.homework.handouts import Folders, Handouts
from ftpsvc.homework.ownfolder import OwnFolder, check_own, forget_arriving
from ftpsvc.homework.service import Service
from ftpsvc.homework.submissions import FOLDER as SUBMISSIONS
from ftpsvc.paths import RemotePath
from ftpsvc.server.extension import Grounds
from ftpsvc.server.login import HANDOUTS
from ftpsvc.server.namespace import Mount
from ftpsvc.server.service import Operation
from ftpsvc.server.session import Session
from ftpsvc.storage.base import Durability
from ftpsvc.storage.local import LocalStorage


class Homework:
    """The extension (`ftpsvc.server.extension.Extension`).

    Attributes:
        features: What the greeting names.
        operations: Handlers by op.
    """

    features: Final[Sequence[str]] = ("assignments", "submit-begin", "submit-commit")

    def __init__(self) -> None:
        self._service = Service()
        self.operations: Mapping[str, Operation] = self._service.operations
        self._folders = Folders()
        self._desk: Desk | None = None
        self._submissions: LocalStorage | None = None
        self._handouts: dict[Role, Handouts] = {}

    def start(self, grounds: Grounds) -> None:
        """Opens what was handed in; assignments are read when they are asked for.

        Raises:
            ConfigError: The assignments, the submissions or the journal of receipts cannot be opened.
        """
        placing.heal(grounds.root)
        catalog = Catalog(grounds.root)
        folder = grounds.root / SUBMISSIONS
        folder.mkdir(mode=0o700, exist_ok=True)
        durability = grounds.settings.durability
        storage = LocalStorage(folder, durability=durability, syncers=grounds.syncers)
        try:
            # Its lock comes first: the desk relies on being the only one.
            self._desk = Desk(grounds.root, catalog, durable=durability is Durability.FULL)
        except BaseException:
            storage.close()
            raise
        self._submissions = storage
        self._desk.on_dropped(lambda *what: forget_arriving(storage, *what))
        self._service.open(self._desk)
        for role in Role:
            self._handouts[role] = Handouts(
                catalog, grounds.handouts, self._folders, early=role is not Role.STUDENT
            )

    def mounts(self, session: Session) -> Iterable[Mount]:
        """Returns the hand-outs, assignments' among them, what the user handed in, and the feedback on it."""
        if session.identity is None or self._desk is None or self._submissions is None:
            return ()
        user = session.identity.user
        desk = self._desk
        own = OwnFolder(self._desk, self._submissions, user.name, user.created)
        return (
            Mount(HANDOUTS, self._handouts[user.role], writable=user.role is not Role.STUDENT),
            # Writable for what is handed in; the folder itself refuses everything else.
            Mount(RemotePath((SUBMISSIONS,)), own, writable=True),
            Mount(
                RemotePath((FEEDBACK,)),
                Feedback(
                    desk.submissions,
                    self._submissions,
                    user.name,
                    lambda: check_own(desk, user.name, user.created),
                ),
                writable=False,
            ),
        )

    def expire(self, seconds: float) -> int:
        """Drops what is held of hand-ins; what was begun under `/handouts` is looked after by the daemon."""
        return 0 if self._submissions is None else self._submissions.expire(seconds)

    def stop(self) -> None:
        """Closes the hand-outs, and what was handed in."""
        self._folders.close()
        if self._submissions is not None:
            self._submissions.close()
