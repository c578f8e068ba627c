"""Small JSON files of one's own: settings and memory of the command line, one object a file.

Each is written whole or not at all, readable by its owner only, and the last writer wins: two commands that write at
once need no lock, because what belongs together is in one file and what does not is in two.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
from typing import Any

from ftpsvc.exceptions import ConfigError

_MAX_BYTES = 1 << 20


def read(path: str, *, hint: str) -> dict[str, Any] | None:
    """Returns the object in a file, or None where there is no such file.

    Args:
        path: The file.
        hint: What to do about it when it is damaged.

    Raises:
        ConfigError: It cannot be read, or is not what `write` writes.
    """
    try:
        with open(path, "rb") as file:
            data = file.read(_MAX_BYTES)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}") from None
    try:
        value = json.loads(data)
    except (ValueError, RecursionError):
        raise ConfigError(f"{path} is damaged: it is not JSON", hint=hint) from None
    if not isinstance(value, dict):
        raise ConfigError(f"{path} is damaged: it holds no JSON object", hint=hint)
    return value


def text_field(value: dict[str, Any], name: str, path: str, *, hint: str) -> str:
    """Returns a field that has to be text.

    Raises:
        ConfigError: It is missing, or something else.
    """
    text = value.get(name)
    if not isinstance(text, str) or not text:
        raise ConfigError(f"{path} is damaged: it has no text {name!r}", hint=hint)
    return text


def write(path: str, value: dict[str, Any]) -> None:
    """Replaces a file by this object; its directory is made if it is missing.

    Raises:
        ConfigError: That is not possible. The old file is as it was.
    """
    folder = os.path.dirname(path)
    temporary = f"{path}.{secrets.token_hex(6)}.tmp"
    data = (json.dumps(value, indent=1, ensure_ascii=False) + "\n").encode("utf-8", "backslashreplace")
    try:
        os.makedirs(folder, mode=0o700, exist_ok=True)
        try:
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
            descriptor = os.open(temporary, flags, 0o600)
            with os.fdopen(descriptor, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            _replace(temporary, path)
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(temporary)
            raise
    except OSError as error:
        raise ConfigError(f"{path} cannot be written: {error.strerror}") from None


def remove(path: str) -> bool:
    """Removes a file and returns whether there was one.

    Raises:
        ConfigError: It cannot be removed.
    """
    try:
        os.unlink(path)
    except FileNotFoundError:
        return False
    except OSError as error:
        raise ConfigError(f"{path} cannot be removed: {error.strerror}") from None
    return True


def _replace(source: str, target: str) -> None:
    # Windows refuses to replace a file while somebody reads it, which takes no longer than reading one small file.
    for _ in range(100):
        try:
            os.replace(source, target)
        except PermissionError:
            if os.name != "nt":
                raise
            with contextlib.suppress(OSError), open(target, "rb") as file:
                file.read(_MAX_BYTES)
        else:
            return
    os.replace(source, target)
