"""Handing in over the wire, with a real server and the real client; and nobody sees what is not theirs."""

import contextlib
import hashlib
import io
import json
import os
import shutil
import sqlite3
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from ftpsvc.accounts.database import FILE
from ftpsvc.exceptions import (
    BadReceipt,
    Changed,
    ConfigError,
    FtpsvcError,
    HandInRefused,
    NotFound,
    PermissionDenied,
    RemoteError,
)
from ftpsvc.homework import journal
from ftpsvc.receipts.chain import Audit
from ftpsvc.receipts.receipt import Receipt, Refusal
from ftpsvc.storage.base import Durability
from ftpsvc_client import Client, Offer, papers
from ftpsvc_client.handin import collect, send
from ftpsvc_client.homework import Homework
from ftpsvc_client.watching import Unwatched
from tests.helpers import receipts
from tests.helpers.examples import load
from tests.helpers.handins import Course, course
from tests.helpers.raw_peer import RawPeer, frame
from tests.helpers.users import log_in
from tests.integration.test_protocol_examples import compare


@pytest.fixture
def here(tmp_path: Path) -> Iterator[Course]:
    with course(tmp_path / "root", "alice", "bob") as running:
        yield running


@pytest.fixture
def work(tmp_path: Path) -> Path:
    (tmp_path / "work").mkdir()
    (tmp_path / "work" / "sums.py").write_bytes(b"print(5)\n")
    (tmp_path / "work" / "notes.txt").write_bytes(b"mine\n")
    return tmp_path / "work"


def test_a_hand_in_is_a_version_with_a_receipt_that_is_kept(here: Course, work: Path, tmp_path: Path) -> None:
    offers: list[Offer] = []
    (work / "__pycache__").mkdir()
    (work / "__pycache__" / "x.pyc").write_bytes(b"x")
    with here.client("alice") as alice:
        done = alice.submit("sums", [work], offered=offers.append)
        assert (done.number, done.path, done.dropped, done.files) == (
            1,
            "/submissions/sums/0001",
            ("notes.txt",),
            1,
        )
        assert (offers[0].wanted, offers[0].size, offers[0].late) == (("sums.py",), 9, False)
        names = [entry.path for entry in alice.list("/submissions", recursive=True) if entry.kind == "file"]
        assert names == [
            f"sums/0001/{name}" for name in ("files/sums.py", "receipt.json", "receipt.json.sig")
        ]
        assert papers.check(done.kept, str(work)).differences == []
        (work / "sums.py").write_bytes(b"print(6)\n")
        assert papers.check(done.kept, str(work)).differences == ["sums.py has another content"]
        other = tmp_path / "other"
        (other / "sums.py").mkdir(parents=True)
        assert papers.check(done.kept, str(other)).differences == ["sums.py is no file"]
        second = alice.submit("sums", [work / "sums.py"], receipts=work / "r")
        assert (second.number, second.late_seconds) == (2, 0)
        found = alice.assignments()
        assert [(one.id, one.versions, one.counts, one.max_points) for one in found.assignments] == [
            ("sums", 2, 2, 10)
        ]
    audit = Audit([journal.public_key(here.root)])
    assert [fault for link in journal.read(here.root) for fault in audit.take(link)] == []
    version = here.submissions.version("sums", "alice", 2)
    assert (version.files / "sums.py").read_bytes() == b"print(6)\n"


def test_a_refusal_leaves_a_note_and_no_version(here: Course, work: Path) -> None:
    (work / "sums.py").unlink()
    (work / "README").write_bytes(b"x" * (10 << 20) + b"y")
    with here.client("alice") as alice:
        with pytest.raises(HandInRefused, match=r"sums\.py is missing; it has 10\.0 MiB"):
            alice.submit("sums", [work])
        assert list(alice.list("/submissions")) == []
        with pytest.raises(NotFound):
            alice.submit("other", [work])
        for none in ("", "x" * 41, "\udcff"):
            with pytest.raises(ConfigError, match="is no id of an assignment"):
                alice.submit(none, [work])
    (note,) = (work / ".ftpsvc" / "receipts").glob("sums-refused-*.json")
    paper, signature = papers.read(str(note))
    assert Refusal.verified(paper, signature)[0].user == "alice"
    with pytest.raises(BadReceipt):
        papers.check(str(note))


def test_c15_c24_c39_nobody_sees_or_changes_what_is_handed_in(here: Course, work: Path) -> None:
    with here.client("alice") as alice:
        alice.submit("sums", [work])
        mine = "/submissions/sums/0001/files/sums.py"

        def attempts(client: Client) -> list[tuple[str, str]]:
            told = []
            for act in (
                lambda: client.put(b"x", mine),
                lambda: client.put(b"x", "/submissions/sums/0001/files/new.py"),
                lambda: client.put(b"x", "/submissions/sums/incoming/sums.py"),
                lambda: client.put(b"x" * (5 << 20), "/submissions/sums/0001/files/large"),
                lambda: client.mkdir("/submissions/sums/0001/d"),
                lambda: client.remove("/submissions/sums", recursive=True),
                lambda: client.remove(mine),
                lambda: client.rename(mine, "/mine.py"),
                lambda: client.rename("/submissions/sums/0001", "/submissions/sums/0002"),
            ):
                with pytest.raises(FtpsvcError) as caught:
                    act()
                told.append((type(caught.value).__name__, str(caught.value)))
            return told

        for kind, text in attempts(alice):
            assert kind == "PermissionDenied", text
        with here.client("bob") as bob:
            # What bob is told of alice's version is what he is told of one that nobody has.
            for path in (
                "",
                "/0001",
                "/0001/files/sums.py",
                "/incoming",
                "/../sums/0001",
                "/alice",
                "/incoming.json",
            ):
                answers = []
                for name in ("sums", "none"):
                    for ask in (
                        bob.stat,
                        bob.is_directory,
                        lambda p: bob.get(p, io.BytesIO()),
                        bob.verify,
                    ):
                        try:
                            answers.append(repr(ask(f"/submissions/{name}{path}")))
                        except FtpsvcError as error:
                            answers.append(f"{type(error).__name__} {error}".replace("none", "sums"))
                half = len(answers) // 2
                assert answers[:half] == answers[half:], path
            assert list(bob.list("/submissions", recursive=True)) == []
            assert [one.versions for one in bob.assignments().assignments] == [0]
            assert {kind for kind, _ in attempts(bob)} <= {"PermissionDenied", "NotFound"}
    assert (here.submissions.version("sums", "alice", 1).files / "sums.py").read_bytes() == b"print(5)\n"


def test_c24_the_next_user_of_a_name_sees_nothing_of_the_first(here: Course, work: Path) -> None:
    with here.client("alice") as alice:
        alice.submit("sums", [work])
    # What is on the disk is as if the account had been made a day later.
    with contextlib.closing(sqlite3.connect(here.root / ".ftpsvc" / FILE)) as database, database:
        database.execute("UPDATE users SET created = created + 86400 WHERE name = 'alice'")
    with here.client("alice") as second:
        for ask in (
            lambda: list(second.list("/submissions")),
            lambda: second.stat("/submissions/sums/0001/receipt.json"),
            lambda: second.get("/submissions/sums/0001/files/sums.py", io.BytesIO()),
            second.assignments,
            lambda: second.submit("sums", [work]),
        ):
            with pytest.raises(PermissionDenied, match="a user of this name"):
                ask()
    assert here.submissions.numbers("sums", "alice") == [1]


def test_c46_a_file_that_changes_after_it_was_offered_is_not_handed_in(here: Course, work: Path) -> None:
    def edit(offer: Offer) -> None:
        (work / "sums.py").write_bytes(b"print(9)\n")

    with here.client("alice") as alice:
        with pytest.raises(Changed):
            alice.submit("sums", [work], offered=edit)
        assert alice.submit("sums", [work]).number == 1


def test_an_interrupted_hand_in_goes_on_where_it_was(here: Course, work: Path) -> None:
    (work / "README").write_bytes(os.urandom(1000))
    offers: list[Offer] = []

    with here.client("alice") as alice:
        found = collect([work])
        begun, _ = Homework(alice)._offer("sums", found.files)
        send(alice, "sums", found, ["README"], begun.path, Unwatched())
    with here.client("alice") as alice:
        assert list(alice.list("/submissions")) == []
        done = alice.submit("sums", [work], offered=offers.append)
    assert (offers[0].held, offers[0].wanted, done.number) == (("README",), ("sums.py",), 1)
    receipt = Receipt.decode(done.receipt)
    assert receipt.begun < receipt.received


def test_what_came_of_hand_ins_that_were_given_up_does_not_fill_the_disk(tmp_path: Path) -> None:
    def begin(alice: RawPeer, name: str) -> None:
        files = [{"path": path, "size": 100_000, "sha256": "0" * 64} for path in ("sums.py", name)]
        lines = b"".join(json.dumps(file).encode() + b"\n" for file in files)
        request = {"op": "submit-begin", "assignment": "sums", "size": len(lines), "algorithm": "sha256"}
        alice.send(frame(request, lines) + frame({"digest": hashlib.sha256(lines).hexdigest()}))
        alice.payload(alice.read()["size"])
        path = f"/submissions/sums/incoming/{name}"
        held = alice.ask("begin", path=path, file_size=100_000, algorithm="sha256")
        assert held["offset"] == 0
        put = {"op": "put", "path": path, "size": 100_000, "algorithm": "sha256", "offset": 0}
        alice.send(frame(put, bytes(50_000)))

    with course(tmp_path / "root", "alice") as here, contextlib.ExitStack() as open_until_the_end:
        host, _, port = here.url.partition("://")[2].rpartition(":")
        for number in range(6):
            alice = log_in(RawPeer((host, int(port))), here.tokens["alice"])
            open_until_the_end.callback(alice.close)
            begin(alice, f"README{number}")
            if number % 2:  # the others are still sending when theirs is over
                alice.close()
    partials = tmp_path / "root" / "submissions" / ".ftpsvc" / "partials"
    assert sum(path.stat().st_size > 10_000 for path in partials.iterdir()) <= 1


def test_a_hand_in_that_another_one_takes_the_place_of_says_so_and_stores_nothing(
    here: Course, work: Path, tmp_path: Path
) -> None:
    other = tmp_path / "other"
    other.mkdir()
    (other / "sums.py").write_bytes(b"print(6)\n")  # as long as the one of `work`
    with here.client("alice") as first, here.client("alice") as second:

        def begin_another(offer: Offer) -> None:
            Homework(second)._offer("sums", collect([other]).files)

        def finish_another(offer: Offer) -> None:
            assert second.submit("sums", [other]).number == 1

        for meanwhile in (begin_another, finish_another):
            with pytest.raises(HandInRefused, match="another hand-in for sums"):
                first.submit("sums", [work], offered=meanwhile)
        assert first.submit("sums", [work]).number == 2


def test_of_files_that_are_made_durable_together_those_of_the_list_are_kept(tmp_path: Path) -> None:
    both = tmp_path / "both"
    both.mkdir()
    for name in ("README", "README.md", "sums.py"):
        (both / name).write_bytes(f"{name} 1\n".encode())
    offers: list[Offer] = []
    with (
        course(tmp_path / "root", "alice", durability=Durability.FULL) as here,
        here.client("alice") as first,
        here.client("alice") as second,
    ):

        def take_over(offer: Offer) -> None:
            files = collect([both]).files
            Homework(second)._offer("sums", [*files[:-1], files[-1]._replace(sha256="0" * 64)])

        with pytest.raises(HandInRefused, match="another hand-in for sums"):
            first.submit("sums", [both], offered=take_over)
        assert first.submit("sums", [both], offered=offers.append).number == 1
        assert offers[0].held == ("README", "README.md")
        version = here.submissions.version("sums", "alice", 1)
        assert {path.name: path.read_bytes() for path in version.files.iterdir()} == {
            path.name: path.read_bytes() for path in both.iterdir() if path.is_file()
        }


def test_two_hand_ins_of_the_same_files_at_once_share_the_folder_of_receipts(tmp_path: Path) -> None:
    signer = receipts.new_signer(tmp_path)
    paper, signature = receipts.receipt(signer, {"sums.py": b"print(5)\n"})
    where = tmp_path / "receipts"
    with ThreadPoolExecutor(4) as pool:
        kept = [
            pool.submit(papers.keep, str(where), paper, signature, "sums-0001", Receipt) for _ in range(40)
        ]
    assert {one.result() for one in kept} == {str(where / "sums-0001.json")}
    assert sorted(path.name for path in where.iterdir()) == [
        "allowed_signers",
        "sums-0001.json",
        "sums-0001.json.sig",
    ]


def test_a_link_in_the_place_of_a_required_file_is_told(here: Course, work: Path) -> None:
    (work / "sums.py").rename(work / "real.py")
    (work / "sums.py").symlink_to("real.py")
    with here.client("alice") as alice, pytest.raises(HandInRefused, match=r"sums\.py is missing") as caught:
        alice.submit("sums", [work])
    assert caught.value.hint == f"left out, being links or no regular files: {work / 'sums.py'}"


def test_only_the_files_of_the_list_can_be_stored_and_only_as_they_were_listed(
    here: Course, work: Path
) -> None:
    with here.client("alice") as alice:

        def try_others(offer: Offer) -> None:
            where = "/submissions/sums/incoming"
            for name, content in (("other.py", b"print(5)\n"), ("lib/sums.py", b""), ("", b"")):
                with pytest.raises(FtpsvcError):
                    alice.put(content, f"{where}/{name}x")
            with pytest.raises(HandInRefused):
                alice.put(b"longer than listed", f"{where}/sums.py")
            with pytest.raises((HandInRefused, RemoteError)):
                alice.put(b"print(6)\n", f"{where}/sums.py")  # by blake3

        assert alice.submit("sums", [work], offered=try_others).number == 1
        with pytest.raises(PermissionDenied):
            alice.put(b"print(5)\n", "/submissions/sums/incoming/sums.py")


def test_a_key_that_is_not_the_known_one_is_told(here: Course, work: Path, tmp_path: Path) -> None:
    folder = work / ".ftpsvc" / "receipts"
    folder.mkdir(parents=True)
    other = receipts.new_signer(tmp_path)
    (folder / "allowed_signers").write_text(other.public.allowed_signers([Receipt.NAMESPACE]) + "\n")
    with here.client("alice") as alice, pytest.raises(BadReceipt, match="which is not in") as caught:
        alice.submit("sums", [work])
    assert "the server says that it keeps version 1" in str(caught.value.hint)
    shutil.rmtree(folder)


def test_the_example_of_the_page_is_what_a_server_says(here: Course) -> None:
    (example,) = (each for each in load() if each.name == "hand-in")
    host, port = here.url.rpartition("//")[2].rsplit(":", 1)
    begun = None
    with RawPeer((host, int(port))) as peer:
        log_in(peer, here.tokens["alice"])
        for message in example.messages[1:]:
            if message.sender == "C":
                header = message.header | ({"begun": begun} if "begun" in message.header else {})
                peer.send(frame(header, message.payload))
                continue
            found = peer.read()
            payload = peer.payload(found.get("size", 0))
            begun = found.get("begun", begun)
            clocks = {key: found[key] for key in ("begun", "time", "received") if key in message.header}
            compare(message, found | {key: message.header[key] for key in clocks}, payload)
            if found.get("code") == "hand-in-refused":
                assert json.loads(found["note"])["user"] == "alice"
        assert peer.at_end()


def test_c30_all_names_that_cannot_be_sent_are_told_at_once(tmp_path: Path) -> None:
    for name in (b"sums.py", b"a\nb", b"\xff", b"deep/Icon\r"):
        path = os.path.join(os.fsencode(tmp_path), b"odd", name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb"):
            pass
    with pytest.raises(HandInRefused) as caught:
        collect([tmp_path / "odd"])
    told = str(caught.value)
    assert all(name in told for name in (r"a\nb", r"\xff", r"Icon\r")), told
    assert "sums.py" not in told
    with pytest.raises(HandInRefused):
        collect([tmp_path / "odd" / "a\nb"])
    assert [file.path for file in collect([tmp_path / "odd" / "sums.py"]).files] == ["sums.py"]
