"""A small course for the gradebook: really handed in, really graded, by students of a roster."""

from datetime import UTC, datetime
from pathlib import Path

from click.testing import CliRunner, Result

from ftpsvc.accounts.model import Role
from ftpsvc.accounts.store import Accounts
from ftpsvc.credentials import Credentials, Kind, new_token, token_text
from ftpsvc.homework.grade_cli import command
from ftpsvc.homework.sandbox.base import Sandbox
from ftpsvc.scram import derive
from tests.helpers.grading import Course

TESTS = """
[[test]]
name = "prints"
kind = "run"
run = ["python3", "main.py"]
expect = { stdout = "6\\n" }
points = 3
hint = "count again"
[[test]]
name = "secret"
kind = "run"
run = ["python3", "main.py", "x"]
expect = { stdout = "6\\n" }
points = 1
visibility = "hidden"
[[test]]
name = "later"
kind = "run"
run = ["python3", "main.py"]
expect = { stdout = "6\\n" }
points = 1
visibility = "after_published"
[[test]]
name = "style"
kind = "manual"
points = 2
"""
LATE = '[late]\npercent = 50\n[grading]\ncount = "last"'
PEOPLE = {
    "alice": ("Alice Arrow", "1001", "A"),
    "bob": ('=HYPERLINK("http://x","Bob")', "1002", "A"),
    "carol": ("<script>alert(1)</script>", "", "B"),
    "dave": ("张伟", "1004", "B"),
}


def token(root: Path, name: str) -> Credentials:
    """Returns what a user logs in with."""
    with Accounts(root) as accounts:
        secret = new_token()
        made = accounts.issue_token(accounts.user(name), "test", derive(secret, Kind.TOKEN))
    return Credentials.token(name, token_text(made.id, secret))


def call(root: Path, *arguments: str) -> Result:
    """Runs ftpsvc-grade in this process."""
    line = [*arguments, "--root", str(root)]
    return CliRunner().invoke(command, line, standalone_mode=False, catch_exceptions=False)


def add_people(root: Path) -> None:
    """Makes a root with the roster."""
    (root / ".ftpsvc").mkdir(mode=0o700, parents=True)
    with Accounts(root, clock=lambda: 1767225600.0) as accounts:  # 2026 begins, before anything is handed in
        for name, (display, number, group) in PEOPLE.items():
            accounts.add(name, display_name=display, student_id=number, group=group)
        accounts.add("prof", role=Role.TEACHER)


def make(root: Path, found: tuple[Sandbox, str | None]) -> Course:
    """Makes the course: alice right and in time, bob wrong and a day late, carol nothing, dave not graded."""
    add_people(root)
    course = Course(root)
    course.assignment("hw1", TESTS, due="2026-06-02T00:00:00Z", more=LATE)
    course.assignment("hw2", TESTS.replace("later", "=later"), due="2026-06-03T00:00:00Z")
    course.hand_in("hw1", "alice", {"main.py": "# alice\nprint(6)", "alice_notes.txt": "mine", "README": "x"})
    course.hand_in("hw1", "prof", {"main.py": "print(6)"})
    course.hand_in("hw2", "alice", {"main.py": "print(6)"})
    course.hand_in("hw1", "bob", {"main.py": "print('<b>7')"}, datetime(2026, 6, 2, 12, tzinfo=UTC))
    bwrap = ("--bwrap", found[1]) if found[1] else ()
    for name in ("hw1", "hw2"):
        assert call(root, "run", name, *bwrap).exit_code == 0
    assert (
        call(root, "set", "hw1", "alice", "style", "1.5", "--reason", "neat", "--author", "p").exit_code == 0
    )
    assert call(root, "set", "hw1", "bob", "style", "2", "--reason", "neat", "--author", "p").exit_code == 0
    course.hand_in("hw1", "dave", {"main.py": "print(6)"}, datetime(2026, 6, 2, 13, tzinfo=UTC))
    return course
