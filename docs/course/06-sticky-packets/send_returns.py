"""Saying: "send loses what does not fit". Experiment: count.

    python send_returns.py [HOST [PORT]]

send returns how much the system took. The rest is not lost: it is still yours, and you send it next.
"""

import socket
import sys
import threading

try:
    HOST = sys.argv[1] if len(sys.argv) > 1 else "127.0.0.1"
    PORT = int(sys.argv[2]) if len(sys.argv) > 2 else 0
except ValueError:
    sys.exit(__doc__)
DATA = bytes(range(256)) * (64 << 12)  # 64 MiB, more than the buffers hold

received = bytearray()


def read_all(sock):
    while piece := sock.recv(1 << 20):
        received.extend(piece)


try:
    with socket.create_server((HOST, PORT)) as listener:
        sender = socket.create_connection(listener.getsockname())
        receiver, _ = listener.accept()
    with sender, receiver:
        # With a time-out send does not wait until everything is taken, only until something is.
        sender.settimeout(30)
        taken = sender.send(DATA)
        print("the first send took all of it:", taken == len(DATA))

        reader = threading.Thread(target=read_all, args=(receiver,))
        reader.start()
        rest = memoryview(DATA)[taken:]
        while rest:
            rest = rest[sender.send(rest) :]
        sender.shutdown(socket.SHUT_WR)
        reader.join()
    print("what arrived is what was sent:", received == DATA)
except (OSError, OverflowError) as error:
    sys.exit(f"{type(error).__name__}: {error}")
