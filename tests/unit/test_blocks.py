"""Blocks of a file: their digests from pieces of any length, and the map of those that differ."""

from __future__ import annotations

import hashlib
import os
from itertools import pairwise

import pytest

from ftpsvc import digests
from ftpsvc.blocks import DIGEST_BYTES, BlockDigests, BlockMap, Run, count
from ftpsvc.exceptions import InvalidRequest


@pytest.mark.parametrize("algorithm", digests.ALGORITHMS)
@pytest.mark.parametrize("piece", [1, 7, 99, 100, 101, 250, 1000])
@pytest.mark.parametrize("size", [0, 1, 99, 100, 101, 300, 999])
def test_digests_do_not_depend_on_the_pieces(algorithm: str, size: int, piece: int) -> None:
    content = os.urandom(size)
    found = BlockDigests(algorithm, 100)
    for at in range(0, size, piece):
        found.update(memoryview(content)[at : at + piece])
    expected = b"".join(
        digests.one_shot(algorithm)(content[at : at + 100])[:DIGEST_BYTES] for at in range(0, size, 100)
    )
    assert bytes(found.finish()) == expected
    assert bytes(found.finish()) == expected, "the end is the end"


def test_a_digest_of_a_block_is_the_beginning_of_its_digest() -> None:
    found = BlockDigests("sha256", 4)
    found.update(b"abcdefghij")
    assert bytes(found.finish()) == b"".join(
        hashlib.sha256(block).digest()[:16] for block in (b"abcd", b"efgh", b"ij")
    )


def test_an_unknown_algorithm_is_refused_at_once() -> None:
    for make in (lambda: BlockDigests("crc32", 4096), lambda: digests.one_shot("crc32")):
        with pytest.raises(InvalidRequest):
            make()


@pytest.mark.parametrize("size", [0, 1, 9, 10, 11, 80, 81, 155])
def test_runs_are_the_file_from_start_to_end(size: int) -> None:
    number = count(size, 10)
    assert number == len(range(0, size, 10))
    for marked in (set[int](), {0} & set(range(number)), {*range(0, number, 3)}, {*range(number)}):
        blocks = BlockMap(size, 10)
        for each in marked:
            blocks.add(each)
        runs = list(blocks.runs())
        assert sum(run.size for run in runs) == size
        assert [run.offset for run in runs] == [sum(run.size for run in runs[:at]) for at in range(len(runs))]
        assert all(one.changed is not other.changed for one, other in pairwise(runs))
        bytes_of = [min(10, size - at * 10) for at in range(number)]
        assert blocks.changed == sum(bytes_of[each] for each in marked)
        assert blocks.changed == sum(run.size for run in runs if run.changed)
        assert {each for each in range(number) if each in blocks} == marked
        again = BlockMap(size, 10, bytes(blocks))
        assert list(again.runs()) == runs
        assert len(bytes(blocks)) == BlockMap.length(size, 10)


def test_the_lowest_bit_is_the_first_block() -> None:
    assert list(BlockMap(25, 10, b"\x05").runs()) == [Run(0, 10, True), Run(10, 10, False), Run(20, 5, True)]


@pytest.mark.parametrize(
    ("size", "bits"),
    [
        (0, b"\x00"),
        (25, b""),
        (25, b"\x00\x00"),
        (25, b"\x08"),
        (25, b"\x80"),
        (80, b"\xff\x00"),
        (81, b"\xff\x02"),
    ],
)
def test_a_map_of_another_file_is_none(size: int, bits: bytes) -> None:
    with pytest.raises(ValueError, match="map"):
        BlockMap(size, 10, bits)
