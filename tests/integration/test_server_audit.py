"""The audit: what is in it, that it is there after kill -9, and how it is read."""

import io
import json
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from ftpsvc import digests
from ftpsvc.exceptions import AuthenticationFailed, ConfigError, FtpsvcError, QuotaExceeded
from ftpsvc.server.allowance import ADDRESS_BURST, ALL_BURST, Allowance
from ftpsvc.server.audit import Audit, Urgency, line, record_beside
from ftpsvc.server.auditread import Wanted, moment, read, shown
from ftpsvc_client import Credentials, connect
from tests.helpers.counts import count
from tests.helpers.daemon import GUARD, server
from tests.helpers.embedded import ANY_PORT, dial, embedded
from tests.helpers.logins import Clock
from tests.helpers.raw_peer import RawPeer, frame
from tests.helpers.users import add_user

NAME = "a 名 \u202e'\".txt"


def events(root: Path, **wanted: Any) -> list[dict[str, Any]]:
    return list(read(root, Wanted(**wanted)))


def command(*arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "ftpsvc.server", *arguments],
        capture_output=True,
        encoding="utf-8",
        check=False,
    )


def digest(data: bytes) -> str:
    hasher = digests.new("blake3")
    hasher.update(data)
    return hasher.hexdigest()


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "root"


def test_who_did_what(root: Path, short_tmp: Path) -> None:
    alice = add_user(root, "alice", quota=1000)
    with embedded(root, guest="none", listen=(f"ftpsvc+unix://{short_tmp}/s",)) as daemon:
        url = str(daemon.addresses[0])
        with pytest.raises(AuthenticationFailed):
            connect(url, credentials=Credentials.password("alice", "wrong password"))
        with connect(url, credentials=alice) as client:
            client.list()
            client.mkdir("/d")
            client.cd("/d")
            client.put(b"content", NAME)
            client.rename(NAME, "/b")
            client.get("/b", io.BytesIO())
            with pytest.raises(QuotaExceeded):
                client.put(bytes(2000), "/large")
            with pytest.raises(FtpsvcError):
                client.mkdir("/handouts/mine")
            client.set_password("correct horse battery")
            token = client.issue_token("laptop")
            assert client.revoke_token(token.partition(".")[0].partition("-")[0]) in (0, 1)
            client.remove("/b")
    found = events(root)
    text = b"".join(path.read_bytes() for path in (root / ".ftpsvc" / "audit").iterdir())
    for secret in (token, "correct horse battery", "wrong password", "content"):
        assert secret.encode() not in text
    assert text.isascii()
    told = [(event["event"], event["result"]) for event in found]
    assert told == [
        ("log-in", "auth-required"),
        ("log-in", "ok"),
        ("mkdir", "ok"),
        ("put", "ok"),
        ("mv", "ok"),
        ("get", "ok"),
        ("put", "quota-exceeded"),
        ("mkdir", "permission-denied"),
        ("set-password", "ok"),
        ("token-issued", "ok"),
        ("token-revoked", "ok"),
        ("rm", "ok"),
    ]
    assert (found[0]["claimed"], found[0].get("user")) == ("alice", None)
    assert (found[1]["user"], found[1]["via"], "claimed" in found[1]) == ("alice", "token", False)
    put, moved, got = found[3:6]
    about = {"path": f"/d/{NAME}", "bytes": 7, "size": 7, "algorithm": "blake3", "digest": digest(b"content")}
    assert about.items() <= put.items()
    assert (moved["path"], moved["to"]) == (f"/d/{NAME}", "/b")
    assert {"path": "/b", "bytes": 7, "digest": digest(b"content")}.items() <= got.items()
    assert found[6]["size"] == 2000
    assert {event["session"] for event in found[1:]} == {found[1]["session"]}
    assert {event["address"] for event in found} == {"unix"}
    assert all(event["user"] == "alice" for event in found[1:])
    assert all(0 <= event["seconds"] < GUARD for event in found)
    assert found == sorted(found, key=lambda event: event["time"])


def test_transfers_that_break_off_are_there(root: Path) -> None:
    with embedded(root) as daemon:
        with dial(daemon) as peer:
            peer.send(frame({"op": "put", "path": "half", "size": 10**6, "algorithm": "md5"}, bytes(300_000)))
        assert daemon.registry.wait_empty(60)
        with dial(daemon) as peer:
            peer.send(frame({"op": "put", "path": "wrong", "size": 3, "algorithm": "md5"}, b"abc"))
            peer.send(frame({"digest": "0" * 32}))
            assert peer.read()["code"] == "digest-mismatch"
    broken, wrong = events(root)
    assert (broken["event"], broken["result"], broken["path"]) == ("put", "connection-lost", "/half")
    assert "digest" not in broken
    assert (wrong["result"], wrong["bytes"]) == ("digest-mismatch", 3)


def test_refusals_of_one_session_do_not_push_the_rest_out(root: Path) -> None:
    with embedded(root, guest="read") as daemon, dial(daemon) as peer:
        for _ in range(250):
            assert peer.ask("mkdir", path="x")["code"] == "permission-denied"
        for _ in range(20):
            assert peer.ask("stat", path="nothing")["code"] == "not-found"
        assert peer.ask("stat", path="../x")["code"] == "invalid-path"
        peer.ask("quit")
    found = events(root)
    assert [event["event"] for event in found] == ["mkdir"] * 100 + ["more-refusals"]
    assert found[-1]["count"] == 151


def test_strangers_do_not_push_the_rest_out_however_often_they_connect(root: Path, short_tmp: Path) -> None:
    request = frame({"op": "mkdir", "path": "x/" * 1500})
    elsewhere = f"{short_tmp}/s"
    listen = (ANY_PORT, f"ftpsvc+unix://{elsewhere}")
    with embedded(root, guest="none", listen=listen, limits={"window_bytes": 1 << 20}) as daemon:
        for _ in range(10):
            with dial(daemon) as peer:
                peer.send(request * 150)
                assert {peer.read()["code"] for _ in range(150)} == {"auth-required"}
        with RawPeer(elsewhere) as peer:
            assert peer.ask("mkdir", path="here")["code"] == "auth-required"
    found = events(root)
    assert [event["event"] for event in found].count("mkdir") < ADDRESS_BURST + 100
    assert [event["path"] for event in found if event["address"] == "unix"] == ["/here"]
    assert sum(event.get("left_out", 0) + (event["event"] == "mkdir") for event in found) == 1501
    assert all(len(event["path"]) < 100 for event in found)


def test_nor_do_guests_who_are_refused_however_often_they_connect(root: Path) -> None:
    """Log-ins that fail among it: where there are guests, whoever guesses at a password is one."""
    add_user(root, "alice")
    with embedded(root, guest="read", limits={"window_bytes": 1 << 20}) as daemon:
        for number in range(15):
            with dial(daemon) as peer:
                first = peer.ask("auth", mechanism="SCRAM-SHA-256", data=f"n,,n=alice{number},r=abc")
                assert first["status"] == "ok"
                assert peer.ask("auth", data="c=biws,r=abc,p=AAAA")["code"] == "auth-required"
                peer.send(frame({"op": "mkdir", "path": "x/" * 1500}) * 50)
                assert {peer.read()["code"] for _ in range(50)} == {"permission-denied"}
    found = events(root)
    assert {event["event"] for event in found} == {"log-in", "mkdir", "more-refusals"}
    refused = [event for event in found if event["event"] != "more-refusals"]
    assert len(refused) < ADDRESS_BURST + 100
    assert len(refused) + sum(event.get("left_out", 0) + event.get("count", 0) for event in found) == 15 * 51
    assert all(len(event.get("path", "")) < 100 for event in found)


def test_what_strangers_may_have_written_down() -> None:
    clock = Clock(0.0)
    allowed = Allowance(clock)
    assert [allowed.take("192.0.2.1") for _ in range(ADDRESS_BURST)] == [0] * ADDRESS_BURST
    assert [allowed.take("192.0.2.1") for _ in range(7)] == [None] * 7
    assert allowed.take("192.0.2.2") == 7, "another address has a purse of its own"
    assert allowed.take("2001:db8::1") == 0
    clock.now += 2
    assert [allowed.take("192.0.2.1"), allowed.take("192.0.2.1")] == [0, None]
    many = [allowed.take(f"198.51.{number // 250}.{number % 250}") for number in range(10_000)]
    assert len(many) - many.count(None) <= ALL_BURST, "all addresses together"
    clock.now += 1
    assert allowed.take("192.0.2.9") == many.count(None)
    assert allowed.close() == 0


def test_clients_that_got_no_seat_are_there_one_a_second(root: Path) -> None:
    with embedded(root, limits={"connections": 1}) as daemon, dial(daemon):
        for _ in range(50):
            with dial(daemon) as refused:
                assert refused.greeting["code"] == "busy"
    found = events(root, event="turned-away")
    assert 1 <= len(found) < 50
    assert found[0]["result"] == "busy"
    assert found[0]["address"] == "127.0.0.1"
    assert "all 1 connections" in found[0]["reason"]


def test_log_ins_and_refusals_are_there_after_kill_9(root: Path) -> None:
    """What was answered is with the operating system; what was put a moment before may still be on its way."""
    alice = add_user(root, "alice", quota=10)
    with server(root, guest="none") as running, connect(running.url, credentials=alice) as client:
        with pytest.raises(QuotaExceeded):
            client.put(bytes(100), "/x")
        running.kill()
    assert [(event["event"], event["result"]) for event in events(root)] == [
        ("log-in", "ok"),
        ("put", "quota-exceeded"),
    ]


def test_transfers_are_there_soon_while_the_session_goes_on(root: Path) -> None:
    with embedded(root) as daemon, dial(daemon) as peer:
        for number in range(count(50, 1000)):
            peer.put(f"{number}", b"x")
        for _ in range(3000):
            if len(events(root)) == count(50, 1000):
                break
            threading.Event().wait(0.02)
        else:
            pytest.fail("they are not written")


def test_small_files_do_not_pay_for_a_write_each(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root.mkdir()
    (root / ".ftpsvc").mkdir()
    audit = Audit(root, file_size=10**9, files=2)
    writes: list[int] = []
    original = audit._write

    def counted() -> None:
        writes.append(len(audit._held))
        original()

    monkeypatch.setattr(audit, "_write", counted)
    for number in range(2000):
        audit.record("put", path=f"/{number}")
    audit.close()
    assert len(writes) < 200
    assert [event["path"] for event in events(root)] == [f"/{number}" for number in range(2000)]


def test_files_are_rotated_by_size_and_number(root: Path) -> None:
    (root / ".ftpsvc").mkdir(parents=True)
    audit = Audit(root, file_size=65536, files=3, durable=False)
    for number in range(4000):
        audit.record("put", path=f"/{number}", urgency=Urgency.WRITTEN)
    audit.close()
    folder = root / ".ftpsvc" / "audit"
    files = sorted(path for path in folder.iterdir() if path.suffix == ".jsonl")
    assert len(files) == 3
    assert all(path.stat().st_size <= 65536 for path in files)
    assert all(path.stat().st_mode & 0o777 == 0o600 for path in files)
    numbers = [int(event["path"][1:]) for event in events(root)]
    assert numbers == list(range(numbers[0], 4000))
    assert 1000 < len(numbers) < 4000


@pytest.mark.parametrize("moved", [True, False], ids=["moved-away", "removed"])
def test_a_current_file_that_an_operator_takes_away_is_begun_anew(root: Path, moved: bool) -> None:
    (root / ".ftpsvc").mkdir(parents=True)
    folder = root / ".ftpsvc" / "audit"
    audit = Audit(root, file_size=65536, files=3, durable=False)
    audit.record("put", path="/before", urgency=Urgency.WRITTEN)
    if moved:
        (folder / "audit.jsonl").rename(folder / "audit-by-hand.jsonl")
    else:
        (folder / "audit.jsonl").unlink()
    audit.record("put", path="/after", urgency=Urgency.WRITTEN)
    assert [event["path"] for event in events(root)] == ["/before", "/after"][not moved :]
    for number in range(2000):  # behind some rotations, too
        audit.record("put", path=f"/{number}", urgency=Urgency.WRITTEN)
    audit.close()
    found = events(root)
    assert found[-1]["path"] == "/1999"
    assert not [event for event in found if event["event"] == "lost"]


@pytest.mark.parametrize(
    "torn", [b'{"time": "2026-01-01T00:00:00.000Z", "event": "put", "pa', b"\xff\xfe{", b"[1]\n"]
)
def test_half_a_line_at_the_end_spoils_nothing(root: Path, torn: bytes) -> None:
    (root / ".ftpsvc").mkdir(parents=True)
    audit = Audit(root, file_size=10**6, files=2)
    audit.record("put", path="/before")
    audit.close()
    with (root / ".ftpsvc" / "audit" / "audit.jsonl").open("ab") as stream:
        stream.write(torn)
    assert [event["path"] for event in events(root)] == ["/before"]
    audit = Audit(root, file_size=10**6, files=2)
    audit.record("put", path="/after")
    audit.close()
    assert [event["path"] for event in events(root)] == ["/before", "/after"]


def test_one_daemon_at_a_time_and_commands_beside_it(root: Path) -> None:
    (root / ".ftpsvc").mkdir(parents=True)
    audit = Audit(root, file_size=10**6, files=2)
    with pytest.raises(ConfigError, match="another ftpsvc-server serves"):
        Audit(root, file_size=10**6, files=2)
    audit.record("put", path="/1", urgency=Urgency.WRITTEN)
    record_beside(root, "operator", command="user add", user="alice")
    audit.record("put", path="/2", urgency=Urgency.WRITTEN)
    audit.close()
    assert [event["event"] for event in events(root)] == ["put", "operator", "put"]


def test_lines_are_bounded_whatever_is_in_them() -> None:
    for char in ("x", "\U0001f600", "\n", "\x00", "\ud800"):
        data = line("put", {"path": char * 100_000, "to": char * 100_000, "reason": char * 100_000})
        assert len(data) <= 128 * 1024
        assert data.count(b"\n") == 1
        assert data.isascii()
        json.loads(data)


def test_a_disk_that_takes_nothing_stops_the_audit_only(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (root / ".ftpsvc").mkdir(parents=True)
    audit = Audit(root, file_size=10**6, files=2)
    with pytest.MonkeyPatch.context() as patch:

        def full(descriptor: int, data: bytes) -> None:
            raise OSError(28, "No space left on device")

        patch.setattr("ftpsvc.server.audit._append", full)
        for number in range(5):
            audit.record("put", path=f"/{number}", urgency=Urgency.WRITTEN)
    audit.record("put", path="/later", urgency=Urgency.WRITTEN)
    audit.close()
    lost, later = events(root)
    assert (lost["event"], lost["count"], later["path"]) == ("lost", 5, "/later")


# ---------------------------------------------------------------- the command


@pytest.fixture
def written(root: Path) -> Path:
    (root / ".ftpsvc").mkdir(parents=True)
    audit = Audit(root, file_size=10**6, files=2)
    audit.record("log-in", result="ok", user="alice", address="10.0.0.1")
    audit.record("log-in", result="auth-required", claimed="bob#t:ABC", address="10.0.0.2")
    audit.record("put", result="ok", user="bob", address="10.0.0.2", path="/\x1b[31m\u202e", bytes=2048)
    audit.close()
    return root


def test_the_command_filters(written: Path) -> None:
    def told(*arguments: str) -> list[str]:
        done = command("--root", str(written), "audit", *arguments, "--json")
        assert (done.returncode, done.stderr) == (0, "")
        return [json.loads(text)["event"] for text in done.stdout.splitlines()]

    assert told() == ["log-in", "log-in", "put"]
    assert told("--user", "bob") == ["log-in", "put"]
    assert told("--op", "put") == ["put"]
    assert told("--since", "1h") == ["log-in", "log-in", "put"]
    assert told("--until", "1h") == []
    assert told("--since", "2001-01-01", "--until", "2001-01-02T10:00") == []


def test_the_command_shows_lines_that_drive_no_terminal(written: Path) -> None:
    done = command("audit", "--root", str(written), "--op", "put")
    assert done.stdout.rstrip().endswith("put ok bob@10.0.0.2 /\\x1b[31m\\u202e 2.0 KiB")


def test_the_command_says_what_is_wrong(tmp_path: Path) -> None:
    done = command("audit", "--root", str(tmp_path / "none"))
    assert done.returncode == 2
    assert "there is no audit to read" in done.stderr
    assert command("audit", "--since", "yesterday").returncode == 2


def test_follow_shows_what_comes_also_behind_a_rotation(root: Path) -> None:
    (root / ".ftpsvc").mkdir(parents=True)
    audit = Audit(root, file_size=65536, files=9, durable=False)
    audit.record("put", path="/first", urgency=Urgency.WRITTEN)
    process = subprocess.Popen(
        [sys.executable, "-m", "ftpsvc.server", "audit", "--root", str(root), "--follow", "--json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
    )
    assert process.stdout is not None
    assert process.stderr is not None
    try:
        assert json.loads(process.stdout.readline())["path"] == "/first"
        for number in range(2000):
            audit.record("put", path=f"/{number}", urgency=Urgency.WRITTEN)
        for number in range(2000):
            assert json.loads(process.stdout.readline())["path"] == f"/{number}"
        process.send_signal(signal.SIGINT)
        assert process.wait(GUARD) == 130
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
        process.stderr.close()
        audit.close()


def test_the_operators_commands_are_written_down(root: Path) -> None:
    root.mkdir()
    place = ("--root", str(root))
    code = command("user", *place, "add", "alice", "--code", "--quota", "1M")
    assert code.returncode == 0, code.stderr
    command("user", *place, "set", "alice", "--role", "teacher")
    command("user", *place, "list")
    command("user", *place, "show", "alice")
    assert command("user", *place, "set", "nobody", "--role", "teacher").returncode == 2
    command("user", *place, "remove", "alice", "--yes")
    found = events(root)
    assert [(event["command"], event["user"]) for event in found] == [
        ("user add", "alice"),
        ("user set", "alice"),
        ("user remove", "alice"),
    ]
    assert "role=teacher" in found[1]["arguments"]
    assert code.stdout.strip()
    assert code.stdout.strip().encode() not in (root / ".ftpsvc" / "audit" / "audit.jsonl").read_bytes()


def test_times_that_people_write() -> None:
    from datetime import UTC, datetime

    now = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)
    assert moment("90m", now) == "2026-03-01T10:30:00.000Z"
    assert moment("1w", now) == "2026-02-22T12:00:00.000Z"
    assert moment("2026-03-01T08:15:30+08:00", now) == "2026-03-01T00:15:30.000Z"
    local = time.mktime((2026, 3, 1, 8, 15, 0, 0, 0, -1))
    assert moment("2026-03-01T08:15", now) == datetime.fromtimestamp(local, UTC).strftime(
        "%Y-%m-%dT%H:%M:%S.000Z"
    )
    for bad in ("", "yesterday", "5", "m", "1y", "2026-13-01"):
        with pytest.raises(ValueError, match=r"isoformat|month"):
            moment(bad, now)


def test_an_event_without_anything_is_shown() -> None:
    assert shown({}) == "? -@-"
    assert shown({"time": "x", "event": "put", "claimed": "bob"}) == "x put bob@-"
