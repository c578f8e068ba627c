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
    with conn.makefile("rw", encoding="utf-8", newline="\n") as stream:
        print(dialogue.greeting(), file=stream, flush=True)
        while not dialogue.over and (said := stream.readline()):
            print(dialogue.answer(said), file=stream, flush=True)


try:
    with socket.create_server((HOST, PORT)) as listener:
        print("listening on port", listener.getsockname()[1])
        while True:
            conn, address = listener.accept()
            with conn:
                try:
                    serve(conn)
                except (ConnectionError, UnicodeDecodeError) as error:
                    print(address, type(error).__name__)
except KeyboardInterrupt:
    print("stopped")
except (OSError, OverflowError) as error:
    sys.exit(f"{type(error).__name__}: {error}")
