"""SOCK_RAW: below the transport. One ping, made by hand; it needs a privilege.

python raw.py [HOST]
"""

import os
import socket
import struct
import sys

HOST = sys.argv[1] if len(sys.argv) > 1 else "127.0.0.1"


def checksum(data):
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


try:
    with socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP) as sock:
        sock.settimeout(10)
        number = os.getpid() & 0xFFFF
        echo = struct.pack("!BBHHH", 8, 0, 0, number, 1) + b"lesson07"
        sock.sendto(echo[:2] + struct.pack("!H", checksum(echo)) + echo[4:], (HOST, 0))
        while True:
            # Whoever has a raw socket gets every ICMP packet of this machine, also others' and its own question.
            packet = sock.recv(65535)
            start = (packet[0] & 15) * 4  # the length of the IPv4 header, which comes with it
            kind, _, _, whose, _ = struct.unpack_from("!BBHHH", packet, start)
            if kind == 0 and whose == number:
                break
        print("IPv4 header of", start, "bytes, time to live", packet[8])
        print("echo reply with", packet[start + 8 :])
except PermissionError:
    sys.exit("a raw socket needs a privilege (root, or CAP_NET_RAW on Linux)")
except OSError as error:
    sys.exit(f"{type(error).__name__}: {error}")
