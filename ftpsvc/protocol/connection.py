"""One conversation, without I/O: bytes in, events out; messages in, bytes out. Payload bytes are only counted.

The caller moves bytes: what it receives goes into `buffer` (`buffer.writable()`, `buffer.filled(n)`), what the
`send_*` methods return goes to the peer. Payload is taken from `buffer` as far as it arrived there, and from the
socket beyond that; both are reported with `payload_received`. Source: docs/protocol.md section 3.
"""

from __future__ import annotations

from collections import deque
from typing import Any, NamedTuple, TypeVar

from pydantic import ValidationError

from ftpsvc.exceptions import (
    FtpsvcError,
    InvalidHeader,
    InvalidRequest,
    LocalProtocolError,
    RemoteProtocolError,
    UnknownOperation,
    from_answer,
)
from ftpsvc.protocol import headers, onepass
from ftpsvc.protocol.buffer import ReceiveBuffer
from ftpsvc.protocol.frames import encode_frame, take_header
from ftpsvc.protocol.headers import Greeting, Header, Quit, Request, Response, explain
from ftpsvc.protocol.limits import MAX_HEADER, MAX_SIZE
from ftpsvc.protocol.state import Direction, Role, State, Step
from ftpsvc.protocol.strictjson import decode_object
from ftpsvc.text import quoted

_Model = TypeVar("_Model", bound=Header)
_MESSAGE_CHARACTERS = 2000
_REASON_CHARACTERS = 500
_FIELD_CHARACTERS = 4096

# The events are NamedTuples because a frozen dataclass takes 0.5 ms to be made, by compiling text, and these a quarter
# of it: every command waits for that (docs/design.md, "Start-up").


class GreetingReceived(NamedTuple):
    """The server's first message."""

    greeting: Greeting


class RequestReceived(NamedTuple):
    """A request that can be answered.

    Attributes:
        op: Its name, as sent (shortened to 64 characters).
        request: The request, or None when its fields are wrong.
        error: What is wrong with them, or None.
        size: Payload bytes that follow.
        content: Whether a trailer follows the payload.
    """

    op: str
    request: Request | None
    error: InvalidRequest | None
    size: int
    content: bool


class ResponseReceived(NamedTuple):
    """The answer to the oldest unanswered request.

    Attributes:
        request: That request.
        response: The successful answer, or None.
        error: The refusal, or None. `error.fatal` says that the server closes.
        size: Payload bytes that follow.
    """

    request: Request
    response: Response | None
    error: FtpsvcError | None
    size: int


class ServerClosing(NamedTuple):
    """The server refused the connection itself, or ends it: an error that answers no request.

    Attributes:
        error: Why. The connection is closed.
    """

    error: FtpsvcError


class TrailerReceived(NamedTuple):
    """The end of a content.

    Attributes:
        digest: The sender's digest of the whole file, or None when it could not finish.
        error: Why it could not, or None.
    """

    digest: str | None
    error: headers.TrailerError | None


Event = GreetingReceived | RequestReceived | ResponseReceived | ServerClosing | TrailerReceived


class Connection:
    """The protocol's state on one side of one connection. Not thread-safe.

    Attributes:
        role: Which side we are.
        buffer: Received bytes that are not taken yet.
        max_header: Longest header accepted from the peer from now on, in bytes.
        unanswered: Requests that we, the client, sent and that are not answered, oldest first.
        unanswered_bytes: Length of those requests in bytes, without payloads.
        unanswered_payloads: How many of those requests are answered with a payload.
    """

    def __init__(self, role: Role, *, max_header: int = MAX_HEADER) -> None:
        self.role = role
        self.buffer = ReceiveBuffer()
        self.max_header = max_header
        self.unanswered: deque[Request] = deque()
        self.unanswered_bytes = 0
        self.unanswered_payloads = 0
        self._sizes: deque[int] = deque()
        server = Direction(State.GREETING)
        client = Direction(State.IDLE)
        self._in, self._out = (server, client) if role is Role.CLIENT else (client, server)
        self._broken: RemoteProtocolError | None = None

    # ------------------------------------------------------------ receiving

    @property
    def incoming(self) -> State:
        """What may come next from the peer."""
        return self._in.state

    @property
    def incoming_payload(self) -> int:
        """Bytes of the payload under way that are still to come."""
        return self._in.remaining

    def next_event(self) -> Event | None:
        """Returns the next event that is complete in `buffer`, or None: receive more, or take payload, first.

        Raises:
            RemoteProtocolError: The peer broke the protocol. The same error is raised from then on.
        """
        if self._broken is not None:
            raise self._broken
        if self._in.remaining or self._in.state is State.CLOSED:
            return None
        try:
            header = take_header(self.buffer, self.max_header)
            if header is None:
                return None
            event = self._at_once(header)
            if event is not None:
                return event
            fields = decode_object(header)
            if self._in.state is State.TRAILER:
                return self._trailer(fields)
            return self._request(fields) if self.role is Role.SERVER else self._answer(fields)
        except RemoteProtocolError as error:
            self._broken = error
            raise

    def _at_once(self, header: bytes) -> Event | None:
        """Takes a header of those that come with each small file in one pass; None, and nothing taken, for all others.

        What it accepts, the long way would have accepted as the same event.
        """
        state = self._in.state
        if state is State.TRAILER:
            trailer = onepass.read(headers.Trailer, header)
            if trailer is None or trailer.digest is None or trailer.error is not None:
                return None
            self._in.take(Step.TRAILER)
            return TrailerReceived(trailer.digest, None)
        if state is not State.IDLE:
            return None
        if self.role is Role.SERVER:
            if header.startswith(b'{"op":"put",'):
                put = onepass.read(headers.Put, header)
                if put is None:
                    return None
                self._in.take(Step.CONTENT, put.size)
                return RequestReceived("put", put, None, put.size, content=True)
            if header.startswith(b'{"op":"get",'):
                get = onepass.read(headers.Get, header)
                if get is None:
                    return None
                self._in.take(Step.HEADER)
                return RequestReceived("get", get, None, 0, content=False)
            return None
        if not self.unanswered or not header.startswith(b'{"status":"ok",'):
            return None
        request = self.unanswered[0]
        if request.op == "put":  # not by its class: naming that would load it for commands that only list
            stored = onepass.read(headers.Stored, header)
            if stored is None:
                return None
            self._in.take(Step.HEADER)
            self._answered()
            return ResponseReceived(request, stored, None, 0)
        if request.op == "get":
            content = onepass.read(headers.Content, header)
            if content is None:
                return None
            self._in.take(Step.CONTENT, content.size)
            self._answered()
            return ResponseReceived(request, content, None, content.size)
        return None

    def payload_received(self, count: int) -> None:
        """Notes that `count` payload bytes were taken, from the buffer or from the socket.

        Raises:
            LocalProtocolError: More than are due.
        """
        self._in.payload(count)

    def eof_is_clean(self) -> bool:
        """Returns whether the peer may end the connection here: between two messages, and owing no answer."""
        if len(self.buffer) or self._broken is not None:
            return False
        if self.role is Role.CLIENT and self.unanswered:
            return False
        return self._in.state in (State.IDLE, State.CLOSED)

    def _request(self, fields: dict[str, Any]) -> RequestReceived:
        if "status" in fields and "op" not in fields:
            raise InvalidHeader("a response came where a request is due")
        size = _payload_size(fields)
        op = fields.get("op")
        cls = headers.REQUESTS.get(op) if isinstance(op, str) else None
        name = op[:64] if isinstance(op, str) else ""
        if cls is None:
            error = (
                UnknownOperation(f"there is no operation {quoted(name)}")
                if name
                else InvalidRequest("op is missing")
            )
            if size is not None:
                # What follows the payload depends on the op: framing is lost, so the connection is.
                raise InvalidHeader(f"{error}, and a payload that cannot be skipped follows")
            self._in.take(Step.HEADER)
            return RequestReceived(name, None, error, 0, content=False)
        if cls.content and size is None:
            raise InvalidHeader(f"{name} without size")
        request: Request | None = None
        problem: InvalidRequest | None = None
        try:
            request = cls.model_validate(fields)
        except ValidationError as error:
            problem = InvalidRequest(f"{name}: {explain(error)}")
        if cls.content:
            self._in.take(Step.CONTENT, size or 0)
        elif size:
            problem = InvalidRequest(f"{name} takes no payload")
            request = None
            self._in.take(Step.DATA, size)
        else:
            self._in.take(Step.LAST if cls is Quit else Step.HEADER)
        return RequestReceived(name, request, problem, size or 0, content=cls.content)

    def _answer(self, fields: dict[str, Any]) -> GreetingReceived | ResponseReceived | ServerClosing:
        status = fields.get("status")
        if self._in.state is State.GREETING and status != "error":
            if missing := [key for key in Greeting.always if key not in fields]:
                raise InvalidHeader(f"the first message is no greeting of an ftpsvc server: no {missing[0]}")
            if "size" in fields:
                raise InvalidHeader("a greeting has a payload")
            greeting = _validated(Greeting, fields, "the greeting")
            self._in.take(Step.GREETING)
            return GreetingReceived(greeting)
        if status not in ("ok", "error"):
            raise InvalidHeader("a response has no status")
        if status == "error":
            return self._refusal(fields)
        if not self.unanswered:
            raise InvalidHeader("a response came that no request asked for")
        request = self.unanswered[0]
        response = _validated(request.answer, fields, f"the answer to {request.op}")
        size = _payload_size(fields)
        if size is not None and "size" not in request.answer.model_fields:
            # Nobody would read it, and then nothing behind it could be.
            raise InvalidHeader(f"the answer to {request.op} has a payload")
        if type(request) is Quit:
            self._in.take(Step.LAST)
        elif type(request).content_answer:
            self._in.take(Step.CONTENT, size or 0)
        elif size is None:
            self._in.take(Step.HEADER)
        else:
            self._in.take(Step.DATA, size)
        self._answered()
        return ResponseReceived(request, response, None, size or 0)

    def _refusal(self, fields: dict[str, Any]) -> ResponseReceived | ServerClosing:
        answer = _validated(headers.ErrorResponse, fields, "an error answer")
        if "size" in fields:
            raise InvalidHeader("an error answer has a payload")
        others = {key: value for key, value in fields.items() if key not in type(answer).model_fields}
        error = from_answer(answer.code, answer.message, others, fatal=answer.fatal, retry=answer.retry)
        if self._in.state is State.GREETING or (answer.fatal and not self.unanswered):
            self._in.take(Step.LAST)
            return ServerClosing(error)
        if not self.unanswered:
            raise InvalidHeader("an error answer came that no request asked for")
        self._in.take(Step.LAST if answer.fatal else Step.HEADER)
        return ResponseReceived(self._answered(), None, error, 0)

    def _answered(self) -> Request:
        self.unanswered_bytes -= self._sizes.popleft()
        request = self.unanswered.popleft()
        self.unanswered_payloads -= request.payload_answer
        return request

    def _trailer(self, fields: dict[str, Any]) -> TrailerReceived:
        trailer = _validated(headers.Trailer, fields, "a trailer")
        if (trailer.digest is None) == (trailer.error is None) or "size" in fields:
            raise InvalidHeader("a trailer has neither digest nor error, or both, or a payload")
        self._in.take(Step.TRAILER)
        return TrailerReceived(trailer.digest, trailer.error)

    # ------------------------------------------------------------ sending

    @property
    def outgoing(self) -> State:
        """What we may send next."""
        return self._out.state

    @property
    def outgoing_payload(self) -> int:
        """Bytes of the payload under way that we still owe."""
        return self._out.remaining

    def send_greeting(self, greeting: Greeting) -> bytes:
        """Returns the first message of a server.

        Raises:
            LocalProtocolError: It was sent already, or we are the client.
        """
        self._must_be(Role.SERVER)
        data = encode_frame(greeting.encode())
        self._out.take(Step.GREETING)
        return data

    def send_request(self, request: Request, encoded: bytes | None = None) -> bytes:
        """Returns a request. If it has content, payload and trailer must follow before the next.

        Args:
            request: It.
            encoded: What its `encode` has returned already; None: it is asked now.

        Raises:
            LocalProtocolError: Not now, or we are the server, or no greeting came yet. Nothing changed.
        """
        self._must_be(Role.CLIENT)
        if self._in.state is State.GREETING:
            raise LocalProtocolError("a request before the greeting")
        data = encode_frame(request.encode() if encoded is None else encoded)
        if type(request).content:
            self._out.take(Step.CONTENT, request.size)  # type: ignore[attr-defined]  # every content request has it
        else:
            self._out.take(Step.LAST if type(request) is Quit else Step.HEADER)
        self.unanswered.append(request)
        self._sizes.append(len(data))
        self.unanswered_bytes += len(data)
        self.unanswered_payloads += request.payload_answer
        return data

    def send_response(self, response: Response, *, content: bool = False) -> bytes:
        """Returns a successful answer. If it announces a payload, that must follow before the next.

        Args:
            response: The answer; a `size` in it announces a payload.
            content: Whether a trailer follows the payload.

        Raises:
            LocalProtocolError: Not now, or we are the client. Nothing changed.
        """
        self._must_be(Role.SERVER)
        data = encode_frame(response.encode())
        # Not getattr: what a model does not have costs pydantic an exception.
        size: int | None = response.__dict__.get("size")
        if size is None:
            self._out.take(Step.HEADER)
        else:
            self._out.take(Step.CONTENT if content else Step.DATA, size)
        return data

    def send_goodbye(self) -> bytes:
        """Returns the answer to `quit`, after which nothing more is sent.

        Raises:
            LocalProtocolError: Not now, or we are the client. Nothing changed.
        """
        self._must_be(Role.SERVER)
        data = encode_frame(Response().encode())
        self._out.check(
            Step.HEADER
        )  # it is an answer: unlike a fatal error, it cannot stand in for the greeting
        self._out.take(Step.LAST)
        return data

    def send_error(self, error: FtpsvcError, *, fatal: bool = False) -> bytes:
        """Returns an error answer; a fatal one is the last message.

        Args:
            error: Its code, fields and text go out.
            fatal: Whether the connection is closed after it.

        Raises:
            LocalProtocolError: Not now, or we are the client. Nothing changed.
        """
        self._must_be(Role.SERVER)
        extra: dict[str, Any] = {
            key: _sendable(value, _FIELD_CHARACTERS) if isinstance(value, str) else value
            for key, value in error.wire().items()
        }
        message = _sendable(str(error), _MESSAGE_CHARACTERS)
        answer = headers.ErrorResponse(
            code=error.code, message=message, fatal=fatal, retry=error.retry, **extra
        )
        data = encode_frame(answer.encode())
        self._out.take(Step.LAST if fatal else Step.HEADER)
        return data

    def send_trailer(self, digest: str | None, error: FtpsvcError | None = None) -> bytes:
        """Returns the trailer that ends a content.

        Args:
            digest: Digest of the whole file, lower-case hex; None when it could not be sent to its end.
            error: Why not.

        Raises:
            LocalProtocolError: Payload is still owed, or no content is under way, or not exactly one of digest and
                error is given. Nothing changed.
        """
        if (digest is None) == (error is None):
            raise LocalProtocolError("a trailer has either a digest or an error")
        reason = (
            None
            if error is None
            else headers.TrailerError(code=error.code, message=_sendable(str(error), _REASON_CHARACTERS))
        )
        data = encode_frame(headers.Trailer(digest=digest, error=reason).encode())
        self._out.take(Step.TRAILER)
        return data

    def payload_sent(self, count: int) -> None:
        """Notes that `count` payload bytes went to the peer.

        Raises:
            LocalProtocolError: More than were announced.
        """
        self._out.payload(count)

    def _must_be(self, role: Role) -> None:
        if self.role is not role:
            raise LocalProtocolError(f"only a {role.value} sends this")


def _sendable(text: str, limit: int) -> str:
    """Returns what can be sent of a text that may hold bytes which are no Unicode (a name found on a disk)."""
    return text[:limit].encode("utf-8", "backslashreplace").decode()[:limit]


def _payload_size(fields: dict[str, Any]) -> int | None:
    """Returns the length of the payload, or None without one. A length that cannot be is the end of framing."""
    if "size" not in fields:
        return None
    size = fields["size"]
    if type(size) is not int or not 0 <= size <= MAX_SIZE:  # a bool is no number here
        raise InvalidHeader(f"size is no whole number from 0 to {MAX_SIZE}")
    return size


def _validated(model: type[_Model], fields: dict[str, Any], what: str) -> _Model:
    try:
        return model.model_validate(fields)
    except ValidationError as error:
        raise InvalidHeader(f"{what} is not what it should be: {explain(error)}") from None
