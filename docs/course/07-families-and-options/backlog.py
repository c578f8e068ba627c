"""Saying: "the backlog is the number of clients". Experiment: a backlog of 1 and ten clients at once.

python backlog.py [HOST [PORT]]
"""

import socket
import sys

try:
    HOST = sys.argv[1] if len(sys.argv) > 1 else "127.0.0.1"
    PORT = int(sys.argv[2]) if len(sys.argv) > 2 else 0
except ValueError:
    sys.exit(__doc__)

try:
    with socket.create_server((HOST, PORT), backlog=1) as listener:
        pairs = []
        for _ in range(10):
            caller = socket.create_connection(listener.getsockname(), 10)
            called, _ = listener.accept()  # out of the queue, and no longer counted
            pairs.append((caller, called))
        for caller, called in pairs:
            caller.sendall(b"?")
            called.sendall(called.recv(1))
        print("served at once with a backlog of 1:", sum(caller.recv(1) == b"?" for caller, _ in pairs))
        for pair in pairs:
            for sock in pair:
                sock.close()

        waiting = []
        try:
            for _ in range(10):  # now nobody accepts
                waiting.append(socket.create_connection(listener.getsockname(), 0.3))
        except TimeoutError:
            print("connected although nobody accepts:", len(waiting), "- the next one waits")
        for sock in waiting:
            sock.close()
except (OSError, OverflowError) as error:
    sys.exit(f"{type(error).__name__}: {error}")
