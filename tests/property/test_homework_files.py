"""Whatever a teacher writes by mistake becomes faults with lines, and never anything else."""

from __future__ import annotations

import tempfile
import tomllib
from datetime import UTC, date, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from ftpsvc.homework import loading, times, tomltext
from ftpsvc.homework.faults import AssignmentFaults, Fault
from tests.helpers import assignments
from tests.helpers.counts import count

_MORE = """
[grading]
count = "best"
[runtime]
python = "/usr/bin/python3"
[limits]
cpu = 5.0
memory = "256M"
[similarity]
base = ["starter/"]
[[test]]
name = 'by hand'
kind = 'manual'
points = 1
limits = { wall = 3, disk = "1M" }
[[test]]
name = "units"
kind = "pytest"
path = "tests/numbers.txt"
points = 2
visibility = "hidden"
"""
TEXT = assignments.SUM.replace('"ID"', '"sums"') + _MORE
PIECES = [
    '"',
    "'",
    '"""',
    "'''",
    "[",
    "]",
    "[[",
    "]]",
    "{",
    "}",
    "=",
    ",",
    ".",
    "#",
    "\n",
    "\\",
    " ",
    "a",
    "1",
    "test",
]


def _paths(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    found = [path] if path else []
    if isinstance(value, dict):
        for key, inner in value.items():
            found += _paths(inner, (*path, key))
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            found += _paths(inner, (*path, number))
    return found


@given(st.lists(st.tuples(st.integers(0, len(TEXT)), st.integers(0, 3), st.sampled_from(PIECES)), max_size=4))
@settings(max_examples=count(60, 20_000))
def test_a_text_is_good_toml_with_a_line_for_everything_or_a_fault(
    changes: list[tuple[int, int, str]],
) -> None:
    text = TEXT
    for at, cut, piece in changes:
        text = text[:at] + piece + text[at + cut :]
    read = tomltext.parse(Path("x.toml"), text.encode())
    last = len(text.splitlines()) + 1
    if isinstance(read, Fault):
        assert 1 <= read.line <= last
        return
    assert read.values == tomllib.loads(text)
    for path in _paths(read.values):
        assert path in read._lines, (path, text)
        assert 1 <= read._lines[path] <= last


_KEYS = st.sampled_from(["name", "x"])
_DEPTH = st.deferred(lambda: st.lists(_VALUES, max_size=2) | st.dictionaries(_KEYS, _VALUES, max_size=2))
_VALUES: st.SearchStrategy[Any] = (
    st.sampled_from(
        [
            "",
            "x",
            "1d",
            "run",
            "manual",
            "../x",
            "tests/numbers.txt",
            "adds",
            "regex",
            "(",
            "9" * 30,
            "\x1b[2J",
            "é",
        ]
    )
    | st.integers(-2, 2)
    | st.sampled_from([10**30, True, False, 1.5, float("nan"), float("inf"), date(2026, 1, 1)])
    | st.just(datetime.fromisoformat("2026-01-01 08:00"))  # without an offset
    | st.just(datetime.max.replace(tzinfo=UTC))
    | st.just(timedelta(1))
    | _DEPTH
)


@given(st.data())
@settings(max_examples=count(60, 20_000))
def test_any_value_anywhere_is_good_or_a_fault(data: st.DataObject) -> None:
    values = tomllib.loads(TEXT)
    for _ in range(data.draw(st.integers(1, 3))):
        path = data.draw(st.sampled_from(_paths(values)))
        holder: Any = values
        for part in path[:-1]:
            holder = holder[part]
        if isinstance(holder, dict) and data.draw(st.booleans()):
            del holder[path[-1]]
        else:
            holder[path[-1]] = data.draw(_VALUES)
    document = tomltext.Document(Path("x.toml"), b"", values, {})
    with tempfile.TemporaryDirectory() as made:
        try:
            loaded = loading.loaded(document, Path(made))
        except AssignmentFaults as faults:
            lines = faults.lines()
        else:
            lines = [loaded.title, times.shown(loaded.due, timezone(timedelta(hours=14)))]
    assert lines
    assert all(line.isprintable() for line in lines)
