"""The "ok" demo: answers every datagram with ok, and goes when one says exit.

    python ok_server.py [HOST [PORT]]

Leaves out: who may say exit. Whoever can send a datagram can end this server.
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
        sock.bind((HOST, PORT))
        print("listening on port", sock.getsockname()[1])
        while True:
            data, address = sock.recvfrom(1024)
            if data == b"exit":
                sock.sendto(b"bye", address)
                break
            print("heard", data.decode("utf-8", "replace"))
            sock.sendto(b"ok", address)
    print("exit")
except KeyboardInterrupt:
    print("stopped")
except (OSError, OverflowError) as error:
    sys.exit(f"{type(error).__name__}: {error}")
