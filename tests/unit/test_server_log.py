"""The log: escaped, short, one event a line, and never in anybody's way."""

import io
import json
import logging
import os
import threading
from collections.abc import Iterator
from typing import Literal

import pytest

from ftpsvc.exceptions import ConfigError
from ftpsvc.server import log


@pytest.fixture(autouse=True)
def root_logger_as_it_was() -> Iterator[None]:
    logger = logging.getLogger("ftpsvc")
    before = logger.level, logger.propagate
    yield
    logger.level, logger.propagate = before[0], before[1]


def written(form: Literal["plain", "json"], level: str = "debug") -> tuple[io.StringIO, log.Output]:
    stream = io.StringIO()
    return stream, log.Output(stream, form, level)


LOGGER = logging.getLogger("ftpsvc.server.test")


def test_plain() -> None:
    stream, output = written("plain")
    log.event(LOGGER, logging.INFO, "moved", path="/a b", to='/c"d', size=7, nothing=None, empty="")
    output.close()
    (line,) = stream.getvalue().splitlines()
    moment, level, rest = line.split(maxsplit=2)
    assert moment.endswith("Z")
    assert level == "INFO"
    assert rest == 'moved path="/a b" to="/c\\"d" size=7 empty=""'


def test_json() -> None:
    stream, output = written("json")
    log.event(LOGGER, logging.WARNING, "moved", path="/ü\u202e", size=7, good=True, seconds=0.5)
    output.close()
    event = json.loads(stream.getvalue())
    del event["time"]
    assert event == {
        "level": "warning", "event": "moved", "path": "/ü\\u202e", "size": 7, "good": True, "seconds": 0.5,
    }  # fmt: skip


@pytest.mark.parametrize("form", ["plain", "json"])
def test_nothing_can_make_a_line_of_its_own_or_a_long_one(form: Literal["plain", "json"]) -> None:
    stream, output = written(form)
    log.event(LOGGER, logging.INFO, "bad", path="\n2026 INFO faked\r\x1b[2J\u2028\x85", text="\0" * 10_000)
    output.close()
    text = stream.getvalue()
    assert len(text.splitlines()) == 1
    assert text.rstrip("\n").isprintable()
    assert len(text) < 3000


def test_an_internal_error_is_one_line_with_its_traceback() -> None:
    stream, output = written("plain")
    try:
        raise ValueError("who would have thought")
    except ValueError as error:
        log.internal_error(LOGGER, error, session=5)
    output.close()
    (line,) = stream.getvalue().splitlines()
    assert "session=5" in line
    assert "Traceback" in line
    assert "test_an_internal_error" in line


def test_levels() -> None:
    stream, output = written("plain", "warning")
    log.event(LOGGER, logging.INFO, "quiet")
    log.event(LOGGER, logging.WARNING, "loud")
    output.say("listening on x", "listening", address="x")
    output.close()
    lines = stream.getvalue().splitlines()
    assert len(lines) == 2
    assert lines[0].endswith("loud")
    assert lines[1] == "ftpsvc-server: listening on x"


def test_complaints_carry_their_hint() -> None:
    stream, output = written("plain")
    output.complain(ConfigError("it is broken", hint="mend it"))
    output.close()
    assert stream.getvalue() == "ftpsvc-server: error: it is broken\nftpsvc-server: hint: mend it\n"


class Stuck(io.StringIO):
    """A stream that takes nothing until it is told to."""

    def __init__(self) -> None:
        super().__init__()
        self.go_on = threading.Event()
        self.reached = threading.Event()

    def write(self, text: str) -> int:
        self.reached.set()
        self.go_on.wait(60)
        return super().write(text)


def test_a_stuck_stream_delays_nobody_and_memory_stays_bounded() -> None:
    stream = Stuck()
    output = log.Output(stream, "plain", "info")
    log.event(LOGGER, logging.INFO, "first")
    assert stream.reached.wait(60)
    for number in range(30_000):  # would hang here
        log.event(LOGGER, logging.INFO, "more", number=number)
    stream.go_on.set()
    output.close()
    lines = stream.getvalue().splitlines()
    assert len(lines) < 25_000
    assert any("lines could not be written in time" in line for line in lines)


def test_a_stream_that_is_gone_ends_nothing() -> None:
    stream, output = written("plain")
    stream.close()
    log.event(LOGGER, logging.INFO, "into the void")
    output.close()


def test_what_a_stream_could_not_take_is_not_tried_again_at_the_exit() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    with open(writer, "w", encoding="utf-8") as stream:
        output = log.Output(stream, "plain", "info")
        output.say("nobody reads this", "unread")
        output.close()
        stream.flush()  # as Python does it
