"""AF_UNIX: the client of unix_server.py.

python unix_client.py [PATH]
"""

import socket
import sys

PATH = sys.argv[1] if len(sys.argv) > 1 else "lesson07.sock"

with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
    sock.connect(PATH)
    sock.sendall(b"hello")
    print(sock.recv(1024).decode())
