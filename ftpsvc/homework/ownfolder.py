"""`/submissions` as one user sees it: the own versions, which nothing changes, and the way in of a hand-in under way.

/ID/0001/files/...        a version, with receipt.json and receipt.json.sig beside `files`
/ID/incoming/...          the files of the hand-in under way: only those of its list can be stored there
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Final, TypeAlias

from ftpsvc.digests import Bytes
from ftpsvc.exceptions import (
    DigestMismatch,
    FtpsvcError,
    HandInRefused,
    NotFound,
    PermissionDenied,
    StorageError,
)
from ftpsvc.homework.desk import INCOMING, Desk
from ftpsvc.homework.ownview import OwnView
from ftpsvc.homework.submissions import FILES, VERSIONS
from ftpsvc.paths import RemotePath
from ftpsvc.receipts.tree import File
from ftpsvc.storage.base import Begun, Entry, Reader, Storage, Upload
from ftpsvc.storage.local import LocalStorage

_ALGORITHM: Final = "sha256"


class OwnFolder(OwnView):
    """The hand-ins of one user. Thread-safe."""

    refusal = "what was handed in stays as it is; `ftpsvc submit` hands in another version"

    def __init__(self, desk: Desk, storage: Storage, user: str, created: int) -> None:
        """Shows what a user handed in.

        Args:
            desk: Knows what is under way.
            storage: All of `ROOT/submissions`; whoever opened it closes it.
            user: Whose.
            created: When the account was made, seconds since 1970 UTC: what is older is another user's of that name.
        """
        super().__init__(storage)
        self._desk = desk
        self._user = user
        self._created = created
        self._own = False

    def _check_own(self) -> None:
        """Hides all where an earlier user of the name handed in. Asked when something is first wanted, and once."""
        if not self._own:
            check_own(self._desk, self._user, self._created)
            self._own = True

    # ------------------------------------------------------------ where things are

    def _inner(self, path: RemotePath) -> RemotePath:
        self._check_own()
        name, *rest = path.parts
        # How far the disk knows a path that is not the user's, others decided: the time to fail would tell of them.
        if not self._desk.submissions.has(name, self._user) or (not rest and name not in self._names()):
            raise NotFound(str(path))
        own = (name, self._user)
        if rest[:1] == [INCOMING]:
            return RemotePath((*own, INCOMING, FILES, *rest[1:]))
        return RemotePath((*own, VERSIONS, *rest))

    def _names(self) -> list[str]:
        self._check_own()
        submissions = self._desk.submissions
        return [name for name in submissions.assignments() if submissions.numbers(name, self._user)]

    # ------------------------------------------------------------ what comes in

    def _due(self, path: RemotePath, size: int, algorithm: str) -> tuple[str, File]:
        """Returns the assignment and the file of its hand-in under way that a path is."""
        parts = path.parts
        under = self._desk.under(parts[0], self._user) if _is_incoming(parts) else None
        if under is None:
            raise PermissionDenied(self.refusal, str(path))
        name = "/".join(parts[2:])
        for file in under.files:
            if file.path == name:
                break
        else:
            raise PermissionDenied("it is not in the list of this hand-in", str(path))
        if size != file.size or algorithm != _ALGORITHM:
            raise HandInRefused(
                f"{name} was listed with {file.size:,} bytes, and comes with a digest by {_ALGORITHM}"
            )
        return parts[0], file

    def create(
        self,
        path: RemotePath,
        size: int,
        *,
        algorithm: str,
        modified: int | None = None,
        mode: int | None = None,
        clobber: bool = True,
        owner: str = "",
    ) -> Upload:
        name, file = self._due(path, size, algorithm)
        with self._told(path):
            upload = self._storage.create(
                self._inner(path), size, algorithm=algorithm, modified=modified, mode=mode, clobber=clobber,
                owner=self._user,
            )  # fmt: skip
        return _Arriving(upload, path, name, file, self._still)

    def begin(
        self,
        path: RemotePath,
        size: int,
        *,
        algorithm: str,
        owner: str,
        evict: Callable[[], None],
        restart: bool = False,
        clobber: bool = True,
        look: Callable[[], None] | None = None,
    ) -> Begun:
        name, file = self._due(path, size, algorithm)
        with self._told(path):
            begun = self._storage.begin(
                self._inner(path), size, algorithm=algorithm, owner=self._user, evict=evict, restart=restart,
                clobber=clobber, look=look,
            )  # fmt: skip
        return _ArrivingBegun(begun, path, name, file, self._still)

    @contextmanager
    def _still(self, name: str) -> Iterator[Callable[[_Arriving, str | None], None]]:
        """Keeps a hand-in as it is while files of it become visible, and gives what checks such a file."""
        with self._desk.door(name, self._user):
            under = self._desk.under(name, self._user)
            files = frozenset(() if under is None else under.files)

            def check(one: _Arriving, digest: str | None) -> None:
                if one.file not in files:
                    raise PermissionDenied("this hand-in is over, or has another list by now", str(one.path))
                if digest != one.file.sha256:
                    raise DigestMismatch(str(one.path), _ALGORITHM, one.file.sha256, digest or "")

            yield check

    def commit_all(self, uploads: Sequence[tuple[Upload, str]]) -> Sequence[Entry | FtpsvcError]:
        ours = [(one, digest) for one, digest in uploads if isinstance(one, _Arriving)]
        if len(ours) < len(uploads) or len({one.assignment for one, _ in ours}) != 1:
            return super().commit_all(uploads)
        found: dict[int, Entry | FtpsvcError] = {}
        with self._still(ours[0][0].assignment) as check:
            for number, (one, digest) in enumerate(ours):
                try:
                    check(one, digest)
                except FtpsvcError as error:
                    one.abort()
                    found[number] = error
            good = [number for number in range(len(ours)) if number not in found]
            outcomes = self._storage.commit_all([(ours[number][0].inner, ours[number][1]) for number in good])
        for number, outcome in zip(good, outcomes, strict=True):
            if isinstance(outcome, StorageError | PermissionDenied) and outcome.path:
                outcome.path = str(ours[number][0].path)
            found[number] = outcome
        return [found[number] for number in range(len(ours))]


def check_own(desk: Desk, user: str, created: int) -> None:
    """Refuses homework to a user whose name was another's who handed something in: that stays the other's.

    Raises:
        PermissionDenied: There is such.
    """
    if desk.has_others(user, created):
        raise PermissionDenied(
            "a user of this name handed in before this account was made: ask the operator for another name"
        )


def forget_arriving(storage: LocalStorage, assignment: str, user: str, file: File) -> None:
    """Drops what is held of a file of a hand-in that is over.

    Else each list that is given up would leave up to all of a hand-in on the disk, which no quota counts.

    Args:
        storage: All of `ROOT/submissions`.
        assignment: Of the hand-in.
        user: Whose it was.
        file: What was to arrive.
    """
    storage.forget(RemotePath((assignment, user, INCOMING, FILES, *file.path.split("/"))), user)


def _is_incoming(parts: tuple[str, ...]) -> bool:
    return len(parts) > 2 and parts[1] == INCOMING


_Still: TypeAlias = Callable[[str], AbstractContextManager[Callable[["_Arriving", str | None], None]]]


class _Arriving(Upload):
    """A file of a hand-in: visible only if it is the one of the list."""

    def __init__(self, upload: Upload, path: RemotePath, assignment: str, file: File, still: _Still) -> None:
        self.path = path
        self.assignment = assignment
        self.file = file
        self.inner = upload
        self._still = still

    @property
    def written(self) -> int:  # type: ignore[override]  # read only, as everybody but the upload itself treats it
        return self.inner.written

    def write(self, data: Bytes) -> None:
        self.inner.write(data)

    def place(self, data: Bytes, offset: int) -> None:
        self.inner.place(data, offset)

    def take(self, count: int, source: Reader | None, scratch: memoryview) -> None:
        self.inner.take(count, source, scratch)

    def commit(self, digest: str | None) -> Entry:
        try:
            with self._still(self.assignment) as check:
                check(self, digest)
                return self.inner.commit(digest)
        except FtpsvcError as error:
            self.inner.abort()
            if isinstance(error, StorageError | PermissionDenied) and error.path:
                error.path = str(self.path)
            raise

    def abort(self) -> None:
        self.inner.abort()


class _ArrivingBegun(_Arriving, Begun):
    """The same of one that can be resumed."""

    def __init__(self, begun: Begun, path: RemotePath, assignment: str, file: File, still: _Still) -> None:
        super().__init__(begun, path, assignment, file, still)
        self._begun = begun

    def digest(self) -> str:
        return self._begun.digest()

    def describe(self, *, modified: int | None, mode: int | None, clobber: bool) -> None:
        self._begun.describe(modified=modified, mode=mode, clobber=clobber)

    def suspend(self, size: int | None = None) -> None:
        try:
            with self._still(self.assignment) as check:
                check(self, self.file.sha256)
                self._begun.suspend(size)
        except FtpsvcError:  # another list has taken the place of its own: nobody will go on with it
            self._begun.abort()
