"""Connections: how many, for how long silent, and what one after another leaves behind."""

import resource
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from annotated_types import Le
from pydantic import BaseModel

from ftpsvc.server.config import Limits, Timeouts
from ftpsvc.server.daemon import Daemon
from tests.helpers.cli import until
from tests.helpers.counts import count
from tests.helpers.daemon import GUARD, ServerProcess, server
from tests.helpers.embedded import dial, embedded
from tests.helpers.raw_peer import RawPeer, frame, put_bytes

SHORT = 0.3
LONG = 100.0


def test_c56_one_more_than_the_limit_is_told_busy_at_once(tmp_path: Path) -> None:
    with embedded(tmp_path / "root", limits={"connections": 3}) as daemon:
        served = [dial(daemon) for _ in range(3)]
        for _ in range(3):
            with dial(daemon) as refused:
                answer = refused.greeting
                assert (answer["status"], answer["code"]) == ("error", "busy")
                assert (answer["fatal"], answer["retry"], answer["limit"]) == (True, True, 3)
                assert refused.at_end()
        assert [peer.ask("pwd")["status"] for peer in served] == ["ok"] * 3
        assert served[0].ask("quit")["status"] == "ok"
        served[0].close()
        assert wait_until_fewer(daemon, 3)
        with dial(daemon) as next_one:
            assert next_one.ask("pwd")["status"] == "ok"
        for peer in served:
            peer.close()


def wait_until_fewer(daemon: Daemon, limit: int) -> bool:
    """Waits until a seat is free: a client sees the end a moment before the server is done with it."""
    free = threading.Event()
    for _ in range(3000):
        if len(daemon.registry) < limit:
            return True
        free.wait(0.02)
    return False


def test_c56_the_limit_per_address_leaves_others_alone(tmp_path: Path, short_tmp: Path) -> None:
    listen = ("ftpsvc+tcp://127.0.0.1:0", "ftpsvc+tcp://[::1]:0", f"ftpsvc+unix://{short_tmp}/s")
    with embedded(tmp_path / "root", listen=listen, limits={"per_address": 2}) as daemon:
        places: list[tuple[str, int] | str] = [
            address.path or (address.host, address.port) for address in daemon.addresses
        ]
        peers = []
        for place in places:
            peers += [RawPeer(place), RawPeer(place)]
            with RawPeer(place) as refused:
                assert (refused.greeting["code"], refused.greeting["limit"]) == ("busy", 2)
        assert [peer.ask("pwd")["status"] for peer in peers] == ["ok"] * 6
        for peer in peers:
            peer.close()


def test_c56_a_busy_answer_reaches_a_client_that_has_spoken_already(tmp_path: Path) -> None:
    with embedded(tmp_path / "root", limits={"connections": 1}) as daemon, dial(daemon):
        for _ in range(20):
            with dial(daemon, greeted=False) as hasty:
                hasty.send(frame({"op": "pwd"}))
                assert hasty.read()["code"] == "busy"


# ---------------------------------------------------------------- silence


def half_a_length(peer: RawPeer) -> None:
    peer.send(b"\0\0")


def half_a_header(peer: RawPeer) -> None:
    peer.send(frame({"op": "pwd"})[:9])


def half_a_payload(peer: RawPeer) -> None:
    peer.send(frame({"op": "put", "path": "x", "size": 10**6, "algorithm": "md5"}, bytes(500_000)))


def no_trailer(peer: RawPeer) -> None:
    peer.send(frame({"op": "put", "path": "x", "size": 1000, "algorithm": "md5"}, bytes(1000)))


def half_a_trailer(peer: RawPeer) -> None:
    peer.send(put_bytes("x", bytes(1000))[:-3])


def half_of_a_refused_payload(peer: RawPeer) -> None:
    peer.send(frame({"op": "put", "path": "a/b", "size": 10**6, "algorithm": "md5"}, bytes(500_000)))


def nothing(peer: RawPeer) -> None:
    pass


@pytest.mark.parametrize(
    ("silence", "timeout", "phase"),
    [
        (nothing, "idle", "a request"),
        (half_a_length, "header", "the rest of a header"),
        (half_a_header, "header", "the rest of a header"),
        (half_a_payload, "stall", "data"),
        (no_trailer, "stall", "a trailer"),
        (half_a_trailer, "header", "the rest of a header"),
        (half_of_a_refused_payload, "stall", "data"),
    ],
)
def test_c57_silence_in_each_phase_ends_with_a_reason(
    tmp_path: Path, silence: Callable[[RawPeer], None], timeout: str, phase: str
) -> None:
    others = {"idle": LONG, "header": LONG, "stall": LONG, "greeting": LONG}
    with embedded(tmp_path / "root", timeouts=others | {timeout: SHORT}) as daemon, dial(daemon) as peer:
        silence(peer)
        answer = peer.read()
        assert (answer["code"], answer["fatal"], answer["retry"]) == ("timeout", True, True)
        assert (answer["phase"], answer["seconds"]) == (phase, SHORT)
        assert peer.at_end()
        assert daemon.registry.wait_empty(60)
        assert not list((tmp_path / "root" / "public" / ".ftpsvc" / "staging").iterdir())


def test_c57_who_may_do_nothing_gets_little_time_to_say_so(tmp_path: Path) -> None:
    timeouts = {"greeting": SHORT, "idle": LONG}
    with embedded(tmp_path / "root", guest="none", timeouts=timeouts) as daemon, dial(daemon) as peer:
        assert peer.read()["code"] == "timeout"
        assert peer.at_end()


def test_c57_a_client_that_reads_nothing_is_given_up(tmp_path: Path) -> None:
    with embedded(tmp_path / "root") as daemon, dial(daemon) as peer:
        peer.put("file", bytes(32 << 20))
    with embedded(tmp_path / "root", timeouts={"stall": SHORT}) as daemon:
        with dial(daemon, receive_buffer=4096) as peer:
            peer.send(frame({"op": "get", "path": "file", "algorithm": "sha256"}))
            assert daemon.registry.wait_empty(60)
        with dial(daemon, receive_buffer=4096) as peer:
            peer.send(frame({"op": "get", "path": "file", "algorithm": "md5"}))
            assert daemon.registry.wait_empty(60)


def test_c57_nothing_follows_half_a_message(tmp_path: Path, short_tmp: Path) -> None:
    """A client that reads nothing is given up in the middle of an answer: not even the reason may come after that."""
    path = str(short_tmp / "s")
    deep = "/".join(["d" * 250] * 15)
    with (
        embedded(tmp_path / "root", timeouts={"stall": SHORT}, listen=(f"ftpsvc+unix://{path}",)) as daemon,
        RawPeer(path) as peer,
    ):
        assert peer.ask("mkdir", path=deep, parents=True)["created"]
        answer = peer.ask("cd", path=deep)
        peer.send(frame({"op": "pwd"}) * 400)
        assert daemon.registry.wait_empty(60)
        answers = []
        with suppress(EOFError, ConnectionResetError):  # a reset: it left requests unread
            while True:
                answers.append(peer.read())
        assert len(answers) < 400
        assert answers == [answer] * len(answers)


def test_c57_a_header_that_dribbles_in_has_one_time_for_all_of_it(tmp_path: Path) -> None:
    with embedded(tmp_path / "root", timeouts={"header": 1.0, "idle": LONG}) as daemon, dial(daemon) as peer:
        pause = threading.Event()
        sent = 0
        for byte in frame({"op": "stat", "path": "x" * 1000}):
            try:
                peer.send(bytes([byte]))
            except OSError:
                break
            sent += 1
            pause.wait(0.05)  # never silent for long, and never done
        assert sent < 900
        assert daemon.registry.wait_empty(60)


# ---------------------------------------------------------------- one after another


def visit(place: tuple[str, int], number: int) -> None:
    with RawPeer(place) as peer:
        if number % 3 == 0:
            assert peer.put(f"file {number % 50}", bytes(2000))["status"] == "ok"
        elif number % 3 == 1:
            assert peer.ask("pwd")["status"] == "ok"
            peer.send(b"\0")  # broken off
        else:
            assert peer.ask("quit")["status"] == "ok"


@pytest.mark.timeout(600)
def test_c59_connections_one_after_another_leave_nothing_behind(tmp_path: Path) -> None:
    rounds = count(300, 10_000)
    with server(tmp_path / "root", "--durability", "relaxed") as running:

        def settled() -> tuple[int, int, int]:
            """Threads, descriptors and resident KiB once only the connection that asks is left."""
            pause = threading.Event()
            for _ in range(3000):
                now = running.status("Threads"), running.descriptors(), running.status("VmRSS")
                if now[0] <= threads and now[1] <= descriptors:
                    break
                pause.wait(0.02)
            return now

        threads, descriptors = running.status("Threads"), running.descriptors()
        for number in range(200):  # what is allocated once is allocated now
            visit(running.where, number)
        grown = []
        # How many overlap, and so how much is allocated, is up to the machine; a leak grows every time.
        for _ in range(5):
            before = settled()
            for number in range(rounds):
                visit(running.where, number)
            after = settled()
            assert after[:2] == (threads, descriptors)
            grown.append(after[2] - before[2])
            if grown[-1] < 2048:
                return
        pytest.fail(f"{grown} KiB more after each {rounds} connections")


def becomes_calm(running: ServerProcess) -> bool:
    """Whether it comes to a while in which it hardly computes; a loop that spins never does.

    Any number of whiles are tried, so that one in which the machine catches up with something proves nothing.
    """
    pause, until = threading.Event(), time.monotonic() + GUARD
    while time.monotonic() < until:
        used = running.process_seconds()
        pause.wait(0.5)
        if running.process_seconds() - used < 0.1:
            return True
    return False


def test_no_descriptor_left_is_said_and_survived(tmp_path: Path) -> None:
    def few() -> None:
        resource.setrlimit(resource.RLIMIT_NOFILE, (40, 40))

    with server(tmp_path / "root", before=few) as running:
        assert running.wait_for("note: 1024 connections may need")
        peers: list[RawPeer] = []
        while "busy" not in (peer := RawPeer(running.where)).greeting.get("code", ""):
            peers.append(peer)
            assert len(peers) < 40
        assert peer.at_end()
        peer.close()
        running.wait_for("no-descriptor")
        for _ in range(5):
            with RawPeer(running.where) as peer:
                assert peer.greeting["code"] == "busy"
        assert becomes_calm(running)
        # Each turn of the accept loop without a descriptor is one line: a loop that spins has thousands.
        assert sum("no-descriptor" in line for line in running.lines) < 50
        peers.pop().close()
        peers.pop().close()
        running.wait_for("end=closed")
        for peer in peers:
            assert peer.ask("pwd")["status"] == "ok"
            peer.close()
        with RawPeer(running.where) as peer:
            assert peer.put("file", b"served again")["status"] == "ok"


def largest(section: type[BaseModel]) -> dict[str, Any]:
    """The numbers of a section at the most that they may be."""
    found: dict[str, Any] = {}
    for name, field in section.model_fields.items():
        most = [limit.le for limit in field.metadata if isinstance(limit, Le)]
        assert most, f"{name} has no upper limit"
        found[name] = most[0]
    return found


def test_every_number_at_its_most_is_served_with(tmp_path: Path) -> None:
    settings: dict[str, Any] = {"limits": largest(Limits), "timeouts": largest(Timeouts)}
    with embedded(tmp_path / "root", **settings) as daemon, dial(daemon) as peer:
        assert peer.put("file", bytes(200_000))["status"] == "ok"
        assert peer.get("file")[0] == bytes(200_000)
        assert peer.ask("quit")["status"] == "ok"


def test_idle_connections_cost_little(tmp_path: Path) -> None:
    number = count(100, 400)
    with server(tmp_path / "root", "--durability", "relaxed") as running, RawPeer(running.where) as first:
        first.put("file", bytes(3 << 20))
        first.get("file")
        before = running.status("VmRSS")
        peers = [RawPeer(running.where) for _ in range(number)]
        for peer in peers:  # each has used its buffers once
            peer.put("mine", bytes(200_000))
            assert peer.get("file")[0] == bytes(3 << 20)
        # The last ones give their memory back a moment after their answers.
        until(lambda: (running.status("VmRSS") - before) / number < 150)
        for peer in peers:
            peer.close()


@pytest.mark.timeout(600)
def test_c52_memory_does_not_grow_with_the_file(tmp_path: Path) -> None:
    size = count(192 << 20, 4 << 30)
    piece = bytes(1 << 20)
    with server(tmp_path / "root", "--durability", "relaxed") as running, RawPeer(running.where) as peer:
        peer.send(frame({"op": "put", "path": "large", "size": size, "algorithm": "md5"}))
        for _ in range(size >> 20):
            peer.send(piece)
        peer.send(frame({"digest": "0" * 32}))  # wrong: what it costs is the same
        assert peer.read()["code"] == "digest-mismatch"
        with open(running.public / "large", "wb") as file:
            file.truncate(size)
        for algorithm in ("md5", "blake3"):
            peer.send(frame({"op": "get", "path": "large", "algorithm": algorithm}))
            assert peer.read()["size"] == size
            for _ in range(size >> 20):
                peer.payload(1 << 20)
            assert "digest" in peer.read()
        alone = running.status("VmHWM")
        assert alone < 100 * 1024, f"{alone} KiB at most with one transfer"
        others = [RawPeer(running.where, receive_buffer=8192) for _ in range(20)]
        for number, other in enumerate(others):
            if number % 2:
                other.send(frame({"op": "get", "path": "large", "algorithm": "sha256"}))
                other.read()
            else:
                request = {"op": "put", "path": f"file {number}", "size": size, "algorithm": "md5"}
                other.send(frame(request, bytes(8 << 20)))
        more = (running.status("VmHWM") - alone) / len(others)
        assert more < 2048, f"{more:.0f} KiB for each further transfer"
        for other in others:
            other.close()
