"""Users and secrets when processes race, die, and when somebody steals the database."""

import base64
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from ftpsvc.accounts.scram import ServerLogin
from ftpsvc.accounts.store import Accounts
from ftpsvc.credentials import PLAIN, Kind, LoginName, new_token, read_code
from ftpsvc.scram import ClientLogin, derive
from tests.helpers.counts import count, full
from tests.helpers.logins import PASSWORD, log_in

ROOT = Path(__file__).resolve().parents[2]
CODE = re.compile(r"\b(?:[2-9A-HJ-NP-Z]{4}-){3}[2-9A-HJ-NP-Z]{4}\b")

RACER = """
import sys
from pathlib import Path
from ftpsvc.accounts.scram import ServerLogin
from ftpsvc.accounts.store import Accounts
from ftpsvc.credentials import PLAIN, Kind, LoginName
from ftpsvc.exceptions import AuthenticationFailed
from ftpsvc.scram import ClientLogin
with Accounts(Path(sys.argv[1])) as accounts:
    for line in sys.stdin:
        client, server = ClientLogin(LoginName("alice", Kind.CODE), line.strip()), ServerLogin(accounts, PLAIN)
        proof = client.answer(server.step(client.first()))
        print("ready", flush=True)
        sys.stdin.readline()
        try:
            client.finish(server.step(proof))
            print("in", flush=True)
        except AuthenticationFailed:
            print("out", flush=True)
"""


def test_a_code_that_two_processes_use_at_once_is_good_for_one(tmp_path: Path) -> None:
    with Accounts(tmp_path) as accounts:
        user = accounts.add("alice")
        racers = [
            subprocess.Popen(
                [sys.executable, "-c", RACER, str(tmp_path)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
            for _ in range(2)
        ]
        try:
            for _ in range(count(20, 300)):
                code = accounts.issue_code("alice")
                tell(racers, code)
                assert hear(racers) == ["ready", "ready"]
                tell(racers, "go")
                assert sorted(hear(racers)) == ["in", "out"]
                assert accounts.secrets(user).code_used is not None
        finally:
            for racer in racers:
                racer.communicate(timeout=30)


def tell(racers: list[subprocess.Popen[str]], line: str) -> None:
    for racer in racers:
        assert racer.stdin is not None
        racer.stdin.write(line + "\n")
        racer.stdin.flush()


def hear(racers: list[subprocess.Popen[str]]) -> list[str]:
    lines = []
    for racer in racers:
        assert racer.stdout is not None
        lines.append(racer.stdout.readline().strip())
    return lines


@pytest.mark.timeout(600)
def test_c54_an_import_that_is_killed_leaves_all_or_nothing(tmp_path: Path) -> None:
    """Killed before each of its statements and commits in turn, until it gets through."""
    students = 5
    (tmp_path / "roster.csv").write_text("".join(f"s{number},n,g\n" for number in range(students)))
    killed = {"nothing": 0, "all": 0}
    step = 1
    while True:
        root = tmp_path / f"root{step}"
        root.mkdir()
        codes = root / "codes.txt"
        done = subprocess.run(
            [sys.executable, "-m", "tests.helpers.operator", "user", "--root", str(root), "import",
             str(tmp_path / "roster.csv"), "--codes", str(codes)],
            env=os.environ | {"KILL_AT": str(step), "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'client'}"},
            capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
        with Accounts(root) as accounts:
            users = accounts.users()
            assert len(users) in (0, students), f"killed at step {step}"
            assert all(accounts.secrets(user).code_expires for user in users)
        if done.returncode == 0:
            assert len(CODE.findall(codes.read_text())) == students
            break
        assert done.returncode == -signal.SIGKILL, done.stderr
        assert not codes.exists()  # codes that are seen are codes that are good
        killed["all" if users else "nothing"] += 1
        step += count(4, 1)
    assert killed["nothing"] >= 5
    if full():
        assert killed["all"] >= 1


def test_c34_nothing_that_lets_one_log_in_is_in_the_database(tmp_path: Path) -> None:
    """Every secret that was used is looked for in the file, its log and its index, in all forms that could be kept."""
    with Accounts(tmp_path) as accounts:
        user = accounts.add("alice")
        first_code = accounts.issue_code("alice")
        code = accounts.issue_code("alice")
        log_in(accounts, LoginName("alice", Kind.CODE), code)
        unused_code = accounts.issue_code("alice")
        accounts.set_password(user, derive(PASSWORD, Kind.PASSWORD))
        log_in(accounts, LoginName("alice"), PASSWORD)
        accounts.set_password(user, derive(PASSWORD + "2", Kind.PASSWORD))
        token = new_token()
        device = accounts.issue_token(user, "laptop", derive(token, Kind.TOKEN))
        log_in(accounts, LoginName("alice", Kind.TOKEN, device.id), token)
        kept = {path.name: path.read_bytes() for path in (tmp_path / ".ftpsvc").iterdir()}
    assert {"ftpsvc.db", "ftpsvc.db-wal"} <= kept.keys()
    everything = b"".join(kept.values())
    assert b"alice" in everything  # the search finds what is there
    assert device.id.encode() in everything
    for secret in (first_code, code, unused_code, PASSWORD, token):
        for form in (secret, secret.replace("-", ""), secret.lower(), secret.replace("-", "").lower()):
            raw = form.encode()
            for written in (raw, base64.b64encode(raw), raw.hex().encode(), form.encode("utf-16-le")):
                assert written not in everything


def test_c34_nothing_that_lets_one_log_in_crosses_the_wire(tmp_path: Path) -> None:
    with Accounts(tmp_path) as accounts:
        user = accounts.add("alice")
        code = accounts.issue_code("alice")
        token = new_token()
        verifier = derive(token, Kind.TOKEN)
        device = accounts.issue_token(user, "laptop", verifier)
        for name, secret in (
            (LoginName("alice", Kind.CODE), code),
            (LoginName("alice", Kind.TOKEN, device.id), token),
        ):
            known = accounts.verifier(str(name))
            client, server = ClientLogin(name, secret), ServerLogin(accounts, PLAIN)
            said = [client.first()]
            said.append(server.step(said[-1]))
            said.append(client.answer(said[-1]))
            said.append(server.step(said[-1]))
            client.finish(said[-1])
            wire = "\n".join(said)
            bare = read_code(secret) if name.kind is Kind.CODE else secret
            for form in (secret, bare, bare.lower()):
                assert form not in wire
                assert base64.b64encode(form.encode()).decode() not in wire
            for key in (known.stored_key, known.server_key):
                assert base64.b64encode(key).decode() not in wire


def test_c34_a_verifier_from_the_database_does_not_log_in(tmp_path: Path) -> None:
    """Whoever has the stored key and the server key still lacks the client key that a proof is made with."""
    import hashlib
    import hmac

    with Accounts(tmp_path) as accounts:
        user = accounts.add("alice")
        device = accounts.issue_token(user, "x", derive(new_token(), Kind.TOKEN))
        name = f"alice#t:{device.id}"
        stolen = accounts.verifier(name)
        for guess in (stolen.stored_key, stolen.server_key, hashlib.sha256(stolen.stored_key).digest()):
            server = ServerLogin(accounts, PLAIN)
            bare = f"n={name},r=abcdefghijklmnop"
            challenge = server.step("n,," + bare)
            last = f"c=biws,{challenge.split(',')[0]}"
            signature = hmac.digest(stolen.stored_key, f"{bare},{challenge},{last}".encode(), "sha256")
            proof = bytes(one ^ other for one, other in zip(guess, signature, strict=True))
            with pytest.raises(Exception, match="refused"):
                server.step(f"{last},p={base64.b64encode(proof).decode()}")
            assert server.identity is None
