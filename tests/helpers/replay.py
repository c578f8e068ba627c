"""Runs that are recorded, and the check of every state that a power cut may leave of them.

A state is checked as the next server meets it: a storage is opened on it. Every file is compared with what may be
there, and of every upload that can be resumed it is tried to go on as a client does.
"""

import os
import random
import shutil
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest

from ftpsvc.accounts.quota import recount
from ftpsvc.confine import open_root
from ftpsvc.exceptions import FtpsvcError
from ftpsvc.storage import partials
from ftpsvc.storage.base import Begun, Digest, Storage
from ftpsvc.storage.local import LocalStorage
from tests.helpers.believing import DIRECTORY, Model
from tests.helpers.counts import full
from tests.helpers.powercut import BLOCK, Recorder, Recording, Tree
from tests.helpers.stores import Ledger, at, digest_of, everything, get

OWNER = "alice"
CHECKPOINT_BLOCKS = 2
"""What stands for 64 MiB: a test that breaks uploads off sets `begun.CHECKPOINT` to so many blocks."""
HELD = "held"
"""Who says what the storage holds of an upload: `PATH COUNT SEED BLOCKS`, COUNT bytes of `content(SEED, BLOCKS)`."""


class Lost(Exception):
    """A state breaks a promise."""


class Writer:
    """Somebody who changes a storage, and says so in the recording."""

    def __init__(self, recorder: Recorder, storage: Storage, who: str = "one") -> None:
        self._recorder = recorder
        self._storage = storage
        self._who = who
        self._floor: dict[str, int] = {}

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

    def upload(
        self,
        path: str,
        seed: int,
        blocks: float,
        upto: float | None = None,
        *,
        keep: int | None = None,
        restart: bool = False,
        clobber: bool = True,
    ) -> None:
        """Begins to store `content(seed, blocks)`, or goes on with it.

        Args:
            path: Where.
            seed: Of the content.
            blocks: Its length.
            upto: Blocks after which it breaks off; None: it is sent to its end and committed.
            keep: Bytes that are kept of what had come; None is all.
            restart: Whether what is held is dropped.
            clobber: Whether a file may be replaced.
        """
        whole = content(seed, blocks)
        upload = self.begin(path, seed, blocks, restart=restart, clobber=clobber)
        self.send(upload, path, seed, blocks, len(whole) if upto is None else int(upto * BLOCK))
        if upto is None:
            self._held(path, 0, seed, blocks)
            self._step(f"put {path} {digest_of(whole)}", lambda: upload.commit(digest_of(whole)))
            return
        if keep is not None:
            self._held(path, min(keep, self._floor[path]), seed, blocks)
        upload.suspend(keep)
        self._held(path, upload.written if keep is None else keep, seed, blocks)

    def begin(
        self, path: str, seed: int, blocks: float, *, restart: bool = False, clobber: bool = True
    ) -> Begun:
        """Begins to store `content(seed, blocks)`; what is held must be its beginning."""
        whole = content(seed, blocks)
        if restart or path not in self._floor:
            self._held(path, 0, seed, blocks)
        upload = self._storage.begin(
            at(path), len(whole), algorithm="blake3", owner=OWNER, evict=_taken_over, restart=restart, clobber=clobber
        )  # fmt: skip
        assert upload.digest() == digest_of(whole[: upload.written])
        upload.describe(modified=1_700_000_000_000_000_000, mode=0o644, clobber=clobber)
        return upload

    def send(self, upload: Begun, path: str, seed: int, blocks: float, end: int) -> None:
        """Sends a begun upload up to a byte, and notes what must be durable of it by then."""
        whole = content(seed, blocks)
        checked = upload.written
        while upload.written < end:
            upload.write(whole[upload.written : min(end, upload.written + BLOCK)])
            if upload.written - checked >= CHECKPOINT_BLOCKS * BLOCK:
                checked = upload.written
                self._held(path, checked, seed, blocks)

    def _held(self, path: str, count: int, seed: int, blocks: float) -> None:
        self._floor[path] = count
        self._recorder.mark(f"{HELD} {path}", f"{count} {seed} {blocks}")

    def patch(self, path: str, new: bytes, changed: set[int]) -> None:
        """Stores a file out of the version that is there and the blocks that differ."""

        def work() -> None:
            with (
                self._storage.read(at(path)) as base,
                self._storage.create(at(path), len(new), algorithm="blake3") as upload,
            ):
                for block in sorted(changed):
                    start = block * BLOCK
                    upload.place(new[start : start + BLOCK], start)
                scratch = memoryview(bytearray(BLOCK))
                for start in range(0, len(new), BLOCK):
                    source = None if start // BLOCK in changed else base
                    upload.take(min(BLOCK, len(new) - start), source, scratch)
                upload.commit(digest_of(new))

        self._step(f"put {path} {digest_of(new)}", work)

    def together(self, contents: dict[str, bytes], wrong: str = "") -> None:
        """Stores files in one batch; that at `wrong` comes with a digest that is not its own. Each tells by itself."""
        uploads = []
        for path, data in contents.items():
            upload = self._storage.create(at(path), len(data), algorithm="blake3")
            upload.write(data)
            uploads.append((upload, digest_of(b"another" if path == wrong else data)))
            self._recorder.mark(path, f"put {path} {digest_of(data)}")
        outcomes = self._storage.commit_all(uploads)
        for path, outcome in zip(contents, outcomes, strict=True):
            self._recorder.mark(path, "failed" if isinstance(outcome, FtpsvcError) else "done")


def _taken_over() -> None:
    pytest.fail("an upload was taken over, and nobody was to want its path")


@cache
def content(seed: int, blocks: float) -> bytes:
    """Bytes of which none is zero, so that a lost block never looks like a written one."""
    return bytes(random.Random(seed).choices(range(1, 256), k=int(blocks * BLOCK)))


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


def check(tree: Tree, models: list[Model], held: dict[str, str], place: Path) -> None:
    """Opens a storage on a state and compares everything with what may be there; goes on with what can be resumed.

    Args:
        tree: The state.
        models: What may be there.
        held: What was said to be held last of the upload to each path.
        place: A folder to make it in, which is not there yet.
    """
    place.mkdir()
    tree.make(place)
    with pytest.MonkeyPatch.context() as patch:
        # Nothing of a scratch folder needs to be durable.
        patch.setattr(os, "sync", lambda: None)
        patch.setattr(os, "fsync", lambda descriptor: None)
        patch.setattr(partials, "this_boot", lambda: "the run after the power cut")
        ledger = Ledger()
        storage = LocalStorage(place, quota=ledger)
        try:
            found = look(storage, place)
            _compare(found, models)
            _check_hidden(place, found, ledger)
            if os.listdir(place / ".ftpsvc" / "partials") or any(
                not said.startswith("0 ") for said in held.values()
            ):
                for path, said in held.items():
                    _go_on(storage, path, said)
        finally:
            storage.close()
    shutil.rmtree(place)


def _compare(found: dict[str, str | None], models: list[Model]) -> None:
    for path in found.keys() | {path for model in models for path in model.possible}:
        # Of several writers each has paths of its own: one knows, to the others it is nothing.
        able = [model.at(path) for model in models if path in model.possible] or [{None}]
        if any(found.get(path) not in possible for possible in able):
            raise Lost(f"{path}: found {found.get(path)}, possible {able}")


def _check_hidden(place: Path, found: dict[str, str | None], ledger: Ledger) -> None:
    """Nothing is left but partials, each with its note and charged."""
    hidden = place / ".ftpsvc"
    if os.listdir(hidden / "staging"):
        raise Lost("something is left in staging")
    names = set(os.listdir(hidden / "partials"))
    kept = {name for name in names if not name.endswith(".json")}
    if names != kept | {name + ".json" for name in kept}:
        raise Lost(f"partials without notes, or notes without partials: {names}")
    sizes = [(hidden / "partials" / name).stat().st_size for name in kept]
    if (ledger.used, ledger.files) != (sum(sizes), len(sizes)) or 0 in sizes:
        raise Lost(f"partials of {sizes} bytes, charged {ledger.used}")
    with open_root(place) as top:
        if recount(top)[1] != len([what for what in found.values() if what != DIRECTORY]) + len(sizes):
            raise Lost("a recount differs from what is listed")


def _go_on(storage: Storage, path: str, said: str) -> None:
    """Resumes as a client does: by the digest of what is held, from the beginning where that is another one."""
    count, seed, blocks = said.split()
    whole = content(int(seed), float(blocks))

    def begin(*, restart: bool) -> Begun:
        return storage.begin(
            at(path), len(whole), algorithm="blake3", owner=OWNER, evict=_taken_over, restart=restart
        )

    upload = begin(restart=False)
    same = upload.digest() == digest_of(whole[: upload.written])
    if int(count) and (not same or upload.written < int(count)):
        offered = f"{upload.written}, {'the same' if same else 'others'}"
        upload.abort()
        raise Lost(f"{path}: {count} bytes were durable, and now there are {offered}")
    if not same:
        upload.suspend()
        upload = begin(restart=True)
    upload.write(whole[upload.written :])
    upload.commit(digest_of(whole))
    if get(storage, path) != whole:
        raise Lost(f"{path}: the wrong content was put together")


def check_all(
    recording: Recording,
    place: Path,
    samples: int,
    cuts: int | None = None,
    *,
    moments: list[int] | None = None,
) -> int:
    """Checks every state that differs; returns how many states there were.

    Args:
        recording: The run.
        place: An empty folder.
        samples: As for `Recording.states`.
        cuts: At how many moments, by chance; None is each.
        moments: At these moments instead.
    """
    chance = random.Random(1)
    if moments is None:
        moments = recording.cuts()
        if cuts is not None and cuts < len(moments):
            moments = sorted(chance.sample(moments, cuts))
    seen = set()
    for cut in moments:
        models, held = [], {}
        for who, lines in recording.said(cut).items():
            if who.startswith(HELD + " "):
                held[who.removeprefix(HELD + " ")] = lines[-1]
                continue
            model = Model()
            model.believe(lines)
            models.append(model)
        believed = repr(
            [sorted((path, sorted(map(str, what))) for path, what in m.possible.items()) for m in models]
        )
        for tree in recording.states(cut, chance, samples):
            key = (believed, repr(held), tree.key())
            if key not in seen:
                seen.add(key)
                check(tree, models, held, place / str(len(seen)))
    return len(seen)


def moments_of(records: str) -> int | None:
    """Returns at how many moments a run with so kept records is cut: `make test` takes each with attributes only."""
    return None if full() or records == "attributes" else 40


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
