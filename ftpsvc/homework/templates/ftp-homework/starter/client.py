"""The client of your file transfer service: a frame to fill in. README.md says what it has to do.

    python client.py [HOST [PORT]]

It reads commands, one a line: put LOCAL [REMOTE] · get REMOTE [LOCAL] · ls [PATH] · cd PATH · quit
"""

import json
import shlex
import socket
import sys

HOST = sys.argv[1] if len(sys.argv) > 1 else "127.0.0.1"
PORT = int(sys.argv[2]) if len(sys.argv) > 2 else 9021


class Client:
    def __init__(self, host, port):
        self.sock = socket.create_connection((host, port), 60)
        self.stream = self.sock.makefile("rb")
        greeting = self.receive()
        print("connected to", greeting.get("service"))
        # TODO: which digest can both sides compute?

    def send(self, header):
        data = json.dumps(header).encode()
        self.sock.sendall(len(data).to_bytes(4, "big") + data)

    def receive(self):
        """Returns the header of the next message."""
        prefix = self.stream.read(4)
        # TODO: a length that no header has; half a message; bytes that are no JSON; JSON that is no object.
        return json.loads(self.stream.read(int.from_bytes(prefix, "big")))

    # TODO: put, get, ls, cd and quit.


def main():
    client = Client(HOST, PORT)
    for line in sys.stdin:
        command, *arguments = shlex.split(line) or [""]
        if command == "quit":
            client.send({"op": "quit"})
            return
        print("failed:", command, *arguments, "is not written yet")


if __name__ == "__main__":
    main()
