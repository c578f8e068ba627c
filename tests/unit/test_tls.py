"""Certificates: made, read, shown, and what a log-in is bound to; with real handshakes over a pair of sockets."""

import datetime
import hashlib
import os
import socket
import ssl
import stat
import threading
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.types import CertificateIssuerPrivateKeyTypes
from cryptography.x509.oid import NameOID

from ftpsvc.certificates import end_point, fingerprint, read_fingerprint
from ftpsvc.exceptions import ConfigError
from ftpsvc.server import tls


def own(folder: Path, key: CertificateIssuerPrivateKeyTypes, algorithm: hashes.SHA384 | hashes.SHA256 | None,
        *, pss: bool = False, passphrase: bytes | None = None) -> Path:  # fmt: skip
    """Makes a certificate of an operator's own."""
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "own")])
    made = datetime.datetime.now(datetime.UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(made)
        .not_valid_after(made + datetime.timedelta(days=1))
    )
    rsa_padding = padding.PSS(padding.MGF1(hashes.SHA384()), 32) if pss else None
    certificate = builder.sign(key, algorithm, rsa_padding=rsa_padding)
    encryption = (
        serialization.NoEncryption()
        if passphrase is None
        else serialization.BestAvailableEncryption(passphrase)
    )
    path = folder / "own.pem"
    path.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption)
        + certificate.public_bytes(serialization.Encoding.PEM)
    )
    path.chmod(0o600)
    return path


def handshake(credentials: tls.Credentials, client: ssl.SSLContext) -> tuple[bytes, str]:
    """Returns the certificate that a client was shown, and the TLS version."""
    ours, theirs = socket.socketpair()
    problems: list[Exception] = []

    def accept() -> None:
        try:
            with credentials.context.wrap_socket(ours, server_side=True) as accepted:
                accepted.recv(1)
        except OSError as problem:
            problems.append(problem)

    thread = threading.Thread(target=accept)
    thread.start()
    try:
        with client.wrap_socket(theirs) as connected:
            shown = connected.getpeercert(binary_form=True)
            assert shown is not None
            return shown, connected.version() or ""
    finally:
        theirs.close()
        thread.join()
        ours.close()


@pytest.fixture
def trusting() -> ssl.SSLContext:
    """A client that looks at the certificate itself, as ours does."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def test_a_certificate_is_made_once_and_only_its_owner_can_read_it(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        first = tls.load_own(tmp_path, ["ftp.example", "192.0.2.7", "not a name", ""])
    finally:
        os.umask(before)
    assert [path.name for path in tmp_path.iterdir()] == [tls.FILE]
    assert stat.S_IMODE((tmp_path / tls.FILE).stat().st_mode) == 0o600
    assert tls.load_own(tmp_path).fingerprint == first.fingerprint
    certificate = x509.load_pem_x509_certificate((tmp_path / tls.FILE).read_bytes())
    key = certificate.public_key()
    assert isinstance(key, ec.EllipticCurvePublicKey)
    assert key.curve.name == "secp256r1"
    assert isinstance(certificate.signature_hash_algorithm, hashes.SHA256)
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert {"localhost", "ftp.example"} <= set(names.get_values_for_type(x509.DNSName))
    assert {"127.0.0.1", "::1", "192.0.2.7"} == {
        str(one) for one in names.get_values_for_type(x509.IPAddress)
    }
    assert (certificate.not_valid_after_utc - certificate.not_valid_before_utc).days == 365 * tls.YEARS + 1


def test_of_many_that_start_at_once_all_have_the_same_certificate(tmp_path: Path) -> None:
    begin = threading.Barrier(4)
    prints: list[str] = []

    def start() -> None:
        begin.wait()
        pem = tls.make()
        begin.wait()
        path = tmp_path / tls.FILE
        # Two threads of one process would have one name for the staged file; processes have their own.
        with lock:
            tls._save(path, pem)
        prints.append(tls.load(path).fingerprint)

    lock = threading.Lock()
    threads = [threading.Thread(target=start) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(prints) == 4
    assert len(set(prints)) == 1
    assert [path.name for path in tmp_path.iterdir()] == [tls.FILE]


def test_both_sides_bind_to_the_same_hash(tmp_path: Path, trusting: ssl.SSLContext) -> None:
    credentials = tls.load_own(tmp_path)
    shown, version = handshake(credentials, trusting)
    assert version == "TLSv1.3"
    assert end_point(shown) == credentials.binding == hashlib.sha256(shown).digest()
    assert fingerprint(shown) == credentials.fingerprint


def test_older_tls_is_refused(tmp_path: Path, trusting: ssl.SSLContext) -> None:
    trusting.maximum_version = ssl.TLSVersion.TLSv1_2
    with pytest.raises(OSError, match=r"(?i)protocol|alert|EOF|reset"):
        handshake(tls.load_own(tmp_path), trusting)


def test_new_files_are_taken_up(tmp_path: Path, trusting: ssl.SSLContext) -> None:
    path = own(tmp_path, ec.generate_private_key(ec.SECP256R1()), hashes.SHA256())
    first = tls.load(path)
    own(tmp_path, ec.generate_private_key(ec.SECP256R1()), hashes.SHA256())
    second = tls.load(path)
    assert first.fingerprint != second.fingerprint
    assert fingerprint(handshake(first, trusting)[0]) == first.fingerprint
    assert fingerprint(handshake(second, trusting)[0]) == second.fingerprint


def test_the_binding_uses_the_hash_of_the_signature(tmp_path: Path, trusting: ssl.SSLContext) -> None:
    for key, pss in (
        (ec.generate_private_key(ec.SECP384R1()), False),
        (rsa.generate_private_key(65537, 2048), False),
        (rsa.generate_private_key(65537, 2048), True),
    ):
        credentials = tls.load(own(tmp_path, key, hashes.SHA384(), pss=pss))
        shown, _ = handshake(credentials, trusting)
        assert credentials.binding == end_point(shown) == hashlib.sha384(shown).digest()


def test_ed25519_has_no_binding_and_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no log-in can be bound") as refused:
        tls.load(own(tmp_path, ed25519.Ed25519PrivateKey.generate(), None))
    assert "ECDSA or RSA" in str(refused.value.hint)


@pytest.mark.parametrize("data", [b"", b"0", b"0\x82\xff\xff", os.urandom(500), b"\x30\x03\x02\x01\x00"])
def test_what_is_no_certificate(data: bytes) -> None:
    with pytest.raises(ConfigError):
        end_point(data)


def test_files_that_cannot_be_used(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot read the certificate"):
        tls.load(tmp_path / "missing.pem")
    path = own(tmp_path, ec.generate_private_key(ec.SECP256R1()), hashes.SHA256(), passphrase=b"secret")
    with pytest.raises(ConfigError, match="cannot be used"):
        tls.load(path)
    path = own(tmp_path, ec.generate_private_key(ec.SECP256R1()), hashes.SHA256())
    other = tmp_path / "other"
    other.mkdir()
    with pytest.raises(ConfigError, match="cannot be used"):
        tls.load(path, own(other, ec.generate_private_key(ec.SECP256R1()), hashes.SHA256()))
    path.chmod(0o644)
    with pytest.raises(ConfigError, match="can be read by others") as refused:
        tls.load(path)
    assert "chmod 600" in str(refused.value.hint)
    path.chmod(0o600)
    path.write_text("no certificate")
    with pytest.raises(ConfigError, match="cannot be used"):
        tls.load(path)


def test_a_fingerprint_is_read_back_however_it_was_typed() -> None:
    shown = fingerprint(b"certificate")
    assert shown.startswith("SHA256 ")
    assert len(shown) == 7 + 64 + 15
    digits = shown.removeprefix("SHA256 ").replace(":", "")
    pairs = ":".join(digits[start : start + 2] for start in range(0, 64, 2))
    for typed in (
        shown,
        shown.lower(),
        digits,
        pairs,
        f"sha256:{digits.lower()}",
        f"SHA256 Fingerprint={pairs}".replace(" Fingerprint", ""),
    ):
        assert read_fingerprint(typed) == shown
    for wrong in ("", "SHA256", shown[:-1], shown + "0", digits[:8], "G" * 64):
        with pytest.raises(ConfigError, match="no fingerprint"):
            read_fingerprint(wrong)
