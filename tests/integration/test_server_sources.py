"""Files that are large, that change while they are sent, and clients that read slowly."""

import hashlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ftpsvc.server.daemon import Daemon
from tests.helpers.counts import count
from tests.helpers.embedded import dial, embedded
from tests.helpers.raw_peer import RawPeer, frame

MIB = 1 << 20
SIZE = 48 * MIB
"""More than the kernel buffers between a server and a client that does not read."""

LONG_AGO = 1_600_000_000_000_000_000


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[Daemon]:
    with embedded(tmp_path / "root") as running:
        yield running


@pytest.fixture
def public(daemon: Daemon) -> Path:
    return daemon.settings.root / "public"


def sparse(path: Path, size: int) -> None:
    with open(path, "wb") as file:
        file.truncate(size)
    os.utime(path, ns=(LONG_AGO, LONG_AGO))


# ---------------------------------------------------------------- large files


@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    "size",
    [
        pytest.param(2**31 - 1, marks=pytest.mark.full_only),
        pytest.param(2**31, marks=pytest.mark.full_only),
        pytest.param(2**31 + 1, marks=pytest.mark.full_only),
        pytest.param(2**32 - 1, marks=pytest.mark.full_only),
        pytest.param(2**32, marks=pytest.mark.full_only),
        2**32 + 1,
    ],
)
def test_c07_sizes_round_two_and_four_gib(daemon: Daemon, public: Path, size: int) -> None:
    sparse(public / "large", size)
    with open(public / "large", "r+b") as file:
        file.seek(size - 5)
        file.write(b"the end"[-5:])
    os.utime(public / "large", ns=(LONG_AGO, LONG_AGO))
    with dial(daemon) as peer:
        peer.sock.settimeout(600)  # four GiB to hash, on whatever machine
        # Once it is on record, the digest of the whole costs nothing, and the rest is sent by the kernel.
        digest = peer.ask("verify", path="large")["digest"]
        assert peer.ask("stat", path="large")["entry"]["file_size"] == size
        for offset in (size - 5, size - 3 * MIB, size):
            answer = peer.ask("get", path="large", algorithm="blake3", offset=offset)
            assert (answer["size"], answer["file_size"]) == (size - offset, size)
            tail = peer.payload(answer["size"])
            assert tail == (bytes(max(0, size - offset - 5)) + b"e end")[: size - offset]
            assert peer.read() == {"digest": digest}
        answer = peer.ask("get", path="large", algorithm="blake3", offset=size + 1)
        assert (answer["code"], answer["limit"]) == ("bad-offset", size)


@pytest.mark.full_only
@pytest.mark.timeout(900)
@pytest.mark.parametrize("size", [2**31 - 1, 2**31 + 1, 2**32 - 1, 2**32 + 1])
def test_c07_the_whole_way_there_and_back(daemon: Daemon, public: Path, size: int) -> None:
    piece = os.urandom(MIB)
    hasher = hashlib.sha256()
    with dial(daemon) as peer:
        peer.send(frame({"op": "put", "path": "large", "size": size, "algorithm": "sha256"}))
        for start in range(0, size, MIB):
            part = piece[: min(MIB, size - start)]
            hasher.update(part)
            peer.send(part)
        peer.send(frame({"digest": hasher.hexdigest()}))
        assert peer.read()["file_size"] == size
        assert (public / "large").stat().st_size == size
        assert peer.ask("get", path="large", algorithm="sha256")["size"] == size
        back = hashlib.sha256()
        for start in range(0, size, MIB):
            back.update(peer.payload(min(MIB, size - start)))
        assert peer.read() == {"digest": back.hexdigest()} == {"digest": hasher.hexdigest()}


# ---------------------------------------------------------------- sources that change while they are sent


def truncate(path: Path) -> None:
    os.truncate(path, MIB)


def grow(path: Path) -> None:
    with open(path, "ab") as file:
        file.write(b"more")


def overwrite(path: Path) -> None:
    with open(path, "r+b") as file:
        file.seek(SIZE - 10)
        file.write(b"changed")


def start_get(daemon: Daemon, algorithm: str) -> tuple[RawPeer, bytes]:
    """Asks for the file and reads the beginning; the server then waits for room to send the rest."""
    peer = dial(daemon, receive_buffer=8192)
    answer = peer.ask("get", path="file", algorithm=algorithm)
    assert answer["size"] == SIZE
    return peer, peer.payload(1000)


# sha256: the digest is on record, so the kernel sends the file. md5: the server reads and hashes it.
@pytest.mark.parametrize("algorithm", ["sha256", "md5"])
@pytest.mark.parametrize("change", [truncate, grow, overwrite])
def test_c46_a_source_that_changes_is_reported_and_the_connection_goes_on(
    daemon: Daemon, public: Path, algorithm: str, change: Callable[[Path], None]
) -> None:
    with dial(daemon) as peer:
        assert peer.put("file", os.urandom(SIZE))["status"] == "ok"
    peer, _ = start_get(daemon, algorithm)
    with peer:
        change(public / "file")
        peer.payload(SIZE - 1000)  # filled up, so that the framing holds
        trailer = peer.read()
        assert set(trailer) == {"error"}
        assert trailer["error"]["code"] == "changed"
        assert peer.ask("pwd")["status"] == "ok"
        assert peer.put("next", b"served")["status"] == "ok"


@pytest.mark.parametrize("algorithm", ["sha256", "md5"])
def test_c46_more_missing_than_is_filled_up_ends_the_connection(tmp_path: Path, algorithm: str) -> None:
    with embedded(tmp_path / "root", limits={"drain": MIB}) as daemon:
        with dial(daemon) as peer:
            peer.put("file", os.urandom(SIZE))
        peer, _ = start_get(daemon, algorithm)
        with peer:
            truncate(tmp_path / "root" / "public" / "file")
            with pytest.raises(EOFError):
                peer.payload(SIZE - 1000)
        assert daemon.registry.wait_empty(60)


def remove(path: Path) -> None:
    path.unlink()


def replace(path: Path) -> None:
    path.with_name("other").write_bytes(b"new")
    path.with_name("other").rename(path)


@pytest.mark.parametrize("algorithm", ["sha256", "md5"])
@pytest.mark.parametrize("change", [remove, replace])
def test_c46_a_source_that_is_replaced_is_sent_to_its_end(
    daemon: Daemon, public: Path, algorithm: str, change: Callable[[Path], None]
) -> None:
    data = os.urandom(SIZE)
    with dial(daemon) as peer:
        peer.put("file", data)
    peer, beginning = start_get(daemon, algorithm)
    with peer:
        change(public / "file")
        assert beginning + peer.payload(SIZE - 1000) == data
        assert peer.read() == {"digest": hashlib.new(algorithm, data).hexdigest()}


def test_a_reader_goes_on_with_the_old_version_while_a_new_one_comes(daemon: Daemon) -> None:
    old, new = os.urandom(SIZE), os.urandom(1000)
    with dial(daemon) as writer:
        writer.put("file", old)
        reader, beginning = start_get(daemon, "sha256")
        with reader:
            assert writer.put("file", new)["status"] == "ok"
            assert beginning + reader.payload(SIZE - 1000) == old
            assert reader.read() == {"digest": hashlib.sha256(old).hexdigest()}
            assert reader.get("file")[0] == new


# ---------------------------------------------------------------- slow clients


@pytest.mark.parametrize("algorithm", ["sha256", "md5"])
def test_c09_a_slow_reader_with_a_tiny_buffer(daemon: Daemon, algorithm: str) -> None:
    size = count(2, 20) * MIB
    data = os.urandom(size)
    with dial(daemon) as writer:
        writer.put("file", data)
    with dial(daemon, receive_buffer=1) as peer:
        answer = peer.ask("get", path="file", algorithm=algorithm)
        received = bytearray()
        while len(received) < answer["size"]:
            received += peer.payload(min(700, answer["size"] - len(received)))
        assert received == data
        assert peer.read() == {"digest": hashlib.new(algorithm, data).hexdigest()}


@pytest.mark.parametrize("buffers", [1, 64])
def test_c55_slow_clients_never_delay_another(tmp_path: Path, buffers: int) -> None:
    """Were one of them waited for, this test would hang until its guard."""
    with embedded(tmp_path / "root", limits={"buffers": buffers}) as daemon, dial(daemon) as quick:
        data = os.urandom(SIZE)
        assert quick.put("file", data)["status"] == "ok"
        slow = [start_get(daemon, algorithm)[0] for algorithm in ("sha256", "md5", "sha256", "md5")]
        for path in (
            "file",
            "new",
        ):  # uploads that stall, one of them to the very name that the quick one uses
            slow.append(dial(daemon))
            slow[-1].send(
                frame({"op": "put", "path": path, "size": SIZE, "algorithm": "md5"}, bytes(SIZE // 2))
            )
        slow.append(dial(daemon))
        slow[-1].send(frame({"op": "ls"})[:7])
        slow.append(dial(daemon))
        try:
            for _ in range(3):
                assert quick.put("file", data[: SIZE // 4])["status"] == "ok"
                assert quick.get("file")[0] == data[: SIZE // 4]
                assert quick.ask("mkdir", path="d")["status"] == "ok"
                assert quick.ask("mv", path="file", to="d/file")["status"] == "ok"
                assert quick.ask("verify", path="d/file")["status"] == "ok"
                assert quick.ask("rm", path="d", recursive=True)["removed"] == 2
            with dial(daemon) as another:
                assert another.ask("pwd")["status"] == "ok"
        finally:
            for peer in slow:
                peer.close()
