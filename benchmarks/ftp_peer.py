"""pyftpdlib as a peer: sendfile, anonymous write access to one directory; threads, or `async`: one loop."""

from __future__ import annotations

import logging
import sys


def main() -> None:
    """Serves the directory in the first argument until it is terminated."""
    from pyftpdlib.authorizers import DummyAuthorizer
    from pyftpdlib.handlers import FTPHandler
    from pyftpdlib.servers import FTPServer, ThreadedFTPServer

    logging.disable(logging.CRITICAL)
    authorizer = DummyAuthorizer()
    authorizer.add_anonymous(sys.argv[1], perm="elradfmwMT")
    handler = FTPHandler
    handler.authorizer = authorizer
    handler.timeout = 0  # its one session waits while the others are measured, for longer than 300 s
    kind = FTPServer if sys.argv[2:] == ["async"] else ThreadedFTPServer
    server = kind(("127.0.0.1", 0), handler, backlog=1024)
    server.max_cons = 2000
    print(f"listening on {server.socket.getsockname()[1]}", file=sys.stderr, flush=True)
    server.serve_forever(handle_exit=False)


main()
