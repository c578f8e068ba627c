"""`/handouts/ID/`: what assignments hand out, through a real daemon with homework in it."""

from __future__ import annotations

import io
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from ftpsvc.accounts.model import Role
from ftpsvc.exceptions import NotFound, PermissionDenied
from ftpsvc.homework.extension import Homework
from ftpsvc_client import Client, connect
from tests.helpers import assignments
from tests.helpers.daemon import server
from tests.helpers.embedded import embedded
from tests.helpers.users import add_user


def paths(client: Client, path: str, *, recursive: bool = False) -> list[str]:
    return [entry.path for entry in client.list(path, recursive=recursive)]


def get(client: Client, path: str) -> bytes:
    taken = io.BytesIO()
    client.get(path, taken)
    return taken.getvalue()


def test_hand_outs_of_assignments_appear_beside_the_teachers_own(tmp_path: Path) -> None:
    root = tmp_path / "root"
    ann, zhang = add_user(root, "ann"), add_user(root, "zhang", role=Role.TEACHER)
    folder = root / "assignments"
    assignments.write(folder / "sums", "sums")
    (folder / "sums" / "handout" / "data").mkdir()
    (folder / "sums" / "handout" / "data" / "numbers.txt").write_text("1 2 3\n")
    with (
        server(root, guest="none", module="ftpsvc.commands.server") as daemon,
        connect(daemon.url, credentials=ann) as student,
        connect(daemon.url, credentials=zhang) as teacher,
    ):
        teacher.put(io.BytesIO(b"week 1"), "/handouts/slides")
        teacher.mkdir("/handouts/videos")
        teacher.put(io.BytesIO(b"film"), "/handouts/videos/one")
        assert paths(student, "/handouts") == ["slides", "sums", "videos"]
        assert paths(student, "/handouts/sums") == ["data", "sheet.txt"]
        everything = [
            "slides",
            "sums",
            "sums/data",
            "sums/data/numbers.txt",
            "sums/sheet.txt",
            "videos",
            "videos/one",
        ]
        assert paths(student, "/handouts", recursive=True) == everything
        assert get(student, "/handouts/sums/sheet.txt") == b"Add up what is given.\n"
        assert student.stat("/handouts/sums").kind == "dir"
        student.cd("/handouts/sums/data")
        assert get(student, "numbers.txt") == b"1 2 3\n"
        assert student.verify("/handouts/sums/sheet.txt")

        # Nothing else of an assignment is anywhere.
        for path in (
            "/handouts/sums/assignment.toml", "/handouts/sums/../sums/solution/sums.py", "/assignments/sums",
            "/handouts/sums/solution", "/handouts/starter",
        ):  # fmt: skip
            with pytest.raises(NotFound):
                student.stat(path)

        # Nobody changes it over the wire, also not who may change the rest.
        for user in (student, teacher):
            changes: list[Callable[[], object]] = [
                partial(user.put, io.BytesIO(b"x"), "/handouts/sums/sheet.txt"),
                partial(user.put, io.BytesIO(b"x"), "/handouts/sums/new"),
                partial(user.remove, "/handouts/sums/sheet.txt"),
                partial(user.remove, "/handouts/sums", recursive=True),
                partial(user.rename, "/handouts/sums", "/handouts/mine"),
                partial(user.rename, "/handouts/slides", "/handouts/sums/slides"),
                partial(user.mkdir, "/handouts/sums/new"),
            ]
            for change in changes:
                with pytest.raises(PermissionDenied):
                    change()
        teacher.rename("/handouts/slides", "/handouts/videos/slides")
        assert paths(student, "/handouts") == ["sums", "videos"]

        # One that is not open yet is there for teachers only; one that is added is there at once.
        assignments.write(folder / "later", "later", assignments.SUM.replace("2020-01-01", "2090-01-01"))
        assignments.write(folder / "now", "now")
        assert paths(teacher, "/handouts") == ["later", "now", "sums", "videos"]
        assert paths(student, "/handouts") == ["now", "sums", "videos"]
        with pytest.raises(NotFound) as unopened:
            student.stat("/handouts/later/sheet.txt")
        with pytest.raises(NotFound) as unknown:
            student.stat("/handouts/never/sheet.txt")
        assert str(unopened.value).replace("later", "never") == str(unknown.value)

        # A folder that takes the place of another is what is seen from then on.
        (folder / "now").rename(folder / ".gone")
        assignments.write(folder / "now", "now")
        (folder / "now" / "handout" / "sheet.txt").write_text("Second edition.\n")
        assert get(student, "/handouts/now/sheet.txt") == b"Second edition.\n"

        # One whose file was spoiled is not shown, and harms no other.
        (folder / "now" / "assignment.toml").write_text("schema = ")
        assert paths(student, "/handouts") == ["sums", "videos"]


def test_pages_of_the_hand_outs_miss_nothing_and_say_nothing_twice(tmp_path: Path) -> None:
    root = tmp_path / "root"
    ann = add_user(root, "ann")
    for name in ("b", "d"):
        assignments.write(root / "assignments" / name, name)
        for number in range(3):
            (root / "assignments" / name / "handout" / f"f{number}").touch()
    common = root / "handouts"
    for name in ("a", "b", "c", "e"):
        (common / name).mkdir(parents=True)
        (common / name / "x").touch()
    inside = ["f0", "f1", "f2", "sheet.txt"]
    everything = [
        "a",
        "a/x",
        "b",
        *(f"b/{n}" for n in inside),
        "c",
        "c/x",
        "d",
        *(f"d/{n}" for n in inside),
        "e",
        "e/x",
    ]
    for page in (1, 2, 3, 7):
        with (
            embedded(root, guest="none", extensions=[Homework()], limits={"page": page}) as daemon,
            connect(str(daemon.addresses[0]), credentials=ann) as student,
        ):
            assert paths(student, "/handouts", recursive=True) == everything
            assert paths(student, "/handouts") == ["a", "b", "c", "d", "e"]
