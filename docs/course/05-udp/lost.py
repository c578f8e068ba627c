"""Datagrams are lost, and nobody says so: here the receiver's buffer is full.

    python lost.py [HOST [PORT]]

Sends a thousand before the receiver looks. A network loses them as silently.
"""

import socket
import sys

try:
    HOST = sys.argv[1] if len(sys.argv) > 1 else "127.0.0.1"
    PORT = int(sys.argv[2]) if len(sys.argv) > 2 else 0
except ValueError:
    sys.exit(__doc__)
COUNT = 1000

try:
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiver,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender,
    ):
        receiver.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        receiver.bind((HOST, PORT))
        for number in range(COUNT):
            sender.sendto(number.to_bytes(4, "big") + bytes(996), receiver.getsockname())
        print("sent", COUNT, "datagrams of 1000 bytes without an error")

        receiver.setblocking(False)
        received = []
        try:
            while True:
                received.append(int.from_bytes(receiver.recv(1000)[:4], "big"))
        except BlockingIOError:
            pass
        print("received", len(received), "of them; in order:", received == sorted(received))
except KeyboardInterrupt:
    print("stopped")
except (OSError, OverflowError) as error:
    sys.exit(f"{type(error).__name__}: {error}")
