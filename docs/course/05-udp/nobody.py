"""A datagram to a port where nobody is.

    python nobody.py [HOST]

Linux tells a connected socket, by an error of the *next* call, what ICMP reported. An unconnected one hears nothing.
Windows raises WinError 10054 in the recvfrom of an unconnected one too (Microsoft's page of recvfrom).
"""

import socket
import sys

HOST = sys.argv[1] if len(sys.argv) > 1 else "127.0.0.1"

try:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as once:
        once.bind((HOST, 0))
        nobody = once.getsockname()  # free again when this block ends

    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.settimeout(0.5)
        print("sendto says", sock.sendto(b"anybody?", nobody))
        try:
            sock.recvfrom(100)
        except (TimeoutError, ConnectionError) as error:
            print("unconnected, recvfrom:", type(error).__name__)

    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.settimeout(10)
        sock.connect(nobody)  # sends nothing: it only notes the address
        print("send says", sock.send(b"anybody?"))
        try:
            sock.recv(100)
        except (TimeoutError, ConnectionError) as error:
            print("connected, recv:", type(error).__name__)
except (OSError, OverflowError) as error:
    sys.exit(f"{type(error).__name__}: {error}")
