"""Many at once, from the library: ThreadingTCPServer.

python socketserver_server.py [HOST [PORT]]       stop it with Ctrl-C
"""

import contextlib
import os
import socketserver
import sys

try:
    HOST = sys.argv[1] if len(sys.argv) > 1 else "127.0.0.1"
    PORT = int(sys.argv[2]) if len(sys.argv) > 2 else 8080
except ValueError:
    sys.exit(__doc__)


class Upper(socketserver.StreamRequestHandler):
    def handle(self):
        with contextlib.suppress(OSError):
            while line := self.rfile.readline(1000):
                self.wfile.write(line.upper())


class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = os.name == "posix"
    daemon_threads = True
    request_queue_size = 128  # the backlog; 5 unless one says so


try:
    with Server((HOST, PORT), Upper) as server:
        print("listening on port", server.server_address[1])
        server.serve_forever()
except KeyboardInterrupt:
    print("stopped")
except (OSError, OverflowError) as error:
    sys.exit(f"{type(error).__name__}: {error}")
