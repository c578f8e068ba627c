"""Values that pass the wall between tests and student code: JSON, with a tag for each kind that JSON has not.

What comes out of the sandbox is always one of Python's own plain values, so it cannot bring an `__eq__` of its own.
This module is also sent into the sandbox (`stub`), where any Python from 3.7 on may read it: it imports nothing of
ours.
"""

import math
from typing import Any


def pack(value: Any) -> Any:
    """Returns a value as JSON can hold it. Kinds derived from plain ones become the plain ones.

    Raises:
        TypeError: A value of this kind cannot pass.
        RecursionError: It holds itself, or is nested too deep.
    """
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float):
        number = float(value)
        return number if math.isfinite(number) else {"float": repr(number)}
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, (bytes, bytearray)):
        return {type(value).__mro__[-2].__name__: bytes(value).hex()}
    if isinstance(value, complex):
        return {"complex": [pack(value.real), pack(value.imag)]}
    if isinstance(value, list):
        return [pack(one) for one in list.__iter__(value)]
    if isinstance(value, dict):
        return {"dict": [[pack(key), pack(dict.__getitem__(value, key))] for key in dict.__iter__(value)]}
    if isinstance(value, tuple):
        return {"tuple": [pack(one) for one in tuple.__iter__(value)]}
    if isinstance(value, set):
        return {"set": [pack(one) for one in set.__iter__(value)]}
    if isinstance(value, frozenset):
        return {"frozenset": [pack(one) for one in frozenset.__iter__(value)]}
    if callable(getattr(value, "tolist", None)):  # arrays and numbers of numpy
        return pack(value.tolist())
    raise TypeError(f"a value of type {type(value).__name__} cannot pass the wall of the sandbox")


def unpack(data: Any) -> Any:
    """Returns the value that was packed. `data` is what `json.loads` made of what anybody may have written.

    Raises:
        ValueError: It is nothing that `pack` makes.
        RecursionError: It is nested too deep.
    """
    if not isinstance(data, dict):
        return [unpack(one) for one in data] if isinstance(data, list) else data
    try:
        ((kind, content),) = data.items()
        if kind == "dict":
            return {unpack(key): unpack(value) for key, value in content}
        if kind == "bytes":
            return bytes.fromhex(content)
        if kind == "bytearray":
            return bytearray.fromhex(content)
        if kind == "float":
            return float(content)
        if kind == "complex":
            real, imaginary = content
            return complex(unpack(real), unpack(imaginary))
        made = {"tuple": tuple, "set": set, "frozenset": frozenset}[kind]
        return made(unpack(one) for one in content)
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"no value: {type(error).__name__}") from None
