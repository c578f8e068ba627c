"""The same with epoll itself, which only Linux has: descriptors instead of objects, and a dict to find the way back.

    python epoll_server.py [HOST [PORT]]       stop it with Ctrl-C

Leaves out: callers that do not read. Their answers are sent with a short time-out, and whoever is too slow is dropped.
"""

import select
import socket
import sys

try:
    HOST = sys.argv[1] if len(sys.argv) > 1 else "127.0.0.1"
    PORT = int(sys.argv[2]) if len(sys.argv) > 2 else 8080
except ValueError:
    sys.exit(__doc__)

if not hasattr(select, "epoll"):
    sys.exit("this system has no epoll; selectors_server.py works everywhere")

callers = {}  # descriptor: [socket, what was heard since the last newline]
try:
    with socket.create_server((HOST, PORT), backlog=128) as listener, select.epoll() as epoll:
        print("listening on port", listener.getsockname()[1])
        epoll.register(listener, select.EPOLLIN)
        while True:
            for descriptor, _ in epoll.poll():
                if descriptor == listener.fileno():
                    conn, _ = listener.accept()
                    conn.settimeout(0.1)
                    epoll.register(conn, select.EPOLLIN)
                    callers[conn.fileno()] = [conn, b""]
                    continue
                conn, heard = callers[descriptor]
                try:
                    data = conn.recv(4096)
                    lines, newline, heard = (heard + data).rpartition(b"\n")
                    callers[descriptor][1] = heard
                    conn.sendall((lines + newline).upper())
                except OSError:  # vanished, or too slow
                    data = b""
                if not data or len(heard) > 1000:
                    epoll.unregister(descriptor)
                    conn.close()
                    del callers[descriptor]
except KeyboardInterrupt:
    print("stopped")
except (OSError, OverflowError) as error:
    sys.exit(f"{type(error).__name__}: {error}")
