"""How late a hand-in is, what that costs, and which version counts: pure functions of what is written down.

Nothing of this is stored: it is worked out at each look from the stamps of the versions, the dates of the student and
the rules of the assignment, so that an extension given afterwards sets everything right by itself (docs/homework.md,
"Late").

The order of steps for one version:

1. Its *moment* is when it was begun, if it was complete within `upload_window`; else when it was complete.
2. It is on time if its moment is at most `grace` after the due time. The grace comes off all lateness.
3. What is left is paid first with late days, a whole day each, as many as are needed and there are.
4. For each started `per` of the rest `percent` is taken, at most `max_percent`.

A student's versions of all assignments are gone through in the order of their moments: the late days that one finds
are those that the versions counting *then* had left. So what somebody was told at a hand-in stays true whatever they
hand in later; only an extension, or another rule, changes it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final, Literal, TypeAlias

from ftpsvc.homework.model import Late

Count: TypeAlias = Literal["last-on-time", "last", "best"]

_DAY: Final = timedelta(days=1)
_SECOND: Final = timedelta(seconds=1)


@dataclass(frozen=True, slots=True)
class Dates:
    """When something is accepted from one student, extensions included. All carry an offset.

    Attributes:
        open: Nothing is accepted before it.
        due: Later is late.
        close: Nothing is accepted later; not before `due`.
    """

    open: datetime
    due: datetime
    close: datetime


@dataclass(frozen=True, slots=True)
class Stamps:
    """The two times of a version, by the server's clock; both carry an offset.

    Attributes:
        begun: When its list of files with sizes and digests was first accepted.
        received: When it was complete; not before `begun`.
    """

    begun: datetime
    received: datetime


@dataclass(frozen=True, slots=True)
class Lateness:
    """How late a version is, and what that costs.

    Attributes:
        seconds: After the due time, rounded up; 0 is in time. What lies within the grace counts here too.
        on_time: Whether it costs nothing and takes no late day, by the grace or because it is in time.
        percent: Taken from its points, 0 to 100.
        late_days_used: Late days that it takes if it counts.
    """

    seconds: int
    on_time: bool
    percent: float
    late_days_used: int

    def after_penalty(self, points: float) -> float:
        """Returns what is left of points."""
        return points * (1 - self.percent / 100)


def moment(stamps: Stamps, rules: Late) -> datetime:
    """Returns the time that a version counts as handed in at."""
    if stamps.received - stamps.begun <= rules.upload_window:
        return stamps.begun
    return stamps.received


def accepted(at: datetime, dates: Dates) -> bool:
    """Returns whether something is accepted whose moment this is. Both ends count as within."""
    return dates.open <= at <= dates.close


def lateness(stamps: Stamps, dates: Dates, rules: Late, late_days_left: int = 0) -> Lateness:
    """Returns how late a version is.

    Args:
        stamps: Its times.
        dates: The student's.
        rules: The assignment's.
        late_days_left: Late days that the student has for it; not used where the rules have none.
    """
    late = moment(stamps, rules) - dates.due
    seconds = max(0, math.ceil(late / _SECOND))
    rest = late - rules.grace
    if rest <= timedelta(0):
        return Lateness(seconds, on_time=True, percent=0.0, late_days_used=0)
    days = min(late_days_left, math.ceil(rest / _DAY)) if rules.late_days else 0
    rest -= days * _DAY
    spans = max(0, math.ceil(rest / rules.per))
    percent = min(spans * rules.percent, rules.max_percent, 100.0)
    return Lateness(seconds, on_time=False, percent=float(percent), late_days_used=days)


@dataclass(frozen=True, slots=True)
class Terms:
    """What one assignment means for one student.

    Attributes:
        dates: With extensions.
        rules: What being late costs.
        count: Which version counts.
    """

    dates: Dates
    rules: Late
    count: Count


@dataclass(frozen=True, slots=True)
class HandIn:
    """One version of one student.

    Attributes:
        assignment: Its assignment's id.
        version: Its number, from 1.
        stamps: Its times.
        points: What it got, before any penalty; None where it is not graded, which counts as nothing for `best`.
    """

    assignment: str
    version: int
    stamps: Stamps
    points: float | None = None


@dataclass(slots=True)
class Standing:
    """How a student stands.

    Attributes:
        counting: The version that counts, by assignment; nothing where there is none.
        lateness: Of each version, by assignment and number.
        late_days_left: Of the pool.
    """

    counting: dict[str, int] = field(default_factory=dict)
    lateness: dict[tuple[str, int], Lateness] = field(default_factory=dict)
    late_days_left: int = 0

    def penalty(self, assignment: str) -> Lateness | None:
        """Returns the lateness of the version that counts; None where nothing was handed in."""
        version = self.counting.get(assignment)
        return None if version is None else self.lateness[assignment, version]


def standing(hand_ins: Iterable[HandIn], terms: Mapping[str, Terms], late_days: int = 0) -> Standing:
    """Returns how one student stands.

    Args:
        hand_ins: All versions of the student, in any order; those of assignments that `terms` lacks do not count.
        terms: By assignment.
        late_days: The pool that the student began with.
    """
    result = Standing(late_days_left=late_days)
    versions: dict[tuple[str, int], HandIn] = {}
    known = [one for one in hand_ins if one.assignment in terms]
    known.sort(key=lambda one: (moment(one.stamps, terms[one.assignment].rules), one.assignment, one.version))
    for one in known:
        term = terms[one.assignment]
        key = (one.assignment, one.version)
        before = result.penalty(one.assignment)
        # What this assignment itself took is free again for a version in the place of the one that took it.
        free = result.late_days_left + (before.late_days_used if before is not None else 0)
        found = result.lateness[key] = lateness(one.stamps, term.dates, term.rules, free)
        old = versions.get((one.assignment, result.counting.get(one.assignment, 0)))
        if _replaces(one, found, old, before, term.count):
            result.counting[one.assignment] = one.version
            result.late_days_left = free - found.late_days_used
        versions[key] = one
    return result


def _replaces(
    new: HandIn, lateness_: Lateness, old: HandIn | None, before: Lateness | None, count: Count
) -> bool:
    """Returns whether a version counts from now on in the place of the one that did."""
    if old is None or before is None:
        return True
    later = new.version > old.version
    if count == "last":
        return later
    if count == "last-on-time":
        # A late one never takes the place of one that is on time, whichever came first.
        return lateness_.on_time > before.on_time or (lateness_.on_time == before.on_time and later)
    return lateness_.after_penalty(new.points or 0.0) > before.after_penalty(old.points or 0.0)
