"""Lateness, penalties, late days, and which version counts: pure functions, so every rule is a table."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from ftpsvc.homework import lateness
from ftpsvc.homework.lateness import Dates, HandIn, Lateness, Stamps, Terms
from ftpsvc.homework.model import Late

DUE = datetime(2026, 11, 24, 22, 59, tzinfo=UTC)
DATES = Dates(DUE - timedelta(days=14), DUE, DUE + timedelta(days=30))
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
RULES = Late(grace=timedelta(minutes=10), percent=10.0, max_percent=50.0, late_days=True)


def at(after_due: timedelta) -> Stamps:
    return Stamps(DUE + after_due, DUE + after_due)


def late(after_due: timedelta, left: int = 0, rules: Late = RULES) -> tuple[int, float, int]:
    found = lateness.lateness(at(after_due), DATES, rules, left)
    return found.seconds, found.percent, found.late_days_used


def test_what_lateness_costs() -> None:
    assert late(-HOUR) == late(timedelta(0)) == (0, 0, 0)
    assert late(timedelta(microseconds=1)) == (1, 0, 0)
    assert late(10 * MINUTE) == (600, 0, 0)
    assert late(10 * MINUTE + timedelta(microseconds=1)) == (601, 10, 0)
    assert late(DAY + 10 * MINUTE) == (87000, 10, 0)
    assert late(DAY + 11 * MINUTE) == (87060, 20, 0)
    assert late(20 * DAY)[1:] == (50, 0)
    hourly = Late(per=HOUR, percent=5.0)
    assert late(90 * MINUTE, rules=hourly) == (5400, 10, 0)
    assert late(3 * DAY, rules=hourly)[1] == 100
    assert late(5 * DAY, rules=Late()) == (432000, 0, 0)


def test_late_days_are_used_before_points_are() -> None:
    assert late(10 * MINUTE, 4) == (600, 0, 0)
    assert late(HOUR, 4) == (3600, 0, 1)
    assert late(DAY + 10 * MINUTE, 4)[1:] == (0, 1)
    assert late(DAY + HOUR, 4)[1:] == (0, 2)
    assert late(DAY + HOUR, 1)[1:] == (10, 1)
    assert late(9 * DAY, 4)[1:] == (50, 4)
    assert late(HOUR, 4, Late(percent=10.0))[1:] == (10, 0)
    assert not lateness.lateness(at(HOUR), DATES, RULES, 4).on_time


def test_points_after_the_penalty() -> None:
    assert Lateness(5400, on_time=False, percent=10.0, late_days_used=0).after_penalty(8) == 7.2


def test_an_upload_begun_in_time_has_its_window() -> None:
    begun = DUE - MINUTE
    within = Stamps(begun, begun + timedelta(minutes=30))
    after = Stamps(begun, begun + timedelta(minutes=30, microseconds=1))
    assert lateness.moment(within, RULES) == begun
    assert lateness.moment(after, RULES) == after.received
    assert lateness.lateness(within, DATES, RULES).on_time
    assert lateness.lateness(after, DATES, RULES).seconds == 29 * 60 + 1


def test_the_ends_of_the_time_belong_to_it() -> None:
    second = timedelta(microseconds=1)
    assert [
        lateness.accepted(moment, DATES)
        for moment in (DATES.open - second, DATES.open, DATES.close, DATES.close + second)
    ] == [False, True, True, False]


def test_times_in_other_zones_are_the_same_times() -> None:
    zone = datetime.fromisoformat("2026-11-25T00:09:00+01:00")
    assert lateness.lateness(Stamps(zone, zone), DATES, RULES) == lateness.lateness(
        at(10 * MINUTE), DATES, RULES
    )


def version(
    number: int, after_due: timedelta, points: float | None = None, assignment: str = "hw1"
) -> HandIn:
    return HandIn(assignment, number, at(after_due), points)


def counts(*versions: HandIn, rule: lateness.Count, pool: int = 0) -> tuple[int | None, int]:
    found = lateness.standing(versions, {"hw1": Terms(DATES, RULES, rule)}, pool)
    return found.counting.get("hw1"), found.late_days_left


def test_which_version_counts() -> None:
    early, better, tardy = version(1, -DAY, 5), version(2, -HOUR, 8), version(3, HOUR, 10)
    assert counts(rule="last", pool=4) == (None, 4)
    assert counts(early, better, tardy, rule="last", pool=4) == (3, 3)
    assert counts(early, better, tardy, rule="last-on-time", pool=4) == (2, 4)
    assert counts(tardy, better, early, rule="last-on-time") == (2, 0)
    assert counts(tardy, version(4, DAY, 0), rule="last-on-time", pool=4) == (4, 3)
    assert counts(early, better, tardy, rule="best") == (3, 0)
    assert counts(early, version(2, -HOUR, 9), tardy, rule="best") == (2, 0)
    assert counts(early, version(2, -HOUR, None), rule="best") == (1, 0)
    assert counts(version(1, -DAY, None), version(2, -HOUR, 0), rule="best") == (1, 0)


def test_late_days_are_those_left_when_it_was_handed_in() -> None:
    later = Dates(DATES.open, DUE + DAY, DATES.close)
    terms = {"hw1": Terms(DATES, RULES, "last"), "hw2": Terms(later, RULES, "last")}
    second = version(1, 3 * DAY, assignment="hw2")  # two days late
    first = version(1, 4 * DAY)  # four days late, and handed in after the other
    found = lateness.standing([first, second], terms, 4)
    assert found.lateness["hw2", 1].late_days_used == 2
    assert (found.lateness["hw1", 1].late_days_used, found.lateness["hw1", 1].percent) == (2, 20)
    assert found.late_days_left == 0


def test_a_version_that_is_replaced_gives_its_late_days_back() -> None:
    found = lateness.standing(
        [version(1, HOUR), version(2, DAY + HOUR)], {"hw1": Terms(DATES, RULES, "last")}, 2
    )
    assert found.lateness["hw1", 2].late_days_used == 2
    assert found.late_days_left == 0
    penalty = found.penalty("hw1")
    assert penalty is not None
    assert penalty.percent == 0
    assert found.penalty("hw2") is None


def test_versions_of_an_assignment_that_is_gone_do_not_count() -> None:
    found = lateness.standing([version(1, HOUR, assignment="gone")], {}, 3)
    assert (found.counting, found.late_days_left) == ({}, 3)


_VERSIONS = st.lists(
    st.tuples(st.sampled_from(["hw1", "hw2", "hw3"]), st.integers(-100, 400), st.none() | st.integers(0, 10)),
    max_size=12,
)


@given(_VERSIONS, st.sampled_from(["last", "last-on-time", "best"]), st.integers(0, 5), st.randoms())
@settings(max_examples=60, deadline=None)
def test_late_days_never_run_over_and_order_does_not_matter(versions, rule, pool, random) -> None:  # type: ignore[no-untyped-def]
    hand_ins = [
        HandIn(name, number, at(hours * HOUR), points)
        for number, (name, hours, points) in enumerate(versions, 1)
    ]
    terms = {name: Terms(DATES, RULES, rule) for name in ("hw1", "hw2", "hw3")}
    found = lateness.standing(hand_ins, terms, pool)
    used = sum(found.lateness[key].late_days_used for key in found.counting.items())
    assert found.late_days_left == pool - used >= 0
    assert set(found.counting) == {one.assignment for one in hand_ins}
    shuffled = random.sample(hand_ins, len(hand_ins))
    assert lateness.standing(shuffled, terms, pool) == found
    # What somebody was told at a hand-in stays true, whatever comes later.
    if hand_ins and rule != "best":
        last = max(hand_ins, key=lambda one: (one.stamps.begun, one.assignment, one.version))
        before = lateness.standing([one for one in hand_ins if one is not last], terms, pool)
        assert before.lateness.items() <= found.lateness.items()
