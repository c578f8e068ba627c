"""What a client may do that does not log in, and from where."""

from __future__ import annotations

from ftpsvc.exceptions import PermissionDenied
from ftpsvc.paths import ROOT
from ftpsvc.server.config import Guest
from ftpsvc.server.namespace import Mount, Namespace
from ftpsvc.server.peers import Peer
from ftpsvc.server.session import Rights, Session
from ftpsvc.storage.base import Storage


class Guests:
    """The rule for guests. Immutable."""

    def __init__(self, may: Guest, storage: Storage | None) -> None:
        """Takes the rule.

        Args:
            may: What guests may do.
            storage: What they see as `/`; None when they may do nothing.
        """
        self.rights = Rights(may)
        self._namespace = Namespace()
        if storage is not None and self.rights is not Rights.NONE:
            self._namespace = Namespace([Mount(ROOT, storage, writable=self.rights is Rights.WRITE)])

    def open_session(
        self, number: int, peer: Peer, *, on_every_address: bool, binding: bytes | None = None
    ) -> Session:
        """Returns the session of a client that has not logged in.

        Args:
            number: The connection's number.
            peer: Where it comes from.
            on_every_address: Whether the listener that it came through listens on all addresses of the machine.
            binding: What a log-in over this connection is bound to; None without TLS.
        """
        session = Session(
            number,
            peer.shown,
            peer.address,
            peer.local,
            private=peer.private or binding is not None,
            binding=binding,
        )
        if self.rights is not Rights.NONE and on_every_address and not peer.local:
            # Whoever opens a server to a network says which: a wildcard is too easily written.
            session.refusal = PermissionDenied(
                "guests are served on the server's own machine only, since no address to listen on was named; "
                f"log in, or start the server with --listen {peer.reached}"
            )
        else:
            session.rights, session.namespace = self.rights, self._namespace
        return session
