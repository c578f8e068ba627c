"""connect raises, connect_ex returns: the same error once as an exception, once as a number.

    python connect_ex.py [HOST [PORT]]

Without a port it calls one where certainly nobody listens.
"""

import errno
import os
import socket
import sys

try:
    HOST = sys.argv[1] if len(sys.argv) > 1 else "127.0.0.1"
    PORT = int(sys.argv[2]) if len(sys.argv) > 2 else 0
except ValueError:
    sys.exit(__doc__)

try:
    with socket.socket() as holder:
        holder.bind((HOST, 0))  # bound, but not listening: nobody else can take this port meanwhile
        port = PORT or holder.getsockname()[1]

        with socket.socket() as sock:
            try:
                sock.connect((HOST, port))
                print("connect: connected")
            except ConnectionRefusedError as error:
                print("connect raised", type(error).__name__)

        with socket.socket() as sock:
            number = sock.connect_ex((HOST, port))
            if number == 0:
                print("connect_ex returned 0: connected")
            else:
                print("connect_ex returned", errno.errorcode[number], "=", os.strerror(number))
except (OSError, OverflowError) as error:
    sys.exit(f"{type(error).__name__}: {error}")
