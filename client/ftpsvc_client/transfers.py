"""The calls that move or check the content of single files."""

from __future__ import annotations

import os
from typing import BinaryIO

from ftpsvc.exceptions import InvalidPath
from ftpsvc.protocol import headers
from ftpsvc_client import listing
from ftpsvc_client.compare import time_on_wire
from ftpsvc_client.conversation import Conversation, need
from ftpsvc_client.link import Link
from ftpsvc_client.results import Transfer, Verification
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
        resume: bool = True,
        modified: int | None = None,
        mode: int | None = None,
        delta: bool = True,
        progress: Progress | None = None,
    ) -> Transfer:
        """Stores one file, atomically: others see the old content or the new, never a part.

        What arrived of a large file before an interruption is kept by a server with the feature `begin`, and the next
        call goes on with it if it is the beginning of the same content.

        Args:
            source: A local path, a binary stream (read from where it stands to its end; one that cannot seek is
                copied to a temporary file first, since its length must be known), or the content itself.
            remote: Where to; ending in `/` it is the directory to put it into. None is the name of the local file
                in the session's directory.
            clobber: Whether a file of that name may be replaced.
            resume: Whether to go on with what an earlier call left on the server; False drops that.
            modified: mtime to give it, nanoseconds since 1970 UTC; None is that of the local file, if it is one.
            mode: Permission bits, of which the server keeps the owner's executable bit; None likewise.
            delta: Whether a large local file may be sent as what differs from the version that the server has.
            progress: Who is told how it goes on.

        Returns:
            What was stored; the server computed the same digest and answered that it is stored for good.

        Raises:
            AlreadyExists: The name is taken and `clobber` is False.
            Changed, ReadFailed: The source changed or failed while it was read; nothing was stored.
            DigestMismatch: What arrived is not what was sent; nothing was stored.
            FtpsvcError: Any other refusal, or the connection's end: then it may or may not have been stored.
        """
        from ftpsvc_client.sources import opened
        from ftpsvc_client.upload import Resumption, store

        watcher = progress or Unwatched()
        with opened(source) as (content, local):
            path = _target(remote, os.path.basename(local) if local is not None else None)
            request = headers.Put(
                path=path, size=content.size, file_size=content.size, algorithm=self.algorithm, clobber=clobber,
                modified=modified if modified is not None else _time_of(content),
                mode=mode if mode is not None else getattr(content, "mode", None),
            )  # fmt: skip
            tries = self._tries()
            resumption = Resumption(restart=not resume, moved=tries.progress)

            def work(link: Link) -> Transfer:
                if not clobber:
                    need(link, "no-clobber", base=False)
                content.rewind()
                return store(
                    link, request, content, local, watcher, resumption, relink=self._renew if delta else None
                )

            if clobber:
                return self._again(work, tries)
            with self._turn() as link:
                return work(link)

    def get(
        self,
        remote: str,
        target: str | os.PathLike[str] | BinaryIO,
        *,
        overwrite: bool = False,
        resume: bool = True,
        progress: Progress | None = None,
    ) -> Transfer:
        """Fetches one file. It appears under its name whole and verified, or not at all.

        What was fetched of a large file before an interruption stays beside the target, as `NAME.part` and
        `NAME.part.json`, and the next call goes on with it if the file on the server is still the same.

        Args:
            remote: The file.
            target: A local path, a directory to put it into (existing, or ending in a separator), or a binary
                stream. A stream is written to as bytes arrive: an error means that what it got is not to be used.
            overwrite: Whether another content under that name may be replaced.
            resume: Whether to go on with what an earlier call left; False drops that.
            progress: Who is told how it goes on.

        Returns:
            What was fetched, or what was there already with the same content.

        Raises:
            AlreadyExists: Another content is there, and `overwrite` is False. It was left alone.
            IsADirectory, NotAFile: `remote`, or what is at `target`, is no regular file.
            Changed: The file changed on the server meanwhile. DigestMismatch: it was damaged on the way or there.
            FtpsvcError: Any other refusal, the local disk's, or the connection's end.
        """
        from ftpsvc_client.download import fetch, fetch_to_stream

        tries = self._tries()
        watcher = progress or Unwatched()

        def work(link: Link) -> Transfer:
            request = headers.Get(path=remote, algorithm=self.algorithm)
            if isinstance(target, (str, os.PathLike)):
                return fetch(
                    link, request, os.fspath(target), overwrite=overwrite, resume=resume, watcher=watcher,
                    moved=tries.progress,
                )  # fmt: skip
            return fetch_to_stream(link, request, target, watcher)

        if isinstance(target, (str, os.PathLike)):
            return self._again(work, tries)
        with self._turn() as link:  # what a stream was given cannot be taken back
            return work(link)

    def verify(self, remote: str, algorithm: str | None = None) -> Verification:
        """Has the server read a stored file again and compare it with the digest recorded when it was stored.

        Args:
            remote: The file.
            algorithm: What to compute where nothing is on record; None is the client's.

        Raises:
            DigestMismatch: The content on the server's disk is not what was stored there.
            FtpsvcError: As `stat`.
        """

        def work(link: Link) -> headers.Verified:
            need(link, "verify", base=False)
            size = listing.stat(link, remote).size or 0
            request = headers.Verify(path=remote, algorithm=algorithm or self.algorithm)
            return self._ask(link, request, headers.Verified, wait=size / _HASH_RATE)

        found = self._again(work)
        return Verification(found.path, found.algorithm, found.digest, found.file_size, found.recorded)


def _target(remote: str | None, name: str | None) -> str:
    if remote is not None and not remote.endswith("/"):
        return remote
    if name is None:
        raise InvalidPath(remote or "", "a stream has no name of its own: say what the file is to be called")
    return (remote or "") + name


def _time_of(content: object) -> int | None:
    found: int | None = getattr(content, "modified", None)
    return None if found is None else time_on_wire(found)
