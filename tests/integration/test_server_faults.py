"""Storages that tests need: some that break, also in ways that their contract does not allow, and two at once."""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from ftpsvc.addresses import Address
from ftpsvc.buffers import BufferPool
from ftpsvc.digests import Bytes
from ftpsvc.exceptions import NoSpace, ReadFailed, Unavailable
from ftpsvc.paths import ROOT, RemotePath
from ftpsvc.server.config import Limits, Settings
from ftpsvc.server.conversation import Context
from ftpsvc.server.guests import Guests
from ftpsvc.server.namespace import Mount, Namespace
from ftpsvc.server.peers import Peer
from ftpsvc.server.registry import Registry
from ftpsvc.server.session import Session
from ftpsvc.server.tcp import listen
from ftpsvc.storage.base import Digest, Entry, Reader, Storage, Upload
from ftpsvc.storage.memory import MemoryStorage
from tests.helpers.raw_peer import RawPeer, frame

ROOM = 2 << 20


class _Reader(Reader):
    """Reads zeros, and fails after `good` bytes."""

    def __init__(self, path: str, size: int, good: int, error: Callable[[str], Exception] | None) -> None:
        self.entry = Entry("file", "file", size, version="1")
        self._path = path
        self._left = good
        self._error = error

    def read_into(self, view: memoryview) -> int:
        done = min(len(view), self._left, 10_000)  # short reads, as they may come
        if not done and self._error is not None:
            raise self._error(self._path)
        view[:done] = bytes(done)
        self._left -= done
        return done

    def seek(self, offset: int) -> None:
        self._left -= offset

    def fileno(self) -> int | None:
        return None

    def check_unchanged(self) -> None:
        pass

    def record(self, digest: Digest) -> None:
        pass

    def close(self) -> None:
        pass


class Broken(MemoryStorage):
    """A storage with faults, one for each name."""

    def stat(self, path: RemotePath) -> Entry:
        if path.name == "bug":
            raise ZeroDivisionError("a fault of ours")
        return super().stat(path)

    def read(self, path: RemotePath) -> Reader:
        size = 3 << 20
        if path.name == "disk":
            return _Reader(str(path), size, 1_500_000, lambda path: ReadFailed(path, "Input/output error"))
        if path.name == "short":
            return _Reader(str(path), size, 1_500_000, None)
        if path.name == "read-bug":
            return _Reader(str(path), size, 1_500_000, lambda path: ZeroDivisionError(path))
        return super().read(path)

    def create(self, path: RemotePath, size: int, **options: object) -> Upload:
        if path.name == "unavailable":
            raise Unavailable(str(path), "the server's disk failed")
        upload = super().create(path, size, **options)  # type: ignore[arg-type]  # handed on as they came
        if path.name == "full":
            return _FullUpload(upload, ROOM)
        if path.name == "full at once":
            return _FullUpload(upload, 0)
        return upload


class _FullUpload(Upload):
    """An upload that finds the disk full after a while."""

    def __init__(self, upload: Upload, room: int) -> None:
        self.path = upload.path
        self.written = 0
        self._upload = upload
        self._room = room

    def write(self, data: object) -> None:
        assert isinstance(data, memoryview)
        self.written += len(data)
        if self.written > self._room:
            raise NoSpace(str(self.path))
        self._upload.write(data)

    def place(self, data: Bytes, offset: int) -> None:
        self._upload.place(data, offset)

    def take(self, count: int, source: Reader | None, scratch: memoryview) -> None:
        self._upload.take(count, source, scratch)

    def commit(self, digest: str | None) -> Entry:
        return self._upload.commit(digest)

    def abort(self) -> None:
        self._upload.abort()


@contextmanager
def serving(
    storage: Storage, *, guests: Guests | None = None, drain: int = 64 << 20
) -> Iterator[tuple[str, int]]:
    settings = Settings(limits=Limits(drain=drain))
    registry = Registry(100, 100)
    context = Context(settings, registry, BufferPool(), guests or Guests("write", storage))
    address = Address.parse("ftpsvc+tcp://127.0.0.1:0", listening=True)
    (listener,), _ = listen([address], backlog=100, socket_mode=0o600)
    listener.start(context, None)
    try:
        yield listener.address.host, listener.address.port
    finally:
        registry.stop()
        listener.stop()
        registry.cut()
        assert registry.wait_empty(60)
        registry.join_ended()


def test_an_unexpected_error_ends_one_connection_and_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    with serving(Broken()) as where, RawPeer(where) as witness:
        for _ in range(3):
            with RawPeer(where) as peer:
                answer = peer.ask("stat", path="bug")
                assert (answer["code"], answer["fatal"], answer["retry"]) == ("internal", True, False)
                assert "a fault of ours" not in answer["message"]
                assert peer.at_end()
        assert witness.ask("stat", path="/")["status"] == "ok"
    errors = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert [record.getMessage() for record in errors] == ["internal-error"] * 3


def test_an_unexpected_error_in_mid_content_just_ends_it(caplog: pytest.LogCaptureFixture) -> None:
    with serving(Broken()) as where, RawPeer(where) as peer:
        answer = peer.ask("get", path="read-bug", algorithm="md5")
        with pytest.raises(EOFError):
            peer.payload(answer["size"])
    assert "internal-error" in [record.getMessage() for record in caplog.records]


@pytest.mark.parametrize(("name", "code"), [("disk", "read-failed"), ("short", "changed")])
def test_c46_c54_a_disk_that_fails_in_mid_read_is_told_in_the_trailer(name: str, code: str) -> None:
    with serving(Broken()) as where, RawPeer(where) as peer:
        answer = peer.ask("get", path=name, algorithm="md5")
        assert peer.payload(answer["size"]) == bytes(3 << 20)
        assert peer.read()["error"]["code"] == code
        assert peer.ask("verify", path=name)["code"] == code
        answer = peer.ask(
            "get", path=name, algorithm="md5", offset=2 << 20
        )  # its prefix must be hashed first
        assert (answer["code"], answer["fatal"]) == (code, False)
        assert peer.ask("pwd")["status"] == "ok"
    with serving(Broken(), drain=1000) as where, RawPeer(where) as peer:
        answer = peer.ask("get", path=name, algorithm="md5")
        with pytest.raises(EOFError):
            peer.payload(answer["size"])


@pytest.mark.parametrize("size", [1000, 100_000, 5 << 20])
@pytest.mark.parametrize("name", ["full", "full at once", "unavailable"])
def test_c10_c54_a_disk_that_fails_in_mid_put(name: str, size: int) -> None:
    storage = Broken()
    with serving(storage) as where, RawPeer(where) as peer:
        answer = peer.put(name, bytes(size))
        if name == "full" and size < ROOM:
            assert answer["status"] == "ok"
        else:
            expected = "unavailable" if name == "unavailable" else "no-space"
            assert (answer["code"], answer["retry"], answer["fatal"]) == (expected, True, False)
            assert peer.ls() == []
        assert peer.put("next", b"served")["status"] == "ok"
        peer.send(frame({"op": "quit"}))
        assert peer.read() == {"status": "ok"}


class _TwoMounts(Guests):
    """Sees a home of its own, and papers in it that are kept elsewhere, as users will."""

    def __init__(self, home: Storage, papers: Storage) -> None:
        super().__init__("write", home)
        mounts = [
            Mount(ROOT, home, writable=True),
            Mount(RemotePath(("course", "papers")), papers, writable=True),
        ]
        self._two = Namespace(mounts)

    def open_session(
        self, number: int, peer: Peer, *, on_every_address: bool, binding: bytes | None = None
    ) -> Session:
        session = super().open_session(number, peer, on_every_address=on_every_address, binding=binding)
        session.namespace = self._two
        return session


def test_c33_mount_points_stay_and_nothing_is_moved_across_them() -> None:
    home, papers = MemoryStorage(), MemoryStorage()
    home.make_directory(RemotePath(("course", "notes")), parents=True)
    with serving(home, guests=_TwoMounts(home, papers)) as where, RawPeer(where) as peer:
        assert peer.put("/course/papers/1", b"paper")["path"] == "/course/papers/1"
        assert papers.stat(RemotePath(("1",))).size == 5
        for path in ("/", "/course", "/course/papers", "course/papers/1/.."):
            assert peer.ask("rm", path=path, recursive=True)["code"] == "permission-denied"
            assert peer.ask("mv", path=path, to="/elsewhere")["code"] == "permission-denied"
            assert peer.ask("mv", path="/course/notes", to=path)["code"] == "permission-denied"
        assert peer.ask("mv", path="/course/papers/1", to="/1")["code"] == "permission-denied"
        assert peer.ask("mv", path="/course/papers/1", to="/course/papers/2")["path"] == "/course/papers/2"
        assert peer.ask("mkdir", path="/course/papers")["code"] == "already-exists"
        assert peer.ask("mkdir", path="/course/papers", parents=True)["created"] is False
        assert peer.ask("cd", path="/course/papers")["path"] == "/course/papers"
        assert (
            peer.ask("stat", path="3")["path"] == "/course/papers/3"
        )  # of the error: as the client knows it
        assert peer.ask("rm", path="2")["removed"] == 1
        assert peer.ask("cd", path="../notes")["path"] == "/course/notes"
