"""Hand-ins given out as folders and zips, with names and without."""

import csv
import json
import zipfile
from pathlib import Path

import pytest

from ftpsvc.exceptions import ConfigError
from ftpsvc.homework.gradebook.collect import _free, _hider, _identifying
from ftpsvc.homework.gradebook.table import Student
from tests.helpers.gradebooks import LATE, PEOPLE, TESTS, add_people, call
from tests.helpers.grading import Course


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "root"
    add_people(root)
    course = Course(root)
    course.assignment("hw1", TESTS, due="2026-06-02T00:00:00Z", more=LATE)
    files = {
        "main.py": "# alice\nprint(6)",
        "alice_notes.txt": "mine",
        "Alice-Arrow.txt": "x",
        "n1001.txt": "y",
    }
    course.hand_in("hw1", "alice", {"main.py": "old"})
    course.hand_in("hw1", "alice", files)
    course.hand_in("hw1", "dave", {"main.py": "print(7)", "张伟.txt": "z"})
    return root


def everything(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()
    }


def test_a_folder_for_each_student_has_the_version_that_counts_and_says_whose(
    root: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    assert call(root, "collect", "hw1", str(out)).stderr == f"hw1: 2 hand-ins in {out}\n"
    found = everything(out)
    assert sorted(found) == [
        "alice/about.json", "alice/files/Alice-Arrow.txt", "alice/files/alice_notes.txt", "alice/files/main.py",
        "alice/files/n1001.txt", "dave/about.json", "dave/files/main.py", "dave/files/张伟.txt",
    ]  # fmt: skip
    assert found["alice/files/main.py"] == b"# alice\nprint(6)"
    about = json.loads(found["alice/about.json"])
    assert (about["user"], about["version"], about["student_id"]) == ("alice", 2, "1001")
    with pytest.raises(ConfigError, match="is there already"):
        call(root, "collect", "hw1", str(out))
    assert everything(out) == found


@pytest.mark.parametrize("zipped", [False, True])
def test_what_is_anonymous_says_nowhere_whose_it_is(root: Path, tmp_path: Path, zipped: bool) -> None:
    out = tmp_path / "out"
    said = call(root, "collect", "hw1", str(out), "--anonymous", *(("--zip",) if zipped else ()))
    if zipped:
        dates = set()
        for path in list(out.iterdir()):
            with zipfile.ZipFile(path) as opened:
                dates |= {one.date_time for one in opened.infolist()}
                opened.extractall(out)
            path.unlink()
        assert dates == {(1980, 1, 1, 0, 0, 0)}
    else:
        assert {path.stat().st_mtime for path in out.rglob("*")} == {315532800.0}
    found = everything(out)
    key = {
        line["user"]: line["name"]
        for line in csv.DictReader((tmp_path / "out.key.csv").read_text().splitlines())
    }
    assert sorted(key) == ["alice", "dave"]
    hers = key["alice"]
    assert {name for name in found if name.startswith(hers)} == {
        f"{hers}/about.json", f"{hers}/files/main.py", f"{hers}/files/{hers}_notes.txt", f"{hers}/files/{hers}.txt",
        f"{hers}/files/n{hers}.txt",
    }  # fmt: skip
    assert f"{hers}: files/main.py" not in said.stderr
    assert f"{hers}: main.py says in its content whose it is\n" in said.stderr
    for name, content in found.items():
        text = name + ("" if name.endswith("main.py") else content.decode())
        for people, (display, number, _) in PEOPLE.items():
            for word in (people, display, number, "Arrow", "tree_sha256", "2026"):
                assert not word or word.lower() not in text.lower(), (word, name)
    assert json.loads(found[f"{hers}/about.json"]) == {"assignment": "hw1", "name": hers, "late": False}


def test_short_names_are_hidden_as_words_and_two_files_never_become_one() -> None:
    hide = _hider(_identifying(Student("al", "Al Li")), "X")
    assert [hide(one) for one in ("final.py", "al.py", "AL_1.py", "list.py", "al-li.txt")] == [
        "final.py", "X.py", "X_1.py", "list.py", "X.txt",
    ]  # fmt: skip
    taken: set[str] = set()
    assert [_free(one, taken) for one in ("X.py", "x.py", "a.b/X", "a.b/X", "X.py", "x.py/b")] == [
        "X.py", "x-2.py", "a.b/X", "a.b/X-2", "X-3.py", "x.py-2/b",
    ]  # fmt: skip
