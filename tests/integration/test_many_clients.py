"""Many clients at once: none fails, none is starved, and a slow one delays nobody (the times are in benchmarks/)."""

import hashlib
import random
import resource
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from io import BytesIO
from pathlib import Path

import pytest

from ftpsvc_client import Client, connect
from tests.helpers.counts import count
from tests.helpers.daemon import ServerProcess, server
from tests.helpers.raw_peer import RawPeer, frame

MIB = 1 << 20
CLIENTS = count(60, 500)
CONTENT = random.Random(0).randbytes(MIB)


@contextmanager
def everybody(work: Callable[[int], None], clients: int) -> Iterator[list[BaseException]]:
    """Runs `work` in a thread for each client, all let go at once; gives what went wrong when all have ended."""
    problems: list[BaseException] = []
    together = threading.Barrier(clients)

    def run(number: int) -> None:
        try:
            together.wait(120)
            work(number)
        except BaseException as problem:  # noqa: BLE001  # handed to the test
            problems.append(problem)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(clients)]
    for thread in threads:
        thread.start()
    try:
        yield problems
    finally:
        for thread in threads:
            thread.join()


@contextmanager
def many(root: Path, clients: int) -> Iterator[ServerProcess]:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < 4 * clients + 200:
        pytest.skip(
            f"NOT TESTED: {clients} clients need more descriptors than the {hard} that are allowed here"
        )
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(hard, 4 * clients + 200)), hard))
    limits = {"limits.per_address": clients + 10, "limits.connections": clients + 10}
    try:
        with server(root, "--durability", "relaxed", settings=limits) as running:
            yield running
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def put_and_get(client: Client, name: str) -> None:
    """A put and a get of a MiB that differs from everybody else's."""
    content = name.encode().ljust(16) + CONTENT[16:]
    stored = client.put(content, name)
    back = BytesIO()
    fetched = client.get(name, back)
    assert back.getvalue() == content
    assert stored.digest == fetched.digest


@pytest.mark.timeout(600)
def test_many_clients_at_once_each_put_and_get_a_mebibyte(tmp_path: Path) -> None:
    with many(tmp_path / "root", CLIENTS) as running:

        def work(number: int) -> None:
            with connect(running.url, timeout=300) as client:
                put_and_get(client, f"/{number}")

        with everybody(work, CLIENTS) as problems:
            pass
        assert problems == []
        with connect(running.url) as client:
            assert {entry.name for entry in client.list("/")} == {str(number) for number in range(CLIENTS)}


@pytest.mark.timeout(600)
def test_nobody_is_starved_by_those_who_never_stop(tmp_path: Path) -> None:
    """All go on until each has had three turns: were one always passed over, this would not end."""
    clients, turns = count(12, 64), 3
    done = [0] * clients
    with many(tmp_path / "root", clients) as running:

        def work(number: int) -> None:
            with connect(running.url, timeout=300) as client:
                while min(done) < turns:
                    put_and_get(client, f"/{number}")
                    done[number] += 1

        with everybody(work, clients) as problems:
            pass
        assert problems == []
        assert min(done) >= turns


@pytest.mark.timeout(600)
def test_c55_slow_clients_by_the_dozen_delay_nobody(tmp_path: Path) -> None:
    """Half of all connections hang in the middle of a payload, a header or an answer that they do not read."""
    hanging, quick = count(30, 250), count(8, 50)
    size = 8 * MIB
    with many(tmp_path / "root", hanging + quick + 1) as running, ExitStack() as stack:
        with connect(running.url) as client:
            client.put(bytes(size), "/large")
        for number in range(hanging):
            peer = stack.enter_context(RawPeer(running.where))
            match number % 3:
                case 0:
                    header = {"op": "put", "path": f"half{number}", "size": size, "algorithm": "sha256"}
                    peer.send(frame(header, bytes(100_000)))
                case 1:
                    peer.send(frame({"op": "get", "path": "large", "algorithm": "blake3"}))
                case _:
                    peer.send(frame({"op": "ls"})[:9])

        def work(number: int) -> None:
            with connect(running.url, timeout=300) as client:
                put_and_get(client, f"/{number}")

        with everybody(work, quick) as problems:
            pass
        assert problems == []
        digest = hashlib.sha256(bytes(size)).hexdigest()
        with connect(running.url, algorithm="sha256") as client:
            back = BytesIO()
            assert client.get("/large", back).digest == digest
