"""Signatures as OpenSSH makes and checks them: `ssh-keygen -Y verify` needs nothing of ours.

Format: PROTOCOL.sshsig of OpenSSH (magic, version 1, public key, namespace, reserved, hash, signature), armoured; keys
are Ed25519 only. A signature is for one namespace, so what is signed as one kind of paper is worth nothing as another.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import itertools
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from ftpsvc.exceptions import BadReceipt, ConfigError
from ftpsvc.receipts import ed25519

if TYPE_CHECKING:
    from pathlib import Path

    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

PRINCIPAL: Final = "ftpsvc"
"""Whom an allowed_signers file names, and `ssh-keygen -Y verify -I` asks for."""

_MAGIC: Final = b"SSHSIG"
_TYPE: Final = b"ssh-ed25519"
_HASH: Final = b"sha512"
_BEGIN: Final = "-----BEGIN SSH SIGNATURE-----"
_END: Final = "-----END SSH SIGNATURE-----"
_WIDTH: Final = 70
_MAX_ARMOUR: Final = 4096


class BadSignature(BadReceipt):
    """What was signed is not what the signature is of, or the signature is none."""


@dataclass(frozen=True, slots=True)
class PublicKey:
    """An Ed25519 public key.

    Attributes:
        raw: Its 32 bytes.
    """

    raw: bytes

    @property
    def blob(self) -> bytes:
        """The key as SSH writes it."""
        return _string(_TYPE) + _string(self.raw)

    @property
    def fingerprint(self) -> str:
        """`SHA256:` and base64 without padding, as `ssh-keygen -l` prints it."""
        digest = base64.b64encode(hashlib.sha256(self.blob).digest()).decode().rstrip("=")
        return f"SHA256:{digest}"

    @property
    def line(self) -> str:
        """The key as one line, `ssh-ed25519 AAAA...`."""
        return f"{_TYPE.decode()} {base64.b64encode(self.blob).decode()}"

    def allowed_signers(self, namespaces: Iterable[str]) -> str:
        """Returns the line of an allowed_signers file by which `ssh-keygen -Y verify` trusts this key."""
        return f'{PRINCIPAL} namespaces="{",".join(namespaces)}" {self.line}'

    @classmethod
    def parse(cls, line: str) -> PublicKey:
        """Returns the key of a line: of an allowed_signers file, of a `.pub` file, or the bare key.

        Raises:
            ConfigError: There is no Ed25519 key in it.
        """
        words = line.split()
        for word, following in itertools.pairwise(words):
            if word == _TYPE.decode():
                try:
                    return cls.read(_Fields(base64.b64decode(following, validate=True)))
                except (binascii.Error, BadSignature):
                    break
        raise ConfigError("that is no Ed25519 key: it looks like ssh-ed25519 AAAA...")

    @classmethod
    def read(cls, fields: _Fields) -> PublicKey:
        """Returns the key that SSH's fields hold.

        Raises:
            BadSignature: It is no Ed25519 key.
        """
        kind, raw = fields.string(), fields.string()
        fields.end()
        if kind != _TYPE or len(raw) != 32:
            raise BadSignature("the key is not an Ed25519 key")
        return cls(raw)


def read_signers(text: str) -> list[PublicKey]:
    """Returns the keys of an allowed_signers file, comments and empty lines left out.

    Raises:
        ConfigError: A line has no Ed25519 key.
    """
    lines = (line.strip() for line in text.splitlines())
    return [PublicKey.parse(line) for line in lines if line and not line.startswith("#")]


class Signer:
    """A private key. Needs the package `cryptography`, which only a server has (extra `server`). Thread-safe.

    Attributes:
        public: The key that others check with.
    """

    def __init__(self, key: Ed25519PrivateKey) -> None:
        self._key = key
        self.public = PublicKey(key.public_key().public_bytes_raw())

    @classmethod
    def load(cls, path: Path) -> Signer:
        """Reads a private key in OpenSSH's format, without a passphrase.

        Raises:
            ConfigError: It cannot be read, or is no such key.
        """
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
        from cryptography.hazmat.primitives.serialization import load_ssh_private_key

        try:
            key = load_ssh_private_key(path.read_bytes(), None)
        except OSError as error:
            raise ConfigError(f"cannot read the key {path}: {error.strerror}") from None
        except (ValueError, TypeError):
            raise ConfigError(f"{path} is no private key of OpenSSH without a passphrase") from None
        if not isinstance(key, Ed25519PrivateKey):
            raise ConfigError(f"{path} is not an Ed25519 key")
        return cls(key)

    @staticmethod
    def generate() -> bytes:
        """Returns a new private key in OpenSSH's format, as `Signer.load` and ssh-keygen read it."""
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
        from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

        key = Ed25519PrivateKey.generate()
        return key.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption())

    def sign(self, message: bytes, namespace: str) -> str:
        """Returns the armoured signature of a message, as `ssh-keygen -Y sign -n NAMESPACE` writes it."""
        return _armoured(
            self.public, namespace.encode(), self._key.sign(_signed_data(message, namespace.encode()))
        )


def verify(message: bytes, armoured: str, namespace: str) -> PublicKey:
    """Checks a signature, and returns the key that made it: whether that key is to be trusted is the caller's to say.

    Args:
        message: What was signed.
        armoured: The signature.
        namespace: What it must have been made for.

    Raises:
        BadSignature: It is no such signature of this message.
    """
    if len(armoured) > _MAX_ARMOUR:
        raise BadSignature("the signature is longer than one by Ed25519 is")
    lines = armoured.splitlines()
    if len(lines) < 3 or lines[0] != _BEGIN or lines[-1] != _END:
        raise BadSignature("that is no SSH signature")
    try:
        blob = base64.b64decode("".join(lines[1:-1]), validate=True)
    except (binascii.Error, ValueError):
        raise BadSignature("that is no SSH signature") from None
    if blob[:10] != _MAGIC + (1).to_bytes(4):
        raise BadSignature("that is no SSH signature of version 1")
    fields = _Fields(blob[10:])
    key = PublicKey.read(_Fields(fields.string()))
    named, _, hash_name, inner = fields.string(), fields.string(), fields.string(), _Fields(fields.string())
    kind, signature = inner.string(), inner.string()
    if named != namespace.encode():
        raise BadSignature(f"the signature is for another purpose than {namespace}")
    if kind != _TYPE or hash_name != _HASH:
        raise BadSignature("the signature is not by Ed25519 with SHA-512")
    # What nobody signed (line breaks, unused bits of base64, the reserved field) may not differ either: then there is
    # one text only that is this signature, and any flipped bit is found.
    if armoured != _armoured(key, named, signature):
        raise BadSignature("the signature is not written as OpenSSH writes it")
    if not ed25519.verify(key.raw, _signed_data(message, named), signature):
        raise BadSignature("the signature is not one of this content")
    return key


def _armoured(key: PublicKey, namespace: bytes, signature: bytes) -> str:
    parts = (key.blob, namespace, b"", _HASH, _string(_TYPE) + _string(signature))
    blob = _MAGIC + (1).to_bytes(4) + b"".join(map(_string, parts))
    text = base64.b64encode(blob).decode()
    lines = [text[start : start + _WIDTH] for start in range(0, len(text), _WIDTH)]
    return "\n".join([_BEGIN, *lines, _END, ""])


def _signed_data(message: bytes, namespace: bytes) -> bytes:
    digest = hashlib.sha512(message).digest()
    return _MAGIC + _string(namespace) + _string(b"") + _string(_HASH) + _string(digest)


def _string(data: bytes) -> bytes:
    return len(data).to_bytes(4) + data


class _Fields:
    """Takes SSH's strings apart, one after another."""

    def __init__(self, data: bytes) -> None:
        self._rest = data

    def string(self) -> bytes:
        length = int.from_bytes(self._rest[:4])
        taken = self._rest[4 : 4 + length]
        if len(self._rest) < 4 or len(taken) < length:
            raise BadSignature("the signature is cut short")
        self._rest = self._rest[4 + length :]
        return taken

    def end(self) -> None:
        if self._rest:
            raise BadSignature("there is more in the signature than belongs there")
