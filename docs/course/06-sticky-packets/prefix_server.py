"""Length prefix, server: answers each message with its capitals, however the bytes come.

python prefix_server.py [HOST [PORT]]       stop it with Ctrl-C
"""

import socket
import sys

from framing import receive_message, send_message

try:
    HOST = sys.argv[1] if len(sys.argv) > 1 else "127.0.0.1"
    PORT = int(sys.argv[2]) if len(sys.argv) > 2 else 8080
except ValueError:
    sys.exit(__doc__)

try:
    with socket.create_server((HOST, PORT)) as listener:
        print("listening on port", listener.getsockname()[1])
        while True:
            conn, _ = listener.accept()
            with conn:
                try:
                    while conn.recv(1, socket.MSG_PEEK):  # b"" between two messages is an end in order
                        message = receive_message(conn)
                        print("message of", len(message), "bytes")
                        send_message(conn, message.upper())
                except OSError as error:
                    print("ended:", error)
except KeyboardInterrupt:
    print("stopped")
except (OSError, OverflowError) as error:
    sys.exit(f"{type(error).__name__}: {error}")
