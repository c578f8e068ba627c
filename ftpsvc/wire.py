"""A connected socket, plain or TLS: how to wait for it, and what its errors mean. Knows nothing of the protocol.

This is the one place where an OSError of a connection becomes one of our errors, and where TLS makes a difference.
"""

from __future__ import annotations

import contextlib
import os
import select
import socket
import sys

from ftpsvc.deadline import Deadline
from ftpsvc.exceptions import ConnectionLost, TransferTimeout

_SCRATCH_BYTES = 64 * 1024
_SLICE = 0.5 if sys.platform == "win32" else None
"""Seconds that one call may wait. Windows does not wake a waiting call for Ctrl-C: Python acts on it in between."""


class Wire:
    """Owns a connected socket: `close` closes it. One thread at a time, but for the methods that say otherwise.

    Attributes:
        encrypted: Whether TLS lies between us and the network.
        sent: Bytes handed to the socket so far.
        received: Bytes taken from the socket so far.
        send_failed: Whether a send failed: the peer may have half a message, so nothing can follow it.
        can_send_file: Whether `send_file` can be used: the kernel can, and nothing encrypts in between.
    """

    def __init__(self, sock: socket.socket, *, slice_seconds: float | None = _SLICE) -> None:
        """Takes over a connected socket.

        Args:
            sock: The socket; its time-out is set by the wire from now on.
            slice_seconds: How long one call of the system may wait, so that an interrupt is noticed; None is for ever.
        """
        self.encrypted = type(sock) is not socket.socket
        self.sent = 0
        self.received = 0
        self.send_failed = False
        self.can_send_file = hasattr(os, "sendfile") and not self.encrypted
        self._socket = sock
        self._timeout: float | None = -1.0
        self._slice = slice_seconds
        self._deaf = False
        self._closed = False

    # ------------------------------------------------------------ receiving

    def receive_into(self, view: memoryview, deadline: Deadline) -> int:
        """Waits for bytes and returns how many came; 0 is the peer's end.

        Raises:
            TransferTimeout: Nothing came in time.
            ConnectionLost: The connection broke.
        """
        while True:
            left = deadline.remaining()
            if self._deaf and self.encrypted:
                # OpenSSL takes an end without close_notify for an attack, and would send nothing more: not even a
                # goodbye.
                return 0
            try:
                self._set_timeout(self._sliced(left))
                count = self._socket.recv_into(view)
            except TimeoutError:
                continue  # a slice is over, or all of it, which the deadline says
            except OSError as error:
                raise ConnectionLost(reason(error)) from None
            self.received += count
            return count

    def receive_ready(self, view: memoryview, deadline: Deadline) -> int | None:
        """Returns what `readable` promised: how many bytes came, 0 for the peer's end; None where nothing came of it.

        What a poll sees of TLS may be half a record, or one that is TLS's own.

        Raises:
            As `receive_into`.
        """
        if not self.encrypted:
            return self.receive_into(view, deadline)
        from ssl import SSLWantReadError, SSLWantWriteError

        self._set_timeout(0.0)
        try:
            count = self._socket.recv_into(view)
        except (SSLWantReadError, SSLWantWriteError):
            return None
        except OSError as error:
            raise ConnectionLost(reason(error)) from None
        self.received += count
        return count

    def readable(self, seconds: float | None) -> bool:
        """Returns whether there is something to receive, after waiting for it; None waits for ever."""
        return self.pending() or self._ready(read=True, write=False, seconds=seconds)[0]

    def pending(self) -> bool:
        """Returns whether TLS holds bytes that no poll can see."""
        return self.encrypted and self._socket.pending() > 0  # type: ignore[attr-defined]  # an SSLSocket has it

    def ready(self, *, read: bool, seconds: float) -> tuple[bool, bool]:
        """Returns whether it can be read from, if that is asked, and written to, after waiting for one of them."""
        return self._ready(read=read, write=True, seconds=seconds)

    def _ready(self, *, read: bool, write: bool, seconds: float | None) -> tuple[bool, bool]:
        deadline = Deadline(seconds, "")
        while True:
            part = self._sliced(seconds)
            found = _ready(self._socket, read=read, write=write, seconds=part)
            if any(found) or part == seconds:
                return found
            try:
                seconds = deadline.remaining()
            except TransferTimeout:
                return found

    def _sliced(self, seconds: float | None) -> float | None:
        """Returns how long one call may wait of a wait of so many seconds."""
        if self._slice is None:
            return seconds
        return self._slice if seconds is None else min(seconds, self._slice)

    # ------------------------------------------------------------ sending

    def send(self, view: memoryview, seconds: float) -> int:
        """Sends what the peer takes, at least a byte, and returns how much that was.

        Raises:
            TransferTimeout: The peer took nothing for so many seconds.
            ConnectionLost: The connection broke.
        """
        deadline = Deadline(seconds, "")
        while True:
            try:
                self._set_timeout(self._sliced(deadline.remaining()))
                done = self._socket.send(view)
            except TransferTimeout:
                raise self.refused(seconds) from None
            except TimeoutError:
                continue  # a slice is over, or all of it, which the deadline says
            except OSError as error:
                raise self._failed(error) from None
            self.sent += done
            return done

    def send_all(self, view: memoryview, seconds: float) -> None:
        """Sends all of `view`.

        Raises:
            TransferTimeout: The peer did not take it within so many seconds.
            ConnectionLost: The connection broke.
        """
        if self._slice is not None:  # sendall does not say how far it came when a slice was over
            while view:
                view = view[self.send(view, seconds) :]
            return
        try:
            self._set_timeout(seconds)
            self._socket.sendall(view)
        except TimeoutError:
            raise self.refused(seconds) from None
        except OSError as error:
            raise self._failed(error) from None
        self.sent += len(view)

    def send_ready(self, view: memoryview, seconds: float) -> int:
        """Sends what a socket takes that can be written to; returns how many bytes that is, possibly none.

        Raises:
            As `send`.
        """
        if not self.encrypted:
            return self.send(view, seconds)
        # TLS sends whole records: waiting until one has left would be a time in which nothing is read.
        # What is left of a record goes out first when the same bytes are sent again, as they are.
        from ssl import SSLWantReadError, SSLWantWriteError

        try:
            self._set_timeout(0.0)
            done = self._socket.send(view)
        except (SSLWantReadError, SSLWantWriteError):
            return 0
        except OSError as error:
            raise self._failed(error) from None
        self.sent += done
        return done

    def send_file(self, descriptor: int, offset: int, count: int, seconds: float) -> int:
        """Sends up to `count` bytes from a file, without a copy through this process; returns how many; 0 at its end.

        Raises:
            TransferTimeout: The peer took nothing for so many seconds.
            ConnectionLost: The connection broke.
            OSError: The file could not be read.
        """
        self._set_timeout(seconds)
        while True:
            try:
                done = os.sendfile(self._socket.fileno(), descriptor, offset, count)
            except BlockingIOError:
                if not self.ready(read=False, seconds=seconds)[1]:
                    raise self.refused(seconds) from None
            except (ConnectionError, TimeoutError) as error:
                self.send_failed = True
                raise ConnectionLost(reason(error)) from None
            else:
                self.sent += done
                return done

    def refused(self, seconds: float) -> TransferTimeout:
        """Notes that the peer took nothing for so many seconds, and returns the error that says so."""
        self.send_failed = True
        return TransferTimeout("the peer to take data", seconds)

    def _failed(self, error: OSError) -> ConnectionLost:
        self.send_failed = True
        return ConnectionLost(reason(error))

    def _set_timeout(self, seconds: float | None) -> None:
        if seconds != self._timeout:
            self._socket.settimeout(seconds)
            self._timeout = seconds

    # ------------------------------------------------------------ the end

    def interrupt(self) -> None:
        """Wakes the thread that owns it: it sees the end of the connection. May be called from any thread."""
        with contextlib.suppress(OSError):
            _shut_down(self._socket, socket.SHUT_RDWR)

    def stop_reading(self) -> None:
        """Makes the owner see the peer's end at its next read, while it can still say goodbye. From any thread."""
        self._deaf = True
        with contextlib.suppress(OSError):
            _shut_down(self._socket, socket.SHUT_RD)

    def finish(self, deadline: Deadline) -> None:
        """Ends our direction, and drops what still comes until the peer ends its own or the time is up.

        Raises:
            OSError: The connection broke.
            TransferTimeout: The time is up.
        """
        if self.encrypted:
            self._close_notify(deadline)
        _shut_down(self._socket, socket.SHUT_WR)
        scratch = memoryview(bytearray(_SCRATCH_BYTES))
        while _ready(self._socket, read=True, write=False, seconds=deadline.remaining())[0]:
            # The bare socket's own: what still comes is not deciphered, only taken out of the queue.
            if not socket.socket.recv_into(self._socket, scratch):
                break

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
        """Closes the socket. May be called more than once."""
        if not self._closed:
            self._closed = True
            with contextlib.suppress(OSError):
                self._socket.close()


def _shut_down(sock: socket.socket, how: int) -> None:
    """Shuts down the bare socket.

    That of an SSLSocket first forgets its TLS: whoever is just about to send through it would send plain text.
    """
    socket.socket.shutdown(sock, how)


def _ready(sock: socket.socket, *, read: bool, write: bool, seconds: float | None) -> tuple[bool, bool]:
    """Returns whether a socket can be read from and written to, after waiting for one of them; None waits for ever."""
    if (
        sock.fileno() < 0
    ):  # closed by its owner: the call that follows says so, where `poll` would raise ValueError
        return read, write
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


def reason(error: OSError) -> str:
    """Returns the system's words for an error, without numbers or paths; or those of TLS."""
    said = getattr(error, "reason", None)
    if isinstance(said, str) and said:  # an SSLError, whose strerror names a file of its source
        return f"TLS: {said.replace('_', ' ').lower()}"
    return error.strerror or type(error).__name__
