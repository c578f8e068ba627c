"""SO_REUSEADDR: restarting a server at once, while its last connection is still in TIME_WAIT.

    python reuse.py [HOST [PORT]]

Linux and macOS. On Windows the option means something else (it lets two servers have one port): leave it alone there.
"""

import errno
import socket
import sys

try:
    HOST = sys.argv[1] if len(sys.argv) > 1 else "127.0.0.1"
    PORT = int(sys.argv[2]) if len(sys.argv) > 2 else 0
except ValueError:
    sys.exit(__doc__)


def serve_one(port, reuse):
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, reuse)
        try:
            listener.bind((HOST, port))
        except OSError as error:
            return errno.errorcode.get(error.errno, error), port
        listener.listen()
        port = listener.getsockname()[1]
        with socket.create_connection((HOST, port)) as caller:
            conn, _ = listener.accept()
            conn.close()  # the server ends first: TIME_WAIT stays on its side
            caller.recv(1)
    return "served", port


try:
    for reuse in 0, 1:
        first, port = serve_one(PORT if reuse else 0, reuse)
        again, _ = serve_one(port, reuse)
        print(f"SO_REUSEADDR {reuse}: first start {first}, again at once {again}")
except (OSError, OverflowError) as error:
    sys.exit(f"{type(error).__name__}: {error}")
