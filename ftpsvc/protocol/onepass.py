"""A header to its model in one pass, where that is as strict as `strictjson.decode_object` and a validation after it.

pydantic's own parser reads and validates in one pass, a third of the time, but takes some of what the protocol refuses
(docs/protocol.md section 2.3). So what it read counts only where nothing of that kind can be in it:

* **A key twice, a key that nobody knows, something nested.** Members are parted by commas. If there are no more commas
  than the fields that were set need, each field came once and there was nothing else, wherever those commas stand.
* **Half a surrogate pair** takes an escape: there is no backslash.
* **A number that is none (`NaN`, `1e400`)** fits no field of the models that are read here.

Everything else, faults among it, goes the long way, which decides and explains.
"""

from __future__ import annotations

from typing import TypeVar

from pydantic import ValidationError

from ftpsvc.protocol.headers.base import Header

_Model = TypeVar("_Model", bound=Header)


def read(model: type[_Model], data: bytes) -> _Model | None:
    """Returns the header in `data`, or None where the long way has to look at it.

    Args:
        model: What it has to be: one of which all fields are texts, whole numbers, booleans, or such a model.
        data: UTF-8, already bounded in length by the caller.
    """
    if b"\\" in data:
        return None
    try:
        header = model.__pydantic_validator__.validate_json(data)
    except ValidationError:
        return None
    if data.count(b",") != len(header.__pydantic_fields_set__) - 1:
        return None
    return header  # type: ignore[no-any-return]  # a validator is not generic
