"""Two channels, or a channel and a bare socket, joined by a real socket pair; and the simplest server on one."""

from __future__ import annotations

import contextlib
import hashlib
import socket
import struct
import threading
from collections.abc import Callable, Iterator

from ftpsvc.buffers import BufferPool
from ftpsvc.exceptions import (
    NotFound,
)
from ftpsvc.protocol.connection import (
    Connection,
    GreetingReceived,
    RequestReceived,
    ResponseReceived,
    TrailerReceived,
)
from ftpsvc.protocol.headers import Content, Get, Greeting, Listing, Located, Ls, Put, Quit, Stat, Stored
from ftpsvc.protocol.state import Role
from ftpsvc.transport import Channel
from tests.helpers.wire import message

LONG = 30.0
"""Seconds that nothing here takes unless it is broken."""
SHORT = 0.05
"""Seconds after which something here gives up, on purpose."""
DIGEST = "0" * 32
GREETING = Greeting(algorithms=["md5"])


def unix_pair() -> tuple[socket.socket, socket.socket]:
    return socket.socketpair()


def tcp_pair() -> tuple[socket.socket, socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        one = socket.create_connection(listener.getsockname())
        other, _ = listener.accept()
    return one, other


def tiny_unix_pair() -> tuple[socket.socket, socket.socket]:
    """The least buffers that the kernel gives: some 2 KiB each way."""
    return _with_buffers(unix_pair(), 1)


def tiny_tcp_pair() -> tuple[socket.socket, socket.socket]:
    """Buffers that hold less than one payload here. The least possible ones move a kilobyte for each delayed answer."""
    return _with_buffers(tcp_pair(), 16 * 1024)


def _with_buffers(
    pair: tuple[socket.socket, socket.socket], size: int
) -> tuple[socket.socket, socket.socket]:
    for sock in pair:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, size)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, size)
    return pair


Pair = Callable[[], tuple[socket.socket, socket.socket]]


@contextlib.contextmanager
def channels(
    pair: Pair = unix_pair, *, stall: float = LONG, header: float = LONG, greeted: bool = True
) -> Iterator[tuple[Channel, Channel]]:
    """Yields a client's and a server's channel that are connected, and closes them."""
    ours, theirs = pair()
    client = Channel(ours, Connection(Role.CLIENT), stall=stall, header=header)
    server = Channel(theirs, Connection(Role.SERVER), stall=stall, header=header)
    try:
        if greeted:
            server.queue(server.connection.send_greeting(GREETING))
            server.flush()
            assert isinstance(client.receive_event(LONG, "the greeting"), GreetingReceived)
        yield client, server
    finally:
        client.close()
        server.close()


@contextlib.contextmanager
def channel_and_socket(
    role: Role, pair: Pair = unix_pair, *, stall: float = LONG, header: float = LONG
) -> Iterator[tuple[Channel, socket.socket]]:
    """Yields a channel that was greeted (or has greeted) and the bare socket at its other end."""
    ours, theirs = pair()
    channel = Channel(ours, Connection(role), stall=stall, header=header)
    with theirs:
        theirs.settimeout(LONG)
        try:
            if role is Role.CLIENT:
                theirs.sendall(message({"service": "ftpsvc", "version": 1, "algorithms": ["md5"]}))
                channel.receive_event(LONG, "the greeting")
            else:
                channel.queue(channel.connection.send_greeting(GREETING))
                channel.flush()
                receive_message(theirs)
            yield channel, theirs
        finally:
            channel.close()


@contextlib.contextmanager
def running(work: Callable[[], object]) -> Iterator[list[BaseException]]:
    """Runs `work` beside the body, joins it, and passes on what it raised."""
    raised: list[BaseException] = []

    def guarded() -> None:
        try:
            work()
        except BaseException as error:  # noqa: BLE001 -- it is raised again where somebody sees it
            raised.append(error)

    thread = threading.Thread(target=guarded)
    thread.start()
    try:
        yield raised
    finally:
        thread.join()
    if raised:
        raise raised[0]


def receive_exactly(sock: socket.socket, count: int) -> bytes:
    data = bytearray()
    while len(data) < count:
        piece = sock.recv(min(count - len(data), 1 << 20))
        assert piece, f"ended after {len(data)} of {count} bytes"
        data += piece
    return bytes(data)


def receive_message(sock: socket.socket) -> bytes:
    (length,) = struct.unpack("!I", receive_exactly(sock, 4))
    return receive_exactly(sock, length)


def put(path: str, size: int) -> Put:
    return Put(path=path, size=size, algorithm="md5")


def send_put(client: Channel, path: str, content: bytes) -> None:
    client.queue(client.connection.send_request(put(path, len(content))))
    client.send_payload(memoryview(content))
    client.queue(client.connection.send_trailer(md5(content)))


def serve(server: Channel, pool: BufferPool, contents: dict[str, bytes] | None = None) -> dict[str, str]:
    """Answers until the client quits or ends; returns the digests of what was put."""
    stored: dict[str, str] = {}
    connection = server.connection
    while isinstance(event := server.receive_event(LONG, "a request"), RequestReceived):
        request = event.request
        if isinstance(request, Put):
            hasher = hashlib.md5(usedforsecurity=False)
            for piece in server.payload(pool):
                hasher.update(piece)
            trailer = server.receive_event(LONG, "a trailer")
            assert isinstance(trailer, TrailerReceived)
            assert trailer.digest == hasher.hexdigest(), "what arrived is not what was sent"
            stored[request.path] = hasher.hexdigest()
            server.queue(
                connection.send_response(
                    Stored(
                        path=request.path, file_size=request.size, algorithm="md5", digest=hasher.hexdigest()
                    )
                )
            )
        elif isinstance(request, Get):
            content = (contents or {})[request.path]
            header = Content(size=len(content), file_size=len(content), algorithm="md5")
            server.queue(connection.send_response(header, content=True))
            server.send_payload(memoryview(content))
            server.queue(connection.send_trailer(md5(content)))
        elif isinstance(request, Ls):
            lines = (contents or {})[request.path]
            server.queue(connection.send_response(Listing(size=len(lines))))
            server.send_payload(memoryview(lines))
        elif isinstance(request, Quit):
            server.queue(connection.send_goodbye())
            server.flush()
            break
        elif isinstance(request, Stat):
            server.queue(connection.send_error(NotFound(request.path)))
        else:
            server.queue(connection.send_response(Located(path="/")))
    return stored


def answer(client: Channel) -> ResponseReceived:
    event = client.receive_event(LONG, "an answer")
    assert isinstance(event, ResponseReceived), event
    return event


def read_content(client: Channel, pool: BufferPool) -> bytes:
    content = b"".join(map(bytes, client.payload(pool)))
    trailer = client.receive_event(LONG, "a trailer")
    assert isinstance(trailer, TrailerReceived)
    assert trailer.digest == md5(content)
    return content


def md5(content: bytes) -> str:
    """Returns a digest as it goes over the wire."""
    return hashlib.md5(content, usedforsecurity=False).hexdigest()


def deliver(client: Channel, path: str, content: bytes) -> None:
    """Sends a `put` to its end."""
    send_put(client, path, content)
    client.flush()
