# ruff: noqa: E501 -- pieces of another file, as they stand there
"""Servers with one fault each, and what the kit must say of each.

A fault is an edit of docs/course/10-homework/base_server.py, or, for what the base profile does not have, of
student_server.py beside this file: texts that must be there exactly once, and what they become.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from tests.helpers.course import COURSE

GOOD = (COURSE / "10-homework" / "base_server.py").read_text("utf-8")
STUDENT = Path(__file__).with_name("student_server.py").read_text("utf-8")

ACCOUNTS = """
login = "{way}"

[[account]]
name = "alice"
password = "correct horse"
home = "home/alice"
quota = "100M"

[[account]]
name = "bob"
password = "battery staple"
home = "home/bob"
quota = 400000
"""


@dataclass(frozen=True)
class Faulty:
    """A server with one fault.

    Attributes:
        edits: What is changed.
        check: The check that must fail.
        seen: A part of what the report then says was seen.
        hangs: Whether it is patience that finds it.
        way: How a password is sent to the student's server; "" is the base server, which takes none.
    """

    edits: dict[str, str]
    check: str
    seen: str
    hangs: bool = False
    way: str = ""

    @property
    def arguments(self) -> tuple[str, ...]:
        return ("struct-json", "PORT", self.way) if self.way else ("127.0.0.1", "PORT")

    def text(self) -> str:
        text = STUDENT if self.way else GOOD
        for old, new in self.edits.items():
            assert text.count(old) == 1, f"{text.count(old)} times in the server: {old}"
            text = text.replace(old, new)
        compile(text, "server.py", "exec")
        return text


_PUT = "        parts, path = self.locate(request)\n        digest = self.new_digest(request)\n"
_LOCATED = "        path = ROOT.joinpath(*parts)\n"
_LEAVES = 'raise Refused("invalid-path", "this leaves /")'

FAULTY = {
    "one client at a time": Faulty(
        {"socketserver.ThreadingTCPServer": "socketserver.TCPServer"}, "many at once", "hangs", True
    ),
    "a silent client holds up all": Faulty(
        {"socketserver.ThreadingTCPServer": "socketserver.TCPServer"},
        "a silent client holds up nobody",
        "hangs",
        True,
    ),
    "one directory for all": Faulty(
        {
            "        self.cwd = []\n": "",
            "self.cwd = parts": "Session.cwd = parts",
            "    disable_nagle": "    cwd = []\n    disable_nagle",
        },
        "each connection has its own directory",
        "in music too",
    ),
    "dots lead out": Faulty({_LEAVES: 'parts += ["..", "."]'}, "dots", "its content"),
    "absolute names lead out": Faulty(
        {_LOCATED: "        path = Path(text) if os.path.exists('/' + text) else ROOT.joinpath(*parts)\n"},
        "absolute names",
        "its content",
    ),
    "a neighbour is taken for the folder": Faulty(
        {
            _LEAVES: 'parts += ["..", "."]',
            _LOCATED: _LOCATED
            + '        if not os.path.normpath(path).startswith(str(ROOT)):\n            raise Refused("invalid-path", "outside")\n',
        },
        "a neighbour with the same beginning",
        "its content",
    ),
    "links are followed": Faulty(
        {"any(step.is_symlink() for step in (path, *path.parents))": "False"}, "links", "its content"
    ),
    "cd leaves the folder": Faulty(
        {
            _LEAVES: "return [*parts, '..'], ROOT.joinpath('..')",
            '"invalid-path", "an empty': '"invalid-path", "empty',
        },
        "cd out of the folder",
        "led out",
    ),
    "cd changes nothing": Faulty({"        self.cwd = parts\n": ""}, "cd and back", "refused"),
    "cd to what is not there": Faulty({"os.scandir(path).close()": "pass"}, "cd to nowhere", "it was done"),
    "ls without directories": Faulty(
        {"if not allowed(entry.name):": "if not entry.is_file():"}, "names and kinds", "missing"
    ),
    "ls with sizes of its own": Faulty({"about.st_size}": "about.st_size + 1}"}, "names and kinds", "10"),
    "ls says file for everything": Faulty(
        {'stat.S_IFDIR: "dir"': 'stat.S_IFDIR: "file"'}, "names and kinds", "file"
    ),
    "ls of nothing has no answer": Faulty(
        {
            '        self.send({"status": "ok", "size": len(lines)})': '        if lines:\n            self.send({"status": "ok", "size": len(lines)})'
        },
        "an empty directory",
        "hangs",
        True,
    ),
    "ls never fails": Faulty(
        {
            "        for entry in sorted(path.iterdir()) if path.is_dir() else [path]:": "        for entry in sorted(path.iterdir()) if path.is_dir() else []:"
        },
        "ls of what is not there",
        "it was done",
    ),
    "one recv for the length": Faulty(
        {"self.rfile.read(4)": "self.rfile.read1(4)"}, "byte by byte", "closed"
    ),
    "one recv for the header": Faulty(
        {"data = self.rfile.read(length)": "data = self.rfile.read1(length)"}, "byte by byte", "closed"
    ),
    "one recv for the content": Faulty(
        {"        while self.unread:\n": "        if self.unread:\n"},
        "contents of every size",
        "invalid-header",
    ),
    "content read as text": Faulty(
        {" file.write(piece)": ' file.write(piece.replace(b"\\r\\n", b"\\n"))'},
        "contents of every size",
        "different from byte",
    ),
    "a digest of something else": Faulty(
        {'trailer or {"digest": digest.hexdigest()}': 'trailer or {"digest": hashlib.md5(b"?").hexdigest()}'},
        "contents of every size",
        '"digest"',
    ),
    "no trailer behind an empty file": Faulty(
        {
            'self.send(trailer or {"digest": digest.hexdigest()})': 'size and self.send(trailer or {"digest": digest.hexdigest()})'
        },
        "contents of every size",
        "hangs",
        True,
    ),
    "a digest that nobody compares": Faulty(
        {'if self.trailer.get("digest") != digest.hexdigest()': "if False"},
        "a digest that does not fit",
        "it was done",
    ),
    "a put writes into the old file": Faulty(
        {
            'open(staged, "wb")': 'open(path, "r+b" if path.exists() else "wb")',
            "            os.replace(staged, path)\n": "",
        },
        "a shorter file over a longer one",
        "14 bytes for 5",
    ),
    "an upload under its real name": Faulty(
        {'open(staged, "wb")': 'open(path, "wb")', "            os.replace(staged, path)\n": ""},
        "an upload that breaks off",
        "bytes for 15",
    ),
    "half a file in the listing": Faulty(
        {"if not allowed(entry.name):": "if False:"}, "an upload that breaks off", "ls shows .put-"
    ),
    "a refused put whose content is not read": Faulty(
        {"for _ in self.payload():": "for _ in ():"}, "the request after a refused put", "invalid-header"
    ),
    "a get of what is not there ends all": Faulty(
        {
            "        (_, path), digest = self.locate(request), self.new_digest(request)\n": "        (_, path), digest = self.locate(request), self.new_digest(request)\n        path.exists() or os._exit(9)\n"
        },
        "a get of what is not there",
        "the server's process ended with 9",
    ),
    "no JSON ends all": Faulty(
        {'raise Broken("invalid-header", "a header is a JSON object")': "os._exit(7)"},
        "messages that make no sense",
        "ended with 7",
    ),
    "any length is believed": Faulty(
        {"not 2 <= length <= 4096": "length < 2"}, "messages that make no sense", "hangs", True
    ),
    "methods by name": Faulty(
        {
            "        known = isinstance(op, str) and op in table\n": "        known = isinstance(op, str) and hasattr(self, op)\n",
            "table[op](request)": "getattr(self, op)(*[request] * (op in table))",
        },
        "messages that make no sense",
        "service",
    ),
    "a client that vanishes ends all": Faulty(
        {'raise ConnectionAbortedError("the end came in the middle of a payload")': "os._exit(4)"},
        "clients that vanish",
        "ended with 4",
    ),
    "it hangs": Faulty(
        {_PUT: "        import threading\n        threading.Event().wait()\n" + _PUT},
        "contents of every size",
        "hangs",
        True,
    ),
    "it sends without end": Faulty(
        {
            'self.send({"status": "ok", "size": len(lines)})': 'self.send({"status": "ok", "size": 1 << 40})\n        while True:\n            self.wfile.write(bytes(1 << 20))'
        },
        "names and kinds",
        "it floods",
    ),
    "it prints without end": Faulty(
        {_PUT: '        while True:\n            print("x" * 9999)\n' + _PUT},
        "contents of every size",
        "of output",
    ),
    # What a fork shares counts for each until it has become another program: on a busy machine memory is over first.
    "it starts processes without end": Faulty(
        {
            _PUT: "        while True:\n            with contextlib.suppress(OSError):\n                os.fork() or os.execvp('sleep', ['sleep', '1000'])\n"
            + _PUT
        },
        "contents of every size",
        "stopped: more than",
    ),
    "it takes memory without end": Faulty(
        {
            _PUT: "        hog = []\n        while True:\n            with contextlib.suppress(MemoryError):\n                hog.append(b'x' * (1 << 24))\n"
            + _PUT
        },
        "contents of every size",
        "of memory",
    ),
    "it spins": Faulty(
        {_PUT: "        while True:\n            pass\n" + _PUT}, "contents of every size", "hangs", True
    ),
    "it does not start": Faulty(
        {"        ROOT.mkdir(exist_ok=True)\n": "        raise OSError('no luck')\n"},
        "many at once",
        "no luck",
    ),
    "it greets nobody": Faulty(
        {'            self.send({"service": "ftpsvc", "version": 1, "algorithms": ALGORITHMS})\n': ""},
        "many at once",
        "hangs",
        True,
    ),
}

_LET_IN = "if not good or self.claimed not in USERS:"
_PAGES = "                while piece := file.read(1 << 16):\n                    self.wfile.write(piece)\n"
_STAGED = "os.path.join(os.path.dirname(path), STAGED + (key if resume else secrets.token_hex(8)))"

FAULTY |= {
    "a put reads into the next message": Faulty(
        {"read1(min(self.unread, 1 << 18))": "read1(1 << 18)"}, "several messages at once", "hangs", True
    ),
    "a whole file in memory": Faulty(
        {
            "                for piece in self.payload():\n                    digest.update(piece)\n                    file.write(piece)\n": "                piece = b''.join(self.payload())\n                digest.update(piece)\n                file.write(piece)\n"
        },
        "a large file in little memory",
        "MiB more memory",
    ),
    "a port that stays taken": Faulty(
        {'    allow_reuse_address = os.name == "posix"\n': ""}, "started again at once", "it ended with 1"
    ),
    "any password is the right one": Faulty(
        {_LET_IN: "if self.claimed not in USERS:"}, "who may log in", "it was done", way="challenge"
    ),
    "it tells who has an account": Faulty(
        {
            _LET_IN: "if self.claimed not in USERS:\n            raise Refused('no such user')\n        if not good:"
        },
        "who may log in",
        "no such user",
        way="challenge",
    ),
    "nobody is asked who they are": Faulty(
        {
            "self.user, self.claimed, self.challenge, self.cwd = None": "self.user, self.claimed, self.challenge, self.cwd = USERS['alice']"
        },
        "nothing without a log-in",
        "its content",
        way="challenge",
    ),
    "a password in clear": Faulty({}, "no password on the wire", "the password, as it is typed", way="clear"),
    "a digest in place of the password": Faulty(
        {}, "a log-in that was recorded", "it was let in", way="digest"
    ),
    "always the same challenge": Faulty(
        {
            'self.claimed, self.challenge = request.get("user"), secrets.token_hex(16)': 'self.claimed, self.challenge = request.get("user"), "0123456789abcdef"'
        },
        "a log-in that was recorded",
        "it was let in",
        way="challenge",
    ),
    "a log with passwords": Faulty(
        {
            '            user = USERS.get(self.claimed, {"secret": secrets.token_hex(16)})\n            given = ': "            user = USERS.get(self.claimed, {\"secret\": secrets.token_hex(16)})\n            print(request, file=open('log.txt', 'a'))\n            given = "
        },
        "no password in a file",
        "log.txt",
        way="clear",
    ),
    "a lock while a client reads": Faulty(
        {
            _PAGES: "                with LOCK:\n                    while piece := file.read(1 << 16):\n                        self.wfile.write(piece)\n"
        },
        "a reader who does not read",
        "hangs",
        True,
        way="challenge",
    ),
    "connections that nobody closes": Faulty(
        {
            "        self.user, self.claimed": "        LEAK.append(self.request.dup())\n        self.user, self.claimed",
            "LOCK = threading.Lock()": "LOCK, LEAK = threading.Lock(), []",
        },
        "many, one after the other",
        "before, ",
        way="challenge",
    ),
    "homes that anybody can name": Faulty(
        {
            '        path = self.user["home"]\n': '        path = "home" if parts[:1] == ["alice"] else self.user["home"]\n'
        },
        "what is another user's",
        "its content",
        way="challenge",
    ),
    "a quota that nobody looks at": Faulty(
        {'> self.user["quota"]': "> 1 << 60"}, "more than there is room for", "it was done", way="challenge"
    ),
    "a quota for each file": Faulty(
        {"used - old + RESERVED.get(home, 0) + size": "size"},
        "many that add up",
        "it was done",
        way="challenge",
    ),
    "what is replaced counts twice": Faulty(
        {"used - old +": "used +"}, "replacing a file", "no room", way="challenge"
    ),
    "a quota that looks too early": Faulty(
        {"RESERVED.get(home, 0) + size > self": "size > self"},
        "a race for the last bytes",
        "bytes were stored",
        way="challenge",
    ),
    "names that are made nice": Faulty(
        {"parts.append(part)": "parts.append(part.strip())"}, "odd names", "it is not there", way="challenge"
    ),
    "half a file after a crash": Faulty(
        {_STAGED: 'path + ".tmp"'}, "killed in an upload", "ls shows kept.txt.tmp", way="challenge"
    ),
    "an upload that always begins again": Faulty(
        {
            "have = os.path.getsize(staged) if resume and os.path.exists(staged) else 0": "have = 0\n            os.path.exists(staged) and os.unlink(staged)"
        },
        "an upload goes on",
        "begins again",
        way="challenge",
    ),
    "a download that always begins again": Faulty(
        {"file.seek(offset)": "file.seek(0)"}, "a download goes on", "different from byte", way="challenge"
    ),
    "two files in one": Faulty(
        {
            'f"{path}|{size}|{digest}"': 'f"{path}|{size}"',
            "digest is not None and digest != hashed.hexdigest()": "False",
        },
        "another file of the same name and size",
        "different from byte",
        way="challenge",
    ),
    "any offset will do": Faulty(
        {"not 0 <= offset <= size": "False"}, "offsets that make no sense", "it was done", way="challenge"
    ),
    "names in any case": Faulty(
        {
            'self.claimed, self.challenge = request.get("user"), secrets': 'self.claimed, self.challenge = str(request.get("user")).lower(), secrets'
        },
        "odd user names",
        "it was done",
        way="challenge",
    ),
    "a put takes whatever comes": Faulty(
        {
            "                    while left:\n                        piece = self.rfile.read1(min(left, 1 << 16))": "                    while left > 0:\n                        piece = self.rfile.read1(1 << 16)",
            "digest is not None and digest != hashed.hexdigest()": "False",
        },
        "more bytes than announced",
        "3005 bytes",
        way="challenge",
    ),
}
