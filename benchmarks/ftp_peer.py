"""pyftpdlib as a peer: threads, sendfile, anonymous write access to one directory."""

from __future__ import annotations

import logging
import sys


def main() -> None:
    """Serves the directory in the first argument until it is terminated."""
    from pyftpdlib.authorizers import DummyAuthorizer
    from pyftpdlib.handlers import FTPHandler
    from pyftpdlib.servers import ThreadedFTPServer

    logging.disable(logging.CRITICAL)
    authorizer = DummyAuthorizer()
    authorizer.add_anonymous(sys.argv[1], perm="elradfmwMT")
    handler = FTPHandler
    handler.authorizer = authorizer
    server = ThreadedFTPServer(("127.0.0.1", 0), handler)
    print(f"listening on {server.socket.getsockname()[1]}", file=sys.stderr, flush=True)
    server.serve_forever(handle_exit=False)


main()
