"""docs/protocol.md section 2.3: what is JSON here, and what is not."""

import json

import pytest

from ftpsvc.exceptions import InvalidHeader
from ftpsvc.protocol.limits import MAX_HEADER, MAX_NESTING
from ftpsvc.protocol.strictjson import decode_object

NO_JSON = {
    "nothing": b"",
    "a space": b" ",
    "no end": b'{"op": "ls"',
    "two objects": b"{}{}",
    "a comma too many": b'{"a": 1,}',
    "single quotes": b"{'a': 1}",
    "a comment": b"{} // no",
    "a byte order mark": b"\xef\xbb\xbf{}",
    "UTF-16": '{"op": "ls"}'.encode("utf-16"),
    "a raw control character": b'{"a": "\x01"}',
    "a raw newline in a string": b'{"a": "\n"}',
    "an unknown escape": rb'{"a": "\x41"}',
    "a leading zero": b'{"a": 01}',
    "a plus sign": b'{"a": +1}',
    "hex": b'{"a": 0x10}',
    "a bare word": b'{"a": nul}',
    "a key that is no string": b"{1: 2}",
}
NO_OBJECT = {"array": b"[]", "string": b'"op"', "number": b"17", "null": b"null", "true": b"true"}
BAD_NUMBER = {
    "NaN": b'{"a": NaN}',
    "Infinity": b'{"a": Infinity}',
    "-Infinity": b'{"a": -Infinity}',
    "1e400": b'{"a": 1e400}',
    "-1e400": b'{"a": [-1e400]}',
    "more digits than Python converts": b'{"a": ' + b"9" * 5000 + b"}",
}
TWICE = {
    "a key twice": b'{"op": "ls", "op": "rm"}',
    "with the same value": b'{"a": 1, "a": 1}',
    "further in": b'{"a": {"b": 1, "b": 2}}',
    "escaped the second time": rb'{"op": "ls", "\u006fp": "rm"}',
}
NO_UNICODE = {
    "a lone high surrogate": rb'{"a": "\ud800"}',
    "a lone low surrogate": rb'{"a": "\udfff"}',
    "in a key": rb'{"\ud800": 1}',
    "deep inside": rb'{"a": [{"b": ["\udc80"]}]}',
    "the wrong way round": rb'{"a": "\udc00\ud800"}',
    "an invalid byte": b'{"a": "\xff"}',
    "a cut character": b'{"a": "\xe4\xb8"}',
    "an overlong slash": b'{"a": "\xc0\xaf"}',
    "an encoded surrogate": b'{"a": "\xed\xa0\x80"}',
}
TOO_DEEP = {
    "10,000 arrays": b'{"a": ' + b"[" * 10_000 + b"]" * 10_000 + b"}",
    "10,000 arrays without end": b'{"a": ' + b"[" * 10_000,
    "10,000 objects": b'{"a":' * 10_000 + b"1" + b"}" * 10_000,
    "behind much that is shallow": b'{"a":[' + b"[]," * 50 + b"[" * MAX_NESTING + b"]" * MAX_NESTING + b"]}",
    "one more than allowed": b'{"a":' * MAX_NESTING + b"[]" + b"}" * MAX_NESTING,
}
REFUSED = NO_JSON | NO_OBJECT | BAD_NUMBER | TWICE | NO_UNICODE | TOO_DEEP


@pytest.mark.parametrize("data", REFUSED.values(), ids=REFUSED)
def test_c06_is_refused_with_a_reason_in_one_line(data: bytes) -> None:
    with pytest.raises(InvalidHeader) as caught:
        decode_object(data)
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 200


@pytest.mark.parametrize(
    "value",
    [
        {},
        {"op": "put", "size": 0, "path": "世界/😀.txt"},
        {"a": -(2**63), "b": 2**63 - 1, "c": 1.5, "d": None, "e": True, "f": [1, [2]]},
        {"text": '[[[[[[[[[[[[[[[[[[[[[[[[[[ {{{{{{{{ \\" ]'},
        {str(number): [] for number in range(1000)},
    ],
    ids=["empty", "unicode", "values", "brackets in a text", "many brackets side by side"],
)
def test_what_is_accepted_is_what_json_means(value: dict[str, object]) -> None:
    assert decode_object(json.dumps(value).encode()) == value
    assert decode_object(json.dumps(value, ensure_ascii=False).encode()) == value
    assert decode_object(bytearray(b" \t\r\n") + json.dumps(value, indent=2).encode() + b"\n") == value


def test_an_escaped_pair_of_surrogates_is_one_character() -> None:
    assert decode_object(rb'{"a": "\ud83d\ude00"}') == {"a": "😀"}


def test_nesting_up_to_the_limit_is_accepted() -> None:
    data = b'{"a":' * MAX_NESTING + b"1" + b"}" * MAX_NESTING
    assert json.loads(data) == decode_object(data)


@pytest.mark.parametrize(
    "data",
    [
        b"[" * (MAX_NESTING + 1) + b'"' + b'\\"' * 30_000,
        b"[" * (MAX_NESTING + 1) + b'"' * 60_000,
        b"[" * (MAX_NESTING + 1) + b'"' + b"\\" * 60_001,
        b'{"a":"' + b"[" * 65_000,
        b'{"a":' + b"9" * 65_000,
        b"[" * 65_535,
        b'{"a":' + b"[]," * 21_000,
    ],
    ids=[
        "escaped quotes",
        "quotes",
        "backslashes",
        "brackets in an endless string",
        "digits",
        "arrays",
        "commas",
    ],
)
def test_the_time_grows_no_faster_than_the_header(data: bytes) -> None:
    """A pattern that looked for strings anew at each quote took 13 s for one header: this test's limit ends it."""
    assert len(data) <= MAX_HEADER
    for _ in range(100):
        with pytest.raises(InvalidHeader):
            decode_object(data)
