"""JSON header and payload, client: sends files, one after another over one connection.

python header_client.py HOST PORT FILE...
"""

import hashlib
import socket
import sys
from pathlib import Path

from framing import receive_header, send_header

if len(sys.argv) < 4 or not sys.argv[2].isdecimal():
    sys.exit("usage: python header_client.py HOST PORT FILE...")
HOST, PORT, *FILES = sys.argv[1:]

try:
    with socket.create_connection((HOST, int(PORT))) as sock:
        for path in map(Path, FILES):
            content = path.read_bytes()  # small files; lesson 10 sends large ones in pieces
            send_header(sock, {"name": path.name, "size": len(content)})
            sock.sendall(content)
            answer = receive_header(sock)
            same = answer["md5"] == hashlib.md5(content, usedforsecurity=False).hexdigest()
            print(path.name, answer["received"], "bytes,", "same digest" if same else "DAMAGED")
except KeyboardInterrupt:
    print("stopped")
except (OSError, OverflowError, ValueError, KeyError) as error:
    sys.exit(f"{type(error).__name__}: {error}")
