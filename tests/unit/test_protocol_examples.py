"""The complete conversations of docs/protocol.md, played to both roles of the core, however they arrive."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest

from ftpsvc.blocks import BlockMap
from ftpsvc.exceptions import InvalidHeader, RemoteProtocolError
from ftpsvc.protocol.connection import (
    Connection,
    GreetingReceived,
    RequestReceived,
    ResponseReceived,
    ServerClosing,
    TrailerReceived,
)
from ftpsvc.protocol.headers import REQUESTS, EntryLine, Request
from ftpsvc.protocol.state import Role
from ftpsvc.protocol.strictjson import decode_object
from tests.helpers.examples import BEFORE, Example, Message, again, load
from tests.helpers.wire import Outcome, drive, same, ways

EXAMPLES = load()
every_example = pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.name)


def test_the_page_has_examples_of_everything_in_the_base_profile() -> None:
    ops = {message.header.get("op") for example in EXAMPLES for message in example.messages}
    assert {op for op, request in REQUESTS.items() if request.base} <= ops
    assert len(EXAMPLES) >= 6
    assert len({example.name for example in EXAMPLES}) == len(EXAMPLES)


@every_example
def test_an_example_is_written_as_the_helper_writes_it(example: Example) -> None:
    assert again(example.text) == example.text


@every_example
def test_the_digests_of_an_example_are_right(example: Example) -> None:
    """But for the one that is wrong on purpose, which the server refuses."""
    payload, wrong = b"", 0
    for message in example.messages:
        if message.payload:
            payload = BEFORE[message.header["path"]] if message.header.get("offset") else b""
            payload += message.payload
            if message.header.get("op") == "patch":
                payload = payload[
                    BlockMap.length(message.header["file_size"], message.header["block_size"]) :
                ]
        elif message.header.get("size") == 0:
            payload = b""
        digest = message.header.get("digest")
        trailer = message.header.keys() == {"digest"}
        name = "sha256" if trailer and len(digest or "") == 64 else "md5"
        if trailer and digest != hashlib.new(name, payload, usedforsecurity=False).hexdigest():
            wrong += 1
    assert wrong == sum(message.header.get("code") == "digest-mismatch" for message in example.messages)


@every_example
def test_c01_c02_a_server_understands_the_client_of_an_example(example: Example) -> None:
    said = example.said_by("C")
    stream = b"".join(message.data for message in said)
    outcomes = drive(Connection(Role.SERVER), [stream])
    for way, chunks in ways(stream):
        assert same(drive(Connection(Role.SERVER), chunks), outcomes), way
    expected = [fields_of(message) for message in said]
    found: list[dict[str, Any]] = []
    for outcome in outcomes:
        if isinstance(outcome, RequestReceived):
            assert (outcome.request is None) is (outcome.error is not None)
            found.append({"op": outcome.op})
        elif isinstance(outcome, TrailerReceived):
            found.append(
                {"digest": outcome.digest} if outcome.error is None else {"error": outcome.error.code}
            )
    if isinstance(outcomes[-1], RemoteProtocolError):
        assert isinstance(outcomes[-1], InvalidHeader)
        assert example.said_by("S")[-1].header["fatal"] is True
        assert str(outcomes[-1]) == example.said_by("S")[-1].header["message"]
        expected.pop()
    assert found == expected
    assert [each for each in outcomes if isinstance(each, bytes)] == [
        message.payload for message in said if message.payload and message.header["op"] in REQUESTS
    ]


def fields_of(message: Message) -> dict[str, Any]:
    header = message.header
    if "op" in header:
        return {"op": header["op"]}
    return {"digest": header["digest"]} if "digest" in header else {"error": header["error"]["code"]}


@every_example
def test_c01_c02_a_client_understands_the_server_of_an_example(example: Example) -> None:
    answers = [message for message in example.said_by("S") if "status" in message.header]
    stream = b"".join(message.data for message in example.said_by("S"))
    outcomes = listen(example, [stream])
    for way, chunks in ways(stream):
        assert same(listen(example, chunks), outcomes), way
    assert isinstance(outcomes[0], GreetingReceived)
    received = [each for each in outcomes if isinstance(each, ResponseReceived | ServerClosing)]
    assert len(received) == len(answers)
    for event, message in zip(received, answers, strict=True):
        if message.header["status"] == "error":
            assert event.error is not None
            assert event.error.code == message.header["code"]
            assert event.error.fatal is message.header.get("fatal", False)
            assert str(event.error) == message.header["message"]
            extra = {key: value for key, value in message.header.items() if key in event.error.wire_fields}
            assert event.error.wire() == extra
        else:
            assert isinstance(event, ResponseReceived)
            assert event.response is not None
            sent = event.response.model_dump(exclude_unset=True, exclude_none=True)
            assert sent == {key: value for key, value in message.header.items() if key != "status"} | (
                {"status": "ok"} if "status" in sent else {}
            )
    payloads = [message.payload for message in answers if message.payload]
    assert [each for each in outcomes if isinstance(each, bytes)] == payloads


def listen(example: Example, chunks: list[bytes]) -> list[Outcome]:
    """What a client makes of the server's bytes, having sent what the example's client sends.

    Requests that our client cannot even express are sent as others; what answers them is an error in any case.
    """
    connection = Connection(Role.CLIENT)
    greeting = len(example.said_by("S")[0].data)
    stream = b"".join(chunks)
    outcomes = drive(connection, [stream[:greeting]])
    for message in example.said_by("C"):
        if "op" not in message.header:
            continue
        request = expressible(message.header)
        connection.send_request(request)
        if type(request).content:
            connection.payload_sent(message.header["size"])
            connection.send_trailer("0" * 32)
    rest, skip = [], greeting
    for chunk in chunks:
        rest.append(chunk[skip:])
        skip = max(0, skip - len(chunk))
    return outcomes + drive(connection, rest)


def expressible(header: dict[str, Any]) -> Request:
    cls = REQUESTS.get(header["op"])
    if cls is None or not isinstance(header.get("path", ""), str):
        return REQUESTS["pwd"].model_validate({"op": "pwd"})
    return cls.model_validate(header)


@every_example
def test_the_lines_of_a_listing_are_entries(example: Example) -> None:
    for message in example.said_by("S"):
        if message.payload.startswith(b'{"name"'):
            assert message.payload.endswith(b"\n")
            for line in message.payload.splitlines():
                EntryLine.model_validate(decode_object(line))
