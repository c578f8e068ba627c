"""Which hand-ins are alike: what is compared, and how it is shown; with copydetect itself where that is installed."""

import importlib.util
import sys
from pathlib import Path

import pytest

from ftpsvc.exceptions import ConfigError
from ftpsvc.homework.gradebook.similar import MAX_BYTES, Pair, Text, page, texts
from tests.helpers.gradebooks import TESTS, add_people, call
from tests.helpers.grading import Course

COPIED = """
def shortest(graph, start, end):
    best = {start: 0}
    todo = [(0, start)]
    while todo:
        length, here = todo.pop(0)
        for there, more in graph.get(here, {}).items():
            if there not in best or length + more < best[there]:
                best[there] = length + more
                todo.append((length + more, there))
        todo.sort()
    return best.get(end)
"""
RENAMED = "# all my own work <script>\n" + COPIED.replace("best", "d").replace("todo", "queue").replace(
    "here", "x"
)
OTHER = "class Answer:\n    numbers = (1, 2, 3)\n\n\nprint(','.join(str(n * n) for n in Answer.numbers if n % 2))\n"
GIVEN = """
import sys

def read(name):
    with open(name) as file:
        return [line.split() for line in file]

"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "root"
    add_people(root)
    course = Course(root)
    course.assignment("hw1", TESTS, files={"starter/main.py": GIVEN})
    course.hand_in("hw1", "alice", {"main.py": COPIED})
    course.hand_in("hw1", "bob", {"mine.py": RENAMED, "notes.txt": COPIED})
    course.hand_in("hw1", "carol", {"main.py": GIVEN + OTHER})
    course.hand_in("hw1", "dave", {"main.py": GIVEN})
    return root


def test_without_copydetect_it_says_how_to_install_it(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "copydetect", None)  # as import finds it where it is not installed
    with pytest.raises(ConfigError, match="copydetect is not installed") as caught:
        call(root, "similar", "hw1")
    assert "[similar]" in str(caught.value.hint)


@pytest.mark.skipif(
    importlib.util.find_spec("copydetect") is None, reason="the extra `similar` is not installed"
)
@pytest.mark.filterwarnings("default")
def test_a_copy_with_other_names_is_found_and_what_everybody_was_given_is_not(
    root: Path, tmp_path: Path
) -> None:
    said = call(root, "similar", "hw1", "--html", str(tmp_path / "alike.html"))
    lines = [line.split() for line in said.stdout.splitlines()]
    assert [(line[0], line[1], line[3], line[4]) for line in lines[1:]] == [
        ("alice", "main.py", "bob", "mine.py")
    ]
    assert int(lines[1][2].rstrip("%")) > 90
    assert said.stderr == "5 files of 4 students compared, 1 pair alike\n"
    made = (tmp_path / "alike.html").read_text("utf-8")
    assert made.count("<mark>") == made.count("</mark>") >= 2
    assert "<script" not in made


def test_only_text_of_a_length_that_people_write_is_compared(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "a.py").write_bytes(b"x = 1\r\n")
    (tmp_path / "sub" / "b.py").write_text("y")
    (tmp_path / "long.py").write_bytes(b"x" * (MAX_BYTES + 1))
    (tmp_path / "picture.py").write_bytes(b"\xff\xd8")
    (tmp_path / "zero.py").write_bytes(b"a\x00b")
    (tmp_path / "link.py").symlink_to("a.py")
    assert texts("u", tmp_path) == [Text("u", "a.py", "x = 1\n"), Text("u", "sub/b.py", "y")]


def test_the_page_marks_what_is_alike_and_escapes_the_rest() -> None:
    first, second = Text("alice", "<b>.py", "ab<i>cd\n"), Text("bob", "x.py", "abcd\u202e")
    made = page("T & U", [Pair(first, second, (0.5, 1.0), 4, (((1, 3), (5, 7)), ((0, 4),)))], 0.33)
    assert "<pre>a<mark>b&lt;</mark>i&gt;<mark>cd</mark>\n</pre>" in made
    assert "<pre><mark>abcd</mark>\\u202e</pre>" in made
    assert "alice: &lt;b&gt;.py</a></td><td>50%</td>" in made
    assert "<h1>T &amp; U</h1>" in made
