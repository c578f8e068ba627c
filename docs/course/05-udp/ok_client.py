"""The other side of ok_server.py. `exit` ends both.

python ok_client.py [HOST [PORT]]
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
        sock.settimeout(10)
        for line in sys.stdin:
            said = line.strip()
            sock.sendto(said.encode(), (HOST, PORT))
            print(sock.recv(1024).decode())
            if said == "exit":
                break
except KeyboardInterrupt:
    print("stopped")
except (OSError, OverflowError, UnicodeError) as error:
    sys.exit(f"{type(error).__name__}: {error}")
