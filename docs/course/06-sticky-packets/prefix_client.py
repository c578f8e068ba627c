"""Length prefix, client: sends three messages in one sendall, and still gets three answers.

python prefix_client.py [HOST [PORT]]
"""

import socket
import struct
import sys

from framing import receive_message

try:
    HOST = sys.argv[1] if len(sys.argv) > 1 else "127.0.0.1"
    PORT = int(sys.argv[2]) if len(sys.argv) > 2 else 8080
except ValueError:
    sys.exit(__doc__)

try:
    with socket.create_connection((HOST, PORT)) as sock:
        messages = [b"hello", b"", b"again"]  # with a prefix, an empty message is a message
        sock.sendall(b"".join(struct.pack("!I", len(message)) + message for message in messages))
        for _ in messages:
            print("answer:", receive_message(sock))
except KeyboardInterrupt:
    print("stopped")
except (OSError, OverflowError) as error:
    sys.exit(f"{type(error).__name__}: {error}")
