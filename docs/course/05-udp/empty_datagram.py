"""An empty datagram is sent, though an empty send over TCP is not.

python empty_datagram.py [HOST [PORT]]
"""

import select
import socket
import sys

try:
    HOST = sys.argv[1] if len(sys.argv) > 1 else "127.0.0.1"
    PORT = int(sys.argv[2]) if len(sys.argv) > 2 else 0
except ValueError:
    sys.exit(__doc__)

try:
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiver,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender,
    ):
        receiver.bind((HOST, PORT))
        sender.sendto(b"", receiver.getsockname())
        receiver.settimeout(10)
        data, address = receiver.recvfrom(100)
        print("UDP: received", data, "from", address == (HOST, sender.getsockname()[1]) and "the sender")

    with socket.create_server((HOST, PORT)) as listener:
        caller = socket.create_connection(listener.getsockname())
        called, _ = listener.accept()
    with caller, called:
        caller.sendall(b"")
        ready, _, _ = select.select([called], [], [], 0.5)
        print("TCP: received", called.recv(100) if ready else "nothing")
except (OSError, OverflowError) as error:
    sys.exit(f"{type(error).__name__}: {error}")
