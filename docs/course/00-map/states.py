"""Handshake and close, step by step: the state of both ends as the kernel tells it.

    python states.py [HOST [PORT]]

Linux only: it asks with getsockopt(TCP_INFO), and /proc/net/tcp for the end that no program holds any more.
"""

import socket
import sys
from pathlib import Path

try:
    HOST = sys.argv[1] if len(sys.argv) > 1 else "127.0.0.1"
    PORT = int(sys.argv[2]) if len(sys.argv) > 2 else 0
except ValueError:
    sys.exit(__doc__)

# Their order is that of include/net/tcp_states.h in Linux, from 1.
NAMES = [
    "ESTABLISHED",
    "SYN_SENT",
    "SYN_RECV",
    "FIN_WAIT1",
    "FIN_WAIT2",
    "TIME_WAIT",
    "CLOSE",
    "CLOSE_WAIT",
    "LAST_ACK",
    "LISTEN",
    "CLOSING",
]


def state(sock):
    return NAMES[sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0] - 1]


def state_by_ports(local, remote):
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        fields = line.split()
        if [int(field.split(":")[1], 16) for field in fields[1:3]] == [local, remote]:
            return NAMES[int(fields[3], 16) - 1]
    return "gone"


if not hasattr(socket, "TCP_INFO") or not Path("/proc/net/tcp").exists():
    sys.exit("this system does not tell; `netstat -an` shows the same states")
try:
    with socket.create_server((HOST, PORT)) as listener:
        print("server after listen:          ", state(listener))
        caller = socket.create_connection(listener.getsockname())
        print("client after connect:         ", state(caller))
        called, _ = listener.accept()
        print("server after accept:          ", state(called))
        print("and the listener still:       ", state(listener))
    here, there = caller.getsockname()[1], caller.getpeername()[1]

    caller.shutdown(socket.SHUT_WR)  # the client hangs up its half: FIN
    assert called.recv(1) == b""
    print("server that has read the end: ", state(called))
    called.sendall(b"!")  # the other half still works, and its segment also acknowledges the FIN
    assert caller.recv(1) == b"!"
    print("client that has ended first:  ", state(caller))

    called.close()  # FIN of the server
    assert caller.recv(1) == b""
    print("client, both halves closed:   ", state_by_ports(here, there))
    caller.close()
except (OSError, OverflowError) as error:
    sys.exit(f"{type(error).__name__}: {error}")
