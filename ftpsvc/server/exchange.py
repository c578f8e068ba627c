"""One connection as the handlers see it: content in, content out, answers; refusals that leave the framing whole.

Source: docs/protocol.md sections 3.4 (refusals) and 5 (content).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Final

from ftpsvc.blocks import Run
from ftpsvc.buffers import BUFFER_BYTES, BufferPool
from ftpsvc.digests import Bytes, Hasher, Taker
from ftpsvc.exceptions import Changed, ConnectionLost, FtpsvcError, ReadFailed, StorageError
from ftpsvc.protocol.connection import TrailerReceived
from ftpsvc.protocol.headers import Content, Response
from ftpsvc.protocol.state import State
from ftpsvc.server.batch import Batch, Budget
from ftpsvc.server.config import Limits, Settings
from ftpsvc.server.pace import Pace
from ftpsvc.server.session import Rights, Session
from ftpsvc.server.shares import Bandwidth, Shares
from ftpsvc.storage.base import Reader, Upload
from ftpsvc.text import printable
from ftpsvc.transport import Channel

_LOOK_BYTES: Final = 16 << 20
"""How much is hashed between two looks whether anybody still wants it: some milliseconds, at 2 us a look."""
_PAUSE_SECONDS: Final = 0.2
"""How long a pause goes on after the client or the server has gone, at most."""
_SMALL: Final = 64 * 1024
"""Up to this a file is sent through the queue, so that pipelined small files leave in few packets."""

if TYPE_CHECKING:
    from ftpsvc.server.audit import Audit
    from ftpsvc.server.login import Logins
    from ftpsvc.server.service import Operation


class Fatal(Exception):
    """Carries a refusal that ends the connection, from wherever it is found to the conversation.

    Attributes:
        error: What is answered, if an answer is still possible.
    """

    def __init__(self, error: FtpsvcError) -> None:
        super().__init__(error)
        self.error = error


class Exchange:
    """The requests of one connection, one after the other. Belongs to the thread of its connection.

    Attributes:
        channel: The connection.
        session: The state that requests read and change.
        limits: What is accepted at most.
        check: Raises when long work is no longer wanted: Unavailable when the server stops, ConnectionLost when the
            client is gone.
        logins: What log-ins need; None where there are no accounts.
        sit: Counts the connection as one of a user's, who is named; see `Seat.take_for`.
        watch: What watches how fast payloads are; None is nobody.
        batch: Uploads that wait to be committed together.
        settle: Commits and answers those that wait. To be called before anything else is answered.
        about: What the audit is told about the request under way, beside what the request says itself.
        operations: What is served, by name: the server's own (`service.OPERATIONS`) and those of extensions.
    """

    def __init__(
        self,
        channel: Channel,
        session: Session,
        settings: Settings,
        pool: BufferPool,
        check: Callable[[], None],
        logins: Logins | None = None,
        *,
        bandwidth: Bandwidth | None = None,
        gone: Callable[[bool], bool] | None = None,
        sit: Callable[[str, bool], None] | None = None,
        audit: Audit | None = None,
        budget: Budget | None = None,
        operations: Mapping[str, Operation] | None = None,
    ) -> None:
        """Takes what one connection works with.

        Args:
            channel: The connection.
            session: Its state.
            settings: The daemon's.
            pool: Its buffers.
            check: See the attribute.
            logins: See the attribute.
            bandwidth: What payloads share; None is no limit.
            gone: Tells whether nobody is at the other end any more; is asked with whether we are sending.
            sit: See the attribute; None counts nobody.
            audit: Where what is done is written down; None is nowhere.
            budget: How many uploads may wait; None: none ever does.
            operations: What is served; None is nothing.
        """
        self.batch = Batch(budget)
        self.settle: Callable[[], None] = _settle_nothing
        self.channel = channel
        self.session = session
        self.limits: Limits = settings.limits
        self.check = check
        self.logins = logins
        self.sit: Callable[[str, bool], None] = sit if sit is not None else _count_nobody
        self.audit = audit
        self.about: dict[str, str | int] = {}
        self.operations: Mapping[str, Operation] = operations if operations is not None else {}
        self._pool = pool
        self._bandwidth = bandwidth
        self._gone = gone if gone is not None else lambda sending: False
        self._stall = settings.timeouts.stall
        least, window = settings.limits.min_rate, settings.limits.min_rate_window
        self.watch = Pace(least, window).moved if least is not None else None

    def pause(self, seconds: float) -> None:
        """Lets time pass before an answer, as long as somebody waits for it.

        Raises:
            Unavailable, ConnectionLost: As `check`.
        """
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            self.check()
            time.sleep(min(left, _PAUSE_SECONDS))

    def _take_turn(self, shares: Shares, count: int, *, sending: bool) -> None:
        """Waits until `count` bytes are within the shares.

        A server that stops lets it go on until the grace is over; then the connection is cut, which ends the wait.

        Raises:
            ConnectionLost: Nobody waits for it any more.
        """
        session = self.session
        # Guests of one address are one user.
        user = session.identity.user.name if session.identity is not None else f"@{session.address}"
        with shares.ask(user, count) as turn:
            while seconds := turn.seconds():
                self.settle()
                self.channel.flush()  # whoever waits for earlier answers does not wait for this
                if self._gone(sending):
                    raise ConnectionLost("the client went away while its transfer waited for its share")
                turn.news.wait(min(seconds, _PAUSE_SECONDS))

    # ------------------------------------------------------------ content from the client

    def receive_content(self, write: Callable[[Bytes], None]) -> None:
        """Hands the payload under way to `write`, piece by piece. What `write` raises stops it.

        Raises:
            ConnectionLost, TransferTimeout: The client did not send it to its end.
        """
        if self._bandwidth is None:
            with closing(self.channel.payload(self._pool)) as pieces:
                for piece in pieces:
                    write(piece)
            return
        shares = self._bandwidth.receiving
        with closing(self.channel.payload(_InPieces(self._pool, shares.piece))) as pieces:
            for piece in pieces:
                write(piece)
                # Afterwards: what has come is here, and what is not asked for slows the sender down.
                self._take_turn(shares, len(piece), sending=False)

    def receive_digest(self, path: str, *, wait: float = 0) -> str:
        """Returns the digest in the trailer of the content under way.

        Args:
            path: The remote path, for errors.
            wait: Seconds that the client may need beyond the time-out, to hash what it did not send.

        Raises:
            ReadFailed: The client could not read its file to the end, and says so there.
            RemoteProtocolError, ConnectionLost, TransferTimeout: No trailer came.
        """
        trailer = self._receive_trailer(wait)
        if trailer.digest is None:
            reason = trailer.error.message if trailer.error is not None else ""
            raise ReadFailed(path, printable(reason[:200]) or "the sender did not say why")
        return trailer.digest

    def _receive_trailer(self, wait: float = 0) -> TrailerReceived:
        event = self.channel.receive_event(self._stall + wait, "a trailer")
        if not isinstance(event, TrailerReceived):  # the connection's state lets nothing else come here
            raise TypeError(f"{type(event).__name__} in place of a trailer")
        return event

    def refuse(self, error: FtpsvcError) -> None:
        """Answers with an error, after what is left of the request was read and dropped.

        Raises:
            Fatal: More payload is due than is read for nothing.
            RemoteProtocolError, ConnectionLost, TransferTimeout: The rest of the request did not come.
        """
        connection = self.channel.connection
        # Who has not logged in gets no more than a slip of a base client is worth.
        drain = min(self.limits.drain, _SMALL) if self.session.rights is Rights.NONE else self.limits.drain
        if not self.channel.drain(drain):
            raise Fatal(error)
        if connection.incoming is State.TRAILER:
            self._receive_trailer()
        self.channel.queue(connection.send_error(error))

    # ------------------------------------------------------------ content to the client

    def hash(self, reader: Reader, hasher: Taker, count: int, path: str) -> None:
        """Hashes the next `count` bytes of a file, as long as somebody wants to know.

        Raises:
            ReadFailed: The disk failed. Changed: The file became shorter.
            Unavailable, ConnectionLost: As `check`.
        """
        left, looked = count, count
        with self._pool.borrow(count) as scratch:
            while left:
                if looked - left >= _LOOK_BYTES:
                    self.check()
                    looked = left
                piece = scratch[: min(left, len(scratch))]
                _fill(reader, piece, path)
                hasher.update(piece)
                left -= len(piece)

    def send_content(
        self, header: Content, reader: Reader, hasher: Hasher | None, digest: str, path: str
    ) -> str | None:
        """Sends an answer with a file's content and its trailer.

        Args:
            header: The answer.
            reader: The file.
            hasher: What is to hash the bytes as they go by; it has seen what comes before them. None when the digest
                is known.
            digest: The digest where it is known.
            path: The remote path, for errors.

        Returns:
            The digest that was sent, or None when the file could not be read to its end and the trailer says so.

        Raises:
            Fatal: The file could not be read, and more is missing than is filled up with zeros.
            ConnectionLost, TransferTimeout: The client did not take it.
        """
        connection = self.channel.connection
        self.channel.queue(connection.send_response(header, content=True))
        try:
            self._send_bytes(header, reader, hasher, path)
            reader.check_unchanged()
        except StorageError as error:
            missing = connection.outgoing_payload
            if missing > self.limits.drain:
                raise Fatal(error) from None
            self.channel.send_zeros(missing)
            self.channel.queue(connection.send_trailer(None, _why(reader, error)))
            return None
        if hasher is not None:
            digest = hasher.hexdigest()
        self.channel.queue(connection.send_trailer(digest))
        return digest

    def _send_bytes(self, header: Content, reader: Reader, hasher: Hasher | None, path: str) -> None:
        left = header.size
        descriptor = reader.fileno()
        shares = self._bandwidth.sending if self._bandwidth is not None else None
        most = left if shares is None else shares.piece
        if hasher is None and descriptor is not None and left > _SMALL and self.channel.wire.can_send_file:
            while left:
                count = min(left, most)
                if shares is not None:
                    self._take_turn(shares, count, sending=True)
                self.channel.send_file(descriptor, header.file_size - left, count, path)
                left -= count
            return
        with self._pool.borrow(left) as scratch:
            while left:
                piece = scratch[: min(left, len(scratch), most)]
                _fill(reader, piece, path)
                if hasher is not None:
                    hasher.update(piece)
                if shares is not None:
                    self._take_turn(shares, len(piece), sending=True)
                self.channel.send_payload(piece)
                left -= len(piece)

    def send_page(self, header: Response, page: bytearray) -> None:
        """Sends an answer with a payload that is no content; the header's `size` is its length."""
        self.channel.queue(self.channel.connection.send_response(header))
        self.channel.send_payload(memoryview(page))

    def put_together(self, upload: Upload, base: Reader, runs: Iterator[Run]) -> None:
        """Completes an upload out of what was placed in it and what is taken from another file.

        Raises:
            As `Upload.take`, and `check`.
        """
        with self._pool.borrow() as scratch:
            unlooked = 0
            for run in runs:
                left = run.size
                while left:
                    step = min(left, _LOOK_BYTES)
                    upload.take(step, None if run.changed else base, scratch)
                    left -= step
                    unlooked += step
                    if unlooked >= _LOOK_BYTES:
                        self.check()
                        unlooked = 0


class _InPieces(BufferPool):
    """A pool whose buffers are lent no longer than a piece: what is received at once is then no more than that."""

    def __init__(self, pool: BufferPool, piece: int) -> None:
        super().__init__(0)
        self._whole = pool
        self._piece = piece

    @contextmanager
    def borrow(self, size: int = BUFFER_BYTES) -> Iterator[memoryview]:
        """Lends a buffer; see `BufferPool.borrow`."""
        with self._whole.borrow(min(size, self._piece)) as view:
            yield view[: self._piece]


def _settle_nothing() -> None:
    """Stands in where nothing ever waits."""


def _count_nobody(user: str, always: bool) -> None:
    """Stands in for `Seat.take_for` where there are no seats."""


def _fill(reader: Reader, piece: memoryview, path: str) -> None:
    done = 0
    while done < len(piece):
        count = reader.read_into(piece[done:])
        if not count:
            raise Changed(path)
        done += count


def _why(reader: Reader, error: StorageError) -> StorageError:
    """Returns Changed where a read failed because the file is no longer what it was, else the failure itself."""
    try:
        reader.check_unchanged()
    except Changed as changed:
        return changed
    except StorageError:
        pass
    return error
