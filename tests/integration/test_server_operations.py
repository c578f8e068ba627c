"""Every operation, asked for by a peer that knows nothing but docs/protocol.md."""

import json
import os
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from ftpsvc.server.daemon import Daemon
from tests.helpers.counts import count
from tests.helpers.embedded import dial, embedded, where
from tests.helpers.raw_peer import RawPeer, frame, put_bytes


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[Daemon]:
    with embedded(tmp_path / "root") as running:
        yield running


@pytest.fixture
def peer(daemon: Daemon) -> Iterator[RawPeer]:
    with dial(daemon) as peer:
        yield peer


@pytest.fixture
def public(daemon: Daemon) -> Path:
    return daemon.settings.root / "public"


def names(peer: RawPeer, path: str = ".", **fields: object) -> list[str]:
    return [entry["name"] for entry in peer.ls(path, **fields)]


# ---------------------------------------------------------------- the greeting


def test_the_greeting_says_what_a_client_needs(peer: RawPeer) -> None:
    greeting = peer.greeting
    assert greeting["service"] == "ftpsvc"
    assert greeting["version"] == 1
    assert greeting["algorithms"] == ["blake3", "sha256", "md5"]
    assert greeting["guest"] == "write"
    assert greeting["mechanisms"] == ["SCRAM-SHA-256"]  # on this machine; TLS has the bound one
    assert {"auth", "whoami", "set-password", "issue-token", "revoke-token"} <= set(greeting["features"])
    assert {"stat", "pwd", "mkdir", "rm", "mv", "df", "verify"} <= set(greeting["features"])
    assert {"offset", "version", "pages", "recursive", "digests", "no-clobber"} <= set(greeting["features"])
    assert greeting["limits"] == {
        "header": 65536, "window": 256, "window_bytes": 262144, "drain": 64 << 20, "page": 1000,
    }  # fmt: skip
    assert greeting["time"] > 1_700_000_000_000_000_000


def test_the_banner_is_passed_on(tmp_path: Path) -> None:
    with embedded(tmp_path / "root", banner="Course server: 你好") as daemon, dial(daemon) as peer:
        assert peer.greeting["banner"] == "Course server: 你好"


@pytest.mark.parametrize("listen", ["ftpsvc+tcp://127.0.0.1:0", "ftpsvc+tcp://[::1]:0", "ftpsvc+unix"])
def test_each_transport_serves(tmp_path: Path, short_tmp: Path, listen: str) -> None:
    path = short_tmp / "s"
    url = f"ftpsvc+unix://{path}" if listen == "ftpsvc+unix" else listen
    with embedded(tmp_path / "root", listen=(url,)) as daemon:
        at = str(path) if listen == "ftpsvc+unix" else where(daemon)
        with RawPeer(at) as peer:
            assert peer.put("a", b"over any transport")["status"] == "ok"
            assert peer.get("a")[0] == b"over any transport"
    assert not path.exists()


# ---------------------------------------------------------------- put and get


@pytest.mark.parametrize("algorithm", ["sha256", "md5"])
@pytest.mark.parametrize("size", [0, 1, 65536, 131072, 131073, (1 << 20) - 1, (1 << 20) + 1, 5 << 20])
def test_c08_put_and_get_of_any_size(peer: RawPeer, public: Path, algorithm: str, size: int) -> None:
    data = os.urandom(size)
    answer = peer.put("file", data, algorithm, modified=1_600_000_000_123_456_789, mode=0o755)
    assert answer == {
        "status": "ok",
        "path": "/file",
        "file_size": size,
        "algorithm": algorithm,
        "digest": answer["digest"],
        "modified": 1_600_000_000_123_456_789,
        "version": answer["version"],
    }
    assert (public / "file").read_bytes() == data
    received, header = peer.get("file", algorithm)
    assert received == data
    assert header["file_size"] == header["size"] == size
    assert header["version"] == answer["version"]
    assert header["modified"] == 1_600_000_000_123_456_789
    assert header["mode"] & 0o100


def test_a_digest_of_another_algorithm_is_computed_while_it_streams(peer: RawPeer) -> None:
    data = os.urandom(3 << 20)
    peer.put("file", data, "sha256")
    assert peer.get("file", "md5")[0] == data
    assert peer.get("file", "sha256")[0] == data


def test_a_file_put_there_by_hand_is_served(peer: RawPeer, public: Path) -> None:
    data = os.urandom(2 << 20)
    (public / "by-hand").write_bytes(data)
    assert peer.get("by-hand")[0] == data
    assert peer.get("by-hand", offset=1 << 20, prefix=data[: 1 << 20])[0] == data[1 << 20 :]


def test_a_digest_that_was_computed_once_is_on_record(peer: RawPeer, public: Path) -> None:
    (public / "by-hand").write_bytes(b"by hand")
    os.utime(public / "by-hand", ns=(1_600_000_000_000_000_000,) * 2)
    assert "digest" not in peer.ask("stat", path="by-hand")["entry"]
    peer.get("by-hand", "md5")
    assert peer.ask("stat", path="by-hand")["entry"]["algorithm"] == "md5"
    # What is on record stays: it is what tells bits that rotted from bits that were sent.
    peer.get("by-hand", "sha256")
    assert peer.ask("stat", path="by-hand")["entry"]["algorithm"] == "md5"


def test_get_from_an_offset(peer: RawPeer) -> None:
    data = os.urandom(300_000)
    version = peer.put("file", data)["version"]
    for offset in (0, 1, 150_000, 299_999, 300_000):
        received, header = peer.get("file", offset=offset, version=version, prefix=data[:offset])
        assert received == data[offset:]
        assert (header["size"], header["file_size"]) == (300_000 - offset, 300_000)


def test_c48_get_of_another_version_is_refused(peer: RawPeer) -> None:
    old = peer.put("file", b"one content")["version"]
    peer.put("file", b"two content")
    answer = peer.ask("get", path="file", algorithm="sha256", offset=3, version=old)
    assert (answer["code"], answer["fatal"], answer["retry"]) == ("changed", False, True)
    assert peer.get("file")[0] == b"two content"


def test_c49_offsets_that_do_not_fit(peer: RawPeer) -> None:
    peer.put("file", b"ten bytes!")
    answer = peer.ask("get", path="file", algorithm="sha256", offset=11)
    assert (answer["code"], answer["offset"], answer["limit"]) == ("bad-offset", 11, 10)
    for bad in (-1, 1.5, "3", True, 2**63):
        answer = peer.ask("get", path="file", algorithm="sha256", offset=bad)
        assert (answer["code"], answer["fatal"]) == ("bad-request", False)
    for bad in (5, 10, 11):
        answer = peer.put("file", b"other", offset=bad)
        assert (answer["code"], answer["limit"]) == ("bad-offset", 0)
    assert peer.get("file")[0] == b"ten bytes!"


def test_c50_the_same_content_again(peer: RawPeer) -> None:
    first = peer.put("file", b"same", modified=1_700_000_000_000_000_000)
    again = peer.put("file", b"same", modified=1_700_000_000_000_000_000)
    assert again == first
    assert names(peer) == ["file"]


def test_put_replaces_and_no_clobber_refuses(peer: RawPeer) -> None:
    peer.put("file", b"old")
    answer = peer.put("file", b"new", clobber=False)
    assert (answer["code"], answer["path"], answer["fatal"]) == ("already-exists", "/file", False)
    assert peer.get("file")[0] == b"old"
    assert peer.put("file", b"new")["status"] == "ok"
    assert peer.get("file")[0] == b"new"


@pytest.mark.parametrize("size", [100, 3 << 20])
def test_c45_content_that_does_not_match_its_digest_is_refused(
    peer: RawPeer, public: Path, size: int
) -> None:
    peer.put("file", b"what was there")
    data = bytearray(os.urandom(size))
    message = bytearray(put_bytes("file", bytes(data)))
    message[-(size // 2) - 90] ^= 1  # a bit of the payload, flipped on the way
    peer.send(bytes(message))
    answer = peer.read()
    assert (answer["code"], answer["fatal"], answer["retry"]) == ("digest-mismatch", False, True)
    assert peer.get("file")[0] == b"what was there"
    assert names(peer) == ["file"]
    assert not list((public / ".ftpsvc" / "staging").iterdir())


def test_an_upload_that_its_sender_could_not_finish_leaves_nothing(peer: RawPeer) -> None:
    request = frame({"op": "put", "path": "file", "size": 1000, "algorithm": "sha256"}, bytes(1000))
    peer.send(request + frame({"error": {"code": "read-failed", "message": "\x1b[31mthe disk\nfailed"}}))
    answer = peer.read()
    assert (answer["code"], answer["fatal"]) == ("read-failed", False)
    assert "\x1b" not in answer["message"]
    assert "\n" not in answer["message"]
    assert peer.ls() == []


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"path": "missing/file"}, "not-found"),
        ({"path": "."}, "is-a-directory"),
        ({"path": "dir"}, "is-a-directory"),
        ({"path": "taken/file"}, "not-a-directory"),
        ({"path": "link"}, "not-a-file"),
        ({"path": ""}, "invalid-path"),
        ({"path": "a\0b"}, "invalid-path"),
        ({"path": "x" * 256}, "invalid-path"),
        ({"path": "x/" * 100 + "x"}, "invalid-path"),
        ({"path": 7}, "bad-request"),
        ({"path": None}, "bad-request"),
        ({"algorithm": "crc32"}, "bad-request"),
        ({"algorithm": None}, "bad-request"),
        ({"offset": 3}, "bad-offset"),
        ({"file_size": 3}, "bad-request"),
        ({"modified": -1}, "bad-request"),
        ({"mode": 0o10000}, "bad-request"),
        ({"clobber": "no"}, "bad-request"),
    ],
)
@pytest.mark.parametrize("size", [10, 200_000])
def test_c10_a_refused_put_leaves_the_connection_usable(
    peer: RawPeer, public: Path, fields: dict[str, object], code: str, size: int
) -> None:
    (public / "dir").mkdir()
    (public / "taken").write_bytes(b"")
    (public / "link").symlink_to("taken")
    before = sorted(names(peer))
    data = os.urandom(size)
    request = {"op": "put", "path": "file", "size": size, "algorithm": "sha256"} | fields
    # The next requests are on their way before the refusal is known.
    peer.send(
        frame(request, data)
        + frame({"digest": "0" * 64})
        + put_bytes("next", b"served")
        + frame({"op": "pwd"})
    )
    answer = peer.read()
    assert (answer["status"], answer["code"], answer["fatal"]) == ("error", code, False)
    assert peer.read()["path"] == "/next"
    assert peer.read() == {"status": "ok", "path": "/"}
    assert sorted(names(peer)) == sorted([*before, "next"])


def test_c10_a_file_that_is_too_large_is_refused_before_its_first_byte(tmp_path: Path) -> None:
    with (
        embedded(tmp_path / "root", limits={"file_size": 1000, "drain": 5000}) as daemon,
        dial(daemon) as peer,
    ):
        assert peer.greeting["limits"]["file_size"] == 1000
        assert peer.put("fits", bytes(1000))["status"] == "ok"
        answer = peer.put("large", bytes(1001))
        assert (answer["code"], answer["requested"], answer["limit"]) == ("too-large", 1001, 1000)
        assert (answer["fatal"], answer["retry"]) == (False, False)
        # More than the server is willing to read for nothing: it says so at once, and closes.
        peer.send(frame({"op": "put", "path": "huge", "size": 2**40, "algorithm": "sha256"}))
        answer = peer.read()
        assert (answer["code"], answer["fatal"]) == ("too-large", True)
        assert peer.at_end()


# ---------------------------------------------------------------- directories


def test_cd_and_pwd(peer: RawPeer, public: Path) -> None:
    (public / "a" / "b").mkdir(parents=True)
    (public / "file").write_bytes(b"")
    (public / "link").symlink_to("a")
    assert peer.ask("pwd") == {"status": "ok", "path": "/"}
    assert peer.ask("cd", path="a/b") == {"status": "ok", "path": "/a/b"}
    assert peer.ask("cd", path="..") == {"status": "ok", "path": "/a"}
    assert peer.put("here", b"x")["path"] == "/a/here"
    assert peer.ask("cd", path="../file")["code"] == "not-a-directory"
    assert peer.ask("cd", path="../link")["code"] == "not-a-directory"
    assert peer.ask("cd", path="missing")["code"] == "not-found"
    assert peer.ask("cd", path="../../..")["code"] == "invalid-path"
    assert peer.ask("pwd") == {"status": "ok", "path": "/a"}
    assert peer.ask("cd", path="/") == {"status": "ok", "path": "/"}


def test_mkdir(peer: RawPeer, public: Path) -> None:
    assert peer.ask("mkdir", path="a") == {"status": "ok", "path": "/a", "created": True}
    assert peer.ask("mkdir", path="a")["code"] == "already-exists"
    assert peer.ask("mkdir", path="a", parents=True)["created"] is False
    assert peer.ask("mkdir", path="x/y/z")["code"] == "not-found"
    assert peer.ask("mkdir", path="x/y/z", parents=True)["created"] is True
    assert (public / "x" / "y" / "z").is_dir()
    assert peer.ask("mkdir", path="/")["code"] == "already-exists"
    assert peer.ask("mkdir", path="/", parents=True) == {"status": "ok", "path": "/", "created": False}


def test_rm(peer: RawPeer, public: Path) -> None:
    (public / "d" / "e").mkdir(parents=True)
    (public / "d" / "f").write_bytes(b"x")
    assert peer.ask("rm", path="d")["code"] == "not-empty"
    assert peer.ask("rm", path="d/f") == {"status": "ok", "removed": 1}
    assert peer.ask("rm", path="d/f")["code"] == "not-found"
    assert peer.ask("rm", path="d", recursive=True) == {"status": "ok", "removed": 2}
    assert peer.ls() == []


def test_mv(peer: RawPeer) -> None:
    peer.put("a", b"content of a")
    peer.put("b", b"content of b")
    peer.ask("mkdir", path="d")
    assert peer.ask("mv", path="a", to="b", clobber=False)["code"] == "already-exists"
    assert peer.ask("mv", path="a", to="d/c") == {"status": "ok", "path": "/d/c"}
    assert peer.ask("mv", path="d/c", to="b") == {"status": "ok", "path": "/b"}
    assert peer.get("b")[0] == b"content of a"
    assert peer.ask("mv", path="b", to="d")["code"] == "already-exists"
    assert peer.ask("mv", path="missing", to="x")["code"] == "not-found"
    assert peer.ask("mv", path="d", to="d/e")["code"] == "invalid-path"
    assert names(peer) == ["b", "d"]


@pytest.mark.parametrize("path", ["/", ".", "a/..", "//", "/./"])
def test_c33_the_root_stays_where_it_is(peer: RawPeer, path: str) -> None:
    peer.ask("mkdir", path="a")
    peer.put("a/file", b"x")
    assert peer.ask("rm", path=path)["code"] == "permission-denied"
    assert peer.ask("rm", path=path, recursive=True)["code"] == "permission-denied"
    assert peer.ask("mv", path=path, to="b")["code"] == "permission-denied"
    assert peer.ask("mv", path="a", to=path)["code"] == "permission-denied"
    assert names(peer, recursive=True) == ["a", "a/file"]


def test_stat(peer: RawPeer, public: Path) -> None:
    stored = peer.put("file", b"12345", modified=1_600_000_000_000_000_000)
    answer = peer.ask("stat", path="file")
    assert answer["path"] == "/file"
    assert answer["entry"] == {
        "name": "file",
        "type": "file",
        "file_size": 5,
        "modified": 1_600_000_000_000_000_000,
        "mode": (public / "file").stat().st_mode & 0o7777,
        "version": stored["version"],
        "algorithm": "sha256",
        "digest": stored["digest"],
    }
    assert peer.ask("stat", path="/")["entry"]["type"] == "dir"
    assert peer.ask("stat", path="missing")["code"] == "not-found"
    assert peer.ask("stat", path="file/below")["code"] == "not-a-directory"


def test_df(peer: RawPeer) -> None:
    answer = peer.ask("df")
    assert answer["status"] == "ok"
    assert answer["free"] > 0
    assert "limit" not in answer


def test_quit_is_answered_and_ends(peer: RawPeer) -> None:
    assert peer.ask("quit") == {"status": "ok"}
    assert peer.at_end()


# ---------------------------------------------------------------- listings


def test_ls_of_nothing_and_of_one_file(peer: RawPeer) -> None:
    assert peer.ls() == []
    peer.put("file", b"12345")
    peer.ask("mkdir", path="empty")
    assert peer.ls("empty") == []
    (entry,) = peer.ls("file")
    assert (entry["name"], entry["type"], entry["file_size"]) == ("file", "file", 5)
    assert peer.ask("ls", path="missing")["code"] == "not-found"


def test_ls_in_pages(peer: RawPeer, public: Path) -> None:
    expected = sorted(f"file {number:03}" for number in range(57))
    for name in expected:
        (public / name).write_bytes(b"")
    assert names(peer, limit=10) == expected
    assert names(peer, limit=57) == expected
    first = peer.ask("ls", limit=1)
    peer.payload(first["size"])
    # The cursor is enough to go on with: the entry that it stands for may be gone by then.
    (public / expected[0]).unlink()
    answer = peer.ask("ls", limit=1, cursor=first["cursor"])
    assert json.loads(peer.payload(answer["size"]))["name"] == expected[1]


def test_ls_recursive_in_pages(peer: RawPeer, public: Path) -> None:
    for directory in ("a", "a/b", "c"):
        (public / directory).mkdir()
        for name in ("1", "2"):
            (public / directory / name).write_bytes(b"")
    expected = ["a", "a/1", "a/2", "a/b", "a/b/1", "a/b/2", "c", "c/1", "c/2"]
    for limit in (1, 2, 4, 100):
        assert names(peer, recursive=True, limit=limit) == expected
    assert names(peer, "a", recursive=True) == ["1", "2", "b", "b/1", "b/2"]


def test_ls_without_versions(peer: RawPeer, public: Path) -> None:
    peer.put("stored", b"stored content")
    (public / "dir").mkdir()
    versions = {"stored": peer.ask("stat", path="stored")["entry"]["version"]}
    plain = peer.ls()
    assert {entry["name"]: entry["version"] for entry in plain if "version" in entry} == versions
    bare = peer.ls(versions=False)
    assert bare == [{key: value for key, value in entry.items() if key != "version"} for entry in plain]
    (single,) = peer.ls("stored", versions=False)
    assert single == bare[1]
    # A digest belongs to a version: who asks for that gets both.
    assert peer.ls(digests=True, versions=False) == peer.ls(digests=True)


def test_a_page_is_bounded_in_bytes_too(peer: RawPeer, public: Path) -> None:
    deep = public.joinpath(*["d" * 250] * 14)
    deep.mkdir(parents=True)
    expected = [f"{number:04}" for number in range(400)]
    for name in expected:
        (deep / name).write_bytes(b"")
    answer = peer.ask("ls", recursive=True)
    assert answer["size"] < 1_100_000
    assert len(peer.payload(answer["size"]).splitlines()) < 400
    assert "cursor" in answer
    found = names(peer, recursive=True)
    assert [name.rpartition("/")[2] for name in found if name.count("/") == 14] == expected


def test_ls_never_gives_more_than_the_setting_says(tmp_path: Path) -> None:
    with embedded(tmp_path / "root", limits={"page": 3}) as daemon, dial(daemon) as peer:
        for number in range(7):
            peer.put(f"{number}", b"")
        answer = peer.ask("ls", limit=1000)
        assert len(peer.payload(answer["size"]).splitlines()) == 3
        assert len(peer.ls()) == 7


@pytest.mark.parametrize(
    "cursor",
    [
        "",
        "!",
        "x",
        "Li4=",
        "Lg==",
        "YS8uLi9i",
        "L2V0Yw==",
        "AA==",
        "é",
        "YQ",
        "Y Q==",
        "A" * 8192,
        "YQ==\n",
        7,
        ["a"],
    ],
)
def test_a_hostile_cursor_is_a_bad_request(peer: RawPeer, cursor: object) -> None:
    answer = peer.ask("ls", cursor=cursor)
    assert (answer["code"], answer["fatal"]) == ("bad-request", False)
    assert peer.ls() == []


def test_ls_with_digests_computes_those_that_are_missing(peer: RawPeer, public: Path) -> None:
    peer.put("stored", b"stored content", "md5")
    (public / "by-hand").write_bytes(b"put there by hand")
    os.utime(public / "by-hand", ns=(1_600_000_000_000_000_000,) * 2)
    (public / "dir").mkdir()
    (public / "link").symlink_to("stored")
    plain = {entry["name"]: entry for entry in peer.ls()}
    assert all("digest" not in entry for entry in plain.values())
    whichever = {entry["name"]: entry for entry in peer.ls(digests=True)}
    assert whichever["stored"]["algorithm"] == "md5"
    assert whichever["by-hand"]["algorithm"] == "blake3"
    assert "digest" not in whichever["dir"]
    assert "digest" not in whichever["link"]
    for algorithm in ("sha256", "md5"):
        entries = {entry["name"]: entry for entry in peer.ls(digests=True, algorithm=algorithm)}
        assert entries["stored"]["algorithm"] == entries["by-hand"]["algorithm"] == algorithm
    (single,) = peer.ls("by-hand", digests=True)
    assert single["digest"] == whichever["by-hand"]["digest"]
    # It was computed once, and is on record now; that of the upload stays what it was.
    assert peer.ask("stat", path="by-hand")["entry"]["digest"] == single["digest"]
    assert peer.ask("stat", path="stored")["entry"]["algorithm"] == "md5"
    assert peer.ask("ls", digests=True, algorithm="crc32")["code"] == "bad-request"


# ---------------------------------------------------------------- verify


def test_verify_compares_with_the_record(peer: RawPeer) -> None:
    stored = peer.put("file", os.urandom(3 << 20))
    answer = peer.ask("verify", path="file")
    assert answer == {
        "status": "ok",
        "path": "/file",
        "algorithm": "sha256",
        "digest": stored["digest"],
        "file_size": 3 << 20,
        "recorded": True,
    }


def test_verify_records_what_was_not_on_record(peer: RawPeer, public: Path) -> None:
    (public / "by-hand").write_bytes(b"by hand")
    os.utime(public / "by-hand", ns=(1_600_000_000_000_000_000,) * 2)
    first = peer.ask("verify", path="by-hand", algorithm="md5")
    assert (first["algorithm"], first["recorded"]) == ("md5", False)
    again = peer.ask("verify", path="by-hand")
    assert (again["algorithm"], again["digest"], again["recorded"]) == ("md5", first["digest"], True)


def test_c45_verify_finds_a_byte_that_rotted_on_the_disk(peer: RawPeer, public: Path) -> None:
    data = bytearray(os.urandom(2 << 20))
    stored = peer.put("file", bytes(data))
    times = os.stat(public / "file")
    with open(public / "file", "r+b") as file:
        file.seek(1_234_567)
        file.write(bytes([data[1_234_567] ^ 1]))
    os.utime(public / "file", ns=(times.st_atime_ns, times.st_mtime_ns))
    answer = peer.ask("verify", path="file")
    assert (answer["code"], answer["retry"], answer["fatal"]) == ("digest-mismatch", False, False)
    assert answer["expected"] == stored["digest"]
    # Nor does a reader get it for good: the trailer is the digest of what was stored.
    answer = peer.ask("get", path="file", algorithm="sha256")
    assert peer.payload(answer["size"]) != bytes(data)
    assert peer.read() == {"digest": stored["digest"]}


# ---------------------------------------------------------------- rights


WRITING = [
    {"op": "mkdir", "path": "new"},
    {"op": "rm", "path": "file"},
    {"op": "mv", "path": "file", "to": "other"},
]
READING = [
    {"op": "ls"},
    {"op": "stat", "path": "file"},
    {"op": "cd", "path": "."},
    {"op": "pwd"},
    {"op": "df"},
    {"op": "verify", "path": "file"},
]


def test_c39_guests_who_may_read_cannot_write(tmp_path: Path) -> None:
    with embedded(tmp_path / "root", guest="read") as daemon, dial(daemon) as peer:
        public = tmp_path / "root" / "public"
        (public / "file").write_bytes(b"content")
        assert peer.greeting["guest"] == "read"
        for request in WRITING:
            peer.send(frame(request))
            assert peer.read()["code"] == "permission-denied"
        assert peer.put("new", b"x")["code"] == "permission-denied"
        assert peer.put("file", b"x")["code"] == "permission-denied"
        for request in READING:
            peer.send(frame(request))
            answer = peer.read()
            assert answer["status"] == "ok"
            peer.payload(answer.get("size", 0))
        assert peer.get("file")[0] == b"content"
        assert names(peer) == ["file"]


def test_c11_without_guests_everything_but_quit_asks_for_a_log_in(tmp_path: Path) -> None:
    with embedded(tmp_path / "root", guest="none") as daemon, dial(daemon) as peer:
        (tmp_path / "root" / "public" / "file").write_bytes(b"content")
        assert peer.greeting["guest"] == "none"
        assert peer.greeting["limits"]["header"] == 4096
        for request in [
            *WRITING,
            *READING,
            {"op": "get", "path": "file", "algorithm": "md5"},
            {"op": "stat"},
        ]:
            peer.send(frame(request))
            answer = peer.read()
            assert (answer["code"], answer["fatal"]) == ("auth-required", False)
        assert peer.put("file", b"x")["code"] == "auth-required"
        assert peer.ask("quit") == {"status": "ok"}


def test_a_shared_folder_is_served_and_left_as_it_was(tmp_path: Path) -> None:
    share = tmp_path / "share"
    share.mkdir()
    (share / "file").write_bytes(b"shared")
    with embedded(tmp_path / "root", guest=None, share=share) as daemon, dial(daemon) as peer:
        assert peer.greeting["guest"] == "read"
        assert peer.get("file")[0] == b"shared"
        assert peer.put("file", b"x")["code"] == "permission-denied"
    assert [path.name for path in share.rglob("*")] == ["file"]
    with embedded(tmp_path / "root", guest="write", share=share) as daemon, dial(daemon) as peer:
        assert peer.put("new", b"from a guest")["status"] == "ok"
    assert (share / "new").read_bytes() == b"from a guest"


# ---------------------------------------------------------------- names


HOSTILE = [
    "../etc/passwd", "..", "/..", "a/../..", "./../x", "a/b/../../../x", "..\\..\\x", "C:\\x",
    "\\\\host\\share", "a\\b", "a\nb", "a\x7fb", "a\x9bb", "\x00", "/" * 5000, "é" * 128, ".ftpsvc",
    ".ftpsvc/staging", "/.FTPSVC/x", "./.ftpsvc/digests",
]  # fmt: skip


@pytest.mark.parametrize("path", HOSTILE)
def test_c14_c15_hostile_names_in_every_argument_of_every_op(peer: RawPeer, public: Path, path: str) -> None:
    root = public.parent
    (root / "secret").write_bytes(b"outside")
    peer.put("file", b"x")
    peer.ask("mkdir", path="dir")
    before = sorted(str(found) for found in root.rglob("*"))
    codes = {"invalid-path", "not-found", "permission-denied"}
    requests: list[dict[str, object]] = [
        {"op": op, "path": path} for op in ("ls", "stat", "cd", "rm", "mkdir", "verify")
    ]
    requests += [
        {"op": "rm", "path": path, "recursive": True},
        {"op": "mkdir", "path": path, "parents": True},
        {"op": "get", "path": path, "algorithm": "md5"},
        {"op": "mv", "path": path, "to": "other"},
        {"op": "mv", "path": "file", "to": path},
    ]
    for request in requests:
        peer.send(frame(request))
        answer = peer.read()
        assert answer["status"] == "error", request
        assert answer["code"] in codes, request
        assert str(root) not in json.dumps(answer)
    assert peer.put(path, b"x")["code"] in codes | {"is-a-directory"}
    assert sorted(str(found) for found in root.rglob("*")) == before
    assert (root / "secret").read_bytes() == b"outside"
    assert peer.ask("pwd")["status"] == "ok"


@pytest.mark.parametrize("path", ["/etc/passwd", "//etc/passwd", "///etc//passwd/", "./etc/./passwd"])
def test_c14_an_absolute_name_begins_at_the_sessions_root(peer: RawPeer, public: Path, path: str) -> None:
    assert peer.ask("stat", path=path)["code"] == "not-found"
    peer.ask("mkdir", path="etc")
    assert peer.put(path, b"ours")["path"] == "/etc/passwd"
    assert (public / "etc" / "passwd").read_bytes() == b"ours"


@pytest.mark.parametrize(
    "name",
    [
        "-rf",
        "--help",
        "; rm -rf .",
        "$(id)",
        "`id`",
        "a|b",
        "a&b",
        "a>b",
        "*",
        "?",
        "~",
        "%s%n",
        "{}",
        "!!",
        "-",
        " ",
    ],
)
def test_c22_shell_metacharacters_and_dashes_are_just_names(peer: RawPeer, public: Path, name: str) -> None:
    peer.put("bystander", b"still here")
    assert peer.put(name, b"content")["path"] == f"/{name}"
    assert peer.get(name)[0] == b"content"
    assert sorted(names(peer)) == sorted(["bystander", name])
    assert (public / name).read_bytes() == b"content"
    assert peer.ask("mkdir", path=f"{name}.d")["created"] is True
    assert peer.ask("mv", path=name, to=f"{name}.d/{name}")["status"] == "ok"
    assert peer.ask("rm", path=f"{name}.d", recursive=True)["removed"] == 2
    assert names(peer) == ["bystander"]


def test_c20_links_fifos_sockets_and_devices_are_listed_and_not_served(
    peer: RawPeer, public: Path, short_tmp: Path
) -> None:
    outside = public.parent / "outside"
    outside.mkdir()
    (outside / "secret").write_bytes(b"secret")
    (public / "dirlink").symlink_to(outside)
    (public / "link").symlink_to(outside / "secret")
    os.mkfifo(public / "fifo")
    with socket.socket(socket.AF_UNIX) as planted:
        os.symlink(public, short_tmp / "p")
        planted.bind(str(short_tmp / "p" / "socket"))
        kinds = {entry["name"]: entry["type"] for entry in peer.ls()}
        assert kinds == {"dirlink": "link", "link": "link", "fifo": "other", "socket": "other"}
        for name in ("link", "fifo", "socket"):
            assert peer.ask("get", path=name, algorithm="md5")["code"] == "not-a-file"
            assert peer.ask("verify", path=name)["code"] == "not-a-file"
            assert peer.put(name, b"x")["code"] == "not-a-file"
        for path in ("dirlink/secret", "dirlink/new"):
            assert peer.ask("stat", path=path)["status"] == "error"
            assert peer.put(path, b"x")["status"] == "error"
        assert peer.ask("rm", path="dirlink", recursive=True)["removed"] == 1
    assert [path.name for path in outside.iterdir()] == ["secret"]
    assert (outside / "secret").read_bytes() == b"secret"


def test_c30_names_of_all_kinds_come_back_as_they_were(peer: RawPeer) -> None:
    kinds = [
        " ",
        "a b",
        '"',
        "'",
        "a:b",
        "CON",
        "trailing.",
        "trailing ",
        "😀",
        "مرحبا",
        "ü",
        "你好",
        "x" * 255,
        "é" * 127,
    ]
    for name in kinds:
        assert peer.put(name, name.encode())["status"] == "ok"
    assert sorted(names(peer)) == sorted(kinds)
    for name in kinds:
        assert peer.get(name)[0] == name.encode()
    decomposed = "u\u0308"  # the same name as a client on macOS sends it
    assert peer.get(decomposed)[0] == "ü".encode()


# ---------------------------------------------------------------- many at once


def test_c26_users_that_interleave_see_nothing_of_each_other(daemon: Daemon) -> None:
    users = count(20, 50)
    rounds = count(3, 20)
    together = threading.Barrier(users)
    failures: list[str] = []

    def user(number: int) -> None:
        try:
            with dial(daemon) as peer:
                home = f"user {number}"
                assert peer.ask("mkdir", path=home)["created"]
                assert peer.ask("cd", path=home)["path"] == f"/{home}"
                together.wait()
                for turn in range(rounds):
                    mine = f"{number}:{turn}".encode() * 1000
                    assert peer.put(f"file {turn}", mine)["path"] == f"/{home}/file {turn}"
                    assert peer.ask("mkdir", path=f"d{turn}")["created"]
                    assert peer.ask("cd", path=f"d{turn}")["path"] == f"/{home}/d{turn}"
                    assert peer.ls() == []
                    assert peer.get(f"../file {turn}")[0] == mine
                    assert peer.ask("cd", path="..")["path"] == f"/{home}"
                    expected = [f"{kind}{index}" for kind in ("d", "file ") for index in range(turn + 1)]
                    assert sorted(names(peer)) == sorted(expected)
                assert peer.ask("quit")["status"] == "ok"
        except Exception as error:  # noqa: BLE001 -- of whatever kind: the test tells
            together.abort()
            failures.append(f"user {number}: {error!r}")

    threads = [threading.Thread(target=user, args=(number,)) for number in range(users)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
