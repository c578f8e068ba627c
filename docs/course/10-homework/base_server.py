"""A server of the base profile: section 9 of docs/protocol.md, with nothing but the standard library.

    python base_server.py [HOST [PORT [FOLDER]]]       stop it with Ctrl-C

Whoever reaches the port may read and write FOLDER. What it leaves out is listed on the page of this lesson.
"""

import contextlib
import hashlib
import json
import os
import socket
import socketserver
import stat
import struct
import sys
import tempfile
import unicodedata
from pathlib import Path

HOST = sys.argv[1] if len(sys.argv) > 1 else "127.0.0.1"
PORT = int(sys.argv[2]) if len(sys.argv) > 2 else 9021
ROOT = Path(sys.argv[3] if len(sys.argv) > 3 else "shared").resolve()
ALGORITHMS = ["sha256", "md5"]
STAGED = ".put-"  # an upload has such a name until it is whole; nobody else may use one
KINDS = {stat.S_IFREG: "file", stat.S_IFDIR: "dir", stat.S_IFLNK: "link"}
CODES = {
    FileNotFoundError: "not-found",
    NotADirectoryError: "not-a-directory",
    IsADirectoryError: "is-a-directory",
}


class Refused(Exception):
    def __init__(self, code, message, fatal=False):
        super().__init__(message)
        self.answer = {"status": "error", "code": code, "message": message, "fatal": fatal}


class Session(socketserver.StreamRequestHandler):
    """One client. Its directory belongs to this object, not to the process or the server."""

    disable_nagle_algorithm = True

    def handle(self):
        self.cwd = []
        with contextlib.suppress(ConnectionError):  # whoever vanishes is just gone
            self.send({"service": "ftpsvc", "version": 1, "algorithms": ALGORITHMS})
            try:
                while self.rfile.peek(1) and self.serve(self.receive()):
                    pass
            except Refused as refused:
                self.send(refused.answer | {"fatal": True})
                self.request.shutdown(socket.SHUT_WR)
                self.request.settimeout(2)  # read on: a close with unread data resets, and loses the answer
                with contextlib.suppress(TimeoutError):
                    while self.rfile.read1(65536):
                        pass

    def serve(self, request):
        """Answers one request; False after the last one. What Refused it lets out is fatal."""
        table = {"put": self.put, "get": self.get, "ls": self.ls, "cd": self.cd, "quit": self.bye}
        op, size = request.get("op"), request.get("size")
        known = isinstance(op, str) and op in table
        if (op == "put" or "size" in request) and not (known and type(size) is int and 0 <= size < 1 << 63):
            raise Refused("invalid-header", "nobody knows where the next message begins")
        try:
            if not known:
                raise Refused("unknown-op" if isinstance(op, str) else "bad-request", "no such op")
            if op != "put" and size is not None:
                self.read_payload(size)
                raise Refused("bad-request", f"{op} has no payload")
            table[op](request)
        except ConnectionError:
            raise
        except OSError as error:
            code, what = CODES.get(type(error), "permission-denied"), error.strerror or "failed"
            self.send(Refused(code, f"{request.get('path')}: {what.lower()}").answer)
        except Refused as refused:
            if refused.answer["fatal"]:
                raise
            self.send(refused.answer)
        return op != "quit"

    def put(self, request):
        try:
            target, digest = self.locate(request), self.new_digest(request)
            if target.is_dir():
                raise IsADirectoryError(0, "is a directory")
            target.parent.stat()  # raises what is wrong with it
            staged = tempfile.NamedTemporaryFile(dir=target.parent, prefix=STAGED, delete=False)  # noqa: SIM115
        except (Refused, OSError):
            self.read_payload(request["size"])
            self.receive()  # the trailer; a refused put has one, too
            raise
        try:
            with staged:
                try:
                    self.read_payload(request["size"], staged.write, digest.update)
                except ConnectionError:
                    raise
                except OSError as error:  # the disk is full, say, and nobody has read the rest
                    raise Refused("no-space", error.strerror, fatal=True) from error
            trailer = self.receive()
            if "error" in trailer:
                raise Refused("read-failed", "the client could not read its file")
            if "digest" not in trailer:
                raise Refused("invalid-header", "this is no trailer", fatal=True)
            if trailer["digest"] != digest.hexdigest():
                raise Refused("digest-mismatch", "the content does not fit its digest")
            os.replace(staged.name, target)
        except BaseException:
            os.unlink(staged.name)
            raise
        about = {"path": self.shown(target), "file_size": request["size"], "algorithm": request["algorithm"]}
        self.send({"status": "ok", **about, "digest": digest.hexdigest()})

    def get(self, request):
        path, digest = self.locate(request), self.new_digest(request)
        if not stat.S_ISREG(mode := path.stat().st_mode):
            raise Refused("is-a-directory" if stat.S_ISDIR(mode) else "not-a-file", "this is no file")
        with open(path, "rb") as file:
            left = size = os.fstat(file.fileno()).st_size
            self.send({"status": "ok", "size": size, "file_size": size, "algorithm": request["algorithm"]})
            trailer = {}
            while left:
                try:
                    piece = file.read(min(left, 1 << 18))
                except OSError:
                    piece = b""
                if not piece:  # it shrank, or the disk failed: what was promised is filled up
                    trailer = {"error": {"code": "read-failed", "message": "the file could not be read"}}
                    piece = bytes(min(left, 1 << 18))
                digest.update(piece)
                self.wfile.write(piece)
                left -= len(piece)
        self.send(trailer or {"digest": digest.hexdigest()})

    def ls(self, request):
        path, lines = self.locate(request, "."), b""
        for entry in sorted(os.scandir(path) if path.is_dir() else [path], key=lambda entry: entry.name):
            if entry.name.startswith(STAGED):
                continue
            about = os.lstat(entry)
            line = {"name": entry.name, "type": KINDS.get(stat.S_IFMT(about.st_mode), "other")}
            if line["type"] == "file":
                line["file_size"] = about.st_size
            lines += json.dumps(line).encode() + b"\n"
        self.send({"status": "ok", "size": len(lines)})
        self.wfile.write(lines)

    def cd(self, request):
        path = self.locate(request)
        if not stat.S_ISDIR(path.stat().st_mode):
            raise NotADirectoryError(0, "not a directory")
        self.cwd = list(path.relative_to(ROOT).parts)
        self.send({"status": "ok", "path": self.shown(path)})

    def bye(self, request):
        self.send({"status": "ok"})

    def locate(self, request, default=None):
        """The one place where a name from outside becomes a path."""
        text = request.get("path", default)
        if not isinstance(text, str) or not text:
            raise Refused("bad-request", "path is missing, or no string")
        parts = [] if text.startswith("/") else list(self.cwd)
        for name in text.split("/"):
            if name == "..":
                if not parts:
                    raise Refused("invalid-path", "this leaves /")
                parts.pop()
            elif name not in ("", "."):
                odd = "\\" in name or any(unicodedata.category(c) in ("Cc", "Cs") for c in name)
                if odd or len(name.encode()) > 255 or name.startswith(STAGED):
                    raise Refused("invalid-path", "this name is not allowed")
                parts.append(name)
        path = ROOT.joinpath(*parts)
        if path.is_symlink() or os.path.realpath(path) != str(
            path
        ):  # a link on the way, which may lead anywhere
            raise Refused("permission-denied", "links are not followed")
        return path

    def shown(self, path):
        return "/" + path.relative_to(ROOT).as_posix().removeprefix(".")

    def new_digest(self, request):
        if request.get("algorithm") not in ALGORITHMS:
            raise Refused("bad-request", "the algorithm was not offered")
        return hashlib.new(request["algorithm"], usedforsecurity=False)

    def read_payload(self, size, *uses):
        while size:
            piece = self.rfile.read1(min(size, 1 << 18))
            if not piece:
                raise ConnectionAbortedError("the end came in the middle of a payload")
            for use in uses:
                use(piece)
            size -= len(piece)

    def receive(self):
        prefix = self.rfile.read(4)
        length = int.from_bytes(prefix, "big")
        if len(prefix) == 4 and not 2 <= length <= 4096:
            raise Refused("invalid-header", f"a header of {length} bytes", fatal=True)
        if len(prefix) < 4 or len(data := self.rfile.read(length)) < length:
            raise ConnectionAbortedError("the end came in the middle of a message")
        try:
            header = json.loads(data)
        except (ValueError, RecursionError):
            header = None
        if not isinstance(header, dict):
            raise Refused("invalid-header", "a header is a JSON object", fatal=True)
        return header

    def send(self, header):
        data = json.dumps(header).encode()
        self.wfile.write(struct.pack("!I", len(data)) + data)


class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True


if __name__ == "__main__":
    ROOT.mkdir(exist_ok=True)
    with Server((HOST, PORT), Session) as server:
        print("listening on port", server.server_address[1])
        server.serve_forever()
