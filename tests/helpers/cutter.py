"""A network that counts, and cuts connections where a test wants it to: a real TCP relay in front of a real server."""

import contextlib
import select
import socket
import threading
from collections.abc import Iterator


class Cutter:
    """What passed, and where the next cuts are.

    Attributes:
        url: Where clients find it.
        up: Bytes that the clients sent, in all.
        down: Bytes that the server sent, in all.
        connections: How many there were.
        cuts_up: Counts of `up` at which the connection is cut, in order; each is used once.
        cuts_down: Counts of `down`, likewise.
        hold_at: Count of `up` or `down` at which nothing passes any more, until `let_go`; None is never.
        refuses: Whether new connections are cut at once.
        where: Host and port of the server; may be changed when it restarts.
    """

    def __init__(self, port: int, where: tuple[str, int]) -> None:
        self.url = f"ftpsvc+tcp://127.0.0.1:{port}"
        self.up = 0
        self.down = 0
        self.connections = 0
        self.cuts_up: list[int] = []
        self.cuts_down: list[int] = []
        self.hold_at: int | None = None
        self._going = threading.Event()
        self.refuses = False
        self.where = where
        self.ended = False
        self.lock = threading.Lock()
        self.open: set[socket.socket] = set()

    def let_go(self) -> None:
        """Lets everything pass again."""
        self._going.set()

    def cut(self) -> None:
        """Cuts every connection now."""
        with self.lock:
            for sock in self.open:
                with contextlib.suppress(OSError):
                    sock.shutdown(socket.SHUT_RDWR)

    def relay(self, client: socket.socket) -> None:
        with socket.create_connection(self.where) as server:
            with self.lock:
                self.open |= {client, server}
                if self.ended:
                    return
            try:
                while self._pass_on(client, server):
                    pass
            finally:
                with self.lock:
                    self.open -= {client, server}

    def _pass_on(self, client: socket.socket, server: socket.socket) -> bool:
        ready, _, _ = select.select([client, server], [], [])
        if self.hold_at is not None and max(self.up, self.down) >= self.hold_at and not self.ended:
            self._going.wait()
        for source in ready:
            is_up = source is client
            cuts, done = (self.cuts_up, self.up) if is_up else (self.cuts_down, self.down)
            most = min(65536, cuts[0] - done) if cuts else 65536
            data = source.recv(max(1, most))
            if not data:
                return False
            (server if is_up else client).sendall(data)
            if is_up:
                self.up += len(data)
            else:
                self.down += len(data)
            if cuts and done + len(data) >= cuts[0]:
                cuts.pop(0)
                return False
        return True


@contextlib.contextmanager
def cutter(url: str) -> Iterator[Cutter]:
    """Stands before a plain TCP server for the length of a block; joins its threads."""
    host, _, port = url.partition("://")[2].rpartition(":")
    threads: list[threading.Thread] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:
        net = Cutter(listener.getsockname()[1], (host, int(port)))

        def serve(client: socket.socket) -> None:
            with client, contextlib.suppress(OSError):
                net.relay(client)

        def accept() -> None:
            while True:
                try:
                    client, _ = listener.accept()
                except OSError:
                    return
                net.connections += 1
                if net.refuses:
                    client.close()
                    continue
                threads.append(threading.Thread(target=serve, args=(client,)))
                threads[-1].start()

        acceptor = threading.Thread(target=accept)
        acceptor.start()
        try:
            yield net
        finally:
            with contextlib.suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)
            acceptor.join()
            net.ended = True
            net.let_go()
            net.cut()
            for thread in threads:
                thread.join()
