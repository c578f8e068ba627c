"""The hotline with one line: while somebody talks, everybody else waits.

python one_line_server.py [HOST [PORT]]       stop it with Ctrl-C
"""

import socket
import sys

from dialogue import Dialogue

try:
    HOST = sys.argv[1] if len(sys.argv) > 1 else "127.0.0.1"
    PORT = int(sys.argv[2]) if len(sys.argv) > 2 else 8080
except ValueError:
    sys.exit(__doc__)


def serve(conn):
    dialogue = Dialogue()
    # A file for reading only: one for both ("rw") forgets the lines that it has read ahead as soon as it writes.
    with conn.makefile("r", encoding="utf-8", newline="\n") as lines:
        say(conn, dialogue.greeting())
        while not dialogue.over and (said := lines.readline(1000)):
            say(conn, dialogue.answer(said))


def say(conn, text):
    conn.sendall(text.encode() + b"\n")


try:
    with socket.create_server((HOST, PORT)) as listener:
        print("listening on port", listener.getsockname()[1])
        while True:
            conn, address = listener.accept()
            with conn:
                try:
                    serve(conn)
                except (OSError, UnicodeDecodeError) as error:
                    print(address, type(error).__name__)
except KeyboardInterrupt:
    print("stopped")
except (OSError, OverflowError) as error:
    sys.exit(f"{type(error).__name__}: {error}")
