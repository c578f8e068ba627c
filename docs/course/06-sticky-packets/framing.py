"""The cure, in two steps: a length before each message, then a JSON header before each payload.

Both pairs of programs of this lesson use it. Whatever receives raises ConnectionError if the stream ends inside a
message; of a header that is no JSON receive_header raises what json.loads does: ValueError, RecursionError for "[[[".
"""

import json
import struct

MAX_MESSAGE = 1 << 20  # a length is checked before memory is given for it
MAX_HEADER = 4096


def receive_exactly(sock, count):
    data = bytearray()
    while len(data) < count:
        piece = sock.recv(min(count - len(data), 65536))
        if not piece:
            raise ConnectionError("the peer closed in the middle of a message")
        data += piece
    return bytes(data)


# Step one: | length, 4 bytes big-endian | message |


def send_message(sock, message):
    sock.sendall(struct.pack("!I", len(message)) + message)


def receive_message(sock):
    (length,) = struct.unpack("!I", receive_exactly(sock, 4))
    if length > MAX_MESSAGE:
        raise ConnectionError(f"a message of {length} bytes is too long")
    return receive_exactly(sock, length)


# Step two: | length of the header | header, JSON | payload of header["size"] bytes |


def send_header(sock, header):
    data = json.dumps(header).encode()
    sock.sendall(struct.pack("!I", len(data)) + data)


def receive_header(sock):
    (length,) = struct.unpack("!I", receive_exactly(sock, 4))
    if not 2 <= length <= MAX_HEADER:
        raise ConnectionError(f"a header of {length} bytes")
    header = json.loads(receive_exactly(sock, length))
    size = header.get("size") if isinstance(header, dict) else None
    if type(size) is not int or size < 0:  # True is an int, too; it is no size
        raise ConnectionError("a header without a size")
    return header
