"""Where hand-ins are taken: begun with a list of files, filled, and committed as one version, or refused.

    ROOT/submissions/ID/USER/incoming.json    the list of a hand-in under way, and when it was begun
    ROOT/submissions/ID/USER/incoming/files/  what of it has arrived; every file there is the one of the list

The order of a commit, so that kill -9 leaves no version or a whole one: hash what is there; sync; write receipt and
signature beside it; sync; rename `incoming` to `versions/NNNN`; sync; append to the chain; sync; answer. A version that
a crash left without its link in the chain gets it at the next start (`Desk.__init__`): its receipt names the place.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import shutil
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final, TypeAlias

from ftpsvc.exceptions import BadReceipt, FtpsvcError, HandInRefused, InvalidRequest, Unavailable
from ftpsvc.homework import door, feedback
from ftpsvc.homework.catalog import Catalog
from ftpsvc.homework.journal import Journal
from ftpsvc.homework.lateness import HandIn, Lateness, Stamps, Standing, Terms, moment, standing
from ftpsvc.homework.model import Assignment
from ftpsvc.homework.submissions import FILES, RECEIPT, SIGNATURE, VERSIONS, Submissions, Version
from ftpsvc.receipts import receipt as papers
from ftpsvc.receipts.receipt import Listed, Receipt, Refusal
from ftpsvc.receipts.tree import File, tree_sha256

INCOMING: Final = "incoming"
LIST: Final = "incoming.json"

_DOORS: Final = 64
_CLOCK_SET_BACK: Final = timedelta(minutes=5)
"""How far receipts hold on to the time of the one before them when the clock is behind it."""
_PIECE: Final = 1 << 20

_History: TypeAlias = tuple[list[HandIn], dict[str, Terms]]
"""What a user handed in, and what each assignment means for them."""

_log = logging.getLogger("ftpsvc.homework.desk")


@dataclass(frozen=True, slots=True)
class Under:
    """A hand-in under way.

    Attributes:
        begun: When this list of files was first accepted.
        files: What has to arrive.
        dropped: What was offered and is not wanted.
        tree_sha256: Of the files.
    """

    begun: datetime
    files: tuple[File, ...]
    dropped: tuple[str, ...]
    tree_sha256: str


@dataclass(frozen=True, slots=True)
class Begun:
    """What somebody is told who begins a hand-in.

    Attributes:
        under: The hand-in.
        held: Paths of the files that are here already.
        number: What the version would be called.
        lateness: If it were complete now.
        late_days_left: Of the pool, for this hand-in: those are free again that the version took which counts now.
        terms: What the assignment means for this user.
    """

    under: Under
    held: frozenset[str]
    number: int
    lateness: Lateness
    late_days_left: int
    terms: Terms


class Desk:
    """Takes hand-ins. Thread-safe. One process at a time has one.

    Attributes:
        submissions: What was handed in.
        catalog: The assignments.
        journal: The chain of receipts.
    """

    def __init__(
        self,
        root: Path,
        catalog: Catalog,
        *,
        durable: bool = True,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """Opens the desk, and ends what a crash left undone.

        Args:
            root: The server's root, of which the caller has the lock.
            catalog: Its assignments.
            durable: Whether an answer waits for the disk.
            now: The clock.

        Raises:
            ConfigError: The journal cannot be opened.
        """
        self.submissions = Submissions(root)
        self.catalog = catalog
        self.journal = Journal(root, durable=durable)
        self._durable = durable
        self._now = now
        self._chain = threading.Lock()
        self._doors = tuple(threading.RLock() for _ in range(_DOORS))
        self._commit_hooks: list[Callable[[Version], None]] = []
        self._drop_hooks: list[Callable[[str, str, File], None]] = []
        self._mend()

    def on_version(self, hook: Callable[[Version], None]) -> None:
        """Has `hook` called with each new version, after it is kept for good. What it raises is logged."""
        self._commit_hooks.append(hook)

    def on_dropped(self, hook: Callable[[str, str, File], None]) -> None:
        """Has `hook` called with assignment, user and file of what another list took the place of."""
        self._drop_hooks.append(hook)

    def door(self, assignment: str, user: str) -> threading.RLock:
        """Returns the lock under which the hand-in of a user changes."""
        return self._doors[hash((assignment, user)) % _DOORS]

    # ------------------------------------------------------------ begin

    def begin(self, name: str, user: str, offered: Sequence[File]) -> Begun:
        """Accepts a list of files, or refuses it with all that is wrong.

        The same list as before goes on: it keeps its `begun`, and what has arrived.

        Raises:
            NoSuchAssignment, AssignmentFaults: There is no such assignment that can be used.
            HandInRefused: It costs nothing, and carries a signed note.
            Unavailable: The disk failed.
        """
        assignment = self.catalog.get(name)
        looked = door.look(assignment, offered)
        now = self._now()
        with self.door(name, user):
            tree = tree_sha256(looked.kept)
            before = self.under(name, user)
            goes_on = before is not None and before.tree_sha256 == tree
            # What was begun by a clock that was ahead was not begun later than now.
            begun = min(before.begun, now) if before is not None and goes_on else now
            terms = self.catalog.terms(assignment, user)
            faults = self._closed(assignment, terms, Stamps(begun, max(begun, now))) + looked.faults
            number = self._next(name, user)
            if number > door.MAX_VERSIONS:
                faults.append(f"there are {door.MAX_VERSIONS} versions of it already, and no more are kept")
            if faults:
                raise self.refusal(assignment, user, faults, tree if looked.kept else None)
            under = Under(begun, tuple(looked.kept), tuple(looked.dropped), tree)
            try:
                held = self._keep(name, user, before, under)
            except OSError as error:
                raise _failed(error) from error
            found, left = self._lateness(assignment, user, number, Stamps(begun, max(begun, now)))
            return Begun(under, held, number, found, left, terms)

    def under(self, name: str, user: str) -> Under | None:
        """Returns the hand-in of a user that is under way, or None."""
        try:
            folder = self.submissions.of(name, user)
            fields = json.loads((folder / LIST).read_bytes())
            if not (folder / INCOMING).is_dir():
                return None  # it has become a version
            return Under(
                datetime.fromisoformat(fields["begun"]),
                tuple(File(*values) for values in fields["files"]),
                tuple(fields["dropped"]),
                fields["tree_sha256"],
            )
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def _keep(self, name: str, user: str, before: Under | None, under: Under) -> frozenset[str]:
        """Makes room for a hand-in; of the one before, what is the same stays. Returns what is there already."""
        folder = self.submissions.of(name, user)
        files = folder / INCOMING / FILES
        (folder / VERSIONS).mkdir(mode=0o700, parents=True, exist_ok=True)
        _make_writable(folder / INCOMING)  # a commit that was cut off may have begun to lock it
        same = frozenset(before.files) & frozenset(under.files) if before is not None else frozenset()
        if before is None or (before.tree_sha256, before.begun) != (under.tree_sha256, under.begun):
            # First what is not of the new list, then the list: every file that is here is always the list's.
            _clear(folder / INCOMING, {file.path for file in same})
            files.mkdir(mode=0o700, parents=True, exist_ok=True)
            fields = {
                "begun": papers.moment(under.begun), "files": under.files, "dropped": under.dropped,
                "tree_sha256": under.tree_sha256,
            }  # fmt: skip
            self._write(folder / LIST, json.dumps(fields).encode())
            self._sync(folder)
            for file in frozenset(before.files if before is not None else ()) - same:
                for hook in self._drop_hooks:
                    hook(name, user, file)
        for parent in {(files / file.path).parent for file in under.files}:
            parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        return frozenset(file.path for file in same if _size(files / file.path) == file.size)

    # ------------------------------------------------------------ commit

    def commit(self, name: str, user: str, tree: str, begun: datetime, *, late: bool) -> Version:
        """Makes the hand-in under way a version. When it returns, version and receipt are kept for good.

        Asked again for a hand-in that has become a version, it returns that version.

        Args:
            name: The assignment.
            user: Whose it is.
            tree: The tree digest that the client computed.
            begun: What `begin` said.
            late: Whether the user said yes to being late.

        Raises:
            InvalidRequest: There is no such hand-in under way.
            HandInRefused: A file is missing, it is closed, or late without a yes. What has arrived stays.
            NoSuchAssignment, AssignmentFaults: There is no such assignment that can be used.
            Unavailable: The disk failed. There may be a version; asking again tells.
        """
        assignment = self.catalog.get(name)
        with self.door(name, user):
            under = self.under(name, user)
            if under is None or (under.tree_sha256, under.begun) != (tree, begun):
                done = self._done(name, user, tree, begun)
                if done is None:
                    raise InvalidRequest("submit-commit: no such hand-in is under way; begin it anew")
                return done
            try:
                self._check(assignment, user, under)
                version = self._make(assignment, user, under, late=late)
            except OSError as error:
                raise _failed(error) from error
        for hook in self._commit_hooks:
            try:
                hook(version)
            except Exception:  # noqa: BLE001 -- the version is kept, whatever becomes of it next
                _log.exception("what follows a hand-in failed")
        return version

    def _done(self, name: str, user: str, tree: str, begun: datetime) -> Version | None:
        """Returns the newest version, if it is the hand-in that is asked for."""
        numbers = self.submissions.numbers(name, user)
        if not numbers:
            return None
        newest = self.submissions.version(name, user, numbers[-1])
        return newest if (newest.tree_sha256, newest.stamps.begun) == (tree, begun) else None

    def _check(self, assignment: Assignment, user: str, under: Under) -> None:
        """Reads what has arrived, once more: what is signed is what lies there."""
        files = self.submissions.of(assignment.id, user) / INCOMING / FILES
        faults = []
        for file in under.files:
            found = sha256_of(files / file.path)
            if found != file.sha256:
                faults.append(
                    f"{file.path} {'has not arrived' if found is None else 'was damaged on the server'}"
                )
                if found is not None:
                    (files / file.path).unlink()
        if faults:
            raise self.refusal(assignment, user, faults, under.tree_sha256)

    def _make(self, assignment: Assignment, user: str, under: Under, *, late: bool) -> Version:
        name, folder = assignment.id, self.submissions.of(assignment.id, user)
        incoming = folder / INCOMING
        terms, number = self.catalog.terms(assignment, user), self._next(name, user)
        # All others wait for the chain: what takes long with many versions or files comes before.
        before = self._history(user)
        _make_read_only(incoming / FILES)
        self._sync_tree(incoming / FILES)
        with self._chain:
            now = self._not_back(under.begun)
            stamps = Stamps(under.begun, now)
            found, _ = self._lateness(assignment, user, number, stamps, before)
            faults = self._closed(assignment, terms, stamps)
            if not found.on_time and not late:
                faults.append("it is late, and nobody said yes to that")
            if faults:
                raise self.refusal(assignment, user, faults, under.tree_sha256)
            paper = Receipt(
                course=assignment.course, assignment=name, user=user, version=number,
                begun=papers.moment(under.begun), received=papers.moment(now), due=papers.moment(terms.dates.due),
                late_seconds=found.seconds, files=[Listed(**file._asdict()) for file in under.files],
                dropped=list(under.dropped), tree_sha256=under.tree_sha256, assignment_sha256=assignment.sha256,
                seq=self.journal.head.seq + 1, prev=self.journal.head.digest,
                key=self.journal.signer.public.fingerprint,
            )  # fmt: skip
            text = paper.encode()
            signature = self.journal.signer.sign(text, Receipt.NAMESPACE)
            self._write(incoming / RECEIPT, text, 0o444)
            self._write(incoming / SIGNATURE, signature.encode(), 0o444)
            self._sync(incoming)
            target = folder / VERSIONS / f"{number:04}"
            incoming.rename(target)
            self._sync(folder / VERSIONS)
            self._sync(folder)
            self.journal.append(text, signature)
        with suppress(OSError):  # its own mode is no promise: nobody but the server can reach it
            target.chmod(0o555)
            (folder / LIST).unlink()
        return self.submissions.version(name, user, number)

    def _not_back(self, begun: datetime) -> datetime:
        """Returns the time of a receipt: now, but not before that of the receipt before it, nor before `begun`.

        So a clock that is set back a little makes nothing look back-dated. One that was wrong by more must not make
        everybody late for as long as it was ahead: then it is the audit that tells.
        """
        now = max(self._now(), begun)
        if not self.journal.received:
            return now
        newest = datetime.fromisoformat(self.journal.received)
        if newest - now > _CLOCK_SET_BACK:
            _log.error("the clock is %s behind the newest receipt: which of the two is right?", newest - now)
            return now
        return max(now, newest)

    # ------------------------------------------------------------ refusals and rules

    def refusal(
        self, assignment: Assignment, user: str, faults: Sequence[str], tree: str | None
    ) -> HandInRefused:
        """Returns the error that refuses a hand-in, with a note that is signed and no receipt."""
        key = self.journal.signer.public.fingerprint
        note = Refusal(
            course=assignment.course, assignment=assignment.id, user=user, key=key,
            refused=papers.moment(self._now()), reasons=list(faults), tree_sha256=tree,
        ).encode()  # fmt: skip
        signature = self.journal.signer.sign(note, Refusal.NAMESPACE)
        return HandInRefused("; ".join(faults), note.decode(), signature)

    def _closed(self, assignment: Assignment, terms: Terms, stamps: Stamps) -> list[str]:
        why = door.shut(terms.dates, moment(stamps, assignment.late))
        return [] if why is None else [why]

    def _next(self, name: str, user: str) -> int:
        numbers = self.submissions.numbers(name, user)
        return numbers[-1] + 1 if numbers else 1

    def _lateness(
        self, assignment: Assignment, user: str, number: int, stamps: Stamps, before: _History | None = None
    ) -> tuple[Lateness, int]:
        """Returns how late a version would be, and the late days that there are for it."""
        hand_ins, terms = before or self._history(user)
        terms[assignment.id] = self.catalog.terms(assignment, user)
        pool = self.catalog.course().late_days
        stands = standing(hand_ins, terms, pool)
        now_counts = stands.penalty(assignment.id)
        left = stands.late_days_left + (now_counts.late_days_used if now_counts is not None else 0)
        new = HandIn(assignment.id, number, stamps)
        return standing([*hand_ins, new], terms, pool).lateness[assignment.id, number], left

    def standing(self, user: str) -> Standing:
        """Returns how a user stands, as far as it does not depend on points that are not published."""
        hand_ins, terms = self._history(user)
        return standing(hand_ins, terms, self.catalog.course().late_days)

    def has_others(self, user: str, created: int) -> bool:
        """Returns whether something was handed in under a user's name before there was this user.

        Args:
            user: The name.
            created: When the account was made, seconds since 1970 UTC.
        """
        since = datetime.fromtimestamp(created, UTC)
        for name in self.submissions.assignments():
            under = self.under(name, user)
            if under is not None and under.begun < since:
                return True
            numbers = self.submissions.numbers(name, user)
            with suppress(BadReceipt):
                if numbers and self.submissions.version(name, user, numbers[0]).stamps.begun < since:
                    return True
        return False

    def _history(self, user: str) -> _History:
        """Returns what a user handed in, and what each assignment means for them; unusable ones are left out."""
        hand_ins: list[HandIn] = []
        terms: dict[str, Terms] = {}
        for assignment in self.catalog.all()[0]:
            with suppress(BadReceipt):
                versions = self.submissions.versions(assignment.id, user)
                terms[assignment.id] = self.catalog.terms(assignment, user)
                told = feedback.read(self.submissions.of(assignment.id, user))
                # Of points a student knows what was published, and with it which one is best; of the others nothing.
                best = told.version if told is not None and terms[assignment.id].count == "best" else None
                hand_ins += [version.hand_in(1.0 if version.number == best else None) for version in versions]
        return hand_ins, terms

    # ------------------------------------------------------------ after a crash

    def _mend(self) -> None:
        """Gives a version its link in the chain that a crash took: there can be one, since links are made in turn."""
        for name in self.submissions.assignments():
            for user in self.submissions.users(name):
                number = self.submissions.numbers(name, user)[-1]
                if (name, user, number) not in self.journal.known:
                    self._mend_version(self.submissions.of(name, user) / VERSIONS / f"{number:04}")

    def _mend_version(self, folder: Path) -> None:
        try:
            paper, signature = (folder / RECEIPT).read_bytes(), (folder / SIGNATURE).read_text("utf-8")
            receipt, key = Receipt.verified(paper, signature)
            head = self.journal.head
            if key == self.journal.signer.public and (receipt.seq, receipt.prev) == (
                head.seq + 1,
                head.digest,
            ):
                self.journal.append(paper, signature)
                _log.warning(
                    "the receipt %d of a version that a crash cut off is in the chain now", receipt.seq
                )
                return
        except (OSError, UnicodeDecodeError, FtpsvcError):
            pass
        _log.error("a version is not in the chain of receipts: ftpsvc-server receipts audit says which")

    # ------------------------------------------------------------ the disk

    def _write(self, path: Path, data: bytes, mode: int = 0o600) -> None:
        """Writes a file whole or not at all."""
        temporary = path.with_name(path.name + ".new")
        temporary.unlink(missing_ok=True)
        with open(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(data)
            os.fchmod(file.fileno(), mode)
            file.flush()
            if self._durable:
                os.fsync(file.fileno())
        temporary.rename(path)

    def _sync(self, folder: Path) -> None:
        if not self._durable:
            return
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def _sync_tree(self, folder: Path) -> None:
        if self._durable:
            for where, _, _ in os.walk(folder, topdown=False):
                self._sync(Path(where))


def _make_read_only(folder: Path) -> None:
    for where, _, names in os.walk(folder, topdown=False):
        for name in names:
            os.chmod(os.path.join(where, name), 0o444)
        os.chmod(where, 0o555)  # noqa: S103 -- nobody may write, and 0700 above keeps others out


def _make_writable(folder: Path) -> None:
    for where, names, _ in os.walk(folder):
        for name in names:
            os.chmod(os.path.join(where, name), 0o700)


def _clear(incoming: Path, keep: set[str]) -> None:
    """Removes everything of a hand-in but the files that the next one has too."""
    if not incoming.is_dir():
        return
    files = incoming / FILES
    if not keep:
        shutil.rmtree(incoming)
        return
    for where, _, names in os.walk(files, topdown=False):
        for name in names:
            path = Path(where, name)
            if path.relative_to(files).as_posix() not in keep:
                path.unlink()
        if Path(where) != files:
            with suppress(OSError):
                os.rmdir(where)


def _size(path: Path) -> int | None:
    try:
        return path.lstat().st_size
    except OSError:
        return None


def sha256_of(path: Path) -> str | None:
    """Returns the SHA-256 of a file, or None where there is none. Raises OSError where it cannot be read."""
    hasher = hashlib.sha256()
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
    except FileNotFoundError:
        return None
    with open(descriptor, "rb", buffering=0) as file:
        while piece := file.read(_PIECE):
            hasher.update(piece)
    return hasher.hexdigest()


def _failed(error: OSError) -> Unavailable:
    return Unavailable("", f"the hand-in could not be stored: {error.strerror or 'the disk failed'}")
