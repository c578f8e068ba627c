"""JSON header and payload, server: takes files, and tells their size and MD5.

    python header_server.py [HOST [PORT]]       stop it with Ctrl-C

It keeps nothing: where to store what a stranger names is lesson 10.
"""

import hashlib
import socket
import sys

from framing import receive_header, send_header

try:
    HOST = sys.argv[1] if len(sys.argv) > 1 else "127.0.0.1"
    PORT = int(sys.argv[2]) if len(sys.argv) > 2 else 8080
except ValueError:
    sys.exit(__doc__)


def take_payload(sock, size):
    digest = hashlib.md5(usedforsecurity=False)
    while size:  # never more than this payload: what follows is the next header
        piece = sock.recv(min(size, 65536))
        if not piece:
            raise ConnectionError("the peer closed in the middle of a payload")
        digest.update(piece)
        size -= len(piece)
    return digest.hexdigest()


try:
    with socket.create_server((HOST, PORT)) as listener:
        print("listening on port", listener.getsockname()[1])
        while True:
            conn, _ = listener.accept()
            with conn:
                try:
                    while conn.recv(1, socket.MSG_PEEK):
                        header = receive_header(conn)
                        digest = take_payload(conn, header["size"])
                        print("got", header.get("name"), "of", header["size"], "bytes")
                        send_header(conn, {"size": 0, "received": header["size"], "md5": digest})
                except (OSError, ValueError, RecursionError) as error:
                    print("ended:", error)
except KeyboardInterrupt:
    print("stopped")
except (OSError, OverflowError) as error:
    sys.exit(f"{type(error).__name__}: {error}")
