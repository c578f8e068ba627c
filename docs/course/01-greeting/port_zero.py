"""Saying: "port 0 cannot be used". Experiment: use it.

    python port_zero.py [HOST]

bind takes port 0 and chooses a free one. Only as the port that is called there is none of that number.
"""

import socket
import sys

HOST = sys.argv[1] if len(sys.argv) > 1 else "127.0.0.1"

try:
    with socket.create_server((HOST, 0)) as one, socket.create_server((HOST, 0)) as two:
        ports = one.getsockname()[1], two.getsockname()[1]
        print("two servers asked for port 0 and got", *ports)
        with socket.create_connection((HOST, ports[0])) as caller:
            conn, _ = one.accept()
            conn.close()
            port = caller.getsockname()[1]
            print("a caller reached the first; its own port was chosen in the same way:", port)
    with socket.socket() as sock:
        print("a call to port 0 itself fails:", sock.connect_ex((HOST, 0)) != 0)
except (OSError, OverflowError) as error:
    sys.exit(f"{type(error).__name__}: {error}")
