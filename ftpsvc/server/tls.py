"""The server's certificate and its TLS: made at the first start, or the operator's own, read anew on request.

Source: docs/security.md ("TLS"), docs/protocol.md section 6.
"""

from __future__ import annotations

import datetime
import ipaddress
import os
import socket
import ssl
import stat
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from ftpsvc.certificates import end_point, fingerprint
from ftpsvc.exceptions import ConfigError

if TYPE_CHECKING:
    from cryptography import x509

FILE: Final = "tls.pem"
"""Certificate and key in one file of the hidden folder, so that they are replaced in one step and always fit."""
YEARS: Final = 30
"""How long a certificate of ours is valid. Clients pin it instead of asking an authority, so there is nobody who would
renew it, and one that runs out in the middle of a course would lock a class out."""


@dataclass(frozen=True, slots=True)
class Credentials:
    """A certificate in use.

    Attributes:
        context: To accept connections with: TLS 1.3 only.
        binding: The `tls-server-end-point` hash of its certificate: to be kept with each connection that it accepts.
        fingerprint: Of its certificate, as it is shown.
    """

    context: ssl.SSLContext
    binding: bytes
    fingerprint: str


def load(certificate: Path, key: Path | None = None) -> Credentials:
    """Reads a certificate chain and its key, and returns them ready for use. Call again to take up new files.

    Connections that are open go on with what they were accepted with.

    Args:
        certificate: PEM, the server's own certificate first.
        key: PEM, without a passphrase; None where it is in the same file.

    Raises:
        ConfigError: A file cannot be read, the key does not fit or can be read by others, or the certificate has no
            binding (Ed25519).
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    # A ticket would let a client come back without showing it the certificate, which the log-in is bound to.
    context.num_tickets = 0
    try:
        private = (key or certificate).stat()
        if os.name == "posix" and private.st_mode & (stat.S_IRWXG | stat.S_IRWXO) & ~stat.S_IRGRP:
            raise ConfigError(
                f"the key in {key or certificate} can be read by others",
                hint=f"chmod 600 {key or certificate}",
            )
        pem = certificate.read_text("ascii", "replace")
        context.load_cert_chain(certificate, key, password=_no_passphrase)
    except ssl.SSLError as problem:
        raise ConfigError(
            f"the certificate {certificate} cannot be used: {problem.reason or 'it is no PEM file'}",
            hint="certificate and key must be PEM files that belong together",
        ) from problem
    except OSError as problem:
        raise ConfigError(f"cannot read the certificate: {problem.filename}: {problem.strerror}") from problem
    begin = pem.find(ssl.PEM_HEADER)
    end = pem.find(ssl.PEM_FOOTER, begin) + len(ssl.PEM_FOOTER)
    der = ssl.PEM_cert_to_DER_cert(pem[begin:end])
    return Credentials(context, end_point(der), fingerprint(der))


def load_own(hidden: Path, names: Iterable[str] = ()) -> Credentials:
    """Returns the certificate that this server made itself; makes it at the first call.

    Args:
        hidden: The hidden folder of the root, mode 0700, which must exist.
        names: Host names and addresses to put into it, beside those of this machine. Only used when it is made.

    Raises:
        ConfigError: It cannot be made or read.
    """
    path = hidden / FILE
    if not path.exists():
        try:
            _save(path, make(names))
        except OSError as problem:
            raise ConfigError(f"cannot make a certificate in {hidden}: {problem.strerror}") from problem
    return load(path)


def make(names: Iterable[str] = ()) -> bytes:
    """Returns a new key and a self-signed certificate for it, as one PEM text: ECDSA on P-256 with SHA-256.

    Args:
        names: Host names and addresses, beside those of this machine. What is neither is left out.
    """
    from cryptography import x509  # late: only the first start needs it
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import NameOID

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "ftpsvc")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))  # clocks of students are wrong by hours
        .not_valid_after(now + datetime.timedelta(days=365 * YEARS))
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage([x509.oid.ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectAlternativeName(_alternatives(names)), critical=False)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return private + certificate.public_bytes(serialization.Encoding.PEM)


def _alternatives(names: Iterable[str]) -> list[x509.GeneralName]:
    from cryptography import x509

    found: dict[str, x509.GeneralName] = {}
    for name in ("localhost", "127.0.0.1", "::1", socket.gethostname(), *names):
        try:
            found[name] = x509.IPAddress(ipaddress.ip_address(name))
        except ValueError:
            with suppress(UnicodeError, ValueError):
                if name and len(name) <= 253:
                    found[name] = x509.DNSName(name.encode("idna").decode())
    return list(found.values())


def _save(path: Path, pem: bytes) -> None:
    """Puts the file in place whole and durable, readable for its owner only. Of two that start at once one wins."""
    staged = path.with_name(f"{path.name}.{os.getpid()}.part")
    with suppress(FileNotFoundError):
        staged.unlink()  # of a process that was killed and had our number
    fd = os.open(staged, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with open(fd, "wb") as stream:
            stream.write(pem)
            stream.flush()
            os.fsync(fd)
        with suppress(FileExistsError):
            os.link(staged, path)  # unlike a rename it replaces nothing
    finally:
        staged.unlink()
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _no_passphrase() -> str:
    """Is asked for by OpenSSL instead of a person at the terminal: a daemon has none."""
    return ""
