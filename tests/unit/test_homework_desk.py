"""Hand-ins: taken whole or not at all, numbered, never changed, each with its link in the chain."""

import os
import shutil
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from ftpsvc.exceptions import ConfigError, HandInRefused, InvalidRequest, NotFound
from ftpsvc.homework import journal
from ftpsvc.homework.catalog import Catalog
from ftpsvc.homework.checking import Examination
from ftpsvc.homework.desk import Desk
from ftpsvc.homework.ownfolder import OwnFolder
from ftpsvc.homework.submissions import Submissions
from ftpsvc.paths import RemotePath
from ftpsvc.receipts.chain import Audit
from ftpsvc.receipts.receipt import Receipt, Refusal
from ftpsvc.receipts.tree import File, tree_sha256
from ftpsvc.storage.base import Durability
from ftpsvc.storage.local import LocalStorage
from tests.helpers import assignments, receipts
from tests.helpers.cli import until

DUE = datetime(2099, 11, 24, 22, 59, tzinfo=UTC)
CONTENTS = {"sums.py": b"print(5)\n", "notes.txt": b"mine\n"}
WANTED = {"sums.py": b"print(5)\n"}


class Clock:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.now = DUE - timedelta(hours=1)

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def root(tmp_path: Path) -> Path:
    assignments.write(tmp_path / "assignments" / "sums")
    return tmp_path


@pytest.fixture
def desk(root: Path, clock: Clock) -> Desk:
    return Desk(root, Catalog(root), durable=False, now=clock)


def arrive(desk: Desk, contents: dict[str, bytes], user: str = "alice") -> None:
    """Does what the uploads of a hand-in do."""
    for name, data in contents.items():
        (desk.submissions.of("sums", user) / "incoming" / "files" / name).write_bytes(data)


def hand_in(desk: Desk, contents: dict[str, bytes], user: str = "alice", *, late: bool = False) -> int:
    begun = desk.begin("sums", user, receipts.files_of(contents))
    arrive(desk, {file.path: contents[file.path] for file in begun.under.files}, user)
    under = begun.under
    return desk.commit("sums", user, under.tree_sha256, under.begun, late=late).number


def faults(desk: Desk, root: Path) -> list[str]:
    audit = Audit([desk.journal.signer.public])
    return [fault.text for link in journal.read(root) for fault in audit.take(link)]


def test_versions_are_numbered_and_cannot_be_changed(desk: Desk, root: Path) -> None:
    assert [hand_in(desk, CONTENTS), hand_in(desk, {"sums.py": b"2"}), hand_in(desk, CONTENTS, "bob")] == [
        1,
        2,
        1,
    ]
    one, two = Submissions(root).versions("sums", "alice")
    assert (one.files / "sums.py").read_bytes() == CONTENTS["sums.py"]
    assert one.receipt.dropped == ["notes.txt"]
    assert not (one.files / "notes.txt").exists()
    assert one.tree_sha256 == tree_sha256(receipts.files_of(WANTED))
    assert two.stamps.received >= two.stamps.begun
    for path in [one.folder, *one.folder.rglob("*")]:
        assert path.stat().st_mode & 0o222 == 0, path
    paper, signature = (
        (one.folder / "receipt.json").read_bytes(),
        (one.folder / "receipt.json.sig").read_text(),
    )
    receipt, key = Receipt.verified(paper, signature)
    assert (receipt.user, receipt.version, receipt.seq, key) == ("alice", 1, 1, desk.journal.signer.public)
    assert faults(desk, root) == []
    assert desk.journal.head.seq == 3
    assert Submissions(root).users("sums") == ["alice", "bob"]
    assert [version.user for version in Submissions(root).all()] == ["alice", "alice", "bob"]


def test_a_refusal_names_all_faults_at_once_and_costs_nothing(desk: Desk, root: Path) -> None:
    offered = [File("lib/a.py", 1, "0" * 64), File("../x", 1, "0" * 64), File("README", 20 << 20, "0" * 64)]
    with pytest.raises(HandInRefused) as caught:
        desk.begin("sums", "alice", offered)
    error = caught.value
    for word in ("sums.py is missing", "'../x'", "20.0 MiB, at most 10.0 MiB"):
        assert word in error.reason
    assert error.note is not None
    assert error.signature is not None
    note, _ = Refusal.verified(error.note.encode(), error.signature)
    assert note.reasons == error.reason.split("; ")
    assert max(len(error.note), len(error.reason), len(error.signature)) < 4096
    assert Submissions(root).numbers("sums", "alice") == []
    assert desk.journal.head.seq == 0
    many = [File(f"{'x' * 200}{number}\x07", 1, "0" * 64) for number in range(4000)]
    with pytest.raises(HandInRefused) as caught:
        desk.begin("sums", "alice", many)
    assert len(caught.value.note or "") < 4000


def test_too_early_and_too_late_are_refused(desk: Desk, clock: Clock) -> None:
    clock.now = datetime(2019, 1, 1, tzinfo=UTC)
    with pytest.raises(HandInRefused, match="opens at 2020-01-01"):
        hand_in(desk, WANTED)
    clock.now = DUE + timedelta(days=4)
    with pytest.raises(HandInRefused, match="closed at"):
        hand_in(desk, WANTED)


def test_late_needs_a_yes(desk: Desk, clock: Clock) -> None:
    clock.now = DUE + timedelta(hours=2)
    begun = desk.begin("sums", "alice", receipts.files_of(WANTED))
    assert (begun.lateness.seconds, begun.lateness.percent, begun.number) == (7200, 10.0, 1)
    with pytest.raises(HandInRefused, match="late"):
        hand_in(desk, WANTED)
    assert hand_in(desk, WANTED, late=True) == 1
    assert desk.submissions.version("sums", "alice", 1).receipt.late_seconds == 7200


def test_late_days_of_the_version_that_counts_are_there_for_the_one_that_takes_its_place(
    desk: Desk, clock: Clock, root: Path
) -> None:
    (root / "course.toml").write_text("late_days = 4\n")
    clock.now = DUE + timedelta(hours=2)
    for number in 1, 2:
        begun = desk.begin("sums", "alice", receipts.files_of({"sums.py": str(number).encode()}))
        assert (begun.number, begun.lateness.late_days_used, begun.late_days_left) == (number, 1, 4)
        hand_in(desk, {"sums.py": str(number).encode()}, late=True)
        assert desk.standing("alice").late_days_left == 3


def test_begun_survives_as_long_as_the_files_are_the_same(desk: Desk, clock: Clock) -> None:
    clock.now = DUE - timedelta(minutes=5)
    first = desk.begin("sums", "alice", receipts.files_of(WANTED))
    clock.now = DUE + timedelta(minutes=20)  # beyond the grace, within the time that an upload may take
    arrive(desk, WANTED)
    again = desk.begin("sums", "alice", receipts.files_of(WANTED))
    assert again.under.begun == first.under.begun
    assert again.held == {"sums.py"}
    assert again.lateness.on_time
    other = desk.begin("sums", "alice", receipts.files_of({"sums.py": b"other"}))
    assert other.under.begun == clock.now
    assert other.held == frozenset()


def test_a_clock_that_was_ahead_for_a_while_makes_nobody_late(
    desk: Desk, root: Path, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    clock.now = DUE - timedelta(days=1, minutes=2)
    assert hand_in(desk, WANTED, "bob") == 1
    clock.now = DUE + timedelta(days=1)
    ahead = desk.begin("sums", "alice", receipts.files_of(WANTED))
    assert hand_in(desk, WANTED, "carl", late=True) == 1
    clock.now = DUE - timedelta(days=1)
    again = desk.begin("sums", "alice", receipts.files_of(WANTED))
    assert ahead.under.begun > again.under.begun == clock.now
    assert again.lateness.seconds == 0
    assert hand_in(desk, WANTED) == 1
    version = desk.submissions.version("sums", "alice", 1)
    assert (version.receipt.late_seconds, version.stamps.received) == (0, clock.now)
    assert "the clock is" in caplog.text
    assert ["back-dated" in text for text in faults(desk, root)] == [True]  # nothing is hidden
    clock.now -= timedelta(minutes=1)  # a little is smoothed over
    assert hand_in(desk, WANTED, "dora") == 1
    assert desk.submissions.version("sums", "dora", 1).receipt.late_seconds == 0


def test_names_that_would_fill_the_receipts_are_refused(desk: Desk) -> None:
    many = [
        *receipts.files_of(WANTED),
        *(File(f"{number:04}{'x' * 200}", 1, "0" * 64) for number in range(1500)),
    ]
    with pytest.raises(HandInRefused, match=r"its paths have .* at most 256\.0 KiB"):
        desk.begin("sums", "alice", many)
    assert len(desk.begin("sums", "alice", many[:1000]).under.dropped) == 999


def test_folders_that_would_fill_the_disk_are_refused(desk: Desk, root: Path) -> None:
    assignments.write(
        root / "assignments" / "all", "all", assignments.SUM.replace("[files]", '[files]\nextra = "keep"')
    )
    deep = [File(f"{number}/" + "d/" * 40 + "f", 1, "0" * 64) for number in range(25)]
    with pytest.raises(HandInRefused, match=r"it has 1,025 folders, at most 1000 are accepted"):
        desk.begin("all", "alice", [*receipts.files_of(WANTED), *deep])


def test_the_chain_is_held_by_nobody_who_makes_many_files_read_only_and_durable(desk: Desk) -> None:
    under = desk.begin("sums", "alice", receipts.files_of(WANTED)).under
    arrive(desk, WANTED)
    file = desk.submissions.of("sums", "alice") / "incoming" / "files" / "sums.py"
    with ThreadPoolExecutor(1) as pool:
        with desk._chain:
            done = pool.submit(desk.commit, "sums", "alice", under.tree_sha256, under.begun, late=False)
            until(lambda: file.stat().st_mode & 0o222 == 0)
            assert not done.done()
        assert done.result().number == 1


def test_what_is_the_same_is_not_sent_again(desk: Desk) -> None:
    both = {**WANTED, "README": b"read\n"}
    desk.begin("sums", "alice", receipts.files_of(both))
    arrive(desk, both)
    changed = {**WANTED, "README": b"read it\n"}
    assert desk.begin("sums", "alice", receipts.files_of(changed)).held == {"sums.py"}
    files = desk.submissions.of("sums", "alice") / "incoming" / "files"
    assert [path.name for path in files.iterdir()] == ["sums.py"]


def test_what_is_missing_or_damaged_is_found_before_anything_is_signed(desk: Desk) -> None:
    begun = desk.begin("sums", "alice", receipts.files_of(WANTED)).under
    with pytest.raises(HandInRefused, match=r"sums\.py has not arrived"):
        desk.commit("sums", "alice", begun.tree_sha256, begun.begun, late=False)
    arrive(desk, {"sums.py": b"print(6)\n"})
    with pytest.raises(HandInRefused, match="was damaged"):
        desk.commit("sums", "alice", begun.tree_sha256, begun.begun, late=False)
    arrive(desk, WANTED)
    assert desk.commit("sums", "alice", begun.tree_sha256, begun.begun, late=False).number == 1


def test_a_commit_that_is_asked_for_twice_is_one_version(desk: Desk) -> None:
    begun = desk.begin("sums", "alice", receipts.files_of(WANTED)).under
    arrive(desk, WANTED)
    one = desk.commit("sums", "alice", begun.tree_sha256, begun.begun, late=False)
    assert desk.commit("sums", "alice", begun.tree_sha256, begun.begun, late=False) == one
    with pytest.raises(InvalidRequest):
        desk.commit("sums", "alice", "0" * 64, begun.begun, late=False)


@pytest.mark.parametrize("stop", ["rename", "append"])
def test_a_commit_that_ends_at_any_step_is_no_version_or_a_whole_one(
    root: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch, stop: str
) -> None:
    desk = Desk(root, Catalog(root), durable=False, now=clock)
    assert hand_in(desk, CONTENTS, "bob") == 1

    class Killed(BaseException):
        pass

    def killed(*_: object) -> None:
        raise Killed

    begun = desk.begin("sums", "alice", receipts.files_of(WANTED)).under
    arrive(desk, WANTED)
    rename = Path.rename

    def only_files(self: Path, target: Path) -> Path:
        if self.name == "incoming":
            raise Killed
        return rename(self, target)

    with monkeypatch.context() as patch:
        if stop == "rename":
            patch.setattr(Path, "rename", only_files)
        else:
            patch.setattr(journal.Journal, "append", killed)
        with pytest.raises(Killed):
            desk.commit("sums", "alice", begun.tree_sha256, begun.begun, late=False)
    after = Desk(root, Catalog(root), durable=False, now=clock)
    assert faults(after, root) == []
    numbers = after.submissions.numbers("sums", "alice")
    assert numbers == ([] if stop == "rename" else [1])
    assert after.journal.head.seq == 1 + len(numbers)
    again = after.begin("sums", "alice", receipts.files_of(WANTED)) if not numbers else None
    assert again is None or again.held == {"sums.py"}
    assert after.commit("sums", "alice", begun.tree_sha256, begun.begun, late=False).number == 1
    assert faults(after, root) == []
    assert after.journal.head.seq == 2


def test_a_torn_line_of_the_chain_is_cut_and_its_version_keeps_its_link(root: Path, clock: Clock) -> None:
    desk = Desk(root, Catalog(root), durable=False, now=clock)
    hand_in(desk, CONTENTS)
    hand_in(desk, WANTED, "bob")
    path = root / journal.FOLDER / journal.CHAIN
    whole = path.read_bytes()
    for size in (len(whole) - 1, len(whole) - 40, whole.index(b"\n") + 2, whole.index(b"\n") + 1):
        path.write_bytes(whole[:size])
        after = Desk(root, Catalog(root), durable=False, now=clock)
        assert path.read_bytes() == whole
        assert after.journal.head.seq == 2


@pytest.mark.parametrize("digests", [False, True])
def test_what_is_no_file_among_those_handed_in_is_told_and_hides_nothing_behind_it(
    desk: Desk, root: Path, tmp_path: Path, digests: bool
) -> None:
    for user in ("alice", "bob", "carol", "dave"):
        hand_in(desk, CONTENTS, user)
    work = {
        user: desk.submissions.version("sums", user, 1).files for user in ("alice", "bob", "carol", "dave")
    }
    for folder in work.values():
        folder.chmod(0o700)
    same = tmp_path / "same.py"
    (work["alice"] / "sums.py").rename(same)
    (work["alice"] / "sums.py").symlink_to(same)  # with the very bytes that were handed in
    (work["bob"] / "sums.py").unlink()
    os.mkfifo(work["bob"] / "sums.py")
    (work["carol"] / "more").symlink_to(tmp_path, target_is_directory=True)
    shutil.rmtree(work["dave"])
    examination = Examination(root, [desk.journal.signer.public], digests=digests)
    assert list(examination.faults()) == [
        "receipt 1: version 1 of sums/alice has something that is no file in the place of sums.py",
        "receipt 2: version 1 of sums/bob has something that is no file in the place of sums.py",
        "receipt 3: version 1 of sums/carol has a file that was not handed in: more",
        "receipt 4: version 1 of sums/dave cannot be read: No such file or directory",
    ]
    assert examination.receipts == 4


def test_a_clock_that_is_set_back_dates_nothing_back(desk: Desk, clock: Clock, root: Path) -> None:
    hand_in(desk, WANTED)
    clock.now -= timedelta(minutes=3)
    hand_in(desk, WANTED, "bob")
    assert faults(desk, root) == []


def test_the_key_is_the_servers_own_and_is_never_made_anew(root: Path, desk: Desk) -> None:
    key = root / journal.FOLDER / journal.KEY
    assert key.stat().st_mode & 0o777 == 0o600
    assert journal.public_key(root) == desk.journal.signer.public
    hand_in(desk, WANTED)
    os.unlink(key)
    with pytest.raises(ConfigError, match="is gone"):
        Desk(root, Catalog(root), durable=False)
    path = root / journal.FOLDER / journal.CHAIN
    path.write_text("{}\n")
    with pytest.raises(ConfigError, match="damaged"):
        Desk(root, Catalog(root), durable=False)


def test_what_follows_a_hand_in_is_told_and_cannot_undo_it(
    desk: Desk, caplog: pytest.LogCaptureFixture
) -> None:
    told: list[str] = []

    def fails(version: object) -> None:
        raise RuntimeError("no queue")

    desk.on_version(fails)
    desk.on_version(lambda version: told.append(f"{version.user} {version.number}"))
    assert hand_in(desk, WANTED) == 1
    assert told == ["alice 1"]
    assert "what follows a hand-in failed" in caplog.text


def test_c24_where_a_user_has_nothing_others_cost_no_time(desk: Desk, root: Path) -> None:
    hand_in(desk, WANTED)
    storage = LocalStorage(root / "submissions", durability=Durability.RELAXED)
    storage.close()  # who asks it now fails in another way
    folder = OwnFolder(desk, storage, "bob", 0)
    for name in ("sums", "none", "NO ID"):
        for rest in ((), ("0001",), ("0001", "files", "sums.py"), ("incoming", "sums.py")):
            path = RemotePath((name, *rest))
            for ask in (folder.stat, folder.list, folder.read):
                with pytest.raises(NotFound):
                    ask(path)
