# mypy: ignore-errors
# It is written as students write, and runs in a sandbox.
"""A student's server with log-in, homes, quota and resume, in any of the four dialects (docs/kit.md, "Dialects").

    python server.py DIALECT PORT [clear|digest|challenge]

The kit's tests judge it, and copies of it with one fault each. Standard library only: it runs in the sandbox.
"""

import contextlib
import hashlib
import hmac
import json
import os
import secrets
import socketserver
import sys
import threading

DIALECT, PORT = sys.argv[1], int(sys.argv[2])
WAY = sys.argv[3] if len(sys.argv) > 3 else "challenge"
USERS = {  # of each password the md5 alone
    "alice": {"secret": "3cb4e732631f47e6eb961f34554b7cde", "home": "home/alice", "quota": 100 << 20},
    "bob": {"secret": "642b22482681a9d3460924f67bb0c9d6", "home": "home/bob", "quota": 400_000},
}
if os.path.exists("users.json"):
    with open("users.json", encoding="utf-8") as file:
        USERS = json.load(file)
STAGED = ".put-"
LOCK = threading.Lock()
RESERVED: dict[str, int] = {}


class Refused(Exception):
    """A sentence for the client; then the conversation goes on."""


class Broken(Exception):
    """Nobody knows where the next message begins."""


class Session(socketserver.StreamRequestHandler):
    disable_nagle_algorithm = True

    def handle(self):
        self.user, self.claimed, self.challenge, self.cwd = None, None, None, []
        if not USERS:
            self.user = {"home": "shared", "quota": 1 << 60}
        with contextlib.suppress(OSError, EOFError):
            while True:
                try:
                    self.serve(self.receive())
                except Refused as refused:
                    self.answer("no", reason=str(refused))
                except Broken as broken:
                    self.answer("no", reason=str(broken))
                    return

    def serve(self, request):
        op = request.get("op")
        table = {"put": self.put, "get": self.get, "ls": self.ls, "cd": self.cd}
        if op == "login":
            self.login(request)
        elif not isinstance(op, str) or op not in table:
            raise Refused("no such operation")
        elif self.user is None:
            if op == "put" and not READY:
                raise Broken("log in first")
            raise Refused("log in first")
        else:
            table[op](request)

    def login(self, request):
        if "response" in request:
            user = USERS.get(self.claimed, {"secret": secrets.token_hex(16)})
            challenge, self.challenge = self.challenge or secrets.token_hex(16), None
            proof = hmac.new(user["secret"].encode(), challenge.encode(), "md5").hexdigest()
            good = hmac.compare_digest(proof, str(request["response"]))
        elif WAY == "challenge":
            self.claimed, self.challenge = request.get("user"), secrets.token_hex(16)
            self.answer("ok", challenge=self.challenge)
            return
        else:
            self.claimed = request.get("user")
            user = USERS.get(self.claimed, {"secret": secrets.token_hex(16)})
            given = str(request.get("password", ""))
            given = hashlib.md5(given.encode()).hexdigest() if WAY == "clear" else given
            good = hmac.compare_digest(user["secret"], given)
        if not good or self.claimed not in USERS:
            raise Refused("wrong name or password")
        self.user, self.cwd = USERS[self.claimed], []
        self.answer("ok")

    def put(self, request):
        size, digest = request.get("size"), request.get("digest")
        if type(size) is not int or size < 0:
            raise Broken("a put has a size")
        resume = bool(request.get("resume"))
        left = 0 if READY or resume else size
        room = False
        try:
            path = self.locate(request)
            if os.path.isdir(path):
                raise Refused("a directory is there")
            self.reserve(path, size)
            room = True
            key = hashlib.md5(f"{path}|{size}|{digest}".encode()).hexdigest()
            staged = os.path.join(os.path.dirname(path), STAGED + (key if resume else secrets.token_hex(8)))
            have = os.path.getsize(staged) if resume and os.path.exists(staged) else 0
            if READY or resume:
                self.answer("ready", **({"offset": have} if resume else {}))
                left = size - have
            hashed = hashlib.md5()
            if have:
                with open(staged, "rb") as file:
                    hashed.update(file.read())
            whole = False
            try:
                with open(staged, "ab") as file:
                    while left:
                        piece = self.rfile.read1(min(left, 1 << 16))
                        if not piece:
                            raise EOFError
                        left -= len(piece)
                        hashed.update(piece)
                        file.write(piece)
                whole = True
                if digest is not None and digest != hashed.hexdigest():
                    raise Refused("the content does not fit its md5")
                os.replace(staged, path)
            except BaseException:
                if whole or not resume:
                    os.unlink(staged)
                raise
            self.answer("ok")
        except (Refused, OSError) as error:
            while left:
                piece = self.rfile.read1(min(left, 1 << 16))
                if not piece:
                    raise EOFError from error
                left -= len(piece)
            raise Refused(str(error) if isinstance(error, Refused) else error.strerror) from None
        finally:
            if room:
                with LOCK:
                    RESERVED[self.user["home"]] -= size

    def reserve(self, path, size):
        home = self.user["home"]
        with LOCK:
            used = sum(
                os.lstat(os.path.join(folder, name)).st_size
                for folder, _, names in os.walk(home)
                for name in names
                if not name.startswith(STAGED)
            )
            old = os.path.getsize(path) if os.path.exists(path) else 0
            if used - old + RESERVED.get(home, 0) + size > self.user["quota"]:
                raise Refused("there is no room for that")
            RESERVED[home] = RESERVED.get(home, 0) + size

    def get(self, request):
        path, offset = self.locate(request), request.get("offset", 0)
        try:
            with open(path, "rb") as file:
                size = os.fstat(file.fileno()).st_size
                if type(offset) is not int or not 0 <= offset <= size:
                    raise Refused("there is no such offset")
                hashed = hashlib.md5()
                while piece := file.read(1 << 16):
                    hashed.update(piece)
                self.answer("ok", size=size, digest=hashed.hexdigest())
                self.wait_for_ready()
                file.seek(offset)
                while piece := file.read(1 << 16):
                    self.wfile.write(piece)
        except IsADirectoryError:
            raise Refused("that is a directory") from None
        except FileNotFoundError:
            raise Refused("there is no such file") from None

    def ls(self, request):
        try:
            names = sorted(os.scandir(self.locate(request, ".")), key=lambda one: one.name)
        except OSError as error:
            raise Refused(error.strerror) from None
        shown = [one.name + "/" * one.is_dir() for one in names if not one.name.startswith(STAGED)]
        data = "".join(name + "\n" for name in shown).encode()
        self.answer("ok", size=len(data))
        self.wait_for_ready()
        self.wfile.write(data)

    def cd(self, request):
        path, parts = self.locate(request), self.parts
        if not os.path.isdir(path):
            raise Refused("there is no such directory")
        self.cwd = parts
        self.answer("ok")

    def locate(self, request, default=None):
        text = request.get("path", default)
        if not isinstance(text, str) or "\0" in text:
            raise Refused("a path is a text")
        parts = [] if text.startswith("/") else list(self.cwd)
        for part in text.split("/"):
            if part == "..":
                if not parts:
                    raise Refused("this leads out of your home")
                parts.pop()
            elif part not in ("", "."):
                if part.startswith(STAGED):
                    raise Refused("that name is not to be had")
                parts.append(part)
        path = self.user["home"]
        os.makedirs(path, exist_ok=True)
        for part in parts:
            path = os.path.join(path, part)
            if os.path.islink(path):
                raise Refused("no links here")
        self.parts = parts
        return path

    def wait_for_ready(self):
        if READY and self.receive().get("op") != "go":
            raise Broken("say that you are ready")


A = {"cmd": "op", "filename": "path", "filesize": "size", "md5": "digest", "username": "user"}
B = {"action": "op", "filename": "path", "size": "size", "md5": "digest", "username": "user"}
C = {"action_type": "op", "filename": "path", "filesize": "size", "md5": "digest", "username": "user"}
OPS = {"auth": "login", "ready": "go"}
CODES = {"ok": 200, "ready": 300, "no": 400}


def understood(data, names):
    try:
        given = json.loads(data)
    except (ValueError, RecursionError):
        raise Broken("that is no JSON") from None
    if not isinstance(given, dict):
        raise Broken("a header is an object")
    request = {names.get(name, name): value for name, value in given.items()}
    if isinstance(request.get("op"), str):
        request["op"] = OPS.get(request["op"], request["op"])
    return request


class StructJson(Session):
    def receive(self):
        length = int.from_bytes(self.exactly(4), "little", signed=True)
        if not 2 <= length <= 4096:
            raise Broken("that is no length")
        return understood(self.exactly(length), A)

    def exactly(self, count):
        data = self.rfile.read(count)
        if len(data) < count:
            raise EOFError
        return data

    def answer(self, status, reason="", **fields):
        names = {what: name for name, what in A.items()}
        header = {names.get(what, what): value for what, value in fields.items()}
        data = json.dumps(
            {"status": "ok" if status != "no" else "error", "message": reason, **header}
        ).encode()
        self.wfile.write(len(data).to_bytes(4, "little") + data)


class PaddedJson(StructJson):
    def receive(self):
        return understood(self.exactly(1024), C)

    def answer(self, status, reason="", **fields):
        names = {what: name for name, what in C.items()}
        header = {names.get(what, what): value for what, value in fields.items()}
        data = json.dumps({"status_code": CODES[status], "status_msg": reason, **header, "fill": ""}).encode()
        self.wfile.write(data.replace(b'"fill": ""', b'"fill": "' + b"0" * (1024 - len(data)) + b'"'))


class BareJson(Session):
    def receive(self):
        data = self.rfile.read1(1024)
        if not data:
            raise EOFError
        return understood(data, B)

    def answer(self, status, reason="", **fields):
        words = [str(value) for value in fields.values()] or [reason or status]
        self.wfile.write(" ".join([str(CODES[status]), *words]).encode())


class Delimited(Session):
    def receive(self):
        line = self.rfile.readline(4096)
        if not line:
            raise EOFError
        try:
            op, *words = line.decode().removesuffix("\n").split("|")
        except UnicodeDecodeError:
            raise Broken("that is no UTF-8") from None
        names = {
            "put": ("path", "size", "digest"), "reput": ("path", "size", "digest"), "get": ("path", "offset"),
            "ls": ("path",), "cd": ("path",), "login": ("user", "password"), "answer": ("response",),
        }  # fmt: skip
        request = dict(zip(names.get(op, ()), words, strict=False))
        for name in ("size", "offset"):
            if name in request:
                try:
                    request[name] = int(request[name])
                except ValueError:
                    raise Broken("that is no number") from None
        op = OPS.get(op, op)
        return {**request, "op": {"reput": "put", "answer": "login"}.get(op, op), "resume": op == "reput"}

    def answer(self, status, reason="", **fields):
        words = [str(value) for value in fields.values()] or [reason or "yes"]
        self.wfile.write(("|".join([{"no": "error"}.get(status, status), *words]) + "\n").encode())


class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, request, client_address):
        super().handle_error(request, client_address)


READY = DIALECT in ("bare-json", "delimited")
HANDLER = {
    "struct-json": StructJson, "padded-json": PaddedJson, "bare-json": BareJson, "delimited": Delimited,
}[DIALECT]  # fmt: skip

if __name__ == "__main__":
    with Server(("127.0.0.1", PORT), HANDLER) as server:
        server.serve_forever()
