"""Sizes and spans of time as teachers write them: `256M`, `2GiB`; `10m`, `1d`."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Final

_UNITS: Final = {"": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30, "t": 1 << 40}
_SIZE: Final = re.compile(r"(\d{1,15}(?:\.\d{1,6})?)\s*([kmgt]?)(?:i?b)?", re.IGNORECASE)
_SPANS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
_SPAN: Final = re.compile(r"(\d{1,6})\s*([smhdw])", re.IGNORECASE)


def size(value: object) -> int:
    """Returns bytes, of a number or a text as `256M`, `2GiB` (both of 1024).

    Raises:
        ValueError: It is no size.
    """
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    found = _SIZE.fullmatch(value.strip()) if isinstance(value, str) else None
    if found is None:
        raise ValueError('is no size: write a number of bytes, or "64K", "256M", "2G"')
    return int(float(found[1]) * _UNITS[found[2].lower()])


def span(value: object) -> timedelta:
    """Returns a length of time, of a text as `90s`, `10m`, `12h`, `1d`, `2w`.

    Raises:
        ValueError: It is none.
    """
    if isinstance(value, timedelta):
        return value
    found = _SPAN.fullmatch(value.strip()) if isinstance(value, str) else None
    if found is None:
        raise ValueError('is no length of time: write "90s", "10m", "12h", "1d" or "2w"')
    return timedelta(seconds=int(found[1]) * _SPANS[found[2].lower()])
