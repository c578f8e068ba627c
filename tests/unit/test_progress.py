"""The bars, on a terminal that is a string and a clock that is a number."""

from __future__ import annotations

import io
import itertools
import re

import pytest

from ftpsvc_client.progress import Watch, is_terminal
from tests.helpers.terminal import Paper


class Screen(io.TextIOWrapper):
    """A terminal that keeps what is written."""

    def __init__(self, encoding: str = "utf-8") -> None:
        self.kept = io.BytesIO()
        super().__init__(
            self.kept, encoding=encoding, errors="backslashreplace", newline="", write_through=True
        )

    def isatty(self) -> bool:
        return True

    @property
    def written(self) -> str:
        return self.kept.getvalue().decode(self.encoding)

    @property
    def shown(self) -> str:
        paper = Paper()
        paper.write(self.written)
        return paper.text


class Clock:
    """What `time.monotonic` says."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr("ftpsvc_client.progress.time.monotonic", clock)
    monkeypatch.setenv("TERM", "xterm")
    return clock


@pytest.fixture
def screen() -> Screen:
    return Screen()


def test_c60_a_short_transfer_shows_nothing_at_all(clock: Clock, screen: Screen) -> None:
    with Watch(verb="stored", stream=screen) as watch:
        watch.begin("a", 1000)
        for _ in range(10):
            clock.now += 0.049
            watch.advance(100)
        watch.verifying()
        watch.end(done=True)
    assert screen.written == ""


def test_c60_a_long_transfer_shows_name_share_bytes_and_rate_and_then_goes_away(
    clock: Clock, screen: Screen
) -> None:
    with Watch(verb="stored", stream=screen) as watch:
        watch.begin("dir/report.pdf", 100 << 20)
        clock.now += 0.6
        watch.advance(40 << 20)
        assert re.search(r"report\.pdf: +40%\|.*40\.0M/100M .*B/s\]", screen.shown)
        clock.now += 0.6
        watch.advance(60 << 20)
        assert "100%" in screen.shown
        watch.verifying()
        assert screen.shown.strip() == "report.pdf: verifying"
        watch.end(done=True)
    assert screen.shown.strip() == ""


def test_c60_drawing_is_rare_however_often_something_moves(clock: Clock, screen: Screen) -> None:
    with Watch(verb="stored", stream=screen) as watch:
        watch.begin("a", 10_000_000)
        for _ in range(1000):
            clock.now += 0.001
            watch.advance(10_000)
    assert screen.written.count("\ra: ") <= 7


def test_a_large_file_that_went_fast_still_shows_that_it_is_verified(clock: Clock, screen: Screen) -> None:
    with Watch(verb="stored", stream=screen) as watch:
        watch.begin("big", 1 << 30)
        watch.advance(1 << 30)
        watch.verifying()
        assert screen.shown.strip() == "big: verifying"


def test_c08_nothing_is_divided_by_an_empty_file(clock: Clock, screen: Screen) -> None:
    with Watch(verb="stored", stream=screen) as watch:
        watch.expect(3, 0)
        for name in "abc":
            watch.begin(name, 0)
            clock.now += 0.6
            watch.advance(0)
            watch.verifying()
            watch.end(done=True)
    assert watch.done == 3


def test_c60_a_tree_has_a_bar_for_the_whole_and_one_for_a_large_file(clock: Clock, screen: Screen) -> None:
    with Watch(verb="stored", stream=screen) as watch:
        watch.expect(3, 300 << 20)
        watch.begin("one", 100 << 20)
        clock.now += 0.2
        watch.advance(100 << 20)
        watch.end(done=True)
        watch.begin("two", 100 << 20)
        clock.now += 0.45
        watch.advance(10 << 20)
        assert re.fullmatch(r"1/3 files: +37%\|.*", screen.shown.strip())
        clock.now += 0.2
        watch.advance(10 << 20)
        whole, file = screen.shown.strip().splitlines()
        assert whole.startswith("1/3 files:  40%")
        assert file.startswith("two:  20%")
        watch.end(done=True)
        watch.begin("three", 100 << 20)
        clock.now += 0.1
        watch.advance(1 << 20)
        assert screen.shown.strip().startswith("2/3 files:")
        assert "two" not in screen.shown
    assert screen.shown.strip() == ""


def test_a_second_tree_counts_anew(clock: Clock, screen: Screen) -> None:
    with Watch(verb="stored", stream=screen) as watch:
        for total in (4, 2):
            watch.expect(total, total << 20)
            for number in range(total):
                watch.begin(str(number), 1 << 20)
                clock.now += 0.4
                watch.advance(1 << 20)
                if number == total - 1:
                    assert f"{number}/{total} files" in screen.shown
                watch.end(done=True)
            watch.close()
            assert screen.shown.strip() == ""


def test_c21_a_hostile_name_cannot_drive_the_terminal(clock: Clock, screen: Screen) -> None:
    with Watch(verb="fetched", stream=screen) as watch:
        watch.begin("x/\x1b]0;owned\x07\x1b[2J\u202ename\n\n" + "y" * 300, 1000)
        clock.now += 0.6
        watch.advance(10)
        assert "\x1b]" not in screen.written
        assert "\x1b[2J" not in screen.written
        assert "\u202e" not in screen.written
        assert len(screen.shown.strip().splitlines()) == 1
        assert len(screen.shown.strip()) < 120


@pytest.mark.parametrize("encoding", ["ascii", "cp936", "gb18030", "cp1252", "latin-1"])
def test_bars_are_ascii_where_blocks_cannot_be_had(clock: Clock, encoding: str) -> None:
    screen = Screen(encoding)
    with Watch(verb="stored", stream=screen) as watch:
        watch.begin("报告", 1000)
        clock.now += 0.6
        watch.advance(450)
        bar = screen.shown.split("|")[1]
    assert bar.isascii()
    assert "#" in bar


def test_bars_are_ascii_on_a_windows_console_of_another_code_page(
    clock: Clock, screen: Screen, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Screen, "fileno", lambda self: 2)
    for device, ascii_only in (("cp936", True), ("cp65001", False), ("UTF-8", False), (None, False)):
        monkeypatch.setattr("os.device_encoding", lambda descriptor, device=device: device)
        with Watch(verb="stored", stream=screen) as watch:
            watch.begin("a", 1000)
            clock.now += 0.6
            watch.advance(450)
            assert screen.shown.split("|")[1].isascii() == ascii_only


@pytest.mark.parametrize("columns", ["1", "20", "500"])
def test_any_width_will_do(
    clock: Clock, screen: Screen, monkeypatch: pytest.MonkeyPatch, columns: str
) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    with Watch(verb="stored", stream=screen) as watch:
        watch.begin("报告" * 50, 1000)
        clock.now += 0.6
        watch.advance(450)


def test_c60_no_bars_without_a_terminal_or_when_none_are_wanted(
    clock: Clock, screen: Screen, monkeypatch: pytest.MonkeyPatch
) -> None:
    pipe = io.TextIOWrapper(io.BytesIO(), write_through=True)
    closed = Screen()
    closed.close()
    monkeypatch.setenv("TERM", "dumb")
    dumb = Watch(verb="stored", stream=screen)
    monkeypatch.setenv("TERM", "xterm")
    unwanted = Watch(verb="stored", stream=screen, show=False)
    for watch in (dumb, unwanted, Watch(verb="stored", stream=pipe), Watch(verb="stored", stream=closed)):
        with watch:
            watch.begin("a", 1 << 30)
            clock.now += 10
            watch.advance(1 << 29)
            watch.verifying()
            watch.end(done=True)
        assert watch.done == 1
    assert screen.written == ""
    assert not is_terminal(None)


# ---------------------------------------------------------------- what is told after an interruption


def accounts(verb: str, names: int, *steps: str) -> str:
    watch = Watch(verb=verb, names=names, show=False)
    for step, number in zip(steps, itertools.count(), strict=False):
        if step == "tree":
            watch.of_upload_tree()
        elif step == "begin":
            watch.begin(f"f{number}", 1)
        elif step == "verify":
            watch.verifying()
        else:
            watch.end(done=True)
    return watch.account()


@pytest.mark.parametrize(
    ("verb", "names", "steps", "said"),
    [
        ("stored", 1, [], "nothing was stored"),
        ("stored", 1, ["begin"], "f0 was not stored"),
        ("stored", 1, ["begin", "verify"], "f0 may or may not have been stored"),
        ("fetched", 1, ["begin", "verify"], "f0 was not fetched"),
        (
            "stored",
            3,
            ["begin", "end", "begin"],
            "1 file was stored, f2 was not stored, the rest was not tried",
        ),
        ("stored", 3, ["begin", "end"], "1 file was stored, the rest was not tried"),
        ("stored", 2, ["begin", "end", "begin"], "1 file was stored, f2 was not stored"),
        ("stored", 1, ["tree"], "a part may have been stored"),
        (
            "stored",
            1,
            ["tree", "begin", "end", "begin"],
            "1 file was sent, the last of them perhaps not stored, f3 was not stored",
        ),
    ],
)
def test_the_account_says_what_was_and_was_not_done(
    verb: str, names: int, steps: list[str], said: str
) -> None:
    assert accounts(verb, names, *steps) == said
