"""docs/protocol.md section 2.1: the length, refused before anything is buffered, and the buffer behind it."""

import struct
import tracemalloc

import pytest

from ftpsvc.exceptions import HeaderTooLarge, LocalProtocolError
from ftpsvc.protocol.buffer import ReceiveBuffer
from ftpsvc.protocol.frames import encode_frame, take_header
from ftpsvc.protocol.limits import MAX_HEADER

LARGE = 256 * 1024


def filled(data: bytes) -> ReceiveBuffer:
    buffer = ReceiveBuffer()
    buffer.feed(data)
    return buffer


@pytest.mark.parametrize("limit", [4096, MAX_HEADER])
@pytest.mark.parametrize("length", [0, 1, "limit + 1", 2**31 - 1, 2**31, 2**32 - 1])
def test_c06_a_length_out_of_bounds_is_refused_at_the_prefix(length: int | str, limit: int) -> None:
    announced = limit + 1 if isinstance(length, str) else length
    buffer = filled(struct.pack("!I", announced))
    with pytest.raises(HeaderTooLarge) as caught:
        take_header(buffer, limit)
    assert (caught.value.length, caught.value.limit) == (announced, limit)
    assert len(buffer) == 4, "it was taken off"


@pytest.mark.parametrize("limit", [4096, MAX_HEADER])
@pytest.mark.parametrize("length", [2, 3, 4095, 4096, "limit"])
def test_c06_a_length_within_bounds_is_accepted(length: int | str, limit: int) -> None:
    header = b"x" * (limit if isinstance(length, str) else length)
    data = encode_frame(header)
    assert take_header(filled(data), limit) == header
    for cut in (0, 1, 2, 3, 4, 5, len(data) - 1):
        buffer = filled(data[:cut])
        assert take_header(buffer, limit) is None
        assert len(buffer) == cut, "an incomplete header was touched"
        buffer.feed(data[cut:] + b"more")
        assert take_header(buffer, limit) == header
        assert bytes(buffer.peek(100)) == b"more"


@pytest.mark.parametrize("length", [0, 1, MAX_HEADER + 1])
def test_what_no_peer_accepts_is_not_sent(length: int) -> None:
    with pytest.raises(LocalProtocolError):
        encode_frame(b"x" * length)


def test_c01_a_prefix_in_two_pieces() -> None:
    buffer = filled(b"\x00")
    assert take_header(buffer, 4096) is None
    buffer.feed(b"\x00\x00\x02{")
    assert take_header(buffer, 4096) is None
    buffer.feed(b"}")
    assert take_header(buffer, 4096) == b"{}"
    assert len(buffer) == 0


def test_c02_many_headers_in_one_piece() -> None:
    headers = [b"{%d}" % number for number in range(1000)]
    buffer = filled(b"".join(map(encode_frame, headers)))
    assert [take_header(buffer, 4096) for _ in headers] == headers
    assert take_header(buffer, 4096) is None


def test_a_header_of_the_largest_length_is_read_without_more_room_than_it_needs() -> None:
    buffer = ReceiveBuffer()
    data = encode_frame(b"x" * MAX_HEADER)
    while take_header(buffer, MAX_HEADER) is None:
        room = buffer.writable()
        assert room, "no room to receive into"
        count = min(len(room), len(data), 1000)
        room[:count] = data[:count]
        buffer.filled(count)
        data = data[count:]
    assert not data


# ---------------------------------------------------------------- the buffer


def test_a_view_into_the_buffer_costs_no_copy() -> None:
    buffer = filled(b"abcdef")
    view = buffer.peek(3)
    assert bytes(view) == b"abc"
    assert view.obj is buffer.peek(6).obj
    assert bytes(buffer.peek(100)) == b"abcdef"


@pytest.mark.parametrize("count", [-1, 4])
def test_discarding_what_is_not_there(count: int) -> None:
    buffer = filled(b"abc")
    with pytest.raises(ValueError, match="cannot discard"):
        buffer.discard(count)
    assert bytes(buffer.peek(9)) == b"abc"


def test_room_is_made_by_moving_what_is_left() -> None:
    buffer = ReceiveBuffer()
    expected = bytearray()
    for number in range(2000):
        piece = bytes([number % 251]) * (number % 97)
        buffer.feed(piece)
        expected += piece
        take = len(expected) * 2 // 3
        assert bytes(buffer.peek(take)) == expected[:take]
        buffer.discard(take)
        del expected[:take]
        assert len(buffer) == len(expected)


def test_a_buffer_that_is_read_from_stays_within_its_bound() -> None:
    buffer = ReceiveBuffer()
    largest = 0
    for _ in range(200):
        room = buffer.writable()
        largest = max(largest, len(room) + len(buffer))
        buffer.filled(len(room))  # a sender that always has more than fits
        buffer.discard(len(buffer))
    assert largest == LARGE


def test_a_buffer_that_nobody_reads_from_loses_nothing_all_the_same() -> None:
    data = bytes(range(256)) * 1200
    buffer = filled(data)
    assert len(buffer) == len(data) > LARGE
    assert buffer.peek(len(data)) == data


def test_an_expectation_is_met() -> None:
    buffer = filled(b"1234")
    buffer.discard(2)
    buffer.expect(128 * 1024)
    assert len(buffer.writable()) >= 128 * 1024 - 2
    assert bytes(buffer.peek(9)) == b"34"


def test_release_gives_the_memory_back_and_only_when_nothing_is_lost() -> None:
    buffer = ReceiveBuffer()
    buffer.feed(bytes(LARGE))
    buffer.release()
    assert len(buffer) == LARGE, "something was in it"
    tracemalloc.start()
    try:
        buffers = [filled(bytes(LARGE)) for _ in range(8)]
        for each in buffers:
            each.discard(LARGE)
            each.release()
        assert tracemalloc.get_traced_memory()[0] < 8 * 1024
    finally:
        tracemalloc.stop()
    buffers[0].feed(b"again")
    assert bytes(buffers[0].peek(9)) == b"again"
