"""A client that speaks raw bytes and imports nothing of ours: what a student writes from docs/protocol.md."""

import hashlib
import json
import socket
import struct
from typing import Any, Self


def frame(header: Any, payload: bytes = b"") -> bytes:
    """One message; a header that is bytes already goes out as it is, however broken."""
    data = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("!I", len(data)) + data + payload


def put_bytes(path: str, data: bytes, algorithm: str = "sha256", **fields: Any) -> bytes:
    """A whole `put`: request, payload and trailer."""
    request = {"op": "put", "path": path, "size": len(data), "algorithm": algorithm, **fields}
    return frame(request, data) + frame({"digest": hashlib.new(algorithm, data).hexdigest()})


class RawPeer:
    """One connection. `where` is a (host, port) or the path of an AF_UNIX socket; the time-out is a guard only."""

    def __init__(
        self, where: tuple[str, int] | str, *, greeted: bool = True, receive_buffer: int = 0
    ) -> None:
        family = (
            socket.AF_UNIX
            if isinstance(where, str)
            else socket.AF_INET6
            if ":" in where[0]
            else socket.AF_INET
        )
        self.sock = socket.socket(family, socket.SOCK_STREAM)
        self.sock.settimeout(180)
        if receive_buffer:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.stream = self.sock.makefile("rb")
        try:
            self.sock.connect(where)
            self.greeting = self.read() if greeted else {}
        except BaseException:
            self.close()
            raise

    def send(self, data: bytes) -> None:
        """Sends bytes as they are."""
        self.sock.sendall(data)

    def read(self) -> dict[str, Any]:
        """The next header. EOFError when the server has closed."""
        (length,) = struct.unpack("!I", self.payload(4))
        header: dict[str, Any] = json.loads(self.payload(length))
        return header

    def payload(self, size: int) -> bytes:
        """The next bytes."""
        data = self.stream.read(size)
        if len(data) < size:
            raise EOFError
        return data

    def at_end(self) -> bool:
        """Whether the server has closed, with nothing more to be read. Waits for it."""
        try:
            return self.stream.read(1) == b""
        except ConnectionError:
            return True

    def ask(self, op: str, **fields: Any) -> dict[str, Any]:
        """A request without payload, and the header of its answer."""
        self.send(frame({"op": op, **fields}))
        return self.read()

    def put(self, path: str, data: bytes, algorithm: str = "sha256", **fields: Any) -> dict[str, Any]:
        """Stores a file; returns the answer."""
        self.send(put_bytes(path, data, algorithm, **fields))
        return self.read()

    def get(self, path: str, algorithm: str = "sha256", **fields: Any) -> tuple[bytes, dict[str, Any]]:
        """A file's content and the answer; the trailer's digest must be that of `prefix` plus content."""
        prefix = fields.pop("prefix", b"")
        answer = self.ask("get", path=path, algorithm=algorithm, **fields)
        assert answer["status"] == "ok", answer
        data = self.payload(answer["size"])
        assert self.read() == {"digest": hashlib.new(algorithm, prefix + data).hexdigest()}
        return data, answer

    def ls(self, path: str = ".", **fields: Any) -> list[dict[str, Any]]:
        """All entries of a directory, page by page."""
        entries: list[dict[str, Any]] = []
        cursor: dict[str, str] = {}
        while True:
            answer = self.ask("ls", path=path, **fields, **cursor)
            assert answer["status"] == "ok", answer
            entries += [json.loads(line) for line in self.payload(answer["size"]).splitlines()]
            if "cursor" not in answer:
                return entries
            cursor = {"cursor": answer["cursor"]}

    def half_close(self) -> None:
        """Says that nothing more will be sent."""
        self.sock.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        """Closes at once; unread data makes it a reset."""
        self.stream.close()
        self.sock.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()
