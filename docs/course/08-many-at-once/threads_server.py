"""Many at once, by hand: a thread for each caller.

    python threads_server.py [HOST [PORT]]       stop it with Ctrl-C

Like all servers of this lesson it answers each line with its capitals. Leaves out: a bound on the threads.
"""

import contextlib
import socket
import sys
import threading

try:
    HOST = sys.argv[1] if len(sys.argv) > 1 else "127.0.0.1"
    PORT = int(sys.argv[2]) if len(sys.argv) > 2 else 8080
except ValueError:
    sys.exit(__doc__)


def serve(conn):
    with conn, conn.makefile("rb") as lines, contextlib.suppress(OSError):
        while line := lines.readline(1000):
            conn.sendall(line.upper())


try:
    with socket.create_server((HOST, PORT), backlog=128) as listener:
        print("listening on port", listener.getsockname()[1])
        while True:
            conn, _ = listener.accept()
            threading.Thread(target=serve, args=(conn,), daemon=True).start()
except KeyboardInterrupt:
    print("stopped")
except (OSError, OverflowError) as error:
    sys.exit(f"{type(error).__name__}: {error}")
