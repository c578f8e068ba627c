"""Saying: "recv returns a string". Experiment: look at what it returns, and where a character falls apart.

python recv_returns_bytes.py [HOST [PORT]]
"""

import codecs
import socket
import sys

try:
    HOST = sys.argv[1] if len(sys.argv) > 1 else "127.0.0.1"
    PORT = int(sys.argv[2]) if len(sys.argv) > 2 else 0
except ValueError:
    sys.exit(__doc__)

try:
    with socket.create_server((HOST, PORT)) as listener:
        caller = socket.create_connection(listener.getsockname())
        called, _ = listener.accept()
    with caller, called:
        try:
            caller.sendall("世界")
        except TypeError as error:
            print("sendall of a str:", error)
        caller.sendall("世界".encode())
        caller.shutdown(socket.SHUT_WR)

        decoder = codecs.getincrementaldecoder("utf-8")()
        while piece := called.recv(4):  # four bytes: one character and a third
            try:
                whole = repr(piece.decode())
            except UnicodeDecodeError:
                whole = "no text by itself"
            given = repr(decoder.decode(piece))
            print(type(piece).__name__, piece, "is", whole, "- the decoder gives", given)
        decoder.decode(b"", final=True)  # raises if the stream ended in the middle of a character
except (OSError, OverflowError) as error:
    sys.exit(f"{type(error).__name__}: {error}")
