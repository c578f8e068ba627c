"""The two buffers between send and recv: how much fits when nobody reads.

python buffers.py [HOST [PORT]]
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
        print("send buffer:", sender.getsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF), "bytes")
        print("receive buffer:", receiver.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF), "bytes")
        sender.setblocking(False)
        taken = 0
        try:
            while True:
                taken += sender.send(bytes(100_000))
        except BlockingIOError:
            print("taken before anybody has read a byte:", taken, "bytes; then send would block")
        sender.close()
        read = 0
        while piece := receiver.recv(1 << 20):
            read += len(piece)
        print("and all of them arrive, after the sender has closed:", read == taken)
except KeyboardInterrupt:
    print("stopped")
except (OSError, OverflowError) as error:
    sys.exit(f"{type(error).__name__}: {error}")
