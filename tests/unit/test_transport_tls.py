"""A channel over TLS: everything that a bare socket does otherwise."""

import contextlib
import hashlib
import os
import select
import socket
import ssl
import threading
from collections.abc import Iterator

import pytest

from ftpsvc.buffers import BufferPool
from ftpsvc.exceptions import ConnectionLost, FtpsvcError, TransferTimeout, Unavailable
from ftpsvc.protocol.connection import (
    Connection,
    GreetingReceived,
    RequestReceived,
    ResponseReceived,
    ServerClosing,
)
from ftpsvc.protocol.headers import Content, Get, Located, Ls, Put, Pwd, Stored
from ftpsvc.protocol.state import Role
from ftpsvc.transport import Channel
from tests.helpers.certs import (
    client_context,
    context_of,
    make,
    tiny_tls_pair,
    tls_pair,
    tls_pair_with_tickets,
)
from tests.helpers.channels import DIGEST, GREETING, LONG, SHORT, Pair, channels, tcp_pair
from tests.helpers.raw_peer import frame

PAIRS = pytest.mark.parametrize(
    "pair", [tls_pair, tiny_tls_pair, tls_pair_with_tickets], ids=lambda pair: pair.__name__
)


@contextlib.contextmanager
def in_thread(target: object) -> Iterator[None]:
    assert callable(target)
    thread = threading.Thread(target=target)
    thread.start()
    try:
        yield
    finally:
        thread.join()


def bare(channel: Channel) -> socket.socket:
    return channel.wire._socket


@PAIRS
def test_a_large_payload_goes_both_ways(pair: Pair) -> None:
    data = os.urandom(3_000_000)
    pool = BufferPool()
    with channels(pair) as (client, server):
        assert client.wire.encrypted
        assert not client.wire.can_send_file

        def serve() -> None:
            event = server.receive_event(LONG, "a request")
            assert isinstance(event, RequestReceived)
            received = b"".join(bytes(piece) for piece in server.payload(pool))
            server.receive_event(LONG, "a trailer")
            digest = hashlib.sha256(received).hexdigest()
            server.queue(server.connection.send_response(
                Stored(path="/f", file_size=len(received), algorithm="sha256", digest=digest)
            ))  # fmt: skip
            server.flush()
            assert isinstance(server.receive_event(LONG, "a request"), RequestReceived)
            server.queue(server.connection.send_response(
                Content(size=len(received), file_size=len(received), algorithm="md5"), content=True
            ))  # fmt: skip
            server.send_payload(memoryview(received))
            server.queue(server.connection.send_trailer(DIGEST))
            server.flush()

        with in_thread(serve):
            client.queue(client.connection.send_request(Put(path="/f", size=len(data), algorithm="md5")))
            client.send_payload(memoryview(data))
            client.queue(client.connection.send_trailer(DIGEST))
            answer = client.receive_event(LONG, "an answer")
            assert isinstance(answer, ResponseReceived)
            assert isinstance(answer.response, Stored)
            assert answer.response.digest == hashlib.sha256(data).hexdigest()
            client.queue(client.connection.send_request(Get(path="/f", algorithm="md5")))
            assert isinstance(client.receive_event(LONG, "an answer"), ResponseReceived)
            assert b"".join(bytes(piece) for piece in client.payload(pool)) == data
            client.receive_event(LONG, "a trailer")


@PAIRS
def test_pipelined_uploads_do_not_block_on_answers(pair: Pair) -> None:
    """The server answers each upload before it reads the next, and its answers fill every buffer on the way."""
    many, data = 400, os.urandom(20_000)
    with channels(pair) as (client, server):

        def serve() -> None:
            pool = BufferPool()
            for number in range(many):
                assert isinstance(server.receive_event(LONG, "a request"), RequestReceived)
                assert b"".join(bytes(piece) for piece in server.payload(pool)) == data
                server.receive_event(LONG, "a trailer")
                server.queue(server.connection.send_response(
                    Stored(path=f"/{number}" * 400, file_size=len(data), algorithm="md5", digest=DIGEST)
                ))  # fmt: skip
                server.flush()

        with in_thread(serve):
            answers = 0
            for number in range(many):
                client.queue(
                    client.connection.send_request(Put(path=f"/{number}", size=len(data), algorithm="md5"))
                )
                client.send_payload(memoryview(data))
                client.queue(client.connection.send_trailer(DIGEST))
            while answers < many:
                assert isinstance(client.receive_event(LONG, "an answer"), ResponseReceived)
                answers += 1


def test_requests_behind_an_unread_payload_wait_without_blocking() -> None:
    """The server reads nothing before its payload is gone: what the client cannot send stays with it."""
    size = 4_000_000
    with channels(tiny_tls_pair) as (client, server):

        def serve() -> None:
            assert isinstance(server.receive_event(LONG, "a request"), RequestReceived)
            server.queue(server.connection.send_response(
                Content(size=size, file_size=size, algorithm="md5"), content=True
            ))  # fmt: skip
            server.send_payload(memoryview(bytes(size)))
            server.queue(server.connection.send_trailer(DIGEST))
            for _ in range(100):
                event = server.receive_event(LONG, "a request")
                assert isinstance(event, RequestReceived)
                server.queue(server.connection.send_response(Located(path="/")))
            server.flush()

        with in_thread(serve):
            client.queue(client.connection.send_request(Get(path="/f", algorithm="md5")))
            assert isinstance(client.receive_event(LONG, "an answer"), ResponseReceived)
            for _ in range(100):
                client.queue(client.connection.send_request(Pwd()))
                client.flush()
            assert sum(len(piece) for piece in client.payload(BufferPool())) == size
            client.receive_event(LONG, "a trailer")
            for _ in range(100):
                assert isinstance(client.receive_event(LONG, "an answer"), ResponseReceived)


@pytest.mark.parametrize("unanswered", [1, 2])
def test_half_a_record_is_no_answer_to_wait_for(unanswered: int) -> None:
    """Poll says that there is something to read, and it is not enough to make a byte of: an upload must go on."""
    with tcp_pair_of(client_context()) as (ours, theirs, server):
        client = Channel(ours, Connection(Role.CLIENT), stall=LONG, header=LONG)
        theirs.sendall(server.write(frame({"service": "ftpsvc", "version": 1, "algorithms": ["md5"]})))
        assert isinstance(client.receive_event(LONG, "the greeting"), GreetingReceived)
        for _ in range(unanswered - 1):
            client.queue(client.connection.send_request(Pwd()))
        client.queue(client.connection.send_request(Put(path="/f", size=600_000, algorithm="md5")))
        record = server.write(
            frame({"status": "error", "code": "busy", "message": "later", "path": "/f"}) * unanswered
        )
        theirs.sendall(record[: len(record) // 2])
        with in_thread(lambda: drain(theirs, 600_000)):
            client.send_payload(memoryview(bytes(600_000)))
        theirs.sendall(record[len(record) // 2 :])
        for _ in range(unanswered):
            assert isinstance(client.receive_event(LONG, "an answer"), ResponseReceived)
        client.close()


def drain(sock: socket.socket, count: int) -> None:
    """Takes at least so many bytes."""
    while count > 0:
        count -= len(sock.recv(65536))


class Records:
    """The server's end of TLS without a socket: the test sends its records, in such pieces as it likes."""

    def __init__(self) -> None:
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        context = context_of(make())
        context.num_tickets = 0
        self.tls = context.wrap_bio(self.incoming, self.outgoing, server_side=True)

    def write(self, data: bytes) -> bytes:
        """The record that carries `data`."""
        self.tls.write(data)
        return self.outgoing.read()


@contextlib.contextmanager
def tcp_pair_of(context: ssl.SSLContext) -> Iterator[tuple[ssl.SSLSocket, socket.socket, Records]]:
    """The client's TLS socket, the bare socket at the other end, and the TLS that belongs to it, shaken hands."""
    bare, theirs = tcp_pair()
    server = Records()
    with theirs:
        bare.setblocking(False)
        with context.wrap_socket(bare, do_handshake_on_connect=False) as ours:
            while True:
                try:
                    ours.do_handshake()
                    break
                except ssl.SSLWantReadError:
                    server.incoming.write(theirs.recv(65536))
                    with contextlib.suppress(ssl.SSLWantReadError):
                        server.tls.do_handshake()
                    theirs.sendall(server.outgoing.read())
            server.incoming.write(theirs.recv(65536))
            server.tls.do_handshake()
            ours.setblocking(True)
            yield ours, theirs, server


# ---------------------------------------------------------------- the end


@pytest.mark.parametrize("payload", [0, 10])
def test_c04_an_end_without_close_notify_in_mid_message_is_a_loss(payload: int) -> None:
    with channels(tls_pair) as (client, server):
        client.queue(client.connection.send_request(Put(path="/f", size=100, algorithm="md5")))
        client.flush()
        assert isinstance(server.receive_event(LONG, "a request"), RequestReceived)
        if payload:
            client.send_payload(memoryview(bytes(payload)))
            client.flush()
        with socket.socket(fileno=bare(client).detach()) as raw:  # which says no goodbye of TLS
            raw.shutdown(socket.SHUT_WR)
            with pytest.raises(ConnectionLost, match="bytes of a payload missing"):
                list(server.payload(BufferPool()))


def test_c04_a_cut_in_the_middle_of_a_record_adds_nothing_to_what_came_before() -> None:
    ours, theirs = tls_pair()
    with ours, theirs:
        server = Channel(theirs, Connection(Role.SERVER), stall=LONG, header=LONG)
        raw = socket.socket(fileno=ours.detach())
        with raw:
            raw.sendall(b"\x17\x03\x03\x01\x00" + b"half a record")
        assert server.receive_event(LONG, "a request") is None  # between two messages: an end like any other
        server.close()


def test_a_forged_record_ends_the_connection_by_name() -> None:
    ours, theirs = tls_pair()
    server = Channel(theirs, Connection(Role.SERVER), stall=LONG, header=LONG)
    with socket.socket(fileno=ours.detach()) as raw:
        raw.sendall(b"\x17\x03\x03\x00\x20" + bytes(32))
        with pytest.raises(ConnectionLost, match="TLS: decryption failed or bad record mac"):
            server.receive_event(LONG, "a request")
    server.close()


def test_lingering_says_the_end_in_tls_too() -> None:
    with channels(tls_pair) as (client, server):
        server.queue(server.connection.send_error(Unavailable("", "the server is stopping"), fatal=True))
        # What the client sent and nobody reads must not become a reset that overtakes the answer.
        client.queue(client.connection.send_request(Ls(path="/")))
        client.flush()
        with in_thread(lambda: server.linger(LONG)):
            event = client.receive_event(LONG, "an answer")
            assert isinstance(event, ServerClosing | ResponseReceived)
            assert bare(client).recv(1) == b""
            client.close()


def test_a_server_that_stops_reading_can_still_say_goodbye() -> None:
    with channels(tls_pair) as (client, server):
        waiting = threading.Event()
        seen: list[object] = []

        def serve() -> None:
            waiting.set()
            seen.append(server.receive_event(LONG, "a request"))
            server.queue(server.connection.send_error(Unavailable("", "the server is stopping"), fatal=True))
            server.linger(LONG)

        with in_thread(serve):
            waiting.wait()
            server.stop_reading()
            event = client.receive_event(LONG, "an answer")
            assert isinstance(event, ServerClosing)
            assert isinstance(event.error, Unavailable)
            client.close()
        assert seen == [None]


def test_interrupting_never_lets_plain_text_out() -> None:
    """The shutdown of an SSLSocket forgets its TLS; a thread that is just sending would go on in plain text."""
    ours, theirs = tiny_tls_pair()
    server = Channel(theirs, Connection(Role.SERVER), stall=LONG, header=LONG)
    server.queue(server.connection.send_greeting(GREETING))
    failed: list[FtpsvcError] = []
    raw = socket.socket(fileno=ours.detach())

    def send() -> None:
        try:
            for _ in range(10_000):
                server._outbox += b"SECRET" * 10_000
                server.flush()
        except FtpsvcError as error:
            failed.append(error)

    with raw, in_thread(send):
        seen = bytearray()
        while len(seen) < 100_000:
            seen += raw.recv(65536)
        server.interrupt()
        raw.settimeout(LONG)
        with contextlib.suppress(ConnectionError):
            while more := raw.recv(65536):
                seen += more
    assert failed
    assert b"SECRET" not in seen
    server._outbox += b"SECRET"
    with pytest.raises(FtpsvcError):
        server.flush()
    server.close()


def test_the_reason_is_learnt_when_sending_fails() -> None:
    with channels(tls_pair) as (client, server):
        client.queue(client.connection.send_request(Put(path="/f", size=1 << 30, algorithm="md5")))
        client.flush()
        server.receive_event(LONG, "a request")

        def refuse() -> None:
            server.queue(server.connection.send_error(Unavailable("", "no more"), fatal=True))
            server.linger(SHORT)

        with in_thread(refuse), pytest.raises(Unavailable, match="no more"):
            send_a_gigabyte(client)


def send_a_gigabyte(client: Channel) -> None:
    for _ in range(1024):
        client.send_payload(memoryview(bytes(1 << 20)))


def test_silence_is_a_timeout() -> None:
    with channels(tls_pair, stall=SHORT) as (client, server):
        with pytest.raises(TransferTimeout):
            server.receive_event(SHORT, "a request")
        client.queue(client.connection.send_request(Put(path="/f", size=100, algorithm="md5")))
        client.flush()
        assert isinstance(server.receive_event(LONG, "a request"), RequestReceived)
        with pytest.raises(TransferTimeout):
            list(server.payload(BufferPool()))


def test_a_peer_that_takes_nothing_is_a_timeout() -> None:
    with channels(tiny_tls_pair, stall=SHORT) as (client, server):
        client.queue(client.connection.send_request(Get(path="/f", algorithm="md5")))
        client.flush()
        server.receive_event(LONG, "a request")
        size = 64 << 20
        server.queue(
            server.connection.send_response(Content(size=size, file_size=size, algorithm="md5"), content=True)
        )
        with pytest.raises(TransferTimeout):
            server.send_payload(memoryview(bytes(size)))
        assert server.wire.send_failed


def test_an_idle_channel_sees_bytes_that_no_poll_can_see() -> None:
    """Two messages in one record: the second is deciphered already, and the socket has nothing more."""
    with channels(tls_pair) as (client, server):
        view = memoryview(bytearray(4))
        client.queue(client.connection.send_request(Pwd()))
        client.flush()
        assert server.wire.readable(LONG)
        assert bare(server).recv_into(view, 4) == 4
        assert not select.select([bare(server)], [], [], 0)[0]
        assert server.wire.readable(0)
