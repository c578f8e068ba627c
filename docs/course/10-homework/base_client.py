"""A client of the base profile: section 9 of docs/protocol.md, with nothing but the standard library.

    python base_client.py [HOST [PORT]]

Reads commands, one a line: put LOCAL [REMOTE] · get REMOTE [LOCAL] · ls [PATH] · cd PATH · quit
Ends with exit code 1 if one of them failed. What it leaves out is listed on the page of this lesson.
"""

import contextlib
import hashlib
import json
import os
import shlex
import socket
import struct
import sys
import tempfile
from pathlib import Path

try:
    HOST = sys.argv[1] if len(sys.argv) > 1 else "127.0.0.1"
    PORT = int(sys.argv[2]) if len(sys.argv) > 2 else 9021
except ValueError:
    sys.exit(__doc__)


class Refused(Exception):
    """The server said no; fatal tells whether it closes."""

    def __init__(self, answer):
        super().__init__(printable(f"{answer.get('code')}: {answer.get('message', '')}"))
        self.fatal = answer.get("fatal") is True


def printable(text):
    """What a server says may drive the terminal; escapes for everything that is not to be seen."""
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


def bar(done, size):
    """How far a transfer is, drawn anew on one line: for a person who watches, not for a file."""
    if sys.stdout.isatty():
        print(f"\r{done * 100 // max(size, 1):3} %", end="\r" if done == size else "", flush=True)


class Client:
    def __init__(self, host, port):
        self.sock = socket.create_connection((host, port), 60)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.stream = self.sock.makefile("rb")
        greeting = self.answer()
        offered = greeting.get("algorithms", [])
        self.algorithm = next((name for name in ("sha256", "md5") if name in offered), None)
        if greeting.get("service") != "ftpsvc" or self.algorithm is None:
            raise ConnectionError("this is no server for us")

    def close(self):
        self.stream.close()
        self.sock.close()

    def put(self, local, remote=None):
        with open(local, "rb") as file:
            left = size = os.fstat(file.fileno()).st_size
            digest = hashlib.new(self.algorithm, usedforsecurity=False)
            path = remote or Path(local).name
            self.send({"op": "put", "path": path, "size": size, "algorithm": self.algorithm})
            try:
                while left and (piece := file.read(min(left, 1 << 18))):
                    digest.update(piece)
                    self.sock.sendall(piece)
                    left -= len(piece)
                    bar(size - left, size)
                trailer = {"digest": digest.hexdigest()}
                if left:  # promised is promised: fill up, and say that it is not the file
                    trailer = {"error": {"code": "changed", "message": "the file shrank"}}
                while left:
                    left -= self.sock.send(bytes(min(left, 1 << 18)))
                self.send(trailer)
            except ConnectionError:
                pass  # the server may have refused and closed: the reason is there to be read
        answer = self.answer()
        if answer.get("digest") != digest.hexdigest():
            raise ConnectionError("the server has stored something else")
        print(printable(f"{local} -> {answer.get('path', path)}"), size, "bytes")

    def get(self, remote, local=None):
        target = Path(local or remote.rstrip("/").rpartition("/")[2] or "unnamed")
        digest = hashlib.new(self.algorithm, usedforsecurity=False)
        staged = tempfile.NamedTemporaryFile(dir=target.parent, prefix=".get-", delete=False)  # noqa: SIM115
        try:
            with staged:
                self.send({"op": "get", "path": remote, "algorithm": self.algorithm})
                answer = self.answer()
                for piece in self.payload(answer):
                    digest.update(piece)
                    staged.write(piece)
                    bar(staged.tell(), answer["size"])
            trailer = self.receive()
            if trailer.get("digest") != digest.hexdigest():
                raise Refused({"code": "digest-mismatch", "message": f"{remote} did not arrive whole"})
            os.replace(staged.name, target)
        except BaseException:
            os.unlink(staged.name)
            raise
        print(printable(f"{remote} -> {target}"), answer["size"], "bytes")

    def ls(self, path="."):
        request = {"op": "ls", "path": path}
        while True:
            self.send(request)
            answer = self.answer()
            for line in b"".join(self.payload(answer, 16 << 20)).splitlines():
                entry = json.loads(line)
                print(f"{entry['type']:5} {entry.get('file_size', ''):>12} {printable(entry['name'])}")
            if "cursor" not in answer:
                break
            request["cursor"] = answer["cursor"]  # a server with the feature `pages` has more

    def cd(self, path):
        self.send({"op": "cd", "path": path})
        print(printable(self.answer().get("path", "")))

    def quit(self):
        self.send({"op": "quit"})
        self.answer()

    def send(self, header):
        data = json.dumps(header).encode()
        if len(data) > 4096:
            raise Refused({"code": "invalid-path", "message": "this is too long for a header"})
        self.sock.sendall(struct.pack("!I", len(data)) + data)

    def answer(self):
        header = self.receive()
        if header.get("status") == "error":
            raise Refused(header)
        return header

    def receive(self):
        (length,) = struct.unpack("!I", self.exactly(4))
        if not 2 <= length <= 65536:
            raise ConnectionError(f"a header of {length} bytes")
        header = json.loads(self.exactly(length))
        if not isinstance(header, dict):
            raise ConnectionError("a header is an object")
        return header

    def exactly(self, count):
        data = self.stream.read(count)
        if len(data) < count:
            raise ConnectionError("the server closed in the middle of a message")
        return data

    def payload(self, answer, limit=(1 << 63) - 1):
        size = answer.get("size")
        if type(size) is not int or not 0 <= size <= limit:
            raise ConnectionError("the answer has no size that can be")
        while size:
            piece = self.exactly(min(size, 1 << 18))
            yield piece
            size -= len(piece)


def main():
    failed = False
    with contextlib.closing(Client(HOST, PORT)) as client:
        commands = {  # what does it, and how many arguments it takes
            "put": (client.put, 1, 2),
            "get": (client.get, 1, 2),
            "ls": (client.ls, 0, 1),
            "cd": (client.cd, 1, 1),
            "quit": (client.quit, 0, 0),
        }
        for line in sys.stdin:
            try:
                name, *arguments = shlex.split(line) or [""]
                if not name:
                    continue
                command, least, most = commands[name]
                if not least <= len(arguments) <= most:
                    raise ValueError
            except (KeyError, ValueError):  # also a quote without an end
                failed = True
                print("failed: say put LOCAL [REMOTE], get REMOTE [LOCAL], ls [PATH], cd PATH or quit")
                continue
            try:
                command(*arguments)
            except (
                Refused,
                FileNotFoundError,
                IsADirectoryError,
                NotADirectoryError,
                PermissionError,
            ) as error:
                failed = True
                print("failed:", error)
                if isinstance(error, Refused) and error.fatal:
                    break
            if name == "quit":
                break
    return failed


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        print("stopped")
    except (OSError, OverflowError, ValueError, Refused) as error:
        sys.exit(f"the connection is over: {error}")
