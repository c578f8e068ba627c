r"""JSON as the protocol means it: one object, no duplicate keys, finite numbers, no lone surrogates, bounded nesting.

Python's parser accepts `NaN`, `1e400`, duplicate keys and `"\ud800"`, and pydantic's own reader several of
them as well; the hooks below refuse them at about the price of the plain parser. Source: docs/protocol.md section 2.3.
"""

from __future__ import annotations

import json
import re
from typing import Any

from ftpsvc.exceptions import InvalidHeader
from ftpsvc.protocol.limits import MAX_NESTING

# Possessive, and good for a string that never ends too: a pattern that fails at each of 30,000 escaped quotes and
# begins anew at the next took 13 s for one header.
_STRING = re.compile(r'"[^"\\]*+(?:\\.[^"\\]*+)*+(?:"|\\?\Z)', re.DOTALL)


def decode_object(data: bytes | bytearray | memoryview) -> dict[str, Any]:
    """Returns the JSON object in `data`.

    Args:
        data: UTF-8, already bounded in length by the caller.

    Raises:
        InvalidHeader: It is not one strict JSON object.
    """
    try:
        text = str(data, "utf-8")
    except UnicodeDecodeError:
        raise InvalidHeader("a header is not valid UTF-8") from None
    if text.count("[") + text.count("{") > MAX_NESTING:
        _check_nesting(text)
    try:
        # Spaces around it are allowed and rare: looking for them takes longer than to find that there are none.
        value, end = _DECODER.raw_decode(text) if text.startswith("{") else (None, -1)
        if end != len(text):
            value = _DECODER.decode(text)
        if "\\u" in text:
            # Only an escape can smuggle in half a surrogate pair; encoding finds it wherever it hides.
            json.dumps(value, ensure_ascii=False).encode()
    except InvalidHeader:
        raise
    except UnicodeEncodeError:
        raise InvalidHeader("a header has half a surrogate pair in a string") from None
    except RecursionError:
        raise InvalidHeader("a header is nested too deeply") from None
    except ValueError as error:  # json.JSONDecodeError, or an integer of more digits than Python converts
        reason = error.msg if isinstance(error, json.JSONDecodeError) else "a number is too long"
        raise InvalidHeader(f"a header is not valid JSON: {reason}") from None
    if type(value) is not dict:
        raise InvalidHeader("a header is JSON but no object")
    return value


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        raise InvalidHeader("a header has a key twice")
    return value


def _finite(text: str) -> float:
    value = float(text)
    if value in (float("inf"), float("-inf")):
        raise InvalidHeader("a number in a header is too large")
    return value


def _no_constant(name: str) -> Any:
    raise InvalidHeader(f"{name} in a header is no JSON")


def _check_nesting(text: str) -> None:
    depth = 0
    for char in _STRING.sub("", text):
        if char in "[{":
            depth += 1
            if depth > MAX_NESTING:
                raise InvalidHeader("a header is nested too deeply")
        elif char in "]}":
            depth -= 1


_DECODER = json.JSONDecoder(object_pairs_hook=_unique, parse_float=_finite, parse_constant=_no_constant)
