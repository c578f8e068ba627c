"""Every state that a power cut may leave of a recorded run: invariants 1 to 3 hold in each, at every moment.

kill -9 proves only that a process may die: what it wrote is still with the system. Here everything that a run did to
its folder is recorded, each legal outcome of a power cut is made from the recording, and a storage is opened on it.
What is in the database (users, limits) is not in this model: its transactions are SQLite's own promise, and the books
of a quota are not kept there but counted from the files.
"""

import os
import random
import shutil
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ftpsvc.accounts.quota import recount
from ftpsvc.confine import open_root
from ftpsvc.exceptions import FtpsvcError
from ftpsvc.storage import volume
from ftpsvc.storage.base import Digest, Durability, Storage
from ftpsvc.storage.local import LocalStorage
from ftpsvc.storage.records import attributes_work
from ftpsvc_client import connect
from tests.helpers.believing import DIRECTORY, Model
from tests.helpers.counts import count, full
from tests.helpers.embedded import embedded
from tests.helpers.powercut import BLOCK, EVERYTHING, Recorder, Recording, Tree
from tests.helpers.stores import at, digest_of, everything, get


class Lost(Exception):
    """A state breaks a promise."""


# ---------------------------------------------------------------- runs


class Writer:
    """Somebody who changes a storage, and says so in the recording."""

    def __init__(self, recorder: Recorder, storage: Storage, who: str = "one") -> None:
        self._recorder = recorder
        self._storage = storage
        self._who = who

    def _step(self, line: str, action: Callable[[], object]) -> None:
        self._recorder.mark(self._who, line)
        try:
            action()
        except FtpsvcError:
            self._recorder.mark(self._who, "failed")
        else:
            self._recorder.mark(self._who, "done")

    def put(self, path: str, content: bytes, *, clobber: bool = True, sent: bytes | None = None) -> None:
        def work() -> None:
            with self._storage.create(
                at(path),
                len(content),
                algorithm="blake3",
                clobber=clobber,
                modified=1_700_000_000_000_000_000,
            ) as upload:
                upload.write(content[: len(content) // 2])
                upload.write(content[len(content) // 2 :])
                upload.commit(digest_of(content if sent is None else sent))

        self._step(f"put {path} {digest_of(content)}", work)

    def mkdir(self, path: str) -> None:
        self._step(f"mkdir {path}", lambda: self._storage.make_directory(at(path)))

    def remove(self, path: str) -> None:
        self._step(f"rm {path}", lambda: self._storage.remove(at(path), recursive=True))

    def rename(self, source: str, target: str, *, clobber: bool = True) -> None:
        self._step(
            f"mv {source} {target}", lambda: self._storage.rename(at(source), at(target), clobber=clobber)
        )


def content(seed: int, blocks: float) -> bytes:
    """Bytes of which none is zero, so that a lost block never looks like a written one."""
    return bytes(random.Random(seed).choices(range(1, 256), k=int(blocks * BLOCK)))


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


# ---------------------------------------------------------------- the check


def look(storage: Storage, place: Path) -> dict[str, str | None]:
    """Returns what there is, each content compared with its record."""
    found: dict[str, str | None] = {}
    for entry in everything(storage):
        path = "/" + "/".join((*entry.where, entry.name))
        if entry.kind == "dir":
            found[path] = DIRECTORY
            continue
        found[path] = digest_of(get(storage, path))
        if entry.digest is None and (place / ".ftpsvc" / "digests").is_dir():
            continue  # a sidecar goes before its file is replaced: then the old content is hashed anew
        if entry.digest != Digest("blake3", str(found[path])):
            raise Lost(f"{path}: its digest on record is {entry.digest}, that of its content {found[path]}")
    return found


def check(tree: Tree, models: list[Model], place: Path) -> None:
    """Opens a storage on a state and compares everything with what may be there."""
    place.mkdir()
    tree.make(place)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "sync", lambda: None)  # of a scratch folder that is never cut off itself
        patch.setattr(os, "fsync", lambda descriptor: None)
        storage = LocalStorage(place)
    try:
        found = look(storage, place)
    finally:
        storage.close()
    for path in found.keys() | {path for model in models for path in model.possible}:
        # Of several writers each has paths of its own: one knows, to the others it is nothing.
        able = [model.at(path) for model in models if path in model.possible] or [{None}]
        if any(found.get(path) not in possible for possible in able):
            raise Lost(f"{path}: found {found.get(path)}, possible {able}")
    if os.listdir(place / ".ftpsvc" / "staging"):
        raise Lost("something is left in staging")
    with open_root(place) as top:
        if recount(top)[1] != len([what for what in found.values() if what != DIRECTORY]):
            raise Lost("a recount differs from what is listed")
    shutil.rmtree(place)


def check_all(recording: Recording, place: Path, samples: int, cuts: int | None = None) -> int:
    """Checks every state that differs, at every moment or so many of them; returns how many states there were."""
    chance = random.Random(1)
    moments = recording.cuts()
    if cuts is not None and cuts < len(moments):
        moments = sorted(chance.sample(moments, cuts))
    seen = set()
    for cut in moments:
        models = []
        for lines in recording.said(cut).values():
            model = Model()
            model.believe(lines)
            models.append(model)
        believed = repr(
            [sorted((path, sorted(map(str, what))) for path, what in m.possible.items()) for m in models]
        )
        for tree in recording.states(cut, chance, samples):
            key = (believed, tree.key())
            if key not in seen:
                seen.add(key)
                check(tree, models, place / str(len(seen)))
    return len(seen)


def recorded(
    run: Callable[[Recorder, Path], None], root: Path, deaf: Callable[[str], bool] | None = None
) -> Recording:
    """Records a run; nothing that it did went past the recorder."""
    root.mkdir()
    with Recorder(root) as recorder:
        if deaf is not None:
            recorder.deaf = deaf
        run(recorder, root)
    recording = recorder.recording()
    copy = root.with_name("copy")
    copy.mkdir()
    whole = recording.whole()
    assert {path for path, _ in whole.walk()} == {
        "/" + str(path.relative_to(root)) for path in root.rglob("*")
    }
    for path, what in whole.walk():
        real = root / path[1:]
        if what in whole.directories:
            assert real.is_dir()
            continue
        file = whole.files[what]
        assert real.read_bytes() == bytes(file.data), path
        assert {name: os.getxattr(real, name) for name in os.listxattr(real)} == file.attributes
        assert file.modified in (None, real.stat().st_mtime_ns)
    return recording


@pytest.fixture(params=["attributes", "sidecars"])
def records(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Both places for digest records."""
    if request.param == "sidecars":
        monkeypatch.setattr(volume, "attributes_work", lambda folder, *, writable: False)
    return str(request.param)


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Path]:
    """Where states are made: in memory if it can hold extended attributes, since thousands are made and removed."""
    memory = Path("/dev/shm")
    folder = Path(tempfile.mkdtemp(dir=memory if memory.is_dir() else tmp_path))
    try:
        with open_root(folder) as top:
            able = attributes_work(top, writable=True)
        yield folder if able else tmp_path
    finally:
        shutil.rmtree(folder)


ALL_SMALL = [
    all_kinds,
    one_makes_a_directory_and_another_stores_in_it,
    a_server_dies_and_the_next_one_builds_on_what_it_left,
]


@pytest.mark.timeout(900)
@pytest.mark.parametrize("run", ALL_SMALL)
def test_c54_every_state_that_a_power_cut_may_leave(
    tmp_path: Path, place: Path, records: str, run: Callable[[Recorder, Path], None]
) -> None:
    recording = recorded(run, tmp_path / "root")
    states = check_all(recording, place, count(1, 8))
    assert states > 10


@pytest.mark.timeout(900)
def test_c54_a_power_cut_under_a_daemon_with_pipelined_trees(tmp_path: Path, place: Path) -> None:
    recording = recorded(a_daemon_with_pipelined_trees, tmp_path / "root")
    states = check_all(recording, place, count(1, 4), None if full() else 60)
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
