"""The first server: socket, bind, listen, accept, send, close. It thanks every caller, one after another.

    python greet_server.py [HOST [PORT]]       stop it with Ctrl-C

Leaves out: whatever the caller may say, and callers that vanish (lesson 02), two callers at once (lesson 08).
"""

import os
import socket
import sys

try:
    HOST = sys.argv[1] if len(sys.argv) > 1 else ""  # the empty host: every IPv4 address of this machine
    PORT = int(sys.argv[2]) if len(sys.argv) > 2 else 8088
except ValueError:
    sys.exit(__doc__)

try:
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    if os.name == "posix":  # why, and why not on Windows: lesson 07
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind((HOST, PORT))
    listener.listen(5)
    print("this machine calls itself", socket.gethostname())
    print("listening on port", listener.getsockname()[1])

    while True:
        conn, address = listener.accept()
        print("a call from", address)
        conn.sendall(b"Thank you for calling!\n")
        conn.close()
except KeyboardInterrupt:
    print("stopped")
except (OSError, OverflowError) as error:
    sys.exit(f"{type(error).__name__}: {error}")
