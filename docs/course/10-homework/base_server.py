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
import sys
import tempfile
import unicodedata
from errno import EISDIR, ENOENT, ENOSPC, ENOTDIR
from pathlib import Path

try:
    HOST = sys.argv[1] if len(sys.argv) > 1 else "127.0.0.1"
    PORT = int(sys.argv[2]) if len(sys.argv) > 2 else 9021
except ValueError:
    sys.exit(__doc__)
ROOT = Path(sys.argv[3] if len(sys.argv) > 3 else "shared").resolve()
ALGORITHMS = ["sha256", "md5"]
STAGED = ".put-"  # an upload lies in a folder of such a name until it is whole; nobody else may use one
CODES = {ENOENT: "not-found", ENOTDIR: "not-a-directory", EISDIR: "is-a-directory", ENOSPC: "no-space"}
KINDS = {stat.S_IFREG: "file", stat.S_IFDIR: "dir", stat.S_IFLNK: "link"}


class Refused(Exception):
    """A code and a sentence for the client; then the conversation goes on."""


class Broken(Exception):
    """The same, but nobody knows where the next message begins: the answer is fatal."""


def allowed(name):
    odd = "\\" in name or any(unicodedata.category(c) in ("Cc", "Cs") for c in name)
    return not (odd or len(name.encode()) > 255 or name.startswith(STAGED))


class Session(socketserver.StreamRequestHandler):
    """One client. Its directory belongs to this object, not to the process or the server."""

    disable_nagle_algorithm = True

    def handle(self):
        self.cwd = []
        with contextlib.suppress(OSError):  # whoever vanishes is just gone
            self.send({"service": "ftpsvc", "version": 1, "algorithms": ALGORITHMS})
            try:
                while self.rfile.peek(1) and self.serve(self.receive()):
                    pass
            except Broken as error:
                self.send_error(*error.args, fatal=True)
                self.request.shutdown(socket.SHUT_WR)
                self.request.settimeout(2)  # read on: a close with unread data resets, and loses the answer
                with contextlib.suppress(TimeoutError):
                    while self.rfile.read1(65536):
                        pass

    def serve(self, request):
        """Answers one request; False after the last one."""
        table = {"put": self.put, "get": self.get, "ls": self.ls, "cd": self.cd, "quit": self.bye}
        op, size = request.get("op"), request.get("size")
        known = isinstance(op, str) and op in table
        if (op == "put" or "size" in request) and not (known and type(size) is int and 0 <= size < 1 << 63):
            raise Broken("invalid-header", "nobody knows where the next message begins")
        self.unread, self.trailer_due = size or 0, op == "put"
        try:
            if not known:
                raise Refused("unknown-op" if isinstance(op, str) else "bad-request", "no such operation")
            if op != "put" and "size" in request:
                raise Refused("bad-request", f"{op} has no payload")
            table[op](request)
        except ConnectionError:
            raise
        except (Refused, OSError) as error:
            for _ in self.payload():  # what is unread of it; then the next message begins
                pass
            code, sentence = error.args[:2]
            code = code if isinstance(code, str) else CODES.get(code, "permission-denied")
            self.send_error(code, f"{request.get('path', op)}: {sentence}")
        return op != "quit"

    def payload(self):
        """Yields what is unread of the request's payload, and leaves the trailer of a put in self.trailer."""
        while self.unread:
            piece = self.rfile.read1(min(self.unread, 1 << 18))
            if not piece:
                raise ConnectionAbortedError("the end came in the middle of a payload")
            self.unread -= len(piece)
            yield piece
        if self.trailer_due:
            self.trailer_due, self.trailer = False, self.receive()

    def put(self, request):
        parts, path = self.locate(request)
        digest = self.new_digest(request)
        if path.is_dir():
            raise Refused("is-a-directory", "a directory is there")
        with tempfile.TemporaryDirectory(dir=path.parent, prefix=STAGED) as folder:
            staged = Path(folder, "content")
            with open(staged, "wb") as file:
                for piece in self.payload():
                    digest.update(piece)
                    file.write(piece)
            if not self.trailer.keys() & {"digest", "error"}:
                raise Broken("invalid-header", "this is no trailer")
            if "error" in self.trailer:
                raise Refused("read-failed", "the client could not read its file")
            if self.trailer.get("digest") != digest.hexdigest():
                raise Refused("digest-mismatch", "the content does not fit its digest")
            os.replace(staged, path)
        stored = {"path": "/" + "/".join(parts), "file_size": request["size"], "digest": digest.hexdigest()}
        self.send({"status": "ok", "algorithm": request["algorithm"], **stored})

    def get(self, request):
        (_, path), digest = self.locate(request), self.new_digest(request)
        if not stat.S_ISREG(mode := path.stat().st_mode):  # opening a FIFO would wait for ever
            raise Refused("is-a-directory" if stat.S_ISDIR(mode) else "not-a-file", "this is no file")
        with open(path, "rb") as file:
            left = size = os.fstat(file.fileno()).st_size
            self.send({"status": "ok", "size": size, "file_size": size, "algorithm": request["algorithm"]})
            trailer = {}
            while left:
                piece = b""
                with contextlib.suppress(OSError):
                    piece = file.read(min(left, 1 << 18))
                if not piece:  # it shrank, or the disk failed: what was promised is filled up
                    trailer = {"error": {"code": "read-failed", "message": "the file could not be read"}}
                    piece = bytes(min(left, 1 << 18))
                digest.update(piece)
                self.wfile.write(piece)
                left -= len(piece)
        self.send(trailer or {"digest": digest.hexdigest()})

    def ls(self, request):
        (_, path), lines = self.locate(request, "."), b""
        for entry in sorted(path.iterdir()) if path.is_dir() else [path]:
            if not allowed(entry.name):  # nobody could name it; and what is no UTF-8 is no JSON
                continue
            about = entry.lstat()
            size = {"file_size": about.st_size} if stat.S_ISREG(about.st_mode) else {}
            line = {"name": entry.name, "type": KINDS.get(stat.S_IFMT(about.st_mode), "other"), **size}
            lines += json.dumps(line).encode() + b"\n"
        self.send({"status": "ok", "size": len(lines)})
        self.wfile.write(lines)

    def cd(self, request):
        parts, path = self.locate(request)
        os.scandir(path).close()  # raises what is wrong with it
        self.cwd = parts
        self.send({"status": "ok", "path": "/" + "/".join(parts)})

    def bye(self, request):
        self.send({"status": "ok"})

    def locate(self, request, default=None):
        """The one place where a name from outside becomes a path."""
        text = request.get("path", default)
        if not isinstance(text, str):
            raise Refused("bad-request", "path is missing, or no string")
        parts = [] if text.startswith("/") else list(self.cwd)
        for name in text.split("/"):
            if name == "..":
                if not parts:
                    raise Refused("invalid-path", "this leaves /")
                parts.pop()
            elif name not in ("", "."):
                if not allowed(name):
                    raise Refused("invalid-path", "this name is not allowed")
                parts.append(name)
        path = ROOT.joinpath(*parts)
        if not text or any(step.is_symlink() for step in (path, *path.parents)):  # a link may lead anywhere
            raise Refused("invalid-path", "an empty path, or a link on the way")
        return parts, path

    def new_digest(self, request):
        if request.get("algorithm") not in ALGORITHMS:
            raise Refused("bad-request", "the algorithm was not offered")
        return hashlib.new(request["algorithm"], usedforsecurity=False)

    def receive(self):
        prefix = self.rfile.read(4)
        length = int.from_bytes(prefix, "big")
        if len(prefix) == 4 and not 2 <= length <= 4096:
            raise Broken("invalid-header", f"a header of {length} bytes")
        data = self.rfile.read(length)
        if len(prefix) < 4 or len(data) < length:
            raise ConnectionAbortedError("the end came in the middle of a message")
        header = None
        with contextlib.suppress(ValueError, RecursionError):
            header = json.loads(data)
        if not isinstance(header, dict):
            raise Broken("invalid-header", "a header is a JSON object")
        return header

    def send(self, header):
        data = json.dumps(header).encode()
        self.wfile.write(len(data).to_bytes(4, "big") + data)

    def send_error(self, code, message, fatal=False):
        self.send({"status": "error", "code": code, "message": message, "fatal": fatal})


class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = os.name == "posix"
    daemon_threads = True


if __name__ == "__main__":
    try:
        ROOT.mkdir(exist_ok=True)
        with Server((HOST, PORT), Session) as server:
            print("listening on port", server.server_address[1])
            server.serve_forever()
    except KeyboardInterrupt:
        print("stopped")
    except (OSError, OverflowError) as error:
        sys.exit(f"{type(error).__name__}: {error}")
