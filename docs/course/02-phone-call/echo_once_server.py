"""An upper-casing echo server, first version: it serves one caller, and ends with it.

    python echo_once_server.py [HOST [PORT]]

Its faults are the lesson; echo_server.py mends them.
"""

import socket
import sys

try:
    HOST = sys.argv[1] if len(sys.argv) > 1 else "127.0.0.1"
    PORT = int(sys.argv[2]) if len(sys.argv) > 2 else 8080
except ValueError:
    sys.exit(__doc__)

try:
    with socket.create_server((HOST, PORT)) as listener:
        print("listening on port", listener.getsockname()[1])
        conn, address = listener.accept()
        print("a call from", address)
        data = conn.recv(1024)
        print("heard", data)
        conn.sendall(data.upper())
        conn.close()
    print("the phone is put away")
except KeyboardInterrupt:
    print("stopped")
except (OSError, OverflowError) as error:
    sys.exit(f"{type(error).__name__}: {error}")
