"""A relay in front of a server that counts what passes, and cuts after so many bytes."""

from __future__ import annotations

import contextlib
import socket
import threading
from types import TracebackType
from typing import Self


class Relay:
    """Stands between clients and `ftpsvc+tcp://HOST:PORT`; a context manager.

    Attributes:
        up: Bytes that clients sent. down: bytes that the server sent.
        cut_after: Bytes in both directions after which connections are cut; None never.
    """

    def __init__(self, url: str) -> None:
        host, port = url.rpartition("//")[2].split(":")
        self._target = (host, int(port))
        self.up = self.down = 0
        self.cut_after: int | None = None
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._open: list[socket.socket] = []
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    @property
    def url(self) -> str:
        """What clients connect to."""
        return f"ftpsvc+tcp://127.0.0.1:{self._listener.getsockname()[1]}"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._cut(self._open)
        for thread in self._threads:
            thread.join()

    def reset(self) -> None:
        """Counts anew."""
        self.up = self.down = 0

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            server = socket.create_connection(self._target)
            self._open += [client, server]
            for one, other, upwards in ((client, server, True), (server, client, False)):
                thread = threading.Thread(target=self._pump, args=(one, other, upwards))
                self._threads.append(thread)
                thread.start()

    def _pump(self, one: socket.socket, other: socket.socket, upwards: bool) -> None:
        buffer = memoryview(bytearray(1 << 18))
        with contextlib.suppress(OSError):
            while count := one.recv_into(buffer):
                if upwards:
                    self.up += count
                else:
                    self.down += count
                other.sendall(buffer[:count])
                if self.cut_after is not None and self.up + self.down >= self.cut_after:
                    break
        self._cut([one, other])

    def _cut(self, sockets: list[socket.socket]) -> None:
        for sock in sockets:
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
