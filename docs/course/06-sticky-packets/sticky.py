"""Sticky packets, shown to happen: three sends become one recv, and one send becomes many.

python sticky.py [HOST [PORT]]
"""

import socket
import sys

try:
    HOST = sys.argv[1] if len(sys.argv) > 1 else "127.0.0.1"
    PORT = int(sys.argv[2]) if len(sys.argv) > 2 else 0
except ValueError:
    sys.exit(__doc__)

try:
    with socket.create_server((HOST, PORT)) as listener:
        sender = socket.create_connection(listener.getsockname())
        receiver, _ = listener.accept()
    with sender, receiver:
        for message in (b"hello", b"world", b"again"):
            sender.sendall(message)
        while len(receiver.recv(1024, socket.MSG_PEEK)) < 15:
            pass  # look without taking until everything is there, so that the experiment always shows the same
        print("three sends, one recv:", receiver.recv(1024))

        sender.sendall(b"x" * 5000)
        sender.shutdown(socket.SHUT_WR)
        pieces = []
        while piece := receiver.recv(1024):
            pieces.append(len(piece))
        print("one send,", len(pieces), "recvs of", sum(pieces), "bytes; the largest:", max(pieces))
except (OSError, OverflowError) as error:
    sys.exit(f"{type(error).__name__}: {error}")
