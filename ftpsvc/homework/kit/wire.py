"""A connection to a server that is judged: everything has a deadline and a bound, and what was sent is remembered."""

from __future__ import annotations

import socket
import ssl
import time
from collections.abc import Callable
from typing import Final

from ftpsvc.homework.kit.declared import FILE
from ftpsvc.homework.kit.findings import Garbled, Gone, Hung
from ftpsvc.homework.kit.said import Said, said

MOST: Final = 64 << 20
"""Bytes that are read of one connection: who sends more floods."""

_PIECE: Final = 1 << 20


class Wire:
    """One connection. Close it, or use it as a context manager.

    Args:
        connection: It belongs to the wire from now on.
        patience: Seconds that the server may take for whatever it has to say or to read next.
        drained: Waits until the server has read what was sent on a connection; False when it did not in time.

    Attributes:
        sent: What was sent last, for the report.
        record: All pieces that are sent from now on, where somebody put a list here.
    """

    def __init__(
        self, connection: socket.socket, patience: float, drained: Callable[[socket.socket], bool]
    ) -> None:
        self._socket = connection
        self._patience = patience
        self._drained = drained
        self._received = 0
        self.sent = ""
        self.record: list[bytes] | None = None
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def encrypt(self) -> None:
        """Goes on by TLS, with whatever certificate the server has: nothing here needs to be kept from anybody.

        Raises:
            Fault: The server does not.
        """
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        self._socket.settimeout(self._patience)
        expected = said("TLS, as {file} says", file=FILE)
        try:
            self._socket = context.wrap_socket(self._socket)
        except TimeoutError:
            raise Hung(expected, _silent(self._patience)) from None
        except OSError as error:
            raise Gone(expected, _closed(error)) from error

    def close(self) -> None:
        """Closes the connection."""
        self._socket.close()

    def send(self, data: bytes, what: str) -> None:
        """Sends all of it.

        Args:
            data: The bytes.
            what: What that is, for the report.

        Raises:
            Hung: The server does not read.
            Gone: The server closed.
        """
        self.sent = what
        if self.record is not None:
            self.record.append(data)
        self._socket.settimeout(self._patience)
        left = memoryview(data)
        try:
            while True:  # patience is for each piece, not for all of a large content
                self._socket.sendall(left[:_PIECE])
                left = left[_PIECE:]
                if not left:
                    break
        except TimeoutError:
            raise self._unread() from None
        except OSError as error:
            raise Gone(said("the server to read what is sent"), _closed(error)) from error

    def dribble(self, data: bytes, what: str) -> None:
        """Sends every byte by itself: the next one when the server has taken the one before it."""
        for number in range(len(data)):
            self.send(data[number : number + 1], what)
            if not self._drained(self._socket):
                raise self._unread()

    def wait_until_read(self) -> None:
        """Waits until the server has taken all that was sent, or a while."""
        self._drained(self._socket)

    def end(self) -> None:
        """Tells the server that nothing more will come, and reads on what it says."""
        try:
            self._socket.shutdown(socket.SHUT_WR)
        except OSError as error:
            raise Gone("an open connection", _closed(error)) from error

    def exactly(self, count: int, what: str) -> bytes:
        """Reads so many bytes.

        Args:
            count: How many.
            what: What they are: "the greeting", for the report.

        Raises:
            Hung: They did not come in time.
            Gone: The connection ended before them.
            Garbled: That is more than any server has to say.
        """
        self._count(count, what)
        data = bytearray()
        deadline = time.monotonic() + self._patience
        while len(data) < count:
            piece = self._some(min(count - len(data), 1 << 18), deadline, what, len(data), count)
            data += piece
            if len(data) % (1 << 20) == 0:
                deadline = time.monotonic() + self._patience
        return bytes(data)

    def some(self, most: int, what: str) -> bytes:
        """Reads what comes, at least one byte: an answer without a frame is what one `recv` returns.

        Args:
            most: Bytes at the most.
            what: What they are (errors: `exactly`).
        """
        data = self._some(most, time.monotonic() + self._patience, what, 0, 1)
        self._count(len(data), what)
        return data

    def _some(self, most: int, deadline: float, what: str, have: int, count: int) -> bytes:
        self._socket.settimeout(max(0.001, deadline - time.monotonic()))
        try:
            piece = self._socket.recv(most)
        except TimeoutError:
            seen: str = _silent(self._patience)
            if have:
                seen = said("{seen}, but {have} of {count} bytes", seen=seen, have=have, count=count)
            raise Hung(what, seen) from None
        except OSError as error:
            raise Gone(what, _closed(error)) from error
        if not piece:
            if have:
                seen = said("it closed the connection after {have} of {count} bytes", have=have, count=count)
            else:
                seen = said("it closed the connection")
            raise Gone(what, seen)
        return piece

    def _count(self, count: int, what: str) -> None:
        self._received += count
        if self._received > MOST:
            raise Garbled(
                what, said("more than {number} MiB on one connection: it floods", number=MOST >> 20)
            )

    def _unread(self) -> Hung:
        return Hung(
            said("the server to read what is sent"),
            said("it hangs: it read nothing for {seconds:g} s", seconds=self._patience),
        )


def _silent(patience: float) -> Said:
    return said("it hangs: nothing came for {seconds:g} s", seconds=patience)


def _closed(error: OSError) -> Said:
    return said("it closed the connection ({reason})", reason=error.strerror or error)
