"""Many at once, with a maximum: some threads, a queue.Queue before them, and "busy" for whoever does not fit.

    python pool_server.py [HOST [PORT [WORKERS [WAITING]]]]       stop it with Ctrl-C

WORKERS callers are served, WAITING more stand in the queue. The homework's second stage.
"""

import contextlib
import queue
import socket
import sys
import threading

try:
    HOST = sys.argv[1] if len(sys.argv) > 1 else "127.0.0.1"
    PORT = int(sys.argv[2]) if len(sys.argv) > 2 else 8080
    WORKERS = int(sys.argv[3]) if len(sys.argv) > 3 else 8
    WAITING = int(sys.argv[4]) if len(sys.argv) > 4 else 8
except ValueError:
    sys.exit(__doc__)

calls = queue.Queue(maxsize=WAITING)  # 0 would mean: no bound


def work():
    while True:
        conn = calls.get()
        with conn, conn.makefile("rb") as lines, contextlib.suppress(OSError):
            while line := lines.readline(1000):
                conn.sendall(line.upper())


try:
    for _ in range(WORKERS):
        threading.Thread(target=work, daemon=True).start()

    with socket.create_server((HOST, PORT), backlog=128) as listener:
        print("listening on port", listener.getsockname()[1])
        while True:
            conn, _ = listener.accept()
            try:
                calls.put_nowait(conn)
            except queue.Full:  # say so at once: a caller who knows can come again
                with conn, contextlib.suppress(OSError):
                    conn.sendall(b"busy\n")
except KeyboardInterrupt:
    print("stopped")
except (OSError, OverflowError) as error:
    sys.exit(f"{type(error).__name__}: {error}")
