"""The server of your file transfer service: a frame to fill in. README.md says what it has to do.

    python server.py [HOST [PORT [FOLDER]]]       stop it with Ctrl-C

It listens, greets, and hangs up at the first request, until you write the rest.
"""

import json
import socketserver
import sys
from pathlib import Path

HOST = sys.argv[1] if len(sys.argv) > 1 else "127.0.0.1"
PORT = int(sys.argv[2]) if len(sys.argv) > 2 else 9021
FOLDER = Path(sys.argv[3] if len(sys.argv) > 3 else "shared")


class Session(socketserver.StreamRequestHandler):
    """One client. What is one client's own, as the directory that it is in, is kept in this object."""

    def handle(self):
        self.cwd = "/"
        self.send({"service": "ftpsvc", "version": 1, "algorithms": ["sha256", "md5"]})
        print("a client asks for", self.receive())
        # TODO: put, get, ls, cd and quit. After each of them the connection goes on, also after a refusal.

    def receive(self):
        """Returns the header of the next message; None when the client is gone."""
        prefix = self.rfile.read(4)
        # TODO: a length that no header has; half a message; bytes that are no JSON; JSON that is no object.
        if not prefix:
            return None
        return json.loads(self.rfile.read(int.from_bytes(prefix, "big")))

    def send(self, header):
        data = json.dumps(header).encode()
        self.wfile.write(len(data).to_bytes(4, "big") + data)


class Server(socketserver.TCPServer):  # TODO: this one serves one client after the other
    allow_reuse_address = True


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    with Server((HOST, PORT), Session) as server:
        print("listening on port", server.server_address[1])
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            print("stopped")
