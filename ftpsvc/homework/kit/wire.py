"""A connection to a server that is judged: everything has a deadline and a bound, and what was sent is remembered."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from typing import Final

from ftpsvc.homework.kit.findings import Garbled, Gone, Hung

MOST: Final = 64 << 20
"""Bytes that are read of one connection: who sends more floods."""


class Wire:
    """One connection. Close it, or use it as a context manager.

    Args:
        connection: It belongs to the wire from now on.
        patience: Seconds that the server may take for whatever it has to say or to read next.
        drained: Waits until the server has read what was sent on a connection; False when it did not in time.
    """

    def __init__(
        self, connection: socket.socket, patience: float, drained: Callable[[socket.socket], bool]
    ) -> None:
        self._socket = connection
        self._patience = patience
        self._drained = drained
        self._received = 0
        self.sent = ""
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

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
        self._socket.settimeout(self._patience)
        try:
            self._socket.sendall(data)
        except TimeoutError:
            raise Hung(
                "the server to read what is sent", f"it hangs: it read nothing for {self._patience:g} s"
            ) from None
        except OSError as error:
            raise Gone("the server to read what is sent", _closed(error)) from error

    def dribble(self, data: bytes, what: str) -> None:
        """Sends every byte by itself: the next one when the server has taken the one before it."""
        for number in range(len(data)):
            self.send(data[number : number + 1], what)
            if not self._drained(self._socket):
                raise Hung(
                    "the server to read what is sent", f"it hangs: it read nothing for {self._patience:g} s"
                )

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
        self._received += count
        if self._received > MOST:
            raise Garbled(what, f"more than {MOST >> 20} MiB on one connection: it floods")
        data = bytearray()
        deadline = time.monotonic() + self._patience
        while len(data) < count:
            self._socket.settimeout(max(0.001, deadline - time.monotonic()))
            try:
                piece = self._socket.recv(min(count - len(data), 1 << 18))
            except TimeoutError:
                part = f", but {len(data)} of {count} bytes" if data else ""
                raise Hung(what, f"it hangs: nothing came for {self._patience:g} s{part}") from None
            except OSError as error:
                raise Gone(what, _closed(error)) from error
            if not piece:
                part = f" after {len(data)} of {count} bytes" if data else ""
                raise Gone(what, f"it closed the connection{part}")
            data += piece
            if len(data) % (1 << 20) == 0:
                deadline = time.monotonic() + self._patience
        return bytes(data)


def _closed(error: OSError) -> str:
    return f"it closed the connection ({error.strerror or error})"
