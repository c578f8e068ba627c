"""The same robot with as many lines as callers: socketserver makes a thread for each.

    python many_lines_server.py [HOST [PORT]]       stop it with Ctrl-C

Leaves out: a bound on the number of threads (lesson 08).
"""

import contextlib
import os
import socketserver
import sys

from dialogue import Dialogue

try:
    HOST = sys.argv[1] if len(sys.argv) > 1 else "127.0.0.1"
    PORT = int(sys.argv[2]) if len(sys.argv) > 2 else 8080
except ValueError:
    sys.exit(__doc__)


class Hotline(socketserver.StreamRequestHandler):
    """One object for each caller; what socketserver has done before: accept, a thread, two files."""

    def handle(self):
        dialogue = Dialogue()
        with contextlib.suppress(OSError):  # a caller who vanishes: lesson 02
            self.say(dialogue.greeting())
            while not dialogue.over and (line := self.rfile.readline(1000)):
                self.say(dialogue.answer(line.decode("utf-8", "replace")))

    def say(self, text):
        self.wfile.write(text.encode() + b"\n")


class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = os.name == "posix"  # restart at once: lesson 07
    daemon_threads = True  # callers on the line do not keep the program from ending


try:
    with Server((HOST, PORT), Hotline) as server:
        print("listening on port", server.server_address[1])
        server.serve_forever()
except KeyboardInterrupt:
    print("stopped")
except (OSError, OverflowError) as error:
    sys.exit(f"{type(error).__name__}: {error}")
