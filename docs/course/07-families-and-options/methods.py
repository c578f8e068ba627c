"""The rest of the object: settimeout, setblocking, getpeername, getsockname, fileno, makefile.

python methods.py [HOST [PORT]]
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
        caller = socket.create_connection(listener.getsockname())
        called, _ = listener.accept()
    with caller, called:
        print("one's peer is the other:", caller.getpeername() == called.getsockname())

        print("timeout", called.gettimeout(), "means: wait for ever")
        called.settimeout(0.1)
        try:
            called.recv(1)
        except TimeoutError:
            print("settimeout(0.1): TimeoutError")
        called.setblocking(False)  # the same as settimeout(0)
        try:
            called.recv(1)
        except BlockingIOError:
            print("setblocking(False): BlockingIOError, at once")
        called.setblocking(True)

        with caller.makefile("w", encoding="utf-8") as out, called.makefile("r", encoding="utf-8") as lines:
            print("first\nsecond", file=out, flush=True)  # without the flush it stays in Python's buffer
            print("makefile:", [lines.readline(), lines.readline()])

    number = called.fileno()
    print("after close fileno is", number)
except KeyboardInterrupt:
    print("stopped")
except (OSError, OverflowError) as error:
    sys.exit(f"{type(error).__name__}: {error}")
