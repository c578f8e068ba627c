"""Sends one file, and compares the SHA-256 that the other side answers.

python send_file.py HOST PORT FILE
"""

import hashlib
import socket
import sys

if len(sys.argv) != 4 or not sys.argv[2].isdecimal():
    sys.exit("usage: python send_file.py HOST PORT FILE")
HOST, PORT, FILE = sys.argv[1:]

try:
    digest = hashlib.sha256()
    with socket.create_connection((HOST, int(PORT)), 60) as sock, open(FILE, "rb") as file:
        print("I am", sock.getsockname()[0], "and call", sock.getpeername()[0])
        while piece := file.read(1 << 18):
            digest.update(piece)
            sock.sendall(piece)
        sock.shutdown(socket.SHUT_WR)
        answer = b""
        while piece := sock.recv(1024):
            answer += piece
    print("arrived whole" if answer.decode() == digest.hexdigest() else "DAMAGED")
except KeyboardInterrupt:
    print("stopped")
except (OSError, OverflowError) as error:
    sys.exit(f"{type(error).__name__}: {error}")
