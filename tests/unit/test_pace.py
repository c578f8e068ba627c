"""The minimum rate of payloads."""

import pytest

from ftpsvc.exceptions import TransferTimeout
from ftpsvc.server.pace import Pace


def test_who_is_fast_enough_on_the_average_goes_on() -> None:
    pace = Pace(1000, 30)
    for _ in range(100):
        for count in (0, 0, 30_000):
            pace.moved(count, 10)


def test_who_is_too_slow_is_told_both_numbers() -> None:
    pace = Pace(2048, 30)
    for _ in range(29):
        pace.moved(100, 1)
    with pytest.raises(TransferTimeout) as caught:
        pace.moved(100, 1)
    assert str(caught.value) == (
        "timed out after 30 s waiting for 2.0 KiB of payload per second or more, 100 B per second moved"
    )


def test_many_small_payloads_are_summed_up() -> None:
    pace = Pace(1000, 1)
    for _ in range(9):
        pace.moved(1, 0.1)
    with pytest.raises(TransferTimeout):
        pace.moved(1, 0.2)


def test_time_that_is_not_waited_for_the_client_does_not_count() -> None:
    pace = Pace(10**9, 1)
    for _ in range(10_000):
        pace.moved(1, 0.0)
