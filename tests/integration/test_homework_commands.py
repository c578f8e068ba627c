"""`ftpsvc-server assignment ...`: the commands as they are typed, on real folders, beside a real daemon."""

from __future__ import annotations

import io
import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from ftpsvc.commands.server import extensions, program
from ftpsvc.homework.catalog import Catalog
from ftpsvc.homework.sandbox.base import Sandbox
from ftpsvc.server.auditread import Wanted, read
from ftpsvc_client import connect
from tests.helpers import assignments
from tests.helpers.embedded import embedded
from tests.helpers.users import add_user

Run = Callable[..., Result]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "root"


@pytest.fixture
def run(root: Path) -> Run:
    """Runs `ftpsvc-server assignment --root ROOT ...`; it has to end with `code`."""

    def ran(*arguments: str, code: int = 0) -> Result:
        line = ["assignment", "--root", str(root), *arguments]
        result = CliRunner().invoke(program, line, prog_name="ftpsvc-server")
        assert result.exit_code == code, result.output
        assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
        return result

    return ran


def test_an_assignment_is_added_while_the_server_runs_and_replaced_without_harm(
    run: Run, root: Path, tmp_path: Path
) -> None:
    mine = assignments.write(tmp_path / "mine", "sums")
    ann = add_user(root, "ann")
    with (
        embedded(root, guest="none", extensions=extensions()) as daemon,
        connect(str(daemon.addresses[0]), credentials=ann) as student,
    ):
        said = run("add", str(mine)).stderr
        assert "ftpsvc-server: added sums: 2 tests, 10 points\n" in said
        assert [entry.path for entry in student.list("/handouts")] == ["sums"]
        assert "hint: --replace" in run("add", str(mine), code=2).stderr
        run("extend", "sums", "ann", "--by", "2d", "--reason", "ill")
        (mine / "handout" / "sheet.txt").write_text("Second edition.\n")
        said = run("add", str(mine), "--replace").stderr
        kept = Path(said.partition("what was there is kept in ")[2].partition("\n")[0])
        assert (kept / "handout" / "sheet.txt").read_text() == "Add up what is given.\n"
        taken = io.BytesIO()
        student.get("/handouts/sums/sheet.txt", taken)
        assert taken.getvalue() == b"Second edition.\n"
    catalog = Catalog(root)
    assert [one.user for one in catalog.extensions(catalog.get("sums"))] == ["ann"]
    assert (root / "assignments").stat().st_mode & 0o777 == 0o700
    assert sorted(one.name for one in (root / "assignments").iterdir()) == ["sums"]
    commands = [event.get("command") for event in read(root, Wanted(None, "", "", "operator"))]
    assert commands == ["assignment add", "assignment extend", "assignment add"]


def test_a_faulty_assignment_is_not_added_and_every_fault_is_told(
    run: Run, root: Path, tmp_path: Path
) -> None:
    mine = assignments.write(tmp_path / "mine", "sums")
    file = mine / "assignment.toml"
    file.write_text(
        file.read_text().replace("percent = 10", "percent = -1").replace("points = 6", "points = 'six'")
    )
    result = run("add", str(mine), code=5)
    assert result.stderr.splitlines() == [
        f"{file}:15: late.percent: must be greater than or equal to 0",
        f"{file}:33: test 'reads a file': points: must be a number",
        "ftpsvc-server: error: assignment sums has 2 faults",
    ]
    assert not root.exists()
    assert run("check", str(mine), code=5).stdout.splitlines() == result.stderr.splitlines()[:2]


def test_a_copy_that_fails_leaves_nothing(run: Run, root: Path, tmp_path: Path) -> None:
    mine = assignments.write(tmp_path / "mine", "sums")
    (mine / "tests" / "dangling").symlink_to("nowhere")
    assert "cannot copy" in run("add", str(mine), code=2).stderr
    assert list((root / "assignments").iterdir()) == []
    (mine / "tests" / "dangling").unlink()
    run("add", str(mine))
    inside = str(root / "assignments" / "sums")
    assert "is kept already" in run("add", inside, "--replace", code=2).stderr


def test_a_replacement_that_is_killed_at_any_moment_leaves_one_of_the_two_whole(
    run: Run, root: Path, tmp_path: Path
) -> None:
    run("add", str(assignments.write(tmp_path / "old", "sums")))
    run("extend", "sums", "--all", "--by", "1d")
    new = assignments.write(tmp_path / "new", "sums", assignments.SUM.replace('"Sums"', '"New"'))
    command = [sys.executable, "-m", "tests.helpers.dying_placer", str(root), str(new)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=100, check=True)
    assert done.stdout.splitlines() == [
        "Sums, then Sums",
        "Sums, then Sums",
        "nothing, then New",
        "whole New",
    ]
    assert [one.name for one in (root / "assignments").iterdir()] == ["sums"]
    catalog = Catalog(root)
    assert len(catalog.extensions(catalog.get("sums"))) == 1


def test_more_time_is_given_and_everything_closed(run: Run, root: Path, tmp_path: Path) -> None:
    for name in ("ann", "bob"):
        add_user(root, name)
    run("add", str(assignments.write(tmp_path / "mine", "sums")))
    catalog = Catalog(root)

    def until(user: str) -> tuple[str, str]:
        dates = catalog.dates(catalog.get("sums"), user)
        return tuple(f"{one.astimezone(UTC):%m-%d %H:%M}" for one in (dates.due, dates.close))  # type: ignore[return-value]

    assert until("ann") == ("11-24 22:59", "11-27 22:59")
    assert (
        "time_zone in course.toml" in run("extend", "sums", "ann", "--due", "2099-11-26 23:59", code=2).stderr
    )
    run("extend", "sums", "ann", "--due", "2099-11-26T23:59+01:00")
    (root / "course.toml").write_text('time_zone = "Etc/GMT-2"\n')
    said = run("extend", "sums", "ann", "bob", "--by", "3d", "--reason", "the network was down").stderr
    assert "sums for ann: due Mon 2099-11-30 00:59 +0200 (Sun 22:59 UTC), closes" in said
    assert until("ann") == ("11-29 22:59", "11-29 22:59")
    assert until("bob") == ("11-27 22:59", "11-27 22:59")
    run("extend", "sums", "bob", "--close", "2099-12-24 02:00")
    assert until("bob") == ("11-27 22:59", "12-24 00:00")

    assert "there is no user 'eve'" in run("extend", "sums", "eve", "--by", "3d", code=2).stderr
    for wrong in (
        ["ann"], ["--by", "3d"], ["ann", "--all", "--by", "3d"], ["ann", "--by", "3d", "--due", "2099-11-30 12:00"],
        ["ann", "--by", "soon"], ["ann", "--by", "999999w"], ["ann", "--by", "400000w"],
        ["ann", "--due", "2099-11-30"], ["ann", "--due", "tomorrow"],
        ["ann", "--due", "2019-01-01 12:00"], ["ann", "--due", "2099-12-02 12:00", "--close", "2099-12-01 12:00"],
    ):  # fmt: skip
        run("extend", "sums", *wrong, code=2)
    assert len(catalog.extensions(catalog.get("sums"))) == 4

    before = datetime.now(UTC) - timedelta(seconds=1)
    run("close", "sums")
    dates = catalog.dates(catalog.get("sums"), "bob")
    assert before <= dates.due == dates.close <= datetime.now(UTC)
    assert json.loads(run("list", "--json").stdout)["state"] == "closed"
    run("extend", "sums", "--all", "--close", "2099-12-31 02:00")
    assert until("bob") == ("11-27 22:59", "12-31 00:00")
    shown = run("show", "sums", "--user", "bob").stdout
    assert "due:        Sat 2099-11-28 00:59 +0200 (Fri 22:59 UTC)" in shown
    assert "everybody" in shown
    assert "the network was down" in shown
    commands = [event["command"] for event in read(root, Wanted("*", "", "", "operator"))]
    assert commands == ["assignment close", "assignment extend"]


def test_assignments_are_listed_and_shown(run: Run, root: Path, tmp_path: Path) -> None:
    assert run("list").output == ""
    assert "there is no assignment yet" in run("check").stderr
    run("add", str(assignments.write(tmp_path / "one", "one")))
    run("add", str(assignments.write(tmp_path / "two", "two", assignments.SUM.replace("2020-", "2090-"))))
    head, one, two = run("list").stdout.splitlines()
    assert head.split() == ["ID", "STATE", "DUE", "POINTS", "STUDENTS", "TITLE"]
    assert one.split()[:2] == ["one", "open"]
    assert two.split()[:3] == ["two", "not", "open"]
    values = json.loads(run("show", "one", "--json").stdout)
    assert values["test"][1]["hint"] == "Is every line a number of its own?"
    assert values["dates"]["close"] == "2099-11-27T23:59:00+01:00"
    assert "late:       10 % for each started 1 d, at most 50 %, late days first" in run("show", "one").stdout
    assert "there is no assignment 'three'" in run("show", "three", code=2).stderr
    (root / "assignments" / "one" / "assignment.toml").write_text("")
    listed = run("list", code=5)
    assert listed.stdout.splitlines()[1].split()[0] == "two"
    assert "assignment.toml:1: schema: is missing" in listed.stderr


def test_check_without_running_looks_at_everything(run: Run, root: Path, tmp_path: Path) -> None:
    run("add", str(assignments.write(tmp_path / "one", "one")))
    assert run("check", "--no-run").stdout == "one: 2 tests, 10 points\n"
    (root / "assignments" / "one" / "extensions.toml").write_text('[[extension]]\nuser = "ann"\n')
    (root / "course.toml").write_text("late_days = 'four'\n")
    assert run("check", "--no-run", code=5).stdout.splitlines() == [
        f"{root}/assignments/one/extensions.toml:1: says neither due nor close",
        f"{root}/course.toml:1: late_days: must be a whole number",
    ]


def test_check_refuses_where_no_sandbox_works(run: Run, tmp_path: Path) -> None:
    mine = assignments.write(tmp_path / "mine", "sums")
    said = run("check", str(mine), "--bwrap", str(tmp_path / "missing"), code=3).stderr
    assert "no sandbox works here" in said
    assert "hint: " in said


def test_check_grades_the_solution_and_the_starter(
    run: Run, tmp_path: Path, found_sandbox: tuple[Sandbox, str | None]
) -> None:
    named = ["--bwrap", found_sandbox[1]] if found_sandbox[1] else []
    # Wide: only a machine that stands still would pass them.
    wide = "[limits]\ncpu = 100\nwall = 110\n\n[[test]]"
    mine = assignments.write(tmp_path / "mine", "sums", assignments.SUM.replace("[[test]]", wide, 1))
    (mine / "solution" / "notes.txt").write_text("not wanted: dropped as at a hand-in\n")
    lines = run("check", *named, str(mine)).stdout.splitlines()
    assert lines[0] == "sums: 2 tests, 10 points"
    assert lines[1].startswith("sums: solution/: 10 of 10 points in ")
    assert lines[2].startswith("sums: starter/: 0 of 10 points in ")

    # A solution that fails, a starter that does not, and a solution that is handed out.
    shutil.copy(mine / "solution" / "sums.py", mine / "handout" / "answer.py")
    shutil.rmtree(mine / "starter")
    (mine / "solution").rename(mine / "starter")
    (mine / "solution").mkdir()
    (mine / "solution" / "sums.py").write_text("print(5)\n")
    (mine / "solution" / "own.py").write_bytes((mine / "handout" / "sheet.txt").read_bytes())
    said = run("check", *named, str(mine), code=5).stdout
    assert "fault: solution/ must get all points, and got 4 of 10 points" in said
    assert "fault:   2 reads a file: WA: " in said
    assert "fault: starter/ gets all points" in said
    assert "fault: handout/sheet.txt is solution/own.py: students would get the solution" in said

    # One that would not even be taken.
    (mine / "solution" / "sums.py").unlink()
    said = run("check", *named, str(mine), code=5).stdout
    assert "fault: solution/ would be refused at hand-in: sums.py is missing" in said
    shutil.rmtree(mine / "solution")
    assert "fault: there is no solution/" in run("check", *named, str(mine), code=5).stdout
