"""How students put a header into bytes: four ways, and what each of them cannot do."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, Final, Literal

from ftpsvc.homework.kit.declared import FILE
from ftpsvc.homework.kit.findings import Garbled, Gone, Hung, NotScored
from ftpsvc.homework.kit.said import Said, said
from ftpsvc.homework.kit.wire import Wire
from ftpsvc.text import printable

TEXT: Final = ""
"""Where `decode` leaves what an answer without names says behind its status."""

_LONGEST: Final = 65536


class Codec(ABC):
    """Headers as bytes.

    Attributes:
        whole: Whether a header must come in one piece, because nothing says where it ends.
        end: What ends a line, where headers are lines.
    """

    whole: bool = False
    end: bytes = b"\n"

    @abstractmethod
    def encode(self, header: Mapping[str, Any]) -> bytes:
        """Returns a header as it is sent.

        Raises:
            NotScored: It does not fit.
        """

    @abstractmethod
    def decode(self, wire: Wire, fields: Sequence[str]) -> dict[str, Any]:
        """Reads an answer.

        Args:
            wire: Where from.
            fields: What it has behind its status, in their order, where fields have no names.

        Raises:
            Fault: It is none.
        """

    def holds(self, name: str) -> bool:
        """Returns whether a header can hold a name."""
        return True


class LengthJson(Codec):
    """A length of four bytes, then JSON: `struct.pack("i", len(data)) + data`."""

    def __init__(self, order: Literal["little", "big"]) -> None:
        self._order: Literal["little", "big"] = order

    def encode(self, header: Mapping[str, Any]) -> bytes:
        """Returns length and JSON."""
        return self.framed(json.dumps(header).encode())

    def framed(self, data: bytes) -> bytes:
        """Returns bytes behind their length."""
        return len(data).to_bytes(4, self._order) + data

    def decode(self, wire: Wire, fields: Sequence[str]) -> dict[str, Any]:
        """Reads length and JSON."""
        length = int.from_bytes(wire.exactly(4, _ANSWER), self._order)
        if not 2 <= length <= _LONGEST:
            raise Garbled(
                said("a length of 2 to {most}, then JSON", most=_LONGEST),
                said("a length of {length}", length=length),
            )
        return _object(wire.exactly(length, _ANSWER))


class PaddedJson(Codec):
    """JSON that a field makes as long as every other one."""

    def __init__(self, length: int, field: str) -> None:
        self._length, self._field = length, field

    def encode(self, header: Mapping[str, Any]) -> bytes:
        """Returns JSON of just that length."""
        bare = json.dumps({**header, self._field: ""}).encode()
        missing = self._length - len(bare)
        if missing < 0:
            raise NotScored(said("that does not fit into a header of {length} bytes", length=self._length))
        return json.dumps({**header, self._field: "0" * missing}).encode()

    def decode(self, wire: Wire, fields: Sequence[str]) -> dict[str, Any]:
        """Reads JSON of just that length."""
        return _object(wire.exactly(self._length, _ANSWER))

    def holds(self, name: str) -> bool:
        """Returns whether there is room for it, and for all else that stands beside it."""
        return len(json.dumps(name)) < self._length - 400


class BareJson(Codec):
    """JSON and nothing else, read by one `recv(1024)` and answered by three digits, or by JSON."""

    whole = True

    def __init__(self, status: str) -> None:
        self._status = status

    def encode(self, header: Mapping[str, Any]) -> bytes:
        """Returns JSON.

        Raises:
            NotScored: It is more than one `recv(1024)` takes.
        """
        data = json.dumps(header).encode()
        if len(data) > _RECV:
            raise NotScored(said("that does not fit into one recv of {length} bytes", length=_RECV))
        return data

    def decode(self, wire: Wire, fields: Sequence[str]) -> dict[str, Any]:
        """Reads what one `recv` returns: JSON, or a code and what it is about."""
        data = wire.some(_RECV, _ANSWER)
        if data.startswith(b"{"):
            return _object(data)
        words = data.decode("utf-8", "replace").split()
        if not words or not (len(words[0]) == 3 and words[0].isascii() and words[0].isdigit()):
            raise Garbled(said("an answer that begins with three digits"), _shown(data))
        return {
            self._status: words[0],
            TEXT: " ".join(words[1:]),
            **dict(zip(fields, words[1:], strict=False)),
        }

    def holds(self, name: str) -> bool:
        """Returns whether there is room for it, and for all else that stands beside it."""
        return len(json.dumps(name)) < _RECV - 300


class Delimited(Codec):
    """Fields with a character between them, and one at the end of the line: `put|song.txt|1000`."""

    def __init__(self, between: str, end: str, order: Sequence[str]) -> None:
        self._between, self._end, self._order = between, end, order
        self.end = (end or "\n").encode()
        self.whole = not end  # one recv is then taken for one message

    def encode(self, header: Mapping[str, Any]) -> bytes:
        """Returns the fields that are there, in their order.

        Raises:
            NotScored: Nothing ends a line, and it is more than one `recv(1024)` takes.
        """
        words = [str(header[name]) for name in self._order if name in header]
        data = (self._between.join(words) + self._end).encode()
        if self.whole and len(data) > _RECV:
            raise NotScored(said("that does not fit into one recv of {length} bytes", length=_RECV))
        return data

    def decode(self, wire: Wire, fields: Sequence[str]) -> dict[str, Any]:
        """Reads one line: a status, and what that is about."""
        text = (self._line(wire) if self._end else wire.some(_RECV, _ANSWER)).decode("utf-8", "replace")
        words = text.removesuffix(self._end).split(self._between)
        return {
            "status": words[0],
            TEXT: self._between.join(words[1:]),
            **dict(zip(fields, words[1:], strict=False)),
        }

    def holds(self, name: str) -> bool:
        """Returns whether nothing in it ends a field or a line, and one `recv` takes it where that is a message."""
        if self.whole:
            return self._between not in name and len(name.encode()) < _RECV - 300
        return self._between not in name and self._end not in name

    def _line(self, wire: Wire) -> bytes:
        data = b""
        while not data.endswith(self._end.encode()):
            if len(data) > _RECV:
                raise Garbled(said("one line as the answer"), _shown(data))
            try:
                data += wire.exactly(1, _ANSWER)
            except (Hung, Gone) as fault:
                if data:
                    expected = said("an answer with {end} at its end", end=ascii(self._end))
                    seen = said("{seen}, behind {text}", seen=fault.seen, text=ascii(_shown(data)))
                    hint = said(
                        "send {end} behind each answer, or say in {file}, under [words]: {words}",
                        end=ascii(self._end),
                        file=FILE,
                        words=NO_END,
                    )
                    raise type(fault)(expected, seen, hint=hint) from fault
                raise
        return data


_RECV: Final = 1024

NO_END: Final = '"\\n" = ""'
"""What a hand-in declares whose server ends no line."""

_ANSWER: Final[Said] = said("an answer")


def _object(data: bytes) -> dict[str, Any]:
    try:
        header = json.loads(data)
    except (ValueError, RecursionError):
        header = None
    if not isinstance(header, dict):
        raise Garbled(said("{what}, as a JSON object", what=_ANSWER), _shown(data))
    return header


def _shown(data: bytes) -> str:
    return printable(data[:200].decode("utf-8", "replace"))
