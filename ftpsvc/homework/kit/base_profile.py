"""The dialect of docs/protocol.md: section 9, the base profile, and of the rest what the whole rubric asks for.

A message is a length, a JSON header, and a payload; a content is followed by a trailer with its digest.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from typing import Any, Final

from ftpsvc.credentials import Kind, LoginName
from ftpsvc.exceptions import FtpsvcError
from ftpsvc.homework.kit.declared import Account
from ftpsvc.homework.kit.dialect import Conversation, Dialect, Entry, Op, Piece
from ftpsvc.homework.kit.findings import Fault, Garbled, NotScored, Refused
from ftpsvc.homework.kit.said import said
from ftpsvc.homework.kit.wire import MOST, Wire
from ftpsvc.scram import ClientLogin, prepared
from ftpsvc.text import printable

_LONGEST: Final = 65536
_NO_NAME: Final = said("no log-in can carry that name or password")
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
    _from = 0

    def greet(self) -> None:
        """Reads the greeting, and takes the first algorithm of it that is known."""
        header = self._header(said("a greeting"))
        offered = header.get("algorithms")
        known = [one for one in offered if one in _ALGORITHMS] if isinstance(offered, list) else []
        if header.get("service") != "ftpsvc" or not known:
            raise Garbled(said("a greeting with service, version and algorithms"), _shown(header))
        self._algorithm = known[0]

    def login(self, account: Account) -> Iterator[Piece]:
        """Logs in by SCRAM-SHA-256 (docs/protocol.md section 11)."""
        try:
            same = prepared(account.name) == account.name  # else SCRAM itself makes it another name
            scram = ClientLogin(LoginName(account.name, Kind.PASSWORD), account.password)
            first = scram.first()
        except FtpsvcError as error:
            raise NotScored(_NO_NAME) from error
        if not same:
            raise NotScored(_NO_NAME)
        try:
            yield Piece(message({"op": "auth", "mechanism": scram.mechanism, "data": first}))
            final = scram.answer(self._step())
            yield Piece(message({"op": "auth", "data": final}))
            scram.finish(self._step())
        except FtpsvcError as error:
            raise Garbled(said("the messages of SCRAM-SHA-256"), printable(str(error))) from error

    def request(self, op: Op, path: str, content: bytes = b"", offset: int = 0) -> Iterator[Piece]:
        """Returns a request."""
        self._from = offset
        if op == "put":
            return self._put(path, content, self._digest(content))
        extra: dict[str, object] = {"algorithm": self._algorithm} if op == "get" else {}
        if offset:
            extra["offset"] = offset
        return iter([Piece(message({"op": op, "path": path, **extra}))])

    def resumed(self, path: str, content: bytes) -> Iterator[Piece]:
        """Asks what the server holds (`begin`), looks whether that is ours, and sends the rest."""
        begin = {"op": "begin", "path": path, "file_size": len(content), "algorithm": self._algorithm}
        yield Piece(message(begin))
        held, digest = self._held(len(content))
        if digest != self._digest(content[:held]):
            yield Piece(message({**begin, "restart": True}))
            held, _ = self._held(len(content))
        self.offset = held
        rest = {"size": len(content) - held, "file_size": len(content), "offset": held}
        yield Piece(message({"op": "put", "path": path, "algorithm": self._algorithm, **rest}))
        yield Piece(content[held:])
        yield Piece(message({"digest": self._digest(content)}))

    def spoilt(self, path: str, content: bytes) -> Iterator[Piece]:
        """Returns a `put` with the digest of something else."""
        return self._put(path, content, self._digest(content + b"?"))

    def done(self) -> None:
        """Reads an answer without payload."""
        header = self._answer()
        if "size" in header:
            raise Garbled(said("an answer without payload"), _shown(header))

    def opened(self) -> int:
        """Reads the answer before a payload."""
        return self._size(self._answer())

    def content(self) -> bytes:
        """Reads payload and trailer, and compares the digest."""
        size = self.opened()
        data = self.wire.exactly(size, said("a payload of {size} bytes", size=size))
        trailer = self._header(said("the trailer behind the content"))
        # Behind a part of a file comes the digest of the whole, of which only the caller has the rest.
        if trailer.get("digest") != self._digest(data) and not self._from:
            expected = said("the {algorithm} digest of the content as the trailer", algorithm=self._algorithm)
            raise Fault(expected, _shown(trailer))
        return data

    def listing(self) -> Mapping[str, Entry]:
        """Reads the lines of a listing."""
        found = {}
        length = self._size(self._answer())
        for line in self.wire.exactly(length, said("a payload of {size} bytes", size=length)).splitlines():
            try:
                entry = json.loads(line)
                name, kind = entry["name"], entry["type"]
                size = entry["file_size"] if kind == "file" else None
                if not (isinstance(name, str) and isinstance(kind, str) and type(size) in (int, type(None))):
                    raise ValueError("wrong types")
            except (ValueError, KeyError, TypeError, RecursionError) as error:
                shown = printable(line.decode("utf-8", "replace"))[:200]
                raise Garbled(said("lines with name, type, and file_size for files"), shown) from error
            found[name] = Entry("file" if kind == "file" else "dir" if kind == "dir" else "other", size)
        return found

    def _step(self) -> str:
        """Reads the answer to a step of the log-in, and returns the server's message in it."""
        header = self._answer()
        data = header.get("data")
        if not isinstance(data, str):
            raise Garbled(said("an answer with the server's message"), _shown(header))
        return data

    def _held(self, most: int) -> tuple[int, str]:
        """Reads the answer to `begin`: how many bytes the server holds, and their digest."""
        header = self._answer()
        held, digest = header.get("offset"), header.get("digest")
        if type(held) is not int or not 0 <= held <= most or not isinstance(digest, str):
            raise Garbled(said("an answer with offset and digest"), _shown(header))
        return held, digest

    def _put(self, path: str, content: bytes, digest: str) -> Iterator[Piece]:
        yield Piece(message({"op": "put", "path": path, "size": len(content), "algorithm": self._algorithm}))
        yield Piece(content)
        yield Piece(message({"digest": digest}))

    def _digest(self, content: bytes) -> str:
        return hashlib.new(self._algorithm, content, usedforsecurity=False).hexdigest()

    def _answer(self) -> dict[str, Any]:
        header = self._header(said("an answer"))
        if header.get("status") == "error":
            code, text = str(header.get("code"))[:60], str(header.get("message"))[:200]
            raise Refused(printable(code), printable(text), fatal=header.get("fatal") is True)
        if header.get("status") != "ok":
            raise Garbled(said("an answer with a status, ok or error"), _shown(header))
        return header

    def _size(self, header: dict[str, Any]) -> int:
        size = header.get("size")
        if type(size) is not int or size < 0:
            raise Garbled(said("an answer with a size"), _shown(header))
        if size > MOST:
            raise Garbled(
                said("a payload of what there is"), said("{size} bytes announced: it floods", size=size)
            )
        return size

    def _header(self, what: str) -> dict[str, Any]:
        length = int.from_bytes(self.wire.exactly(4, what), "big")
        if not 2 <= length <= _LONGEST:
            raise Garbled(
                said("{what}, as a header of 2 to {most} bytes", what=what, most=_LONGEST),
                said("a length of {length}", length=length),
            )
        data = self.wire.exactly(length, what)
        try:
            header = json.loads(data)
        except (ValueError, RecursionError):
            header = None
        if not isinstance(header, dict):
            shown = printable(data[:200].decode("utf-8", "replace"))
            raise Garbled(said("{what}, as a JSON object", what=what), shown)
        return header


class BaseProfile(Dialect):
    """docs/protocol.md section 9."""

    name = "base"
    pipelined = True

    @property
    def unmeasured(self) -> Mapping[int, str]:
        """What the base profile does not have."""
        return {
            1: said("the base profile has no log-in"),
            4: said("the base profile has no quotas"),
            9: said("the base profile starts again after an interruption"),
        }

    @property
    def messages(self) -> Mapping[str, bytes]:
        """Headers that are none, lengths that no header has, requests that make no sense."""
        return MESSAGES

    def converse(self, wire: Wire) -> Conversation:
        """Returns a conversation."""
        return BaseConversation(wire)


class FullProfile(BaseProfile):
    """docs/protocol.md with log-in, quotas and resume."""

    @property
    def unmeasured(self) -> Mapping[int, str]:
        """Nothing that the protocol does not have."""
        return {}


MESSAGES: Final[Mapping[str, bytes]] = {
    said("a header that is no JSON"): framed(b"this is no JSON"),
    said("a header that is no object"): framed(b"[1, 2]"),
    said("brackets without end"): framed(b"[" * 4000),
    said("no UTF-8"): framed(b'{"op": "\xff\xfe"}'),
    said("a length of 0"): framed(b""),
    said("a length of 5000"): (5000).to_bytes(4, "big"),
    said("a length of 2^32-1"): b"\xff\xff\xff\xff",
    said("a put with a size that is a text"): message(
        {"op": "put", "path": "x", "size": "6", "algorithm": "sha256"}
    ),
    said("a put with a size below zero"): message(
        {"op": "put", "path": "x", "size": -1, "algorithm": "sha256"}
    ),
    said("a put without a size"): message({"op": "put", "path": "x", "algorithm": "sha256"}),
    said("a get without a path"): message({"op": "get", "algorithm": "sha256"}),
    said("an operation that is no text"): message({"op": {}}),
    said("the operation __init__"): message({"op": "__init__"}),
    said("the operation handle"): message({"op": "handle"}),
}


def _shown(header: dict[str, Any]) -> str:
    return printable(json.dumps(header))[:200]
