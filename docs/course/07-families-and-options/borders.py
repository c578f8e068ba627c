"""STREAM, DGRAM and SEQPACKET: which of them keep the borders between two sends?

    python borders.py

Pairs of AF_UNIX, so that nothing is lost on the way.
"""

import socket

for name in ("SOCK_STREAM", "SOCK_DGRAM", "SOCK_SEQPACKET"):
    try:
        one, other = socket.socketpair(socket.AF_UNIX, getattr(socket, name))
    except (AttributeError, OSError) as error:
        print(name, "is not here:", error)
        continue
    with one, other:
        one.sendall(b"hello")
        one.sendall(b"world")
        first = other.recv(100)
        one.close()
        rest = [] if name == "SOCK_STREAM" else [other.recv(100)]
        other.settimeout(0.5)
        try:
            end = "the end is seen: " + repr(other.recv(100))
        except ConnectionError as error:
            end = "the end is an error: " + type(error).__name__
        except TimeoutError:
            end = "the end is not seen"
        print(name, first, *rest, "-", end)
