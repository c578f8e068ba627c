"""Between a `Wire` and `protocol.Connection`: what is sent and read in which order, so that nobody waits for ever.

Both sides use it. One thread owns a channel at a time. Source: docs/protocol.md sections 3.3 (pipelining), 3.5
(time-outs) and 8 (transports).
"""

from __future__ import annotations

import socket
import time
from collections import deque
from collections.abc import Callable, Generator

from ftpsvc.buffers import SMALL_BUFFER_BYTES, BufferPool
from ftpsvc.deadline import Deadline
from ftpsvc.exceptions import (
    ConnectionLost,
    FtpsvcError,
    LocalProtocolError,
    ReadFailed,
    TransferTimeout,
    TransportError,
)
from ftpsvc.protocol.connection import Connection, Event, ResponseReceived, ServerClosing
from ftpsvc.protocol.state import Role, State
from ftpsvc.wire import Wire, reason

_SMALL_PAYLOAD = 128 * 1024
"""Payloads up to this are handed on where they were received, in the connection's own buffer."""
_SEND_PIECE = 256 * 1024
"""One `sendall` of a client moves this much at most, so that its time-out means 4 KiB/s and not 17."""
_COALESCE = 64 * 1024
_IDLE_SECONDS = 0.2
_ZEROS = bytes(SMALL_BUFFER_BYTES)


class Channel:
    """A connected socket that speaks the protocol. Owns the socket: `close` closes it.

    Attributes:
        connection: The protocol's state.
        wire: The socket. What is sent and received past the channel breaks the conversation.
        before_wait: Is called before anything is received that may have to be waited for, and may queue what is to be
            sent first. None, as at first: nothing is. Server only.
        watch: Is told the bytes of each move of payload and the seconds that the peer made us wait for it; what it
            raises ends the transfer. None, as at first: nobody is told. Server only.
    """

    def __init__(self, sock: socket.socket, connection: Connection, *, stall: float, header: float) -> None:
        """Takes over a connected socket.

        Args:
            sock: The socket; its time-out is set by the channel from now on.
            connection: A fresh connection of the right role.
            stall: Seconds without progress after which a transfer is given up.
            header: Seconds that a header may take from its first byte to its last.
        """
        self.connection = connection
        self.wire = Wire(sock)
        self.watch: Callable[[int, float], object] | None = None
        self._stall = stall
        self._header = header
        self._outbox = bytearray()
        self.before_wait: Callable[[], None] | None = None
        self._events: deque[Event] = deque()
        self._announced = False
        self._lent = False
        # A client looks whether the server has refused while it still sends; a server's peer has nothing to say then.
        self._listens = connection.role is Role.CLIENT

    # ------------------------------------------------------------ receiving

    def receive_event(
        self, wait: float | None, phase: str, *, within: Deadline | None = None
    ) -> Event | None:
        """Returns the next event, or None when the peer ended the connection where it may, or said its last word.

        What was queued is sent before anything is waited for. When that fails, answers that came before can still be
        received.

        Args:
            wait: Seconds until the first byte of the next header must be there; None is no limit.
            phase: What is being waited for, for the error's text.
            within: A time that the whole header has to keep besides; when that is over first, the error names it.

        Raises:
            RemoteProtocolError: The peer broke the protocol.
            ConnectionLost: The peer ended the connection in the middle of a message, or owing an answer.
            TransferTimeout: Nothing came in time, or a header took longer than it may.
            LocalProtocolError: A payload is under way: it comes first.
        """
        connection, buffer = self.connection, self.connection.buffer
        idle: Deadline | None = None
        header: Deadline | None = None
        while True:
            if self._events:
                self._announced = self._announced and len(self._events) > 1
                return self._events.popleft()
            if self._payload_first():
                raise LocalProtocolError("a message is asked for while a payload is unread")
            event = connection.next_event()
            if event is not None:
                return event
            if idle is None:  # not before: most often it is there
                idle = Deadline(wait, phase).or_sooner(within)
            if self.before_wait is not None:
                self.before_wait()
            self.flush()
            if self._events:  # what came while we sent
                continue
            if connection.incoming is State.CLOSED:
                return None
            if len(buffer):
                # From its first byte on a header has its own time, whatever dribbles in (CASES C57).
                header = header or Deadline(self._header, "the rest of a header").or_sooner(within)
            else:
                self._wait_idle(idle)
            count = self.wire.receive_into(buffer.writable(), header or idle)
            if not count:
                if connection.eof_is_clean():
                    return None
                raise ConnectionLost(self._where_it_ended())
            buffer.filled(count)

    @property
    def has_events(self) -> bool:
        """Whether `receive_event` has something to return that came while we sent."""
        return bool(self._events)

    def payload(self, pool: BufferPool) -> Generator[memoryview, None, None]:
        """Yields the payload under way, in pieces that are as large as they can be.

        Each piece is valid until the next is asked for. A caller that stops early must `drain` before it goes on. What
        came before an error is yielded before that is raised: a transfer that can be resumed keeps it.

        Raises:
            ConnectionLost: The peer ended the connection before the payload's end.
            TransferTimeout: Nothing came for the stall time.
        """
        connection, buffer = self.connection, self.connection.buffer
        due = connection.incoming_payload
        if due <= _SMALL_PAYLOAD:
            buffer.expect(due)
            lost: TransportError | None = None
            try:
                while len(buffer) < due:
                    # Whole buffers, not just the payload: the trailer and the next messages come with it.
                    buffer.filled(self._receive_payload_into(buffer.writable()))
            except TransportError as error:
                lost, due = error, len(buffer)
            if due:
                connection.payload_received(due)
                self._lent = True
                try:
                    yield buffer.peek(due)
                finally:  # also when the caller stops early: what was counted must be gone
                    self._lent = False
                    buffer.discard(due)
            if lost is not None:
                raise lost
            return
        with pool.borrow() as scratch:
            while due := connection.incoming_payload:
                done, lost = self._fill(scratch[: min(due, len(scratch))])
                if done:
                    connection.payload_received(done)
                    yield scratch[:done]
                if lost is not None:
                    raise lost

    def read_payload(self, view: memoryview) -> None:
        """Fills `view`, which is no longer than what is due of the payload under way.

        Raises:
            As `payload`.
        """
        done, lost = self._fill(view)
        self.connection.payload_received(done)
        if lost is not None:
            raise lost

    def drain(self, limit: int) -> bool:
        """Reads the payload under way and drops it.

        Returns:
            False when more than `limit` bytes are due; nothing was read then.

        Raises:
            As `payload`.
        """
        connection, buffer = self.connection, self.connection.buffer
        if connection.incoming_payload > limit:
            return False
        scratch = memoryview(bytearray(min(SMALL_BUFFER_BYTES, connection.incoming_payload)))
        while due := connection.incoming_payload:
            if held := min(due, len(buffer)):
                buffer.discard(held)
                connection.payload_received(held)
            else:
                connection.payload_received(self._receive_payload_into(scratch[: min(due, len(scratch))]))
        return True

    def _fill(self, piece: memoryview) -> tuple[int, TransportError | None]:
        """Receives into all of `piece`; returns how much of it that is, and why not all."""
        buffer = self.connection.buffer
        done = min(len(buffer), len(piece))
        if done:
            piece[:done] = buffer.peek(done)
            buffer.discard(done)
        try:
            while done < len(piece):
                done += self._receive_payload_into(piece[done:])
        except TransportError as error:
            return done, error
        return done, None

    def _payload_first(self) -> bool:
        """Returns whether what comes next from the peer is no message, or lies in the buffer and may not be moved."""
        return self._lent or self.connection.incoming_payload > 0 or self._announced

    def _receive_payload_into(self, view: memoryview) -> int:
        if self.before_wait is not None:
            self.before_wait()
        self.flush()
        started = time.monotonic() if self.watch is not None else 0.0
        count = self.wire.receive_into(view, Deadline(self._stall, "data"))
        if not count:
            raise ConnectionLost(self._where_it_ended())
        if self.watch is not None:
            self.watch(count, time.monotonic() - started)
        return count

    def _wait_idle(self, deadline: Deadline) -> None:
        """Waits for the next message's first byte; after a moment without one the buffer's memory goes back."""
        left = deadline.remaining()
        if self.wire.readable(_IDLE_SECONDS if left is None else min(left, _IDLE_SECONDS)):
            return
        self.connection.buffer.release()
        if not self.wire.readable(deadline.remaining()):
            raise deadline.expired()

    def _where_it_ended(self) -> str:
        state = self.connection.incoming
        if state in (State.DATA, State.CONTENT):
            return f"the peer closed it with {self.connection.incoming_payload} bytes of a payload missing"
        if len(self.connection.buffer):
            return "the peer closed it in the middle of a header"
        if state is State.TRAILER:
            return "the peer closed it before a trailer"
        if state is State.GREETING:
            return "the peer closed it without a greeting; is it an ftpsvc server?"
        return "the peer closed it"

    # ------------------------------------------------------------ sending

    def queue(self, data: bytes) -> None:
        """Takes a message to be sent with what follows: at the latest before anything is waited for.

        Raises:
            As `flush`.
        """
        self._outbox += data
        if len(self._outbox) >= _COALESCE:
            self.flush()

    def flush(self) -> None:
        """Sends what was queued.

        While the payload of an answer is unread, a client sends only what the server takes at once, and keeps the
        rest: the server reads no request before it got rid of that payload.

        Raises:
            ConnectionLost: The connection is gone.
            TransferTimeout: The peer took nothing for the stall time.
            FtpsvcError: The server's own reason for closing, where it gave one (client only).
        """
        if self._outbox:
            data, self._outbox = self._outbox, bytearray()
            rest = self._send(memoryview(data))
            if rest:
                self._outbox = bytearray(rest)

    def send_payload(self, view: memoryview) -> None:
        """Sends payload, with what was queued before it.

        Raises:
            As `flush`.
            LocalProtocolError: The payload of an answer is unread, and both sides would wait for each other.
        """
        if len(view) <= SMALL_BUFFER_BYTES:
            self._outbox += view
            self.connection.payload_sent(len(view))
            if len(self._outbox) >= _COALESCE:
                self.flush()
            return
        self.flush()
        if self._outbox or self._send(view):
            raise LocalProtocolError("payload is sent while the payload of an answer is unread")
        self.connection.payload_sent(len(view))

    def send_zeros(self, count: int) -> None:
        """Sends `count` zero bytes in place of payload that cannot be had.

        Raises:
            As `flush`.
        """
        while count:
            piece = memoryview(_ZEROS)[: min(count, len(_ZEROS))]
            self.send_payload(piece)
            count -= len(piece)

    def send_file(self, descriptor: int, offset: int, count: int, path: str) -> None:
        """Sends payload straight from a file, without a copy through this process.

        Args:
            descriptor: The open file.
            offset: Where to start, in bytes.
            count: How many bytes to send.
            path: The remote path, for the error's text.

        Raises:
            ReadFailed: The file ended early or the disk failed: `connection.outgoing_payload` bytes are still owed.
            As `flush`.
        """
        self.flush()
        end = offset + count
        while offset < end:
            started = time.monotonic() if self.watch is not None else 0.0
            try:
                done = self.wire.send_file(descriptor, offset, min(end - offset, 1 << 30), self._stall)
            except OSError as error:
                raise ReadFailed(path, reason(error)) from None
            if not done:
                raise ReadFailed(path, "it became shorter while it was sent")
            self.connection.payload_sent(done)
            offset += done
            self._watch_sending(done, started, left=end - offset)

    def _send(self, view: memoryview) -> memoryview:
        """Sends `view` and returns what the peer cannot take before we have read: nothing, but for `flush`'s case."""
        try:
            if not self._listens:
                return self._send_patiently(view)
            if len(self.connection.unanswered) > 1 or self._payload_first():
                return self._send_listening(view)
            # Nothing but the answer to this very request can come: no two `sendall` can block each other.
            for start in range(0, len(view), _SEND_PIECE):
                self._look()
                piece = view[start : start + _SEND_PIECE]
                self.wire.send_all(piece, self._stall)
            return view[len(view) :]
        except ConnectionLost as lost:
            if self.wire.send_failed:
                raise self._learn_why(lost) from None
            raise

    def _send_patiently(self, view: memoryview) -> memoryview:
        # Not `send_all`, whose time is for all of it: here every bit of progress starts the time anew.
        while view:
            started = time.monotonic() if self.watch is not None else 0.0
            done = self.wire.send(view, self._stall)
            view = view[done:]
            self._watch_sending(done, started, left=len(view))
        return view

    def _watch_sending(self, done: int, started: float, left: int) -> None:
        try:
            if self.watch is not None:
                self.watch(done, time.monotonic() - started)
        except TransferTimeout:
            if left:  # a message is half sent; where nothing is left, the reason can still follow
                self.wire.send_failed = True
            raise

    def _send_listening(self, view: memoryview) -> memoryview:
        """Sends while reading whatever comes: answers that nobody reads would block the server, and then us."""
        while view:
            deaf = self._payload_first()
            held = not deaf and self.wire.pending()
            seconds = 0.0 if deaf or held else self._stall
            readable, writable = self.wire.ready(read=not deaf, seconds=seconds)
            readable = readable or held
            if readable:
                self._take_in()
            if writable:
                view = view[self.wire.send_ready(view, self._stall) :]
            elif deaf:
                break
            elif not readable:
                raise self.wire.refused(self._stall)
        return view

    def _look(self) -> None:
        """Takes in what the server said meanwhile, so that a refusal stops an upload at once."""
        if self.connection.unanswered and not self._payload_first() and self.wire.readable(0):
            self._take_in()

    def _take_in(self) -> None:
        """Receives once and keeps the events; an error that closes the connection is raised at once.

        Raises:
            FtpsvcError: The server's reason for closing.
            ConnectionLost: It closed without one.
        """
        buffer = self.connection.buffer
        count = self.wire.receive_ready(buffer.writable(), Deadline(self._stall, "an answer"))
        if count is None:
            return
        buffer.filled(count)
        ended = self._keep_events()
        if ended is not None:
            raise ended
        if not count:
            raise ConnectionLost(self._where_it_ended())

    def _keep_events(self) -> FtpsvcError | None:
        """Keeps the events that are complete for `receive_event`; returns the server's reason for closing, if any."""
        while (event := self.connection.next_event()) is not None:
            ended = _fatal(event)
            if ended is not None:
                return ended
            self._events.append(event)
            if (
                isinstance(event, ResponseReceived)
                and type(event.request).payload_answer
                and event.error is None
            ):
                # Also when it is empty: who takes this answer looks for its payload, and must not find the next one's.
                self._announced = True
                break
        return None

    def _learn_why(self, lost: ConnectionLost) -> FtpsvcError:
        """Returns the server's own reason for closing if it still can be read, else `lost`."""
        if not self._listens:
            return lost
        deadline = Deadline(2.0, "the reason")
        buffer = self.connection.buffer
        try:
            while not self._payload_first() and self.connection.incoming is not State.CLOSED:
                ended = self._keep_events()
                if ended is not None:
                    return ended
                count = self.wire.receive_into(buffer.writable(), deadline)
                if not count:
                    return lost
                buffer.filled(count)
        except FtpsvcError:
            return lost
        return lost

    # ------------------------------------------------------------ the end

    def interrupt(self) -> None:
        """Wakes the thread that owns the channel: it sees the end of the connection. May be called from any thread."""
        self.wire.interrupt()

    def stop_reading(self) -> None:
        """Makes the owner see the peer's end at its next read, while it can still say goodbye. From any thread."""
        self.wire.stop_reading()

    def linger(self, seconds: float) -> None:
        """Ends our direction and reads on for a moment, so that the peer can read our last message, then closes.

        Closing with unread bytes in the receive queue would reset the connection, and the reset may overtake the
        message (RFC 1122 section 4.2.2.13).
        """
        deadline = Deadline(seconds, "the peer's end")
        self._stall = min(self._stall, seconds)
        try:
            self.flush()
            self.wire.finish(deadline)
        except (OSError, FtpsvcError):
            pass
        finally:
            self.close()

    def close(self) -> None:
        """Closes the socket. What was queued and not flushed is dropped. May be called more than once."""
        self.wire.close()


def _fatal(event: Event) -> FtpsvcError | None:
    if isinstance(event, ServerClosing):
        return event.error
    if isinstance(event, ResponseReceived) and event.error is not None and event.error.fatal:
        return event.error
    return None
