"""Addresses of servers as URLs: what a server listens on, and what a client dials.

    ftpsvc://HOST:PORT           TLS; the port may be left out
    ftpsvc+tcp://HOST:PORT       plain TCP
    ftpsvc+unix:///PATH          an AF_UNIX socket

Source: docs/protocol.md section 8 (transports).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final, Self

from ftpsvc.exceptions import ConfigError
from ftpsvc.text import printable, quoted

DEFAULT_PORT: Final = 9021
TLS: Final = "ftpsvc"
TCP: Final = "ftpsvc+tcp"
UNIX: Final = "ftpsvc+unix"

_MAX_PORT: Final = 65535
_MAX_TEXT: Final = 1024
_MAX_UNIX_PATH: Final = 107
"""Bytes that an AF_UNIX address holds on Linux (104 on macOS, where the system itself says so)."""

# What is in none of these cannot be part of a host's name or number; the system judges the rest.
_HOST = re.compile(r"[^\s/\\@?#\[\]:%\x00-\x1f\x7f]+")
_EXAMPLE: Final = "ftpsvc://127.0.0.1:9021"


@dataclass(frozen=True, slots=True)
class Address:
    """Where a server is. `str()` gives the URL, which `parse` reads back as the same value.

    Attributes:
        scheme: `ftpsvc` (TLS), `ftpsvc+tcp` or `ftpsvc+unix`.
        host: A name or number without brackets; empty for AF_UNIX.
        port: 0 lets a server choose; 0 for AF_UNIX.
        path: Absolute path of an AF_UNIX socket; None for everything else.
    """

    scheme: str
    host: str = ""
    port: int = 0
    path: str | None = None

    @classmethod
    def parse(cls, text: str, *, listening: bool = False) -> Self:
        """Returns the address that a URL names.

        Args:
            text: The URL.
            listening: Whether a server is to listen on it: only then port 0 means something.

        Raises:
            ConfigError: It is no address.
        """
        if not text or len(text) > _MAX_TEXT:
            raise ConfigError("an address is empty or too long", hint=f"an address looks like {_EXAMPLE}")
        scheme, separator, rest = text.partition("://")
        scheme = scheme.lower()
        if not separator:
            raise _refused(text, "it has no scheme", f"write {TLS}://{printable(text)}")
        if scheme == UNIX:
            return cls(scheme, path=_unix_path(text, rest))
        if scheme not in (TCP, TLS):
            raise _refused(text, "its scheme is not known", f"an address looks like {_EXAMPLE}")
        host, port = _host_and_port(text, rest.removesuffix("/"))
        if not port and not listening:
            raise _refused(text, "port 0 is no port that a server can be reached at")
        return cls(scheme, host, port)

    @property
    def is_tls(self) -> bool:
        """Whether connections are encrypted, by TLS."""
        return self.scheme == TLS

    @property
    def is_unix(self) -> bool:
        """Whether this is an AF_UNIX socket."""
        return self.path is not None

    def __str__(self) -> str:
        if self.path is not None:
            return f"{self.scheme}://{_quoted(self.path)}"
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}:{self.port}"


def _host_and_port(text: str, rest: str) -> tuple[str, int]:
    if "@" in rest:
        raise _refused(text, "a user name or password does not belong in it")
    if rest.startswith("["):
        host, bracket, after = rest[1:].partition("]")
        if not bracket or (after and not after.startswith(":")):
            raise _refused(text, "its brackets do not match")
        _check_ipv6(text, host)
        digits = after[1:] if after else None
    else:
        host, colon, tail = rest.partition(":")
        if ":" in tail:
            raise _refused(
                text, "an IPv6 address needs brackets", f"an example is {TLS}://[::1]:{DEFAULT_PORT}"
            )
        digits = tail if colon else None
        if "/" in host or "/" in tail:
            raise _refused(text, "a path does not belong in it", "name files and directories in the command")
        if not host:
            raise _refused(text, "it names no host", "a server listens on all addresses at 0.0.0.0 or [::]")
        if not _HOST.fullmatch(host):
            raise _refused(text, "its host has a character that no host has")
    if digits is None:
        return host.lower(), DEFAULT_PORT
    if not (digits.isascii() and digits.isdigit() and len(digits) <= 5 and int(digits) <= _MAX_PORT):
        raise _refused(text, f"its port is no number from 0 to {_MAX_PORT}")
    return host.lower(), int(digits)


def _check_ipv6(text: str, host: str) -> None:
    import ipaddress  # only here: most addresses never need it, and every command would pay for it

    try:
        ipaddress.IPv6Address(host)
    except ValueError:
        raise _refused(text, "what is in its brackets is no IPv6 address") from None


def _unix_path(text: str, rest: str) -> str:
    from urllib.parse import unquote_to_bytes

    if not rest.startswith("/"):
        raise _refused(text, "it needs an absolute path", f"three slashes, as in {UNIX}:///run/ftpsvc/socket")
    raw = unquote_to_bytes(rest)
    try:
        path = raw.decode()
    except UnicodeDecodeError:
        raise _refused(text, "its path is not valid Unicode") from None
    if "\0" in path or path.endswith("/"):
        raise _refused(text, "its path does not name a socket")
    if len(raw) > _MAX_UNIX_PATH:
        raise _refused(text, f"its path is {len(raw)} bytes long, at most {_MAX_UNIX_PATH} are possible")
    return path


def _quoted(path: str) -> str:
    from urllib.parse import quote

    return quote(path)


def _refused(text: str, reason: str, hint: str | None = None) -> ConfigError:
    shown = text if len(text) <= 200 else text[:197] + "..."
    return ConfigError(f"{quoted(shown)} is no usable address: {reason}", hint=hint)
