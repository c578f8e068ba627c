"""docs/protocol.md section 7: errors over the wire and back, and what a hostile or a simple server makes of them."""

from __future__ import annotations

import inspect
from typing import Any

import pytest

from ftpsvc import exceptions
from ftpsvc.exceptions import (
    BY_CODE,
    AlreadyExists,
    AuthenticationFailed,
    BadOffset,
    Busy,
    Changed,
    DigestMismatch,
    DirectoryNotEmpty,
    FtpsvcError,
    HandInRefused,
    HeaderTooLarge,
    InvalidHeader,
    InvalidPath,
    InvalidRequest,
    IsADirectory,
    NoSpace,
    NotADirectory,
    NotAFile,
    NotFound,
    PermissionDenied,
    QuotaExceeded,
    ReadFailed,
    RemoteError,
    RemoteProtocolError,
    TooLarge,
    TransferTimeout,
    Unavailable,
    UnknownOperation,
    from_answer,
)
from ftpsvc.protocol.connection import Connection, ResponseReceived
from ftpsvc.protocol.headers import Greeting, Pwd
from ftpsvc.protocol.state import Role
from tests.helpers.wire import drive, message

PATH = "/世界/a b.txt"
ERRORS: list[FtpsvcError] = [
    RemoteProtocolError("that is no message"),
    HeaderTooLarge(70_000, 65_536),
    InvalidHeader("no object"),
    TransferTimeout("a request", 2.5),
    AuthenticationFailed(),
    PermissionDenied("read only"),
    PermissionDenied("read only", PATH),
    InvalidPath("a\nb", "control characters cannot be part of a name"),
    InvalidRequest("put: path: Field required"),
    UnknownOperation("there is no operation 'x'"),
    HandInRefused("paths.py is missing"),
    HandInRefused("paths.py is missing; it is closed", '{"v":1}', "-----BEGIN SSH SIGNATURE-----\n"),
    NotFound(PATH),
    AlreadyExists(PATH),
    IsADirectory(PATH),
    NotADirectory(PATH),
    DirectoryNotEmpty(PATH),
    NotAFile(PATH),
    Busy(PATH),
    Busy("", "512 connections are open", 512),
    QuotaExceeded(PATH, 3 << 30, 1 << 30, 2 << 30),
    NoSpace(PATH),
    NoSpace(PATH, 10, 5),
    TooLarge(PATH, 2**62, 2**61),
    DigestMismatch(PATH, "md5", "0" * 32, "f" * 32),
    Changed(PATH),
    BadOffset(PATH, 11, 10),
    ReadFailed(PATH, "Input/output error"),
    Unavailable(PATH, "the disk does not answer"),
    Unavailable("", "shutting down"),
]
HOSTILE_TEXT = "\x1b]0;owned\x07\n\r\u202e\u2028\x9b2J"
HOSTILE_VALUES: list[Any] = [
    HOSTILE_TEXT, "", "x" * 50_000, None, True, False, 0, -1, 2**63, 10**400, -(10**400), 1.5, 1e300, [], ["x"], {},
    {"a": 1},
]  # fmt: skip


def over_the_wire(error: FtpsvcError, *, fatal: bool = False) -> FtpsvcError:
    server, client = Connection(Role.SERVER), Connection(Role.CLIENT)
    drive(client, [server.send_greeting(Greeting(algorithms=["md5"]))])
    client.send_request(Pwd())
    (event,) = drive(client, [server.send_error(error, fatal=fatal)])
    assert isinstance(event, ResponseReceived)
    assert event.error is not None
    return event.error


def test_every_class_that_can_be_answered_is_tried() -> None:
    assert {type(error) for error in ERRORS} == set(BY_CODE.values())


def test_every_code_stands_for_one_class() -> None:
    classes = [
        value
        for value in vars(exceptions).values()
        if inspect.isclass(value) and issubclass(value, FtpsvcError) and "code" in vars(value)
    ]
    codes = [cls.code for cls in classes if cls is not RemoteError and cls is not FtpsvcError]
    assert len(codes) == len(set(codes))


@pytest.mark.parametrize("fatal", [False, True])
@pytest.mark.parametrize("error", ERRORS, ids=lambda error: error.code)
def test_an_error_comes_back_as_what_it_was(error: FtpsvcError, fatal: bool) -> None:
    received = over_the_wire(error, fatal=fatal)
    assert type(received) is type(error)
    assert str(received) == str(error)
    assert received.wire() == error.wire()
    assert (received.fatal, received.retry) == (fatal, error.retry)


@pytest.mark.parametrize("cls", BY_CODE.values(), ids=BY_CODE)
def test_code_and_message_are_enough_for_a_sentence(cls: type[FtpsvcError]) -> None:
    """A server of the base profile sends nothing else, and what it says must not get lost."""
    error = from_answer(cls.code, "my own words", {}, fatal=True, retry=True)
    assert isinstance(error, (cls, RemoteError))
    assert (error.fatal, error.retry) == (True, True)
    text = str(error)
    assert not text.startswith((":", " ", "''"))
    assert "my own words" in text
    assert str(from_answer(cls.code, "", {}, fatal=True, retry=True))  # a message may be missing, too


@pytest.mark.parametrize(
    "code",
    ["permission-denied", "unknown-op", "bad-request", "not-found", "already-exists", "busy", "unavailable"],
)
def test_the_codes_that_a_client_decides_by_need_no_fields(code: str) -> None:
    assert type(from_answer(code, "no", {}, fatal=False, retry=False)) is BY_CODE[code]


def test_an_unknown_code_keeps_the_servers_words() -> None:
    error = from_answer("on-fire", "come back tomorrow", {"path": "/"}, fatal=False, retry=True)
    assert isinstance(error, RemoteError)
    assert (error.remote_code, error.message, error.retry) == ("on-fire", "come back tomorrow", True)
    assert str(error) == "the server says: come back tomorrow (on-fire)"


@pytest.mark.parametrize("code", [*BY_CODE, "on-fire", HOSTILE_TEXT], ids=ascii)
@pytest.mark.parametrize("value", HOSTILE_VALUES, ids=lambda value: ascii(value)[:20])
def test_c21_a_hostile_answer_drives_no_terminal_and_raises_nothing(code: str, value: object) -> None:
    names = {name for cls in BY_CODE.values() for name in cls.wire_fields}
    fields = dict.fromkeys(names, value) | {
        "__class__": value,
        "args": value,
        "message_": value,
        "self": value,
    }
    error = from_answer(code, HOSTILE_TEXT, fields, fatal=False, retry=False)
    text = str(error)
    assert text.isprintable()
    assert text


def test_c30_an_error_about_a_name_that_is_no_unicode_can_be_sent() -> None:
    name = "caf\udce9.txt"
    for error in (
        NotFound(name),
        PermissionDenied(name, name),
        Unavailable(name, name),
        ReadFailed(name, name),
    ):
        assert type(over_the_wire(error)) is type(error)


def test_an_error_with_endless_text_can_be_sent() -> None:
    for text in ("x" * 70_000, "\x00" * 70_000, "😀" * 70_000):
        assert isinstance(over_the_wire(Unavailable(text, text)), Unavailable)


@pytest.mark.parametrize("field", ["code", "message", "fatal", "retry", "status"])
def test_a_field_of_an_error_never_overwrites_the_answers_own(field: str) -> None:
    """`wire()` is spread beside them: a class whose fields had these names could not be sent at all."""
    assert all(field not in cls.wire_fields for cls in BY_CODE.values())


def test_numbers_of_an_answer_reach_the_caller() -> None:
    fields = {
        "status": "error",
        "code": "quota-exceeded",
        "path": "/f",
        "requested": 3,
        "used": 1,
        "limit": 2,
    }
    client = Connection(Role.CLIENT)
    drive(client, [message({"service": "ftpsvc", "version": 1, "algorithms": ["md5"]})])
    client.send_request(Pwd())
    (event,) = drive(client, [message(fields)])
    assert isinstance(event, ResponseReceived)
    assert isinstance(event.error, QuotaExceeded)
    assert (event.error.path, event.error.requested, event.error.used, event.error.limit) == ("/f", 3, 1, 2)
    assert str(event.error) == "/f: needs 3 B, 1 B of 2 B left"
