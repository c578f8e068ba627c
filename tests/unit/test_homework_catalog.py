"""The assignments of a root, extensions, and the course."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from ftpsvc.homework import course, extensions, model
from ftpsvc.homework.catalog import Catalog, NoSuchAssignment
from ftpsvc.homework.extensions import Extension
from ftpsvc.homework.faults import AssignmentFaults, HomeworkFaults
from tests.helpers import assignments


@pytest.fixture
def catalog(tmp_path: Path) -> Catalog:
    assignments.write(tmp_path / "assignments" / "sums", "sums")
    assignments.write(
        tmp_path / "assignments" / "early", "early", assignments.SUM.replace("2099-11-24", "2098-11-24")
    )
    return Catalog(tmp_path)


def test_a_root_without_assignments_has_none(tmp_path: Path) -> None:
    catalog = Catalog(tmp_path)
    assert catalog.ids() == []
    assert catalog.all() == ([], [])
    assert catalog.course() == course.Course()


def test_assignments_are_found_by_id_and_listed_by_due_time(catalog: Catalog) -> None:
    (catalog.folder / "no-assignment").mkdir()
    (catalog.folder / ".staged").mkdir()
    assert catalog.ids() == ["early", "sums"]
    assert [one.id for one in catalog.all()[0]] == ["early", "sums"]
    assert catalog.get("sums").title == "Sums"


@pytest.mark.parametrize(
    "name", ["hw9", "", "..", "../assignments/sums", "sums/", "Sums", "sums\n", "s" * 41, "\0"]
)
def test_what_is_no_id_is_no_assignment(catalog: Catalog, name: str) -> None:
    with pytest.raises(NoSuchAssignment):
        catalog.get(name)


def test_a_changed_file_is_read_again_and_a_good_one_only_once(catalog: Catalog) -> None:
    first = catalog.get("sums")
    assert catalog.get("sums") is first
    file = first.folder / model.FILE
    file.write_text(file.read_text("utf-8").replace('title = "Sums"', 'title = "Sums, again"'), "utf-8")
    assert catalog.get("sums").title == "Sums, again"


def test_a_faulty_assignment_harms_no_other(catalog: Catalog) -> None:
    (catalog.folder / "sums" / model.FILE).write_text("schema = 1\n", "utf-8")
    good, faulty = catalog.all()
    assert [one.id for one in good] == ["early"]
    assert len(faulty) == 1
    assignments.write(catalog.folder / "copy", "original")
    with pytest.raises(AssignmentFaults) as caught:
        catalog.get("copy")
    assert caught.value.faults[0].text == "its id is 'original', but its folder is 'copy'"


def test_extensions_are_applied_in_their_order(catalog: Catalog) -> None:
    assignment = catalog.get("sums")
    due, close = assignment.due, assignment.close
    day = timedelta(days=1)
    file = assignment.folder / extensions.FILE

    def give(**values: object) -> None:
        with file.open("a", encoding="utf-8") as stream:
            stream.write(extensions.entry(Extension.model_validate(values)))

    def dates(user: str) -> tuple[datetime, datetime]:
        found = catalog.dates(assignment, user)
        assert found.open == assignment.open
        return found.due, found.close

    assert dates("alice") == (due, close)
    give(user="alice", due=due + day, reason='a doctor\'s note: "x" \\ \x07 \u5e74')
    assert dates("alice") == (due + day, close)
    assert dates("bob") == (due, close)
    give(user="alice", due=due + 5 * day)
    assert dates("alice") == (due + 5 * day, due + 5 * day)
    give(user="*", close=due - day, given=due - day)
    assert dates("alice") == dates("bob") == (due - day, due - day)
    give(user="bob", close=close)
    assert dates("bob") == (due, close)
    assert [one.user for one in catalog.extensions(assignment)] == ["alice", "alice", "*", "bob"]
    assert catalog.extensions(assignment)[0].reason == 'a doctor\'s note: "x" \\ \x07 \u5e74'
    terms = catalog.terms(assignment, "bob")
    assert (terms.rules, terms.count, terms.dates.due) == (assignment.late, "last-on-time", due)


def test_faults_of_extensions_have_their_lines(catalog: Catalog) -> None:
    assignment = catalog.get("sums")
    (assignment.folder / extensions.FILE).write_text(
        '[[extension]]\nuser = "alice"\n\n[[extension]]\nuser = "bob"\ndue = 2026-11-24T23:59:00\nwhy = "x"\n'
        '[[extension]]\nuser = "eve"\ndue = 2026-11-24T23:59:00Z\nclose = 2026-11-23T23:59:00Z\n',
        "utf-8",
    )
    with pytest.raises(AssignmentFaults) as caught:
        catalog.dates(assignment, "alice")
    assert [f"{one.line}: {one.text}" for one in caught.value.faults] == [
        "1: says neither due nor close",
        "6: due: must carry an offset from UTC, as 2026-11-24T23:59:00+01:00",
        "7: there is no key 'why' here",
        "8: close must not be earlier than due",
    ]
    good, faulty = catalog.all()
    assert [one.id for one in good] == ["early"]
    assert len(faulty) == 1


def test_the_course(catalog: Catalog) -> None:
    file = catalog.root / course.FILE
    file.write_text('title = "Programming 1"\nlate_days = 4\ntime_zone = "UTC"\n', "utf-8")
    found = catalog.course()
    assert (found.title, found.late_days) == ("Programming 1", 4)
    assert found.zone is not None
    assert datetime(2026, 1, 1, tzinfo=found.zone) == datetime(2026, 1, 1, tzinfo=UTC)
    file.write_text('late_day = 4\nlate_days = -1\ntime_zone = "Nowhere/Land"\n', "utf-8")
    with pytest.raises(HomeworkFaults) as caught:
        catalog.course()
    assert [f"{one.line}: {one.text}"[:48] for one in caught.value.faults] == [
        "1: there is no key 'late_day' here",
        "2: late_days: must be greater than or equal to 0",
        "3: time_zone: 'Nowhere/Land' is no time zone tha",
    ]
    assert caught.value.faults[0].hint == "did you mean late_days?"
