"""docs/protocol.md section 3: what either side makes of what arrives, however it arrives."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from ftpsvc.exceptions import (
    Busy,
    HeaderTooLarge,
    InvalidHeader,
    InvalidRequest,
    LocalProtocolError,
    NotFound,
    PermissionDenied,
    QuotaExceeded,
    ReadFailed,
    RemoteError,
    RemoteProtocolError,
    UnknownOperation,
)
from ftpsvc.protocol.connection import (
    Connection,
    GreetingReceived,
    RequestReceived,
    ResponseReceived,
    ServerClosing,
    TrailerReceived,
)
from ftpsvc.protocol.headers import (
    REQUESTS,
    Cd,
    Content,
    Df,
    Get,
    Greeting,
    Listing,
    Located,
    Ls,
    Put,
    Pwd,
    Quit,
    Request,
    Response,
    Stat,
    Stored,
)
from ftpsvc.protocol.limits import MAX_HEADER, MAX_HEADER_BEFORE_LOGIN
from ftpsvc.protocol.state import Role, State
from tests.helpers.wire import arrive, drive, message

MD5 = "d41d8cd98f00b204e9800998ecf8427e"
GREETING = {"service": "ftpsvc", "version": 1, "algorithms": ["md5"]}
STORED = {"status": "ok", "path": "/f", "file_size": 5, "algorithm": "md5", "digest": MD5}
CONTENT = {"status": "ok", "size": 5, "file_size": 5, "algorithm": "md5"}
PUT = {"op": "put", "path": "f", "size": 5, "algorithm": "md5"}
TRAILER = {"digest": MD5}

# A request of each op that could be answered.
REQUEST: dict[str, dict[str, Any]] = {
    "put": PUT,
    "get": {"op": "get", "path": "f", "algorithm": "md5"},
    "ls": {"op": "ls"},
    "cd": {"op": "cd", "path": "d"},
    "pwd": {"op": "pwd"},
    "stat": {"op": "stat", "path": "f"},
    "mkdir": {"op": "mkdir", "path": "d"},
    "rm": {"op": "rm", "path": "f"},
    "mv": {"op": "mv", "path": "f", "to": "g"},
    "df": {"op": "df"},
    "verify": {"op": "verify", "path": "f"},
    "auth": {"op": "auth", "mechanism": "SCRAM-SHA-256", "data": "n,,n=alice,r=abc"},
    "whoami": {"op": "whoami"},
    "set-password": {"op": "set-password", "verifier": "SCRAM-SHA-256$600000:c2FsdA==$a2V5:a2V5"},
    "issue-token": {
        "op": "issue-token",
        "label": "laptop",
        "verifier": "SCRAM-SHA-256$4096:c2FsdA==$a2V5:a2V5",
    },
    "revoke-token": {"op": "revoke-token", "token": "ABCD2345"},
    "begin": {"op": "begin", "path": "f", "file_size": 5, "algorithm": "md5"},
    "blocks": {"op": "blocks", "path": "f", "algorithm": "md5", "block_size": 4096},
    "patch": {
        "op": "patch",
        "path": "f",
        "size": 1,
        "file_size": 4096,
        "block_size": 4096,
        "version": "1",
        "algorithm": "md5",
    },
    "assignments": {"op": "assignments"},
    "submit-begin": {"op": "submit-begin", "assignment": "hw3", "size": 5, "algorithm": "md5"},
    "submit-commit": {"op": "submit-commit", "assignment": "hw3", "begun": 1, "tree_sha256": "ab" * 32},
    "quit": {"op": "quit"},
}
WITH_CONTENT = [op for op, request in REQUESTS.items() if request.content]
WITHOUT_CONTENT = [op for op in REQUESTS if op not in WITH_CONTENT]


def server() -> Connection:
    connection = Connection(Role.SERVER)
    connection.send_greeting(Greeting(algorithms=["md5"]))
    return connection


def client(*requests: Request) -> Callable[[], Connection]:
    """Makes clients that were greeted and have sent `requests`, of which none may have content."""

    def fresh() -> Connection:
        connection = Connection(Role.CLIENT)
        connection.buffer.feed(message(GREETING))
        assert isinstance(connection.next_event(), GreetingReceived)
        for request in requests:
            connection.send_request(request)
        return connection

    return fresh


def one(outcomes: list[Any], kind: type) -> Any:
    assert len(outcomes) == 1
    assert isinstance(outcomes[0], kind), outcomes
    return outcomes[0]


# ---------------------------------------------------------------- what a server receives


def test_every_op_has_an_example_here() -> None:
    assert REQUEST.keys() == REQUESTS.keys()


@pytest.mark.parametrize("op", WITHOUT_CONTENT)
def test_c01_a_request_without_content(op: str) -> None:
    event = one(arrive(server, message(REQUEST[op])), RequestReceived)
    assert (event.op, event.error, event.size, event.content) == (op, None, 0, False)
    assert type(event.request) is REQUESTS[op]
    assert event.request.model_dump(include=set(REQUEST[op])) == REQUEST[op]


@pytest.mark.parametrize("payload", [b"", b"x", b"12345", bytes(range(256))])
def test_c01_a_request_with_content(payload: bytes) -> None:
    data = message(PUT | {"size": len(payload)}, payload) + message(TRAILER)
    outcomes = arrive(server, data)
    assert isinstance(outcomes[0], RequestReceived)
    assert outcomes[0].size == len(payload)
    assert outcomes[0].content
    assert outcomes[1:-1] == ([payload] if payload else [])
    assert outcomes[-1] == TrailerReceived(MD5, None)


def test_c02_c03_put_put_ls_without_waiting() -> None:
    data = (
        message(PUT, b"{\x00\x00\x00}")
        + message(TRAILER)
        + message(PUT | {"size": 0})
        + message({"error": {"code": "read-failed", "message": "gone"}})
        + message({"op": "ls", "path": "世界"})
        + message({"op": "quit"})
    )
    outcomes = arrive(server, data)
    kinds = [type(outcome).__name__ for outcome in outcomes]
    put = ["RequestReceived", "bytes", "TrailerReceived"]
    assert kinds == [*put, "RequestReceived", "TrailerReceived", "RequestReceived", "RequestReceived"]
    failed = outcomes[4]
    assert isinstance(failed, TrailerReceived)
    assert failed.digest is None
    assert failed.error is not None
    assert (failed.error.code, failed.error.message) == ("read-failed", "gone")


def test_after_quit_nothing_is_read() -> None:
    connection = server()
    drive(connection, [message({"op": "quit"}) + message({"op": "ls"})])
    assert connection.incoming is State.CLOSED
    assert connection.next_event() is None


@pytest.mark.parametrize(
    "op",
    [
        "__init__",
        "handle",
        "__class__",
        "PUT",
        "put ",
        "",
        "../put",
        "x" * 60_000,
        "\x1b[2J",
        "ℓs",
        "p\x00ut",
    ],
    ids=ascii,
)
def test_c11_c23_an_unknown_op_is_answerable(op: str) -> None:
    outcomes = arrive(server, message({"op": op}) + message({"op": "pwd"}))
    event, after = outcomes
    assert isinstance(event, RequestReceived)
    assert event.request is None
    assert (event.op, event.size, event.content) == (op[:64], 0, False)
    assert isinstance(event.error, UnknownOperation if op else InvalidRequest)
    assert str(event.error).isprintable()
    assert len(str(event.error)) < 300
    assert isinstance(after, RequestReceived)
    assert after.request == Pwd()


@pytest.mark.parametrize("op", ["__init__", "handle", "frobnicate", ""])
@pytest.mark.parametrize("size", [0, 1, 2**62])
def test_c11_c23_an_unknown_op_with_a_payload_ends_the_conversation(op: str, size: int) -> None:
    one(arrive(server, message({"op": op, "size": size})), InvalidHeader)


def test_c23_an_op_of_300_kb_is_refused_at_its_length() -> None:
    error = one(arrive(server, message({"op": "x" * 300_000})[:5000]), HeaderTooLarge)
    assert error.length > 300_000


@pytest.mark.parametrize("op", [None, 1, True, ["put"], {"op": "put"}, 1.5], ids=repr)
def test_c23_an_op_that_is_no_string(op: object) -> None:
    outcomes = arrive(server, message({"op": op}) + message({"op": "pwd"}))
    assert isinstance(outcomes[0], RequestReceived)
    assert type(outcomes[0].error) is InvalidRequest
    assert len(outcomes) == 2


@pytest.mark.parametrize(
    "fields",
    [{"status": "ok"}, {"status": "error", "code": "busy"}, STORED, {"status": 1}],
    ids=["ok", "error", "stored", "number"],
)
def test_c11_a_response_where_a_request_is_due(fields: dict[str, Any]) -> None:
    error = one(arrive(server, message(fields)), InvalidHeader)
    assert "response" in str(error)


def test_c11_a_trailer_or_a_greeting_where_a_request_is_due() -> None:
    for fields in (TRAILER, GREETING, {}):
        event = one(arrive(server, message(fields)), RequestReceived)
        assert event.request is None
        assert type(event.error) is InvalidRequest


SIZES = ["5", 5.0, -1, True, False, None, [5], 2**63, 1e3, "", {}]


@pytest.mark.parametrize("size", SIZES, ids=repr)
@pytest.mark.parametrize("op", ["put", "ls", "quit", "unknown"])
def test_c06_a_size_that_is_no_size_ends_the_conversation(op: str, size: object) -> None:
    fields = REQUEST.get(op, {"op": op}) | {"size": size}
    error = one(arrive(server, message(fields)), InvalidHeader)
    assert "size" in str(error)


def test_c06_content_without_size_ends_the_conversation() -> None:
    fields = {key: value for key, value in PUT.items() if key != "size"}
    assert "size" in str(one(arrive(server, message(fields)), InvalidHeader))


BAD_FIELDS: dict[str, dict[str, Any]] = {
    "put": {
        "path": 5,
        "algorithm": "",
        "offset": -1,
        "mode": 0o10000,
        "modified": -1,
        "clobber": 1,
        "file_size": "5",
    },
    "get": {"path": None, "algorithm": None, "offset": True, "version": 3},
    "ls": {
        "path": ["/"],
        "recursive": "yes",
        "limit": 0,
        "cursor": 1,
        "algorithm": "x" * 33,
        "digests": None,
    },
    "cd": {"path": {}},
    "stat": {"path": 1.0},
    "mkdir": {"path": False, "parents": 0},
    "rm": {"path": None, "recursive": "true"},
    "mv": {"path": None, "to": 7, "clobber": None},
    "verify": {"path": None, "algorithm": 5},
    "blocks": {"path": 1, "block_size": 4095, "first": -1, "count": 65537, "version": 2},
    "patch": {"path": 1, "block_size": (16 << 20) + 1, "file_size": "1", "version": None, "mode": 4096},
    "submit-begin": {"assignment": "", "algorithm": None},
    "submit-commit": {"assignment": "h" * 41, "begun": "now", "tree_sha256": "AB" * 32, "late": 1},
}


@pytest.mark.parametrize(
    ("op", "field", "value"),
    [(op, field, value) for op, fields in BAD_FIELDS.items() for field, value in fields.items()],
)
def test_c10_a_wrong_field_is_answerable_and_the_next_request_is_read(
    op: str, field: str, value: object
) -> None:
    data = message(REQUEST[op] | {field: value}, bytes(REQUEST[op].get("size", 0)))
    if op in WITH_CONTENT:
        data += message(TRAILER)
    outcomes = arrive(server, data + message({"op": "pwd"}))
    refused, last = outcomes[0], outcomes[-1]
    assert isinstance(refused, RequestReceived)
    assert refused.request is None
    assert refused.content is (op in WITH_CONTENT)
    assert str(refused.error).startswith(f"{op}: {field}: ")
    assert isinstance(last, RequestReceived)
    assert last.request == Pwd()


@pytest.mark.parametrize("op", WITHOUT_CONTENT)
def test_c10_a_payload_where_none_is_taken_is_skipped(op: str) -> None:
    outcomes = arrive(
        server, message(REQUEST[op] | {"size": 4}, b"\x00\x00\x00\x02") + message({"op": "pwd"})
    )
    refused, payload, after = outcomes
    assert isinstance(refused, RequestReceived)
    assert (refused.request, refused.size, refused.content) == (None, 4, False)
    assert "takes no payload" in str(refused.error)
    assert payload == b"\x00\x00\x00\x02"
    assert isinstance(after, RequestReceived)
    assert after.request == Pwd()


def test_unknown_fields_are_ignored() -> None:
    fields = {"op": "cd", "path": "d", "colour": "red", "__class__": 1, "model_config": {}, "answer": None}
    assert one(arrive(server, message(fields)), RequestReceived).request == Cd(path="d")


@pytest.mark.parametrize(
    "trailer",
    [
        {},
        {"digest": MD5, "error": {"code": "x"}},
        {"digest": None, "error": None},
        {"digest": MD5.upper()},
        {"digest": MD5[:-1]},
        {"digest": MD5 + "\n"},
        {"digest": 5},
        {"digest": "g" * 32},
        {"digest": "a" * 129},
        {"error": "gone"},
        {"error": {}},
        {"digest": MD5, "size": 0},
        {"digest": MD5, "size": 5},
        {"op": "ls"},
        {"op": "put", "size": 5},
    ],
    ids=repr,
)
def test_what_is_no_trailer_ends_the_conversation(trailer: dict[str, Any]) -> None:
    outcomes = arrive(server, message(PUT, b"12345") + message(trailer))
    assert isinstance(outcomes[0], RequestReceived)
    assert outcomes[1] == b"12345"
    assert isinstance(outcomes[2], InvalidHeader)


@pytest.mark.parametrize("limit", [MAX_HEADER_BEFORE_LOGIN, MAX_HEADER])
@pytest.mark.parametrize("length", [0, 1, "limit + 1", 2**31 - 1, 2**32 - 1])
def test_c06_lengths_that_are_refused(length: int | str, limit: int) -> None:
    def fresh() -> Connection:
        connection = server()
        connection.max_header = limit
        return connection

    announced = limit + 1 if isinstance(length, str) else length
    error = one(arrive(fresh, announced.to_bytes(4, "big")), HeaderTooLarge)
    assert (error.length, error.limit) == (announced, limit)


@pytest.mark.parametrize("length", [MAX_HEADER_BEFORE_LOGIN, MAX_HEADER])
def test_c06_the_longest_header(length: int) -> None:
    header = b'{"op": "pwd"' + b" " * (length - 13) + b"}"
    assert len(header) == length
    event = one(arrive(lambda: Connection(Role.SERVER, max_header=length), message(header)), RequestReceived)
    assert event.request == Pwd()


def test_a_broken_conversation_stays_broken() -> None:
    connection = server()
    outcomes = drive(connection, [message(b"[]"), message({"op": "pwd"})])
    assert isinstance(outcomes[0], InvalidHeader)
    with pytest.raises(InvalidHeader) as caught:
        connection.next_event()
    assert caught.value is outcomes[0]
    assert not connection.eof_is_clean()


# ---------------------------------------------------------------- what a client receives


@pytest.mark.parametrize(
    "fields",
    [
        GREETING,
        GREETING | {"limits": {}, "features": ["stat"], "guest": "read", "time": 0, "banner": "hello\n"},
        GREETING | {"version": 7, "novelty": [1, 2]},
    ],
    ids=["the least", "more", "a later version"],
)
def test_a_greeting(fields: dict[str, Any]) -> None:
    event = one(arrive(lambda: Connection(Role.CLIENT), message(fields)), GreetingReceived)
    assert event.greeting.algorithms == ["md5"]
    assert event.greeting.limits.window == 1


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"service": "ftpsvc", "version": 1},
        {"version": 1, "algorithms": ["md5"]},
        {"service": "ftpsvc", "algorithms": ["md5"]},
        GREETING | {"service": "ftp"},
        GREETING | {"version": 0},
        GREETING | {"version": "1"},
        GREETING | {"algorithms": []},
        GREETING | {"algorithms": "md5"},
        GREETING | {"algorithms": ["md5"] * 17},
        GREETING | {"limits": {"window": 0}},
        GREETING | {"limits": {"header": 255}},
        GREETING | {"banner": "x" * 2001},
        GREETING | {"size": 0},
        GREETING | {"size": 9},
        {"status": "ok"},
        {"op": "ls"},
    ],
    ids=lambda fields: repr(fields)[:60],
)
def test_what_is_no_greeting(fields: dict[str, Any]) -> None:
    one(arrive(lambda: Connection(Role.CLIENT), message(fields)), InvalidHeader)


@pytest.mark.parametrize(
    "data", [b"220 (vsFTPd 3.0.5)\r\n", b"SSH-2.0-OpenSSH_9.6\r\n", b"HTTP/1.1 400 Bad Request\r\n"]
)
def test_another_kind_of_server_is_told_at_its_first_bytes(data: bytes) -> None:
    one(arrive(lambda: Connection(Role.CLIENT), data), HeaderTooLarge)


def test_c10_a_server_that_is_full_says_so_instead_of_greeting() -> None:
    fields = {
        "status": "error",
        "code": "busy",
        "message": "full",
        "limit": 512,
        "retry": True,
        "fatal": True,
    }
    event = one(arrive(lambda: Connection(Role.CLIENT), message(fields)), ServerClosing)
    assert isinstance(event.error, Busy)
    assert (event.error.limit, event.error.retry, event.error.fatal) == (512, True, True)


def test_answers_come_in_the_order_of_the_requests() -> None:
    fresh = client(Pwd(), Get(path="f", algorithm="md5"), Ls(), Stat(path="nowhere"), Df())
    data = (
        message({"status": "ok", "path": "/"})
        + message(CONTENT, b"12345")
        + message(TRAILER)
        + message({"status": "ok", "size": 3}, b"{}\n")
        + message({"status": "error", "code": "not-found", "path": "/nowhere"})
        + message({"status": "ok"})
    )
    outcomes = arrive(fresh, data)
    answers = [outcome for outcome in outcomes if isinstance(outcome, ResponseReceived)]
    assert [answer.request.op for answer in answers] == ["pwd", "get", "ls", "stat", "df"]
    assert [answer.size for answer in answers] == [0, 5, 3, 0, 0]
    assert isinstance(answers[3].error, NotFound)
    assert [outcome for outcome in outcomes if isinstance(outcome, bytes)] == [b"12345", b"{}\n"]
    assert TrailerReceived(MD5, None) in outcomes


def test_c08_empty_content_and_an_empty_listing() -> None:
    fresh = client(Get(path="f", algorithm="md5"), Ls(), Pwd())
    data = (
        message(CONTENT | {"size": 0, "file_size": 0})
        + message(TRAILER)
        + message({"status": "ok", "size": 0})
        + message({"status": "ok", "path": "/"})
    )
    kinds = [type(outcome).__name__ for outcome in arrive(fresh, data)]
    assert kinds == ["ResponseReceived", "TrailerReceived", "ResponseReceived", "ResponseReceived"]


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"path": "/"},
        {"status": "yes", "path": "/"},
        {"status": True, "path": "/"},
        {"status": "ok"},
        {"status": "ok", "path": 5},
        {"status": "ok", "path": "/", "size": 0},
        {"status": "ok", "path": "/", "size": 5},
        {"status": "error"},
        {"status": "error", "code": ""},
        {"status": "error", "code": 5},
        {"status": "error", "code": "busy", "fatal": "yes"},
        {"status": "error", "code": "busy", "message": 5},
        {"status": "error", "code": "busy", "size": 0},
        {"status": "error", "code": "busy", "size": 5},
        {"op": "pwd"},
        GREETING,
    ],
    ids=repr,
)
def test_what_is_no_answer_ends_the_conversation(fields: dict[str, Any]) -> None:
    one(arrive(client(Pwd()), message(fields)), InvalidHeader)


@pytest.mark.parametrize("fields", [{"status": "ok"}, {"status": "error", "code": "busy"}, STORED])
def test_c11_an_answer_that_nobody_asked_for(fields: dict[str, Any]) -> None:
    one(arrive(client(), message(fields)), InvalidHeader)


@pytest.mark.parametrize("size", SIZES, ids=repr)
def test_c06_a_size_of_an_answer_that_is_no_size(size: object) -> None:
    one(arrive(client(Get(path="f", algorithm="md5")), message(CONTENT | {"size": size})), InvalidHeader)
    one(arrive(client(Ls()), message({"status": "ok", "size": size})), InvalidHeader)


def test_c10_a_refusal_in_mid_conversation() -> None:
    fields = {
        "status": "error",
        "code": "quota-exceeded",
        "message": "no",
        "used": 1,
        "limit": 2,
        "requested": 3,
    }
    outcomes = arrive(client(Stat(path="a"), Pwd()), message(fields) + message({"status": "ok", "path": "/"}))
    refused, answered = outcomes
    assert isinstance(refused, ResponseReceived)
    assert isinstance(refused.error, QuotaExceeded)
    assert not refused.error.fatal
    assert refused.response is None
    assert isinstance(answered, ResponseReceived)
    assert answered.response == Located(path="/")


def test_a_fatal_refusal_is_the_last_message() -> None:
    fresh = client(Stat(path="a"), Pwd())
    fields = {"status": "error", "code": "too-large", "message": "too large to skip", "fatal": True}
    event = one(arrive(fresh, message(fields)), ResponseReceived)
    assert event.request == Stat(path="a")
    assert isinstance(event.error, RemoteError)
    assert event.error.fatal
    connection = fresh()
    drive(connection, [message(fields)])
    assert connection.incoming is State.CLOSED
    assert list(connection.unanswered) == [Pwd()]


def test_a_server_that_ends_an_idle_conversation_says_why() -> None:
    fields = {"status": "error", "code": "timeout", "phase": "a request", "seconds": 300, "fatal": True}
    event = one(arrive(client(), message(fields)), ServerClosing)
    assert str(event.error) == "timed out after 300 s waiting for a request"


def test_the_answer_to_quit_is_the_last_message() -> None:
    fresh = client(Quit())
    assert one(arrive(fresh, message({"status": "ok"})), ResponseReceived).request == Quit()
    connection = fresh()
    drive(connection, [message({"status": "ok"})])
    assert connection.incoming is State.CLOSED
    assert connection.eof_is_clean()


# ---------------------------------------------------------------- where the peer may end the connection (C04)


def test_c04_a_client_may_go_only_between_messages() -> None:
    data = (
        message({"op": "ls"})
        + message(PUT, b"12345")
        + message(TRAILER)
        + message({"op": "stat", "path": "f"})
    )
    put = len(message({"op": "ls"}))
    content = len(message(PUT, b"12345"))
    clean = {0, put, put + content + len(message(TRAILER)), len(data)}
    found = set()
    for cut in range(len(data) + 1):
        connection = server()
        drive(connection, [data[:cut]])
        if connection.eof_is_clean():
            found.add(cut)
    assert found == clean


def test_c04_a_server_may_go_only_when_it_owes_nothing() -> None:
    greeting, first = message(GREETING), message({"status": "ok", "path": "/"})
    data = greeting + first + message(CONTENT, b"12345") + message(TRAILER) + message({"status": "ok"})
    found = []
    for cut in range(len(data) + 1):
        connection = Connection(Role.CLIENT)
        drive(connection, [data[: min(cut, len(greeting))]])
        assert connection.eof_is_clean() is (cut >= len(greeting))
        if cut >= len(greeting):
            for request in (Pwd(), Get(path="f", algorithm="md5"), Quit()):
                connection.send_request(request)
            drive(connection, [data[len(greeting) : cut]])
            if connection.eof_is_clean():
                found.append(cut)
    assert found == [len(data)]


def test_c04_a_broken_conversation_does_not_end_cleanly() -> None:
    connection = server()
    drive(connection, [message(b"nonsense")])
    assert len(connection.buffer) == 0
    assert not connection.eof_is_clean()


# ---------------------------------------------------------------- what either side may send


def test_each_side_sends_its_own_kind_of_message() -> None:
    talker, listener = client()(), server()
    steps: list[Callable[[], object]] = [
        lambda: talker.send_greeting(Greeting(algorithms=["md5"])),
        lambda: talker.send_response(Response()),
        lambda: talker.send_error(NotFound("/f")),
        talker.send_goodbye,
        lambda: listener.send_request(Pwd()),
        lambda: Connection(Role.CLIENT).send_request(Pwd()),
        lambda: Connection(Role.SERVER).send_response(Response()),
        lambda: Connection(Role.SERVER).send_goodbye(),
        lambda: listener.send_greeting(Greeting(algorithms=["md5"])),
        lambda: listener.send_trailer(MD5),
        lambda: talker.send_trailer(MD5),
        lambda: talker.payload_sent(1),
        lambda: listener.payload_sent(1),
        lambda: listener.payload_received(1),
    ]
    for send in steps:
        with pytest.raises(LocalProtocolError):
            send()
    assert not talker.unanswered
    assert talker.unanswered_bytes == 0
    assert (talker.outgoing, listener.outgoing) == (State.IDLE, State.IDLE)


def test_nothing_comes_between_a_put_and_its_trailer() -> None:
    connection = client()()
    connection.send_request(Put(path="f", size=5, algorithm="md5"))
    assert (connection.outgoing, connection.outgoing_payload) == (State.CONTENT, 5)
    with pytest.raises(LocalProtocolError):
        connection.send_request(Pwd())
    with pytest.raises(LocalProtocolError):
        connection.send_trailer(MD5)
    with pytest.raises(LocalProtocolError):
        connection.payload_sent(6)
    connection.payload_sent(5)
    assert connection.outgoing is State.TRAILER
    with pytest.raises(LocalProtocolError):
        connection.send_request(Pwd())
    connection.send_trailer(MD5)
    connection.send_request(Pwd())
    assert [request.op for request in connection.unanswered] == ["put", "pwd"]


def test_c08_a_put_of_nothing_still_has_a_trailer() -> None:
    connection = client()()
    connection.send_request(Put(path="f", size=0, algorithm="md5"))
    connection.payload_sent(0)
    with pytest.raises(LocalProtocolError):
        connection.send_request(Pwd())
    connection.send_trailer(MD5)
    connection.send_request(Pwd())


def test_a_trailer_has_either_a_digest_or_an_error() -> None:
    for digest, error in ((None, None), (MD5, ReadFailed("f", "gone"))):
        connection = client()()
        connection.send_request(Put(path="f", size=0, algorithm="md5"))
        with pytest.raises(LocalProtocolError):
            connection.send_trailer(digest, error)
        assert connection.outgoing is State.TRAILER
        connection.send_trailer(None, ReadFailed("f\udcff", "gone"))


def test_after_the_last_message_nothing_is_sent() -> None:
    connection = client()()
    connection.send_request(Quit())
    with pytest.raises(LocalProtocolError):
        connection.send_request(Pwd())
    for fatal in (False, True):
        ended = server()
        if fatal:
            ended.send_error(Busy("", "stop"), fatal=True)
        else:
            ended.send_goodbye()
        with pytest.raises(LocalProtocolError):
            ended.send_response(Response())
        with pytest.raises(LocalProtocolError):
            ended.send_error(NotFound("/f"))


def test_a_server_may_refuse_before_it_greets_and_say_nothing_more() -> None:
    connection = Connection(Role.SERVER)
    connection.send_error(Busy("", "full"), fatal=True)
    with pytest.raises(LocalProtocolError):
        connection.send_greeting(Greeting(algorithms=["md5"]))
    with pytest.raises(LocalProtocolError):
        Connection(Role.SERVER).send_error(Busy("", "full"))


def test_unanswered_requests_are_counted_with_their_bytes() -> None:
    connection = client()()
    sent = [connection.send_request(Pwd()), connection.send_request(Cd(path="世界"))]
    assert connection.unanswered_bytes == sum(map(len, sent))
    drive(connection, [message({"status": "ok", "path": "/"})])
    assert connection.unanswered_bytes == len(sent[1])
    drive(connection, [message({"status": "error", "code": "not-found"})])
    assert (connection.unanswered_bytes, len(connection.unanswered)) == (0, 0)


def test_a_request_that_cannot_be_encoded_changes_nothing() -> None:
    connection = client()()
    for path in ("\udcff", "x" * MAX_HEADER):
        with pytest.raises(LocalProtocolError):
            connection.send_request(Put(path=path, size=5, algorithm="md5"))
    assert connection.outgoing is State.IDLE
    assert not connection.unanswered


def test_both_roles_understand_each_other() -> None:
    talker, listener = Connection(Role.CLIENT), Connection(Role.SERVER)

    def to_client(data: bytes) -> list[Any]:
        return drive(talker, [data])

    def to_server(data: bytes) -> list[Any]:
        return drive(listener, [data])

    greeting = Greeting(algorithms=["blake3", "md5"], features=["stat"], software="x", banner="你好")
    assert to_client(listener.send_greeting(greeting)) == [GreetingReceived(greeting)]
    put = Put(path="世界", size=3, algorithm="md5", modified=1, mode=0o640, clobber=False)
    assert to_server(talker.send_request(put))[0].request == put
    talker.payload_sent(3)
    assert to_server(b"abc") == [b"abc"]
    assert to_server(talker.send_trailer(MD5)) == [TrailerReceived(MD5, None)]
    stored = Stored(path="/世界", file_size=3, algorithm="md5", digest=MD5, version="v")
    assert to_client(listener.send_response(stored)) == [ResponseReceived(put, stored, None, 0)]
    get = Get(path="世界", algorithm="md5", offset=1)
    assert to_server(talker.send_request(get))[0].request == get
    content = Content(size=2, file_size=3, algorithm="md5")
    assert to_client(listener.send_response(content, content=True)) == [
        ResponseReceived(get, content, None, 2)
    ]
    with pytest.raises(LocalProtocolError):
        listener.send_response(stored)
    listener.payload_sent(2)
    assert to_client(b"bc") == [b"bc"]
    assert to_client(listener.send_trailer(MD5)) == [TrailerReceived(MD5, None)]
    assert to_server(talker.send_request(Ls()))[0].request == Ls()
    listing = Listing(size=0, path="/")
    assert to_client(listener.send_response(listing)) == [ResponseReceived(Ls(), listing, None, 0)]
    assert to_server(talker.send_request(Pwd()))[0].request == Pwd()
    refused = to_client(listener.send_error(PermissionDenied("read only", "/")))[0]
    assert isinstance(refused.error, PermissionDenied)
    assert to_server(talker.send_request(Quit()))[0].request == Quit()
    assert to_client(listener.send_goodbye())[0].response == Response()
    assert talker.eof_is_clean()
    assert listener.eof_is_clean()


def test_a_fatal_protocol_error_reaches_the_other_side_as_what_it_is() -> None:
    listener = server()
    broken = drive(listener, [message(b"[]")])[0]
    assert isinstance(broken, RemoteProtocolError)
    event = drive(client(Pwd())(), [listener.send_error(broken, fatal=True)])[0]
    assert isinstance(event, ResponseReceived)
    assert isinstance(event.error, InvalidHeader)
    assert event.error.fatal
    assert str(event.error) == str(broken)
