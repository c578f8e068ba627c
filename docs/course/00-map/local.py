"""Two processes of one machine talk: once through a pipe, once through a socket.

    python local.py [HOST [PORT]]

The pipe works only between relatives, and only here. The socket would work across the world with the same lines.
"""

import os
import socket
import subprocess
import sys

try:
    HOST = sys.argv[1] if len(sys.argv) > 1 else "127.0.0.1"
    PORT = int(sys.argv[2]) if len(sys.argv) > 2 else 0
except ValueError:
    sys.exit(__doc__)

THROUGH_A_PIPE = "import os; print(os.getpid(), input().upper())"
THROUGH_A_SOCKET = """
import os, socket, sys
with socket.create_connection((sys.argv[1], int(sys.argv[2]))) as sock:
    text = sock.recv(100).decode()
    sock.sendall(f"{os.getpid()} {text.upper()}".encode())
"""

try:
    print("parent:", os.getpid())
    done = subprocess.run(
        [sys.executable, "-c", THROUGH_A_PIPE], input="pipe\n", capture_output=True, text=True, check=True
    )
    print("child :", done.stdout.strip())

    with socket.create_server((HOST, PORT)) as listener:
        host, port = listener.getsockname()
        child = subprocess.Popen([sys.executable, "-c", THROUGH_A_SOCKET, host, str(port)])
        conn, _ = listener.accept()
        with conn:
            conn.sendall(b"socket")
            print("child :", conn.recv(100).decode())
        child.wait()
except (OSError, OverflowError) as error:
    sys.exit(f"{type(error).__name__}: {error}")
