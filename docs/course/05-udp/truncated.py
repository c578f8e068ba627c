"""A datagram that is larger than the buffer of recvfrom: the rest is gone.

    python truncated.py [HOST [PORT]]

Linux and macOS cut it silently; Windows raises WinError 10040 (WSAEMSGSIZE), and the rest is gone all the same.
"""

import errno
import socket
import sys

try:
    HOST = sys.argv[1] if len(sys.argv) > 1 else "127.0.0.1"
    PORT = int(sys.argv[2]) if len(sys.argv) > 2 else 0
except ValueError:
    sys.exit(__doc__)

try:
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiver,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender,
    ):
        receiver.bind((HOST, PORT))
        receiver.settimeout(10)
        there = receiver.getsockname()
        sender.sendto(b"hello world", there)
        sender.sendto(b"next", there)
        for _ in range(2):
            try:
                print("received", receiver.recv(5))
            except OSError as error:
                print("received nothing:", error)
        if hasattr(receiver, "recvmsg"):  # not on Windows
            sender.sendto(b"hello world", there)
            data, _, flags, _ = receiver.recvmsg(5)
            print("recvmsg tells:", data, "truncated" if flags & socket.MSG_TRUNC else "whole")
        try:
            sender.sendto(bytes(65508), there)  # 65535 less the headers of IPv4 and UDP is 65507
        except OSError as error:
            print("one byte more than a datagram holds:", errno.errorcode[error.errno])
except (OSError, OverflowError) as error:
    sys.exit(f"{type(error).__name__}: {error}")
