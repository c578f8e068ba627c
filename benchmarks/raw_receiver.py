"""The other end of `peers.raw_copy`: receives one file from a bare socket and writes it."""

from __future__ import annotations

import socket
import sys


def main() -> None:
    """Accepts one connection on an inherited listener and writes what comes."""
    target, descriptor = sys.argv[1], int(sys.argv[2])
    with socket.socket(fileno=descriptor) as listener:
        sock, _ = listener.accept()
        with sock, open(target, "wb", buffering=0) as file:
            buffer = memoryview(bytearray(1 << 20))
            while True:
                filled = 0
                while filled < len(buffer) and (count := sock.recv_into(buffer[filled:])):
                    filled += count
                if not filled:
                    return
                file.write(buffer[:filled])


main()
