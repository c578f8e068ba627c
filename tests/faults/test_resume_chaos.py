"""Transfers that are cut, killed and restarted half-way go on where they were, with the right content in the end.

The network is a real relay that counts, the server and the command are processes of their own.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from ftpsvc.exceptions import ConnectionLost
from ftpsvc_client import connect
from tests.helpers.cli import Cli, listed, until
from tests.helpers.counts import count
from tests.helpers.cutter import Cutter, cutter
from tests.helpers.daemon import ServerProcess, server
from tests.helpers.files import MIB, fill, same

SIZE = count(24, 1024) * MIB
LOST = 2 * MIB + 100_000
"""What an interruption costs at most: the buffers that were being filled, and the messages of new connections."""
IN_THE_SYSTEM = min(SIZE // 3, 24 * MIB)
"""What a killed server had not read yet of what the network delivered."""

pytestmark = pytest.mark.timeout(600)


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[ServerProcess]:
    with server(tmp_path / "root", "--durability", "relaxed") as running:
        yield running


@pytest.fixture
def net(daemon: ServerProcess) -> Iterator[Cutter]:
    with cutter(daemon.url) as way:
        yield way


@pytest.fixture
def here(tmp_path: Path) -> Path:
    folder = tmp_path / "here"
    folder.mkdir()
    return folder


def kept(net: Cutter) -> None:
    """Cuts the next upload half-way."""
    net.cuts_up = [net.up + SIZE // 2]


def test_an_upload_that_was_cut_sends_one_percent_again_at_most(
    net: Cutter, daemon: ServerProcess, here: Path
) -> None:
    fill(here / "big", SIZE)
    kept(net)
    with connect(net.url) as client, pytest.raises(ConnectionLost):
        client.put(here / "big")
    assert listed(daemon.public) == []
    with connect(net.url) as client:
        stored = client.put(here / "big")
    assert same(daemon.public / "big", here / "big")
    assert net.up < SIZE * 1.001 + LOST
    assert (stored.size, stored.sent <= SIZE // 2 + LOST) == (SIZE, True)


def test_retries_put_a_file_through_a_network_that_is_cut_again_and_again(
    net: Cutter, daemon: ServerProcess, here: Path
) -> None:
    fill(here / "big", SIZE)
    with connect(net.url, retries=3) as client:
        net.cuts_up = [net.up + SIZE * share // 8 for share in range(1, 8)]
        client.put(here / "big")
    assert net.cuts_up == []
    assert same(daemon.public / "big", here / "big")
    assert net.up < SIZE * 1.001 + 7 * LOST


def test_c48_another_file_of_the_same_name_and_size_is_sent_from_its_beginning(
    net: Cutter, daemon: ServerProcess, here: Path
) -> None:
    fill(here / "big", SIZE)
    kept(net)
    with connect(net.url) as client, pytest.raises(ConnectionLost):
        client.put(here / "big")
    before = os.stat(here / "big")
    fill(here / "big", SIZE, b"b")
    os.utime(here / "big", ns=(before.st_mtime_ns, before.st_mtime_ns))
    up = net.up
    with connect(net.url) as client:
        client.put(here / "big")
    assert same(daemon.public / "big", here / "big")
    assert net.up - up > SIZE


def test_what_the_server_holds_is_dropped_when_it_is_not_wanted(
    net: Cutter, daemon: ServerProcess, here: Path
) -> None:
    fill(here / "big", SIZE)
    kept(net)
    with connect(net.url) as client:
        with pytest.raises(ConnectionLost):
            client.put(here / "big")
        assert client.put(here / "big", resume=False).sent == SIZE
    assert same(daemon.public / "big", here / "big")


def test_a_tree_with_a_large_file_goes_on_in_the_middle_of_it(
    net: Cutter, daemon: ServerProcess, here: Path
) -> None:
    for name in ("a", "c"):
        (here / "t" / name).mkdir(parents=True)
        (here / "t" / name / "small").write_bytes(name.encode())
    fill(here / "t" / "b", SIZE)
    kept(net)
    with connect(net.url) as client:
        with pytest.raises(ConnectionLost):
            client.put_tree(here / "t", "/t")
        report = client.put_tree(here / "t", "/t")
    assert (report.problems, report.files + report.present) == ([], 3)
    assert same(daemon.public / "t" / "b", here / "t" / "b")
    assert net.up < SIZE * 1.001 + LOST


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT], ids=["kill", "ctrl-c"])
@pytest.mark.parametrize("verb", ["put", "get"])
def test_c54_a_client_that_was_killed_goes_on_where_it_was(
    verb: str, number: int, net: Cutter, daemon: ServerProcess, here: Path
) -> None:
    source, target = (here, daemon.public) if verb == "put" else (daemon.public, here)
    fill(source / "big", SIZE)
    cli = Cli(here, net.url)

    def moved() -> int:
        return net.up if verb == "put" else net.down

    net.hold_at = SIZE // 2
    with cli.started(verb, "big") as process:
        until(lambda: moved() >= SIZE // 2)
        if verb == "get":  # what lies in the system's buffers is lost, and no business of ours
            until(lambda: (here / "big.part").stat().st_size >= SIZE // 2 - 2 * MIB)
        process.send_signal(number)
        process.wait()
    net.let_go()
    assert "big" not in listed(target)
    done = cli(verb, "big")
    assert (done.code, done.err) == (0, "")
    assert same(target / "big", source / "big")
    assert listed(here) == ["big"]
    assert moved() < SIZE * 1.001 + LOST


@pytest.mark.parametrize("verb", ["put", "get"])
def test_c54_a_server_that_is_killed_and_starts_again_is_waited_for(
    verb: str, tmp_path: Path, here: Path
) -> None:
    root = tmp_path / "root"
    flags = ("--durability", "relaxed")
    with server(root, *flags) as first, cutter(first.url) as net:
        source, target = (here, first.public) if verb == "put" else (first.public, here)
        fill(source / "big", SIZE)
        cli = Cli(here, net.url)
        net.hold_at = SIZE // 2
        with cli.started(verb, "--retries", "1000", "big") as process:
            until(lambda: (net.up if verb == "put" else net.down) >= SIZE // 2)
            first.kill()
            with server(root, *flags) as second:
                net.where = second.where
                net.let_go()
                assert process.wait() == 0
        assert same(target / "big", source / "big")
        assert listed(here) == ["big"]
        assert (net.up if verb == "put" else net.down) < SIZE * 1.001 + LOST + IN_THE_SYSTEM
