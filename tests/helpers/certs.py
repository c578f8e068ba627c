"""Certificates of every kind, made for a test; and the two ends of a TLS connection."""

import contextlib
import datetime
import functools
import socket
import ssl
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, padding, rsa

from tests.helpers.channels import tcp_pair, tiny_tcp_pair

NOW = datetime.datetime.now(datetime.UTC)
DAY = datetime.timedelta(days=1)


class Pair(NamedTuple):
    """A certificate and its key, PEM, and the certificate as DER."""

    certificate: bytes
    key: bytes
    der: bytes

    def write(self, folder: Path, name: str = "own") -> tuple[Path, Path]:
        """Writes both into a folder; the key is its owner's only."""
        certificate, key = folder / f"{name}.crt", folder / f"{name}.key"
        certificate.write_bytes(self.certificate)
        key.touch(0o600)
        key.write_bytes(self.key)
        return certificate, key


@functools.cache
def rsa_key() -> rsa.RSAPrivateKey:
    """An RSA key; making one takes a while."""
    return rsa.generate_private_key(65537, 2048)


def make(
    key: Any = None,
    algorithm: Any = hashes.SHA256(),  # noqa: B008 - a constant
    *,
    begins: datetime.datetime = NOW - DAY,
    ends: datetime.datetime = NOW + 365 * DAY,
    pss: bool = False,
    password: bytes | None = None,
) -> Pair:
    """A self-signed certificate.

    Args:
        key: The private key; None is a new one on P-256.
        algorithm: Hash of its signature; None for keys that have none.
        begins: Since when it is valid.
        ends: Until when.
        pss: Whether an RSA signature is RSASSA-PSS.
        password: What the key is encrypted with.
    """
    key = key or ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "test")])
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(begins)
        .not_valid_after(ends)
    )
    more: dict[str, Any] = {}
    if pss and algorithm is not None:
        more["rsa_padding"] = padding.PSS(padding.MGF1(algorithm), algorithm.digest_size)
    certificate = builder.sign(key, algorithm, **more)
    encryption = serialization.BestAvailableEncryption(password) if password else serialization.NoEncryption()
    return Pair(
        certificate.public_bytes(serialization.Encoding.PEM),
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption),
        certificate.public_bytes(serialization.Encoding.DER),
    )


def ed25519_pair() -> Pair:
    return make(ed25519.Ed25519PrivateKey.generate(), None)


def ed448_pair() -> Pair:
    return make(ed448.Ed448PrivateKey.generate(), None)


@functools.cache
def server_context() -> ssl.SSLContext:
    """A server's context with a certificate of its own: what a machine in the middle has."""
    return context_of(make())


def context_of(pair: Pair) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    with tempfile.TemporaryDirectory() as folder:
        context.load_cert_chain(*pair.write(Path(folder)))
    return context


def client_context() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def tls_pair() -> tuple[socket.socket, socket.socket]:
    """The client's and the server's end of a TLS connection, shaken hands and without session tickets."""
    return secured(tcp_pair())


def tiny_tls_pair() -> tuple[socket.socket, socket.socket]:
    """The same with buffers that hold less than one payload."""
    return secured(tiny_tcp_pair())


def tls_pair_with_tickets() -> tuple[socket.socket, socket.socket]:
    """The same; two session tickets, which are no data, lie unread at the client's end."""
    return secured(tcp_pair(), tickets=2)


def secured(
    pair: tuple[socket.socket, socket.socket], *, tickets: int = 0
) -> tuple[ssl.SSLSocket, ssl.SSLSocket]:
    """Puts TLS over both ends."""
    context = context_of(make())
    context.num_tickets = tickets
    for sock in pair:
        sock.setblocking(False)
    one = client_context().wrap_socket(pair[0], do_handshake_on_connect=False)
    other = context.wrap_socket(pair[1], server_side=True, do_handshake_on_connect=False)
    done: set[ssl.SSLSocket] = set()
    while len(done) < 2:
        for end in (one, other):
            with contextlib.suppress(ssl.SSLWantReadError):
                end.do_handshake()
                done.add(end)
    for sock in (one, other):
        sock.setblocking(True)
    return one, other
