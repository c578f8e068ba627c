"""What both sides read from a server's certificate: its fingerprint, and the hash that a log-in is bound to.

Source: docs/protocol.md section 6; RFC 5929 section 4 (`tls-server-end-point`).
"""

from __future__ import annotations

import hashlib
import re
from typing import Final

from ftpsvc.exceptions import ConfigError

_LABEL: Final = "SHA256"
_GROUP: Final = 4
_DIGITS: Final = re.compile(r"[0-9A-F]{64}")
_SEPARATORS: Final = re.compile(r"[\s:\-=]+")
_SIGNATURES: Final = frozenset({"ecdsa", "rsassa_pkcs1v15", "rsassa_pss"})
_HASHES: Final = frozenset({"sha224", "sha256", "sha384", "sha512"})


def end_point(der: bytes) -> bytes:
    """Returns the `tls-server-end-point` hash of a certificate: by its signature's hash, SHA-256 for MD5 and SHA-1.

    Args:
        der: The certificate, as `SSLSocket.getpeercert(binary_form=True)` gives it.

    Raises:
        ConfigError: It is no certificate, or signed by an algorithm that has no hash of its own (Ed25519, Ed448), for
            which the RFC defines no binding.
    """
    from asn1crypto.x509 import Certificate  # late: it comes with scramp, and takes 20 ms

    try:
        algorithm = Certificate.load(der, strict=True)["signature_algorithm"]
        # The library names a hash for Ed25519 too, the one inside it, which is not what the RFC means.
        name = algorithm.hash_algo if algorithm.signature_algo in _SIGNATURES else None
    except (ValueError, TypeError, KeyError):
        raise ConfigError("that is no certificate") from None
    if name in ("md5", "sha1"):
        name = "sha256"
    if name not in _HASHES:
        raise ConfigError(
            "no log-in can be bound to this certificate",
            hint="use one with an ECDSA or RSA signature by SHA-256, SHA-384 or SHA-512; Ed25519 has no binding",
        )
    return hashlib.new(name, der).digest()


def fingerprint(der: bytes) -> str:
    """Returns the fingerprint of a certificate, as it is printed: `SHA256 5F3A:910C:...`, 64 hex digits."""
    digits = hashlib.sha256(der).hexdigest().upper()
    return f"{_LABEL} " + ":".join(digits[start : start + _GROUP] for start in range(0, len(digits), _GROUP))


def read_fingerprint(text: str) -> str:
    """Returns a fingerprint that a person typed or pasted in the form of `fingerprint`.

    Case, colons, dashes and spaces mean nothing, nor does `SHA256` before it.

    Raises:
        ConfigError: It is none.
    """
    digits = _SEPARATORS.sub("", text).upper().removeprefix(_LABEL)
    if not _DIGITS.fullmatch(digits):
        raise ConfigError(
            "that is no fingerprint", hint="it is SHA256 and 64 hex digits; all of them are compared"
        )
    return f"{_LABEL} " + ":".join(digits[start : start + _GROUP] for start in range(0, len(digits), _GROUP))
