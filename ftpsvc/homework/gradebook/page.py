"""The gradebook as one page of HTML that needs nothing else: no script, no picture, no network.

Every text in it comes from people, so all of it is escaped, and a policy in the page itself forbids whatever could be
loaded or run. Links to outputs are relative to the place of the page, and lead into the server's root.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from datetime import datetime, tzinfo
from html import escape
from pathlib import Path
from typing import Final
from urllib.parse import quote

from ftpsvc.homework.gradebook import terminal
from ftpsvc.homework.gradebook.table import (
    Cell,
    Column,
    Gradebook,
    Row,
    State,
    histogram,
    points,
)
from ftpsvc.homework.grading.store import Results
from ftpsvc.homework.submissions import Submissions
from ftpsvc.text import printable

_STYLE: Final = """
:root { color-scheme: light dark; --line: #8885; --soft: #8881; --bar: #3b7dd8; --bad: #c0392b; --wait: #b9770e; }
body { font: 15px/1.45 system-ui, sans-serif; margin: 2rem auto; max-width: 75rem; padding: 0 1rem; }
h1 { font-size: 1.5rem; }
h2 { font-size: 1.15rem; margin: 2rem 0 .5rem; }
h3 { font-size: 1rem; margin: 1.2rem 0 .3rem; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; }
th, td {
  padding: .25rem .6rem; border-bottom: 1px solid var(--line); text-align: left; vertical-align: top; }
th { background: var(--soft); }
td.n, th.n { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
.bad { color: var(--bad); }
.wait { color: var(--wait); }
.none { opacity: .55; }
.late { font-size: .85em; display: inline-block; color: var(--bad); }
.plots { display: flex; flex-wrap: wrap; gap: 1.5rem; }
figure { margin: 0; }
figcaption { font-size: .85rem; max-width: 20rem; }
svg text { font: 10px system-ui, sans-serif; fill: currentColor; }
svg rect { fill: var(--bar); }
svg line { stroke: var(--line); }
a { color: inherit; }
td a { text-decoration-style: dotted; }
td { overflow-wrap: anywhere; }
ul { margin: .2rem 0; padding-left: 1.3rem; }
details { margin: .3rem 0; }
summary { cursor: pointer; }
footer { margin-top: 2rem; font-size: .85rem; opacity: .7; }
"""

_SECTIONS: Final = {
    "distribution": "Distribution", "points": "Points", "late": "Late", "missing": "Missing",
    "open": "Without a final score", "hand-ins": "Hand-ins",
}  # fmt: skip

_MARKS: Final = {
    State.WAITING: ("?", "wait"), State.FAILED: ("error", "bad"), State.DAMAGED: ("damaged", "bad"),
    State.MISSING: ("-", "none"),
}  # fmt: skip


def render(book: Gradebook, root: Path, beside: Path | None, made: datetime, zone: tzinfo | None) -> str:
    """Returns the page.

    Args:
        book: The gradebook.
        root: The server's root, which links lead into.
        beside: The folder that the page will be in; None makes no links.
        made: When it was made, with an offset.
        zone: In which times are shown; None is this machine's.
    """
    title = f"Gradebook: {book.title}" if book.title else "Gradebook"
    links = _Links(root, beside)
    parts = [
        "<!DOCTYPE html>",
        '<html lang="en"><head><meta charset="utf-8">',
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">",
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        '<meta name="referrer" content="no-referrer">',
        f"<title>{_text(title)}</title><style>{_STYLE}</style></head><body>",
        f"<h1>{_text(title)}</h1>",
        f"<nav>{' &middot; '.join(f'<a href=#{place}>{name}</a>' for place, name in _SECTIONS.items())}</nav>",
        *_plots(book),
        *_matrix(book),
        *_lists(book, zone),
        *_details(book, links, zone),
        f"<footer>Made {_text(_time(made, zone))} by ftpsvc-grade report; make it anew after each change.</footer>",
        "</body></html>",
    ]
    return "\n".join(parts) + "\n"


def _matrix(book: Gradebook) -> Iterable[str]:
    yield _section("points")
    if not book.rows or not book.columns:
        yield "<p>There are no students or no assignments yet.</p>"
        return
    yield '<div class="wide"><table><thead><tr><th>Student</th><th>Name</th><th>Group</th>'
    for column in book.columns:
        yield (
            f'<th class="n" title="{_text(column.title)}"><a href="#{_anchor("a", column.id)}">{_text(column.id)}</a>'
            f"<br>of {points(column.points)}</th>"
        )
    yield '<th class="n">Total</th>'
    yield '<th class="n">Late days left</th>' if book.late_days else ""
    yield "</tr></thead><tbody>"
    for row in book.rows:
        who = row.student
        yield f"<tr><td>{_text(who.name)}</td><td>{_text(who.display_name)}</td><td>{_text(who.group)}</td>"
        for column in book.columns:
            yield _cell(row, column)
        yield f'<td class="n">{points(row.total)}</td>'
        yield f'<td class="n">{row.late_days_left}</td>' if book.late_days else ""
        yield "</tr>"
    yield "</tbody></table></div>"
    yield f"<p>{_text('; '.join(terminal.legend(book)))}</p>"


def _cell(row: Row, column: Column) -> str:
    cell = row.cells[column.id]
    text, kind = _MARKS.get(cell.state, (points(cell.score), ""))
    if cell.state is State.BY_HAND:
        text, kind = f"{text}+", "wait"
    inner = f"<span class='{kind}'>{_text(text)}</span>" if kind else _text(text)
    if cell.late:
        inner += " <span class='late'>L</span>"
    if cell.state is State.MISSING:
        return f'<td class="n">{inner}</td>'
    note = terminal.note(cell) + (f"; {terminal.late(cell)} late" if cell.late else "")
    place = _anchor("c", column.id, row.student.name)
    return f'<td class="n" title="{_text(note)}"><a href="#{place}">{inner}</a></td>'


def _plots(book: Gradebook) -> Iterable[str]:
    yield _section("distribution") + '<div class="plots">'
    for column in book.columns:
        yield f"<figure><h3>{_text(column.id)}: {_text(column.title)}</h3>"
        yield _plot(histogram(book.scores(column), column.points), column)
        yield f"<figcaption>{_text(' '.join(terminal.in_numbers(book, column)))}</figcaption></figure>"
    yield "</div>"


def _plot(counts: list[int], column: Column) -> str:
    """Returns a histogram as SVG: a bar for each tenth of the points."""
    width, height, left, bottom = 320, 130, 24, 18
    most = max([*counts, 1])
    step = (width - left) / len(counts)
    parts = [
        f'<svg viewBox="0 0 {width} {height}" width="{width}" height="{height}" role="img">',
        f"<title>How many students have how many points in {_text(column.id)}</title>",
    ]
    room = height - bottom - 14
    for place, number in enumerate(counts):
        tall = room * number / most
        x, y = left + place * step, height - bottom - tall
        parts.append(
            f'<rect x="{x + 1:.1f}" y="{y:.1f}" width="{step - 2:.1f}" height="{tall:.1f}">'
            f"<title>{number}</title></rect>"
        )
        if number:
            parts.append(f'<text x="{x + step / 2:.1f}" y="{y - 3:.1f}" text-anchor="middle">{number}</text>')
    parts.append(f'<line x1="{left}" y1="{height - bottom}" x2="{width}" y2="{height - bottom}"/>')
    for share, anchor in ((0.0, "start"), (0.5, "middle"), (1.0, "end")):
        x = left + share * (width - left)
        text = points(column.points * share)
        parts.append(f'<text x="{x:.1f}" y="{height - 5}" text-anchor="{anchor}">{text}</text>')
    return "".join([*parts, "</svg>"])


def _lists(book: Gradebook, zone: tzinfo | None) -> Iterable[str]:
    yield _section("late")
    yield from _list(book, lambda cell: cell.late, lambda cell: f"{terminal.late(cell)}")
    yield _section("missing")
    yield from _list(
        book, lambda cell: cell.state is State.MISSING, lambda cell: f"due {_time(cell.fact.due, zone)}"
    )
    yield _section("open")
    open_ = (State.WAITING, State.FAILED, State.DAMAGED, State.BY_HAND)
    yield from _list(book, lambda cell: cell.state in open_, terminal.note)


def _list(book: Gradebook, wanted: Callable[[Cell], bool], said: Callable[[Cell], str]) -> Iterable[str]:
    any_ = False
    for column in book.columns:
        found = [(row, row.cells[column.id]) for row in book.rows if wanted(row.cells[column.id])]
        if not found:
            continue
        any_ = True
        yield f"<h3>{_text(column.id)}</h3><ul>"
        for row, cell in found:
            who = row.student.name + (f" ({row.student.display_name})" if row.student.display_name else "")
            yield f"<li>{_text(who)}: {_text(said(cell))}</li>"
        yield "</ul>"
    if not any_:
        yield "<p>Nobody.</p>"


class _Links:
    """Where outputs are, from where the page is."""

    def __init__(self, root: Path, beside: Path | None) -> None:
        self._submissions = Submissions(root)
        self._beside = beside

    def of(self, assignment: str, user: str, cell: Cell) -> Iterable[tuple[str, str]]:
        """Returns names and addresses of what belongs to a cell."""
        if self._beside is None or cell.fact.counting is None:
            return
        folder = self._submissions.of(assignment, user)
        version = folder / "versions" / f"{cell.fact.counting:04}"
        yield "hand-in", self._address(version / "files") + "/"
        yield "receipt", self._address(version / "receipt.json")
        if cell.fact.result is not None:
            results, attempt = Results(folder), cell.fact.result.ours.attempt
            yield "result", self._address(results.of(cell.fact.counting) / f"{attempt:04}.json")
            for path in results.outputs(cell.fact.counting, attempt):
                yield path.name, self._address(path)

    def _address(self, path: Path) -> str:
        relative = os.path.relpath(path.resolve(), Path(self._beside or ".").resolve())
        return quote(relative.replace(os.sep, "/"), errors="surrogateescape")


def _details(book: Gradebook, links: _Links, zone: tzinfo | None) -> Iterable[str]:
    yield _section("hand-ins")
    for column in book.columns:
        yield f'<h3 id="{_anchor("a", column.id)}">{_text(column.id)}: {_text(column.title)}, '
        yield f"due {_text(_time(column.due, zone))}</h3>"
        yield '<div class="wide"><table><thead><tr><th>Student</th><th>Version</th><th>Handed in</th><th>State</th>'
        yield '<th class="n">Points</th><th>Tests</th><th>Files</th></tr></thead><tbody>'
        for row in book.rows:
            cell = row.cells[column.id]
            if cell.state is State.MISSING:
                continue
            fact = cell.fact
            when = "" if fact.handed_in is None else _time(fact.handed_in, zone)
            late = terminal.late(cell)
            number = "" if fact.counting is None else f"{fact.counting} of {fact.versions}"
            tests = "<br>".join(
                f"{_text(mark.name)}: {_text(mark.verdict)} {points(mark.score) or '-'}/{points(mark.worth)}"
                for mark in cell.marks
            )
            found = "<br>".join(
                f'<a href="{_text(address)}">{_text(name)}</a>'
                for name, address in links.of(column.id, row.student.name, cell)
            )
            yield (
                f'<tr id="{_anchor("c", column.id, row.student.name)}"><td>{_text(row.student.name)}</td>'
                f"<td>{number}</td>"
                f"<td>{_text(when)}{f'<br><span class=late>{_text(late)} late</span>' if late else ''}</td>"
                f'<td>{_text(terminal.note(cell))}</td><td class="n">{points(cell.score)}</td><td>{tests}</td>'
                f"<td>{found}</td></tr>"
            )
        yield "</tbody></table></div>"


def _section(place: str) -> str:
    return f'<h2 id="{place}">{_SECTIONS[place]}</h2>'


def _anchor(*parts: str) -> str:
    """Returns a name within the page; no two of different parts are the same, and none is a section's."""
    return escape(
        "-".join(
            quote(part, safe="").replace("_", "%5F").replace("-", "%2D").replace("%", "_") for part in parts
        )
    )


def _time(when: datetime, zone: tzinfo | None) -> str:
    return when.astimezone(zone).strftime("%a %Y-%m-%d %H:%M %z")


def _text(text: str) -> str:
    """Returns a text as HTML, in which nothing can drive or mislead whoever reads it."""
    return escape(printable(text))
