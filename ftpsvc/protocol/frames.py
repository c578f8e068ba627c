"""A message's prefix and header, to bytes and back.

    message = prefix | header | payload
    prefix  = length of the header, 4 bytes, unsigned, big-endian
    header  = one JSON object, UTF-8

Source: docs/protocol.md section 2.1. Payloads are not here: they never pass through this package.
"""

from __future__ import annotations

import struct

from ftpsvc.exceptions import HeaderTooLarge, LocalProtocolError
from ftpsvc.protocol.buffer import ReceiveBuffer
from ftpsvc.protocol.limits import MAX_HEADER, MIN_HEADER, PREFIX_BYTES

_PREFIX = struct.Struct("!I")


def encode_frame(header: bytes) -> bytes:
    """Returns prefix and header.

    Args:
        header: One JSON object in UTF-8.

    Raises:
        LocalProtocolError: It is longer than any peer accepts.
    """
    if not MIN_HEADER <= len(header) <= MAX_HEADER:
        raise LocalProtocolError(
            f"a header of {len(header)} bytes cannot be sent, {MIN_HEADER} to {MAX_HEADER} can"
        )
    return _PREFIX.pack(len(header)) + header


def take_header(buffer: ReceiveBuffer, limit: int) -> bytes | None:
    """Takes the next prefix and header off the buffer and returns the header, or None while it is incomplete.

    Args:
        buffer: What was received. Untouched when None is returned, or when it raises.
        limit: The longest header accepted here, in bytes.

    Raises:
        HeaderTooLarge: The prefix announces a length outside 2..limit. Raised as soon as the prefix is there.
    """
    held = len(buffer)
    if held < PREFIX_BYTES:
        return None
    (length,) = buffer.unpack(_PREFIX)
    if not MIN_HEADER <= length <= limit:
        raise HeaderTooLarge(length, limit)
    if held < PREFIX_BYTES + length:
        buffer.expect(PREFIX_BYTES + length)
        return None
    return buffer.take(PREFIX_BYTES, length)
