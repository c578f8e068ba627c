"""The first client: socket, connect, recv, close.

python greet_client.py [HOST [PORT]]
"""

import socket
import sys

try:
    HOST = sys.argv[1] if len(sys.argv) > 1 else "127.0.0.1"
    PORT = int(sys.argv[2]) if len(sys.argv) > 2 else 8088
except ValueError:
    sys.exit(__doc__)

try:
    sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    sock.connect((HOST, PORT))
    print("I am", sock.getsockname(), "and talk to", sock.getpeername())
    while piece := sock.recv(1024):  # b"" means: the server has closed
        print(piece.decode(), end="")
    sock.close()
except KeyboardInterrupt:
    print("stopped")
except (OSError, OverflowError) as error:
    sys.exit(f"{type(error).__name__}: {error}")
