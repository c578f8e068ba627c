"""The peer refuses, closes, vanishes, and what is made of it (docs/protocol.md sections 3.4 and 3.5)."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading

import pytest

from ftpsvc.buffers import BufferPool
from ftpsvc.exceptions import Busy, ConnectionLost, NotFound, TooLarge
from ftpsvc.protocol.connection import (
    Connection,
    RequestReceived,
    ServerClosing,
)
from ftpsvc.protocol.headers import (
    Cd,
    Located,
    Pwd,
    Quit,
)
from ftpsvc.protocol.state import Role
from ftpsvc.transport import Channel
from tests.helpers.channels import (
    LONG,
    SHORT,
    Pair,
    answer,
    channel_and_socket,
    channels,
    put,
    receive_message,
    running,
    send_put,
    serve,
    tcp_pair,
    unix_pair,
)
from tests.helpers.wire import message


def send_for_ever(client: Channel) -> None:
    """Sends one endless upload, in small and in large pieces by turns."""
    small, large = memoryview(bytes(1 << 16)), memoryview(bytes(1 << 20))
    while True:
        client.send_payload(small)
        client.send_payload(large)


def ask_for_ever(client: Channel) -> None:
    while True:
        client.queue(client.connection.send_request(Pwd()))
        client.flush()


@pytest.mark.parametrize("pair", [unix_pair, tcp_pair], ids=["unix", "tcp"])
@pytest.mark.parametrize("behind", [0, 1], ids=["alone", "pipelined"])
def test_c10_a_fatal_refusal_stops_a_long_upload_at_once(pair: Pair, behind: int) -> None:
    """And the refusal arrives although unread data is pending: a close would reset, and the reset overtake it."""
    size = 1 << 40
    with channels(pair) as (client, server):

        def refuse() -> None:
            for _ in range(behind):
                server.receive_event(LONG, "a request")
                server.queue(server.connection.send_response(Located(path="/")))
            server.receive_event(LONG, "a request")
            assert not server.drain(1 << 20)
            server.queue(server.connection.send_error(TooLarge("/f", size, 1 << 20), fatal=True))
            server.linger(LONG)

        with running(refuse):
            for _ in range(behind):
                client.queue(client.connection.send_request(Pwd()))
            client.queue(client.connection.send_request(put("f", size)))
            with pytest.raises(TooLarge) as caught:
                send_for_ever(client)
            assert caught.value.fatal
            assert client.wire.sent < 64 << 20, "it went on although the server had refused"
            client.close()


def test_c10_a_refusal_that_is_not_fatal_keeps_the_connection() -> None:
    with channels() as (client, server):

        def refuse() -> None:
            server.receive_event(LONG, "a request")
            server.queue(server.connection.send_error(Busy("/f")))
            server.flush()
            assert server.drain(1 << 24)
            server.receive_event(LONG, "a trailer")
            serve(server, BufferPool())

        with running(refuse):
            send_put(client, "f", bytes(8 << 20))
            client.queue(client.connection.send_request(Pwd()))
            assert isinstance(answer(client).error, Busy)
            assert answer(client).response == Located(path="/")
            client.queue(client.connection.send_request(Quit()))
            answer(client)


def test_the_reason_is_read_though_the_send_failed() -> None:
    """The server says why and closes; only then the client sends, and fails."""
    with channels() as (client, server):
        server.queue(server.connection.send_error(Busy("", "the server is stopping"), fatal=True))
        server.flush()
        server.close()
        with pytest.raises(Busy, match="stopping"):
            ask_for_ever(client)
        assert client.receive_event(SHORT, "more") is None


def test_the_reason_is_read_when_nothing_was_expected_any_more() -> None:
    """The upload was refused and is only being brought to its end; then the server stops."""
    with channels() as (client, server):
        client.queue(client.connection.send_request(put("f", 1 << 30)))
        client.flush()
        server.receive_event(LONG, "a request")
        server.queue(server.connection.send_error(NotFound("/f")))
        server.flush()
        client.send_payload(memoryview(bytes(100_000)))
        server.queue(server.connection.send_error(Busy("", "the server is stopping"), fatal=True))
        server.flush()
        server.close()
        with pytest.raises(Busy, match="stopping"):
            send_for_ever(client)
        assert isinstance(answer(client).error, NotFound)


def test_answers_that_came_before_the_end_are_not_lost() -> None:
    with channels() as (client, server):
        for number in range(3):
            client.queue(client.connection.send_request(Cd(path=str(number))))
        client.flush()
        for number in range(2):
            server.receive_event(LONG, "a request")
            server.queue(server.connection.send_response(Located(path=f"/{number}")))
        server.queue(server.connection.send_error(Busy("", "stop"), fatal=True))
        server.flush()
        server.close()
        with pytest.raises(Busy):
            ask_for_ever(client)
        for number in range(2):
            assert answer(client).response == Located(path=f"/{number}")
        assert client.receive_event(SHORT, "more") is None


REQUEST = message({"op": "put", "path": "f", "size": 300_000, "algorithm": "md5"})
ENDS = {
    "in the length": (message({"op": "ls"}) + b"\x00\x00", "in the middle of a header"),
    "in a header": (message({"op": "ls"}) + b"\x00\x00\x00\x10{", "in the middle of a header"),
    "at a payload's start": (REQUEST, "300000 bytes of a payload missing"),
    "in a payload": (REQUEST + bytes(100_000), "bytes of a payload missing"),
    "before a trailer": (REQUEST + bytes(300_000), "before a trailer"),
    "in a trailer": (REQUEST + bytes(300_000) + b"\x00\x00\x00", "in the middle of a header"),
}


def read_all(server: Channel) -> None:
    while (event := server.receive_event(LONG, "a request")) is not None:
        if isinstance(event, RequestReceived):
            for _ in server.payload(BufferPool()):
                pass


@pytest.mark.parametrize("half", [False, True], ids=["close", "half-close"])
@pytest.mark.parametrize(("data", "text"), ENDS.values(), ids=ENDS)
def test_c04_a_peer_that_ends_in_the_middle_is_told_from_one_that_ends(
    data: bytes, text: str, half: bool
) -> None:
    with channel_and_socket(Role.SERVER) as (server, sock):

        def send() -> None:
            sock.sendall(data)
            if half:
                sock.shutdown(socket.SHUT_WR)
            else:
                sock.close()

        with running(send), pytest.raises(ConnectionLost, match=text):
            read_all(server)


@pytest.mark.parametrize("half", [False, True], ids=["close", "half-close"])
def test_c04_the_end_between_messages_is_no_error(half: bool) -> None:
    with channel_and_socket(Role.SERVER) as (server, sock):
        sock.sendall(message({"op": "pwd"}))
        if half:
            sock.shutdown(socket.SHUT_WR)
        else:
            sock.close()
        assert isinstance(server.receive_event(LONG, "a request"), RequestReceived)
        assert server.receive_event(LONG, "a request") is None
        assert server.receive_event(LONG, "a request") is None


def test_c04_a_server_that_goes_without_answering_is_lost() -> None:
    with channel_and_socket(Role.CLIENT) as (client, sock):
        client.queue(client.connection.send_request(Pwd()))
        client.flush()
        receive_message(sock)
        sock.close()
        with pytest.raises(ConnectionLost):
            client.receive_event(LONG, "an answer")


def test_c04_a_connection_that_is_reset_is_lost() -> None:
    with channel_and_socket(Role.SERVER, tcp_pair) as (server, sock):
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        sock.close()
        with pytest.raises(ConnectionLost, match="reset"):
            server.receive_event(LONG, "a request")


def test_no_greeting_has_its_own_words() -> None:
    ours, theirs = unix_pair()
    client = Channel(ours, Connection(Role.CLIENT), stall=LONG, header=LONG)
    theirs.close()
    with contextlib.closing(client), pytest.raises(ConnectionLost, match="is it an ftpsvc server"):
        client.receive_event(LONG, "the greeting")


def test_a_refusal_in_place_of_a_greeting() -> None:
    with channels(greeted=False) as (client, server):
        server.queue(server.connection.send_error(Busy("", "full", 1), fatal=True))
        server.flush()
        event = client.receive_event(LONG, "the greeting")
        assert isinstance(event, ServerClosing)
        assert str(event.error) == "full"
        assert client.receive_event(LONG, "more") is None


def test_a_flood_after_the_last_message_is_not_collected() -> None:
    with channel_and_socket(Role.CLIENT) as (client, sock):
        client.queue(client.connection.send_request(Quit()))
        client.flush()
        sock.sendall(message({"status": "ok"}) + bytes(100_000))
        assert answer(client).request == Quit()
        received = client.wire.received
        assert client.receive_event(LONG, "more") is None
        assert client.wire.received == received


def test_interrupt_wakes_the_owner_from_another_thread() -> None:
    with channels() as (_client, server):
        waiting = threading.Event()

        def wait() -> None:
            waiting.set()
            assert server.receive_event(None, "a request") is None

        with running(wait):
            waiting.wait(LONG)
            server.interrupt()


def test_stop_reading_ends_the_wait_and_leaves_a_way_to_say_goodbye() -> None:
    with channels() as (client, server):

        def wait() -> None:
            assert server.receive_event(None, "a request") is None
            server.queue(server.connection.send_error(Busy("", "stopping"), fatal=True))
            server.flush()

        with running(wait):
            server.stop_reading()
            event = client.receive_event(LONG, "anything")
        assert isinstance(event, ServerClosing)


def test_close_twice_and_interrupt_after_it() -> None:
    with channels() as (client, _server):
        client.close()
        client.close()
        client.interrupt()
        client.stop_reading()


def test_a_channel_that_was_closed_says_so() -> None:
    with channels() as (client, server):
        client.close()
        server.close()
        with pytest.raises(ConnectionLost):
            server.receive_event(LONG, "a request")
        for _ in range(2):
            client.queue(client.connection.send_request(Pwd()))
            with pytest.raises(ConnectionLost):
                client.flush()
