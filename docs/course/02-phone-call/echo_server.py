"""An upper-casing echo server: one caller after another, each as long as it likes.

    python echo_server.py [HOST [PORT]]       stop it with Ctrl-C

Leaves out: several callers at once (lesson 08), messages with a beginning and an end (lesson 06).
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
        while True:  # the connection loop: one turn is one call
            conn, address = listener.accept()
            print("a call from", address)
            with conn:
                try:
                    while True:  # the communication loop: one turn is one thing said
                        data = conn.recv(1024)
                        if not data:  # the peer has hung up in order
                            print("hung up")
                            break
                        conn.sendall(data.upper())
                except OSError as error:  # the peer has vanished; the next one may still call
                    print("vanished:", type(error).__name__)
except KeyboardInterrupt:
    print("stopped")
except (OSError, OverflowError) as error:
    sys.exit(f"{type(error).__name__}: {error}")
