"""setsockopt and getsockopt: reuse, buffers, no-delay, keep-alive; what is asked, and what one gets.

python options.py
"""

import socket

OPTIONS = [
    ("SO_REUSEADDR", socket.SOL_SOCKET, socket.SO_REUSEADDR, 1),
    ("SO_KEEPALIVE", socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
    ("TCP_NODELAY", socket.IPPROTO_TCP, socket.TCP_NODELAY, 1),
    ("SO_SNDBUF", socket.SOL_SOCKET, socket.SO_SNDBUF, 50_000),
    ("SO_RCVBUF", socket.SOL_SOCKET, socket.SO_RCVBUF, 50_000),
]

with socket.socket() as sock:
    for name, level, option, value in OPTIONS:
        before = sock.getsockopt(level, option)
        sock.setsockopt(level, option, value)
        print(f"{name:13} was {before}, asked for {value}, is {sock.getsockopt(level, option)}")
