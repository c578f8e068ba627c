"""`ftpsvc-server assignment add --template ftp-homework`: from the command to the gradebook."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from click.testing import CliRunner, Result

from ftpsvc.commands.server import extensions, program
from ftpsvc.exceptions import ConfigError
from ftpsvc.homework import model, templating
from ftpsvc.homework.catalog import Catalog
from ftpsvc.homework.grade_cli import command
from ftpsvc.homework.grading import judge
from ftpsvc.homework.kit.checks import CHECKS
from ftpsvc.homework.kit.client_checks import CLIENT_CHECKS
from ftpsvc.homework.sandbox.base import Sandbox
from ftpsvc_client import connect
from tests.helpers import assignments
from tests.helpers.embedded import embedded
from tests.helpers.faulty_servers import FAULTY
from tests.helpers.users import add_user

Run = Callable[..., Result]

TEMPLATE = templating.FOLDER / "ftp-homework"
LATE = datetime(2026, 11, 10, 9, 30, tzinfo=UTC)


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


def patient(folder: Path, seconds: float = 120) -> None:
    """Gives the template's test the time that a busy machine takes."""
    file = folder / "assignment.toml"
    times = f"points = 100\npatience = {seconds}\nseconds = 3000"
    file.write_text(file.read_text("utf-8").replace("points = 100", times, 1), "utf-8")


def graded(root: Path, found: tuple[Sandbox, str | None], name: str, *arguments: str) -> Result:
    bwrap = ["--bwrap", found[1]] if found[1] and name == "run" else []
    line = [name, *arguments, "--root", str(root), *bwrap]
    return CliRunner().invoke(command, line, standalone_mode=False, catch_exceptions=False)


def test_a_template_becomes_an_assignment_and_says_what_comes_next(run: Run, root: Path) -> None:
    root.mkdir()
    (root / "course.toml").write_text('title = "Networks"\ntime_zone = "Asia/Shanghai"\n')
    before = datetime.now(UTC).replace(microsecond=0)
    said = run("add", "--template", "ftp-homework").stderr
    assert "ftpsvc-server: added ftp-homework: 2 tests, 100 points\n" in said
    assert "hint: ftpsvc-server assignment check ftp-homework" in said
    assert "hand in with ftpsvc submit ftp-homework FOLDER" in said
    assert "hint: ftpsvc-grade run ftp-homework" in said
    one = Catalog(root).get("ftp-homework")
    shanghai = ZoneInfo("Asia/Shanghai")
    assert before <= one.open <= datetime.now(UTC)
    due = one.due.astimezone(shanghai)
    assert (due.date() - one.open.astimezone(shanghai).date(), due.hour, due.minute) == (
        timedelta(days=14), 23, 59,
    )  # fmt: skip
    assert one.due.utcoffset() == timedelta(hours=8)
    assert one.close - one.due == timedelta(days=3)
    assert (one.course, one.points) == ("Networks", 100)
    assert {path.name for path in one.handout.iterdir()} >= {"README.md", "README.zh-CN.md", "server.py"}
    assert "hint: --replace" in run("add", "--template", "ftp-homework", code=2).stderr
    assert "replaced ftp-homework" in run("add", "--template", "ftp-homework", "--replace").stderr


def test_its_name_and_dates_can_be_said(run: Run, root: Path, tmp_path: Path) -> None:
    run("add", str(assignments.write(tmp_path / "sums")))
    run("add", "--template", "ftp-homework", "--id", "ftp-b", "--open", "2026-11-10T08:00+01:00",
        "--due", "2026-12-01T12:00+01:00")  # fmt: skip
    one = Catalog(root).get("ftp-b")
    assert one.open == datetime(2026, 11, 10, 7, tzinfo=UTC)
    assert one.due == datetime(2026, 12, 1, 11, tzinfo=UTC)
    assert one.close == datetime(2026, 12, 4, 11, tzinfo=UTC)
    assert one.course == "prog1-2026"  # as the other assignment has it
    for page in ("README.md", "README.zh-CN.md"):
        assert "$ ftpsvc submit ftp-b FOLDER" in (one.handout / page).read_text("utf-8")
    assert "assignment check ftp-b\n" in (one.folder / "assignment.toml").read_text("utf-8")
    assert one.test("server").kind == "ftp-homework"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--template", "nothing"], "hint: the templates are: ftp-homework"),
        (["--template", "../ftp-homework"], "there is no template '../ftp-homework'"),
        (["--template", "ftp-homework", "."], "say one of FOLDER and --template"),
        ([], "say one of FOLDER and --template"),
        ([".", "--due", "2026-11-26 23:59"], "are for a --template"),
        (["--template", "ftp-homework", "--id", "../x"], "no assignment can be called '../x'"),
        (["--template", "ftp-homework", "--id", "a..b"], "no assignment can be called 'a..b'"),
        (["--template", "ftp-homework", "--due", "2020-01-01T12:00+01:00"], "before it opens"),
        (["--template", "ftp-homework", "--open", "9000-12-31T12:00+01:00"], "too far away"),
        (["--template", "ftp-homework", "--due", "2026-11-26 23:59"], "in which time zone"),
        (["--template", "ftp-homework", "--into", "x", "--replace"], "--into adds nothing"),
        (["--template", "ftp-homework", "--into", "."], "is there already"),
    ],
)
def test_what_cannot_be_asked_for_changes_nothing(
    run: Run, root: Path, arguments: list[str], said: str
) -> None:
    assert said in run("add", *arguments, code=2).stderr
    assert not root.exists()


def test_days_are_those_of_the_course_also_when_clocks_change() -> None:
    berlin = ZoneInfo("Europe/Berlin")
    opens, due, close = templating.dates(None, None, berlin, datetime(2026, 10, 18, 22, 30, tzinfo=UTC))
    assert opens.isoformat() == "2026-10-19T00:30:00+02:00"
    assert due.isoformat() == "2026-11-02T23:59:00+01:00"
    assert close.isoformat() == "2026-11-05T23:59:00+01:00"
    given = datetime(2026, 11, 20, tzinfo=UTC)
    assert templating.dates(LATE, given, None, LATE)[1] == given


def test_nothing_is_left_of_a_template_that_cannot_be_written(tmp_path: Path) -> None:
    own = templating.Own("x", "", LATE, LATE + timedelta(days=1), LATE + timedelta(days=2))
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match="cannot write"):
        templating.write("ftp-homework", tmp_path / "file" / "in", own)
    with pytest.raises(ConfigError, match="is there already"):
        templating.write("ftp-homework", tmp_path / "file", own)
    assert list(tmp_path.iterdir()) == [tmp_path / "file"]


def test_the_pages_for_students_name_the_cases_that_are_checked_and_their_points() -> None:
    unmeasured = (1, 4, 8, 9)
    asked = [one for one in CHECKS if one.point not in unmeasured and one.name != "what is another user's"]
    checked = {
        case: {one.point for one in asked if case in one.cases} for check in asked for case in check.cases
    }
    test, client = model.load(TEMPLATE).tests
    assert isinstance(test, model.FtpHomeworkTest)
    assert isinstance(client, model.FtpHomeworkTest)
    assert sum(test.rubric.values()) == test.points
    assert sum(client.rubric.values()) == client.points
    of_clients = {case for one in CLIENT_CHECKS for case in one.cases}
    for page in ("README.md", "README.zh-CN.md"):
        text = (TEMPLATE / "handout" / page).read_text("utf-8")
        rows = re.findall(r"^\| (C\d\d) \| .+ \| ([\d, ]+) \|$", text, re.MULTILINE)
        assert {case: {int(one) for one in points.split(",")} for case, points in rows} == checked
        worth = re.findall(r"^\| (\d) \| [^|]+ \| (\d*)[^|]*\| ?(\d*) ?\|$", text, re.MULTILINE)
        assert {int(point): float(one) for point, one, _ in worth if one} == test.rubric
        assert {int(point): float(one) for point, _, one in worth if one} == client.rubric
        (told,) = re.findall(r"[^\n]*C01[^\n|]*C02.*?\n\n", text, re.DOTALL)
        assert set(re.findall(r"C\d\d", told)) == of_clients
        assert [
            one for one in re.findall(r"\]\(([\w.-]+)\)", text) if not (TEMPLATE / "handout" / one).exists()
        ] == []


def test_the_points_for_trying_it_at_home_are_those_of_the_assignment() -> None:
    from ftpsvc.homework.kit.rubric import POINTS, read_points

    tests = model.load(TEMPLATE).tests
    for test, name in zip(tests, ("points.toml", "points-client.toml"), strict=True):
        assert isinstance(test, model.FtpHomeworkTest)
        assert read_points(TEMPLATE / "handout" / name) == {**POINTS, **test.rubric}


def test_the_solution_is_the_lessons() -> None:
    lesson = Path(__file__).resolve().parents[2] / "docs" / "course" / "10-homework"
    for name in ("server.py", "client.py"):
        assert (TEMPLATE / "solution" / name).read_bytes() == (lesson / f"base_{name}").read_bytes()


@pytest.mark.timeout(1800)
def test_from_the_template_to_the_gradebook(
    run: Run, root: Path, tmp_path: Path, found_sandbox: tuple[Sandbox, str | None]
) -> None:
    mine = tmp_path / "mine"
    said = run("add", "--template", "ftp-homework", "--into", str(mine)).stderr
    assert "nothing was added" in said
    assert f"hint: then ftpsvc-server assignment check {mine}" in said
    assert not (root / "assignments").exists()
    patient(mine)
    run("add", str(mine))

    solution = {name: (mine / "solution" / name).read_text("utf-8") for name in ("server.py", "client.py")}
    begun = {name: (mine / "starter" / name).read_text("utf-8") for name in ("server.py", "client.py")}
    hand_ins = {
        "alice": solution,
        "bob": solution | {"server.py": FAULTY["dots lead out"].text()},
        "carol": {name: text.replace("import json\n", "import jason\n") for name, text in begun.items()},
    }
    tokens = {name: add_user(root, name) for name in hand_ins}
    with embedded(root, extensions=extensions(), guest="none") as daemon:
        for name, files in hand_ins.items():
            work = tmp_path / name
            work.mkdir()
            for file, text in files.items():
                (work / file).write_text(text, "utf-8")
            with connect(str(daemon.addresses[0]), credentials=tokens[name]) as student:
                student.submit("ftp-homework", [work / file for file in files])

    done = graded(root, found_sandbox, "run", "ftp-homework", "--jobs", "2")
    assert done.exit_code == 0, done.stderr
    assert "3 hand-ins to grade, 2 at once" in done.stderr
    assert "alice version 1: 100 of 100" in done.stderr
    assert "carol version 1: 0 of 100" in done.stderr

    dots = "server: 3 own home, and only that: dots (C15)"
    results = {
        name: json.loads((root / f"submissions/ftp-homework/{name}/results/0001/0001.json").read_bytes())
        for name in hand_ins
    }
    assert results["alice"]["score"] == 100
    failed = {one["name"]: one for one in results["bob"]["tests"] if one.get("status") == "failed"}
    assert dots in failed
    assert "C15" in failed[dots]["tags"]
    lost = sum(one["max_score"] for one in failed.values())
    assert results["bob"]["score"] == pytest.approx(100 - lost)
    assert 0 < lost < 100
    assert "expected: " in failed[dots]["output"]
    assert "hint: work out .." in failed[dots]["output"]
    assert all(
        "No module named 'jason'" in one["output"]
        for one in results["carol"]["tests"]
        if one.get("status") == "failed"
    )

    assert re.search(r"alice .* 100 ", graded(root, found_sandbox, "report", "ftp-homework").stdout)
    graded(root, found_sandbox, "report", "ftp-homework", "--html", str(tmp_path / "book.html"))
    page = (tmp_path / "book.html").read_text("utf-8")
    assert f"{dots}: WA 0/4" in page
    assert f"{dots}: AC 4/4" in page
    assert graded(root, found_sandbox, "publish", "ftp-homework").exit_code == 0
    (feedback,) = (root / "submissions/ftp-homework/bob").glob("feedback/*/feedback.txt")
    told = feedback.read_text("utf-8")
    assert f"{dots}: WA, 0 of 4\n    sent: " in told
    assert "server: 4 quota: SKIP, - of 0\n    not scored: " in told
    assert "server: 3 own home, and only that: what is another user's (C24): SKIP, - of 0\n" in told


def test_the_starter_starts_and_greets_and_gets_not_all_points(sandbox: Sandbox, tmp_path: Path) -> None:
    shutil.copytree(TEMPLATE, tmp_path / "in")
    patient(tmp_path / "in", 3)  # where it hangs, only patience finds that
    one = model.load(tmp_path / "in")
    tested = judge.test(one, one.starter, sandbox)
    assert tested.raw < tested.max == 100
    said = "\n".join(part.result.output for part in tested.tests)
    assert "a server that listens" not in said
    assert "it wrote: a client asks for {'op': 'ls'" in said  # so it had greeted before


@pytest.mark.full_only
@pytest.mark.timeout(1800)
def test_the_template_passes_its_own_check(
    run: Run, tmp_path: Path, found_sandbox: tuple[Sandbox, str | None]
) -> None:
    folder = tmp_path / "mine"
    run("add", "--template", "ftp-homework", "--into", str(folder))
    patient(folder, 20)
    bwrap = ["--bwrap", found_sandbox[1]] if found_sandbox[1] else []
    lines = run("check", str(folder), *bwrap).stdout.splitlines()
    assert lines[0] == "ftp-homework: 2 tests, 100 points"
    assert lines[1].startswith("ftp-homework: solution/: 100 of 100 points in ")
    assert lines[2].startswith("ftp-homework: starter/: ")
    assert not lines[2].startswith("ftp-homework: starter/: 100 of")
