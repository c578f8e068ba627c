"""Saying: "on Linux a vanished peer always raises, on a Mac it always gives an empty recv".

    python vanished_peer.py [HOST [PORT]]

Experiment: four peers go in four ways, on one system. How they go decides, not what the system is called.
"""

import socket
import struct
import sys

try:
    HOST = sys.argv[1] if len(sys.argv) > 1 else "127.0.0.1"
    PORT = int(sys.argv[2]) if len(sys.argv) > 2 else 0
except ValueError:
    sys.exit(__doc__)


def call():
    """Returns the two ends of one new connection: the caller's and ours."""
    with socket.create_server((HOST, PORT)) as listener:
        caller = socket.create_connection(listener.getsockname())
        called, _ = listener.accept()
    called.settimeout(10)  # a lesson must not hang
    return caller, called


def what_we_see(called):
    with called:
        try:
            return f"recv returns {called.recv(100)!r}"
        except ConnectionError as error:
            return f"recv raises {type(error).__name__}"


try:
    caller, called = call()
    caller.close()  # FIN
    print("closed in order:          ", what_we_see(called))

    caller, called = call()
    caller.sendall(b"bye")
    caller.close()
    print("said something, closed:   ", what_we_see(called))

    caller, called = call()
    called.sendall(b"you never read this")
    caller.recv(1)  # the rest stays unread: closing now resets the connection (RFC 1122, section 4.2.2.13)
    caller.close()
    print("closed with unread data:  ", what_we_see(called))

    caller, called = call()
    # Linger for 0 seconds: close sends RST at once. The two numbers are C ints; on Windows they are shorts, "hh".
    caller.setsockopt(
        socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("hh" if sys.platform == "win32" else "ii", 1, 0)
    )
    caller.close()
    print("reset on purpose:         ", what_we_see(called))
except (OSError, OverflowError) as error:
    sys.exit(f"{type(error).__name__}: {error}")
