"""Empty input blocks both: an empty send sends nothing, so each side waits for the other.

    python empty_input.py [HOST [PORT]]

Where the faulty client would wait for ever this program looks for half a second and tells.
"""

import select
import socket
import sys

try:
    HOST = sys.argv[1] if len(sys.argv) > 1 else "127.0.0.1"
    PORT = int(sys.argv[2]) if len(sys.argv) > 2 else 0
except ValueError:
    sys.exit(__doc__)

try:
    with socket.create_server((HOST, PORT)) as listener:
        client = socket.create_connection(listener.getsockname())
        server, _ = listener.accept()
    with client, server:
        print("the client sends", client.send(b""), "bytes")
        ready, _, _ = select.select([client, server], [], [], 0.5)
        print("sides that have something to read:", len(ready))
        client.sendall(b"hello")
        ready, _, _ = select.select([server], [], [], 10)
        print("after five bytes the server has:", server.recv(100) if ready else "nothing")
except (OSError, OverflowError) as error:
    sys.exit(f"{type(error).__name__}: {error}")
