"""A raw peer over TLS, which takes any certificate and imports nothing of ours."""

import socket
from typing import Any

from tests.helpers.certs import client_context
from tests.helpers.raw_peer import RawPeer


class TlsPeer(RawPeer):
    """One connection; see RawPeer."""

    def __init__(self, where: tuple[str, int], *, greeted: bool = True) -> None:
        bare = socket.create_connection(where, 90)
        try:
            self.sock = client_context().wrap_socket(bare)
        except BaseException:
            bare.close()
            raise
        self.stream = self.sock.makefile("rb")
        try:
            self.greeting: dict[str, Any] = self.read() if greeted else {}
        except BaseException:
            self.close()
            raise
