# ruff: noqa: E501 -- pieces of another file, as they stand there
"""Clients with one fault each, made from the course's base client, and what the kit must say of each.

A fault is an edit of docs/course/10-homework/base_client.py: texts that must be there exactly once, and what they become.
"""

from __future__ import annotations

from dataclasses import dataclass

from tests.helpers.course import COURSE

GOOD = (COURSE / "10-homework" / "base_client.py").read_text("utf-8")


def edited(text: str, edits: dict[str, str]) -> str:
    for old, new in edits.items():
        assert text.count(old) == 1, f"{text.count(old)} times in the client: {old}"
        text = text.replace(old, new)
    compile(text, "client.py", "exec")
    return text


@dataclass(frozen=True)
class Faulty:
    """A client with one fault.

    Attributes:
        edits: What is changed.
        check: The check that must fail.
        seen: A part of what the report then says was seen.
        hangs: Whether it is patience that finds it.
    """

    edits: dict[str, str]
    check: str
    seen: str
    hangs: bool = False

    def text(self) -> str:
        return edited(GOOD, self.edits)


_PUT = '        with open(local, "rb") as file:\n'
_READ = "        data = self.stream.read(count)\n"
_STAGED = 'tempfile.NamedTemporaryFile(dir=target.parent, prefix=".get-", delete=False)'
_CD = '        self.send({"op": "cd", "path": path})\n'
_DEAF = {
    "        self.sock = socket.": "        import signal\n\n        signal.signal(signal.SIGINT, signal.SIG_IGN)\n        self.sock = socket."
}
_RAISES = '                raise Refused({"code": "digest-mismatch", "message": f"{remote} did not arrive whole"})\n'
_NO_FILE = "there is no such file"

FAULTY = {
    "cd does nothing": Faulty(
        {_CD: "", 'print(printable(self.answer().get("path", "")))': "print(path)"},
        "cd and names after it",
        _NO_FILE,
    ),
    "it believes where it is": Faulty(
        {
            _CD: '        self.where = path + "/"\n' + _CD,
            "path = remote or": 'path = getattr(self, "where", "") + remote or',
        },
        "cd to nowhere",
        _NO_FILE,
    ),
    "a refused cd is not told": Faulty(
        {
            'print(printable(self.answer().get("path", "")))': 'answer = self.receive()\n        print("now in", printable(answer.get("path", path)))'
        },
        "cd to nowhere",
        "all went well",
    ),
    "names without Chinese": Faulty(
        {"printable(entry['name'])": "entry['name'].encode('ascii', 'ignore').decode()"},
        "names in a listing",
        "missing: 中文",
    ),
    "names end at a space": Faulty(
        {"printable(entry['name'])": "printable(entry['name'].split()[0])"},
        "names in a listing",
        "missing: with space",
    ),
    "nothing is no listing": Faulty(
        {"16 << 20)).splitlines()": '16 << 20)).splitlines() or [b""]'}, "an empty directory", "missing"
    ),
    "a listing is one recv": Faulty(
        {'b"".join(self.payload(answer, 16 << 20))': 'self.stream.read1(answer["size"])'},
        "a long listing",
        "missing",
    ),
    "it puts text": Faulty(
        {
            "piece := file.read(min(left, 1 << 18))": 'piece := file.read(min(left, 1 << 18)).replace(b"\\r\\n", b"\\n")'
        },
        "puts of every size",
        _NO_FILE,
    ),
    "it gets text": Faulty(
        {"staged.write(piece)": 'staged.write(piece.replace(b"\\r\\n", b"\\n"))'},
        "gets of every size",
        "different from byte",
    ),
    "it gets one piece": Faulty(
        {"            size -= len(piece)\n": "            size = 0\n"}, "gets of every size", _NO_FILE
    ),
    "it writes into the old file": Faulty(
        {
            "os.replace(staged.name, target)": 'open(target, "r+b" if target.exists() else "wb").write(open(staged.name, "rb").read())'
        },
        "a shorter file over a longer one",
        "14 bytes for 5",
    ),
    "one recv for what is read": Faulty(
        {_READ: _READ.replace(".read(", ".read1(")}, "answers byte by byte", _NO_FILE
    ),
    "it reads past the end of a message": Faulty(
        {"        (length,) =": '        self.stream = self.sock.makefile("rb")\n        (length,) ='},
        "several messages in one piece",
        "hangs",
        True,
    ),
    "a digest that nobody compares": Faulty(
        {'if trailer.get("digest") != digest.hexdigest()': "if False"},
        "a corrupted download",
        "40000 bytes for 15",
    ),
    "a corrupted download that nobody hears of": Faulty(
        {_RAISES: "                return os.unlink(staged.name)\n"}, "a corrupted download", "all went well"
    ),
    "a download under its real name": Faulty(
        {_STAGED: 'open(target, "wb")'}, "a download that breaks off", _NO_FILE
    ),
    "half a file under a new name": Faulty(
        {
            _STAGED: 'open(target if not target.exists() else str(target) + ".part", "wb")',
            "            os.unlink(staged.name)\n": "",
        },
        "a download that breaks off",
        "half a file is there",
    ),
    "a stopped download under its real name": Faulty(
        {_STAGED: 'open(target, "wb")'}, "a download that is stopped", _NO_FILE
    ),
    "a download that cannot be stopped": Faulty(_DEAF, "a download that is stopped", "hangs", True),
    "it ends when a put is refused": Faulty(
        {"isinstance(error, Refused) and error.fatal": "isinstance(error, Refused)"},
        "the command after a refused put",
        _NO_FILE,
    ),
    "it does not read why a put was refused": Faulty(
        {
            '                pass  # the server may have refused and closed: the reason is there to be read\n        answer = self.answer()\n        if answer.get("digest") != digest.hexdigest():\n': "                pass\n        answer = self.receive()\n        if False:\n"
        },
        "the command after a refused put",
        "all went well",
    ),
    "a get of nothing makes a file": Faulty(
        {_STAGED: 'open(target, "wb")', "            os.unlink(staged.name)\n": ""},
        "a get of what is not there",
        "0 bytes for 15",
    ),
    "a get of nothing ends it": Faulty(
        {"isinstance(error, Refused) and error.fatal": "isinstance(error, Refused)"},
        "a get of what is not there",
        _NO_FILE,
    ),
    "no local file ends it": Faulty(
        {"                FileNotFoundError,\n": ""}, "a local file that is not there", _NO_FILE
    ),
    "no local file is not told": Faulty(
        {_PUT: "        if not os.path.exists(local):\n            return print(local, '-> bytes')\n" + _PUT},
        "a local file that is not there",
        "all went well",
    ),
    "an empty line ends it": Faulty(
        {
            "                if not name:\n                    continue\n": '                if not name:\n                    raise IndexError("nothing")\n'
        },
        "an empty line",
        _NO_FILE,
    ),
    "its input has no end": Faulty(
        {
            "        for line in sys.stdin:\n": "        while True:\n            line = sys.stdin.readline()\n"
        },
        "the end of its input",
        "hangs",
        True,
    ),
    "a recv of nothing is tried again": Faulty(
        {
            '        if len(data) < count:\n            raise ConnectionError("the server closed in the middle of a message")\n': "        while len(data) < count:\n            data += self.stream.read(count - len(data))\n"
        },
        "a server that closes",
        "hangs",
        True,
    ),
    "it waits for ever": Faulty(_DEAF, "a server that says nothing", "hangs", True),
    "any length is believed": Faulty(
        {"not 2 <= length <= 65536": "length < 2"}, "lengths that no server means", "hangs", True
    ),
    "any listing is believed": Faulty(
        {"self.payload(answer, 16 << 20)": "self.payload(answer)"},
        "lengths that no server means",
        "hangs",
        True,
    ),
    "names drive the terminal": Faulty(
        {'"".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)': "text"},
        "names that drive the terminal",
        "it does",
    ),
    "the server names the file": Faulty(
        {
            "            os.replace(staged.name, target)\n": '            os.replace(staged.name, Path(answer.get("name", target)))\n'
        },
        "names that drive the terminal",
        "the server's name",
    ),
    "no bar for a put": Faulty(
        {"                    bar(size - left, size)\n": ""}, "a bar for a put", "none in"
    ),
    "a line for each piece of a get": Faulty(
        {'bar(staged.tell(), answer["size"])': "print(staged.tell() * 100 // answer['size'], '%')"},
        "a bar for a get",
        "none in",
    ),
    "a bar that stops before the end": Faulty(
        {'bar(staged.tell(), answer["size"])': 'bar(staged.tell() * 9 // 10, answer["size"])'},
        "a bar for a get",
        "before the whole",
    ),
    "a bar everywhere": Faulty(
        {"    if sys.stdout.isatty():\n": "    if True:\n"}, "no bar in a file", "drawn anew"
    ),
    "a bar of lines in a file": Faulty(
        {
            "    if sys.stdout.isatty():\n": "    if not sys.stdout.isatty():\n        print(done)\n    else:\n"
        },
        "no bar in a file",
        " lines",
    ),
    "a percentage of nothing": Faulty(
        {
            "max(size, 1)": "size",
            "            path = remote or": "            bar(0, size)\n            path = remote or",
        },
        "an empty file with a bar",
        _NO_FILE,
    ),
    "it hangs": Faulty(
        {_PUT: "        import threading\n        threading.Event().wait()\n" + _PUT},
        "puts of every size",
        "hangs",
        True,
    ),
    "it spins": Faulty(
        {_PUT: "        while True:\n            pass\n" + _PUT}, "puts of every size", "hangs", True
    ),
    "it prints without end": Faulty(
        {_PUT: '        while True:\n            print("x" * 9999)\n' + _PUT},
        "puts of every size",
        "of output",
    ),
    "it connects without end": Faulty(
        {_PUT: "        while True:\n            socket.create_connection((HOST, PORT)).close()\n" + _PUT},
        "puts of every size",
        "connections",
    ),
    "it sends without end": Faulty(
        {
            _PUT: '        self.send({"op": "put", "path": "endless", "size": 1 << 40, "algorithm": self.algorithm})\n        while True:\n            self.sock.sendall(bytes(1 << 20))\n'
            + _PUT
        },
        "puts of every size",
        "floods the server",
    ),
    "a signal ends it": Faulty(
        {_PUT: "        os.kill(os.getpid(), 11)\n" + _PUT}, "puts of every size", "a signal ended it: 11"
    ),
    "it starts processes without end": Faulty(
        {
            _PUT: "        while True:\n            with contextlib.suppress(OSError):\n                os.fork() or os.execvp('sleep', ['sleep', '1000'])\n"
            + _PUT
        },
        "puts of every size",
        "stopped: more than",
    ),
    "it takes memory without end": Faulty(
        {
            _PUT: "        hog = []\n        while True:\n            with contextlib.suppress(MemoryError):\n                hog.append(b'x' * (1 << 24))\n"
            + _PUT
        },
        "puts of every size",
        "of memory",
    ),
    "it ends what is beside it": Faulty(
        {
            _PUT: "        os.kill(os.getppid(), 9)\n        import threading\n        threading.Event().wait()\n"
            + _PUT
        },
        "puts of every size",
        "the sandbox is gone",
    ),
    "it does not connect": Faulty(
        {"    failed = False\n": '    sys.exit("no luck")\n    failed = False\n'},
        "cd and names after it",
        "none came; it ended with 1",
    ),
    "it connects somewhere else": Faulty(
        {"(host, port), 60": "(host, port + 1), 60"}, "cd and names after it", "none came; it ended with 1"
    ),
}
