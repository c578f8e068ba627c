"""What may be added to the daemon from above."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import pytest

from ftpsvc.exceptions import ConfigError, PermissionDenied
from ftpsvc.paths import RemotePath
from ftpsvc.protocol.headers import Located, Pwd
from ftpsvc.server.audit import Audit
from ftpsvc.server.auditread import Wanted, read
from ftpsvc.server.exchange import Exchange
from ftpsvc.server.extension import Grounds
from ftpsvc.server.namespace import Mount
from ftpsvc.server.service import Operation
from ftpsvc.server.session import Session
from ftpsvc.storage.memory import MemoryStorage
from tests.helpers.embedded import dial, embedded
from tests.helpers.users import add_user, log_in


class Addition:
    """Serves `pwd` in its own way, and shows a folder of its own."""

    features: Sequence[str] = ("addition",)

    def __init__(self, fault: str | None = None) -> None:
        self.operations: Mapping[str, Operation] = {}
        self.steps: list[str] = []
        self.audit: Audit | None = None
        self._fault = fault
        self._storage = MemoryStorage()

    def start(self, grounds: Grounds) -> None:
        if self._fault is not None:
            raise ConfigError(self._fault)
        assert grounds.accounts.user("ann").name == "ann"
        assert (grounds.root / "handouts").is_dir()
        self.steps.append("start")

    def mounts(self, session: Session) -> Iterable[Mount]:
        assert session.identity is not None
        self.steps.append(f"mounts for {session.identity.user.name}")
        session.on_end(lambda: self.steps.append("session ended"))
        yield Mount(RemotePath(("extra",)), self._storage, writable=True)
        yield Mount(RemotePath(("handouts",)), self._storage, writable=False)

    def expire(self, seconds: float) -> int:
        return 0

    def stop(self) -> None:
        self.steps.append("stop")


def where_am_i(exchange: Exchange, request: Pwd) -> Located:
    if exchange.session.identity is None:
        raise PermissionDenied("not for guests")
    exchange.about["note"] = "kept"
    return Located(path="/from/the/extension")


def test_an_extension_adds_operations_mounts_and_features_and_ends_with_the_daemon(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from ftpsvc.server import daemon as daemon_module
    from ftpsvc.server.service import OPERATIONS

    # As if the server did not serve `pwd` itself.
    without = {name: one for name, one in OPERATIONS.items() if name not in ("pwd", "df")}
    monkeypatch.setattr(daemon_module, "OPERATIONS", without)
    root = tmp_path / "root"
    ann = add_user(root, "ann")
    addition = Addition()
    addition.operations = {"pwd": Operation(where_am_i, kept=True)}
    with embedded(root, guest="read", extensions=[addition]) as daemon:
        with dial(daemon) as peer:
            assert "addition" in peer.greeting["features"]
            assert peer.ask("pwd")["code"] == "permission-denied"
            log_in(peer, ann)
            assert peer.ask("pwd")["path"] == "/from/the/extension"
            assert peer.put("/extra/file", b"x")["status"] == "ok"
            assert [one["name"] for one in peer.ls("/")] == ["extra", "handouts"]
            # The extension's own is in the place of the server's: the same storage, and read-only.
            assert [one["name"] for one in peer.ls("/handouts")] == ["file"]
            assert peer.put("/handouts/file", b"y")["code"] == "permission-denied"
            # An operation of the protocol that nobody here serves is unknown, and harms nothing.
            assert peer.ask("df")["code"] == "unknown-op"
            assert peer.ask("stat", path="/extra/file")["entry"]["file_size"] == 1
        kept = list(read(root, Wanted(None, "", "", "pwd")))
        assert [(one["result"], one.get("user"), one.get("note")) for one in kept] == [
            ("permission-denied", None, None),
            ("ok", "ann", "kept"),
        ]
    assert addition.steps == ["start", "mounts for ann", "session ended", "stop"]


def test_extensions_that_do_not_go_together_are_refused_at_once(tmp_path: Path) -> None:
    first = Addition()
    first.operations = {"pwd": Operation(where_am_i)}
    with (
        pytest.raises(ConfigError, match="serve the operation pwd"),
        embedded(tmp_path / "r", extensions=[first]),
    ):
        pass


def test_an_extension_that_cannot_start_leaves_nothing_open(tmp_path: Path) -> None:
    root = tmp_path / "root"
    add_user(root, "ann")
    good, bad = Addition(), Addition("no room for homework")
    with pytest.raises(ConfigError, match="no room for homework"), embedded(root, extensions=[good, bad]):
        pass
    assert good.steps == ["start", "stop"]
    with embedded(root):  # nobody holds the root's lock
        pass
