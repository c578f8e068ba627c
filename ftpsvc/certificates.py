"""What two peers need to know of an X.509 certificate: its fingerprint, and the hash that a log-in is bound to.

Both sides use this module and neither needs a library for it: of the whole of X.509 only the signature's algorithm is
read, and that strictly. Source: docs/protocol.md section 8.1; RFC 5929 section 4.1 (tls-server-end-point), RFC 5280
section 4.1 for the structure, RFC 4055 for RSASSA-PSS.
"""

from __future__ import annotations

import hashlib
import re
from typing import Final

from ftpsvc.exceptions import ConfigError, UnusableCertificate
from ftpsvc.text import grouped_hex

MAX_BYTES: Final = 64 * 1024
"""A certificate is about one KiB; no honest one is larger than this."""

_SEQUENCE: Final = 0x30
_OBJECT_ID: Final = 0x06
_FIRST_FIELD: Final = 0xA0
"""Constructed, context-specific, 0: the version in a certificate, the hash in the parameters of RSASSA-PSS."""
_INTEGER: Final = 0x02
_BIT_STRING: Final = 0x03

_RSA: Final = "1.2.840.113549.1.1."
_ECDSA: Final = "1.2.840.10045.4."
_NIST: Final = "2.16.840.1.101.3.4."
_PSS: Final = _RSA + "10"

# MD5 and SHA-1 stand for SHA-256, as RFC 5929 has it.
_HASH_OF_SIGNATURE: Final = {
    _RSA + "4": "sha256", _RSA + "5": "sha256",
    _RSA + "14": "sha224", _RSA + "11": "sha256", _RSA + "12": "sha384", _RSA + "13": "sha512",
    _ECDSA + "1": "sha256",
    _ECDSA + "3.1": "sha224", _ECDSA + "3.2": "sha256", _ECDSA + "3.3": "sha384", _ECDSA + "3.4": "sha512",
    _NIST + "3.9": "sha3_224", _NIST + "3.10": "sha3_256", _NIST + "3.11": "sha3_384", _NIST + "3.12": "sha3_512",
    _NIST + "3.13": "sha3_224", _NIST + "3.14": "sha3_256", _NIST + "3.15": "sha3_384", _NIST + "3.16": "sha3_512",
}  # fmt: skip
_HASH_OF_PSS: Final = {
    "1.3.14.3.2.26": "sha256",
    _NIST + "2.4": "sha224", _NIST + "2.1": "sha256", _NIST + "2.2": "sha384", _NIST + "2.3": "sha512",
}  # fmt: skip
_HASHLESS: Final = {"1.3.101.112": "Ed25519", "1.3.101.113": "Ed448"}

_HEX = re.compile(r"[0-9a-f]{64}")
_PREFIX = re.compile(r"^\s*sha-?256(\s+fingerprint)?\s*[:=\s]\s*", re.IGNORECASE)


def fingerprint(certificate: bytes) -> str:
    """Returns the SHA-256 of a certificate (DER), as 64 lower-case hex digits: what people compare."""
    return hashlib.sha256(certificate).hexdigest()


def shown(digits: str) -> str:
    """Returns a fingerprint as it is shown to people: upper case, a colon after each byte."""
    return grouped_hex(digits)


def read_fingerprint(text: str) -> str:
    """Returns the fingerprint that somebody typed or pasted: with or without colons, spaces and a prefix `SHA256:`.

    Raises:
        ConfigError: It is none.
    """
    digits = re.sub(r"[:\s-]", "", _PREFIX.sub("", text)).lower()
    if not _HEX.fullmatch(digits):
        raise ConfigError(
            "that is no fingerprint of a certificate",
            hint="it is a SHA-256: 64 digits 0 to 9 and A to F, with or without colons; "
            "`ftpsvc-server fingerprint` prints it on the server",
        )
    return digits


def binding(certificate: bytes) -> bytes:
    """Returns the `tls-server-end-point` binding of a certificate: its hash, by the hash of its own signature.

    Args:
        certificate: DER, from a peer and not trusted.

    Raises:
        UnusableCertificate: It is no certificate, or its signature has no hash of its own (Ed25519, for example).
    """
    return hashlib.new(_signature_hash(certificate), certificate).digest()


def _signature_hash(certificate: bytes) -> str:
    if len(certificate) > MAX_BYTES:
        raise UnusableCertificate(f"it has {len(certificate)} bytes, at most {MAX_BYTES} are read")
    outer = _Reader(certificate)
    whole = outer.take(_SEQUENCE)
    outer.end()
    signed = whole.take(_SEQUENCE)
    algorithm = whole.take(_SEQUENCE)
    whole.take(_BIT_STRING)
    whole.end()
    # Inside what is signed the algorithm stands once more, after version and serial number. Two that differ are a
    # forgery's mark (RFC 5280 section 4.1.1.2), and what clients and servers hash by must not be open to choice.
    signed.take_if(_FIRST_FIELD)
    signed.take(_INTEGER)
    if signed.take(_SEQUENCE).rest != algorithm.rest:
        raise UnusableCertificate("it names two different signature algorithms")
    name = algorithm.object_id()
    if name == _PSS:
        return _pss_hash(algorithm)
    if name in _HASHLESS:
        raise UnusableCertificate(
            f"its signature is {_HASHLESS[name]}, which names no hash that a log-in could be bound by"
        )
    if name not in _HASH_OF_SIGNATURE:
        raise UnusableCertificate(f"its signature algorithm {name} is not known")
    return _HASH_OF_SIGNATURE[name]


def _pss_hash(algorithm: _Reader) -> str:
    parameters = algorithm.take(_SEQUENCE)
    algorithm.end()
    field = parameters.take_if(_FIRST_FIELD)
    if field is None:
        return "sha256"  # the default of RSASSA-PSS is SHA-1, in whose place SHA-256 is taken
    inner = field.take(_SEQUENCE)
    field.end()
    name = inner.object_id()
    if name not in _HASH_OF_PSS:
        raise UnusableCertificate(f"the hash {name} of its signature is not known")
    return _HASH_OF_PSS[name]


class _Reader:
    """Takes DER apart, one element after another. Only definite lengths in their shortest form are read."""

    def __init__(self, data: bytes) -> None:
        self.rest = data

    def take(self, tag: int) -> _Reader:
        """Takes the next element, which must have this tag, and returns its content."""
        data = self.rest
        if len(data) < 2 or data[0] != tag:
            raise _malformed()
        length, start = data[1], 2
        if length >= 0x80:
            digits = length & 0x7F
            start += digits
            if not 1 <= digits <= 4 or len(data) < start:
                raise _malformed()
            length = int.from_bytes(data[2:start])
            if length < 0x80 or length >> 8 * (digits - 1) == 0:
                raise _malformed()  # a shorter form was possible
        if len(data) - start < length:
            raise _malformed()
        self.rest = data[start + length :]
        return _Reader(data[start : start + length])

    def take_if(self, tag: int) -> _Reader | None:
        """Takes the next element if it has this tag."""
        return self.take(tag) if self.rest[:1] == bytes([tag]) else None

    def end(self) -> None:
        """Makes sure that nothing is left."""
        if self.rest:
            raise _malformed()

    def object_id(self) -> str:
        """Takes an object identifier and returns it in dotted form."""
        data = self.take(_OBJECT_ID).rest
        if not data or len(data) > 32 or data[-1] & 0x80:
            raise _malformed()
        arcs, value, first = [], 0, True
        for byte in data:
            if first and byte == 0x80:
                raise _malformed()  # padding
            value = value << 7 | byte & 0x7F
            first = not byte & 0x80
            if first:
                arcs.append(value)
                value = 0
        top = min(arcs[0] // 40, 2)
        return ".".join(str(arc) for arc in (top, arcs[0] - 40 * top, *arcs[1:]))


def _malformed() -> UnusableCertificate:
    return UnusableCertificate("it is no X.509 certificate")
