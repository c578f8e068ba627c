"""The server's certificate: made at the first start or the operator's own, and read again while the server runs.

What log-ins are bound to is kept with the SSLContext that shows the certificate: a connection that was accepted before
a new one came goes on with the old one's (docs/protocol.md section 8.1, docs/server.md "The certificate").
"""

from __future__ import annotations

import datetime
import errno
import os
import secrets
import ssl
import stat
import threading
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from ftpsvc import certificates
from ftpsvc.exceptions import ConfigError, UnusableCertificate

FOLDER: Final = Path(".ftpsvc") / "tls"
FILE: Final = "server.pem"
"""Key and certificate in one file: whatever dies and when, they fit together."""

WARN_DAYS: Final = 60
_VALID: Final = datetime.timedelta(days=365 * 20)
"""Of a certificate made here. Clients know it by its fingerprint; to let it run out soon would only teach people to
accept a new one without looking."""
_SLACK: Final = datetime.timedelta(days=1)
"""Before now: the clock of a machine that just started may still be corrected."""
_MAX_FILE: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class Identity:
    """A certificate in use, with what belongs to it. Immutable; connections keep theirs.

    Attributes:
        context: Makes connections that show it.
        binding: Its `tls-server-end-point` hash: what a log-in over such a connection is bound to.
        fingerprint: Its SHA-256, 64 hex digits.
        expires: When it runs out, UTC.
        made: Whether it was made by this very call.
    """

    context: ssl.SSLContext
    binding: bytes
    fingerprint: str
    expires: datetime.datetime
    made: bool = False

    @property
    def days_left(self) -> int:
        """How many whole days it is still valid."""
        return (self.expires - datetime.datetime.now(datetime.UTC)).days


class Certificates:
    """The certificate that new connections are to be shown. Thread-safe."""

    def __init__(self, root: Path, certificate: Path | None = None, key: Path | None = None) -> None:
        """Loads the certificate; makes one under `root` if there is none and no other is named.

        Args:
            root: The server's root, which exists.
            certificate: The operator's own, PEM, with its chain behind it; None is the one under the root.
            key: Its private key, PEM, not encrypted; None: it is in the same file.

        Raises:
            ConfigError: It cannot be read, has expired, its key does not fit, or no log-in can be bound to it.
        """
        self._root = root
        self._certificate = certificate
        self._key = key
        self._lock = threading.Lock()
        self._current = self._load()

    @property
    def current(self) -> Identity:
        """The certificate in use. Whoever accepts a connection takes it once, and keeps it for that connection."""
        return self._current

    def reload(self) -> Identity:
        """Reads the files again, and has new connections shown what is in them.

        Raises:
            ConfigError: As the constructor. What was in use stays in use.
        """
        with self._lock:
            self._current = self._load()
            return self._current

    def notes(self) -> list[str]:
        """Returns what the operator should know about the certificate."""
        notes = []
        left = self._current.days_left
        if left < WARN_DAYS:
            notes.append(
                f"the certificate expires in {left} days: put a new one in its place, and send SIGHUP; "
                "clients will ask about its fingerprint"
            )
        return notes

    def _load(self) -> Identity:
        if self._certificate is not None:
            return load(self._certificate, self._key)
        made = make(self._root)
        return load(self._root / FOLDER / FILE, None, made=made)


def load(certificate: Path, key: Path | None = None, *, made: bool = False) -> Identity:
    """Loads a certificate and its key, and proves in a handshake with itself that clients can use them.

    Raises:
        ConfigError: They cannot.
    """
    for path in filter(None, (certificate, key)):
        mode = _check_readable(path)
        if path is (key or certificate) and mode & 0o006:
            raise ConfigError(
                f"everybody on this machine may read or change the key in {path}", hint=f"chmod 600 {path}"
            )
    context = _context()
    try:
        # Never asks for a passphrase: a server that waits for one at a terminal that nobody watches is down.
        context.load_cert_chain(certificate, key, password=_no_passphrase)
    except ssl.SSLError as error:
        raise _cannot_load(certificate, key, error) from None
    except OSError as error:
        raise ConfigError(f"cannot read the certificate {certificate}: {error.strerror}") from None
    shown = _shown_by(context, certificate)
    try:
        binding = certificates.binding(shown)
    except UnusableCertificate as error:
        raise ConfigError(
            f"the certificate {certificate} cannot be used: {error.reason}",
            hint="one that is signed with ECDSA or RSA can",
        ) from None
    return Identity(
        context, binding, certificates.fingerprint(shown), _check_dates(certificate, shown), made=made
    )


def make(root: Path) -> bool:
    """Makes key and certificate under a root, if there are none; returns whether it did.

    Raises:
        ConfigError: They cannot be made or written.
    """
    folder = root / FOLDER
    target = folder / FILE
    temporary = folder / f"{FILE}.{secrets.token_hex(6)}.new"
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if os.path.lexists(target):
            return False
        try:
            _write(temporary, _self_signed())
            # Not a rename: of two servers that start at the same time both use the certificate of the first.
            os.link(temporary, target)
        except FileExistsError:
            return False
        finally:
            with suppress(FileNotFoundError):
                temporary.unlink()
        _sync(folder)
    except OSError as error:
        raise ConfigError(f"cannot make a certificate in {folder}: {error.strerror}") from None
    return True


def _self_signed() -> bytes:
    """Returns a new key and its certificate: ECDSA P-256, signed with SHA-256, PEM."""
    # Late: a server with a certificate does not load all of it, and takes 10 ms less to start.
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    # No name of the machine: clients know the certificate by its fingerprint, and names are nobody else's business.
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "ftpsvc server")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _SLACK)
        .not_valid_after(now + _VALID)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return private + certificate.public_bytes(serialization.Encoding.PEM)


def _write(path: Path, data: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _context() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    # Tickets would let a client resume without the server showing its certificate, and a log-in be bound to none.
    context.num_tickets = 0
    return context


def _check_readable(path: Path) -> int:
    """Refuses what OpenSSL would wait for without end or explain by a line of its source; returns its permissions."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            info = os.fstat(descriptor)
        finally:
            os.close(descriptor)
    except OSError as error:
        raise ConfigError(f"cannot read {path}: {error.strerror}") from None
    if not stat.S_ISREG(info.st_mode) or info.st_size > _MAX_FILE:
        raise ConfigError(f"{path} is no file with a certificate or key")
    return stat.S_IMODE(info.st_mode)


def _no_passphrase() -> bytes:
    raise ConfigError(
        "the key of the certificate is encrypted, and nobody is there to ask for the passphrase",
        hint="openssl pkey -in KEY -out NEW-KEY writes it without one; chmod 600 it",
    )


def _cannot_load(certificate: Path, key: Path | None, error: ssl.SSLError) -> ConfigError:
    if error.reason == "KEY_VALUES_MISMATCH":
        return ConfigError(f"the key {key or certificate} does not belong to the certificate {certificate}")
    if error.errno == errno.ENOENT:  # the file was there a moment ago
        return ConfigError(f"cannot read the certificate {certificate}: it is gone")
    reason = (error.reason or "no PEM").replace("_", " ").lower()
    what = f"{certificate}" if key is None else f"{certificate} and {key}"
    hint = None
    if certificate.name == FILE and certificate.parent.name == FOLDER.name:
        hint = (
            "restore it from a backup; if it is removed a new one is made, whose fingerprint no client knows"
        )
    return ConfigError(f"{what} hold no certificate with its key: {reason}", hint=hint)


def _shown_by(context: ssl.SSLContext, path: Path) -> bytes:
    """Returns the certificate that a context shows, from a handshake in memory: what is bound is what clients see."""
    client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client.minimum_version = ssl.TLSVersion.TLSv1_3
    client.check_hostname = False
    client.verify_mode = ssl.CERT_NONE
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    ends = [
        client.wrap_bio(to_client, to_server),
        context.wrap_bio(to_server, to_client, server_side=True),
    ]
    try:
        for end in ends * 3:  # hello; certificate and its proof; that is all there is in TLS 1.3
            with suppress(ssl.SSLWantReadError):
                end.do_handshake()
        shown = ends[0].getpeercert(binary_form=True)
    except (ssl.SSLError, ValueError) as error:  # ValueError: the handshake did not come to its end
        reason = (getattr(error, "reason", None) or "the handshake fails").replace("_", " ").lower()
        raise ConfigError(f"the certificate {path} cannot be used with TLS 1.3: {reason}") from None
    if shown is None:
        raise ConfigError(f"the certificate {path} cannot be used with TLS 1.3")
    return shown


def _check_dates(path: Path, certificate: bytes) -> datetime.datetime:
    from cryptography import x509

    try:
        parsed = x509.load_der_x509_certificate(certificate)
        begins, ends = parsed.not_valid_before_utc, parsed.not_valid_after_utc
    except ValueError as error:
        raise ConfigError(f"the certificate {path} cannot be read: {error}") from None
    now = datetime.datetime.now(datetime.UTC)
    if ends <= now:
        raise ConfigError(f"the certificate {path} has expired, on {ends:%Y-%m-%d}", hint="renew it")
    if begins > now + _SLACK:
        raise ConfigError(
            f"the certificate {path} is not valid before {begins:%Y-%m-%d}", hint="is the clock right?"
        )
    return ends
