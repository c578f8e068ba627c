"""Who is at the other end of a socket, as far as its addresses tell."""

from __future__ import annotations

import ipaddress
import socket
from dataclasses import dataclass
from typing import Any, Final

from ftpsvc.addresses import TCP, Address

_NETWORK: Final = 64
"""Leading bits of an IPv6 address that count as one client: a single machine has all that follow to itself."""

_UNIX: Final = "unix"


@dataclass(frozen=True, slots=True)
class Peer:
    """The other end of a connection.

    Attributes:
        shown: Its address for the log: `192.168.1.7:4711`, `[::1]:4711` or `unix`.
        group: What is counted together for the limit per address.
        address: Its address without the port, or `unix`.
        local: Whether it is on this machine.
        private: Whether the system itself keeps others from reading the connection (AF_UNIX).
        reached: The address of ours that it dialled, as a URL.
    """

    shown: str
    group: str
    address: str
    local: bool
    private: bool
    reached: str


def peer_of(sock: socket.socket, address: Any, scheme: str = TCP) -> Peer:
    """Returns who is at the other end.

    Args:
        sock: The accepted socket.
        address: What `accept` gave as its address.
        scheme: That of the listener's address.

    Raises:
        OSError: The connection is gone already.
    """
    if not isinstance(address, tuple):
        return Peer(_UNIX, _UNIX, _UNIX, local=True, private=True, reached=_UNIX)
    host, port = _number(address[0]), address[1]
    ours = sock.getsockname()
    return Peer(
        shown=f"[{host}]:{port}" if host.version == 6 else f"{host}:{port}",
        group=_group(host),
        address=str(host),
        local=host.is_loopback,
        private=False,
        reached=str(Address(scheme, str(_number(ours[0])), ours[1])),
    )


def _number(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    """Returns an address as the one that it is: a dual-stack socket says ::ffff:192.168.1.7 for 192.168.1.7."""
    host = ipaddress.ip_address(text)
    return getattr(host, "ipv4_mapped", None) or host


def _group(host: ipaddress.IPv4Address | ipaddress.IPv6Address) -> str:
    if isinstance(host, ipaddress.IPv4Address) or host.is_loopback:
        return str(host)
    # A link-local address is one machine's; its zone tells two links with the same number apart.
    if host.is_link_local:
        return str(host)
    return str(ipaddress.IPv6Network((int(host), _NETWORK), strict=False))
