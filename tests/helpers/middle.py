"""A machine in the middle that relays every message to the real server, under a certificate of its own (C38)."""

import contextlib
import json
import socket
import ssl
import struct
import threading
from collections.abc import Callable, Iterator
from typing import Any

from tests.helpers.certs import client_context, server_context

Header = dict[str, Any]
Rewrite = Callable[[Header], Header]


class Middle:
    """What it saw, and what it is to change. `url` is where clients find it.

    Attributes:
        from_client: Headers that the client sent, deciphered.
        from_server: Headers that the real server sent, as the client got them.
        connections: How many clients connected: a client that was shown something was counted before.
        rewrite: Changes a header of the server on its way to the client.
    """

    def __init__(self, url: str, where: tuple[str, int], context: ssl.SSLContext) -> None:
        self.url = url
        self.from_client: list[Header] = []
        self.from_server: list[Header] = []
        self.connections = 0
        self.rewrite: Rewrite = lambda header: header
        self._where = where
        self._context = context

    def relay(self, client: ssl.SSLSocket) -> None:
        """Passes messages on in turn, until one side ends."""
        server = client_context().wrap_socket(socket.create_connection(self._where))
        with server, client.makefile("rb") as up, server.makefile("rb") as down:
            while True:
                header = self.rewrite(_read(down))
                self.from_server.append(header)
                _write(client, header)
                header = _read(up)
                self.from_client.append(header)
                _write(server, header)


def _read(stream: Any) -> Header:
    prefix = stream.read(4)
    if len(prefix) < 4:
        raise EOFError
    header: Header = json.loads(stream.read(struct.unpack("!I", prefix)[0]))
    return header


def _write(sock: ssl.SSLSocket, header: Header) -> None:
    data = json.dumps(header).encode()
    sock.sendall(struct.pack("!I", len(data)) + data)


@contextlib.contextmanager
def middle(url: str, context: ssl.SSLContext | None = None) -> Iterator[Middle]:
    """Stands between for the length of a block.

    Args:
        url: The real server.
        context: What to show to clients; None is a certificate of its own.
    """
    host, _, port = url.partition("://")[2].rpartition(":")
    with socket.create_server(("127.0.0.1", 0)) as listener:
        between = Middle(
            f"ftpsvc://127.0.0.1:{listener.getsockname()[1]}", (host, int(port)), context or server_context()
        )

        def accept() -> None:
            while True:
                try:
                    sock, _ = listener.accept()
                except OSError:
                    return
                between.connections += 1
                with sock, contextlib.suppress(OSError, EOFError):
                    sock.settimeout(60)
                    with between._context.wrap_socket(sock, server_side=True) as client:
                        between.relay(client)

        thread = threading.Thread(target=accept)
        thread.start()
        try:
            yield between
        finally:
            with contextlib.suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)
            thread.join()
