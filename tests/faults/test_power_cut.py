"""Every state that a power cut may leave of a recorded run: invariants 1 to 3 hold in each, at every moment.

kill -9 proves only that a process may die: what it wrote is still with the system. Here everything that a run did to
its folder is recorded, each legal outcome of a power cut is made from the recording, and a storage is opened on it.
What is in the database (users, limits) is not in this model: its transactions are SQLite's own promise, and the books
of a quota are not kept there but counted from the files.
"""

import errno
import os
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from ftpsvc.storage.base import Durability
from ftpsvc.storage.local import LocalStorage
from ftpsvc_client import connect
from tests.helpers.counts import count, full
from tests.helpers.embedded import embedded
from tests.helpers.powercut import EVERYTHING, Recorder
from tests.helpers.replay import Lost, Writer, check_all, content, moments_of, recorded
from tests.helpers.stores import at, digest_of


def all_kinds(recorder: Recorder, root: Path) -> None:
    """Everything that a storage does, once or twice."""
    storage = LocalStorage(root)
    writer = Writer(recorder, storage)
    writer.mkdir("/d")
    writer.put("/d/a", content(1, 2.5))
    writer.put("/d/a", content(2, 1.5))
    writer.put("/b", content(3, 0.1), clobber=False)
    writer.put("/b", content(4, 1), clobber=False)
    writer.put("/empty", b"")
    writer.put("/d/a", content(5, 1), sent=b"another content")
    writer.rename("/d/a", "/c")
    writer.rename("/b", "/d/b", clobber=False)
    writer.put("/d/e", content(6, 1))
    writer.rename("/c", "/d/e")
    writer.remove("/d/b")
    writer.mkdir("/d/deep")
    writer.put("/d/deep/f", content(7, 3))
    writer.remove("/d")
    writer.put("/last", content(8, 1))
    storage.close()


def one_makes_a_directory_and_another_stores_in_it(recorder: Recorder, root: Path) -> None:
    """The name of the directory is not durable yet when the file in it is answered for."""
    storage = LocalStorage(root)
    maker, other = Writer(recorder, storage, "maker"), Writer(recorder, storage, "other")
    inner: list[threading.Thread] = []

    def meanwhile(path: str) -> None:
        if not inner and (root / "new").is_dir() and path == "":
            inner.append(threading.Thread(target=other.put, args=("/new/file", content(9, 2))))
            inner[0].start()
            inner[0].join(60)

    recorder.during_sync = meanwhile
    maker.mkdir("/new")
    assert inner
    storage.close()


class Died(BaseException):
    """The end of a server, between two calls."""


def a_server_dies_and_the_next_one_builds_on_what_it_left(recorder: Recorder, root: Path) -> None:
    """The first one made a directory and died before it was durable. The next one sees it, and stores a file in it."""
    storage = LocalStorage(root)
    writer = Writer(recorder, storage)
    writer.mkdir("/p")

    def die(path: str) -> None:
        if (root / "p" / "d").is_dir():
            raise Died

    recorder.during_sync = die
    with pytest.raises(Died):
        writer.mkdir("/p/d")
    recorder.during_sync = lambda path: None
    storage.close()
    again = LocalStorage(root)
    Writer(recorder, again, "two").put("/p/d/f", content(1, 1))
    again.close()


def a_relaxed_server_made_what_the_next_one_builds_on(recorder: Recorder, root: Path) -> None:
    """The first one syncs nothing, and ends cleanly. The next one promises what it stores in its directories."""
    storage = LocalStorage(root, durability=Durability.RELAXED)
    for path in ("/p", "/p/d"):
        recorder.mark(path, f"mkdir {path}")  # may be there, and need not
        storage.make_directory(at(path))
    storage.close()
    again = LocalStorage(root)
    Writer(recorder, again, "two").put("/p/d/f", content(1, 1))
    again.close()


def a_tree_that_cannot_be_removed_is_stored_into(recorder: Recorder, root: Path) -> None:
    """It is brought back to where it was; before that is durable, another one stores a file in it."""
    storage = LocalStorage(root)
    one, other = Writer(recorder, storage), Writer(recorder, storage, "other")
    one.mkdir("/d")
    one.put("/d/f", content(1, 1))
    inner: list[threading.Thread] = []
    away: list[bool] = []

    def meanwhile(path: str) -> None:
        if away and not inner and (root / "d").is_dir():
            inner.append(threading.Thread(target=other.put, args=("/d/g", content(2, 1))))
            inner[0].start()
            inner[0].join(60)

    def clear(*_: object) -> None:
        away.append(True)
        raise PermissionError(errno.EPERM, "not permitted")

    recorder.during_sync = meanwhile
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(storage._volume, "clear", clear)
        one.remove("/d")
    assert inner
    storage.close()


def a_daemon_with_pipelined_trees(recorder: Recorder, root: Path) -> None:
    """Two clients of a real daemon: trees of small files in one go, large files, replaced and moved."""
    tree = root.parent / "tree"
    tree.mkdir()
    with embedded(root.parent / "server", share=root, durability=Durability.FULL) as daemon:
        url = str(daemon.addresses[0])
        with connect(url) as client:
            for turn in range(2):
                contents = [content(100 * turn + number, number % 3 / 2) for number in range(12)]
                for number, data in enumerate(contents):
                    (tree / f"x{number}").write_bytes(data)
                recorder.mark("tree", f"tree /t {' '.join(map(digest_of, contents))}")
                assert not client.put_tree(tree, "/t").problems
                recorder.mark("tree", "done")
            threads = [
                threading.Thread(target=_store_and_move, args=(recorder, url, f"/w{number}"))
                for number in range(2)
            ]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            recorder.mark("tree", "rm /t")
            client.remove("/t", recursive=True)
            recorder.mark("tree", "done")


def _store_and_move(recorder: Recorder, url: str, folder: str) -> None:
    with connect(url) as client:

        def step(line: str, action: Callable[[], object]) -> None:
            recorder.mark(folder, line)
            action()
            recorder.mark(folder, "done")

        step(f"mkdir {folder}", lambda: client.mkdir(folder))
        for number in range(3):
            data = content(number, (0.2, 40, 2)[number])
            step(f"put {folder}/f {digest_of(data)}", lambda data=data: client.put(data, f"{folder}/f"))  # type: ignore[misc]
        step(f"mv {folder}/f {folder}/g", lambda: client.rename(f"{folder}/f", f"{folder}/g"))


ALL_SMALL = [
    all_kinds,
    one_makes_a_directory_and_another_stores_in_it,
    a_server_dies_and_the_next_one_builds_on_what_it_left,
    a_relaxed_server_made_what_the_next_one_builds_on,
    a_tree_that_cannot_be_removed_is_stored_into,
]


@pytest.mark.timeout(900)
@pytest.mark.parametrize("run", ALL_SMALL)
def test_c54_every_state_that_a_power_cut_may_leave(
    tmp_path: Path, place: Path, records: str, run: Callable[[Recorder, Path], None]
) -> None:
    recording = recorded(run, tmp_path / "root")
    states = check_all(recording, place, count(1, 8), moments_of(records))
    assert states > 10


@pytest.mark.timeout(900)
def test_c54_a_power_cut_under_a_daemon_with_pipelined_trees(tmp_path: Path, place: Path) -> None:
    recording = recorded(a_daemon_with_pipelined_trees, tmp_path / "root")
    states = check_all(recording, place, count(1, 4), None if full() else 25)
    assert states > 60


def is_file(path: str) -> bool:
    return path.startswith("/.ftpsvc/staging/")


@pytest.mark.parametrize(
    ("run", "deaf"),
    [
        pytest.param(all_kinds, is_file, id="content"),
        pytest.param(all_kinds, lambda path: path == "", id="top"),
        pytest.param(all_kinds, lambda path: path == "/d", id="folder"),
        pytest.param(
            one_makes_a_directory_and_another_stores_in_it, lambda path: path == "", id="name-in-flux"
        ),
        pytest.param(
            a_server_dies_and_the_next_one_builds_on_what_it_left,
            lambda path: path == EVERYTHING,
            id="after-kill",
        ),
        pytest.param(
            a_relaxed_server_made_what_the_next_one_builds_on,
            lambda path: path == EVERYTHING,
            id="after-relaxed",
        ),
        pytest.param(
            a_tree_that_cannot_be_removed_is_stored_into, lambda path: path == "", id="back-in-sight"
        ),
    ],
)
def test_a_sync_that_is_left_out_is_found_out(
    tmp_path: Path, place: Path, run: Callable[[Recorder, Path], None], deaf: Callable[[str], bool]
) -> None:
    """Else the tests above would prove nothing."""
    recording = recorded(run, tmp_path / "root", deaf)
    with pytest.raises(Lost):
        check_all(recording, place, 1)


def test_a_record_that_is_not_synced_with_its_file_is_found_out(tmp_path: Path, place: Path) -> None:
    """fdatasync keeps content and length, not what was noted about them."""

    def run(recorder: Recorder, root: Path) -> None:
        with pytest.MonkeyPatch.context() as patch:
            real = os.fsync
            patch.setattr(
                os, "fsync", lambda fd: (os.fdatasync if os.path.isfile(f"/proc/self/fd/{fd}") else real)(fd)
            )
            all_kinds(recorder, root)

    recording = recorded(run, tmp_path / "root")
    with pytest.raises(Lost, match="on record is None"):
        check_all(recording, place, 1)


def test_a_name_that_comes_before_its_content_is_found_out(
    tmp_path: Path, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The two steps of a commit in the wrong order: sync after rename."""
    from ftpsvc.confine import Staged

    publish, sync = Staged.publish, Staged.sync

    def late(staged: Staged, *arguments: object, **options: object) -> None:
        copy = os.dup(staged.fd)
        publish(staged, *arguments, **options)  # type: ignore[arg-type]  # handed on as they came
        os.fsync(copy)
        os.close(copy)

    monkeypatch.setattr(Staged, "publish", late)
    monkeypatch.setattr(Staged, "sync", lambda staged: None)
    recording = recorded(all_kinds, tmp_path / "root")
    assert sync is not Staged.sync
    with pytest.raises(Lost):
        check_all(recording, place, 1)
