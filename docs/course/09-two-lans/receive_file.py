"""Waits for one file, stores it, and tells whom it came from and its SHA-256.

python receive_file.py HOST PORT FILE
"""

import hashlib
import socket
import sys

if len(sys.argv) != 4 or not sys.argv[2].isdecimal():
    sys.exit("usage: python receive_file.py HOST PORT FILE")
HOST, PORT, FILE = sys.argv[1:]

try:
    with socket.create_server((HOST, int(PORT))) as listener:
        print("listening on port", listener.getsockname()[1], flush=True)
        conn, address = listener.accept()
    digest, size = hashlib.sha256(), 0
    with conn, open(FILE, "wb") as file:
        conn.settimeout(60)
        # The end of the stream is the end of the file; lesson 06 does better.
        while piece := conn.recv(1 << 18):
            file.write(piece)
            digest.update(piece)
            size += len(piece)
        conn.sendall(digest.hexdigest().encode())
    print("from", address[0], size, "bytes", digest.hexdigest())
except KeyboardInterrupt:
    print("stopped")
except (OSError, OverflowError) as error:
    sys.exit(f"{type(error).__name__}: {error}")
