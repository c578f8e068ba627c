"""Who holds which address: the triple (address, protocol, port), and why a process id is no address.

    python triple.py [HOST [PORT]]

Leaves out: IPv6, and addresses of other machines.
"""

import errno
import os
import socket
import sys

try:
    HOST = sys.argv[1] if len(sys.argv) > 1 else "127.0.0.1"
    PORT = int(sys.argv[2]) if len(sys.argv) > 2 else 0  # 0: the system picks a free one
except ValueError:
    sys.exit(__doc__)


def try_to_bind(what, kind, port):
    sock = socket.socket(socket.AF_INET, kind)
    try:
        sock.bind((HOST, port))
    except OSError as error:
        sock.close()
        print(f"{what}: {errno.errorcode.get(error.errno, error)}")
        return None
    print(f"{what}: bound to {sock.getsockname()}")
    return sock


try:
    first = try_to_bind("TCP", socket.SOCK_STREAM, PORT)
    if first is None:
        sys.exit(1)
    port = first.getsockname()[1]
    second = try_to_bind("UDP, the same number", socket.SOCK_DGRAM, port)
    third = try_to_bind("TCP again", socket.SOCK_STREAM, port)
    fourth = try_to_bind("TCP, another number", socket.SOCK_STREAM, 0)
    print(f"process {os.getpid()} holds all of them; no caller needs to know that number")
    for sock in (first, second, third, fourth):
        if sock is not None:
            sock.close()
except (OSError, OverflowError) as error:
    sys.exit(f"{type(error).__name__}: {error}")
