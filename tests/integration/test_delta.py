"""Updates by blocks: few bytes on the wire, the old version intact, and nothing that a peer can spoil."""

from __future__ import annotations

import hashlib
import os
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ftpsvc.blocks import BlockMap
from ftpsvc.exceptions import Changed, QuotaExceeded, ReadFailed, TooLarge
from ftpsvc.server.daemon import Daemon
from ftpsvc_client import Client, connect, delta
from ftpsvc_client.watching import Unwatched
from tests.helpers.counts import count
from tests.helpers.cutter import cutter
from tests.helpers.embedded import dial, embedded
from tests.helpers.raw_peer import RawPeer, frame

MEBIBYTE = 1 << 20


def edited(content: bytes, share: float, piece: int, seed: int = 1) -> bytes:
    """`content` with so large a share of it changed in place, in pieces of `piece` bytes."""
    chance = random.Random(seed)
    new = bytearray(content)
    for _ in range(max(1, int(len(content) * share / piece))):
        at = chance.randrange(len(content) - piece)
        new[at : at + piece] = chance.randbytes(piece)
    return bytes(new)


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[Daemon]:
    with embedded(tmp_path / "root") as daemon:
        yield daemon


@pytest.fixture
def client(daemon: Daemon) -> Iterator[Client]:
    with connect(daemon.addresses[0]) as client:
        yield client


@pytest.fixture
def public(daemon: Daemon, tmp_path: Path) -> Path:
    return tmp_path / "root" / "public"


class Phases(Unwatched):
    """Notes the phases of a transfer, and the bytes of each."""

    def __init__(self) -> None:
        self.seen: list[list[Any]] = []

    def begin(self, name: str, size: int) -> None:
        self.seen.append(["begin", size, 0])

    def phase(self, name: str, size: int) -> None:
        self.seen.append([name, size, 0])

    def advance(self, count: int) -> None:
        self.seen[-1][2] += count


def wire_bytes(client: Client) -> int:
    link = client._link
    assert link is not None
    return link.channel.wire.sent + link.channel.wire.received


def test_one_percent_changed_costs_less_than_three(client: Client, public: Path, tmp_path: Path) -> None:
    size = count(32 * MEBIBYTE, 1024 * MEBIBYTE)
    chance = random.Random(0)
    content = b"".join(chance.randbytes(MEBIBYTE) for _ in range(size // MEBIBYTE))
    source = tmp_path / "image"
    source.write_bytes(content)
    client.put(source, "/image")
    new = edited(content, 0.01, 64 << 10)
    source.write_bytes(new)
    os.utime(source, ns=(7_000_000_000, 7_000_000_000))
    watch = Phases()
    before = wire_bytes(client)
    stored = client.put(source, "/image", progress=watch)
    spent = wire_bytes(client) - before
    assert spent < 0.03 * size
    assert stored.sent <= spent
    assert (public / "image").read_bytes() == new
    assert (public / "image").stat().st_mtime_ns == 7_000_000_000
    assert client.verify("/image").recorded
    assert [(name, size) for name, size, _ in watch.seen[:2]] == [("begin", size), ("comparing", size)]
    sending = watch.seen[2]
    assert sending[0] == "sending"
    assert sending[1] == sending[2] < stored.sent
    assert watch.seen[1][2] == size
    assert len(watch.seen) == 3


@pytest.mark.parametrize("how", ["put", "sync", "several"])
def test_a_tree_sends_what_differs_of_its_large_files(
    how: str, client: Client, public: Path, tmp_path: Path
) -> None:
    content = random.Random(0).randbytes(16 * MEBIBYTE)
    top = tmp_path / "t"
    top.mkdir()
    names = ["a", "large", "other", "z"]
    for name in names:
        (top / name).write_bytes(content if name in ("large", "other") else b"first")
    client.put_tree(top, "/t")
    (top / "large").write_bytes(edited(content, 0.01, 64 << 10))
    (top / "other").write_bytes(random.Random(1).randbytes(16 * MEBIBYTE))
    (top / "z").write_bytes(b"second")
    with cutter(str(client.address)) as net, connect(net.url) as through:
        if how == "put":
            report = through.put_tree(top, "/t")
        else:
            report = through.sync(top, "/t", connections=2 if how == "several" else 1)
        assert (report.problems, report.files, report.present) == ([], 3, 1)
        assert report.size == 32 * MEBIBYTE + len(b"second")
        assert net.up < 17 * MEBIBYTE
        for name in names:
            assert (public / "t" / name).read_bytes() == (top / name).read_bytes()
        if how == "sync":
            os.utime(top / "large", ns=(7_000_000_000, 7_000_000_000))
            before = net.up
            assert through.sync(top, "/t", delta=False).files == 1
            assert net.up - before > 16 * MEBIBYTE


def test_c50_the_same_content_again_sends_a_map(client: Client, public: Path, tmp_path: Path) -> None:
    source = tmp_path / "f"
    source.write_bytes(os.urandom(9 * MEBIBYTE))
    first = client.put(source, "/f")
    again = client.put(source, "/f")
    assert again.sent == BlockMap.length(first.size, delta.block_size(first.size))
    assert (again.digest, again.version) == (first.digest, first.version)


@pytest.mark.parametrize("change", ["other", "tiny", "missing", "switched off", "small", "no clobber"])
def test_what_is_not_alike_is_sent_whole(change: str, client: Client, public: Path, tmp_path: Path) -> None:
    size = 1 * MEBIBYTE if change == "small" else 9 * MEBIBYTE
    source = tmp_path / "f"
    source.write_bytes(os.urandom(size))
    if change == "tiny":
        client.put(source.read_bytes()[:MEBIBYTE], "/f")
    elif change not in ("missing", "no clobber"):
        client.put(source, "/f")
    if change == "other":
        source.write_bytes(os.urandom(size))
    stored = client.put(source, "/f", delta=change != "switched off", clobber=change != "no clobber")
    assert stored.sent == size
    assert (public / "f").read_bytes() == source.read_bytes()


def test_more_than_half_that_differs_is_sent_whole(client: Client, public: Path, tmp_path: Path) -> None:
    content = os.urandom(16 * MEBIBYTE)
    source = tmp_path / "f"
    source.write_bytes(content)
    client.put(source, "/f")
    source.write_bytes(content[: 7 * MEBIBYTE] + os.urandom(9 * MEBIBYTE))
    assert client.put(source, "/f").sent == len(content)
    assert (public / "f").read_bytes() == source.read_bytes()


@pytest.mark.parametrize("new_size", [8 * MEBIBYTE, 8 * MEBIBYTE + 1, 13 * MEBIBYTE - 1, 30 * MEBIBYTE])
def test_files_that_grew_or_shrank(new_size: int, client: Client, public: Path, tmp_path: Path) -> None:
    content = os.urandom(30 * MEBIBYTE)
    source = tmp_path / "f"
    for old_size in (16 * MEBIBYTE + 5, 8 * MEBIBYTE - 1):
        source.write_bytes(content[:old_size])
        client.put(source, "/f", delta=False)
        source.write_bytes(content[:new_size])
        stored = client.put(source, "/f")
        assert (public / "f").read_bytes() == content[:new_size]
        added = max(0, new_size - old_size)
        if added * 2 < new_size:
            assert stored.sent <= added + 40_000
        else:
            assert stored.sent == new_size


class Meddler(Unwatched):
    """Does something to the files in the middle of a transfer."""

    def __init__(self, phase: str, act: Any) -> None:
        self._phase = phase
        self._act = act

    def phase(self, name: str, size: int) -> None:
        if name == self._phase and self._act is not None:
            act, self._act = self._act, None
            act()


@pytest.mark.parametrize("phase", ["comparing", "sending"])
@pytest.mark.parametrize("by", ["put", "hand", "rm"])
def test_c46_a_version_that_changes_meanwhile_is_never_spliced(
    phase: str, by: str, daemon: Daemon, client: Client, public: Path, tmp_path: Path
) -> None:
    content = os.urandom(10 * MEBIBYTE)
    source = tmp_path / "f"
    source.write_bytes(content)
    client.put(source, "/f")
    new = edited(content, 0.01, 1000)
    source.write_bytes(new)

    def act() -> None:
        if by == "put":
            with connect(daemon.addresses[0]) as other:
                other.put(b"another" * 2_000_000, "/f")
        elif by == "rm":
            (public / "f").unlink()
        else:
            with (public / "f").open("r+b") as file:
                file.seek(5 * MEBIBYTE)
                file.write(os.urandom(3000))

    stored = client.put(source, "/f", progress=Meddler(phase, act))
    assert stored.sent == len(new), "it was sent whole"
    assert (public / "f").read_bytes() == new
    assert client.pwd() == "/", "and the client is as good as new"


def test_c46_a_base_that_is_damaged_without_a_trace_is_found_by_the_digest(
    client: Client, public: Path, tmp_path: Path
) -> None:
    content = os.urandom(10 * MEBIBYTE)
    source = tmp_path / "f"
    source.write_bytes(content)
    client.put(source, "/f")
    info = (public / "f").stat()
    new = edited(content, 0.01, 1000)
    source.write_bytes(new)

    def rot() -> None:
        with (public / "f").open("r+b") as file:
            file.seek(5 * MEBIBYTE)
            file.write(bytes([content[5 * MEBIBYTE] ^ 1]))
        os.utime(public / "f", ns=(info.st_mtime_ns, info.st_mtime_ns))

    assert client.put(source, "/f", progress=Meddler("sending", rot)).sent == len(new)
    assert (public / "f").read_bytes() == new


@pytest.mark.parametrize("how", ["touched", "shortened"])
@pytest.mark.parametrize("drain", [0, 64 * MEBIBYTE])
def test_c46_a_source_that_changes_meanwhile_stores_nothing(how: str, drain: int, tmp_path: Path) -> None:
    content = os.urandom(10 * MEBIBYTE)
    source = tmp_path / "f"
    source.write_bytes(content)
    with (
        embedded(tmp_path / "root", limits={"drain": drain}) as daemon,
        connect(daemon.addresses[0]) as client,
    ):
        client.put(source, "/f")
        source.write_bytes(edited(content, 0.05, 1000))

        def spoil() -> None:
            os.utime(source, ns=(1, 1)) if how == "touched" else os.truncate(source, 4 * MEBIBYTE)

        with pytest.raises((Changed, ReadFailed)):
            client.put(source, "/f", progress=Meddler("sending", spoil))
        assert (tmp_path / "root" / "public" / "f").read_bytes() == content
        assert client.pwd() == "/"


def test_limits_count_the_whole_file(tmp_path: Path) -> None:
    content = os.urandom(10 * MEBIBYTE)
    source = tmp_path / "f"
    source.write_bytes(content)
    with (
        embedded(tmp_path / "root", limits={"file_size": 11 * MEBIBYTE}) as daemon,
        connect(daemon.addresses[0]) as client,
    ):
        client.put(source, "/f")
        source.write_bytes(content + bytes(2 * MEBIBYTE))
        with pytest.raises((TooLarge, QuotaExceeded)):
            client.put(source, "/f")
        assert (tmp_path / "root" / "public" / "f").read_bytes() == content


# ---------------------------------------------------------------- raw bytes

BLOCK = 4096
OLD = random.Random(2).randbytes(5 * BLOCK + 100)


@pytest.fixture
def peer(daemon: Daemon) -> Iterator[RawPeer]:
    with dial(daemon) as peer:
        assert peer.put("/f", OLD)["status"] == "ok"
        yield peer


def blocks_of(content: bytes) -> list[bytes]:
    return [hashlib.sha256(content[at : at + BLOCK]).digest()[:16] for at in range(0, len(content), BLOCK)]


def ask(peer: RawPeer, **fields: Any) -> tuple[dict[str, Any], list[bytes]]:
    answer = peer.ask("blocks", **{"path": "/f", "algorithm": "sha256", "block_size": BLOCK, **fields})
    data = peer.payload(answer.get("size", 0))
    return answer, [data[at : at + 16] for at in range(0, len(data), 16)]


def patch_bytes(version: str, bits: bytes, data: bytes, whole: bytes, **fields: Any) -> bytes:
    request = {
        "op": "patch", "path": "/f", "size": len(bits) + len(data), "file_size": len(whole), "block_size": BLOCK,
        "version": version, "algorithm": "sha256",
    }  # fmt: skip
    return frame(request | fields, bits + data) + frame({"digest": hashlib.sha256(whole).hexdigest()})


def test_blocks_of_any_part_of_a_file(peer: RawPeer) -> None:
    expected = blocks_of(OLD)
    answer, found = ask(peer)
    assert found == expected
    assert answer["file_size"] == len(OLD)
    assert answer["version"] == peer.ask("stat", path="/f")["entry"]["version"]
    for first, number in ((0, 1), (1, 3), (4, 9), (5, 1), (6, 2), (2**62, 65536)):
        assert ask(peer, first=first, count=number)[1] == expected[first : first + number]
    assert ask(peer, version=answer["version"])[1] == expected
    assert ask(peer, version="another")[0]["code"] == "changed"
    assert ask(peer, path="/nothing")[0]["code"] == "not-found"
    assert ask(peer, algorithm="crc32")[0]["code"] == "bad-request"
    assert ask(peer)[1] == expected


def test_c03_a_patch_by_hand_and_what_follows_it(peer: RawPeer, public: Path) -> None:
    version = ask(peer)[0]["version"]
    new = OLD[:BLOCK] + os.urandom(BLOCK) + OLD[2 * BLOCK :] + os.urandom(BLOCK)
    data = new[BLOCK : 2 * BLOCK] + new[5 * BLOCK :]
    peer.send(patch_bytes(version, b"\x62", data, new) + frame({"op": "pwd"}))
    answer = peer.read()
    assert answer["status"] == "ok", answer
    assert answer["digest"] == hashlib.sha256(new).hexdigest()
    assert answer["version"] != version
    assert peer.read()["path"] == "/"
    assert (public / "f").read_bytes() == new


def test_c01_a_patch_that_dribbles_in(peer: RawPeer, public: Path) -> None:
    version = ask(peer)[0]["version"]
    new = OLD[:-1] + b"!"
    data = patch_bytes(version, b"\x20", new[5 * BLOCK :], new)
    for at in range(0, len(data), 3):
        peer.send(data[at : at + 3])
    assert peer.read()["status"] == "ok"
    assert (public / "f").read_bytes() == new


def test_an_empty_file_out_of_any(peer: RawPeer, public: Path) -> None:
    peer.send(patch_bytes(ask(peer)[0]["version"], b"", b"", b""))
    assert peer.read()["file_size"] == 0
    assert (public / "f").read_bytes() == b""
    answer, found = ask(peer)
    assert (answer["size"], found) == (0, [])


@pytest.mark.parametrize(
    ("bits", "data", "size", "fields"),
    [
        (b"\x40", b"", len(OLD), {}),  # a bit behind the last block
        (b"\x00", b"x", len(OLD), {}),  # bytes of no block
        (b"\x01", b"x", len(OLD), {}),  # less than the block that is marked
        (b"\x20", bytes(BLOCK), len(OLD), {}),  # a short block as if it were a long one
        (b"\x00", b"", len(OLD) + 1, {}),  # a byte that the version does not have
        (b"\x3f\x00", bytes(len(OLD)), 9 * BLOCK, {}),  # blocks that it does not have
        (b"", b"", len(OLD), {}),  # no map at all
        (b"\x00", b"", 2**62, {"block_size": 16 << 20}),  # more blocks than are allowed
        (b"\x00", b"", 0, {}),  # a map of nothing
        (b"\x00", b"", len(OLD), {"algorithm": "crc32"}),
    ],
)
def test_c06_a_map_that_does_not_fit_is_refused(
    bits: bytes, data: bytes, size: int, fields: dict[str, Any], peer: RawPeer, public: Path
) -> None:
    version = ask(peer)[0]["version"]
    peer.send(patch_bytes(version, bits, data, b"", **{"file_size": size, **fields}))
    answer = peer.read()
    assert (answer["code"], answer["fatal"]) == ("bad-request", False), answer
    assert peer.ask("pwd")["path"] == "/"
    assert (public / "f").read_bytes() == OLD
    assert not list((public.parent / "public" / ".ftpsvc" / "staging").iterdir())


@pytest.mark.parametrize("trailer", [{"digest": "0" * 64}, {"error": {"code": "read-failed"}}])
def test_c45_what_is_not_what_was_meant_is_not_stored(
    trailer: dict[str, Any], peer: RawPeer, public: Path
) -> None:
    version = ask(peer)[0]["version"]
    whole = patch_bytes(version, b"\x01", bytes(BLOCK), OLD)
    end = len(frame({"digest": "0" * 64}))
    peer.send(whole[:-end] + frame(trailer))
    assert peer.read()["code"] in ("digest-mismatch", "read-failed")
    assert (public / "f").read_bytes() == OLD


def test_c10_another_version_is_refused_and_the_connection_goes_on(peer: RawPeer, public: Path) -> None:
    for path, code in (("/f", "changed"), ("/g", "not-found"), ("/", "is-a-directory")):
        peer.send(patch_bytes("v0", b"\x01", bytes(BLOCK), OLD, path=path))
        assert peer.read()["code"] == code
    assert (public / "f").read_bytes() == OLD


@pytest.mark.parametrize("at", ["map", "block", "trailer"])
def test_c47_a_patch_that_breaks_off_leaves_the_old_version(at: str, daemon: Daemon, public: Path) -> None:
    with dial(daemon) as peer:
        assert peer.put("/f", OLD)["status"] == "ok"
        data = patch_bytes(ask(peer)[0]["version"], b"\x03", bytes(2 * BLOCK), OLD)
        trailer = len(frame({"digest": "0" * 64}))
        peer.send(
            data[: {"map": -trailer - 2 * BLOCK - 1, "block": -trailer - BLOCK, "trailer": -trailer}[at]]
        )
        peer.half_close()
        assert peer.at_end()
    assert (public / "f").read_bytes() == OLD
    assert not list((public / ".ftpsvc" / "staging").iterdir())


def test_guests_who_may_only_read_get_blocks_and_change_nothing(tmp_path: Path) -> None:
    with embedded(tmp_path / "root", guest="read") as daemon:
        (tmp_path / "root" / "public" / "f").write_bytes(OLD)
        with dial(daemon) as peer:
            answer, found = ask(peer)
            assert found == blocks_of(OLD)
            peer.send(patch_bytes(answer["version"], b"\x01", bytes(BLOCK), OLD))
            assert peer.read()["code"] in ("permission-denied", "auth-required")
    with embedded(tmp_path / "other", guest="none") as daemon, dial(daemon) as peer:
        assert ask(peer)[0]["code"] == "auth-required"
