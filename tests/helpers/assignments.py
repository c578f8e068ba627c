"""Assignments for tests: small, real, and whole."""

from __future__ import annotations

from pathlib import Path

SUM = """\
schema = 1
course = "prog1-2026"
id = "ID"
title = "Sums"
open = 2020-01-01T08:00:00+01:00
due = 2099-11-24T23:59:00+01:00
close = 2099-11-27T23:59:00+01:00

[files]
required = ["sums.py"]
optional = ["README*"]

[late]
grace = "10m"
percent = 10
max_percent = 50
late_days = true

[[test]]
name = "adds"
kind = "run"
run = ["python3", "sums.py", "2", "3"]
expect = { stdout = "5\\n" }
points = 4

[[test]]
name = "reads a file"
kind = "run"
run = ["python3", "sums.py", "numbers.txt"]
files = ["numbers.txt"]
expect = { stdout_file = "numbers.out" }
needs = ["adds"]
points = 6
hint = "Is every line a number of its own?"
"""

SOLUTION = """\
import sys

words = sys.argv[1:]
if len(words) == 1:
    with open(words[0]) as stream:
        words = stream.read().split()
print(sum(int(word) for word in words))
"""

STARTER = """\
import sys

print(0)
"""


def write(folder: Path, name: str = "sums", text: str = SUM) -> Path:
    """Writes an assignment with its solution, starter, tests and hand-out to a folder, and returns the folder."""
    for kind in ("solution", "starter", "tests", "handout"):
        (folder / kind).mkdir(parents=True)
    (folder / "assignment.toml").write_text(text.replace('"ID"', f'"{name}"'), "utf-8")
    (folder / "solution" / "sums.py").write_text(SOLUTION, "utf-8")
    (folder / "starter" / "sums.py").write_text(STARTER, "utf-8")
    (folder / "handout" / "sheet.txt").write_text("Add up what is given.\n", "utf-8")
    (folder / "tests" / "numbers.txt").write_text("1\n2\n4\n", "utf-8")
    (folder / "tests" / "numbers.out").write_text("7\n", "utf-8")
    return folder
