"""Fingerprints and bindings of certificates, read by hand out of DER, against what a library says of the same bytes."""

import hashlib

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given
from hypothesis import strategies as st

from ftpsvc.certificates import MAX_BYTES, binding, fingerprint, read_fingerprint, shown
from ftpsvc.exceptions import ConfigError, UnusableCertificate
from tests.helpers import certs

ECDSA = certs.make()


@pytest.mark.parametrize(
    "curve", [ec.SECP256R1(), ec.SECP384R1(), ec.SECP521R1()], ids=lambda curve: curve.name
)
@pytest.mark.parametrize(
    "algorithm",
    [
        hashes.SHA224(),
        hashes.SHA256(),
        hashes.SHA384(),
        hashes.SHA512(),
        hashes.SHA3_256(),
        hashes.SHA3_384(),
    ],
    ids=lambda algorithm: algorithm.name,
)
def test_ecdsa_binds_by_the_hash_of_its_signature(
    algorithm: hashes.HashAlgorithm, curve: ec.EllipticCurve
) -> None:
    der = certs.make(ec.generate_private_key(curve), algorithm).der
    assert binding(der) == by_the_library(der)


@pytest.mark.parametrize("pss", [False, True])
@pytest.mark.parametrize(
    "algorithm",
    [hashes.SHA224(), hashes.SHA256(), hashes.SHA384(), hashes.SHA512()],
    ids=lambda algorithm: algorithm.name,
)
def test_rsa_binds_by_the_hash_of_its_signature(algorithm: hashes.HashAlgorithm, pss: bool) -> None:
    der = certs.make(certs.rsa_key(), algorithm, pss=pss).der
    assert binding(der) == by_the_library(der)


def by_the_library(der: bytes) -> bytes:
    algorithm = x509.load_der_x509_certificate(der).signature_hash_algorithm
    assert algorithm is not None
    return hashlib.new(algorithm.name.replace("-", "_"), der).digest()


# The object identifiers of RSA with MD5, SHA-1 and SHA-256, and of ECDSA with SHA-1 and SHA-256.
RSA = [bytes.fromhex("06092a864886f70d0101" + end) for end in ("04", "05", "0b")]
OLD_ECDSA, NEW_ECDSA = bytes.fromhex("06072a8648ce3d0401"), bytes.fromhex("06082a8648ce3d040302")


@pytest.mark.parametrize("old", RSA[:2], ids=["md5", "sha1"])
def test_md5_and_sha1_stand_for_sha256(old: bytes) -> None:
    # No library signs with them any more; the signature itself is not what is looked at.
    der = certs.make(certs.rsa_key()).der
    assert der.count(RSA[2]) == 2
    changed = der.replace(RSA[2], old)
    assert binding(changed) == hashlib.sha256(changed).digest()


@pytest.mark.parametrize("pair", [certs.ed25519_pair(), certs.ed448_pair()], ids=["Ed25519", "Ed448"])
def test_a_signature_without_a_hash_of_its_own_is_refused(pair: certs.Pair) -> None:
    with pytest.raises(UnusableCertificate, match="names no hash"):
        binding(pair.der)


def test_two_different_algorithms_are_refused() -> None:
    der = ECDSA.der
    assert der.count(NEW_ECDSA) == 2
    first, last = der.index(NEW_ECDSA), der.rindex(NEW_ECDSA)
    sha384 = NEW_ECDSA[:-1] + b"\x03"
    for place in (first, last):
        with pytest.raises(UnusableCertificate, match="two different"):
            binding(der[:place] + sha384 + der[place + len(sha384) :])
    both = der.replace(NEW_ECDSA, sha384)
    assert binding(both) == hashlib.sha384(both).digest()


def test_an_unknown_algorithm_is_named() -> None:
    with pytest.raises(UnusableCertificate, match=r"1\.2\.840\.10045\.4\.3\.127 is not known"):
        binding(ECDSA.der.replace(NEW_ECDSA, NEW_ECDSA[:-1] + b"\x7f"))


def test_every_truncation_and_extension_is_refused() -> None:
    for length in range(len(ECDSA.der)):
        with pytest.raises(UnusableCertificate):
            binding(ECDSA.der[:length])
    for more in (b"\0", b"\x30\x00", ECDSA.der):
        with pytest.raises(UnusableCertificate):
            binding(ECDSA.der + more)


def test_a_length_that_is_not_in_its_shortest_form_is_refused() -> None:
    der = ECDSA.der
    assert der[:2] == b"\x30\x82"
    with pytest.raises(UnusableCertificate):
        binding(b"\x30\x83\x00" + der[2:])
    with pytest.raises(UnusableCertificate):
        binding(b"\x30\x80" + der[4:] + b"\0\0")  # indefinite


@given(st.data())
def test_a_flipped_byte_never_breaks_the_reader(data: st.DataObject) -> None:
    der = bytearray(ECDSA.der)
    for _ in range(data.draw(st.integers(1, 4))):
        der[data.draw(st.integers(0, len(der) - 1))] = data.draw(st.integers(0, 255))
    try:
        found = binding(bytes(der))
    except UnusableCertificate:
        return
    assert len(found) in (28, 32, 48, 64)


@given(st.binary(max_size=300))
def test_noise_is_no_certificate(noise: bytes) -> None:
    with pytest.raises(UnusableCertificate):
        binding(noise)


def test_a_huge_one_is_refused_before_it_is_read() -> None:
    with pytest.raises(UnusableCertificate, match="at most"):
        binding(bytes(MAX_BYTES + 1))


# ---------------------------------------------------------------- fingerprints

DIGITS = hashlib.sha256(b"a certificate").hexdigest()


def test_the_fingerprint_is_the_sha256_of_the_certificate() -> None:
    library = x509.load_der_x509_certificate(ECDSA.der).fingerprint(hashes.SHA256())
    assert fingerprint(ECDSA.der) == library.hex()
    assert bytes.fromhex(shown(library.hex()).replace(":", "")) == library


@pytest.mark.parametrize(
    "text",
    [
        DIGITS,
        DIGITS.upper(),
        shown(DIGITS),
        f"SHA256:{DIGITS}",
        f"SHA256 {shown(DIGITS)}",
        f"sha-256 Fingerprint={shown(DIGITS)}\n",
        "  ".join(DIGITS[start : start + 4] for start in range(0, 64, 4)),
    ],
)
def test_a_fingerprint_as_people_have_it(text: str) -> None:
    assert read_fingerprint(text) == DIGITS


@pytest.mark.parametrize(
    "text", ["", "SHA256:", DIGITS[:-1], DIGITS + "0", "g" + DIGITS[1:], "SHA1:" + DIGITS[:40], "٠" * 64]
)
def test_what_is_no_fingerprint(text: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read_fingerprint(text)
    assert "ftpsvc-server fingerprint" in (caught.value.hint or "")
