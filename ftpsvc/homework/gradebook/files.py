"""Files with points in them: whole or not at all, and readable for nobody else."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from ftpsvc.exceptions import ConfigError
from ftpsvc.text import printable


def write(name: str, text: str) -> None:
    """Writes a file as UTF-8, in the place of one that was there; `-` is standard output.

    Raises:
        ConfigError: It cannot be written.
    """
    if name == "-":
        sys.stdout.flush()
        sys.stdout.buffer.write(text.encode("utf-8", "replace"))
        sys.stdout.buffer.flush()
        return
    path = Path(name)
    staged = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with open(os.open(staged, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "wb") as file:
            file.write(text.encode("utf-8", "replace"))
        staged.replace(path)
    except OSError as error:
        staged.unlink(missing_ok=True)
        raise ConfigError(f"{printable(name)} cannot be written: {error.strerror}") from None
