"""A daemon inside the test's own process: as real as a process of its own, but quick to start and easy to look into."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ftpsvc.server.config import Limits, Settings, Timeouts
from ftpsvc.server.daemon import Daemon, running
from ftpsvc.server.extension import Extension
from ftpsvc.storage.base import Durability
from tests.helpers.raw_peer import RawPeer

ANY_PORT = "ftpsvc+tcp://127.0.0.1:0"


@contextmanager
def embedded(
    root: Path,
    *,
    limits: dict[str, Any] | None = None,
    timeouts: dict[str, Any] | None = None,
    extensions: Sequence[Extension] = (),
    **settings: Any,
) -> Iterator[Daemon]:
    """Runs a daemon for the length of a block; guests may write unless `guest` says otherwise.

    Args:
        root: Its root.
        limits: Settings of that section.
        timeouts: Settings of that section.
        extensions: What is added to the server.
        settings: All others.
    """
    values = {"guest": "write", "listen": (ANY_PORT,), "durability": Durability.RELAXED, **settings}
    made = Settings(root=root, limits=Limits(**limits or {}), timeouts=Timeouts(**timeouts or {}), **values)
    with running(made, extensions) as daemon:
        yield daemon


def where(daemon: Daemon) -> tuple[str, int]:
    """Host and port of its first address."""
    address = daemon.addresses[0]
    return address.host, address.port


def dial(daemon: Daemon, **options: Any) -> RawPeer:
    """A raw client of its first address."""
    return RawPeer(where(daemon), **options)
