"""Digest algorithms behind one interface, checked with the numbers that everybody has."""

import hashlib

import pytest

from ftpsvc import digests
from ftpsvc.exceptions import InvalidRequest

EMPTY = {
    "blake3": "af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262",
    "sha256": "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "md5": "d41d8cd98f00b204e9800998ecf8427e",
}


@pytest.mark.parametrize("algorithm", digests.ALGORITHMS)
def test_c08_the_digest_of_nothing(algorithm: str) -> None:
    assert digests.new(algorithm).hexdigest() == EMPTY[algorithm]


@pytest.mark.parametrize("algorithm", digests.ALGORITHMS)
def test_pieces_give_the_digest_of_the_whole_and_more_may_follow(algorithm: str) -> None:
    data = bytes(range(256)) * 1000
    whole, pieces = digests.new(algorithm), digests.new(algorithm)
    whole.update(data)
    for start in range(0, len(data), 4099):
        pieces.update(memoryview(data)[start : start + 4099])
    assert pieces.hexdigest() == pieces.hexdigest() == whole.hexdigest()
    pieces.update(bytearray(b"x"))
    whole.update(b"x")
    assert pieces.hexdigest() == whole.hexdigest()
    assert digests.is_digest(whole.hexdigest(), algorithm)
    if algorithm != "blake3":
        assert whole.hexdigest() == hashlib.new(algorithm, data + b"x").hexdigest()


@pytest.mark.parametrize("algorithm", ["", "sha1", "SHA256", "blake3 ", "\x1b[31m" + "x" * 10_000])
def test_an_unknown_algorithm_is_refused_with_a_short_message(algorithm: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        digests.new(algorithm)
    assert len(str(caught.value)) < 300
    assert str(caught.value).isprintable()


def test_the_default_is_one_of_them_and_the_first() -> None:
    assert digests.ALGORITHMS[0] == digests.DEFAULT


@pytest.mark.parametrize(
    ("text", "good"),
    [
        ("0" * 64, True),
        ("A" * 64, False),
        ("0" * 63, False),
        ("0" * 65, False),
        ("g" * 64, False),
        ("٠" * 64, False),
    ],
)
def test_the_form_of_a_digest(text: str, good: bool) -> None:
    assert digests.is_digest(text, "blake3") == good
    assert not digests.is_digest(text, "unknown")


def test_comparison() -> None:
    assert digests.equal("ab", "ab")
    assert not digests.equal("ab", "ac")
    assert not digests.equal("ab", "abc")
    assert not digests.equal("é", "é")
