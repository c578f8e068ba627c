"""Many at once in one thread: selectors tells which sockets are ready, the program goes from one to the next.

    python selectors_server.py [HOST [PORT]]       stop it with Ctrl-C

On Linux DefaultSelector is epoll, on macOS kqueue, on Windows select. The homework's third stage.
"""

import selectors
import socket
import sys

try:
    HOST = sys.argv[1] if len(sys.argv) > 1 else "127.0.0.1"
    PORT = int(sys.argv[2]) if len(sys.argv) > 2 else 8080
except ValueError:
    sys.exit(__doc__)
selector = selectors.DefaultSelector()


class Caller:
    """What a thread would have kept in its local variables."""

    def __init__(self, conn):
        conn.setblocking(False)
        self.conn, self.heard, self.to_say = conn, b"", b""
        selector.register(conn, selectors.EVENT_READ, self)

    def ready(self, events):
        try:
            if events & selectors.EVENT_READ:
                self.read()
            if events & selectors.EVENT_WRITE:
                self.to_say = self.to_say[self.conn.send(self.to_say) :]
        except BlockingIOError:
            return
        except OSError:
            self.close()
            return
        if self.conn.fileno() >= 0:  # read no more than can be said: that bounds the memory
            selector.modify(self.conn, selectors.EVENT_WRITE if self.to_say else selectors.EVENT_READ, self)

    def read(self):
        data = self.conn.recv(4096)
        lines, newline, self.heard = (self.heard + data).rpartition(b"\n")
        self.to_say += (lines + newline).upper()
        if not data or len(self.heard) > 1000:
            self.close()

    def close(self):
        selector.unregister(self.conn)
        self.conn.close()


try:
    with socket.create_server((HOST, PORT), backlog=128) as listener:
        print("listening on port", listener.getsockname()[1])
        listener.setblocking(False)
        selector.register(listener, selectors.EVENT_READ)
        while True:
            for key, events in selector.select():
                if key.fileobj is listener:
                    Caller(listener.accept()[0])
                else:
                    key.data.ready(events)
except KeyboardInterrupt:
    print("stopped")
except (OSError, OverflowError) as error:
    sys.exit(f"{type(error).__name__}: {error}")
