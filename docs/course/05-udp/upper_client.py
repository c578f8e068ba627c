"""A client of upper_server.py: each line that you type becomes a datagram, an empty one too.

python upper_client.py [HOST [PORT]]
"""

import socket
import sys

try:
    HOST = sys.argv[1] if len(sys.argv) > 1 else "127.0.0.1"
    PORT = int(sys.argv[2]) if len(sys.argv) > 2 else 8081
except ValueError:
    sys.exit(__doc__)

try:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.settimeout(10)  # question or answer may be lost; then nobody tells
        for line in sys.stdin:
            sock.sendto(line.rstrip("\n").encode(), (HOST, PORT))
            try:
                data, _ = sock.recvfrom(65535)
            except TimeoutError:
                print("no answer")
            else:
                print(len(data), "bytes:", data.decode())
except KeyboardInterrupt:
    print("stopped")
except (OSError, OverflowError, UnicodeError) as error:
    sys.exit(f"{type(error).__name__}: {error}")
