"""What somebody sends who wants in where they do not belong: paths, requests and bytes, generated from a seed."""

import json
import random
import string
from collections.abc import Callable, Iterator
from typing import Any

from tests.helpers.names import REFUSED, USABLE
from tests.helpers.raw_peer import frame, put_bytes

_LEADS = (
    "", "/", "//", "///", "./", "/./", "~/", "~root/", "C:\\", "C:/", "c:", "\\\\host\\share\\",
    "\\\\?\\C:\\", "file:///",
    "\0", "/\0/", "%2f", "$HOME/", "//localhost/",
)  # fmt: skip
_UPS = (
    "../", "..\\", "./../",
    ".//../", "..//", "x/../../", "secret/../../", "deep/../../", "%2e%2e/", "%2e%2e%2f", "..%2f", "..%5c",
    "....//", "..;/", ".../", "․․/", "．．/", "‥/", "..\u200b/", "..\u0301/", "..\0/", ".\u202e./", "\x2e\x2e\x2f",
    "..\n/",
)  # fmt: skip
_TAILS = (
    "", "", "", "/", "//", "/.", "/..", "/../..", "\0", "\0.txt", " ", ".", "::$DATA", "/secret", "\n", "\r\n",
    "?x", "*",
    "\u202e",
)  # fmt: skip
PLANTED = (
    "link-out", "link-out/secret", "link-out/new", "link-file", "link-abs", "link-up", "link-up/ab/secret",
    "link-up/ab/new",
    "link-self", "link-neighbour", "link-neighbour/secret", "link-neighbour/new", "link-dangling",
    "link-proc/cwd", "link-keys",
    "link-keys/tls/server.pem", "deep/link", "deep/link/secret", "deep/../deep/link/new", "hard", "fifo",
    "device", "socket",
    "link-proc/root/etc/passwd",
)  # fmt: skip
"""What `tests.integration.test_attacks` puts into a home, and ways through it."""


def paths(chance: random.Random, targets: tuple[str, ...]) -> Iterator[str]:
    """Paths without end: ways to the targets, through what is planted, and names that have broken other servers.

    Args:
        chance: What chooses.
        targets: Names of others, and absolute paths, that are to be reached.
    """
    while True:
        kind = chance.random()
        if kind < 0.45:
            path = chance.choice(_LEADS) + chance.choice(_UPS) * chance.randint(0, 6)
            path += chance.choice(targets).lstrip("/" * chance.randint(0, 1)) + chance.choice(_TAILS)
        elif kind < 0.75:
            path = chance.choice(("", "", "/", "./", "x/../", "../", "handouts/", "handouts/../"))
            path += chance.choice(PLANTED) + chance.choice(_TAILS)
        elif kind < 0.9:
            names = (*USABLE, *REFUSED, *targets)
            path = "/".join(chance.choice(names) for _ in range(chance.randint(1, 4)))
        elif kind < 0.93:
            path = "/".join(("..", "x")[chance.randrange(2)] for _ in range(chance.randint(50, 700)))
        else:
            path = "".join(
                chance.choice("/\\.. ~%\0\n" + string.ascii_letters) for _ in range(chance.randint(0, 60))
            )
        if chance.random() < 0.1:  # and one character is another
            at = chance.randint(0, len(path))
            path = (
                path[:at]
                + chance.choice(("/", ".", "\0", "\\", "\ud800", "é", "\U0001f600"))
                + path[at + 1 :]
            )
        yield path


Make = Callable[[random.Random, str, str], bytes]


def _plain(op: str, **fields: Any) -> Make:
    return lambda chance, path, other: frame({"op": op, "path": path, **fields})


OPERATIONS: dict[str, tuple[Make, ...]] = {
    "put": (
        lambda chance, path, other: put_bytes(path, b"hostile"),
        lambda chance, path, other: put_bytes(path, b"hostile", clobber=False),
    ),
    "get": (_plain("get", algorithm="sha256"), _plain("get", algorithm="sha256", offset=1)),
    "ls": (_plain("ls"), _plain("ls", recursive=True), _plain("ls", digests=True), _plain("ls", cursor="../..")),
    "stat": (_plain("stat"), _plain("stat", digest=True)),
    "cd": (_plain("cd"),),
    "mkdir": (_plain("mkdir"), _plain("mkdir", parents=True)),
    "rm": (_plain("rm"), _plain("rm", recursive=True)),
    "mv": (
        lambda chance, path, other: frame({"op": "mv", "path": path, "to": other}),
        lambda chance, path, other: frame({"op": "mv", "path": "secret", "to": path}),
        lambda chance, path, other: frame({"op": "mv", "path": path, "to": "stolen"}),
    ),
    "verify": (_plain("verify"),),
    "begin": (_plain("begin", file_size=7, algorithm="sha256"),),
    "blocks": (_plain("blocks", algorithm="sha256", block_size=65536),),
    "patch": (_plain("patch", algorithm="sha256", version="x", file_size=7),),
}  # fmt: skip
"""How each operation that takes a path is sent. Those that a server does not have are unknown ops to it."""


def requests(chance: random.Random, targets: tuple[str, ...]) -> Iterator[bytes]:
    """Requests without end that are well-formed, each with a hostile path where one belongs."""
    hostile = paths(chance, targets)
    makers = [make for makes in OPERATIONS.values() for make in makes]
    while True:
        yield chance.choice(makers)(chance, next(hostile), next(hostile))


_VALUES: tuple[Any, ...] = (
    None, True, False, 0, -1, 1, 2**31, 2**63, 2**63 - 1, -(2**63), 10**400, 1.5, "", "x", "\0", "../..", [], {},
    [[]], {"a": {"b": []}},
    "x" * 2000, [1] * 300, "sha256", "blake3", "nonsense", "__class__", "\ud800", "é" * 300,
)  # fmt: skip
_OPS = (
    "put", "get", "ls", "cd", "pwd", "stat", "mkdir", "rm", "mv", "df", "verify", "whoami", "set-password",
    "issue-token",
    "revoke-token", "auth", "begin", "blocks", "patch", "submit-begin", "__init__", "__class__", "handle",
    "_Talk__run", "", "PUT", "get ",
    "x" * 500, None, 1, ["get"], {"op": "get"}, True,
)  # fmt: skip
_KEYS = (
    "path", "to", "size", "file_size", "offset", "algorithm", "recursive", "parents", "clobber", "digests",
    "digest", "limit", "cursor",
    "mode", "modified", "version", "verifier", "label", "token", "mechanism", "data", "user", "role", "home",
    "__proto__",
)  # fmt: skip


def headers(chance: random.Random, targets: tuple[str, ...]) -> Iterator[bytes]:
    """Messages without end that are framed well and whose header is wrong in some field, or in all."""
    hostile = paths(chance, targets)
    while True:
        header: dict[str, Any] = {"op": chance.choice(_OPS)}
        for key in chance.sample(_KEYS, chance.randint(0, 6)):
            header[key] = next(hostile) if chance.random() < 0.3 else chance.choice(_VALUES)
        if header.get("op") == "auth" and "mechanism" in header:
            header["mechanism"] = chance.choice(
                ("SCRAM-SHA-256", "SCRAM-SHA-256-PLUS", "PLAIN", "SCRAM-SHA-1")
            )
            header["data"] = (
                chance.choice(("n,,", "y,,", "p=tls-server-end-point,,")) + f"n={next(hostile)},r=x"
            )
        if header["op"] == "revoke-token":
            header["token"] = (
                "NOBODYS"  # without one it gives back one's own, which is nobody's harm but ends the attack
            )
        if isinstance(header.get("size"), int) and 0 < header["size"] < 2**20 and chance.random() < 0.7:
            del header["size"]  # now and then what follows is taken for a payload; mostly it is not
        yield frame(header)


_TEXTS = (
    b"", b"{}", b"[]", b"null", b"{", b"}", b'{"op":"ls"', b'{"op":"ls","op":"get"}', b'{"op":"ls","limit":NaN}',
    b'{"op":"ls","limit":1e400}', b'{"op":"\xff\xfe"}', b"\xef\xbb\xbf{}", b'{"op":"ls","path":"\\ud800"}',
    b"[" * 4000,
    b'{"a":' * 600 + b"1" + b"}" * 600, b'{"op":"put","path":"x","size":-1}', b'{"op":"put","path":"x","size":"1"}',
    b'{"op":"put","path":"x","size":true}', b"\0" * 64, b'{"op": "quit"} trailing',
    b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
    b"USER anonymous\r\nPASS x\r\nCWD ..\r\nRETR /etc/passwd\r\n", b'{"op":"get","path":"' + b"9" * 70000 + b'"}',
)  # fmt: skip
_LENGTHS = (0, 1, 2, 4095, 4096, 4097, 65535, 65536, 65537, 2**24, 2**31 - 1, 2**31, 2**32 - 1)


def frames(chance: random.Random) -> Iterator[bytes]:
    """Bytes without end that are no message, or nearly one: after them nothing more can be understood."""
    valid = [
        frame({"op": "ls"}),
        put_bytes("x", b"hostile"),
        frame({"op": "get", "path": "secret", "algorithm": "md5"}),
    ]
    while True:
        kind = chance.randrange(5)
        if kind == 0:
            data = chance.randbytes(chance.randint(1, 300))
        elif kind == 1:
            text = chance.choice(_TEXTS)
            length = len(text) if chance.random() < 0.7 else chance.choice(_LENGTHS)
            data = length.to_bytes(4, "big") + text
        elif kind == 2:  # cut off
            whole = chance.choice(valid)
            data = whole[: chance.randrange(len(whole))]
        elif kind == 3:  # some bits are others
            changed = bytearray(chance.choice(valid))
            for _ in range(chance.randint(1, 4)):
                changed[chance.randrange(len(changed))] ^= 1 << chance.randrange(8)
            data = bytes(changed)
        else:  # two messages into one another
            one, other = chance.choice(valid), chance.choice(valid)
            data = one[: chance.randrange(len(one))] + other
        yield data


def answers(data: bytes) -> list[dict[str, Any]]:
    """The answers in all that a server sent, without payloads, trailers and greeting, up to where it was cut off."""
    found: list[dict[str, Any]] = []
    at = 0
    while at + 4 <= len(data):
        end = at + 4 + int.from_bytes(data[at : at + 4], "big")
        if end > len(data):
            break
        header = json.loads(data[at + 4 : end])
        at = end
        if "status" in header:
            found.append(header)
            if header["status"] == "ok":
                at += header.get("size", 0)
    return found
