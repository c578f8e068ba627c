"""Saying: "sendall is recursive". Experiment: a recursive one, and the real one, with 200 frames of stack.

    python sendall_is_a_loop.py [HOST [PORT]]

The send buffer is small, so that 32 MiB need many turns (Linux: `strace -f -c -e sendto` counts them).
"""

import socket
import sys
import threading

try:
    HOST = sys.argv[1] if len(sys.argv) > 1 else "127.0.0.1"
    PORT = int(sys.argv[2]) if len(sys.argv) > 2 else 0
except ValueError:
    sys.exit(__doc__)
DATA = memoryview(bytes(32 << 20))


def recursive_sendall(sock, data):
    if data:
        recursive_sendall(sock, data[sock.send(data[:65536]) :])


def loop_sendall(sock, data):
    while data:
        data = data[sock.send(data[:65536]) :]


def try_out(name, function):
    def read_all():
        while piece := receiver.recv(1 << 16):
            counts.append(len(piece))

    counts = []
    with socket.create_server((HOST, PORT)) as listener:
        sender = socket.create_connection(listener.getsockname())
        receiver, _ = listener.accept()
    reader = threading.Thread(target=read_all)
    reader.start()
    with sender:
        sender.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 65536)
        sender.settimeout(30)  # sendall then asks the system again and again, as each part is taken
        try:
            function(sender, DATA)
        except RecursionError:
            print(name, "failed: RecursionError")
        else:
            print(name, "ended well")
    reader.join()
    receiver.close()
    print("   received all:", sum(counts) == len(DATA))


try:
    sys.setrecursionlimit(200)
    try_out("recursive_sendall", recursive_sendall)
    try_out("loop_sendall", loop_sendall)
    try_out("socket.sendall", socket.socket.sendall)
except (OSError, OverflowError) as error:
    sys.exit(f"{type(error).__name__}: {error}")
