"""Starting, stopping, dying and starting again, with real processes and real signals."""

import errno
import json
import os
import signal
import socket
import stat
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

import ftpsvc
from ftpsvc.exceptions import ConfigError
from ftpsvc.server import tcp
from tests.helpers.counts import count
from tests.helpers.daemon import GUARD, ServerProcess, server
from tests.helpers.embedded import dial, embedded
from tests.helpers.operated import operated
from tests.helpers.raw_peer import RawPeer, frame, put_bytes
from tests.helpers.users import add_user
from tests.integration.test_server_framing import NOT_A_HEADER

PUT = {"op": "put", "path": "file", "size": 2_000_000, "algorithm": "md5"}


def begin_put(peer: RawPeer, size: int = 2_000_000) -> None:
    """Begins an upload and waits until the server is in the middle of it."""
    peer.send(frame(PUT | {"size": size}, bytes(size // 2)))


def staged(running: ServerProcess) -> list[Path]:
    return list((running.public / ".ftpsvc" / "staging").iterdir())


def wait_until_staged(running: ServerProcess) -> None:
    """Waits until the server has begun to store an upload."""
    with RawPeer(running.where) as other:
        for _ in range(100_000):
            if staged(running):
                return
            assert other.ask("pwd")["status"] == "ok"
    raise AssertionError("no upload began")


def assert_says_that_it_stops(peer: RawPeer) -> None:
    answer = peer.read()
    assert (answer["code"], answer["fatal"], answer["retry"]) == ("unavailable", True, True)
    assert "stopping" in answer["message"]
    assert peer.at_end()


def run(*arguments: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    """Runs the command to its end, which must come by itself."""
    return subprocess.run(
        [sys.executable, "-m", "ftpsvc.server", *arguments],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        encoding="utf-8",
        timeout=GUARD,
        env=os.environ | environment,
        check=False,
    )


# ---------------------------------------------------------------- starting


def test_it_says_where_it_listens_and_that_it_is_ready(tmp_path: Path) -> None:
    with server(tmp_path / "root", "--listen", "ftpsvc+tcp://[::1]:0") as running:
        assert running.urls[0].startswith("ftpsvc+tcp://127.0.0.1:")
        assert running.urls[1].startswith("ftpsvc+tcp://[::1]:")
        assert running.lines[-1] == "ftpsvc-server: ready"
        for url in running.urls:
            host, _, port = url.partition("://")[2].rpartition(":")
            assert int(port) > 0
            with RawPeer((host.strip("[]"), int(port))) as peer:
                assert peer.ask("pwd")["path"] == "/"


def test_the_default_root_is_laid_out_in_the_working_directory(tmp_path: Path) -> None:
    with server(Path("server_storage"), "--durability", "relaxed") as running:
        assert running.wait_for("hint: durability is relaxed")
        root = Path("server_storage")
        assert stat.S_IMODE((root / ".ftpsvc").stat().st_mode) == 0o700
        assert sorted(path.name for path in root.iterdir()) == [".ftpsvc", "handouts", "public", "users"]
        with RawPeer(running.where) as peer:
            assert peer.put("a", b"1")["status"] == "ok"
        assert (root / "public" / "a").read_bytes() == b"1"


def test_what_an_operator_should_know_is_said(tmp_path: Path) -> None:
    with server(tmp_path / "a", guest="none") as running:
        assert "there are no users yet" in running.wait_for("hint:")
    add_user(tmp_path / "a", "alice")
    with server(tmp_path / "a", guest="none") as running:
        assert not [line for line in running.lines if "hint:" in line]
    with server(tmp_path / "b", listen="ftpsvc+tcp://0.0.0.0:0") as running:
        assert "served on this machine only" in running.wait_for("hint:")
        with RawPeer(("127.0.0.1", running.where[1])) as peer:
            assert peer.ask("pwd")["status"] == "ok"


def own_address() -> str | None:
    """An IPv4 address of this machine that is not loopback, or None. Nothing is sent."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))
        except OSError:
            return None
        address: str = probe.getsockname()[0]
        return None if address.startswith("127.") else address


@pytest.mark.skipif(own_address() is None, reason="this machine has no address but loopback")
def test_guests_off_loopback_are_refused_until_an_address_is_named(tmp_path: Path) -> None:
    address = own_address() or ""
    for wildcard in ("0.0.0.0", "[::]"):
        with server(tmp_path / "root", listen=f"ftpsvc+tcp://{wildcard}:0") as running:
            port = running.where[1]
            with RawPeer((address, port)) as refused:
                # Greeted all the same: over TLS it could log in.
                assert (refused.greeting["guest"], refused.greeting["mechanisms"]) == ("none", [])
                assert refused.ask("whoami") == {"status": "ok", "may": "none"}
                for op, fields in {"pwd": {}, "ls": {}, "mkdir": {"path": "d"}, "nonsense": {}}.items():
                    answer = refused.ask(op, **fields)
                    assert (answer["code"], answer["fatal"]) == ("permission-denied", False)
                    assert f"--listen ftpsvc+tcp://{address}:{port}" in answer["message"]
                assert refused.ask("quit") == {"status": "ok"}
                assert refused.at_end()
            with RawPeer(("127.0.0.1", port)) as served:
                assert served.ask("pwd")["status"] == "ok"
    with (
        server(tmp_path / "root", listen=f"ftpsvc+tcp://{address}:0") as running,
        RawPeer(running.where) as served,
    ):
        assert served.ask("pwd")["status"] == "ok"


def test_ipv6_and_ipv4_wildcards_share_a_port(tmp_path: Path) -> None:
    with ExitStack() as stack:
        for attempt in range(20):
            with socket.socket() as free:
                free.bind(("127.0.0.1", 0))
                port = free.getsockname()[1]
            listen = (f"ftpsvc+tcp://0.0.0.0:{port}", f"ftpsvc+tcp://[::]:{port}")
            try:
                stack.enter_context(embedded(tmp_path / "root", listen=listen))
                break
            except (
                ConfigError
            ):  # somebody else was given the port meanwhile; a fault of ours stays for all twenty
                if attempt == 19:
                    raise
        for host in ("127.0.0.1", "::1"):
            with RawPeer((host, port)) as peer:
                assert peer.ask("pwd")["status"] == "ok"


def test_a_machine_without_ipv6_falls_back_with_a_note(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No such machine is at hand: its answer, EAFNOSUPPORT, is all that is made up here."""

    class WithoutIpv6(tcp.Listener):
        def __init__(self, family: socket.AddressFamily, *arguments: Any, **options: Any) -> None:
            if family is socket.AF_INET6:
                raise OSError(errno.EAFNOSUPPORT, os.strerror(errno.EAFNOSUPPORT))
            super().__init__(family, *arguments, **options)

    monkeypatch.setattr(tcp, "Listener", WithoutIpv6)
    with embedded(tmp_path / "root", listen=("ftpsvc+tcp://[::]:0",)) as daemon:
        assert daemon.addresses[0].host == "0.0.0.0"
        assert "no IPv6" in daemon.notes[0]
        with RawPeer(("127.0.0.1", daemon.addresses[0].port)) as peer:
            assert peer.ask("pwd")["status"] == "ok"
    with (
        pytest.raises(ConfigError, match="cannot listen on"),
        embedded(tmp_path / "root", listen=("ftpsvc+tcp://127.0.0.1:0", "ftpsvc+tcp://[::1]:0")),
    ):
        pass


def test_a_start_that_fails_for_a_taken_address_leaves_nothing_behind(
    tmp_path: Path, short_tmp: Path
) -> None:
    free = f"ftpsvc+unix://{short_tmp}/free"
    with socket.create_server(("127.0.0.1", 0)) as taken, socket.socket(socket.AF_UNIX) as held:
        held.bind(str(short_tmp / "held"))
        held.listen()
        port = f"ftpsvc+tcp://127.0.0.1:{taken.getsockname()[1]}"
        for address in (port, f"ftpsvc+unix://{short_tmp}/held"):
            with (
                pytest.raises(ConfigError, match="cannot listen on"),
                embedded(tmp_path / "made" / "root", listen=(free, address)),
            ):
                pass
            assert os.listdir(tmp_path) == []
            assert os.listdir(short_tmp) == ["held"]


def test_a_socket_in_the_root_itself_is_made_with_it(short_tmp: Path) -> None:
    root = short_tmp / "r"
    listen = (f"ftpsvc+unix://{root}/s", "ftpsvc+tcp://127.0.0.1:0")
    with embedded(root, listen=listen) as daemon:
        assert {address.scheme for address in daemon.addresses} == {"ftpsvc+tcp", "ftpsvc+unix"}
        with RawPeer(str(root / "s")) as peer:
            assert peer.ask("pwd")["status"] == "ok"


def test_hostile_headers_in_threads_with_small_stacks(tmp_path: Path) -> None:
    with server(tmp_path / "root") as running:
        for header in NOT_A_HEADER:
            with RawPeer(running.where) as peer:
                peer.send(frame(header))
                assert peer.read()["code"] == "invalid-header"
        with RawPeer(running.where) as peer:
            peer.put("file", bytes(8 << 20))
            assert peer.ask("verify", path="file")["status"] == "ok"
            peer.send(frame({"op": "get", "path": "file", "algorithm": "blake3"}))
            assert peer.payload(peer.read()["size"]) == bytes(8 << 20)


def test_c58_a_port_that_is_taken(tmp_path: Path) -> None:
    with server(tmp_path / "a") as running:
        done = run("--root", str(tmp_path / "b"), "--guest", "read", "--listen", running.url)
        assert done.returncode == 3
        assert "error: cannot listen on" in done.stderr
        assert "hint: another program has this port" in done.stderr
        assert "Traceback" not in done.stderr


def test_two_servers_never_share_a_root(tmp_path: Path) -> None:
    with server(tmp_path / "root"):
        done = run(
            "--root", str(tmp_path / "root"), "--guest", "read", "--listen", "ftpsvc+tcp://127.0.0.1:0"
        )
        assert done.returncode == 3
        assert "another ftpsvc-server serves" in done.stderr


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("guess = 'read'\n", "there is no setting 'guess'"),
        ("[limits]\nconections = 3\n", "there is no setting 'limits.conections'"),
        ("[limits]\nconnections = 0\n", "limits.connections: input should be greater than or equal to 1"),
        (
            "[limits]\nbacklog = 99999999999\n",
            "limits.backlog: input should be less than or equal to 2147483647",
        ),
        ("[timeouts]\nidle = 1e300\n", "timeouts.idle: input should be less than or equal to 1000000"),
        ("guest = 'all'\n", "guest: input should be 'none', 'read' or 'write'"),
        ("guest = \n", "is not valid TOML"),
        ("listen = ['ftps://0.0.0.0']\n", "scheme"),
        ("[tls]\nkey = 'server.key'\n", "a key alone"),
        ("limits = 3\n", "limits is a section"),
    ],
)
def test_a_bad_setting_names_file_and_key(tmp_path: Path, text: str, complaint: str) -> None:
    file = tmp_path / "server.toml"
    file.write_text(text)
    done = operated("--config", str(file), "--check-config")
    assert done.returncode == 2
    assert done.stderr.startswith("ftpsvc-server: error: ")
    assert str(file) in done.stderr
    assert complaint in done.stderr
    assert "Traceback" not in done.stderr


def test_flags_win_over_variables_and_those_over_the_file(tmp_path: Path) -> None:
    file = tmp_path / "server.toml"
    file.write_text("guest = 'read'\ndurability = 'relaxed'\n[limits]\npage = 5\nwindow = 6\n")
    done = run(
        "--check-config", "--guest", "write",
        FTPSVCD_CONFIG=str(file), FTPSVCD_LIMITS__PAGE="7", FTPSVCD_GUEST="none",
    )  # fmt: skip
    assert done.returncode == 0
    values = json.loads(done.stdout)
    assert (values["guest"], values["durability"]) == ("write", "relaxed")
    assert (values["limits"]["page"], values["limits"]["window"]) == (7, 6)
    done = operated("--check-config", FTPSVCD_LIMITS__PAEG="7")
    assert done.returncode == 2
    assert "FTPSVCD_LIMITS__PAEG is no setting" in done.stderr
    assert "hint: did you mean FTPSVCD_LIMITS__PAGE?" in done.stderr


@pytest.mark.parametrize("share", ["missing", "root/.ftpsvc", "root/.ftpsvc/x", "root", "."])
def test_a_folder_that_cannot_be_shared_is_refused(tmp_path: Path, share: str) -> None:
    (tmp_path / "root" / ".ftpsvc" / "x").mkdir(parents=True)
    arguments = ("--root", str(tmp_path / "root"), "--share", str(tmp_path / share))
    for done, code in (
        (operated(*arguments, "--check-config"), 2),
        (run(*arguments, "--listen=ftpsvc+tcp://127.0.0.1:0"), 3),
    ):
        assert done.returncode == code
        assert "error: " in done.stderr


def test_usage(tmp_path: Path) -> None:
    assert run("--version").stdout == f"ftpsvc-server {ftpsvc.__version__}\n"
    done = run("--help")
    assert done.returncode == 0
    assert "--check-config" in done.stdout
    done = run("--nonsense")
    assert done.returncode == 2
    assert "--nonsense" in done.stderr


# ---------------------------------------------------------------- AF_UNIX


def test_an_af_unix_socket_is_private_and_goes_with_the_server(tmp_path: Path, short_tmp: Path) -> None:
    path = short_tmp / "s"
    with server(tmp_path / "root", listen=f"ftpsvc+unix://{path}"):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        with RawPeer(str(path)) as peer:
            assert peer.put("a", b"1")["status"] == "ok"
    assert not path.exists()
    with server(tmp_path / "root", listen=f"ftpsvc+unix://{path}", settings={"socket_mode": "0666"}):
        assert stat.S_IMODE(path.stat().st_mode) == 0o666


def test_c58_a_socket_left_by_a_killed_server_is_taken_over(tmp_path: Path, short_tmp: Path) -> None:
    path = short_tmp / "s"
    with server(tmp_path / "root", listen=f"ftpsvc+unix://{path}") as running:
        running.kill()
    assert path.exists()
    with server(tmp_path / "root", listen=f"ftpsvc+unix://{path}"), RawPeer(str(path)) as peer:
        assert peer.ask("pwd")["status"] == "ok"


def test_a_socket_of_a_living_server_and_other_files_are_left_alone(tmp_path: Path, short_tmp: Path) -> None:
    path, file = short_tmp / "s", short_tmp / "f"
    file.write_bytes(b"precious")
    with server(tmp_path / "root", listen=f"ftpsvc+unix://{path}"):
        for taken in (path, file):
            done = run("--root", str(tmp_path / "b"), "--guest", "read", "--listen", f"ftpsvc+unix://{taken}")
            assert done.returncode == 3
            assert "cannot listen on" in done.stderr
        with RawPeer(str(path)) as peer:
            assert peer.ask("pwd")["status"] == "ok"
    assert file.read_bytes() == b"precious"


def test_a_server_does_not_take_the_socket_of_the_next_one_away(tmp_path: Path, short_tmp: Path) -> None:
    url, path = f"ftpsvc+unix://{short_tmp}/s", short_tmp / "s"
    with server(tmp_path / "one", listen=url) as one:
        path.unlink()
        with server(tmp_path / "two", listen=url):
            assert one.stop() == 0
            with RawPeer(str(path)) as peer:
                assert peer.ask("pwd")["status"] == "ok"
    assert not path.exists()


# ---------------------------------------------------------------- stopping


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_stopping_ends_idle_sessions_at_once(tmp_path: Path, number: int) -> None:
    with server(tmp_path / "root", settings={"timeouts.grace": 1000}) as running:
        with (
            RawPeer(running.where) as idle,
            RawPeer(running.where) as used,
            RawPeer(running.where) as halfway,
        ):
            assert used.put("file", b"x")["status"] == "ok"
            halfway.send(frame({"op": "pwd"})[:6])
            running.signal(number)
            for peer in (idle, used, halfway):
                assert_says_that_it_stops(peer)
                peer.close()
            assert running.end() == 0
        running.wait_for("stopped")


def test_stopping_lets_a_running_transfer_end(tmp_path: Path) -> None:
    with server(tmp_path / "root", settings={"timeouts.grace": 1000}) as running:
        with RawPeer(running.where) as busy:
            begin_put(busy)
            wait_until_staged(running)
            running.signal()
            running.wait_for("stopping")
            with pytest.raises((OSError, EOFError)), RawPeer(running.where) as late:  # no new connections
                late.read()
            rest = put_bytes("file", bytes(2_000_000), "md5")[-1_000_000 - len(frame({"digest": "0" * 32})) :]
            busy.send(rest + frame({"op": "pwd"}))
            assert busy.read()["status"] == "ok"
            assert_says_that_it_stops(busy)
        assert running.end() == 0
        assert (running.public / "file").stat().st_size == 2_000_000


def test_c54_a_transfer_beyond_the_grace_is_cut(tmp_path: Path) -> None:
    with server(tmp_path / "root", settings={"timeouts.grace": 0.2}) as running:
        with RawPeer(running.where) as busy:
            begin_put(busy)
            wait_until_staged(running)
            running.signal()
            assert busy.at_end()
        assert running.end() == 4
        assert running.wait_for("cut requests=1")
        assert [path.name for path in running.public.iterdir()] == [".ftpsvc"]
        assert staged(running) == []


def test_a_second_signal_cuts_at_once(tmp_path: Path) -> None:
    with server(tmp_path / "root", settings={"timeouts.grace": 1000}) as running:
        with RawPeer(running.where) as putting, RawPeer(running.where, receive_buffer=4096) as getting:
            getting.put("large", bytes(32 << 20))
            getting.send(frame({"op": "get", "path": "large", "algorithm": "md5"}))
            getting.read()
            begin_put(putting)
            wait_until_staged(running)
            running.signal()
            running.wait_for("stopping")
            running.signal()
            assert running.end() == 4
            assert putting.at_end()
        assert running.wait_for("cut requests=2")


def test_sighup_is_reserved(tmp_path: Path) -> None:
    with server(tmp_path / "root") as running, RawPeer(running.where) as peer:
        running.signal(signal.SIGHUP)
        assert peer.ask("pwd")["status"] == "ok"
        running.signal(signal.SIGHUP)
        assert peer.ask("quit")["status"] == "ok"


def test_c58_restart_on_the_same_port_at_once(tmp_path: Path) -> None:
    with server(tmp_path / "root") as running:
        url, where = running.url, running.where
        peers = [RawPeer(where) for _ in range(5)]
        assert peers[0].put("file", b"kept")["status"] == "ok"
        assert (
            peers[1].ask("quit")["status"] == "ok"
        )  # the server closes first, and its side lingers in TIME_WAIT
        assert running.stop() == 0
        for _ in range(3):
            with server(tmp_path / "root", listen=url) as again, RawPeer(where) as peer:
                assert again.url == url
                assert peer.get("file")[0] == b"kept"
        for peer in peers:
            peer.close()


LARGE = 1 << 40
"""Sparse. To hash it would take longer than any guard here waits."""


@pytest.mark.parametrize(
    "request_",
    [
        {"op": "verify", "path": "large"},
        {"op": "ls", "digests": True},
        {"op": "get", "path": "large", "algorithm": "md5", "offset": LARGE - 1},
    ],
    ids=lambda request: request["op"],
)
@pytest.mark.parametrize("end", ["the client goes", "the server stops"])
def test_long_hashing_ends_when_nobody_wants_it_any_more(
    tmp_path: Path, request_: dict[str, object], end: str
) -> None:
    with server(tmp_path / "root", "--log-level", "debug", settings={"timeouts.grace": 1000}) as running:
        with open(running.public / "large", "wb") as file:
            file.truncate(LARGE)
        with RawPeer(running.where) as peer:
            running.wait_for("connected")
            before = running.process_seconds()
            peer.send(frame(request_))
            with RawPeer(running.where) as other:
                while running.process_seconds() - before < 0.2:  # it is at work
                    assert other.ask("pwd")["status"] == "ok"
            if end == "the server stops":
                running.signal()
                answer = peer.read()
                assert answer["code"] == "unavailable"
                assert_says_that_it_stops(peer)
            else:
                peer.close()
                running.wait_for("went away")
        if end == "the server stops":
            assert running.end() == 0


# ---------------------------------------------------------------- dying


@pytest.mark.parametrize("turn", range(count(2, 20)))
def test_c47_c54_a_server_that_is_killed_in_mid_put_leaves_nothing_visible(tmp_path: Path, turn: int) -> None:
    with (
        server(tmp_path / "root") as running,
        RawPeer(running.where) as peer,
        RawPeer(running.where) as other,
    ):
        assert peer.put("file", b"the old version")["status"] == "ok"
        begin_put(peer)
        other.send(frame(PUT | {"path": "new"}, bytes(1000 + turn)))
        wait_until_staged(running)
        running.kill()
        assert peer.at_end()
    with server(tmp_path / "root") as again:
        assert staged(again) == []
        with RawPeer(again.where) as peer:
            assert [entry["name"] for entry in peer.ls()] == ["file"]
            assert peer.get("file")[0] == b"the old version"
            assert peer.put("file", bytes(2_000_000))["status"] == "ok"


def test_c54_a_client_that_is_killed_in_mid_put(tmp_path: Path) -> None:
    script = (
        "import socket, struct, json, sys, time\n"
        "sock = socket.create_connection((sys.argv[1], int(sys.argv[2])))\n"
        "header = json.dumps({'op': 'put', 'path': 'file', 'size': 10**6, 'algorithm': 'md5'}).encode()\n"
        "sock.sendall(struct.pack('!I', len(header)) + header + bytes(500_000))\n"
        "print('half', flush=True)\n"
        "sock.recv(10**6); sock.recv(10**6)\n"
    )
    with embedded(tmp_path / "root") as daemon:
        address = daemon.addresses[0]
        client = subprocess.Popen(
            [sys.executable, "-c", script, address.host, str(address.port)], stdout=subprocess.PIPE
        )
        with client:
            assert client.stdout is not None
            assert client.stdout.readline() == b"half\n"
            client.kill()
        assert daemon.registry.wait_empty(GUARD)
        with dial(daemon) as peer:
            assert peer.ls() == []
        assert not list((tmp_path / "root" / "public" / ".ftpsvc" / "staging").iterdir())


# ---------------------------------------------------------------- the log


NASTY = "esc\u202e; rm -rf 'x\" =y"


def test_the_log_has_one_event_a_line_and_no_payload(tmp_path: Path) -> None:
    with server(tmp_path / "root", "--log-level", "debug") as running, RawPeer(running.where) as peer:
        peer.put(NASTY, b"SECRET" * 100)
        peer.ask("stat", path="\x1b[31m\nINFO faked")
        peer.ask("quit")
        running.wait_for("end=quit")
        log = [line for line in running.lines if not line.startswith("ftpsvc-server:")]
        assert all(line[:4].isdigit() and line[10] == "T" for line in log)
        text = "\n".join(log)
        assert "SECRET" not in text
        assert "\x1b" not in text
        assert "\u202e" not in text
        assert "\\u202e" in text
        (put,) = [line for line in log if "op=put" in line]
        assert "result=ok" in put
        assert "size=600" in put
        (bad,) = [line for line in log if "op=stat" in line]
        assert "result=invalid-path" in bad


def test_the_log_as_json(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "ftpsvc.server", "--root", str(tmp_path / "root"), "--guest", "write"]
    command += ["--listen", "ftpsvc+tcp://127.0.0.1:0", "--log-format", "json", "--log-level", "debug"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, encoding="utf-8") as process:
        assert process.stderr is not None
        events = [json.loads(process.stderr.readline()) for _ in range(2)]
        assert [event["event"] for event in events] == ["listening", "ready"]
        host, _, port = events[0]["address"].partition("://")[2].rpartition(":")
        with RawPeer((host, int(port))) as peer:
            peer.put(NASTY, b"content")
        process.terminate()
        events = [json.loads(line) for line in process.stderr]
    assert process.returncode == 0
    by_name = {event["event"]: event for event in events}
    assert by_name["request"]["op"] == "put"
    assert by_name["request"]["path"] == NASTY.replace("\u202e", "\\u202e")
    assert by_name["connection"]["requests"] == 1
    assert by_name["stopped"]["cut"] == 0
    assert all(event["time"].endswith("Z") for event in events)


def test_a_log_that_nobody_reads_does_not_stop_the_service(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "ftpsvc.server", "--root", str(tmp_path / "root"), "--guest", "write"]
    command += ["--listen", "ftpsvc+tcp://127.0.0.1:0", "--log-level", "debug"]
    with subprocess.Popen(command, stderr=subprocess.PIPE) as process:
        assert process.stderr is not None
        line = process.stderr.readline().decode()
        host, _, port = line.strip().partition("://")[2].rpartition(":")
        with RawPeer((host, int(port))) as peer:
            for _ in range(count(3000, 30_000)):  # more lines than a pipe holds
                assert peer.ask("pwd")["status"] == "ok"
        process.stderr.close()
        process.terminate()
        assert process.wait(GUARD) == 0
