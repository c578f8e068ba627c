"""The dialects that students write: one conversation, four ways to say it (docs/kit.md, "Dialects").

Each is a class of a few lines: a codec, what things are called, and whether the server says that it is ready before a
content comes. What one server calls otherwise stands in the hand-in's accounts.toml.
"""

from __future__ import annotations

import hashlib
import hmac
from abc import abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, ClassVar, Final, Literal, TypeAlias

from ftpsvc.homework.kit.codecs import TEXT, BareJson, Codec, Delimited, LengthJson, PaddedJson
from ftpsvc.homework.kit.declared import Account, DeclarationError, Declared
from ftpsvc.homework.kit.dialect import Conversation, Dialect, Entry, Op, Piece
from ftpsvc.homework.kit.findings import Fault, Garbled, NotScored, Refused
from ftpsvc.homework.kit.said import said
from ftpsvc.homework.kit.wire import MOST, Wire
from ftpsvc.text import printable

Kind: TypeAlias = Literal["ok", "ready", "no"]

_OK: Final = frozenset({"ok", "true", "success", "done", "0"})
_READY: Final = frozenset({"ready", "go", "continue"})


class StudentDialect(Dialect):
    """What the four have in common.

    Attributes:
        words: What things are called, by what they are; a hand-in may call them otherwise.
        ready: Whether the server says that it is ready before a content is sent to it, and the client likewise.
        login: How a password is sent, where the hand-in does not say.
    """

    words: ClassVar[Mapping[str, str]]
    ready: ClassVar[bool]
    login: ClassVar[str] = "clear"

    def __init__(self, declared: Declared) -> None:
        super().__init__(declared)
        ours = {word: what for what, word in self.words.items()}
        if unknown := sorted(declared.words.keys() - ours.keys()):
            known = ", ".join(sorted(ours))
            text = said("there is no {key}, but {keys}", key=printable(repr(unknown[0])), keys=known)
            raise DeclarationError(said("{where}: {reason}", where=f"[words], {self.name}", reason=text))
        if declared.order is not None and not self.has_order:
            raise DeclarationError(said("order: {name} has no length of bytes", name=self.name))
        called = {what: declared.words.get(word, word) for what, word in self.words.items()}
        self.called: Final[Mapping[str, str]] = called
        self.codec = self.make_codec(called)
        self.algorithm = declared.digest or "md5"
        self.way = declared.login or self.login
        self.answers_put = not declared.quiet_put
        self.pipelined = not self.ready
        self.empty_content = not self.codec.whole  # "ready" and "done" would come in the same recv

    has_order: ClassVar[bool] = False

    @abstractmethod
    def make_codec(self, called: Mapping[str, str]) -> Codec:
        """Returns how headers are put into bytes."""

    def converse(self, wire: Wire) -> Conversation:
        """Returns a conversation."""
        return StudentConversation(wire, self)

    @property
    def unmeasured(self) -> Mapping[int, str]:
        """Nothing: log-in, quota and offset are what the homework asks for."""
        return {}

    @property
    def messages(self) -> Mapping[str, bytes]:
        """Messages that make no sense."""
        op = self.called.get("op", "op")
        found: dict[str, bytes] = {
            said("an operation that nobody knows"): self.codec.encode({op: "no-such-thing"}),
            said("the operation __init__"): self.codec.encode({op: "__init__"}),
            said("the operation handle"): self.codec.encode({op: "handle"}),
            said("a get without a name"): self.codec.encode({op: self.called["get"]}),
            said("no UTF-8"): b"\xff\xfe\xfd\xfc" * 255 + b"\xff\xfe\xfd" + self.codec.end,
        }
        return {**found, **self.garbage()}

    def garbage(self) -> Mapping[str, bytes]:
        """Returns messages that are wrong in this dialect's own way."""
        return {}

    def holds(self, text: str) -> bool:
        """Returns whether a header can hold a name."""
        return self.codec.holds(text)

    def kind(self, status: object) -> Kind:
        """Returns what the status of an answer says: codes as those of the web, or a word."""
        text = str(status).strip().lower()
        if len(text) == 3 and text.isdigit():
            return "ok" if text[0] == "2" else "ready" if text[0] == "3" else "no"
        return "ok" if text in _OK else "ready" if text in _READY else "no"


class StructJson(StudentDialect):
    """(A) `struct.pack("i", length)`, JSON, content."""

    name = "struct-json"
    words: ClassVar = {
        "op": "cmd", "path": "filename", "size": "filesize", "digest": "md5", "offset": "offset", "resume": "resume",
        "user": "username", "password": "password", "challenge": "challenge", "response": "response",
        "status": "status", "reason": "message",
        "put": "put", "get": "get", "ls": "ls", "cd": "cd", "login": "login",
    }  # fmt: skip
    ready = False
    has_order = True

    def make_codec(self, called: Mapping[str, str]) -> Codec:
        """Returns a length and JSON; native order is little-endian wherever students are."""
        return LengthJson("big" if self.declared.order == "big" else "little")

    def garbage(self) -> Mapping[str, bytes]:
        """Returns headers and lengths that are none."""
        assert isinstance(self.codec, LengthJson)  # noqa: S101 -- ours, by `make_codec`
        put = {self.called["op"]: self.called["put"], self.called["path"]: "x"}
        return {
            said("a header that is no JSON"): self.codec.framed(b"this is no JSON"),
            said("a header that is no object"): self.codec.framed(b"[1, 2]"),
            said("brackets without end"): self.codec.framed(b"[" * 4000),
            said("a length of 0"): self.codec.framed(b""),
            said("a length below zero"): b"\xff\xff\xff\xff",
            said("a put with a size that is a text"): self.codec.encode({**put, self.called["size"]: "six"}),
            said("a put with a size below zero"): self.codec.encode({**put, self.called["size"]: -1}),
            said("a put without a size"): self.codec.encode(put),
        }


class BareJsonCodes(StudentDialect):
    """(B) JSON in one `recv(1024)`, answered by three-digit codes; each side waits until the other one is ready."""

    name = "bare-json"
    words: ClassVar = {
        "op": "action", "path": "filename", "size": "size", "digest": "md5", "offset": "offset", "resume": "resume",
        "user": "username", "password": "password", "challenge": "challenge", "response": "response",
        "status": "status_code", "reason": "status_msg",
        "put": "put", "get": "get", "ls": "ls", "cd": "cd", "login": "auth", "go": "ready",
    }  # fmt: skip
    ready = True

    def make_codec(self, called: Mapping[str, str]) -> Codec:
        """Returns JSON without a frame."""
        return BareJson(called["status"])

    def garbage(self) -> Mapping[str, bytes]:
        """Returns what is no request."""
        return {
            said("a header that is no JSON"): b"this is no JSON",
            said("a header that is no object"): b"[1, 2]",
            said("brackets without end"): b"[" * 1024,
        }


class PaddedJsonCodes(StudentDialect):
    """(C) JSON of always 1024 bytes, filled up by a field, then the content."""

    name = "padded-json"
    words: ClassVar = {
        "op": "action_type", "path": "filename", "size": "filesize", "digest": "md5", "offset": "offset",
        "resume": "resume", "user": "username", "password": "password", "challenge": "challenge",
        "response": "response", "status": "status_code", "reason": "status_msg", "fill": "fill",
        "put": "put", "get": "get", "ls": "ls", "cd": "cd", "login": "auth",
    }  # fmt: skip
    ready = False

    def make_codec(self, called: Mapping[str, str]) -> Codec:
        """Returns JSON of 1024 bytes."""
        return PaddedJson(1024, called["fill"])

    def garbage(self) -> Mapping[str, bytes]:
        """Returns headers that are none."""
        return {
            said("a header that is no JSON"): b"this is no JSON".ljust(1024),
            said("a header that is no object"): b"[1, 2]".ljust(1024),
            said("brackets without end"): b"[" * 1024,
        }


class DelimitedText(StudentDialect):
    """(D) `put|song.txt|1000` and an end of line, answered by `ready`, `ok` or `error`."""

    name = "delimited"
    words: ClassVar = {
        "put": "put", "get": "get", "ls": "ls", "cd": "cd", "login": "login", "resume": "reput", "answer": "answer",
        "go": "ready", "between": "|", "end": "\n",
    }  # fmt: skip
    ready = True

    def make_codec(self, called: Mapping[str, str]) -> Codec:
        """Returns fields in their order."""
        return Delimited(called["between"], called["end"], ORDER)

    def garbage(self) -> Mapping[str, bytes]:
        """Returns lines that are none."""
        between, end, put = self.called["between"], self.called["end"], self.called["put"]
        return {
            said("an empty line"): b"\n",
            said("a put with a size that is a text"): between.join([put, "x", "six", f"0{end}"]).encode(),
            said("a put with a size below zero"): between.join([put, "x", "-1", f"0{end}"]).encode(),
            said("a put without a size"): f"{put}{between}x{end}".encode(),
        }


ORDER: Final = ("op", "path", "user", "password", "response", "size", "digest", "offset")
"""The fields of a delimited request, in the order in which those that are there follow one another."""


class StudentConversation(Conversation):
    """A conversation in any of them."""

    def __init__(self, wire: Wire, dialect: StudentDialect) -> None:
        super().__init__(wire)
        self._dialect = dialect
        self._codec = dialect.codec
        self._from, self._op, self._named = 0, "", ""

    def greet(self) -> None:
        """Does nothing: these servers wait for the client to begin."""

    def login(self, account: Account) -> Iterator[Piece]:
        """Sends the password, its digest, or what proves that it is known."""
        way, secret = self._dialect.way, self._hashed(account.password.encode())
        if way == "challenge":
            yield self._header("login", user=account.name)
            challenge = str(self._answer(("challenge",)).get("challenge", ""))
            if len(challenge) < _CHALLENGE:
                raise Garbled(
                    said("a challenge of {number} characters at least", number=_CHALLENGE),
                    said("one of {number}", number=len(challenge)),
                )
            proof = hmac.new(secret.encode(), challenge.encode(), _ALGORITHMS[self._algorithm]).hexdigest()
            yield self._header("answer" if "answer" in self._dialect.called else "login", response=proof)
        else:
            password = account.password if way == "clear" else secret
            yield self._header("login", user=account.name, password=password)
        self.done()

    def request(self, op: Op, path: str, content: bytes = b"", offset: int = 0) -> Iterator[Piece]:
        """Returns a request."""
        self._from, self._op = offset, op
        if op == "put":
            return self._put(path, content, content)
        return iter([self._header(op, path=path, **({"offset": offset} if offset else {}))])

    def resumed(self, path: str, content: bytes) -> Iterator[Piece]:
        """Asks for the offset by a `put` that says so, and sends the rest when the server named it."""
        self._op = "put"
        named = "resume" if "op" not in self._dialect.called else "put"
        flag = {} if named == "resume" else {"resume": True}
        yield self._header(named, path=path, size=len(content), **self._digested(content), **flag)
        answer = self._answer(("offset",))
        self.offset = self._number(answer, "offset", len(content))
        yield Piece(content[self.offset :])

    def spoilt(self, path: str, content: bytes) -> Iterator[Piece]:
        """Returns a `put` with the digest of something else."""
        if self._algorithm == "none":
            raise NotScored(said("the dialect has no digests"))
        self._op = "put"
        return self._put(path, content, content + b"?")

    def done(self) -> None:
        """Reads an answer without content; a server that answers no `put` is believed to have stored it."""
        if self._op == "put" and not self._dialect.answers_put:
            return
        self._answer(())

    def opened(self) -> int:
        """Reads an answer, and says that the content may come."""
        answer = self._answer(("size", "digest"))
        size = max(0, self._number(answer, "size", MOST + self._from) - self._from)
        self._named = str(answer.get("digest"))
        self._go()
        return size

    def content(self) -> bytes:
        """Reads an answer and the content behind it."""
        size = self.opened()
        data = self.wire.exactly(size, said("a payload of {size} bytes", size=size))
        # Of a part of a file comes the digest of the whole, of which only the caller has the rest.
        if self._algorithm != "none" and not self._from and self._named.lower() != self._hashed(data):
            expected = said("the {algorithm} digest of the content in the answer", algorithm=self._algorithm)
            raise Fault(expected, printable(self._named)[:200])
        return data

    def listing(self) -> Mapping[str, Entry]:
        """Reads an answer and the lines behind it: a name in each, with a / behind that of a directory."""
        answer = self._answer(("size",))
        size = self._number(answer, "size", MOST)
        self._go()
        data = self.wire.exactly(size, said("a payload of {size} bytes", size=size))
        found = {}
        for line in data.decode("utf-8", "surrogateescape").splitlines():
            name = line.removesuffix("/")
            if name:
                found[name] = Entry("dir" if line.endswith("/") else "file", None)
        return found

    def _put(self, path: str, content: bytes, hashed: bytes) -> Iterator[Piece]:
        head = self._header("put", path=path, size=len(content), **self._digested(hashed))
        yield head
        if self._dialect.ready:
            self._answer(())
        yield Piece(content)

    def _go(self) -> None:
        """Says that the content may come, where the dialect waits for that."""
        if self._dialect.ready:
            self.wire.send(self._header("go").data, self.wire.sent)
            if self._codec.whole:
                self.wire.wait_until_read()  # a content of no bytes would let the next header come in the same recv

    def _header(self, op: str, **fields: Any) -> Piece:
        called = self._dialect.called
        named = {called.get(name, name): value for name, value in fields.items()}
        data = self._codec.encode({called.get("op", "op"): called[op], **named})
        return Piece(data, self._codec.whole)

    def _answer(self, fields: Sequence[str]) -> dict[str, Any]:
        """Reads an answer, and returns its fields by what they are."""
        called = self._dialect.called
        header = self._codec.decode(self.wire, [called.get(one, one) for one in fields])
        status = header.get(called.get("status", "status"))
        named = [one for one in fields if one != "digest" or self._algorithm != "none"]
        if status is None and named and all(called.get(one, one) in header for one in named):
            status = "ok"  # the header of a content, and nothing else: what was asked for is there
        if status is None:
            raise Garbled(
                said("an answer with {field}", field=called.get("status", "status")),
                printable(str(header))[:200],
            )
        if self._dialect.kind(status) == "no":
            reason = header.get(called.get("reason", "reason"), header.get(TEXT, ""))
            raise Refused(printable(str(status))[:60], printable(str(reason))[:200])
        return {one: header[called.get(one, one)] for one in fields if called.get(one, one) in header}

    def _number(self, answer: Mapping[str, Any], field: str, most: int) -> int:
        name, value = self._dialect.called.get(field, field), answer.get(field)
        if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 20:
            value = int(value)
        if type(value) is not int or value < 0:
            raise Garbled(said("an answer with {field}", field=name), printable(str(value))[:200])
        if value > most:
            raise Garbled(
                said("a payload of what there is"), said("{size} bytes announced: it floods", size=value)
            )
        return value

    @property
    def _algorithm(self) -> str:
        return self._dialect.algorithm

    def _digested(self, content: bytes) -> dict[str, str]:
        return {} if self._algorithm == "none" else {"digest": self._hashed(content)}

    def _hashed(self, content: bytes) -> str:
        return str(_ALGORITHMS[self._algorithm](content).hexdigest())


_CHALLENGE: Final = 8
_ALGORITHMS: Final[Mapping[str, Callable[..., Any]]] = {
    "md5": hashlib.md5,
    "sha1": hashlib.sha1,
    "sha256": hashlib.sha256,
    "none": hashlib.md5,  # of passwords all the same
}
