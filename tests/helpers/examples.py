"""The complete exchanges of docs/protocol.md: read from the page, written for it, played again.

A block of the page that begins with ```wire holds one conversation, a line for at most sixteen bytes:

    S  00 00 00 3d                                      | header of 61 bytes
    S  7b 22 73 74 61 74 75 73 22 3a 22 6f 6b 22 7d     | {"status":"ok"}
    # what happens next

`C` or `S` says who sends; hexadecimal bytes follow; what stands behind `|` is for people, and so are lines with `#`.
The block for a new example comes from `render`; a test makes sure that every block is as `render` writes it.
"""

from __future__ import annotations

import json
import re
import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PAGE = Path(__file__).resolve().parents[2] / "docs" / "protocol.md"

BEFORE = {"notes.txt": b"one two ", "other.txt": b"some"}
"""What comes before the payloads of the example "resume" that have an offset; the first of them a server holds."""

_BLOCK = re.compile(r"^```wire(?: +([\w -]+))?\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_LINE = re.compile(r"([CS])  ((?:[0-9a-f]{2} )*[0-9a-f]{2}) *(?:\| .*)?")
_HEX_WIDTH = 16 * 3 - 1


@dataclass(frozen=True)
class Message:
    """One message of an example.

    Attributes:
        sender: `C` or `S`.
        header: Its header.
        payload: Its payload.
        data: All of it, as bytes.
    """

    sender: str
    header: dict[str, Any]
    payload: bytes
    data: bytes


@dataclass(frozen=True)
class Example:
    """One conversation, from the greeting to the end.

    Attributes:
        name: What the block is called on the page.
        text: The block as it stands there.
        messages: All messages, in the order of the page.
    """

    name: str
    text: str
    messages: tuple[Message, ...]

    def said_by(self, sender: str) -> list[Message]:
        """Returns what one side sends."""
        return [message for message in self.messages if message.sender == sender]


def load(page: Path = PAGE) -> list[Example]:
    """Returns the examples of the page."""
    return [
        Example(name, text, tuple(parse(text)))
        for name, text in _BLOCK.findall(page.read_text(encoding="utf-8"))
    ]


def parse(block: str) -> Iterator[Message]:
    """Yields the messages of a block. Bytes of one side that follow each other are one stream."""
    for sender, data in _turns(block):
        start = 0
        while start < len(data):
            (length,) = struct.unpack_from("!I", data, start)
            end = start + 4 + length
            header = json.loads(data[start + 4 : end])
            payload = data[end : end + header.get("size", 0)]
            assert len(payload) == header.get("size", 0), "an example is cut"
            yield Message(sender, header, payload, data[start : end + len(payload)])
            start = end + len(payload)


def _turns(block: str) -> Iterator[tuple[str, bytes]]:
    sender, data = "", bytearray()
    for line in block.splitlines():
        if line.startswith("#"):
            continue
        match = _LINE.fullmatch(line)
        assert match, f"not a line of an example: {line}"
        if match[1] != sender:
            if data:
                yield sender, bytes(data)
            sender, data = match[1], bytearray()
        data += bytes.fromhex(match[2])
    if data:
        yield sender, bytes(data)


def render(steps: Iterable[tuple[str, dict[str, Any], bytes] | str]) -> str:
    """Returns the text of a block.

    Args:
        steps: Messages as sender, header and payload; and texts, which become lines with `#`.
    """
    lines = []
    for step in steps:
        if isinstance(step, str):
            lines.append(f"# {step}")
            continue
        sender, fields, payload = step
        header = json.dumps(fields).encode()
        lines.append(_line(sender, struct.pack("!I", len(header)), f"header of {len(header)} bytes"))
        for data in (header, payload):
            for at in range(0, len(data), 16):
                piece = data[at : at + 16]
                shown = "".join(chr(byte) if 0x20 <= byte < 0x7F else "." for byte in piece)
                lines.append(_line(sender, piece, shown))
    return "".join(line.rstrip() + "\n" for line in lines)


def _line(sender: str, data: bytes, comment: str) -> str:
    return f"{sender}  {data.hex(' '):{_HEX_WIDTH}} | {comment}"


def again(block: str) -> str:
    """Returns what `render` makes of a block's own messages and comments."""
    steps: list[tuple[str, dict[str, Any], bytes] | str] = []
    pending: list[str] = []
    for line in block.splitlines():
        if line.startswith("# "):
            steps += _messages(pending)
            pending = []
            steps.append(line[2:])
        else:
            pending.append(line)
    return render(steps + _messages(pending))


def _messages(lines: list[str]) -> list[tuple[str, dict[str, Any], bytes] | str]:
    return [(message.sender, message.header, message.payload) for message in parse("\n".join(lines))]
