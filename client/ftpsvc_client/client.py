"""The Python API: one object, one server, one conversation."""

from __future__ import annotations

import contextlib
import io
import os
import threading
from collections.abc import Iterator
from typing import TYPE_CHECKING, BinaryIO, cast

from ftpsvc.addresses import Address
from ftpsvc.digests import ALGORITHMS
from ftpsvc.exceptions import (
    ConfigError,
    InvalidPath,
    InvalidRequest,
    LocalProtocolError,
    ReadFailed,
)
from ftpsvc.protocol import headers
from ftpsvc.protocol.connection import ResponseReceived
from ftpsvc.protocol.headers import Greeting, Request
from ftpsvc.text import printable
from ftpsvc.transport import BufferPool
from ftpsvc_client import listing
from ftpsvc_client.link import Answered, Link, accepted
from ftpsvc_client.results import Identity, RemoteEntry, Space, Transfer, TreeReport, Verification
from ftpsvc_client.watching import Progress, Unwatched

if TYPE_CHECKING:
    from ftpsvc.credentials import Credentials
    from ftpsvc_client.content import FileSource
    from ftpsvc_client.trust import Trust

DEFAULT_TIMEOUT = 60.0
_HASH_RATE = 20_000_000
"""Bytes per second that a server is granted for reading a file again before its answer counts as late."""


def connect(
    url: str | Address,
    *,
    credentials: Credentials | None = None,
    fingerprint: str | None = None,
    trust: Trust | None = None,
    timeout: float = DEFAULT_TIMEOUT,
    algorithm: str | None = None,
    directory: str | None = None,
    allow_plain: bool = False,
) -> Client:
    """Connects to a server.

    Args:
        url: `ftpsvc://HOST[:PORT]`, `ftpsvc+tcp://HOST[:PORT]` or `ftpsvc+unix:///PATH`.
        credentials: What to log in with; None is a guest. They are kept as long as the client, to connect anew.
        fingerprint: SHA-256 of the server's certificate, hex, with or without colons and a prefix `SHA256:`. Only with
            `ftpsvc://`, and not together with `trust`.
        trust: Who decides about the server's certificate; None: `fingerprint`, and where that is None too, the pins
            that `ftpsvc login` keeps for this user, with nobody to ask about an unknown server.
        timeout: Seconds without progress after which anything is given up.
        algorithm: Digest algorithm to use; None takes the server's first that is known here.
        directory: Where to start on the server; None is its root.
        allow_plain: Whether a password may cross plain TCP to another machine. The server has a setting of its own.

    Returns:
        The client, connected. The caller closes it, best by `with`.

    Raises:
        ConfigError: The URL makes no sense, or the server has no digest algorithm that is known here.
        ConnectFailed, ConnectionLost, TransferTimeout: There is no way to the server.
        UntrustedServer: Its certificate is unknown, not the expected one, or not usable. Nothing was sent to it.
        AuthenticationFailed: The log-in was refused, or the server did not prove that it knows the account.
        PermissionDenied: A password over plain TCP to another machine, without `allow_plain`.
        Busy, Unavailable: The server refuses.
        NotFound, NotADirectory: `directory` is none.
    """
    address = Address.parse(url) if isinstance(url, str) else url
    if fingerprint is not None:
        if trust is not None or not address.is_tls:
            raise ConfigError("a fingerprint is for ftpsvc:// only, and not together with `trust`")
        from ftpsvc_client.trust import Fixed

        trust = Fixed(fingerprint)
    return Client(
        address,
        credentials=credentials,
        trust=trust,
        timeout=timeout,
        algorithm=algorithm,
        directory=directory,
        allow_plain=allow_plain,
    )


class Client:
    """A conversation with a server. A context manager: leaving it says goodbye and closes.

    Remote paths are text, `/` between components, absolute or relative to the session's directory (docs/protocol.md
    section 5). After a lost connection or an interrupted transfer the next call connects anew and returns to the
    directory; nothing is repeated by itself.

    Thread-safety: one thread at a time; a call that comes while another is under way raises LocalProtocolError. Make
    one client for each thread.

    Attributes:
        address: Where the server is.
        greeting: What it said at the last connect: features, limits, banner.
        certificate: What it showed then, DER; None without TLS. `ftpsvc.certificates.fingerprint` makes it comparable.
        algorithm: The digest algorithm in use.
    """

    def __init__(
        self,
        address: Address,
        *,
        credentials: Credentials | None = None,
        trust: Trust | None = None,
        timeout: float,
        algorithm: str | None,
        directory: str | None,
        allow_plain: bool = False,
    ) -> None:
        """Connects; see `connect`."""
        if algorithm is not None and algorithm not in ALGORITHMS:
            raise ConfigError(f"there is no digest algorithm {algorithm!r}, only {', '.join(ALGORITHMS)}")
        self.address = address
        self._credentials = credentials
        self._trust = trust
        self._allow_plain = allow_plain
        self._timeout = timeout
        self._wanted = algorithm
        self._directory = directory
        self._pool = BufferPool()
        self._turn_lock = threading.Lock()
        self._closed = False
        self._link: Link | None = None
        with self._turn():
            pass

    # ------------------------------------------------------------ connection

    @property
    def directory(self) -> str | None:
        """The session's directory as far as it was set by `cd` or the constructor; None is where the server starts."""
        return self._directory

    def close(self) -> None:
        """Says goodbye and closes. May be called more than once; every other call raises afterwards."""
        self._closed = True
        link, self._link = self._link, None
        if link is not None:
            link.quit()

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @contextlib.contextmanager
    def _turn(self) -> Iterator[Link]:
        """Lends the link to one call, connecting if need be. A link that the call leaves in mid-message is dropped."""
        if not self._turn_lock.acquire(blocking=False):
            raise LocalProtocolError("this client is in use by another call; make one client for each thread")
        try:
            if self._closed:
                raise LocalProtocolError("this client is closed")
            if self._link is None:
                self._link = self._connect()
            try:
                yield self._link
            finally:
                # Asked anew: a tree may have gone on over another one.
                link = self._link
                if not link.usable:
                    link.close()
                    self._link = None
        finally:
            self._turn_lock.release()

    def _connect(self) -> Link:
        credentials = self._credentials
        link = Link(
            self.address,
            timeout=self._timeout,
            pool=self._pool,
            trust=self._trust,
            by_token=credentials is not None and credentials.by_token,
            allow_plain=self._allow_plain,
        )
        try:
            self.greeting: Greeting = link.greeting
            if credentials is not None:
                link.log_in(credentials)
            self.certificate = link.certificate
            self.algorithm = _choose(link.greeting.algorithms, self._wanted)
            if self._directory is not None:
                link.call(headers.Cd(path=self._directory), headers.Located)
        except BaseException:
            link.close()
            raise
        return link

    def _renew(self) -> Link:
        """Connects anew in the middle of a call."""
        self._link = self._connect()
        return self._link

    def _ask(self, link: Link, request: Request, kind: type[Answered], *, wait: float = 0) -> Answered:
        _need(link, request.op, base=request.base)
        return link.call(request, kind, wait=wait)

    # ------------------------------------------------------------ one's own account

    def whoami(self) -> Identity:
        """Returns who the session is."""
        with self._turn() as link:
            found = self._ask(link, headers.Whoami(), headers.Identified)
        return Identity(found.user, found.role, found.via, found.token, found.group, found.may)

    def set_password(self, password: str) -> None:
        """Sets one's own password. What is sent is a verifier, from which it cannot be had back.

        Raises:
            ConfigError: It is too short, or cannot be used in a log-in.
            PermissionDenied: The connection is neither TLS nor AF_UNIX.
            AuthenticationFailed: This is a guest.
        """
        from ftpsvc.credentials import Kind
        from ftpsvc.scram import check_new_password, derive

        check_new_password(password)
        verifier = derive(password, Kind.PASSWORD)
        with self._turn() as link:
            self._ask(link, headers.SetPassword(verifier=verifier.encode()), headers.Response)

    def issue_token(self, label: str) -> str:
        """Makes a device token for oneself and returns it in one piece, for `Credentials.token`.

        Args:
            label: What the device is called, for the list of tokens.

        Raises:
            PermissionDenied: The connection is neither TLS nor AF_UNIX.
            AuthenticationFailed: This is a guest.
        """
        from ftpsvc.credentials import Kind, new_token, token_text
        from ftpsvc.scram import derive

        secret = new_token()
        verifier = derive(secret, Kind.TOKEN)
        with self._turn() as link:
            issued = self._ask(
                link, headers.IssueToken(label=label, verifier=verifier.encode()), headers.TokenIssued
            )
        return token_text(issued.token, secret)

    def revoke_token(self, token_id: str | None = None) -> int:
        """Makes one of one's device tokens worthless, or with None all of them; returns how many went."""
        with self._turn() as link:
            return self._ask(link, headers.RevokeToken(token=token_id), headers.TokensRevoked).revoked

    # ------------------------------------------------------------ files

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
        # Imported by the first transfer: most commands (ls, cd, ...) transfer nothing.
        from ftpsvc_client.content import send

        watcher = progress or Unwatched()
        with _opened(source) as (opened, local):
            name = os.path.basename(local) if local is not None else None
            path = _target(remote, name)
            request = headers.Put(
                path=path, size=opened.size, file_size=opened.size, algorithm=self.algorithm, clobber=clobber,
                modified=modified if modified is not None else _not_negative(getattr(opened, "modified", None)),
                mode=mode if mode is not None else getattr(opened, "mode", None),
            )  # fmt: skip
            answers: list[ResponseReceived] = []
            done = False
            watcher.begin(local or path, opened.size)
            try:
                with self._turn() as link:
                    if not clobber:
                        _need(link, "no-clobber", base=False)
                    send(link, request, opened, watcher, answers.append)
                    watcher.verifying()
                    link.settle()
                    stored = accepted(answers[0], headers.Stored)
                    done = True
            finally:
                watcher.end(done=done)
        return Transfer(
            stored.path, local, stored.file_size, stored.algorithm, stored.digest, opened.size, stored.version
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
            _need(link, "verify", base=False)
            size = listing.stat(link, remote).size or 0
            request = headers.Verify(path=remote, algorithm=algorithm or self.algorithm)
            found = self._ask(link, request, headers.Verified, wait=size / _HASH_RATE)
        return Verification(found.path, found.algorithm, found.digest, found.file_size, found.recorded)

    # ------------------------------------------------------------ names

    def stat(self, remote: str = ".") -> RemoteEntry:
        """Returns what is at a path.

        Raises:
            NotFound: Nothing is. FtpsvcError: any other refusal, or the connection's end.
        """
        with self._turn() as link:
            return listing.stat(link, remote)

    def list(
        self,
        remote: str = ".",
        *,
        recursive: bool = False,
        digests: bool = False,
        algorithm: str | None = None,
    ) -> list[RemoteEntry]:
        """Returns the entries of a directory, ordered by name, or a file's own entry.

        Args:
            remote: What to list.
            recursive: Whether to descend; paths are then relative to `remote`.
            digests: Whether to have digests, which the server computes where it has none on record.
            algorithm: Which digests; None is whichever is on record.

        Raises:
            NotFound: Nothing is there. FtpsvcError: any other refusal, or the connection's end.
        """
        return [*self.iter_list(remote, recursive=recursive, digests=digests, algorithm=algorithm)]

    def iter_list(
        self,
        remote: str = ".",
        *,
        recursive: bool = False,
        digests: bool = False,
        algorithm: str | None = None,
    ) -> Iterator[RemoteEntry]:
        """As `list`, page by page: a directory of any size costs the memory of one page.

        Between two pages the client may be used for other calls.
        """
        pages = listing.Pages(remote, recursive=recursive, digests=digests, algorithm=algorithm)
        while not pages.done:
            with self._turn() as link:
                entries = pages.next_page(link)
            yield from entries

    def cd(self, remote: str) -> str:
        """Changes the session's directory and returns it, absolute.

        Raises:
            NotFound, NotADirectory: There is none; the session stays where it was.
        """
        before = self._directory
        if remote.startswith("/"):
            self._directory = None  # where we were does not matter, and may be gone
        try:
            with self._turn() as link:
                path = self._ask(link, headers.Cd(path=remote), headers.Located).path
        except BaseException:
            self._directory = before
            raise
        self._directory = path
        return path

    def pwd(self) -> str:
        """Returns the session's directory, absolute."""
        with self._turn() as link:
            request = headers.Pwd() if "pwd" in link.features else headers.Cd(path=".")
            return self._ask(link, request, headers.Located).path

    def is_directory(self, remote: str) -> bool:
        """Returns whether there is a directory at `remote`; False also when nothing is."""
        with self._turn() as link:
            return listing.is_directory(link, remote)

    def mkdir(self, remote: str, *, parents: bool = False) -> bool:
        """Makes a directory.

        Args:
            remote: The directory.
            parents: Whether to make what is missing on the way; it is no error then if the directory is there.

        Returns:
            Whether it was made.

        Raises:
            AlreadyExists: The name is taken. NotFound: the parent is missing, and `parents` is False.
        """
        with self._turn() as link:
            return self._ask(link, headers.Mkdir(path=remote, parents=parents), headers.Made).created

    def remove(self, remote: str, *, recursive: bool = False) -> int:
        """Removes a file or directory and returns how many names went.

        Raises:
            DirectoryNotEmpty: It has content, and `recursive` is False. NotFound: there is nothing.
        """
        with self._turn() as link:
            # A large tree takes its time, and silence is all that can be heard of it.
            return self._ask(
                link,
                headers.Rm(path=remote, recursive=recursive),
                headers.Removed,
                wait=600 if recursive else 0,
            ).removed

    def rename(self, source: str, target: str, *, clobber: bool = True) -> str:
        """Gives a file or directory another path and returns it, absolute.

        Args:
            source: What there is.
            target: What it will be called; the exact new path, not a directory to move it into.
            clobber: Whether a file of that name may be replaced.

        Raises:
            AlreadyExists: The name is taken, and `clobber` is False or it is a directory. NotFound: no `source`.
        """
        with self._turn() as link:
            return self._ask(link, headers.Mv(path=source, to=target, clobber=clobber), headers.Located).path

    def space(self) -> Space:
        """Returns how much room there is on the server."""
        with self._turn() as link:
            room = self._ask(link, headers.Df(), headers.Room)
        return Space(room.limit, room.used, room.reserved, room.free)

    # ------------------------------------------------------------ trees

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
            local: The directory. Links in it are skipped, with a note.
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
            )


class _StreamSource:
    """A seekable binary stream, or one's content, as an upload's source."""

    def __init__(self, stream: BinaryIO, name: str) -> None:
        self.name = name
        here = stream.tell()
        self.size = stream.seek(0, io.SEEK_END) - here
        stream.seek(here)
        self._stream = stream

    def read_into(self, view: memoryview) -> int:
        """Reads the next bytes and returns how many; 0 is the end."""
        data = self._stream.read(len(view))
        view[: len(data)] = data
        return len(data)

    def unchanged(self) -> bool:
        """Returns whether it ends where it ended when it was opened."""
        return not self._stream.read(1)


@contextlib.contextmanager
def _opened(
    source: str | os.PathLike[str] | BinaryIO | bytes,
) -> Iterator[tuple[FileSource | _StreamSource, str | None]]:
    """Opens what `put` was given and yields it with its local path, None for what has none."""
    if isinstance(source, (str, os.PathLike)):
        from ftpsvc_client.content import FileSource

        path = os.fspath(source)
        with FileSource(path) as file:
            yield file, path
    elif isinstance(source, (bytes, bytearray, memoryview)):
        yield _StreamSource(io.BytesIO(source), "the given bytes"), None
    elif source.seekable():
        yield _StreamSource(source, "the given stream"), None
    else:
        import tempfile

        with tempfile.TemporaryFile() as copy:
            while data := source.read(1 << 20):
                copy.write(data)
            if data is None:  # a raw stream that does not block has nothing now, which is not its end
                raise ReadFailed("the given stream", "it does not block, and has nothing to read now")
            copy.seek(0)
            yield _StreamSource(cast(BinaryIO, copy), "the given stream"), None


def _target(remote: str | None, name: str | None) -> str:
    if remote is not None and not remote.endswith("/"):
        return remote
    if name is None:
        raise InvalidPath(remote or "", "a stream has no name of its own: say what the file is to be called")
    return (remote or "") + name


def _not_negative(time_ns: int | None) -> int | None:
    return time_ns if time_ns is not None and time_ns >= 0 else None


def _choose(offered: list[str], wanted: str | None) -> str:
    if wanted is not None:
        if wanted in offered:
            return wanted
        raise ConfigError(f"the server offers {printable(', '.join(offered))}, not {wanted}")
    for algorithm in offered:
        if algorithm in ALGORITHMS:
            return algorithm
    raise ConfigError(f"the server offers only digests unknown here: {printable(', '.join(offered))}")


def _need(link: Link, feature: str, *, base: bool) -> None:
    if not base and feature not in link.features:
        raise InvalidRequest(f"this server does not offer {feature}")
