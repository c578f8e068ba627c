"""AF_UNIX: the client of unix_server.py.

python unix_client.py [PATH]
"""

import socket
import sys

PATH = sys.argv[1] if len(sys.argv) > 1 else "lesson07.sock"

try:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
        sock.connect(PATH)
        sock.sendall(b"hello")
        print(sock.recv(1024).decode())
except KeyboardInterrupt:
    print("stopped")
except (OSError, OverflowError) as error:
    sys.exit(f"{type(error).__name__}: {error}")
