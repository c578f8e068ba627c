"""Connections by TLS: every way a handshake can go wrong, transfers of every size, cuts, and the end of a server."""

import contextlib
import errno
import io
import os
import signal
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ftpsvc.accounts.store import Accounts
from ftpsvc.certificates import fingerprint, read_fingerprint
from ftpsvc.credentials import Credentials
from ftpsvc.exceptions import (
    Busy,
    ConnectFailed,
    ConnectionLost,
    FtpsvcError,
    InvalidRequest,
    TransferTimeout,
)
from ftpsvc.server import tcp
from ftpsvc.server.daemon import Daemon
from ftpsvc_client import Client, connect
from ftpsvc_client.trust import Fixed
from tests.helpers import certs, noipv6
from tests.helpers.cli import until
from tests.helpers.counts import count
from tests.helpers.daemon import GUARD, server
from tests.helpers.embedded import embedded, where
from tests.helpers.raw_peer import RawPeer, frame, put_bytes
from tests.helpers.raw_server import raw_server
from tests.helpers.tls_peer import TlsPeer

ANY_TLS_PORT = "ftpsvc://127.0.0.1:0"
SHORT = 0.3


def shown(daemon: Daemon) -> str:
    assert daemon.certificates is not None
    return daemon.certificates.current.fingerprint


def client_of(daemon: Daemon, **options: Any) -> Client:
    return connect(daemon.addresses[0], trust=Fixed(shown(daemon)), **options)


def served(daemon: Daemon) -> Client:
    """A client of a daemon whose time for a handshake is short: on a busy machine it may take more than one try."""
    for _ in range(50):
        with contextlib.suppress(ConnectFailed, ConnectionLost, TransferTimeout):
            return client_of(daemon)
    return client_of(daemon)


@contextlib.contextmanager
def tls(root: Path, **settings: Any) -> Iterator[Daemon]:
    with embedded(root, listen=(ANY_TLS_PORT,), **settings) as daemon:
        yield daemon


def wait_until_empty(daemon: Daemon) -> None:
    assert daemon.registry.wait_empty(GUARD)


# ---------------------------------------------------------------- handshakes


def client_hello() -> bytes:
    """What a client says first."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    with contextlib.suppress(ssl.SSLWantReadError):
        certs.client_context().wrap_bio(incoming, outgoing).do_handshake()
    return outgoing.read()


@pytest.mark.parametrize("part", ["nothing", "one byte", "half a hello", "all but the end"])
def test_c57_half_a_handshake_ends_by_itself_and_delays_nobody(tmp_path: Path, part: str) -> None:
    with tls(tmp_path / "root", timeouts={"handshake": SHORT}) as daemon:
        hello = client_hello()
        said = {
            "nothing": b"",
            "one byte": hello[:1],
            "half a hello": hello[: len(hello) // 2],
            "all but the end": hello,
        }
        with socket.create_connection(where(daemon), GUARD) as silent:
            silent.sendall(said[part])
            with served(daemon) as client:
                client.put(b"1", "/f")
            with contextlib.suppress(ConnectionError):
                while silent.recv(65536):
                    pass
        wait_until_empty(daemon)


def test_c57_a_dribbling_handshake_has_one_deadline(tmp_path: Path) -> None:
    with (
        tls(tmp_path / "root", timeouts={"handshake": SHORT}) as daemon,
        socket.create_connection(where(daemon), GUARD) as slow,
    ):
        pause = threading.Event()
        with contextlib.suppress(ConnectionError):
            for byte in client_hello():
                slow.sendall(bytes([byte]))
                pause.wait(0.01)
        wait_until_empty(daemon)


@pytest.mark.parametrize(
    "noise",
    [
        b"GET / HTTP/1.1\r\n\r\n",
        frame({"op": "ls"}),
        os.urandom(70_000),
        b"\x16" * 50,
        b"\x16\x03\x01\xff\xff",
    ],
)
def test_c57_noise_in_place_of_a_handshake_ends_the_connection(tmp_path: Path, noise: bytes) -> None:
    with tls(tmp_path / "root", timeouts={"handshake": SHORT}) as daemon:
        for _ in range(5):
            with socket.create_connection(where(daemon), GUARD) as sock, contextlib.suppress(ConnectionError):
                sock.sendall(noise)
                while sock.recv(65536):
                    pass
        with served(daemon) as client:
            assert client.list("/") == []
        wait_until_empty(daemon)


def test_tls_1_2_is_not_spoken(tmp_path: Path) -> None:
    context = certs.client_context()
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    with tls(tmp_path / "root") as daemon:
        with socket.create_connection(where(daemon), GUARD) as sock, pytest.raises(ssl.SSLError):
            context.wrap_socket(sock)
        wait_until_empty(daemon)
    old = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    old.maximum_version = ssl.TLSVersion.TLSv1_2
    old.load_cert_chain(*certs.make().write(tmp_path))
    with (
        one_connection(lambda sock: shake(old, sock)) as url,
        pytest.raises(ConnectFailed, match=r"no TLS 1\.3"),
    ):
        connect(url)


def shake(context: ssl.SSLContext, sock: socket.socket) -> None:
    with contextlib.suppress(OSError):
        context.wrap_socket(sock, server_side=True).close()


@contextlib.contextmanager
def one_connection(serve: Any) -> Iterator[str]:
    """A listener whose one connection is handed to `serve`, in a thread."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def run() -> None:
            sock, _ = listener.accept()
            with sock:
                serve(sock)

        thread = threading.Thread(target=run)
        thread.start()
        try:
            yield f"ftpsvc://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            thread.join()


def test_plain_text_on_a_tls_port_is_told_so(tmp_path: Path) -> None:
    with tls(tmp_path / "silent", timeouts={"handshake": SHORT}) as daemon:
        with pytest.raises(InvalidRequest, match="this port speaks TLS"):
            connect(in_plain(daemon))  # it waits for a greeting, so only the end of the time tells
        wait_until_empty(daemon)
    # Time enough here: were it over before the request is there, this would be the first case once more.
    with tls(tmp_path / "hasty", timeouts={"handshake": GUARD}) as daemon:
        with RawPeer(where(daemon), greeted=False) as hasty:
            hasty.send(frame({"op": "pwd"}))
            answer = hasty.read()
            assert (answer["status"], answer["fatal"]) == ("error", True)
            assert "ftpsvc://" in answer["message"]
            assert hasty.at_end()
        wait_until_empty(daemon)


def in_plain(daemon: Daemon) -> str:
    return str(daemon.addresses[0]).replace("ftpsvc://", "ftpsvc+tcp://")


def test_tls_on_a_plain_port_is_told_so(tmp_path: Path) -> None:
    with embedded(tmp_path / "root") as daemon:
        url = str(daemon.addresses[0]).replace("ftpsvc+tcp://", "ftpsvc://")
        with pytest.raises(ConnectFailed, match="does not speak TLS") as caught:
            connect(url)
        assert "ftpsvc+tcp://127.0.0.1" in (caught.value.hint or "")
        wait_until_empty(daemon)
    with raw_server() as (plain, _), pytest.raises(ConnectFailed, match="does not speak TLS"):
        connect(plain.replace("ftpsvc+tcp://", "ftpsvc://"))


@pytest.mark.parametrize("said", [b"SSH-2.0-OpenSSH\r\n", b"HTTP/1.1 400 Bad Request\r\n\r\n", b"\0\0\0\2{}"])
def test_something_else_on_the_port(said: bytes) -> None:
    def serve(sock: socket.socket) -> None:
        sock.sendall(said)
        sock.recv(65536)

    with one_connection(serve) as url, pytest.raises(ConnectFailed, match="no TLS"):
        connect(url)


def test_a_server_that_says_nothing_or_goes(tmp_path: Path) -> None:
    gone = threading.Event()
    with one_connection(lambda sock: gone.wait(GUARD)) as url:
        with pytest.raises(TransferTimeout, match="TLS handshake"):
            connect(url, timeout=SHORT)
        gone.set()
    with one_connection(lambda sock: None) as url, pytest.raises(ConnectFailed):
        connect(url)


def test_c56_busy_is_said_by_a_full_server_also_to_who_speaks_tls(tmp_path: Path) -> None:
    with tls(tmp_path / "root", limits={"connections": 1}) as daemon, client_of(daemon) as first:
        for _ in range(10):
            with pytest.raises(Busy) as caught:
                client_of(daemon)
            assert caught.value.limit == 1
        assert first.list("/") == []


# ---------------------------------------------------------------- addresses


def test_ipv6_and_ipv4_on_one_listener(tmp_path: Path) -> None:
    with embedded(tmp_path / "root", listen=("ftpsvc://[::]:0",)) as daemon:
        port = daemon.addresses[0].port
        assert str(daemon.addresses[0]) == f"ftpsvc://[::]:{port}"
        for host in ("127.0.0.1", "[::1]", "localhost"):
            with connect(f"ftpsvc://{host}:{port}", fingerprint=shown(daemon)) as client:
                assert client.list("/") == []


@pytest.mark.skipif(not noipv6.AVAILABLE, reason="takes IPv6 away by seccomp, on Linux")
def test_a_system_that_has_no_ipv6_at_all_serves_ipv4_with_a_note(tmp_path: Path) -> None:
    """The real command on a system that refuses sockets of IPv6, with the address that is the default."""
    with server(tmp_path / "root", listen="ftpsvc://[::]:0", before=noipv6.without_ipv6) as running:
        assert "this machine has no IPv6" in running.wait_for("note:")
        assert running.url.startswith("ftpsvc://0.0.0.0:")
        with TlsPeer(("127.0.0.1", running.where[1])) as peer:
            assert peer.ask("pwd")["status"] == "ok"


def test_a_machine_without_ipv6_listens_on_ipv4_by_tls_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = tcp.Listener.server_bind

    def bind(listener: tcp.Listener) -> None:
        if listener.address_family is socket.AF_INET6:
            raise OSError(errno.EAFNOSUPPORT, "Address family not supported by protocol")
        real(listener)

    monkeypatch.setattr(tcp.Listener, "server_bind", bind)
    with embedded(tmp_path / "root", listen=("ftpsvc://[::]:0",)) as daemon:
        assert daemon.addresses[0].scheme == "ftpsvc"
        assert daemon.addresses[0].host == "0.0.0.0"
        assert any("no IPv6" in note and "ftpsvc://0.0.0.0" in note for note in daemon.notes)
        with connect(f"ftpsvc://127.0.0.1:{daemon.addresses[0].port}", fingerprint=shown(daemon)) as client:
            assert client.list("/") == []


# ---------------------------------------------------------------- transfers


@pytest.mark.parametrize("size", [0, 1, 16384, 16385, 1_000_003, 20_000_000])
def test_files_of_every_size_both_ways(tmp_path: Path, size: int) -> None:
    data = os.urandom(size)
    with tls(tmp_path / "root") as daemon, client_of(daemon) as client:
        stored = client.put(data, "/f")
        assert stored.size == size
        target = io.BytesIO()
        client.get("/f", target)
        assert target.getvalue() == data
        for _ in range(2):  # the digest is on record now: what would be sent by the kernel without TLS
            assert client.get("/f", tmp_path / "copy", overwrite=True).digest == stored.digest
        assert (tmp_path / "copy").read_bytes() == data


def test_pipelined_small_files_both_ways(tmp_path: Path) -> None:
    source = tmp_path / "source"
    for number in range(count(300, 3000)):
        file = source / f"d{number % 7}" / f"f{number}"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(os.urandom(number * 37 % 20_000))
    with tls(tmp_path / "root") as daemon, client_of(daemon) as client:
        assert not client.put_tree(source, "/tree").problems
        assert not client.get_tree("/tree", tmp_path / "back").problems
    original = {path.relative_to(source): path.read_bytes() for path in source.rglob("f*")}
    back = tmp_path / "back"
    found = next(path for path in (back, back / "tree") if (path / "d0").is_dir())
    assert {path.relative_to(found): path.read_bytes() for path in found.rglob("f*")} == original


def test_many_at_once(tmp_path: Path) -> None:
    failed: list[BaseException] = []

    def work(daemon: Daemon, number: int) -> None:
        try:
            data = os.urandom(2_000_000)
            with client_of(daemon) as client:
                client.put(data, f"/f{number}")
                target = io.BytesIO()
                client.get(f"/f{number}", target)
                assert target.getvalue() == data
        except BaseException as error:  # noqa: BLE001 - told to the test's own thread
            failed.append(error)

    with tls(tmp_path / "root") as daemon:
        threads = [threading.Thread(target=work, args=(daemon, number)) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert failed == []


# ---------------------------------------------------------------- cuts


@pytest.mark.parametrize("keep", range(0, 700, 50))
def test_c04_a_cut_anywhere_in_tls_leaves_nothing_visible(tmp_path: Path, keep: int) -> None:
    """An upload is cut after so many bytes on the wire, in mid-record or between two, without a goodbye."""
    with tls(tmp_path / "root") as daemon:
        with TlsPeer(where(daemon)) as peer:
            whole = put_bytes("f", os.urandom(400))[: -1 if keep > 400 else None]
            peer.send(whole[: max(1, min(keep, len(whole) - 1))])
            raw = socket.socket(fileno=peer.sock.detach())
            with raw:
                raw.sendall(b"\x17\x03\x03\x10\x00"[: keep % 6] + bytes(keep % 50))
        wait_until_empty(daemon)
        with client_of(daemon) as client:
            assert client.list("/") == []


def test_c04_half_closing_in_tls_still_gets_its_answers(tmp_path: Path) -> None:
    with tls(tmp_path / "root") as daemon, TlsPeer(where(daemon)) as peer:
        peer.send(put_bytes("f", b"content") + frame({"op": "pwd"}))
        peer.sock.settimeout(0)
        with contextlib.suppress(ssl.SSLError):  # what it would like to see is the other side's, too
            peer.sock.unwrap()  # type: ignore[attr-defined]  # sends close_notify, and the other direction stays open
        wait_until_empty(daemon)
        assert (tmp_path / "root" / "public" / "f").read_bytes() == b"content"


def test_the_client_learns_that_a_server_was_cut_off(tmp_path: Path) -> None:
    with server(tmp_path / "root", listen=ANY_TLS_PORT) as running:
        trust = Fixed(read_fingerprint(running.wait_for("certificate SHA256").rpartition(" ")[2]))
        with connect(running.url, trust=trust) as client:
            client.put(bytes(5_000_000), "/f")
            running.kill()
            with pytest.raises(FtpsvcError) as caught:
                client.get("/f", io.BytesIO())
            assert isinstance(caught.value, ConnectionLost | ConnectFailed)


# ---------------------------------------------------------------- the process


def test_idle_users_cost_little_memory(tmp_path: Path) -> None:
    """Real log-ins by token over TLS, a listing, then nothing: less than 150 KiB of the server each."""
    many = 200
    settings = {"limits.per_user": many + 1, "log.level": "warning"}
    with server(tmp_path / "root", guest="none", listen=ANY_TLS_PORT, settings=settings) as running:
        trust = Fixed(read_fingerprint(running.wait_for("certificate SHA256").rpartition(" ")[2]))
        with Accounts(running.root) as accounts:
            accounts.add("alice")
            code = Credentials.code("alice", accounts.issue_code("alice"))
        with connect(running.url, trust=trust, credentials=code) as client:
            token = Credentials.token("alice", client.issue_token("test"))
        with contextlib.ExitStack() as stack:
            before = running.status("VmRSS")
            clients = [
                stack.enter_context(connect(running.url, trust=trust, credentials=token)) for _ in range(many)
            ]
            for client in clients:
                client.list("/")
            assert running.status("Threads") > many
            # The last ones give their memory back a moment after their answers.
            until(lambda: (running.status("VmRSS") - before) / many < 150)


def test_start_says_the_certificate_and_the_command_the_same(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "ftpsvc.server", "fingerprint", "--root", str(tmp_path / "root")]
    before = subprocess.run(command, capture_output=True, text=True, timeout=GUARD, check=True).stdout
    with server(tmp_path / "root", listen=ANY_TLS_PORT) as running:
        line = running.wait_for("certificate SHA256")
        assert line == f"ftpsvc-server: certificate SHA256 {before.strip()}"
        with TlsPeer(running.where) as peer:
            der = peer.sock.getpeercert(binary_form=True)  # type: ignore[attr-defined]
        assert fingerprint(der) == read_fingerprint(before)


def test_sighup_under_load(tmp_path: Path) -> None:
    pairs = [certs.make() for _ in range(2)]
    allowed = {fingerprint(pair.der) for pair in pairs}
    both = tmp_path / "both.pem"
    settings = {"tls.certificate": both}

    def put(pair: certs.Pair) -> None:
        new = tmp_path / "new.pem"
        new.write_bytes(pair.key + pair.certificate)
        new.chmod(0o600)
        os.replace(new, both)

    put(pairs[0])
    failed: list[BaseException] = []
    stop = threading.Event()

    class Either:
        def check(self, address: object, der: bytes) -> None:
            assert fingerprint(der) in allowed

        def proved(self, address: object, der: bytes) -> None:
            raise AssertionError

    def load(url: str, number: int) -> None:
        try:
            while not stop.is_set():
                with connect(url, trust=Either()) as client:
                    client.put(bytes(200_000), f"/f{number}")
        except BaseException as error:  # noqa: BLE001 - told to the test's own thread
            failed.append(error)

    with server(tmp_path / "root", listen=ANY_TLS_PORT, settings=settings) as running:
        threads = [threading.Thread(target=load, args=(running.url, number)) for number in range(3)]
        with connect(running.url, fingerprint=fingerprint(pairs[0].der)) as old:
            for thread in threads:
                thread.start()
            for turn in range(1, 7):
                put(pairs[turn % 2])
                running.signal(signal.SIGHUP)
                wait_until_shown(running.where, fingerprint(pairs[turn % 2].der))
            both.write_bytes(b"no certificate")
            running.signal(signal.SIGHUP)
            running.wait_for("certificate-kept")
            wait_until_shown(running.where, fingerprint(pairs[0].der))
            stop.set()
            for thread in threads:
                thread.join()
            assert old.put(b"still here", "/old").size == 10
        assert failed == []


def wait_until_shown(place: tuple[str, int], expected: str) -> None:
    for _ in range(3000):
        with TlsPeer(place) as peer:
            der = peer.sock.getpeercert(binary_form=True)  # type: ignore[attr-defined]
        if fingerprint(der) == expected:
            return
    raise AssertionError(f"{expected} was never shown")


def test_stopping_says_goodbye_to_idle_clients_and_cuts_handshakes(tmp_path: Path) -> None:
    with (
        server(
            tmp_path / "root",
            listen=ANY_TLS_PORT,
            settings={"timeouts.handshake": 1000, "timeouts.grace": 1000},
        ) as running,
        socket.create_connection(running.where, GUARD) as half,
        TlsPeer(running.where) as idle,
    ):
        half.sendall(client_hello()[:100])
        assert idle.ask("pwd")["status"] == "ok"
        running.signal()
        answer = idle.read()
        assert (answer["code"], answer["fatal"]) == ("unavailable", True)
        assert idle.at_end()
        assert running.end() == 0
