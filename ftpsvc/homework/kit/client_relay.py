"""What runs inside the sandbox beside a student's client: it listens for it, starts it, and passes descriptors out.

The sandbox has no network, so a client in it reaches nobody. This program makes the socket that it will connect to and
passes it out (SCM_RIGHTS): the kit accepts the connections, outside, and they are real ones. The client's terminal, or
its pipes, are made here and passed out in the same way, and so are files that the kit wants to look at.

It imports the standard library only and runs on the students' Python.
"""

import contextlib
import fcntl
import json
import os
import shutil
import signal
import socket
import struct
import subprocess
import sys
import termios
import time
from typing import Any

_TABLE = "/proc/net/tcp"  # 8 ms where the kernel has room for many connections: not that of IPv6 too
_ROWS, _COLUMNS = 24, 80
_RECEIVE = 1 << 16  # what the kit does not read yet stays with the client, which has to wait: that paces it
_NAMES = 1000


class Relay:
    """The client of this moment, if there is one."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.client: subprocess.Popen[bytes] | None = None

    def listener(self) -> socket.socket:
        """Returns the socket that clients connect to."""
        made = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVE)
        made.bind(("127.0.0.1", self.port))
        made.listen(64)
        return made

    def do(self, asked: dict[str, Any], given: list[int]) -> tuple[dict[str, Any], list[int]]:
        """Does one thing; the descriptors of the answer are closed when they were passed."""
        what = asked["do"]
        if what == "write":
            return self._write(asked["path"], given[0]), []
        if what == "start":
            self.end()
            return self._start(asked["command"], terminal=asked["terminal"])
        if what == "status":
            with contextlib.suppress(subprocess.TimeoutExpired):
                if self.client is not None:
                    self.client.wait(asked["seconds"])
            return {"exit": None if self.client is None else self.client.poll()}, []
        if what == "read":
            try:
                flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY
                return {}, [os.open(asked["path"], flags)]
            except OSError:
                return {}, []
        if what == "names":
            found = (os.path.relpath(os.path.join(at, one)) for at, _, names in os.walk(".") for one in names)
            return {"names": [ascii(name)[1:-1] for name, _ in zip(found, range(_NAMES), strict=False)]}, []
        return {"drained": _drained(asked["from"], self.port, asked["seconds"])}, []

    def end(self) -> None:
        """Ends the client with what it started and left in its session."""
        if self.client is not None:
            with contextlib.suppress(OSError):
                os.killpg(self.client.pid, signal.SIGKILL)
            self.client.kill()
            self.client.wait()
            self.client = None

    def _write(self, path: str, content: int) -> dict[str, Any]:
        os.makedirs(os.path.dirname(path) or ".", exist_ok=True)
        with open(content, "rb", closefd=False) as source, open(path, "wb") as file:
            source.seek(0)
            shutil.copyfileobj(source, file)
        return {}

    def _start(self, command: list[str], *, terminal: bool) -> tuple[dict[str, Any], list[int]]:
        if terminal:
            outer, inner = os.openpty()
            fcntl.ioctl(inner, termios.TIOCSWINSZ, struct.pack("HHHH", _ROWS, _COLUMNS, 0, 0))
            theirs, ours = (inner, inner), [outer]
        else:
            (reading, typed), (shown, writing) = os.pipe(), os.pipe()
            theirs, ours = (reading, writing), [typed, shown]
        try:
            self.client = subprocess.Popen(
                command,
                stdin=theirs[0],
                stdout=theirs[1],
                stderr=theirs[1],
                start_new_session=True,
                preexec_fn=_take_terminal if terminal else None,
            )
        except OSError as error:
            for one in ours:
                os.close(one)
            return {"error": f"{command[0]} does not start: {error.strerror}"}, []
        finally:
            for one in set(theirs):
                os.close(one)
        return {}, [*ours, os.pidfd_open(self.client.pid)]


def _take_terminal() -> None:
    """Makes standard input the terminal from which Ctrl-C comes."""
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)


def _drained(port: int, peer: int, seconds: float) -> bool:
    """Waits until the client has taken all that was sent to one of its ports."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if not any(queue for local, remote, queue in _sockets() if (local, remote) == (port, peer)):
            return True
        time.sleep(0.001)
    return False


def _sockets() -> "list[tuple[int, int, int]]":
    """Returns of each TCP socket in here the local and remote port, and the bytes that wait to be read."""
    found = []
    with contextlib.suppress(OSError), open(_TABLE, encoding="ascii") as table:
        for line in list(table)[1:]:
            field = line.split()
            ports = [int(one.rpartition(":")[2], 16) for one in field[1:3]]
            found.append((ports[0], ports[1], int(field[4].partition(":")[2], 16)))
    return found


def main() -> None:
    """Passes the listening socket out, and does what the kit asks for until that hangs up."""
    relay = Relay(int(sys.argv[1]))
    control = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    control.connect(sys.argv[2])
    with relay.listener() as listener:
        socket.send_fds(control, [b"{}"], [listener.fileno()])
    try:
        while True:
            message, given, _, _ = socket.recv_fds(control, 1 << 16, 1, socket.MSG_CMSG_CLOEXEC)
            if not message:
                return
            answer, passed = relay.do(json.loads(message), given)
            socket.send_fds(control, [json.dumps(answer).encode()], passed)
            for one in (*given, *passed):
                os.close(one)
    finally:
        relay.end()


if __name__ == "__main__":
    main()
