"""The dialect of docs/protocol.md section 9, the base profile: a length, a JSON header, a payload, a trailer."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any, ClassVar, Final

from ftpsvc.homework.kit.dialect import Conversation, Dialect, Entry, Op
from ftpsvc.homework.kit.findings import Fault, Garbled, Refused
from ftpsvc.homework.kit.wire import MOST, Wire
from ftpsvc.text import printable

_LONGEST: Final = 65536
_ALGORITHMS: Final = ("sha256", "md5")


def message(header: object) -> bytes:
    """Returns a header with its length before it."""
    return framed(json.dumps(header).encode())


def framed(data: bytes) -> bytes:
    """Returns bytes with their length before them."""
    return len(data).to_bytes(4, "big") + data


class BaseConversation(Conversation):
    """A conversation in the base profile."""

    _algorithm = "sha256"

    def greet(self) -> None:
        """Reads the greeting, and takes the first algorithm of it that is known."""
        header = self._header("a greeting")
        offered = header.get("algorithms")
        known = [one for one in offered if one in _ALGORITHMS] if isinstance(offered, list) else []
        if header.get("service") != "ftpsvc" or not known:
            raise Garbled("a greeting with service, version and algorithms", _shown(header))
        self._algorithm = known[0]

    def request(self, op: Op, path: str, content: bytes = b"") -> bytes:
        """Returns the bytes of a request."""
        if op == "put":
            return self._put(path, content, self._digest(content))
        extra = {"algorithm": self._algorithm} if op == "get" else {}
        return message({"op": op, "path": path, **extra})

    def spoilt(self, path: str, content: bytes) -> bytes:
        """Returns the bytes of a `put` with the digest of something else."""
        return self._put(path, content, self._digest(content + b"?"))

    def done(self) -> None:
        """Reads an answer without payload."""
        header = self._answer()
        if "size" in header:
            raise Garbled("an answer without payload", _shown(header))

    def content(self) -> bytes:
        """Reads payload and trailer, and compares the digest."""
        data = self._payload(self._answer())
        trailer = self._header("the trailer behind the content")
        if trailer.get("digest") != self._digest(data):
            raise Fault(f"the {self._algorithm} digest of the content as the trailer", _shown(trailer))
        return data

    def listing(self) -> Mapping[str, Entry]:
        """Reads the lines of a listing."""
        found = {}
        for line in self._payload(self._answer()).splitlines():
            try:
                entry = json.loads(line)
                name, kind = entry["name"], entry["type"]
                size = entry["file_size"] if kind == "file" else None
                if not (isinstance(name, str) and isinstance(kind, str) and type(size) in (int, type(None))):
                    raise ValueError("wrong types")
            except (ValueError, KeyError, TypeError, RecursionError) as error:
                shown = printable(line.decode("utf-8", "replace"))[:200]
                raise Garbled("lines with name, type, and file_size for files", shown) from error
            found[name] = Entry("file" if kind == "file" else "dir" if kind == "dir" else "other", size)
        return found

    def _put(self, path: str, content: bytes, digest: str) -> bytes:
        header = {"op": "put", "path": path, "size": len(content), "algorithm": self._algorithm}
        return message(header) + content + message({"digest": digest})

    def _digest(self, content: bytes) -> str:
        return hashlib.new(self._algorithm, content, usedforsecurity=False).hexdigest()

    def _answer(self) -> dict[str, Any]:
        header = self._header("an answer")
        if header.get("status") == "error":
            code, text = str(header.get("code"))[:60], str(header.get("message"))[:200]
            raise Refused(printable(code), printable(text), fatal=header.get("fatal") is True)
        if header.get("status") != "ok":
            raise Garbled("an answer with a status, ok or error", _shown(header))
        return header

    def _payload(self, header: dict[str, Any]) -> bytes:
        size = header.get("size")
        if type(size) is not int or size < 0:
            raise Garbled("an answer with a size", _shown(header))
        if size > MOST:
            raise Garbled("a payload of what there is", f"{size} bytes announced: it floods")
        return self.wire.exactly(size, f"a payload of {size} bytes")

    def _header(self, what: str) -> dict[str, Any]:
        length = int.from_bytes(self.wire.exactly(4, what), "big")
        if not 2 <= length <= _LONGEST:
            raise Garbled(f"{what}, as a header of 2 to {_LONGEST} bytes", f"a length of {length}")
        data = self.wire.exactly(length, what)
        try:
            header = json.loads(data)
        except (ValueError, RecursionError):
            header = None
        if not isinstance(header, dict):
            shown = printable(data[:200].decode("utf-8", "replace"))
            raise Garbled(f"{what}, as a JSON object", shown)
        return header


class BaseProfile(Dialect):
    """docs/protocol.md section 9."""

    name = "base"
    unmeasured: ClassVar = {
        1: "the base profile has no log-in",
        4: "the base profile has no quotas",
        8: "a progress bar is the client's",
        9: "the base profile starts again after an interruption",
    }
    messages: ClassVar = {
        "a header that is no JSON": framed(b"this is no JSON"),
        "a header that is no object": framed(b"[1, 2]"),
        "brackets without end": framed(b"[" * 4000),
        "no UTF-8": framed(b'{"op": "\xff\xfe"}'),
        "a length of 0": framed(b""),
        "a length of 5000": (5000).to_bytes(4, "big"),
        "a length of 2^32-1": b"\xff\xff\xff\xff",
        "a put with a size that is a text": message(
            {"op": "put", "path": "x", "size": "6", "algorithm": "sha256"}
        ),
        "a put with a size below zero": message(
            {"op": "put", "path": "x", "size": -1, "algorithm": "sha256"}
        ),
        "a put without a size": message({"op": "put", "path": "x", "algorithm": "sha256"}),
        "a get without a path": message({"op": "get", "algorithm": "sha256"}),
        "an operation that is no text": message({"op": {}}),
        "the operation __init__": message({"op": "__init__"}),
        "the operation handle": message({"op": "handle"}),
    }
    wrong_digest = True

    def converse(self, wire: Wire) -> Conversation:
        """Returns a conversation."""
        return BaseConversation(wire)

    def spoilt(self, conversation: Conversation, path: str, content: bytes) -> bytes:
        """Returns a `put` with a wrong digest."""
        assert isinstance(conversation, BaseConversation)  # noqa: S101 -- ours, by `converse`
        return conversation.spoilt(path, content)


def _shown(header: dict[str, Any]) -> str:
    return printable(json.dumps(header))[:200]
