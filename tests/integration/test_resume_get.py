"""Downloads that go on where they were: after a cut network, Ctrl-C, kill -9, and never with another content."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from ftpsvc.exceptions import ConnectionLost, FtpsvcError
from ftpsvc_client import connect
from ftpsvc_client.retries import Retry
from tests.helpers.counts import count
from tests.helpers.cutter import Cutter, cutter
from tests.helpers.embedded import embedded
from tests.helpers.files import MIB, fill, same

SIZE = count(32, 1024) * MIB
LOST = MIB + 30_000
"""What a cut costs at most: the transfer buffer that was being filled, and the messages of a new connection."""


@pytest.fixture
def net(tmp_path: Path) -> Iterator[Cutter]:
    """A way to a server whose root is `tmp_path/root`; what guests see is `public` in it."""
    with embedded(tmp_path / "root") as daemon, cutter(str(daemon.addresses[0])) as way:
        yield way


@pytest.fixture
def public(tmp_path: Path) -> Path:
    return tmp_path / "root" / "public"


@pytest.fixture
def here(tmp_path: Path) -> Path:
    folder = tmp_path / "here"
    folder.mkdir()
    return folder


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def cut_in_the_middle(net: Cutter, here: Path, size: int = SIZE) -> None:
    """Fetches `/big` and loses the connection half-way."""
    net.cuts_down = [net.down + size // 2]
    with connect(net.url) as client, pytest.raises(ConnectionLost):
        client.get("/big", here)
    assert names(here) == ["big.part", "big.part.json"]


def test_a_download_that_was_cut_sends_one_percent_again_at_most(
    net: Cutter, public: Path, here: Path
) -> None:
    fill(public / "big", SIZE)
    cut_in_the_middle(net, here)
    with connect(net.url) as client:
        got = client.get("/big", here)
    assert same(here / "big", public / "big")
    assert names(here) == ["big"]
    assert net.down < SIZE * 1.001 + LOST
    assert got.size == SIZE
    assert got.sent <= SIZE // 2 + LOST


def test_retries_go_on_by_themselves_and_say_so(net: Cutter, public: Path, here: Path) -> None:
    fill(public / "big", SIZE)
    told: list[Retry] = []
    with connect(net.url, retries=2, told=told.append) as client:
        client.cd("/")
        # More cuts than tries in a row: what is got done in between starts the count anew.
        net.cuts_down = [net.down + SIZE * share // 6 for share in range(1, 6)]
        client.get("big", here)
        assert client.directory == "/"
    assert same(here / "big", public / "big")
    assert names(here) == ["big"]
    assert net.down < SIZE * 1.001 + 5 * LOST
    assert [retry.number for retry in told] == [1] * 5
    assert all(isinstance(retry.error, ConnectionLost) for retry in told)


def test_tries_that_get_nothing_done_end(net: Cutter, public: Path, here: Path) -> None:
    fill(public / "big", 4 * MIB)
    told: list[Retry] = []
    with connect(net.url, retries=2, told=told.append) as client:
        net.cuts_down = [net.down + 2 * MIB]
        net.refuses = True
        with pytest.raises(FtpsvcError):
            client.get("/big", here)
        assert [retry.number for retry in told] == [1, 2]
        net.refuses = False
        client.get("/big", here)
    assert same(here / "big", public / "big")
    assert names(here) == ["big"]


def test_c48_another_file_of_the_same_name_and_size_is_fetched_from_its_beginning(
    net: Cutter, public: Path, here: Path
) -> None:
    fill(public / "big", SIZE)
    cut_in_the_middle(net, here)
    with connect(net.url) as client:
        (public / "other").write_bytes(b"")
        fill(public / "other", SIZE, b"b")
        client.rename("/other", "/big")
        before = net.down
        client.get("/big", here)
    assert net.down - before > SIZE
    assert same(here / "big", public / "big")
    assert names(here) == ["big"]


@pytest.mark.parametrize("where", ["first", "last"])
def test_c45_a_part_that_was_damaged_is_found_out_and_fetched_anew(
    where: str, net: Cutter, public: Path, here: Path
) -> None:
    fill(public / "big", 8 * MIB)
    cut_in_the_middle(net, here, 8 * MIB)
    part = here / "big.part"
    with part.open("r+b") as file:
        file.seek(0 if where == "first" else -1, os.SEEK_SET if where == "first" else os.SEEK_END)
        byte = file.read(1)
        file.seek(-1, os.SEEK_CUR)
        file.write(bytes([byte[0] ^ 1]))
    with connect(net.url) as client:
        client.get("/big", here)
    assert same(here / "big", public / "big")
    assert names(here) == ["big"]


@pytest.mark.parametrize("note", [None, b"", b"{", b"[]", b'{"what": "ftpsvc-part"}', b'{"version": 1}'])
def test_a_part_without_a_note_of_ours_is_somebodys_file(
    note: bytes | None, net: Cutter, public: Path, here: Path
) -> None:
    fill(public / "big", 4 * MIB)
    (here / "big.part").write_bytes(b"mine")
    if note is not None:
        (here / "big.part.json").write_bytes(note)
    before = names(here)
    with connect(net.url) as client:
        client.get("/big", here)
        net.cuts_down = [net.down + 2 * MIB]
        with pytest.raises(ConnectionLost):
            client.get("/big", here, overwrite=True)
        client.get("/big", here, overwrite=True)
    assert (here / "big.part").read_bytes() == b"mine"
    assert names(here) == ["big", *before]
    assert same(here / "big", public / "big")


@pytest.mark.parametrize("size", [0, 1, 4 * MIB, 4 * MIB + 1, 9 * MIB])
def test_c49_a_part_of_any_length_is_gone_on_with_or_dropped(
    size: int, net: Cutter, public: Path, here: Path
) -> None:
    fill(public / "big", 4 * MIB)
    with connect(net.url) as client:
        version = client.stat("/big").version
        note = {"what": "ftpsvc-part", "version": version, "file_size": 4 * MIB, "algorithm": "blake3"}
        (here / "big.part.json").write_text(json.dumps(note))
        (here / "big.part").write_bytes((public / "big").read_bytes()[:size].ljust(size, b"x"))
        got = client.get("/big", here)
    assert got.sent == (4 * MIB - size if 0 < size <= 4 * MIB else 4 * MIB)
    assert same(here / "big", public / "big")
    assert names(here) == ["big"]


def test_c20_a_part_that_is_a_link_or_has_two_names_is_not_written_through(
    net: Cutter, public: Path, here: Path, tmp_path: Path
) -> None:
    fill(public / "big", 4 * MIB)
    with connect(net.url) as client:
        for make in (os.symlink, os.link):
            cut_in_the_middle(net, here, 4 * MIB)
            victim = tmp_path / "victim"
            victim.write_bytes(b"precious")
            (here / "big.part").unlink()
            make(victim, here / "big.part")
            client.get("/big", here)
            assert victim.read_bytes() == b"precious"
            assert same(here / "big", public / "big")
            for name in names(here):
                (here / name).unlink()


def test_two_downloads_of_one_file_at_once_share_nothing(net: Cutter, public: Path, here: Path) -> None:
    fill(public / "big", 16 * MIB)
    cut_in_the_middle(net, here, 16 * MIB)
    start = threading.Barrier(3)
    problems: list[BaseException] = []

    def fetch() -> None:
        try:
            with connect(net.url) as client:
                start.wait()
                client.get("/big", here, overwrite=True)
        except BaseException as error:  # noqa: BLE001  # shown by the assertion below
            problems.append(error)

    threads = [threading.Thread(target=fetch) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert problems == []
    assert same(here / "big", public / "big")
    assert names(here) == ["big"]


def test_a_part_that_is_not_wanted_is_dropped(net: Cutter, public: Path, here: Path) -> None:
    fill(public / "big", 4 * MIB)
    cut_in_the_middle(net, here, 4 * MIB)
    with connect(net.url) as client:
        assert client.get("/big", here, resume=False).sent == 4 * MIB
    assert names(here) == ["big"]


def test_a_tree_that_was_cut_goes_on_where_it_was(net: Cutter, public: Path, here: Path) -> None:
    (public / "t" / "sub").mkdir(parents=True)
    for number in range(30):
        fill(public / "t" / f"s{number:02}", 1000, b"%d" % number)
    fill(public / "t" / "sub" / "big", 8 * MIB)
    fill(public / "t" / "z", 2 * MIB)
    net.cuts_down = [5 * MIB]
    with connect(net.url) as client:
        with pytest.raises(ConnectionLost):
            client.get_tree("/t", here / "t")
        assert (here / "t" / "sub" / "big.part").exists()
        report = client.get_tree("/t", here / "t")
    assert (report.problems, report.files + report.present) == ([], 32)
    assert report.present == 30
    assert net.down < 10 * MIB + LOST
    assert same(here / "t" / "sub" / "big", public / "t" / "sub" / "big")
    assert sorted(path.name for path in here.rglob("*.part*")) == []


def test_a_tree_survives_many_cuts_with_retries(net: Cutter, public: Path, here: Path) -> None:
    (public / "t").mkdir()
    for number in range(40):
        fill(public / "t" / f"f{number:02}", 300_000, b"%d" % number)
    with connect(net.url, retries=3) as client:
        net.cuts_down = [net.down + 1_000_000 * step for step in range(1, 6)]
        report = client.get_tree("/t", here / "t")
    assert (report.problems, report.files + report.present) == ([], 40)
    assert all(same(here / "t" / path.name, path) for path in (public / "t").iterdir())
    assert names(here / "t") == names(public / "t")


def test_several_connections_fetch_a_tree_and_survive_a_cut(net: Cutter, public: Path, here: Path) -> None:
    (public / "t").mkdir()
    for number in range(300):
        (public / "t" / f"d{number % 7}").mkdir(exist_ok=True)
        fill(public / "t" / f"d{number % 7}" / f"f{number}", 20_000, b"%d" % number)
    with connect(net.url, retries=3) as client:
        net.cuts_down = [net.down + 2_000_000]
        report = client.get_tree("/t", here / "t", connections=3)
    assert net.connections >= 4
    assert (report.problems, report.files, report.directories) == ([], 300, 7)
    for path in (public / "t").rglob("f*"):
        assert same(here / path.relative_to(public), path)
