"""The way into the sandbox: a program that runs inside, beside the student's server, and hands connections out.

The sandbox has no network, so nobody outside can connect to a server in it. This program can. It connects from inside,
and passes the connected socket out over an AF_UNIX socket (SCM_RIGHTS). From then on it has no part in the
conversation: what the tester holds is a real TCP connection, with its resets, half-closes and full buffers.

It imports the standard library only and runs on the students' Python. What it says is believed no more than what the
server says: the two are the same user.
"""

import base64
import contextlib
import json
import os
import socket
import subprocess
import sys
import time
from typing import Any

LISTENING = "0A"
_PR_SET_DUMPABLE = 4
_TABLES = ("/proc/net/tcp", "/proc/net/tcp6")


def main() -> None:
    """Prepares the folder, starts the server, and does what the tester asks for until that hangs up."""
    given, where = json.loads(sys.argv[1]), sys.argv[2]
    _closed_to_others()
    control = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    control.connect(where)
    try:
        if given["reset"]:
            subprocess.run(given["reset"], stdin=subprocess.DEVNULL, check=True)
        _prepare(given)
        server = Server(given["command"], given["port"])
    except OSError as error:
        about = {"reason": error.strerror, "name": error.filename}
        control.send(json.dumps({"failed": "start", **about}).encode())
        return
    except subprocess.CalledProcessError as error:
        control.send(json.dumps({"failed": "reset", "exit": error.returncode}).encode())
        return
    control.send(b"{}")
    try:
        while message := control.recv(1 << 16):
            answer, passed = _do(json.loads(message), given["port"], server)
            socket.send_fds(control, [json.dumps(answer).encode()], [one.fileno() for one in passed])
            for one in passed:
                one.close()
    finally:
        server.process.kill()


def _closed_to_others() -> None:
    """Keeps the server, which is the same user, from this program's memory: it would answer for us."""
    with contextlib.suppress(ImportError, OSError, AttributeError):
        import ctypes

        ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)


def _prepare(given: dict[str, Any]) -> None:
    for name in given["folders"]:
        os.makedirs(name, exist_ok=True)
    for name, text in given["files"].items():
        with open(name, "w", encoding="utf-8") as file:
            file.write(text)
    for name, target in given["links"].items():
        with contextlib.suppress(FileExistsError):
            os.symlink(target, name)


class Server:
    """The student's server, which may be started more than once."""

    def __init__(self, command: list[str], port: int) -> None:
        self._command = command
        self._port = port
        self.process = self._started()

    def again(self, asked: dict[str, Any]) -> dict[str, Any]:
        """Ends it by a signal, and starts it at once."""
        with contextlib.suppress(ProcessLookupError):
            self.process.send_signal(asked["signal"])
        try:
            self.process.wait(asked["seconds"])
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process = self._started()
        return _ready(self._port, self.process, asked["seconds"])

    def usage(self) -> dict[str, int]:
        """Returns threads, descriptors and the most memory, of its process and all that this started."""
        threads = descriptors = peak = 0
        for pid in self._all():
            with contextlib.suppress(OSError), open(f"/proc/{pid}/status", encoding="utf-8") as status:
                about = dict(line.split(":", 1) for line in status if ":" in line)
                threads += int(about.get("Threads", "0"))
                peak += int(about.get("VmHWM", "0").split()[0]) << 10
                descriptors += len(os.listdir(f"/proc/{pid}/fd"))
        return {"threads": threads, "descriptors": descriptors, "peak": peak}

    def _all(self) -> list[int]:
        parents = {}
        for name in filter(str.isdigit, os.listdir("/proc")):
            with contextlib.suppress(OSError), open(f"/proc/{name}/stat", encoding="utf-8") as stat:
                parents[int(name)] = int(stat.read().rpartition(")")[2].split()[1])
        found = [self.process.pid]
        for parent in found:
            found += [pid for pid, above in parents.items() if above == parent]
        return found

    def _started(self) -> "subprocess.Popen[bytes]":
        return subprocess.Popen(self._command, stdin=subprocess.DEVNULL)


def _do(asked: dict[str, Any], port: int, server: Server) -> tuple[dict[str, Any], list[socket.socket]]:
    what = asked["do"]
    if what == "again":
        return server.again(asked), []
    if what == "usage":
        return server.usage(), []
    if what == "find":
        return {"names": _holding(asked["text"].encode(), asked["but"])}, []
    if what == "ready":
        return _ready(port, server.process, asked["seconds"]), []
    if what == "connect":
        try:
            return {}, [socket.create_connection(("127.0.0.1", port), asked["seconds"])]
        except TimeoutError:
            return {"late": True}, []
        except OSError as error:
            return {"error": str(error)}, []
    if what == "status":
        with contextlib.suppress(subprocess.TimeoutExpired):
            server.process.wait(asked["seconds"])
        return {"exit": server.process.poll()}, []
    if what == "drained":
        return {"drained": _drained(port, asked["from"], asked["seconds"])}, []
    try:
        with open(asked["path"], "rb") as file:
            return {"content": base64.b64encode(file.read(4096)).decode()}, []
    except OSError:
        return {"content": None}, []


def _holding(text: bytes, but: list[str]) -> list[str]:
    """Returns the files in here that hold a text, ten at the most."""
    found = []
    for folder, _, names in os.walk("."):
        for name in names:
            path = os.path.normpath(os.path.join(folder, name))
            with contextlib.suppress(OSError):
                if path not in but and os.path.isfile(path) and os.path.getsize(path) <= 16 << 20:
                    with open(path, "rb") as file:
                        if text in file.read():
                            found.append(path)
    return sorted(found)[:10]


def _ready(port: int, server: "subprocess.Popen[bytes]", seconds: float) -> dict[str, Any]:
    """Waits until the server listens. Looking does not connect: an empty connection is a test of its own."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if not os.path.exists(_TABLES[0]):  # a sandbox without /proc: nothing else is left than to try
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), seconds):
                return {"ready": True, "exit": None}
        if any(local == port and state == LISTENING for local, _, state, _ in _sockets()):
            return {"ready": True, "exit": None}
        if server.poll() is not None:
            break
        time.sleep(0.01)
    return {"ready": False, "exit": server.poll()}


def _drained(port: int, peer: int, seconds: float) -> bool:
    """Waits until the server has taken all that was sent to it from a port."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        waiting = [queue for local, remote, _, queue in _sockets() if (local, remote) == (port, peer)]
        if not any(waiting):
            return True
        time.sleep(0.001)
    return False


def _sockets() -> "list[tuple[int, int, str, int]]":
    """Returns of each TCP socket in here the local and remote port, the state, and the bytes that wait to be read."""
    found = []
    for name in _TABLES:
        with contextlib.suppress(OSError), open(name, encoding="ascii") as table:
            for line in list(table)[1:]:
                field = line.split()
                ports = [int(one.rpartition(":")[2], 16) for one in field[1:3]]
                found.append((ports[0], ports[1], field[3], int(field[4].partition(":")[2], 16)))
    return found


if __name__ == "__main__":
    main()
