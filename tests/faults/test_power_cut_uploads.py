"""The states that a power cut may leave of batches, of uploads that are resumed, and of updates by blocks."""

import json
import os
import select
import socket
import threading
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path

import pytest

from ftpsvc.confine import Staged
from ftpsvc.storage import begun, local, together
from ftpsvc.storage.base import Durability
from ftpsvc.storage.local import LocalStorage
from ftpsvc.storage.partials import Partials
from ftpsvc.storage.together import Syncers
from ftpsvc.storage.upload import LocalUpload
from ftpsvc.storage.volume import Volume
from tests.helpers.counts import count, full
from tests.helpers.daemon import GUARD
from tests.helpers.embedded import embedded, where
from tests.helpers.powercut import BLOCK, Mark, Recorder, Recording
from tests.helpers.raw_peer import RawPeer, frame
from tests.helpers.replay import CHECKPOINT_BLOCKS, Lost, Writer, check_all, content, moments_of, recorded
from tests.helpers.stores import digest_of

STAGED = "/.ftpsvc/staging/"
PARTIALS = "/.ftpsvc/partials"


@pytest.fixture(autouse=True)
def checkpoint(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is durable of an upload after 64 MiB is durable after few blocks."""
    monkeypatch.setattr(begun, "CHECKPOINT", CHECKPOINT_BLOCKS * BLOCK)


# ---------------------------------------------------------------- runs


def resumed(recorder: Recorder, root: Path) -> None:
    """An upload that breaks off, goes on, is another file after all, replaces one, and must not replace one."""
    storage = LocalStorage(root)
    writer = Writer(recorder, storage)
    writer.put("/big", content(1, 1))
    writer.upload("/big", 2, 6, upto=1.5)
    writer.upload("/big", 2, 6, upto=5.5, keep=5 * BLOCK)
    writer.upload("/big", 3, 6, upto=2.5, restart=True)
    writer.upload("/big", 3, 6)
    writer.upload("/new", 4, 3, upto=1)
    storage.close()
    storage = LocalStorage(root)
    again = Writer(recorder, storage, "two")
    again.upload("/new", 4, 3, clobber=False)
    storage.close()


def resumed_after_kill(recorder: Recorder, root: Path) -> None:
    """A server dies in the middle of an upload. The next one tells what it finds, and goes on with it."""
    storage = LocalStorage(root)
    writer = Writer(recorder, storage)
    upload = writer.begin("/big", 1, 7)
    writer.send(upload, "/big", 1, 7, 3 * BLOCK)
    storage._volume.close(clean=False)  # as the system does it for who dies: nothing is tidied up
    storage = LocalStorage(root)
    writer = Writer(recorder, storage)
    writer.upload("/big", 1, 7, upto=4)
    assert upload.written == 3 * BLOCK
    writer.upload("/big", 1, 7)
    storage.close()


def patched(recorder: Recorder, root: Path) -> None:
    """A file is replaced by one that is made of it, three times: in place, longer, shorter."""
    storage = LocalStorage(root)
    writer = Writer(recorder, storage)
    old = content(1, 6)
    writer.put("/f", old)
    new = bytearray(old)
    new[2 * BLOCK : 3 * BLOCK] = content(2, 1)
    writer.patch("/f", bytes(new), {2})
    longer = bytes(new) + content(3, 1.5)
    writer.patch("/f", longer, {6, 7})
    writer.patch("/f", longer[: int(3.5 * BLOCK)], {3})
    storage.close()


def batches(recorder: Recorder, root: Path) -> None:
    """Files that are committed together, in two directories, new ones and others; one has a wrong digest."""
    with closing(Syncers()) as syncers:
        storage = LocalStorage(root, syncers=syncers)
        writer = Writer(recorder, storage)
        writer.mkdir("/d")
        for turn in range(2):
            contents = {
                path: content(10 * turn + at, at / 2) for at, path in enumerate(("/a", "/d/b", "/d/c"))
            }
            writer.together(contents | {"/d/wrong": content(turn, 1)}, wrong="/d/wrong")
        storage.close()


RUNS = [resumed, resumed_after_kill, patched, batches]


@pytest.mark.timeout(900)
@pytest.mark.parametrize("run", RUNS)
def test_c54_every_state_that_a_power_cut_may_leave_of_uploads(
    tmp_path: Path, place: Path, records: str, run: Callable[[Recorder, Path], None]
) -> None:
    recording = recorded(run, tmp_path / "root")
    states = check_all(recording, place, count(1, 8), moments_of(records))
    assert states > 10


# ---------------------------------------------------------------- a batch of the daemon, answer by answer

FILES = 14


class Heard:
    """The answers of a batch: each is noted in the recording."""

    def __init__(self, recorder: Recorder, sock: socket.socket) -> None:
        self.answers = 0
        self._recorder = recorder
        self._sock = sock
        self._data = bytearray()
        self._lock = threading.Lock()

    def listen(self) -> None:
        """Takes in what has come, without waiting: not under the lock, which who syncs takes as well."""
        with self._lock:
            try:
                self._data += self._sock.recv(65536)
            except BlockingIOError:
                return
            while len(self._data) >= 4 and len(self._data) >= (
                end := 4 + int.from_bytes(self._data[:4], "big")
            ):
                answer = json.loads(self._data[4:end])
                assert answer["status"] == "ok"
                self._recorder.mark(answer["path"], "done")
                del self._data[:end]
                self.answers += 1


def answered(recorder: Recorder, root: Path) -> None:
    """One client sends files without waiting. What was answered is noted whenever something is about to be synced."""
    contents = {f"/{'ab'[number % 2]}/f{number}": content(number, 0.5) for number in range(FILES)}
    with (
        embedded(root.parent / "server", share=root, durability=Durability.FULL) as daemon,
        RawPeer(where(daemon)) as peer,
        peer.sock.dup() as ears,
    ):
        ears.setblocking(False)
        for folder in ("a", "b"):
            recorder.mark("folders", f"mkdir /{folder}")
            assert peer.ask("mkdir", path=folder)["status"] == "ok"
            recorder.mark("folders", "done")
        heard = Heard(recorder, ears)
        recorder.during_sync = lambda path: heard.listen()
        for path, data in contents.items():
            recorder.mark(path, f"put {path} {digest_of(data)}")
        requests = (
            frame({"op": "put", "path": path, "size": len(data), "algorithm": "blake3"}, data)
            + frame({"digest": digest_of(data)})
            for path, data in contents.items()
        )
        peer.send(b"".join(requests))
        while heard.answers < FILES:
            assert select.select([ears], [], [], GUARD)[0]
            heard.listen()
        recorder.during_sync = lambda path: None


def when_answered(recording: Recording) -> list[int]:
    """The moments right after an answer."""
    return [
        index + 1
        for index, step in enumerate(recording.steps)
        if isinstance(step, Mark) and step.line == "done" and step.who != "folders"
    ]


@pytest.mark.timeout(900)
def test_c54_no_answer_of_a_batch_leaves_before_it_holds(
    tmp_path: Path, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes: list[int] = []
    real = together.commit_together

    def counted(volume: Volume, uploads: Sequence[tuple[LocalUpload, str]], syncers: Syncers) -> object:
        sizes.append(len(uploads))
        return real(volume, uploads, syncers)

    monkeypatch.setattr(local, "commit_together", counted)
    recording = recorded(answered, tmp_path / "root")
    assert sizes  # some came together, else there was no batch to look at
    states = check_all(recording, place, count(1, 4), moments=when_answered(recording))
    assert states >= FILES // 2
    check_all(recording, place, 1, None if full() else 10)


# ---------------------------------------------------------------- what is left out is found


class Forgetful:
    """Syncers that leave out some of the works of each other round."""

    def __init__(self, which: str) -> None:
        self.left_out = 0
        self._which = which
        self._rounds = 0
        self._real = Syncers.each

    def each(self, syncers: Syncers, works: Sequence[Callable[[], None]]) -> None:
        self._rounds += 1
        match self._which:
            case "one file":
                kept = works if self._rounds % 2 == 0 else [*works[:-2], *works[-1:]]
            case "all files":
                kept = works if self._rounds % 2 == 0 else works[:0]
            case _:  # one directory
                kept = works if self._rounds % 2 else works[:-1]
        self.left_out += len(works) - len(kept)
        self._real(syncers, kept)


@pytest.mark.parametrize("which", ["one file", "all files", "one directory"])
def test_a_sync_of_a_batch_that_is_left_out_is_found(
    tmp_path: Path, place: Path, monkeypatch: pytest.MonkeyPatch, which: str
) -> None:
    """Each batch has two rounds of syncs: its files, then their directories."""
    forgetful = Forgetful(which)
    monkeypatch.setattr(Syncers, "each", lambda self, works: forgetful.each(self, works))
    recording = recorded(batches, tmp_path / "root")
    assert forgetful.left_out
    with pytest.raises(Lost):
        check_all(recording, place, 1, moments=when_answered(recording))


@pytest.mark.parametrize(
    "deaf", [lambda path: path.startswith(STAGED), lambda path: path == "/b"], ids=["content", "names"]
)
def test_a_batch_of_the_daemon_that_is_not_synced_is_found(
    tmp_path: Path, place: Path, deaf: Callable[[str], bool]
) -> None:
    recording = recorded(answered, tmp_path / "root", deaf)
    with pytest.raises(Lost):
        check_all(recording, place, 1, moments=when_answered(recording))


def test_names_of_a_batch_that_come_before_its_content_are_found(
    tmp_path: Path, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each file is synced only once it has its name: right before the directories are."""
    late: list[int] = []
    real = Syncers.each

    def each(self: Syncers, works: Sequence[Callable[[], None]]) -> None:
        for descriptor in late:
            os.fsync(descriptor)
            os.close(descriptor)
        late.clear()
        real(self, works)

    monkeypatch.setattr(Syncers, "each", each)
    monkeypatch.setattr(Staged, "sync", lambda staged: late.append(os.dup(staged.fd)))
    recording = recorded(batches, tmp_path / "root")
    assert not late
    with pytest.raises(Lost):
        check_all(recording, place, 1)


@pytest.mark.parametrize(
    ("run", "deaf"),
    [
        pytest.param(resumed, lambda path: is_partial(path), id="content"),
        pytest.param(resumed, lambda path: path.startswith(STAGED + "note"), id="note"),
        pytest.param(resumed, lambda path: path == PARTIALS, id="names"),
        pytest.param(resumed_after_kill, lambda path: is_partial(path), id="content-after-kill"),
        pytest.param(resumed_after_kill, lambda path: path == PARTIALS, id="names-after-kill"),
        pytest.param(patched, lambda path: path.startswith(STAGED), id="patch"),
    ],
)
def test_a_sync_of_an_upload_that_is_left_out_is_found(
    tmp_path: Path, place: Path, run: Callable[[Recorder, Path], None], deaf: Callable[[str], bool]
) -> None:
    recording = recorded(run, tmp_path / "root", deaf)
    with pytest.raises(Lost):
        check_all(recording, place, 1)


def is_partial(path: str) -> bool:
    return path.startswith(PARTIALS + "/")


def test_a_partial_that_is_trusted_beyond_what_is_durable_is_found(
    tmp_path: Path, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recording = recorded(resumed_after_kill, tmp_path / "root")
    monkeypatch.setattr(Partials, "_trusted", lambda self, name, size: size if self.note(name) else 0)
    with pytest.raises(Lost):
        check_all(recording, place, 4)
