"""Checking an Ed25519 signature (RFC 8032 section 5.1.7) with nothing but Python's integers.

Only checking: whoever verifies knows no secret, so it does not matter here how long anything takes. Making signatures
is left to a library (`sshsig.Signer`). Why the client does not use that library too: docs/design.md, "Receipts".
"""

from __future__ import annotations

import hashlib
from typing import Final, TypeAlias

_P: Final = 2**255 - 19
_L: Final = 2**252 + 27742317777372353535851937790883648493
_D: Final = -121665 * pow(121666, -1, _P) % _P
_SQRT_MINUS_1: Final = pow(2, (_P - 1) // 4, _P)

_Point: TypeAlias = tuple[int, int, int, int]
"""Extended homogeneous coordinates: x = X/Z, y = Y/Z, x*y = T/Z."""

_NEUTRAL: Final[_Point] = (0, 1, 1, 0)


def verify(public: bytes, message: bytes, signature: bytes) -> bool:
    """Returns whether a signature of a message is that of a key.

    Args:
        public: The public key, 32 bytes.
        message: What was signed.
        signature: 64 bytes.
    """
    if len(public) != 32 or len(signature) != 64:
        return False
    key, nonce = _decode(public), _decode(signature[:32])
    scalar = int.from_bytes(signature[32:], "little")
    if key is None or nonce is None or scalar >= _L:
        return False
    digest = hashlib.sha512(signature[:32] + public + message).digest()
    challenge = int.from_bytes(digest, "little") % _L
    # scalar * B - challenge * key, in one pass over the bits of both
    x, y, z, t = key
    negated = (_P - x, y, z, _P - t)
    both = _add(_BASE, negated)
    found = _NEUTRAL
    for bit in range(253, -1, -1):
        found = _add(found, found)
        one, other = scalar >> bit & 1, challenge >> bit & 1
        if one and other:
            found = _add(found, both)
        elif one:
            found = _add(found, _BASE)
        elif other:
            found = _add(found, negated)
    return (found[0] * nonce[2] - nonce[0] * found[2]) % _P == 0 and (
        found[1] * nonce[2] - nonce[1] * found[2]
    ) % _P == 0


def _add(one: _Point, other: _Point) -> _Point:
    a = (one[1] - one[0]) * (other[1] - other[0]) % _P
    b = (one[1] + one[0]) * (other[1] + other[0]) % _P
    c = 2 * one[3] * other[3] * _D % _P
    d = 2 * one[2] * other[2] % _P
    e, f, g, h = b - a, d - c, d + c, b + a
    return e * f % _P, g * h % _P, f * g % _P, e * h % _P


def _decode(text: bytes) -> _Point | None:
    """Returns the point that 32 bytes stand for, or None where they stand for none."""
    y = int.from_bytes(text, "little")
    sign, y = y >> 255, y & (1 << 255) - 1
    if y >= _P:
        return None
    square = (y * y - 1) * pow(_D * y * y + 1, -1, _P) % _P
    x = pow(square, (_P + 3) // 8, _P)
    if (x * x - square) % _P:
        x = x * _SQRT_MINUS_1 % _P
    if (x * x - square) % _P or (x == 0 and sign):
        return None
    if x & 1 != sign:
        x = _P - x
    return x, y, 1, x * y % _P


def _base() -> _Point:
    point = _decode((4 * pow(5, -1, _P) % _P).to_bytes(32, "little"))
    if point is None:  # it is a point: RFC 8032 section 5.1
        raise ArithmeticError
    return point


_BASE: Final = _base()
