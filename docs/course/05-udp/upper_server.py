"""Upper-casing echo over UDP: no listen, no accept, no connection; each datagram says where it came from.

python upper_server.py [HOST [PORT]]       stop it with Ctrl-C
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
            data, address = sock.recvfrom(65535)
            print(len(data), "bytes from", address)
            sock.sendto(data.upper(), address)
except KeyboardInterrupt:
    print("stopped")
except (OSError, OverflowError) as error:
    sys.exit(f"{type(error).__name__}: {error}")
