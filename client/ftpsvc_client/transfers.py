"""The calls that move or check content: files and trees of them."""

from __future__ import annotations

import os
from typing import BinaryIO

from ftpsvc.exceptions import InvalidPath
from ftpsvc.protocol import headers
from ftpsvc.protocol.connection import ResponseReceived
from ftpsvc_client import listing
from ftpsvc_client.conversation import Conversation, need
from ftpsvc_client.link import accepted
from ftpsvc_client.results import Transfer, TreeReport, Verification
from ftpsvc_client.watching import Progress, Unwatched

_HASH_RATE = 20_000_000
"""Bytes per second that a server is granted for reading a file again before its answer counts as late."""


class TransferCalls(Conversation):
    """Uploads, downloads and the server's own check of what it stores.

    What they need is imported by the first of them: most commands (ls, cd, ...) transfer nothing.
    """

    def put(
        self,
        source: str | os.PathLike[str] | BinaryIO | bytes,
        remote: str | None = None,
        *,
        clobber: bool = True,
        modified: int | None = None,
        mode: int | None = None,
        progress: Progress | None = None,
    ) -> Transfer:
        """Stores one file, atomically: others see the old content or the new, never a part.

        Args:
            source: A local path, a binary stream (read from where it stands to its end; one that cannot seek is
                copied to a temporary file first, since its length must be known), or the content itself.
            remote: Where to; ending in `/` it is the directory to put it into. None is the name of the local file
                in the session's directory.
            clobber: Whether a file of that name may be replaced.
            modified: mtime to give it, nanoseconds since 1970 UTC; None is that of the local file, if it is one.
            mode: Permission bits, of which the server keeps the owner's executable bit; None likewise.
            progress: Who is told how it goes on.

        Returns:
            What was stored; the server computed the same digest and answered that it is stored for good.

        Raises:
            AlreadyExists: The name is taken and `clobber` is False.
            Changed, ReadFailed: The source changed or failed while it was read; nothing was stored.
            DigestMismatch: What arrived is not what was sent; nothing was stored.
            FtpsvcError: Any other refusal, or the connection's end: then it may or may not have been stored.
        """
        from ftpsvc_client.content import send
        from ftpsvc_client.sources import opened

        watcher = progress or Unwatched()
        with opened(source) as (content, local):
            name = os.path.basename(local) if local is not None else None
            path = _target(remote, name)
            request = headers.Put(
                path=path, size=content.size, file_size=content.size, algorithm=self.algorithm, clobber=clobber,
                modified=modified if modified is not None else _not_negative(getattr(content, "modified", None)),
                mode=mode if mode is not None else getattr(content, "mode", None),
            )  # fmt: skip
            answers: list[ResponseReceived] = []
            done = False
            watcher.begin(local or path, content.size)
            try:
                with self._turn() as link:
                    if not clobber:
                        need(link, "no-clobber", base=False)
                    send(link, request, content, watcher, answers.append)
                    watcher.verifying()
                    link.settle()
                    stored = accepted(answers[0], headers.Stored)
                    done = True
            finally:
                watcher.end(done=done)
        return Transfer(
            stored.path,
            local,
            stored.file_size,
            stored.algorithm,
            stored.digest,
            content.size,
            stored.version,
        )

    def get(
        self,
        remote: str,
        target: str | os.PathLike[str] | BinaryIO,
        *,
        overwrite: bool = False,
        progress: Progress | None = None,
    ) -> Transfer:
        """Fetches one file. It appears under its name whole and verified, or not at all.

        Args:
            remote: The file.
            target: A local path, a directory to put it into (existing, or ending in a separator), or a binary
                stream. A stream is written to as bytes arrive: an error means that what it got is not to be used.
            overwrite: Whether another content under that name may be replaced.
            progress: Who is told how it goes on.

        Returns:
            What was fetched, or what was there already with the same content.

        Raises:
            AlreadyExists: Another content is there, and `overwrite` is False. It was left alone.
            IsADirectory, NotAFile: `remote`, or what is at `target`, is no regular file.
            Changed: The file changed on the server meanwhile. DigestMismatch: it was damaged on the way or there.
            FtpsvcError: Any other refusal, the local disk's, or the connection's end.
        """
        watcher = progress or Unwatched()
        with self._turn() as link:
            from ftpsvc_client.download import fetch, fetch_to_stream

            request = headers.Get(path=remote, algorithm=self.algorithm)
            if isinstance(target, (str, os.PathLike)):
                return fetch(link, request, os.fspath(target), overwrite=overwrite, watcher=watcher)
            return fetch_to_stream(link, request, target, watcher)

    def verify(self, remote: str, algorithm: str | None = None) -> Verification:
        """Has the server read a stored file again and compare it with the digest recorded when it was stored.

        Args:
            remote: The file.
            algorithm: What to compute where nothing is on record; None is the client's.

        Raises:
            DigestMismatch: The content on the server's disk is not what was stored there.
            FtpsvcError: As `stat`.
        """
        with self._turn() as link:
            need(link, "verify", base=False)
            size = listing.stat(link, remote).size or 0
            request = headers.Verify(path=remote, algorithm=algorithm or self.algorithm)
            found = self._ask(link, request, headers.Verified, wait=size / _HASH_RATE)
        return Verification(found.path, found.algorithm, found.digest, found.file_size, found.recorded)

    def put_tree(
        self,
        local: str | os.PathLike[str],
        remote: str,
        *,
        clobber: bool = True,
        progress: Progress | None = None,
    ) -> TreeReport:
        """Stores what is in a local directory in the remote directory `remote`, which is made if it is missing.

        Args:
            local: The directory. Links and junctions in it are skipped, with a note.
            remote: What it becomes (not: what it is put into).
            clobber: Whether files may be replaced.
            progress: Who is told how it goes on.

        Returns:
            What became of it. Names that could not be transferred are in `problems`; the rest was.

        Raises:
            NotFound, NotADirectory: `local` is no directory. FtpsvcError: the connection's end.
        """
        from ftpsvc_client.upload_tree import put_tree

        with self._turn() as link:
            return put_tree(
                link,
                os.fspath(local),
                remote,
                algorithm=self.algorithm,
                clobber=clobber,
                watcher=progress,
                relink=self._renew,
            )

    def get_tree(
        self,
        remote: str,
        local: str | os.PathLike[str],
        *,
        overwrite: bool = False,
        progress: Progress | None = None,
    ) -> TreeReport:
        """Fetches what is in a remote directory into the local directory `local`, which is made if it is missing.

        Nothing is written outside `local`, whatever names the server comes up with, and no link is followed there.

        Args:
            remote: The directory.
            local: What it becomes (not: what it is put into).
            overwrite: Whether files with another content may be replaced.
            progress: Who is told how it goes on.

        Returns:
            What became of it. Names that could not be transferred are in `problems`; the rest was.

        Raises:
            NotFound, NotADirectory: `remote` is no directory. FtpsvcError: the connection's end, or a full disk.
        """
        from ftpsvc_client.download_tree import get_tree

        with self._turn() as link:
            return get_tree(
                link,
                remote,
                os.fspath(local),
                algorithm=self.algorithm,
                overwrite=overwrite,
                watcher=progress,
                relink=self._renew,
            )


def _target(remote: str | None, name: str | None) -> str:
    if remote is not None and not remote.endswith("/"):
        return remote
    if name is None:
        raise InvalidPath(remote or "", "a stream has no name of its own: say what the file is to be called")
    return (remote or "") + name


def _not_negative(time_ns: int | None) -> int | None:
    return time_ns if time_ns is not None and time_ns >= 0 else None
