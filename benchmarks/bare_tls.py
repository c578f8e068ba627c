"""A thread for each TLS connection that waits for a byte, and nothing else: what idle connections cost at the least.

python -m benchmarks.bare_tls CERTIFICATE      a PEM file with its key; says `listening on PORT` on stderr
"""

from __future__ import annotations

import contextlib
import socket
import ssl
import sys
import threading

_STACK = 512 * 1024  # as the daemon's


def _hold(sock: socket.socket, context: ssl.SSLContext) -> None:
    with contextlib.suppress(OSError), context.wrap_socket(sock, server_side=True) as wrapped:
        wrapped.recv(1)


def main() -> None:
    """Accepts until it is ended."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.num_tickets = 0
    context.load_cert_chain(sys.argv[1])
    threading.stack_size(_STACK)
    with socket.create_server(("127.0.0.1", 0), backlog=1024) as listener:
        print(f"listening on {listener.getsockname()[1]}", file=sys.stderr, flush=True)
        while True:
            sock, _ = listener.accept()
            threading.Thread(target=_hold, args=(sock, context), daemon=True).start()


main()
