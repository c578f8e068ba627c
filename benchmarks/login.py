"""What being somebody costs: a log-in by token, a whole visit over TLS, and a connection that only waits (Linux).

A log-in's processor time is that of connections with one less that of the same connections as a guest, in turns. The
bounds beside the figures are what the project promises.
"""

from __future__ import annotations

import argparse
import resource
import socket
import ssl
import statistics
import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from functools import partial
from pathlib import Path

from benchmarks import peers
from benchmarks.measure import Footprint, processor_seconds
from ftpsvc.accounts.store import Accounts
from ftpsvc.credentials import Credentials, Kind, new_token, token_text
from ftpsvc.scram import derive
from ftpsvc.server.tls import FILE, FOLDER, Certificates
from ftpsvc_client import connect

_IDLE = 200
_VISITS = 100
"""In a turn."""
_LOGIN_CPU = 3.0
_VISIT = 12.0
_IDLE_KIB = 150


def run(work: Path, options: argparse.Namespace) -> str:
    """Returns the table."""
    root, share = work / "login-root", work / "login-share"
    share.mkdir()
    (root / ".ftpsvc").mkdir(parents=True, mode=0o700)
    (share / "file").write_text("x")
    fingerprint = Certificates(root).current.fingerprint
    with Accounts(root) as accounts:
        user, secret = accounts.add("alice"), new_token()
        token = accounts.issue_token(user, "benchmark", derive(secret, Kind.TOKEN))
    somebody = Credentials.token("alice", token_text(token.id, secret))
    config = work / "login.toml"
    config.write_text(f"[limits]\nper_user = {2 * _IDLE}\n")
    flags = ("--config", str(config), "--log-level", "warning")
    with peers.ftpsvc_server(root, share, *flags, listen="ftpsvc://127.0.0.1:0") as (url, pid):

        def visit(who: Credentials | None) -> None:
            with connect(url, credentials=who, fingerprint=fingerprint) as client:
                client.list()

        idle = _idle(pid, lambda: connect(url, credentials=somebody, fingerprint=fingerprint))
        visits, guests = _Turns(pid), _Turns(pid)
        for number in range(-1, options.rounds):
            for turns, who in ((visits, somebody), (guests, None)):
                turns.take(partial(visit, who), counts=number >= 0)
    with peers.bare_tls_server(root / FOLDER / FILE) as (port, bare_pid):
        bare = _idle(bare_pid, lambda: _bare(port))
    server, client = visits.server - guests.server, visits.client - guests.client
    lines = [
        "## Log-ins",
        "",
        f"By device token over TLS on loopback, {options.rounds * _VISITS:,} visits of each kind in turns.",
        "",
        "| | | must be |",
        "| --- | --- | --- |",
        f"| processor time of a log-in, server | {server:.2f} ms | < {_LOGIN_CPU:.0f} ms |",
        f"| processor time of a log-in, client | {client:.2f} ms | < {_LOGIN_CPU:.0f} ms |",
        f"| connect, TLS, log-in, ls, quit: median | {visits.median:.2f} ms | < {_VISIT:.0f} ms |",
        f"| the same as a guest: median | {guests.median:.2f} ms | |",
        f"| each of {_IDLE} idle connections, logged in | {idle:.0f} KiB | < {_IDLE_KIB} KiB |",
        f"| a thread that holds a bare TLS connection | {bare:.0f} KiB | |",
    ]
    return "\n".join(lines) + "\n"


class _Turns:
    """Visits of one kind: how long each took, and the processor time on both sides, in milliseconds."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._server = self._client = 0.0
        self._seconds: list[float] = []

    def take(self, visit: Callable[[], object], *, counts: bool) -> None:
        """Makes a turn of visits, which counts or only warms up."""
        server, client, seconds = processor_seconds(self._pid), time.process_time(), []
        for _ in range(_VISITS):
            start = time.perf_counter()
            visit()
            seconds.append(time.perf_counter() - start)
        if counts:
            self._server += processor_seconds(self._pid) - server
            self._client += time.process_time() - client
            self._seconds += seconds

    @property
    def server(self) -> float:
        return self._server / len(self._seconds) * 1000

    @property
    def client(self) -> float:
        return self._client / len(self._seconds) * 1000

    @property
    def median(self) -> float:
        return statistics.median(self._seconds) * 1000


def _idle(pid: int, dial: Callable[[], AbstractContextManager[object]]) -> float:
    """Returns the KiB that a server holds for each of `_IDLE` connections that wait."""
    resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
    with dial():  # what the first connection loads is none of the others'
        pass
    before = _at_rest(pid)
    with ExitStack() as stack:
        for _ in range(_IDLE):
            stack.enter_context(dial())
        after = _at_rest(pid)
    return (after - before) / _IDLE / 1024


def _at_rest(pid: int) -> int:
    """Returns the resident bytes of a process once they stay the same: what is idle gives its buffers back."""
    pause, last = threading.Event(), -1
    for _ in range(40):
        pause.wait(0.5)
        now = Footprint.of(pid).resident
        if now == last:
            break
        last = now
    return last


def _bare(port: int) -> ssl.SSLSocket:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context.wrap_socket(socket.create_connection(("127.0.0.1", port)))
