"""The calls that move whole trees: stored, fetched, or made the same on both sides."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Literal, Protocol, TypeVar

from ftpsvc.exceptions import AlreadyExists, FtpsvcError, InvalidRequest, NotADirectory, NotFound
from ftpsvc.paths import is_addressable
from ftpsvc_client import listing
from ftpsvc_client.conversation import Conversation
from ftpsvc_client.link import Link
from ftpsvc_client.results import Action, RemoteEntry, SyncReport, TreeReport
from ftpsvc_client.watching import Progress, Unwatched

if TYPE_CHECKING:
    from ftpsvc.confine import Directory
    from ftpsvc_client.download_tree import TreeDownload, Wishes
    from ftpsvc_client.local_tree import Ignored, Links
    from ftpsvc_client.sync_up import Compare, Piece, Upload
    from ftpsvc_client.upload_tree import TreeUpload

_PAGE_PIECE = 64
"""Entries of a listing that one of several connections takes at once."""


class _Tree(Protocol):
    report: TreeReport


_Piece = TypeVar("_Piece")
_TreeT = TypeVar("_TreeT", bound=_Tree)


class TreeCalls(Conversation):
    """Uploads and downloads of directories. What they need is imported by the first of them."""

    def put_tree(
        self,
        local: str | os.PathLike[str],
        remote: str,
        *,
        clobber: bool = True,
        resume: bool = True,
        links: Links = "skip",
        delta: bool = True,
        connections: int = 1,
        progress: Progress | None = None,
    ) -> TreeReport:
        """Stores what is in a local directory in the remote directory `remote`, which is made if it is missing.

        Args:
            local: The directory.
            remote: What it becomes (not: what it is put into).
            clobber: Whether files may be replaced.
            resume: Whether files that are there already with the same size and time are left alone, so that a tree
                that was interrupted goes on where it was; False sends everything.
            links: What becomes of symbolic links: `skip` leaves them out, with a note; `copy` sends what they lead to.
            delta: Whether large files may be sent as what differs from the versions that are there (with `resume` only:
                else nobody looks what is there).
            connections: How many to use at once.
            progress: Who is told how it goes on.

        Returns:
            What became of it. Names that could not be transferred are in `problems`; the rest was.

        Raises:
            NotFound: `local` is missing. NotADirectory: One of the two is something else.
            FtpsvcError: the connection's end.
        """
        from ftpsvc_client.sync_up import Upload

        source = os.fspath(local)
        self._check_upload(source, clobber=clobber)
        there, exists = self._there(remote) if resume else ({}, False)
        compare: Compare = "times" if resume else "nothing"
        if not exists:
            self._make_target(remote)
        plan = Upload(source, remote, there, exists, self.algorithm, compare, links=links)
        if progress is not None:  # a total that is known from the start is worth a second walk
            _expect(plan, progress)
        report = self._upload(
            plan.pieces(),
            clobber=clobber,
            resume=resume,
            delta=delta,
            connections=connections,
            progress=progress,
        )
        report.add(plan.listed)
        report.add(plan.report)
        return report

    def get_tree(
        self,
        remote: str,
        local: str | os.PathLike[str],
        *,
        overwrite: bool = False,
        resume: bool = True,
        connections: int = 1,
        progress: Progress | None = None,
    ) -> TreeReport:
        """Fetches what is in a remote directory into the local directory `local`, which is made if it is missing.

        Nothing is written outside `local`, whatever names the server comes up with, and no link is followed there.

        Args:
            remote: The directory.
            local: What it becomes (not: what it is put into).
            overwrite: Whether files with another content may be replaced.
            resume: Whether files that are here already with the same size and time count as present, and parts of
                others are gone on with; False compares by digest, or with `overwrite` fetches everything.
            connections: How many to use at once.
            progress: Who is told how it goes on.

        Returns:
            What became of it. Names that could not be transferred are in `problems`; the rest was.

        Raises:
            NotFound: `remote` is missing. NotADirectory: One of the two is something else.
            FtpsvcError: the connection's end, or a full disk.
        """
        from ftpsvc_client.download_tree import Wishes

        self._check_download(remote)
        target = os.fspath(local)
        with _target_of(target, make=True) as root:
            return self._download(
                remote, target, Wishes(self.algorithm, overwrite, resume, quick=resume),
                lambda download, entry: download.add(entry),
                connections=connections, progress=progress, root=root,
            )  # fmt: skip

    def sync(
        self,
        local: str | os.PathLike[str],
        remote: str,
        *,
        direction: Literal["up", "down"] = "up",
        checksum: bool = False,
        delete: bool = False,
        dry_run: bool = False,
        exclude: Iterable[str] = (),
        links: Links = "skip",
        delta: bool = True,
        connections: int = 1,
        progress: Progress | None = None,
        told: Callable[[Action], object] | None = None,
    ) -> SyncReport:
        """Makes one directory like another: transfers what differs, and nothing else.

        Args:
            local: The local directory.
            remote: The remote one.
            direction: `up`: the remote one becomes like the local one; `down`: the other way round. The target is made
                if it is missing.
            checksum: Whether the digest shows that two files are the same; False: size and time.
            delete: Whether what the source does not have is removed from the target, at the end. Nothing is when the
                source could not be listed whole: `kept` says so then.
            dry_run: Whether nothing is to be changed, only `told` what would be.
            exclude: Patterns as in a .gitignore file: what they match is neither transferred nor removed.
            links: As for `put_tree`; links on the server are always left out.
            delta: As for `put_tree`.
            connections: How many to use at once.
            progress: Who is told how it goes on.
            told: Is told of each action, before it is done.

        Returns:
            What became of it. Names that could not be transferred are in `problems`; the rest was.

        Raises:
            NotFound: The source is missing. NotADirectory: One of the two is something else.
            FtpsvcError: the connection's end, or a full disk.
        """
        patterns = [*exclude]
        ignored: Ignored | None = None
        if patterns:
            from ftpsvc_client.filters import Filter

            ignored = Filter(patterns).ignores
        act = told or _nobody
        if direction == "up":
            return self._sync_up(
                os.fspath(local),
                remote,
                checksum,
                delete,
                dry_run,
                ignored,
                links,
                delta,
                connections,
                progress,
                act,
            )
        return self._sync_down(
            remote, os.fspath(local), checksum, delete, dry_run, ignored, connections, progress, act
        )

    # ------------------------------------------------------------ up

    def _check_upload(self, local: str, *, clobber: bool) -> None:
        for feature in ("mkdir",) if clobber else ("mkdir", "no-clobber"):
            if feature not in self.greeting.features:
                raise InvalidRequest(
                    f"this server does not offer {feature}, so it cannot take a tree like this"
                )
        if not os.path.isdir(local):
            from ftpsvc_client.local import missing

            raise NotADirectory(local) if os.path.lexists(local) else missing(local)

    def _there(self, remote: str, *, digests: bool = False) -> tuple[dict[str, RemoteEntry], bool]:
        """Returns what is beneath a remote directory, by relative path, and whether there is such a one."""
        pages = listing.Pages(
            remote, recursive=True, digests=digests, algorithm=self.algorithm, versions=False
        )
        there: dict[str, RemoteEntry] = {}
        try:
            if not self._again(lambda link: listing.is_directory(link, remote)):
                return {}, False
            while not pages.done:
                for entry in self._again(pages.next_page):
                    # A name that is none could lead out of the target.
                    if entry.note is None and all(map(is_addressable, entry.path.split("/"))):
                        there[entry.path] = entry
        except (NotFound, NotADirectory):
            return {}, False
        return there, True

    def _make_target(self, remote: str) -> None:
        """Makes the target of an upload before anything else: without it, every name in the tree would be refused.

        Raises:
            NotADirectory: Something else is there. FtpsvcError: another refusal, or the connection's end.
        """
        from ftpsvc.protocol.headers import Made, Mkdir

        try:
            self._again(lambda link: link.call(Mkdir(path=remote, parents=True), Made))
        except AlreadyExists:
            raise NotADirectory(remote) from None

    def _check_free(self, remote: str) -> None:
        """Raises NotADirectory where `remote`, which is no directory, is something else; else as `_make_target`."""
        with contextlib.suppress(NotFound):
            self._again(lambda link: listing.stat(link, remote))
            raise NotADirectory(remote)

    def _upload(
        self,
        pieces: Iterable[Piece],
        *,
        clobber: bool,
        connections: int,
        progress: Progress | None,
        resume: bool = True,
        delta: bool = True,
    ) -> TreeReport:
        """Does the work of an upload, on as many connections as are wanted."""
        watcher = progress or Unwatched()

        def do(upload: TreeUpload, piece: Piece) -> None:
            for target in piece.remove:
                upload.remove(target)
            if piece.remove and (piece.make or piece.files):
                upload.settle()  # what comes in its place cannot come before it has gone
            if piece.make or connections > 1:  # another connection may not have got there yet
                upload.add_folder(piece.path if piece.make else "", piece.target)
            for path, target, known in piece.files:
                upload.add_file(path, target, update=known and delta)

        @contextmanager
        def uploading(conversation: Conversation, watcher: Progress) -> Iterator[TreeUpload]:
            from ftpsvc_client.upload_tree import TreeUpload

            tries = conversation._tries()
            with conversation._turn() as link:
                upload = TreeUpload(
                    link, self.algorithm, clobber=clobber, resume=resume, watcher=watcher, moved=tries.progress,
                    mend=lambda error: conversation._mended(tries, error), wait=tries.wait,
                )  # fmt: skip
                yield upload
                upload.settle()

        removals = TreeReport()

        def unhindered() -> Iterator[Piece]:
            """Removes what stands in the way before anybody gets work that this would hinder or take along."""
            for piece in pieces:
                if piece.remove:
                    with uploading(self, Unwatched()) as upload:
                        do(upload, piece._replace(make=False, files=[]))
                    removals.add(upload.report)
                yield piece._replace(remove=[])

        with self._crew(connections) as twins:
            if twins:
                report = self._spread(unhindered(), twins, watcher, uploading, do)
                report.add(removals)
                return report
        with uploading(self, watcher) as upload:
            for piece in pieces:
                do(upload, piece)
        return upload.report

    def _sync_up(
        self,
        local: str,
        remote: str,
        checksum: bool,
        delete: bool,
        dry_run: bool,
        ignored: Ignored | None,
        links: Links,
        delta: bool,
        connections: int,
        progress: Progress | None,
        told: Callable[[Action], object],
    ) -> SyncReport:
        from ftpsvc_client.sync_up import Piece, Upload

        self._check_upload(local, clobber=True)
        there, exists = self._there(remote, digests=checksum)
        if not exists and dry_run:
            self._check_free(remote)
        elif not exists:
            self._make_target(remote)
        plan = Upload(
            local, remote, there, exists, self.algorithm, "digests" if checksum else "all", replace=delete,
            links=links, ignored=ignored, told=told,
        )  # fmt: skip
        report = SyncReport()
        if dry_run:
            for _ in plan.pieces():
                pass
        else:
            if progress is not None and not checksum:
                _expect(plan, progress)
            report.add(
                self._upload(
                    plan.pieces(), clobber=True, delta=delta, connections=connections, progress=progress
                )
            )
        report.add(plan.listed)
        report.add(plan.report)
        if delete and plan.listed.problems:
            report.kept = "the source could not be listed whole"
        elif delete:
            gone = [*plan.deletions()]
            for path in gone:
                told(Action("delete", path))
            if not dry_run and gone:
                top = remote.rstrip("/")
                removal = Piece([f"{top}/{path}" for path in gone], "", "", make=False, files=[])
                removed = self._upload([removal], clobber=True, connections=1, progress=None)
                report.add(removed)
                report.deleted -= len(removed.problems)
            report.deleted += len(gone)
        return report

    # ------------------------------------------------------------ down

    def _check_download(self, remote: str) -> None:
        def check(link: Link) -> None:
            if not listing.is_directory(link, remote):
                if listing.exists(link, remote):
                    raise NotADirectory(remote)
                raise NotFound(remote)

        self._again(check)

    def _download(
        self,
        remote: str,
        local: str,
        wishes: Wishes,
        take: Callable[[TreeDownload, RemoteEntry], object],
        *,
        connections: int,
        progress: Progress | None,
        root: Directory | None,
        digests: bool = False,
    ) -> TreeReport:
        """Fetches what `take` adds of the entries of a listing, on as many connections as are wanted.

        `take` runs in the calling thread; what it adds on several connections is fetched by the others.
        """
        from ftpsvc_client.download_tree import TreeDownload

        watcher = progress or Unwatched()

        @contextmanager
        def downloading(conversation: Conversation, watcher: Progress) -> Iterator[TreeDownload]:
            tries = conversation._tries()
            with (
                conversation._turn() as link,
                TreeDownload(
                    link, root, remote, local, wishes, watcher, lambda error: conversation._mended(tries, error),
                    tries.wait, tries.progress,
                ) as download,
            ):  # fmt: skip
                yield download
                download.settle()

        with downloading(self, watcher) as download, self._crew(connections) as twins:
            pages = download.pages(remote, digests=digests)

            def pieces() -> Iterator[list[tuple[RemoteEntry, tuple[str, ...]]]]:
                while not pages.done:
                    for entry in download.next_page(pages):
                        take(download, entry)
                        if len(download.jobs) >= _PAGE_PIECE:
                            yield download.take_jobs()
                yield download.take_jobs()

            def do(worker: TreeDownload, piece: list[tuple[RemoteEntry, tuple[str, ...]]]) -> None:
                for entry, names in piece:
                    worker.fetch(entry, names)

            if twins:
                download.collect_jobs()
                download.report.add(self._spread(pieces(), twins, watcher, downloading, do))
            else:
                for _ in pieces():
                    pass
        return download.report

    def _sync_down(
        self,
        remote: str,
        local: str,
        checksum: bool,
        delete: bool,
        dry_run: bool,
        ignored: Ignored | None,
        connections: int,
        progress: Progress | None,
        told: Callable[[Action], object],
    ) -> SyncReport:
        from ftpsvc_client.download_tree import Wishes
        from ftpsvc_client.results import Problem
        from ftpsvc_client.sync_down import Download

        self._check_download(remote)
        report = SyncReport()
        with _target_of(local, make=not dry_run) as root:
            plan = Download(root, local, self.algorithm, checksum, delete, dry_run, ignored, told)

            def take(download: TreeDownload, entry: RemoteEntry) -> None:
                if plan.is_left_out(entry):
                    return
                try:
                    names = download.names_of(entry)
                except FtpsvcError as error:
                    # What has no name here may be a directory that was not listed: nothing is known to be deleted.
                    plan.whole = False
                    plan.report.problems.append(Problem(entry.path, error))
                    return
                try:
                    if plan.is_needed(entry, names) and not dry_run:
                        download.add_named(entry, names)
                except FtpsvcError as error:
                    if download.lost(error):
                        raise
                    plan.report.problems.append(Problem(os.path.join(local, *names), error))

            wishes = Wishes(self.algorithm, overwrite=True, resume=True, quick=False)
            report.add(
                self._download(
                    remote, local, wishes, take, connections=1 if dry_run else connections, progress=progress,
                    digests=checksum, root=root,
                )
            )  # fmt: skip
            if delete and not plan.whole:
                report.kept = "the source could not be listed whole"
            elif delete:
                report.deleted = plan.delete()
            report.add(plan.report)
        return report

    # ------------------------------------------------------------ several connections

    @contextmanager
    def _crew(self, connections: int) -> Iterator[list[Conversation]]:
        """Opens connections that share a tree; none where one was asked for, or the server has room for no two more."""
        if connections == 1:
            yield []
            return
        from ftpsvc_client.several import crew

        with crew(self._twin, connections) as twins:
            yield twins if len(twins) > 1 else []

    def _spread(
        self,
        pieces: Iterable[_Piece],
        twins: list[Conversation],
        watcher: Progress,
        working: Callable[[Conversation, Progress], AbstractContextManager[_TreeT]],
        do: Callable[[_TreeT, _Piece], None],
    ) -> TreeReport:
        """Has pieces of a tree done on several connections, and returns what became of them together."""
        from ftpsvc_client.several import Together, spread

        together = Together(watcher)
        report = TreeReport(connections=len(twins))
        lock = threading.Lock()

        @contextmanager
        def worker(twin: Conversation) -> Iterator[Callable[[_Piece], None]]:
            with twin:
                with working(twin, together) as tree:
                    yield lambda piece: do(tree, piece)
                with lock:
                    report.add(tree.report)

        def stop() -> None:
            for twin in twins:
                twin._give_up()

        spread(pieces, [worker(twin) for twin in twins], stop)
        return report


@contextmanager
def _target_of(local: str, *, make: bool) -> Iterator[Directory | None]:
    """Opens the target of a download; None where it is missing and not to be made.

    Raises:
        FtpsvcError: It is no directory, or cannot be reached.
    """
    from ftpsvc.confine import open_root
    from ftpsvc_client.local import local_error

    try:
        if make:
            try:
                os.makedirs(local, exist_ok=True)
            except FileExistsError:
                raise NotADirectory(local) from None
        elif not _is_there(local):
            yield None
            return
        root = open_root(local)
    except OSError as error:
        raise local_error(error, local) from None
    with root:
        yield root


def _is_there(local: str) -> bool:
    """Returns whether there is anything at a local path. Raises OSError where nothing can be, as beneath a file."""
    try:
        os.lstat(local)
    except FileNotFoundError:
        return False
    return True


def _expect(plan: Upload, progress: Progress) -> None:
    """Tells how much an upload will be, by going through its plan without doing anything."""
    sizes: list[int] = []

    def count(action: Action) -> None:
        if action.what == "put":
            sizes.append(action.size or 0)

    rehearsal = replace(
        plan, there=dict(plan.there), told=count,
        listed=TreeReport(), report=TreeReport(), seen=set(),
    )  # fmt: skip
    for _ in rehearsal.pieces():
        pass
    progress.expect(len(sizes), sum(sizes))


def _nobody(action: Action) -> None:
    """Is told of actions where nobody wants to know."""
