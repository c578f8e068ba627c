"""Digest algorithms by name, behind one interface.

A digest is lower-case hex; its algorithm is named beside it wherever it is kept or sent (docs/protocol.md section 5.2).
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Protocol, TypeAlias

from ftpsvc.exceptions import InvalidRequest
from ftpsvc.text import quoted

Bytes: TypeAlias = bytes | bytearray | memoryview
"""What content is handed round in. A memoryview is only valid until the call that received it returns."""

LENGTHS = {"blake3": 64, "sha256": 64, "md5": 32}
"""Algorithm name to digest length in hex characters, in the order of preference: the fastest strong one first."""

ALGORITHMS: tuple[str, ...] = tuple(LENGTHS)
DEFAULT = "blake3"

_HEX = frozenset("0123456789abcdef")


class Taker(Protocol):
    """Whatever content can be fed to."""

    def update(self, data: Bytes, /) -> object:
        """Takes in more content."""


class Hasher(Taker, Protocol):
    """A running digest."""

    def hexdigest(self) -> str:
        """Returns the digest of what was taken in so far; more may follow."""


def new(algorithm: str) -> Hasher:
    """Returns a fresh hasher.

    Args:
        algorithm: One of `ALGORITHMS`.

    Raises:
        InvalidRequest: There is no such algorithm here.
    """
    if algorithm == "blake3":
        return _blake3()()
    import hashlib

    if algorithm == "sha256":
        return hashlib.sha256()
    if algorithm == "md5":
        # For peers that have nothing better, against accidents only: never for a decision about trust.
        return hashlib.md5(usedforsecurity=False)
    raise InvalidRequest(f"no digest algorithm {quoted(algorithm[:40])} here, only {', '.join(ALGORITHMS)}")


@functools.cache
def _blake3() -> Callable[[], Hasher]:
    # Imported late: most commands of the client (ls, cd, ...) hash nothing. And once: it costs half of a small digest.
    from blake3 import blake3

    return blake3


def one_shot(algorithm: str) -> Callable[[Bytes], bytes]:
    """Returns what makes a digest of one piece, as bytes: for many short pieces it costs a third less than `new`.

    Args:
        algorithm: One of `ALGORITHMS`.

    Raises:
        InvalidRequest: There is no such algorithm here.
    """
    if algorithm == "blake3":
        from blake3 import blake3

        return lambda data: blake3(data).digest()

    def other(data: Bytes) -> bytes:
        hasher = new(algorithm)
        hasher.update(data)
        return bytes.fromhex(hasher.hexdigest())

    other(b"")
    return other


def is_digest(text: str, algorithm: str) -> bool:
    """Returns whether `text` has the form of a digest of that algorithm (lower-case hex of its length)."""
    return len(text) == LENGTHS.get(algorithm) and _HEX.issuperset(text)


def equal(one: str, other: str) -> bool:
    """Compares two digests in constant time. Text that is not ASCII is never equal."""
    import hmac

    if not (one.isascii() and other.isascii()):
        return False
    return hmac.compare_digest(one, other)
