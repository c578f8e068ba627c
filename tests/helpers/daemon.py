"""A real `ftpsvc-server` process: started on port 0, found by the line that it prints, always ended."""

import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

GUARD = 180.0
"""Seconds after which something that must happen is taken to have failed."""

_LISTENING = re.compile(r"^ftpsvc-server: listening on (\S+)$")


class ServerProcess:
    """A running server.

    Attributes:
        root: Its root; guests' `/` is `public` in it, if nothing else is shared.
        urls: What it listens on, in the order in which it said so.
        lines: What it wrote to stderr so far.
        process: The process.
    """

    def __init__(self, root: Path, process: "subprocess.Popen[str]") -> None:
        self.root = root
        self.process = process
        self.lines: list[str] = []
        self._changed = threading.Condition()
        self._ended = False
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stderr is not None
        with self.process.stderr as stream:
            for line in stream:
                with self._changed:
                    self.lines.append(line.rstrip("\n"))
                    self._changed.notify_all()
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    def wait_for(self, text: str) -> str:
        """Returns the first line with `text` in it, waiting until it is there."""

        def found() -> str | None:
            return next((line for line in self.lines if text in line), None)

        with self._changed:
            self._changed.wait_for(lambda: found() is not None or self._ended, GUARD)
            line = found()
        assert line is not None, f"no {text!r} in:\n" + "\n".join(self.lines)
        return line

    @property
    def urls(self) -> list[str]:
        return [match[1] for line in self.lines if (match := _LISTENING.match(line))]

    @property
    def url(self) -> str:
        """The first of `urls`."""
        return self.urls[0]

    @property
    def where(self) -> tuple[str, int]:
        """Host and port of the first address."""
        host, _, port = self.url.partition("://")[2].rpartition(":")
        return host.strip("[]"), int(port)

    @property
    def public(self) -> Path:
        """The folder that guests see."""
        return self.root / "public"

    def status(self, key: str) -> int:
        """A number of /proc/PID/status, for instance VmRSS (KiB) or Threads."""
        text = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(next(line for line in text.splitlines() if line.startswith(f"{key}:")).split()[1])

    def descriptors(self) -> int:
        """How many descriptors it has open."""
        return len(os.listdir(f"/proc/{self.process.pid}/fd"))

    def process_seconds(self) -> float:
        """Processor time that it has used."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def signal(self, number: int = signal.SIGTERM) -> None:
        """Sends a signal to it."""
        self.process.send_signal(number)

    def end(self) -> int:
        """Waits until it has ended; returns its exit code."""
        code = self.process.wait(GUARD)
        self._reader.join()
        return code

    def stop(self) -> int:
        """Stops it as an operator would; returns its exit code."""
        self.signal()
        return self.end()

    def kill(self) -> None:
        """Ends it as a crash would."""
        self.process.kill()
        self.end()


@contextmanager
def server(
    root: Path,
    *flags: str,
    guest: str = "write",
    settings: Mapping[str, Any] | None = None,
    listen: str = "ftpsvc+tcp://127.0.0.1:0",
    before: Callable[[], None] | None = None,
    internal_errors: bool = False,
    module: str = "ftpsvc.server",
    environment: Mapping[str, str] | None = None,
) -> Iterator[ServerProcess]:
    """Runs a server for the length of a block.

    Args:
        root: Its root.
        flags: Further flags.
        guest: What guests may do.
        settings: Settings by name, as `{"limits.connections": 1}`; they go through its environment.
        listen: Its address.
        before: Is run in the new process before the server, to lower a limit for instance.
        internal_errors: Whether the log may hold errors that nobody expected.
        module: What is run, if it is not the daemon as it is.
        environment: Further variables for it.
    """
    variables = dict(os.environ) | dict(environment or {})
    for name, value in (settings or {}).items():
        variables["FTPSVCD_" + name.upper().replace(".", "__")] = str(value)
    command = [sys.executable, "-m", module]
    command += ["--root", str(root), "--listen", listen, "--guest", guest, *flags]
    process = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        encoding="utf-8",
        env=variables,
        preexec_fn=before,
    )
    running = ServerProcess(root, process)
    try:
        running.wait_for("ready")
        yield running
        if process.poll() is None:
            assert running.stop() == 0
        if not internal_errors:
            assert not [line for line in running.lines if "internal-error" in line or "Traceback" in line]
    finally:
        if process.poll() is None:
            process.kill()
        running.end()
