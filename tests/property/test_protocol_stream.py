"""docs/protocol.md sections 2 and 3: the same bytes mean the same, however they are cut; and what any bytes can do."""

from __future__ import annotations

import hashlib
import itertools
import json
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ftpsvc.exceptions import FtpsvcError, RemoteProtocolError
from ftpsvc.protocol.buffer import ReceiveBuffer
from ftpsvc.protocol.connection import Connection, RequestReceived, ResponseReceived, TrailerReceived
from ftpsvc.protocol.headers import (
    Cd,
    Content,
    Df,
    Get,
    Greeting,
    Listing,
    Located,
    Ls,
    Made,
    Mkdir,
    Mv,
    Put,
    Pwd,
    Quit,
    Removed,
    Request,
    Response,
    Rm,
    Room,
    Stored,
    Verified,
    Verify,
)
from ftpsvc.protocol.limits import MAX_HEADER, MAX_HEADER_BEFORE_LOGIN, MAX_SIZE
from ftpsvc.protocol.state import Role, State
from ftpsvc.protocol.strictjson import decode_object
from tests.helpers.wire import Outcome, drive, message, same

LARGEST_BUFFER = 256 * 1024
DIGEST = "0" * 32

sizes = st.integers(0, MAX_SIZE)
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
algorithms = st.sampled_from(["blake3", "sha256", "md5"])
payloads = st.binary(max_size=300)
optional_size = st.none() | sizes


def optional(strategy: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.none() | strategy


requests: st.SearchStrategy[Request] = st.one_of(
    st.builds(Get, path=texts, algorithm=algorithms, offset=sizes, version=optional(texts)),
    st.builds(Ls, path=texts, recursive=st.booleans(), digests=st.booleans(), cursor=optional(texts)),
    st.builds(Cd, path=texts),
    st.builds(Pwd),
    st.builds(Mkdir, path=texts, parents=st.booleans()),
    st.builds(Rm, path=texts, recursive=st.booleans()),
    st.builds(Mv, path=texts, to=texts, clobber=st.booleans()),
    st.builds(Df),
    st.builds(Verify, path=texts, algorithm=optional(algorithms)),
)


@st.composite
def uploads(draw: st.DrawFn) -> tuple[Put, bytes]:
    payload = draw(payloads)
    request = Put(
        path=draw(texts),
        size=len(payload),
        algorithm=draw(algorithms),
        modified=draw(optional_size),
        mode=draw(optional(st.integers(0, 0o7777))),
        clobber=draw(st.booleans()),
    )
    return request, payload


def answer_of(request: Request) -> st.SearchStrategy[tuple[Response, bytes]]:
    """What a server might answer to a request, with the payload behind it."""
    if isinstance(request, Get):
        return payloads.map(
            lambda data: (Content(size=len(data), file_size=len(data), algorithm=request.algorithm), data)
        )
    if isinstance(request, Ls):
        return payloads.map(lambda data: (Listing(size=len(data)), data))
    digest = "ab" * 32
    plain: dict[type[Request], Response] = {
        Put: Stored(path="/f", file_size=1, algorithm="sha256", digest=digest),
        Cd: Located(path="/世界"),
        Pwd: Located(path="/"),
        Mkdir: Made(path="/d", created=True),
        Rm: Removed(removed=1),
        Mv: Located(path="/t"),
        Df: Room(limit=5, used=1),
        Verify: Verified(path="/f", algorithm="sha256", digest=digest, file_size=1, recorded=True),
    }
    return st.just((plain[type(request)], b""))


@st.composite
def conversations(draw: st.DrawFn) -> tuple[bytes, bytes, list[Request], list[Response | None]]:
    """What each side says in all: the client's bytes, the server's, the requests, the answers (None: refused)."""
    client, server = Connection(Role.CLIENT), Connection(Role.SERVER)
    greeting = server.send_greeting(Greeting(algorithms=["md5"], banner=draw(optional(texts))))
    drive(client, [greeting])
    said, answered = bytearray(), bytearray(greeting)
    asked: list[Request] = []
    answers: list[Response | None] = []
    for item in draw(st.lists(st.one_of(requests, uploads()), max_size=8)):
        request, payload = item if isinstance(item, tuple) else (item, None)
        said += client.send_request(request)
        if payload is not None:
            client.payload_sent(len(payload))
            said += payload + client.send_trailer(DIGEST)
        asked.append(request)
        if draw(st.integers(0, 4)) == 0:
            answered += server.send_error(FtpsvcError("no"))
            answers.append(None)
            continue
        response, data = draw(answer_of(request))
        content = isinstance(response, Content)
        answered += server.send_response(response, content=content) + data
        server.payload_sent(len(data))
        if content:
            answered += server.send_trailer(DIGEST)
        answers.append(response)
    if draw(st.booleans()):
        said += client.send_request(Quit())
        answered += server.send_goodbye()
        asked.append(Quit())
        answers.append(Response())
    return bytes(said), bytes(answered), asked, answers


def cut(data: bytes, places: list[int]) -> list[bytes]:
    at = sorted({0, len(data), *(place % (len(data) + 1) for place in places)})
    return [data[start:end] for start, end in itertools.pairwise(at)]


def greeted_client(asked: list[Request]) -> Connection:
    """A client that has sent these requests, whatever it was told so far."""
    connection = Connection(Role.CLIENT)
    drive(connection, [message({"service": "ftpsvc", "version": 1, "algorithms": ["md5"]})])
    for request in asked:
        connection.send_request(request)
        if isinstance(request, Put):
            connection.payload_sent(request.size)
            connection.send_trailer(DIGEST)
    return connection


@given(conversations(), st.lists(st.integers(0, 1 << 16), max_size=12))
def test_c01_c02_however_it_is_cut_a_conversation_means_the_same(
    conversation: tuple[bytes, bytes, list[Request], list[Response | None]], places: list[int]
) -> None:
    said, answered, asked, answers = conversation
    whole = drive(Connection(Role.SERVER), [said])
    assert same(drive(Connection(Role.SERVER), cut(said, places)), whole)
    assert [each.request for each in whole if isinstance(each, RequestReceived)] == asked

    (length,) = (int.from_bytes(answered[:4], "big") + 4,)
    rest = answered[length:]
    whole = drive(greeted_client(asked), [rest])
    pieces = greeted_client(asked)
    assert same(drive(pieces, cut(rest, places)), whole)
    received = [each for each in whole if isinstance(each, ResponseReceived)]
    assert [each.request for each in received] == asked
    assert [each.response for each in received] == answers
    assert pieces.eof_is_clean()


def receive(connection: Connection, data: bytes, most: int) -> tuple[list[Outcome], int]:
    """Lets data arrive as a socket lets it, `most` bytes at a time; returns what came of it, and the largest buffer."""
    outcomes: list[Outcome] = []
    largest = 0
    view = memoryview(data)
    while view:
        room = connection.buffer.writable()
        largest = max(largest, len(room) + len(connection.buffer))
        count = min(len(room), len(view), most)
        room[:count] = view[:count]
        connection.buffer.filled(count)
        view = view[count:]
        outcomes += drive(connection, [b""])
        if (
            outcomes and isinstance(outcomes[-1], RemoteProtocolError)
        ) or connection.incoming is State.CLOSED:
            break
    return outcomes, largest


# Bytes that get somewhere: lengths that fit, headers that are nearly right, and noise.
fields = st.dictionaries(
    st.sampled_from(["op", "status", "size", "path", "algorithm", "digest", "error", "code", "service", "version"]),
    st.one_of(
        st.sampled_from(["put", "get", "ls", "quit", "pwd", "ok", "error", "md5", "ftpsvc", DIGEST, "__class__", "/"]),
        st.integers(-1, 9), st.none(), st.booleans(), st.floats(), st.just(2**63), st.lists(st.integers(), max_size=1),
    ),
)  # fmt: skip
noise = st.lists(
    st.one_of(
        fields.map(message),
        st.tuples(fields, st.binary(max_size=9)).map(lambda pair: message(*pair)),
        st.binary(max_size=40),
        st.binary(max_size=40).map(message),
        st.just(b"\x00\x00\x10\x00"),
    ),
    max_size=8,
).map(b"".join)


@given(
    noise, st.sampled_from(Role), st.sampled_from([MAX_HEADER_BEFORE_LOGIN, MAX_HEADER]), st.integers(1, 9000)
)
@example(b"\x00\x01\x00\x00" + b"{" + b" " * 65_534 + b"}", Role.SERVER, MAX_HEADER, 5000)
def test_c06_c11_noise_raises_one_kind_of_error_and_fills_no_memory(
    data: bytes, role: Role, limit: int, most: int
) -> None:
    connection = Connection(role, max_header=limit)
    if role is Role.CLIENT:
        drive(connection, [message({"service": "ftpsvc", "version": 1, "algorithms": ["md5"]})])
        for request in (Get(path="f", algorithm="md5"), Ls(), Pwd()):
            connection.send_request(request)
    _, largest = receive(connection, data, most)
    assert largest <= LARGEST_BUFFER


@given(st.binary(max_size=200), st.sampled_from(Role))
def test_c06_any_bytes_at_all(data: bytes, role: Role) -> None:
    outcomes, largest = receive(Connection(role), data, 50)
    assert largest <= LARGEST_BUFFER
    assert all(not isinstance(each, RemoteProtocolError) for each in outcomes[:-1]), (
        "it went on after an error"
    )


def _digest(algorithm: str, content: bytes) -> str | None:
    if algorithm not in ("sha256", "md5"):
        return None
    return hashlib.new(algorithm, content, usedforsecurity=False).hexdigest()


def accepted(outcomes: list[Outcome]) -> list[bytes]:
    """The uploads that a server would store: a valid request, its payload, and a digest that is the payload's."""
    found = []
    for at, event in enumerate(outcomes):
        if not isinstance(event, RequestReceived) or not isinstance(event.request, Put):
            continue
        behind = outcomes[at + 1 : at + 3]
        payload = b""
        if behind and isinstance(behind[0], bytes):
            payload = behind[0]
            del behind[0]
        trailer = behind[0] if behind else None
        if len(payload) != event.size or not isinstance(trailer, TrailerReceived):
            continue
        if _digest(event.request.algorithm, payload) == trailer.digest:
            found.append(payload)
    return found


@given(st.lists(payloads, min_size=1, max_size=3), st.integers(0, 1 << 20), st.integers(1, 255), st.data())
def test_c45_one_flipped_byte_never_makes_other_content_acceptable(
    contents: list[bytes], place: int, flip: int, data: st.DataObject
) -> None:
    """Stated precisely: whatever a server accepts from the damaged stream, its bytes are those of a file that was sent.

    That is all that this layer promises. A flip in a payload passes here and is found by comparing digests; a flip in
    a path or a time is not found at all, since no digest covers the header: TLS does.
    """
    stream = bytearray()
    for number, content in enumerate(contents):
        algorithm = data.draw(st.sampled_from(["sha256", "md5"]))
        digest = hashlib.new(algorithm, content, usedforsecurity=False).hexdigest()
        header = {"op": "put", "path": f"file {number}", "size": len(content), "algorithm": algorithm}
        stream += message(header, content) + message({"digest": digest})
    whole = drive(Connection(Role.SERVER), [bytes(stream)])
    assert accepted(whole) == contents
    stream[place % len(stream)] ^= flip
    damaged = drive(Connection(Role.SERVER), [bytes(stream)])
    assert all(payload in contents for payload in accepted(damaged))


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | texts,
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
        max_leaves=12,
    ),
    st.booleans(),
)
def test_what_json_writes_is_read_back(value: object, ascii_only: bool) -> None:
    if _depth(value) >= 15:
        return
    data = json.dumps({"value": value}, ensure_ascii=ascii_only).encode()
    assert decode_object(data) == {"value": value}


def _depth(value: object) -> int:
    if isinstance(value, dict):
        return 1 + max(map(_depth, value.values()), default=0)
    if isinstance(value, list):
        return 1 + max(map(_depth, value), default=0)
    return 0


@given(
    st.text(st.sampled_from('{}[]",:\\ud8c01eE+-.ntr NaIfy\n'), max_size=30).map(str.encode)
    | st.binary(max_size=30)
)
def test_what_is_accepted_means_what_it_means_to_json(data: bytes) -> None:
    try:
        value = decode_object(data)
    except RemoteProtocolError:
        return
    assert json.loads(data) == value
    json.dumps(value, ensure_ascii=False, allow_nan=False).encode()


@given(
    st.lists(
        st.tuples(st.sampled_from(["feed", "take", "expect", "release", "room"]), st.integers(0, 70_000)),
        max_size=40,
    )
)
def test_the_buffer_is_a_queue_of_bytes(steps: list[tuple[str, int]]) -> None:
    buffer = ReceiveBuffer()
    model = bytearray()
    counter = 0
    for step, number in steps:
        if step == "feed":
            data = bytes((counter + each) % 256 for each in range(number % 5000))
            counter += 7
            buffer.feed(data)
            model += data
        elif step == "take":
            count = number % (len(model) + 1)
            assert buffer.peek(count) == model[:count]
            buffer.discard(count)
            del model[:count]
        elif step == "expect":
            buffer.expect(number)
        elif step == "release":
            buffer.release()
        else:
            assert len(buffer.writable()) > 0
        assert len(buffer) == len(model)
    assert buffer.peek(1 << 20) == model


@pytest.mark.parametrize("role", Role)
def test_c06_ten_thousand_nested_arrays_in_a_header(role: Role) -> None:
    data = message(b'{"op":' + b"[" * 10_000 + b"]" * 10_000 + b"}")
    outcomes, _ = receive(Connection(role), data, 1000)
    assert len(outcomes) == 1
    assert isinstance(outcomes[0], RemoteProtocolError)
