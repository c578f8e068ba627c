"""Handing in as students and teachers do it: `ftpsvc`, `ftpsvc-server`, OpenSSH, and a daemon that is killed."""

import hashlib
import json
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from ftpsvc.credentials import Credentials, token_text
from ftpsvc.homework import journal
from ftpsvc.homework.commands.receipts import receipts
from ftpsvc.homework.submissions import Submissions
from ftpsvc.protocol import headers
from ftpsvc_client import connect
from ftpsvc_client.handin import collect, send
from ftpsvc_client.homework import Homework
from ftpsvc_client.watching import Unwatched
from tests.helpers import assignments
from tests.helpers.cli import Cli
from tests.helpers.counts import count
from tests.helpers.daemon import ServerProcess, server
from tests.helpers.users import add_user

LATE = assignments.SUM.replace("due = 2099", "due = 2021")


def operator(root: Path, *arguments: str) -> Result:
    """Runs `ftpsvc-server receipts ...` within this process: a dozen of processes would cost a dozen seconds."""
    return CliRunner().invoke(receipts, ["--root", str(root), *arguments])


def test_a_students_evening(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root, work = tmp_path / "root", tmp_path / "work"
    assignments.write(root / "assignments" / "sums")
    assignments.write(root / "assignments" / "old", "old", LATE)
    (root / "course.toml").write_text('title = "Programming"\nlate_days = 3\n')
    token = add_user(root, "alice")
    for name, value in (
        ("FTPSVC_USER", "alice"),
        ("FTPSVC_TOKEN", token_text(token.name.token_id or "", token.secret)),
    ):
        monkeypatch.setenv(name, value)
    work.mkdir()
    with server(root, module="ftpsvc.commands.server") as daemon:
        cli = Cli(work, daemon.url)
        (work / "essay.txt").write_text("no\n")
        unknown = cli("submit", "summs")
        assert unknown.code == 3
        assert "summs: there is no such assignment" in unknown.err
        assert "hint: `ftpsvc assignments`" in unknown.err
        refused = cli("submit", "sums")
        assert refused.code == 16, refused.err
        assert "sums.py is missing" in refused.err
        (work / "sums.py").write_text("print(5)\n")
        done = cli("submit", "sums")
        assert done.code == 0, done.err
        assert "left out: essay.txt" in done.err
        assert "sums is due " in done.err
        assert done.lines[0].startswith("handed in sums version 1: 1 file, ")
        assert done.lines[1] == f"receipt {os.path.join('.', '.ftpsvc', 'receipts', 'sums-0001.json')}"
        late = cli("submit", "old", "sums.py")
        assert (late.code, "--late" in late.err) == (16, True)
        record = cli("submit", "old", "sums.py", "--late", "--json").records[0]
        assert (record["version"], record["percent"], record["late_days_used"]) == (1, 50.0, 3)
        again = cli("submit", "old", "sums.py")
        assert again.code == 16
        assert ", -50 %, 3 of 3 late days" in again.err
        listed = cli("assignments")
        assert "late, closes in " in listed.lines[1]
        assert "0 of 3 late days left" in listed.err
        assert [line.split()[0] for line in listed.lines] == ["id", "old", "sums"]
    # No server from here on: receipts stand for themselves.
    kept = work / ".ftpsvc" / "receipts"
    key = operator(root, "key")
    (tmp_path / "signers").write_text(key.stdout)
    genuine = cli.ok(
        "receipt", "verify", str(kept / "sums-0001.json"), ".", "--signers", str(tmp_path / "signers")
    )
    assert "genuine: alice handed in sums version 1" in genuine.out
    assert "signed by SHA256:" in cli.ok("receipt", "show", str(kept / "old-0001.json")).out
    assert (
        cli("receipt", "verify", str(kept / "sums-0001.json"), "--signers", str(tmp_path / "signers")).code
        == 0
    )
    (note,) = kept.glob("sums-refused-*.json")
    assert cli("receipt", "verify", str(note)).code == 17
    if shutil.which("ssh-keygen") is not None:
        for name, namespace, code in (
            ("sums-0001.json", "ftpsvc-receipt", 0), (note.name, "ftpsvc-receipt", 255),
            (note.name, "ftpsvc-refusal", 0),
        ):  # fmt: skip
            command = [
                "ssh-keygen",
                "-Y",
                "verify",
                "-f",
                str(tmp_path / "signers"),
                "-I",
                "ftpsvc",
                "-n",
                namespace,
            ]
            found = subprocess.run(
                [*command, "-s", f"{name}.sig"],
                cwd=kept,
                input=(kept / name).read_bytes(),
                capture_output=True,
                check=False,
            )
            assert found.returncode == code, found.stderr
    tampered(root, kept)


def tampered(root: Path, kept: Path) -> None:
    """Does to a server's receipts what the audit has to find, one thing after another."""
    head = operator(root, "head").stdout.strip()
    student = str(kept / "sums-0001.json")
    good = operator(root, "audit", "--digests", "--head", head, student)
    assert (good.exit_code, good.stdout) == (0, ""), good.stderr
    no_text = root / "no-text"
    no_text.write_bytes(b"\xff\xfe")
    wrong = operator(root, "audit", "--signers", str(no_text))
    assert (wrong.exit_code, "that is no Ed25519 key" in wrong.stderr) == (2, True), wrong.stderr
    chain = root / journal.FOLDER / journal.CHAIN
    whole = chain.read_bytes()
    first, second = whole.splitlines(keepends=True)
    files = root / "submissions" / "sums" / "alice" / "versions" / "0001" / "files"

    def in_chain(data: bytes) -> Callable[[], None]:
        return lambda: (chain.write_bytes(data), None)[1]

    def other_bytes() -> None:
        path = files / "sums.py"
        path.chmod(0o644)
        path.write_bytes(b"print(7)\n")

    def more_files() -> None:
        files.chmod(0o755)
        (files / "more.py").touch()

    def gone() -> None:
        folder = files.parent
        for path in (folder.parent, folder, *folder.rglob("*")):
            path.chmod(0o755)
        folder.rename(root / "aside")

    for change, words in (
        (in_chain(second), "where 1 is due"),
        (in_chain(first), "its receipt was removed"),
        (in_chain(second + first), "removed, added or moved"),
        (in_chain(whole.replace(b"alice", b"alicf", 1)), "not one of this content"),
        (in_chain(b""), "was published is not in the chain"),
        (in_chain(first + b"{}\n"), "cannot be read any further"),
        (other_bytes, "has another sums.py"),
        (more_files, "was not handed in: more.py"),
        (gone, "version 1 of sums/alice is gone"),
    ):
        change()
        found = operator(root, "audit", "--digests", "--head", head, student, "--json")
        assert found.exit_code == 6, words
        assert words in found.stdout, found.stdout
        assert json.loads(found.stdout.splitlines()[-1])["faults"] >= 1
        chain.write_bytes(whole)


def test_c54_a_server_that_is_killed_in_mid_hand_in_has_no_version_or_a_whole_one(tmp_path: Path) -> None:
    root, work = tmp_path / "root", tmp_path / "work"
    work.mkdir()
    assignments.write(root / "assignments" / "sums")
    token = add_user(root, "alice")
    told = 0
    content: dict[str, bytes] = {}
    rounds = count(3, 20)
    for attempt in range(rounds + 1):
        with server(root, module="ftpsvc.commands.server") as daemon:
            versions = Submissions(root).versions("sums", "alice")
            assert told <= len(versions) <= told + 1
            if content:  # what was killed is asked for again: it is the version that there is, or becomes one
                with connect(daemon.url, credentials=token) as client:
                    told = client.submit("sums", [work]).number
                assert told in (len(versions), len(versions) + 1)
                newest = Submissions(root).version("sums", "alice", told)
                assert {path.name: path.read_bytes() for path in newest.files.iterdir()} == content
            if attempt < rounds:
                content = {"sums.py": b"print(%d)\n" % attempt, "README": os.urandom(100_000)}
                for name, data in content.items():
                    (work / name).write_bytes(data)
                killed_in_mid_hand_in(daemon, token, work, wait=attempt * 1000)
    audit = operator(root, "audit", "--digests")
    assert audit.exit_code == 0, audit.stdout


def killed_in_mid_hand_in(daemon: ServerProcess, token: Credentials, work: Path, *, wait: int) -> None:
    """Sends a hand-in up to its commit, and kills the server: at once, or a little later."""
    found = collect([work])
    with connect(daemon.url, credentials=token) as client:
        homework = Homework(client)
        begun, offer = homework._offer("sums", found.files)
        send(client, "sums", found, offer.wanted, begun.path, Unwatched())
        request = headers.SubmitCommit(assignment="sums", begun=begun.begun, tree_sha256=begun.tree_sha256)
        with client._turn() as link:
            link.submit(request, lambda event: None)
            link.channel.flush()
            for number in range(wait):
                hashlib.sha256(b"%d" % number).hexdigest()
            daemon.kill()
