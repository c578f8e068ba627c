"""Between a blocking socket and `protocol.Connection`: who waits, for how long, and what an OSError means.

Both sides use it. One thread owns a channel at a time. Source: docs/protocol.md sections 3.3 (pipelining), 3.5
(time-outs) and 8 (transports).
"""

from __future__ import annotations

import contextlib
import os
import select
import socket
import threading
import time
from collections import deque
from collections.abc import Callable, Generator, Iterator

from ftpsvc.exceptions import ConnectionLost, FtpsvcError, LocalProtocolError, ReadFailed, TransferTimeout
from ftpsvc.protocol.connection import Connection, Event, ResponseReceived, ServerClosing
from ftpsvc.protocol.state import Role, State

BUFFER_BYTES = 1 << 20
"""A transfer's buffer. Filled completely before it is hashed and written: 1 GiB then takes 0.6 times what it takes
when every receive is hashed as it comes (docs/design.md, "Buffers")."""

_SMALL_BUFFER = 64 * 1024
_SMALL_PAYLOAD = 128 * 1024
"""Payloads up to this are handed on where they were received, in the connection's own buffer."""
_SEND_PIECE = 256 * 1024
"""One `sendall` of a client moves this much at most, so that its time-out means 4 KiB/s and not 17."""
_COALESCE = 64 * 1024
_IDLE_SECONDS = 0.2
_ZEROS = bytes(_SMALL_BUFFER)


class Deadline:
    """A point in time by which a phase has to be over.

    Attributes:
        seconds: The time allowed; None is no limit.
        phase: What is being waited for, for the error's text.
    """

    __slots__ = ("_end", "phase", "seconds")

    def __init__(self, seconds: float | None, phase: str) -> None:
        self.seconds = seconds
        self.phase = phase
        self._end = None if seconds is None else time.monotonic() + seconds

    def remaining(self) -> float | None:
        """Returns the seconds left, always more than 0, or None without a limit.

        Raises:
            TransferTimeout: None are left.
        """
        if self._end is None:
            return None
        left = self._end - time.monotonic()
        if left <= 0:
            raise self.expired()
        return left

    def expired(self) -> TransferTimeout:
        """Returns the error that says so."""
        return TransferTimeout(self.phase, self.seconds or 0)


class BufferPool:
    """Transfer buffers that are lent for the length of a payload. Thread-safe.

    Nobody ever waits for one: who comes when all are lent gets a small buffer of its own, so that slow peers,
    which keep theirs for long, delay nobody.
    """

    def __init__(self, limit: int = 64) -> None:
        self._lock = threading.Lock()
        self._left = limit
        self._free: list[bytearray] = []

    @contextlib.contextmanager
    def borrow(self, size: int = BUFFER_BYTES) -> Iterator[memoryview]:
        """Lends a buffer for `size` bytes of payload. Its content is anything.

        Its length is `BUFFER_BYTES`, less where the payload is shorter, and 64 KiB at most when all are lent.
        """
        with self._lock:
            large = size > _SMALL_BUFFER and self._left > 0
            if large:
                self._left -= 1
            buffer = self._free.pop() if large and self._free else None
        if buffer is None:
            buffer = bytearray(BUFFER_BYTES if large else max(1, min(size, _SMALL_BUFFER)))
        view = memoryview(buffer)
        try:
            yield view
        finally:
            view.release()
            if large:
                with self._lock:
                    self._left += 1
                    if not self._free:  # one is kept for the next transfer, the rest goes back to the system
                        self._free.append(buffer)


class Channel:
    """A connected socket that speaks the protocol. Owns the socket: `close` closes it.

    Attributes:
        connection: The protocol's state.
        sent: Bytes handed to the socket so far.
        received: Bytes taken from the socket so far.
        send_failed: Whether a send failed: the peer may have half a message, so nothing can follow it.
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
        self.sent = 0
        self.received = 0
        self.send_failed = False
        self.watch: Callable[[int, float], object] | None = None
        self._socket = sock
        self._stall = stall
        self._header = header
        self._outbox = bytearray()
        self._events: deque[Event] = deque()
        self._announced = False
        self._lent = False
        self._closed = False
        self._timeout: float | None = -1.0
        self._tls = type(sock) is not socket.socket
        self._deaf = False
        # A client looks whether the server has refused while it still sends; a server's peer has nothing to say then.
        self._listens = connection.role is Role.CLIENT

    @property
    def encrypted(self) -> bool:
        """Whether TLS lies between the channel and the network."""
        return self._tls

    # ------------------------------------------------------------ receiving

    def receive_event(self, wait: float | None, phase: str) -> Event | None:
        """Returns the next event, or None when the peer ended the connection where it may, or said its last word.

        What was queued is sent before anything is waited for. When that fails, answers that came before can still be
        received.

        Args:
            wait: Seconds until the first byte of the next header must be there; None is no limit.
            phase: What is being waited for, for the error's text.

        Raises:
            RemoteProtocolError: The peer broke the protocol.
            ConnectionLost: The peer ended the connection in the middle of a message, or owing an answer.
            TransferTimeout: Nothing came in time, or a header took longer than it may.
            LocalProtocolError: A payload is under way: it comes first.
        """
        connection, buffer = self.connection, self.connection.buffer
        idle = Deadline(wait, phase)
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
            self.flush()
            if self._events:  # what came while we sent
                continue
            if connection.incoming is State.CLOSED:
                return None
            if len(buffer):
                # From its first byte on a header has its own time, whatever dribbles in (CASES C57).
                header = header or Deadline(self._header, "the rest of a header")
            else:
                self._wait_idle(idle)
            count = self._receive_into(buffer.writable(), header or idle)
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

        Each piece is valid until the next is asked for. A caller that stops early must `drain` before it goes on.

        Raises:
            ConnectionLost: The peer ended the connection before the payload's end.
            TransferTimeout: Nothing came for the stall time.
        """
        connection, buffer = self.connection, self.connection.buffer
        due = connection.incoming_payload
        if due <= _SMALL_PAYLOAD:
            buffer.expect(due)
            while len(buffer) < due:
                # Whole buffers, not just the payload: the trailer and the next messages come with it.
                buffer.filled(self._receive_payload_into(buffer.writable()))
            if due:
                connection.payload_received(due)
                self._lent = True
                try:
                    yield buffer.peek(due)
                finally:  # also when the caller stops early: what was counted must be gone
                    self._lent = False
                    buffer.discard(due)
            return
        with pool.borrow() as scratch:
            while due := connection.incoming_payload:
                piece = scratch[: min(due, len(scratch))]
                self._fill(piece)
                connection.payload_received(len(piece))
                yield piece

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
        scratch = memoryview(bytearray(min(_SMALL_BUFFER, connection.incoming_payload)))
        while due := connection.incoming_payload:
            if held := min(due, len(buffer)):
                buffer.discard(held)
                connection.payload_received(held)
            else:
                connection.payload_received(self._receive_payload_into(scratch[: min(due, len(scratch))]))
        return True

    def _fill(self, piece: memoryview) -> None:
        buffer = self.connection.buffer
        done = min(len(buffer), len(piece))
        if done:
            piece[:done] = buffer.peek(done)
            buffer.discard(done)
        while done < len(piece):
            done += self._receive_payload_into(piece[done:])

    def _payload_first(self) -> bool:
        """Returns whether what comes next from the peer is no message, or lies in the buffer and may not be moved."""
        return self._lent or self.connection.incoming_payload > 0 or self._announced

    def _receive_payload_into(self, view: memoryview) -> int:
        self.flush()
        started = time.monotonic() if self.watch is not None else 0.0
        count = self._receive_into(view, Deadline(self._stall, "data"))
        if not count:
            raise ConnectionLost(self._where_it_ended())
        if self.watch is not None:
            self.watch(count, time.monotonic() - started)
        return count

    def _receive_into(self, view: memoryview, deadline: Deadline) -> int:
        left = deadline.remaining()
        if self._deaf and self._tls:
            # OpenSSL takes an end without close_notify for an attack, and would send nothing more: not even a goodbye.
            return 0
        try:
            self._set_timeout(left)
            count = self._socket.recv_into(view)
        except TimeoutError:
            raise deadline.expired() from None
        except OSError as error:
            raise ConnectionLost(_reason(error)) from None
        self.received += count
        return count

    def _wait_idle(self, deadline: Deadline) -> None:
        """Waits for the next message's first byte; after a moment without one the buffer's memory goes back."""
        left = deadline.remaining()
        if self._readable(_IDLE_SECONDS if left is None else min(left, _IDLE_SECONDS)):
            return
        self.connection.buffer.release()
        if not self._readable(deadline.remaining()):
            raise deadline.expired()

    def _readable(self, seconds: float | None) -> bool:
        return self._pending() or _ready(self._socket, read=True, write=False, seconds=seconds)[0]

    def _pending(self) -> bool:
        """Returns whether TLS holds bytes that no poll can see."""
        return self._tls and self._socket.pending() > 0  # type: ignore[attr-defined]  # an SSLSocket has it

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
        if len(view) <= _SMALL_BUFFER:
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

    def can_send_file(self) -> bool:
        """Returns whether `send_file` can be used: the kernel can, and nothing encrypts in between."""
        return hasattr(os, "sendfile") and type(self._socket) is socket.socket

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
        out = self._socket.fileno()
        end = offset + count
        self._set_timeout(self._stall)
        started = 0.0
        while offset < end:
            if self.watch is not None:
                started = started or time.monotonic()
            try:
                done = os.sendfile(out, descriptor, offset, min(end - offset, 1 << 30))
            except BlockingIOError:
                if not _ready(self._socket, read=False, write=True, seconds=self._stall)[1]:
                    self.send_failed = True
                    raise TransferTimeout("the peer to take data", self._stall) from None
                continue
            except (ConnectionError, TimeoutError) as error:
                self.send_failed = True
                raise ConnectionLost(_reason(error)) from None
            except OSError as error:
                raise ReadFailed(path, _reason(error)) from None
            if not done:
                raise ReadFailed(path, "it became shorter while it was sent")
            self.sent += done
            self.connection.payload_sent(done)
            offset += done
            if self.watch is not None:
                self._watch_sending(done, started)
                started = 0.0

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
                self._set_timeout(self._stall)
                self._socket.sendall(piece)
                self.sent += len(piece)
            return view[len(view) :]
        except TimeoutError:
            self.send_failed = True
            raise TransferTimeout("the peer to take data", self._stall) from None
        except OSError as error:
            self.send_failed = True
            raise self._learn_why(ConnectionLost(_reason(error))) from None

    def _send_patiently(self, view: memoryview) -> memoryview:
        # Not sendall, whose time-out is for all of it: here every bit of progress starts the time anew.
        self._set_timeout(self._stall)
        while view:
            started = time.monotonic() if self.watch is not None else 0.0
            done = self._socket.send(view)
            self.sent += done
            view = view[done:]
            if self.watch is not None:
                self._watch_sending(done, started)
        return view

    def _watch_sending(self, done: int, started: float) -> None:
        try:
            if self.watch is not None:
                self.watch(done, time.monotonic() - started)
        except TransferTimeout:
            self.send_failed = True  # a message may be half sent
            raise

    def _send_listening(self, view: memoryview) -> memoryview:
        """Sends while reading whatever comes: answers that nobody reads would block the server, and then us."""
        while view:
            deaf = self._payload_first()
            held = not deaf and self._pending()
            seconds = 0.0 if deaf or held else self._stall
            readable, writable = _ready(self._socket, read=not deaf, write=True, seconds=seconds)
            readable = readable or held
            if readable:
                self._take_in()
            if writable:
                done = self._send_at_once(view)
                self.sent += done
                view = view[done:]
            elif deaf:
                break
            elif not readable:
                raise TimeoutError
        return view

    def _send_at_once(self, view: memoryview) -> int:
        """Sends what a socket takes that can be written to; returns how many bytes that is."""
        if not self._tls:
            self._set_timeout(self._stall)
            return self._socket.send(view)
        # TLS sends whole records: waiting until one has left would be the deafness that this loop is there to avoid.
        # What is left of a record goes out first when the same bytes are sent again, as they are.
        from ssl import SSLWantReadError, SSLWantWriteError

        self._set_timeout(0.0)
        try:
            return self._socket.send(view)
        except (SSLWantReadError, SSLWantWriteError):
            return 0

    def _look(self) -> None:
        """Takes in what the server said meanwhile, so that a refusal stops an upload at once."""
        if self.connection.unanswered and not self._payload_first() and self._readable(0):
            self._take_in()

    def _take_in(self) -> None:
        """Receives once and keeps the events; an error that closes the connection is raised at once.

        Raises:
            FtpsvcError: The server's reason for closing.
            ConnectionLost: It closed without one.
        """
        buffer = self.connection.buffer
        if self._tls:
            # What can be read may be half a record, or one that is TLS's own: then nothing comes of it for now.
            from ssl import SSLWantReadError, SSLWantWriteError

            self._set_timeout(0.0)
            try:
                count = self._socket.recv_into(buffer.writable())
            except (SSLWantReadError, SSLWantWriteError):
                return
            self.received += count
        else:
            count = self._receive_into(buffer.writable(), Deadline(self._stall, "an answer"))
        buffer.filled(count)
        reason = self._keep_events()
        if reason is not None:
            raise reason
        if not count:
            raise ConnectionLost(self._where_it_ended())

    def _keep_events(self) -> FtpsvcError | None:
        """Keeps the events that are complete for `receive_event`; returns the server's reason for closing, if any."""
        while (event := self.connection.next_event()) is not None:
            reason = _fatal(event)
            if reason is not None:
                return reason
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
                reason = self._keep_events()
                if reason is not None:
                    return reason
                count = self._receive_into(buffer.writable(), deadline)
                if not count:
                    return lost
                buffer.filled(count)
        except FtpsvcError:
            return lost
        return lost

    def _set_timeout(self, seconds: float | None) -> None:
        if seconds != self._timeout:
            self._socket.settimeout(seconds)
            self._timeout = seconds

    # ------------------------------------------------------------ the end

    def interrupt(self) -> None:
        """Wakes the thread that owns the channel: it sees the end of the connection. May be called from any thread."""
        with contextlib.suppress(OSError):
            _shut_down(self._socket, socket.SHUT_RDWR)

    def stop_reading(self) -> None:
        """Makes the owner see the peer's end at its next read, while it can still say goodbye. From any thread."""
        self._deaf = True
        with contextlib.suppress(OSError):
            _shut_down(self._socket, socket.SHUT_RD)

    def linger(self, seconds: float) -> None:
        """Ends our direction and reads on for a moment, so that the peer can read our last message, then closes.

        Closing with unread bytes in the receive queue would reset the connection, and the reset may overtake the
        message (RFC 1122 section 4.2.2.13).
        """
        deadline = Deadline(seconds, "the peer's end")
        self._stall = min(self._stall, seconds)
        try:
            self.flush()
            if self._tls:
                self._close_notify(deadline)
            _shut_down(self._socket, socket.SHUT_WR)
            scratch = memoryview(bytearray(_SMALL_BUFFER))
            while _ready(self._socket, read=True, write=False, seconds=deadline.remaining())[0]:
                # The bare socket's own: what still comes is not deciphered, only taken out of the queue.
                if not socket.socket.recv_into(self._socket, scratch):
                    break
        except (OSError, FtpsvcError):
            pass
        finally:
            self.close()

    def _close_notify(self, deadline: Deadline) -> None:
        """Says the end of our direction in TLS. Does not wait for the peer to say the same, as `unwrap` would."""
        from ssl import SSLError, SSLWantReadError, SSLWantWriteError

        self._set_timeout(0.0)
        while True:
            try:
                self._socket.unwrap()  # type: ignore[attr-defined]  # an SSLSocket has it
            except SSLWantWriteError:
                _ready(self._socket, read=False, write=True, seconds=deadline.remaining())
            except SSLWantReadError:
                return  # it is sent; what is missing is the peer's
            except SSLError:
                return  # TLS has ended already, by an error
            else:
                return

    def close(self) -> None:
        """Closes the socket. What was queued and not flushed is dropped. May be called more than once."""
        if not self._closed:
            self._closed = True
            with contextlib.suppress(OSError):
                self._socket.close()


def _shut_down(sock: socket.socket, how: int) -> None:
    """Shuts down the bare socket.

    That of an SSLSocket first forgets its TLS: whoever is just about to send through it would send plain text.
    """
    socket.socket.shutdown(sock, how)


def _fatal(event: Event) -> FtpsvcError | None:
    if isinstance(event, ServerClosing):
        return event.error
    if isinstance(event, ResponseReceived) and event.error is not None and event.error.fatal:
        return event.error
    return None


def _ready(sock: socket.socket, *, read: bool, write: bool, seconds: float | None) -> tuple[bool, bool]:
    """Returns whether a socket can be read from and written to, after waiting for one of them; None waits for ever."""
    if sock.fileno() < 0:
        return (
            read,
            write,
        )  # closed by its owner: the call that follows says so, where `poll` would raise ValueError
    if hasattr(select, "poll"):
        poller = select.poll()  # unlike select(), good for descriptors above 1023
        poller.register(sock.fileno(), (select.POLLIN if read else 0) | (select.POLLOUT if write else 0))
        events = poller.poll(None if seconds is None else max(0, seconds) * 1000)
        state = events[0][1] if events else 0
        failed = bool(state & (select.POLLERR | select.POLLHUP | select.POLLNVAL))
        return read and (failed or bool(state & select.POLLIN)), write and (
            failed or bool(state & select.POLLOUT)
        )
    readers, writers, _ = select.select([sock] if read else [], [sock] if write else [], [], seconds)
    return bool(readers), bool(writers)


def _reason(error: OSError) -> str:
    """Returns the system's words for an error, without numbers or paths; or those of TLS."""
    reason = getattr(error, "reason", None)
    if isinstance(reason, str) and reason:  # an SSLError, whose strerror names a file of its source
        return f"TLS: {reason.replace('_', ' ').lower()}"
    return error.strerror or type(error).__name__
