"""Which server certificates are believed: the one whose fingerprint is known, and no other.

No authority vouches for a server of a class or a lab, so nothing is asked of one: a certificate is trusted because a
person compared its fingerprint, and from then on because it is the same. The decision falls after the TLS handshake and
before the first byte of the protocol. Source: docs/protocol.md section 8.1, docs/security.md.

On the disk, small files of `ftpsvc_client.smallfiles`, one for each server:

    STATE/servers/KEY.json    {"server": URL, "fingerprint": 64 hex digits}
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Protocol

from ftpsvc.addresses import Address
from ftpsvc.certificates import fingerprint as fingerprint_of
from ftpsvc.certificates import read_fingerprint
from ftpsvc.exceptions import CertificateChanged, CertificateMismatch, ConfigError, UnknownCertificate
from ftpsvc_client import smallfiles

Ask = Callable[[Address, str], bool]
"""Asks a person whether a server that was never seen before has this fingerprint (64 hex digits)."""

_ASK_THE_OPERATOR = (
    "compare it with the slip of your code or ask the operator, who sees it by `ftpsvc-server fingerprint`"
)


class Trust(Protocol):
    """Decides whether a server's certificate is believed. Used by one thread at a time."""

    def check(self, address: Address, certificate: bytes) -> None:
        """Returns when it is believed.

        Args:
            address: What was dialled.
            certificate: What the server showed and proved to have the key of, DER.

        Raises:
            UnknownCertificate: Nothing is known of this server.
            CertificateMismatch, CertificateChanged: It is another one than is known. After CertificateChanged, and
                after nothing else, a log-in by a device token may still be tried: see `proved`.
        """

    def proved(self, address: Address, certificate: bytes) -> None:
        """Takes note that the server has proved, in a token log-in bound to this certificate, who it is.

        A token has 120 random bits: nothing can be guessed from the attempt, and nobody in between can pass the
        proof on under another certificate. Called only after `check` raised CertificateChanged.
        """


class Fixed:
    """Trusts one fingerprint, and keeps nothing."""

    def __init__(self, fingerprint: str) -> None:
        """Takes the SHA-256 of the certificate, in hex, with or without colons and a prefix `SHA256:`.

        Raises:
            ConfigError: It is no fingerprint.
        """
        self.fingerprint = read_fingerprint(fingerprint)

    def check(self, address: Address, certificate: bytes) -> None:
        """See `Trust`."""
        found = fingerprint_of(certificate)
        if found != self.fingerprint:
            raise CertificateMismatch(
                str(address),
                self.fingerprint,
                found,
                hint=f"nothing was sent to it; if the fingerprint was typed, {_ASK_THE_OPERATOR}",
            )

    def proved(self, address: Address, certificate: bytes) -> None:
        """Is never called: a fingerprint that was given is not to be outdone."""


class Pins:
    """Trusts the certificates that were trusted before. Decisions are kept for this user, in a file for each server.

    A server that was never seen is pinned when `expected` is its fingerprint or a person says yes; without either it is
    refused. One whose certificate changed is refused, unless `expected` is the new fingerprint; `ask` is not asked.
    """

    def __init__(
        self, folder: str | None = None, *, ask: Ask | None = None, expected: str | None = None
    ) -> None:
        """Takes the rules.

        Args:
            folder: Where to keep the pins; None is where the system keeps such things of a user.
            ask: Is asked about a server that was never seen; None: there is nobody to ask.
            expected: The fingerprint that a person was given for the server that is going to be dialled: the
                certificate must have it, and is pinned then, whatever was before.

        Raises:
            ConfigError: `expected` is no fingerprint.
        """
        self._folder = os.path.join(_state_directory() if folder is None else folder, "servers")
        self._ask = ask
        self._expected = None if expected is None else Fixed(expected)

    def check(self, address: Address, certificate: bytes) -> None:
        """See `Trust`.

        Raises:
            ConfigError: What is kept cannot be read or written.
        """
        found = fingerprint_of(certificate)
        if self._expected is not None:
            self._expected.check(address, certificate)
        pinned = self.get(address)
        if pinned == found:
            return
        if self._expected is None:
            if pinned is not None:
                raise CertificateChanged(str(address), pinned, found, hint=(
                    "nothing was sent to it. If the operator says that the server has a new certificate, "
                    "and this is its fingerprint, log in again and give it: --fingerprint"
                ))  # fmt: skip
            if self._ask is None or not self._ask(address, found):
                raise UnknownCertificate(
                    str(address), found, hint=f"{_ASK_THE_OPERATOR}; then give it: --fingerprint"
                )
        self.pin(address, found)

    def proved(self, address: Address, certificate: bytes) -> None:
        """Pins the certificate; see `Trust`."""
        self.pin(address, fingerprint_of(certificate))

    def get(self, address: Address) -> str | None:
        """Returns the fingerprint pinned for a server, 64 hex digits, or None.

        Raises:
            ConfigError: The file cannot be read, or is damaged.
        """
        path = self._path(address)
        hint = f"remove {path}; the server then counts as never seen"
        value = smallfiles.read(path, hint=hint)
        if value is None:
            return None
        try:
            return read_fingerprint(smallfiles.text_field(value, "fingerprint", path, hint=hint))
        except ConfigError:
            # Not to be taken for a server that was never seen: whoever damaged the file would be asked for.
            raise ConfigError(f"{path} is damaged: it holds no fingerprint", hint=hint) from None

    def pin(self, address: Address, fingerprint: str) -> None:
        """Trusts this fingerprint for a server from now on, in place of any other.

        Raises:
            ConfigError: It is none, or cannot be written.
        """
        value = {"server": str(address), "fingerprint": read_fingerprint(fingerprint)}
        smallfiles.write(self._path(address), value)

    def forget(self, address: Address) -> bool:
        """Lets a server count as never seen; returns whether it was known.

        Raises:
            ConfigError: The file cannot be removed.
        """
        return smallfiles.remove(self._path(address))

    def _path(self, address: Address) -> str:
        import hashlib

        key = hashlib.sha256(str(address).encode()).hexdigest()[:32]
        return os.path.join(self._folder, f"{key}.json")


def _state_directory() -> str:
    import platformdirs

    return platformdirs.user_state_dir("ftpsvc", appauthor=False)
