"""A server of the base profile that speaks raw bytes and imports nothing of ours: the client's independent peer.

It is what a student hands in after an afternoon with docs/protocol.md: one client at a time, everything in a dict, no
pipelining, no features. `misbehave` lets a test bend one answer.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import posixpath
import socket
import struct
import threading
from collections.abc import Callable, Iterator

Header = dict[str, object]
Misbehave = Callable[["RawServer", Header, socket.socket], bool]


class RawServer:
    """Files in a dict from absolute path to content; directories are the prefixes of these paths."""

    def __init__(self, files: dict[str, bytes], misbehave: Misbehave | None, greeting: Header) -> None:
        self.files = files
        self.greeting = {"service": "ftpsvc", "version": 1, "algorithms": ["sha256"]} | greeting
        self.cwd = "/"
        self.misbehave = misbehave
        self.seen: list[Header] = []
        self.connections = 0

    def serve(self, conn: socket.socket) -> None:
        self.connections += 1
        self.cwd = "/"
        self.send(conn, self.greeting)
        while (request := self.receive(conn)) is not None:
            self.seen.append(request)
            if self.misbehave is not None and self.misbehave(self, request, conn):
                continue
            op, path = (
                request["op"],
                posixpath.normpath(posixpath.join(self.cwd, str(request.get("path", ".")))),
            )
            if op == "put":
                data = self.exactly(conn, int(str(request["size"])))
                trailer = self.receive(conn) or {}
                digest = hashlib.sha256(data).hexdigest()
                if trailer.get("digest") != digest:
                    self.error(conn, "digest-mismatch")
                    continue
                self.files[path] = data
                self.send(conn, {"status": "ok", "path": path, "file_size": len(data), "algorithm": "sha256", "digest": digest})  # fmt: skip  # noqa: E501
            elif op == "get" and path in self.files:
                data = self.files[path]
                self.send(
                    conn, {"status": "ok", "size": len(data), "file_size": len(data), "algorithm": "sha256"}
                )
                conn.sendall(data)
                self.send(conn, {"digest": hashlib.sha256(data).hexdigest()})
            elif op == "ls" and self.is_directory(path):
                lines = b"".join(json.dumps(entry).encode() + b"\n" for entry in self.entries(path))
                self.send(conn, {"status": "ok", "size": len(lines)})
                conn.sendall(lines)
            elif op == "cd" and self.is_directory(path):
                self.cwd = path
                self.send(conn, {"status": "ok", "path": path})
            elif op == "quit":
                self.send(conn, {"status": "ok"})
                return
            elif op in ("get", "ls", "cd"):
                self.error(conn, "not-found", path=path)
            else:
                self.error(conn, "unknown-op", reason=f"no {op} here")

    def is_directory(self, path: str) -> bool:
        return path == "/" or any(name.startswith(path.rstrip("/") + "/") for name in self.files)

    def entries(self, path: str) -> list[Header]:
        found: dict[str, Header] = {}
        for name, data in self.files.items():
            if name.startswith(prefix := path.rstrip("/") + "/"):
                first, deeper, _ = name[len(prefix) :].partition("/")
                found[first] = {"name": first, "type": "dir"} if deeper else {"name": first, "type": "file", "file_size": len(data)}  # fmt: skip  # noqa: E501
        return [found[name] for name in sorted(found)]

    def send(self, conn: socket.socket, header: Header) -> None:
        data = json.dumps(header).encode()
        conn.sendall(struct.pack("!I", len(data)) + data)

    def error(self, conn: socket.socket, code: str, **fields: object) -> None:
        self.send(conn, {"status": "error", "code": code, "message": code, **fields})

    def receive(self, conn: socket.socket) -> Header | None:
        prefix = conn.recv(4, socket.MSG_WAITALL)
        if len(prefix) < 4:
            return None
        header: Header = json.loads(self.exactly(conn, struct.unpack("!I", prefix)[0]))
        return header

    def exactly(self, conn: socket.socket, count: int) -> bytes:
        data = bytearray()
        while len(data) < count:
            piece = conn.recv(min(65536, count - len(data)))
            if not piece:
                raise ConnectionError("the client closed it")
            data += piece
        return bytes(data)


@contextlib.contextmanager
def raw_server(
    files: dict[str, bytes] | None = None, misbehave: Misbehave | None = None, **greeting: object
) -> Iterator[tuple[str, RawServer]]:
    """Serves one client after the other on a free port; yields the URL and the server. Always joins."""
    server = RawServer({} if files is None else files, misbehave, greeting)
    listener = socket.create_server(("127.0.0.1", 0))
    open_now: list[socket.socket] = []

    def accept() -> None:
        while True:
            try:
                conn, _ = listener.accept()
            except OSError:
                return
            with conn:
                open_now.append(conn)
                with contextlib.suppress(ConnectionError, OSError):
                    server.serve(conn)
                open_now.remove(conn)

    thread = threading.Thread(target=accept)
    thread.start()
    try:
        yield f"ftpsvc+tcp://127.0.0.1:{listener.getsockname()[1]}", server
    finally:
        with contextlib.suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        for conn in list(open_now):
            with contextlib.suppress(OSError):
                conn.shutdown(socket.SHUT_RDWR)
        thread.join()
