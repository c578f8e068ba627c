"""The gradebook of a course that was really handed in and graded: tables, files and lists."""

import csv
import io
import shutil
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote

import click
import pytest

from ftpsvc.exceptions import ConfigError
from ftpsvc.homework.sandbox.base import Sandbox
from tests.helpers import gradebooks
from tests.helpers.gradebooks import call


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory, found_sandbox: tuple[Sandbox, str | None]) -> Path:
    """The root of the course, which no test changes."""
    root = tmp_path_factory.mktemp("gradebook") / "root"
    gradebooks.make(root, found_sandbox)
    return root


def rows(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def test_a_report_shows_each_student_once_and_gives_nobody_a_0_that_nobody_graded(root: Path) -> None:
    said = call(root, "report", "hw1")
    assert said.exit_code == 0
    lines = [" ".join(line.split()) for line in said.stdout.splitlines()]
    assert lines == [
        "USER NAME GROUP VERSION POINTS LATE STATE",
        "alice Alice Arrow A 1 of 1 6.5 graded",
        'bob =HYPERLINK("http://x","Bob") A 1 of 1 1 12 h, -50 % graded',
        "carol <script>alert(1)</script> B missing",
        "dave 张伟 B 1 of 1 13 h, -50 % not graded",
        "",
        "hw1: 4 students, 3 handed in, 2 graded, 2 late; of 7 points: mean 3.75, median 3.75, from 1 to 6.5",
    ]
    whole = [" ".join(line.split()) for line in call(root, "report", "--all").stdout.splitlines()]
    assert whole[:5] == [
        "USER GROUP hw1 hw2 TOTAL", "alice A 6.5 5+ 11.5", "bob A 1 L - 1", "carol B - -", "dave B ? L -",
    ]  # fmt: skip
    assert whole[6] == "+ points by hand are still to come, ? not graded yet, - nothing handed in, L late"
    only = call(root, "report", "hw1", "--group", "B").stdout
    assert "alice" not in only
    assert "dave" in only


def test_a_csv_has_what_nbgrader_has_and_no_formula(root: Path, tmp_path: Path) -> None:
    file = tmp_path / "all.csv"
    said = call(root, "report", "--all", "--csv", str(file), "--tests")
    assert said.stdout == ""
    assert "hw2: 1 hand-in without a final score" in said.stderr
    assert file.stat().st_mode & 0o777 == 0o600
    found = rows(file.read_text("utf-8"))
    assert [(one["assignment"], one["student_id"]) for one in found] == [
        (name, user) for name in ("hw1", "hw2") for user in gradebooks.PEOPLE
    ]
    alice, bob, carol, dave = found[:4]
    assert {key: bob[key] for key in (
        "timestamp", "first_name", "raw_score", "late_submission_penalty", "score", "max_score", "late_seconds",
        "late_percent", "student_number", "state", "hw1: prints", "hw1: style",
    )} == {
        "timestamp": "2026-06-02 12:00:00", "first_name": '\'=HYPERLINK("http://x","Bob")', "raw_score": "2",
        "late_submission_penalty": "1", "score": "1", "max_score": "7", "late_seconds": "43200", "late_percent": "50",
        "student_number": "1002", "state": "graded", "hw1: prints": "0", "hw1: style": "2",
    }  # fmt: skip
    assert (alice["score"], carol["score"], dave["score"]) == ("6.5", "", "")
    assert (carol["state"], dave["state"], dave["first_name"]) == ("missing", "not graded", "张伟")
    for line in csv.reader(io.StringIO(file.read_text("utf-8"))):
        assert [text for text in line if text.startswith(("=", "+", "-", "@", "\t"))] == []


def test_canvas_and_moodle_get_final_scores_only(root: Path, tmp_path: Path) -> None:
    said = call(root, "report", "--all", "--canvas", "-")
    canvas = rows(said.stdout)
    assert canvas[0] == {
        "Student": "Points Possible", "ID": "", "SIS User ID": "", "SIS Login ID": "", "Section": "",
        "A test (hw1)": "7", "A test (hw2)": "7",
    }  # fmt: skip
    assert [(one["SIS Login ID"], one["Section"], one["A test (hw1)"], one["A test (hw2)"]) for one in canvas[1:]] == [
        ("alice", "A", "6.5", ""), ("bob", "A", "1", ""), ("carol", "B", "", ""), ("dave", "B", "", ""),
    ]  # fmt: skip
    moodle = tmp_path / "moodle.csv"
    said = call(root, "report", "hw1", "--moodle", str(moodle), "--moodle-id", "idnumber")
    assert rows(moodle.read_text("utf-8")) == [
        {"idnumber": "1001", "A test (hw1)": "6.5"},
        {"idnumber": "1002", "A test (hw1)": "1"},
        {"idnumber": "1004", "A test (hw1)": ""},
    ]
    assert "no line for carol" in said.stderr
    with pytest.raises(ConfigError, match="cannot be written"):
        call(root, "report", "hw1", "--csv", str(tmp_path / "nowhere" / "x.csv"))


def test_who_handed_in_nothing_is_listed_and_may_have_more_time(root: Path) -> None:
    said = call(root, "missing", "hw1")
    assert [line.split()[0] for line in said.stdout.splitlines()] == ["USER", "carol"]
    assert said.stderr == "1 of 4 students handed in nothing\n"
    assert call(root, "missing", "hw1", "--group", "A").stdout == ""


@pytest.mark.parametrize(
    "arguments", [("report", "nope"), ("report", "hw1", "--group", "C"), ("missing", "../hw1")]
)
def test_what_is_not_there_is_told(root: Path, arguments: tuple[str, ...]) -> None:
    with pytest.raises(ConfigError) as caught:
        call(root, *arguments)
    assert caught.value.hint
    with pytest.raises(click.UsageError):
        call(root, arguments[0], *(("hw1", "--all") if arguments[0] == "report" else ()))


def test_what_is_damaged_spoils_nobody_else_and_points_of_another_assignment_file_say_so(
    root: Path, tmp_path: Path
) -> None:
    copy = tmp_path / "root"
    shutil.copytree(root, copy)
    receipt = copy / "submissions" / "hw1" / "alice" / "versions" / "0001" / "receipt.json"
    receipt.chmod(0o600)
    receipt.write_bytes(b"{}")
    file = copy / "assignments" / "hw1" / "assignment.toml"
    file.write_text(file.read_text() + "# changed\n")
    (copy / "assignments" / "hw2" / "assignment.toml").write_text("schema = 1\n")
    said = call(copy, "report", "--all")
    assert said.exit_code == 5
    lines = [" ".join(line.split()) for line in said.stdout.splitlines()]
    assert lines[:3] == ["USER GROUP hw1 TOTAL", "alice A #", "bob A 1 L 1"]
    assert "hw2" in said.stderr
    one = call(copy, "report", "hw1").stdout
    assert "damaged: " in one
    assert "graded; by an assignment that was changed since" in one


class Page(HTMLParser):
    """What is in a page: its elements, their attributes, and the text of its body."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data

    def all(self, tag: str, name: str) -> list[str]:
        """Values of an attribute of all elements of a kind."""
        return [
            attributes[name] or "" for found, attributes in self.tags if found == tag and name in attributes
        ]


def test_the_page_needs_nothing_else_runs_nothing_and_its_links_lead_somewhere(
    root: Path, tmp_path: Path
) -> None:
    file = tmp_path / "place" / "book.html"
    file.parent.mkdir()
    said = call(root, "report", "--all", "--html", str(file))
    assert (said.exit_code, said.stdout) == (0, "")
    page = Page(file.read_text("utf-8"))
    kinds = {tag for tag, _ in page.tags}
    assert kinds.isdisjoint({"script", "img", "link", "iframe", "object", "b"})
    assert not [
        name for _, attributes in page.tags for name in attributes if name.startswith("on") or name == "src"
    ]
    assert page.all("meta", "content")[0].startswith("default-src 'none'")
    for people in gradebooks.PEOPLE.values():
        assert people[0] in page.text
    assert "dave (张伟): 13 h, -50 %" in page.text  # among the late ones
    assert "carol (<script>alert(1)</script>): due " in page.text  # among those who handed in nothing
    ids = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    assert len(ids) == len(set(ids)) == 6 + 2 + 4
    links = page.all("a", "href")
    assert {link[1:] for link in links if link.startswith("#")} == set(ids)
    outside = [link for link in links if not link.startswith("#")]
    assert len([link for link in outside if link.endswith(".stdout")]) >= 6
    for link in outside:
        assert (file.parent / unquote(link)).exists(), link
    assert len(page.all("rect", "height")) == 20
    assert [one for one in page.all("rect", "height") if one != "0.0"] == ["98.0", "98.0"]  # 1 and 6.5 of 7
    assert 'href="../' not in call(root, "report", "hw1", "--html", "-").stdout
