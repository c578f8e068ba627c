"""Headers that are read in one pass: only what the long way takes as well, and as the same."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from ftpsvc.exceptions import InvalidHeader
from ftpsvc.protocol import onepass
from ftpsvc.protocol.headers import Content, EntryLine, Get, Header, Put, Stored, Trailer
from ftpsvc.protocol.strictjson import decode_object

DIGEST = "0123456789abcdef" * 4
SAMPLES: list[Header] = [
    Put(path="/a b/c", size=4096, file_size=4096, algorithm="blake3", modified=1, mode=0o644, clobber=False),
    Put(path="é", size=0, algorithm="md5"),
    Get(path="/x", algorithm="blake3", offset=7, version="v"),
    Stored(path="/x", file_size=9, algorithm="blake3", digest=DIGEST, modified=0, version="v"),
    Content(size=1, file_size=2, algorithm="sha256", modified=3, mode=4, version="5"),
    Trailer(digest=DIGEST),
    EntryLine(name="d/f", type="file", file_size=1, modified=-5, mode=0o755, version="1", digest=DIGEST),
]
MODELS = sorted({type(sample) for sample in SAMPLES}, key=lambda model: model.__name__)


def long_way(model: type[Header], data: bytes) -> Header | None:
    try:
        return model.model_validate(decode_object(data))
    except (InvalidHeader, ValidationError):
        return None


def check(data: bytes) -> None:
    for model in MODELS:
        quick = onepass.read(model, data)
        if quick is not None:
            slow = long_way(model, data)
            assert slow is not None, (model, data)
            assert quick == slow
            assert quick.model_fields_set == slow.model_fields_set
            assert list(map(type, vars(quick).values())) == list(map(type, vars(slow).values()))


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: type(sample).__name__)
def test_what_we_send_is_read_in_one_pass(sample: Header) -> None:
    assert onepass.read(type(sample), sample.encode()) == sample


@pytest.mark.parametrize(
    "data",
    [
        b'{"op":"put","path":"a","size":1,"size":2,"algorithm":"md5"}',
        b'{"op":"put","path":"a","size":1,"size" :2,"algorithm":"md5"}',
        b'{"op":"put","path":"a","size":1,"s\\u0069ze":2,"algorithm":"md5"}',
        b'{"op":"put","path":"\\ud800","size":1,"algorithm":"md5"}',
        b'{"op":"put","path":"\xed\xa0\x80","size":1,"algorithm":"md5"}',
        b'{"op":"put","path":"\xff","size":1,"algorithm":"md5"}',
        b'{"op":"put","path":"a","size":1,"algorithm":"md5","x":NaN}',
        b'{"op":"put","path":"a","size":1,"algorithm":"md5","x":1e400}',
        b'{"op":"put","path":"a","size":NaN,"algorithm":"md5"}',
        b'{"op":"put","path":"a","size":1.0,"algorithm":"md5"}',
        b'{"op":"put","path":"a","size":1e0,"algorithm":"md5"}',
        b'{"op":"put","path":"a","size":"1","algorithm":"md5"}',
        b'{"op":"put","path":"a","size":true,"algorithm":"md5"}',
        b'{"op":"put","path":"a","size":-1,"algorithm":"md5"}',
        b'{"op":"put","path":"a","size":9223372036854775808,"algorithm":"md5"}',
        b'{"op":"put","path":"a\nb","size":1,"algorithm":"md5"}',
        b'{"op":"put","path":"a","size":01,"algorithm":"md5"}',
        b'{"op":"put","path":"a","size":1,"algorithm":"md5",}',
        b'{"op":"put","path":"a","size":1,"algorithm":"md5"} x',
        b'{"op":"put","path":"a","size":1,"algorithm":"md5","clobber":1}',
        b'\xef\xbb\xbf{"op":"put","path":"a","size":1,"algorithm":"md5"}',
        b'{"error":{"code":"x","code":"y"}}',
        b'{"error":{"code":"x","z":' + b"[" * 40 + b"]" * 40 + b"}}",
        b'{"digest":null,"digest":"' + DIGEST.encode() + b'"}',
        b"{}",
        b"[]",
        b"null",
        b"",
    ],
)
def test_what_may_not_be_is_left_to_the_long_way(data: bytes) -> None:
    for model in MODELS:
        assert onepass.read(model, data) is None


scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-2, 2**64),
    st.floats(),
    st.text(max_size=6),
    st.sampled_from([DIGEST, "a,b", "md5", "ok"]),
)
keys = st.sampled_from(sorted({key for model in MODELS for key in model.model_fields} | {"x", "status"}))
spaces = st.sampled_from(["", "", "", " ", "\n", "\t"])


@st.composite
def objects(draw: st.DrawFn) -> bytes:
    """Objects as they might come: keys twice, unknown ones, spaces, nested values; some made out of a sample."""
    members: list[tuple[str, Any]] = []
    if draw(st.booleans()):
        members = list(json.loads(draw(st.sampled_from(SAMPLES)).encode()).items())
    values = st.one_of(
        scalars, st.lists(scalars, max_size=2), st.dictionaries(keys | st.just("code"), scalars, max_size=2)
    )
    for key, value in draw(st.lists(st.tuples(keys, values), max_size=3)):
        members.insert(draw(st.integers(0, len(members))), (key, value))
    ascii_only = draw(st.booleans())
    parts = [
        f"{json.dumps(key)}{draw(spaces)}:{draw(spaces)}{json.dumps(value, ensure_ascii=ascii_only)}"
        for key, value in members
    ]
    text = draw(spaces) + "{" + f"{draw(spaces)},".join(parts) + "}" + draw(spaces)
    return text.encode("utf-8", "surrogatepass")


@given(objects())
def test_objects(data: bytes) -> None:
    check(data)


@given(st.sampled_from(SAMPLES), st.data())
def test_samples_with_bytes_changed(sample: Header, data: st.DataObject) -> None:
    header = bytearray(sample.encode())
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(header) - 1))
        header[at : at + data.draw(st.integers(0, 2))] = data.draw(
            st.binary(max_size=2) | st.sampled_from([b",", b'"', b":"])
        )
        if not header:
            break
    check(bytes(header))
