"""LocalStorage: the order of steps that an answer stands on (docs/storage.md section 3), and disks that fail."""

import errno
import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ftpsvc.exceptions import (
    AlreadyExists,
    Busy,
    ConfigError,
    DirectoryNotEmpty,
    FtpsvcError,
    InvalidPath,
    IsADirectory,
    NoSpace,
    NotADirectory,
    NotAFile,
    NotFound,
    PermissionDenied,
    ReadFailed,
    Unavailable,
)
from ftpsvc.storage.base import Durability, Storage
from ftpsvc.storage.faults import storage_error
from ftpsvc.storage.local import LocalStorage
from tests.helpers.rights import unprivileged
from tests.helpers.stores import Ledger, at, get, names, put


class Recorder:
    """Notes the calls that change a disk, in order, and lets them through, or fails them when told to.

    Attributes:
        calls: What was called and on what: the file by its staging number or name, directories by name.
        fail: Returns the errno to fail a call with, or None.
    """

    def __init__(self, root: Path, patch: pytest.MonkeyPatch) -> None:
        self.calls: list[str] = []
        self.fail: Callable[[str], int | None] = lambda call: None
        self._root = root
        for name in ("fsync", "setxattr", "utime"):
            patch.setattr(os, name, self._on_descriptor(name, getattr(os, name)))
        for name in ("replace", "link", "mkdir", "rmdir", "unlink"):
            patch.setattr(os, name, self._on_name(name, getattr(os, name)))

    def _on_descriptor(self, name: str, real: Callable[..., object]) -> Callable[..., object]:
        def call(fd: int, *args: object, **kwargs: object) -> object:
            info = os.fstat(fd)
            what = "file" if stat.S_ISREG(info.st_mode) else self._directory(info)
            self._note(f"{name} {what}")
            return real(fd, *args, **kwargs)

        return call

    def _on_name(self, name: str, real: Callable[..., object]) -> Callable[..., object]:
        def call(path: bytes, *args: bytes, **kwargs: object) -> object:
            last = (args[0] if name in ("replace", "link") else path).decode()
            self._note(f"{name} {last}" if last.isalpha() else name)
            return real(path, *args, **kwargs)

        return call

    def _directory(self, info: os.stat_result) -> str:
        for path in (self._root, *self._root.rglob("*")):
            if os.path.samestat(path.lstat(), info):
                return "/" + str(path.relative_to(self._root)).strip(".")
        return "?"

    def _note(self, call: str) -> None:
        self.calls.append(call)
        number = self.fail(call)
        if number is not None:
            raise OSError(number, os.strerror(number))

    def during(self, work: Callable[[], object]) -> list[str]:
        """Returns what `work` called."""
        self.calls.clear()
        work()
        return list(self.calls)


@pytest.fixture
def ledger() -> Ledger:
    return Ledger()


@pytest.fixture
def root(tmp_path: Path) -> Path:
    path = tmp_path / "root"
    path.mkdir()
    return path


@pytest.fixture
def storage(root: Path, ledger: Ledger) -> Iterator[Storage]:
    storage = LocalStorage(root, quota=ledger)
    yield storage
    storage.close()


@pytest.fixture
def recorder(root: Path, storage: Storage, monkeypatch: pytest.MonkeyPatch) -> Recorder:
    return Recorder(root, monkeypatch)


def test_the_steps_of_an_upload(storage: Storage, recorder: Recorder) -> None:
    storage.make_directory(at("/d"))
    assert recorder.during(lambda: put(storage, "/d/f", modified=10**18)) == [
        "utime file",
        "setxattr file",
        "fsync file",
        "replace f",
        "fsync /d",
    ]
    assert recorder.during(lambda: put(storage, "/d/g", clobber=False)) == [
        "setxattr file",
        "fsync file",
        "link g",
        "unlink",
        "fsync /d",
    ]


def test_the_steps_of_making_directories(storage: Storage, recorder: Recorder) -> None:
    assert recorder.during(lambda: storage.make_directory(at("/a/b/c"), parents=True)) == [
        "mkdir a",
        "fsync /",
        "mkdir b",
        "fsync /a",
        "mkdir c",
        "fsync /a/b",
    ]
    assert recorder.during(lambda: storage.make_directory(at("/a/b/c"), parents=True)) == []


def test_the_steps_of_removing(storage: Storage, recorder: Recorder) -> None:
    storage.make_directory(at("/a/b"), parents=True)
    put(storage, "/a/f")
    assert recorder.during(lambda: storage.remove(at("/a/f"))) == ["unlink f", "fsync /a"]
    assert recorder.during(lambda: storage.remove(at("/a/b"))) == ["rmdir b", "fsync /a"]
    put(storage, "/a/f")
    # Out of sight in one step, and durably so, before the first of its files goes.
    steps = recorder.during(lambda: storage.remove(at("/a"), recursive=True))
    assert steps == ["rmdir a", "replace", "fsync /", "unlink f", "rmdir"]


def test_the_steps_of_moving(storage: Storage, recorder: Recorder) -> None:
    storage.make_directory(at("/a"))
    storage.make_directory(at("/b"))
    put(storage, "/a/f")
    move = storage.rename
    assert recorder.during(lambda: move(at("/a/f"), at("/b/g"))) == ["replace g", "fsync /b", "fsync /a"]
    steps = recorder.during(lambda: move(at("/b/g"), at("/a/h"), clobber=False))
    assert steps == ["link h", "unlink g", "fsync /a", "fsync /b"]
    assert recorder.during(lambda: move(at("/a"), at("/b/c"))) == ["replace c", "fsync /b", "fsync /"]


def test_relaxed_leaves_only_the_syncs_out(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    storage = LocalStorage(root, durability=Durability.RELAXED)
    recorder = Recorder(root, monkeypatch)
    assert recorder.during(lambda: put(storage, "/f", modified=10**18)) == [
        "utime file",
        "setxattr file",
        "replace f",
    ]
    storage.make_directory(at("/a/b"), parents=True)
    storage.rename(at("/f"), at("/a/g"))
    storage.remove(at("/a"), recursive=True)
    assert not [call for call in recorder.calls if call.startswith("fsync")]
    storage.close()


def test_a_file_in_a_directory_whose_name_is_not_durable_yet_syncs_that_too(
    storage: Storage, recorder: Recorder
) -> None:
    storage.make_directory(at("/a/b"), parents=True)
    seen: list[str] = []

    def put_meanwhile(call: str) -> None:
        # Another client's file, after the name is there and before it is synced.
        if call == "fsync /a/b" and not seen:
            seen.append("now")
            recorder.calls.clear()
            put(storage, "/a/b/c/f")
            seen.extend(recorder.calls)

    recorder.fail = put_meanwhile
    storage.make_directory(at("/a/b/c"))
    assert seen[1:] == [
        "setxattr file",
        "fsync file",
        "replace f",
        "fsync /a/b/c",
        "fsync /a/b",
        "fsync /a",
        "fsync /",
    ]
    assert recorder.during(lambda: put(storage, "/a/b/c/f"))[-1] == "fsync /a/b/c"


@pytest.mark.parametrize("number", [errno.EIO, errno.ENOSPC, errno.EDQUOT])
@pytest.mark.parametrize("step", ["utime file", "setxattr file", "fsync file", "replace f"])
def test_c54_a_failed_step_discards_the_upload_and_is_not_retried(
    storage: Storage, root: Path, recorder: Recorder, ledger: Ledger, step: str, number: int
) -> None:
    old = put(storage, "/f", b"old")
    recorder.fail = lambda call: number if call == step else None
    with pytest.raises(Unavailable if number == errno.EIO else NoSpace) as caught:
        put(storage, "/f", b"new content", modified=10**18)
    assert recorder.calls.count(step) == (
        2 if step in ("setxattr file", "fsync file", "replace f") else 1
    )  # one is the old
    assert str(root) not in str(caught.value)
    assert caught.value.retry
    recorder.fail = lambda call: None
    assert get(storage, "/f") == b"old"
    assert storage.stat(at("/f")) == old
    assert os.listdir(root / ".ftpsvc" / "staging") == []
    assert ledger.books()[1:] == (3, 0)
    put(storage, "/f", b"tried again")
    assert get(storage, "/f") == b"tried again"


def test_c54_when_the_directory_cannot_be_synced_there_is_no_good_answer(
    storage: Storage, recorder: Recorder
) -> None:
    put(storage, "/f", b"old")
    recorder.fail = lambda call: errno.EIO if call == "fsync /" else None
    for change in (
        lambda: put(storage, "/f", b"new"),
        lambda: storage.rename(at("/f"), at("/g")),
        lambda: storage.make_directory(at("/d")),
        lambda: storage.remove(at("/g")),
    ):
        with pytest.raises(Unavailable):
            change()
    recorder.fail = lambda call: None
    assert names(storage) == []
    # From now on nothing is taken on trust: each answer syncs the whole chain.
    storage.make_directory(at("/x/y"), parents=True)
    assert recorder.during(lambda: put(storage, "/x/y/f"))[-3:] == ["fsync /x/y", "fsync /x", "fsync /"]


def test_a_file_system_that_cannot_sync_directories_is_refused_at_the_start(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recorder = Recorder(root, monkeypatch)
    recorder.fail = lambda call: errno.EINVAL if call == "fsync /" else None
    with pytest.raises(ConfigError, match="cannot make directories durable") as caught:
        LocalStorage(root)
    assert "relaxed" in (caught.value.hint or "")
    LocalStorage(root, durability=Durability.RELAXED).close()


def test_a_disk_without_hard_links_still_does_not_clobber(storage: Storage, recorder: Recorder) -> None:
    recorder.fail = lambda call: errno.EPERM if call.startswith("link") else None
    put(storage, "/f", b"1", clobber=False)
    with pytest.raises(AlreadyExists):
        put(storage, "/f", b"2", clobber=False)
    put(storage, "/g")
    with pytest.raises(AlreadyExists):
        storage.rename(at("/g"), at("/f"), clobber=False)
    storage.rename(at("/g"), at("/h"), clobber=False)
    assert names(storage) == ["f", "h"]
    late = storage.create(at("/k"), 0, algorithm="blake3", clobber=False)
    put(storage, "/k", b"first")
    with pytest.raises(AlreadyExists):
        late.commit(None)
    assert get(storage, "/k") == b"first"


def test_a_read_error_is_told_as_one(storage: Storage, monkeypatch: pytest.MonkeyPatch) -> None:
    put(storage, "/f")

    def failing(fd: int, buffers: object) -> int:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    with storage.read(at("/f")) as reader:
        monkeypatch.setattr(os, "readv", failing)
        with pytest.raises(ReadFailed, match="Input/output"):
            reader.read_into(memoryview(bytearray(10)))


def test_c54_rights_that_are_lost_and_come_back(storage: Storage, root: Path, ledger: Ledger) -> None:
    for path in ("/d", "/d/sub", "/secret"):
        storage.make_directory(at(path))
    put(storage, "/d/f", b"content")
    put(storage, "/secret/f")
    put(storage, "/g")
    upload = storage.create(at("/d/new"), 0, algorithm="blake3")
    top = os.open(root, os.O_RDONLY)  # nobody may not go through the folders above
    with unprivileged(root):
        os.chmod("d", 0o500, dir_fd=top)  # may be read, not changed
        os.chmod("secret", 0, dir_fd=top)
        os.chmod("g", 0, dir_fd=top)
        for refused in (
            lambda: upload.commit(None),
            lambda: put(storage, "/d/f", b"x"),
            lambda: storage.make_directory(at("/d/x")),
            lambda: storage.remove(at("/d/f")),
            lambda: storage.remove(at("/d/sub")),
            lambda: storage.rename(at("/d/f"), at("/f")),
            lambda: storage.rename(at("/d/f"), at("/f"), clobber=False),
            lambda: storage.list(at("/secret")),
            lambda: storage.stat(at("/secret/f")),
            lambda: storage.read(at("/g")),
        ):
            with pytest.raises(PermissionDenied) as caught:
                refused()
            assert str(root) not in str(caught.value)
        assert names(storage) == ["d", "d/f", "d/sub", "g", "secret"]
        entries = {entry.name: entry for entry in storage.list(at("/")).entries}
        assert entries["secret"].note is None  # only when it was to be looked into
        entries = {entry.name: entry for entry in storage.list(at("/"), recursive=True).entries}
        assert "rights" in (entries["secret"].note or "")
        assert entries["g"].kind == "file"
        assert get(storage, "/d/f") == b"content"
        # A tree of which something cannot go: what is left stays in sight, under its own name.
        storage.make_directory(at("/t/kept"), parents=True)
        put(storage, "/t/kept/f")
        os.chmod("t/kept", 0o500, dir_fd=top)
        with pytest.raises(PermissionDenied):
            storage.remove(at("/t"), recursive=True)
        assert get(storage, "/t/kept/f") == b"content"
        os.chmod("d", 0o700, dir_fd=top)
        os.chmod("t/kept", 0o700, dir_fd=top)
        os.chmod("secret", 0o700, dir_fd=top)
        os.chmod("g", 0o644, dir_fd=top)
    os.close(top)
    assert names(storage) == ["d", "d/f", "d/sub", "g", "secret", "secret/f", "t", "t/kept", "t/kept/f"]
    assert ledger.books()[1:] == (28, 0)


@pytest.mark.parametrize(
    ("number", "error"),
    [
        (errno.ENOENT, NotFound),
        (errno.EEXIST, AlreadyExists),
        (errno.EISDIR, IsADirectory),
        (errno.ENOTDIR, NotADirectory),
        (errno.ENOTEMPTY, DirectoryNotEmpty),
        (errno.ELOOP, NotAFile),
        (errno.ENOSPC, NoSpace),
        (errno.EDQUOT, NoSpace),
        (errno.EBUSY, Busy),
        (errno.EACCES, PermissionDenied),
        (errno.EPERM, PermissionDenied),
        (errno.EROFS, PermissionDenied),
        (errno.EXDEV, PermissionDenied),
        (errno.ENAMETOOLONG, InvalidPath),
        (errno.EILSEQ, InvalidPath),
        (errno.EINVAL, InvalidPath),
        (errno.EMFILE, Unavailable),
        (errno.ENOMEM, Unavailable),
        (errno.EFBIG, Unavailable),
        (errno.EIO, Unavailable),
        (errno.ESTALE, Unavailable),
        (None, Unavailable),
    ],
)
def test_whatever_the_disk_says_becomes_an_error_about_the_remote_path(
    number: int | None, error: type[FtpsvcError]
) -> None:
    problem = OSError(number, "text", "/srv/real/path") if number is not None else OSError("/srv/real/path")
    found = storage_error(problem, at("/a/b"))
    assert type(found) is error
    assert "/a/b" in str(found)
    assert "real" not in str(found)
    assert "real" not in str(found.wire())
