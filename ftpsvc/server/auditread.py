"""Reads the audit: finished files and the current one, also while a daemon writes it (docs/audit.md)."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from ftpsvc.exceptions import ConfigError
from ftpsvc.server.audit import CURRENT, FOLDER, finished
from ftpsvc.text import format_size, printable

_LOOK_SECONDS: Final = 0.2
_LONGEST_LINE: Final = 1 << 20
"""Ours are 64 KiB at most; what is longer is none of ours, and not kept in memory."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which events are wanted.

    Attributes:
        user: Of this user, also log-ins that were refused; None is everybody.
        since: From this time on, as it is written (`2026-03-01T08:15:30.123Z`); empty is from the beginning.
        until: Before this time; empty is to the end.
        event: Of this name, or None.
    """

    user: str | None = None
    since: str = ""
    until: str = ""
    event: str | None = None

    def fits(self, event: dict[str, Any]) -> bool:
        """Returns whether an event is wanted."""
        if self.user is not None and self.user not in (
            event.get("user"), str(event.get("claimed", "")).partition("#")[0]
        ):  # fmt: skip
            return False
        if self.event is not None and event.get("event") != self.event:
            return False
        when = str(event.get("time", ""))
        return when >= self.since and (not self.until or when < self.until)


def read(root: Path, wanted: Wanted) -> Iterator[dict[str, Any]]:
    """Returns the events that there are, oldest first. What is no event, as half a line is, is left out.

    Raises:
        ConfigError: There is no audit in this root, or it cannot be read.
    """
    folder = _folder(root)
    # The current file is opened first: should it be finished meanwhile, it is in the list too, and is left out there.
    current = _open(folder / CURRENT)
    try:
        identity = _identity(current)
        for name in finished(folder):
            descriptor = _open(folder / name)
            try:
                if descriptor >= 0 and _identity(descriptor) != identity:
                    yield from _events(descriptor, wanted)
            finally:
                _close(descriptor)
        if current >= 0:
            yield from _events(current, wanted)
    finally:
        _close(current)


def follow(root: Path, wanted: Wanted, wait: Callable[[float], object]) -> Iterator[dict[str, Any]]:
    """Returns the events that there are, and then those that come, without end.

    Args:
        root: The server's root.
        wanted: Which.
        wait: Lets some seconds pass.

    Raises:
        ConfigError: As `read`.
    """
    folder = _folder(root)
    seen: set[tuple[int, int]] = set()
    for name in finished(folder):
        descriptor = _open(folder / name)
        try:
            if descriptor >= 0:
                yield from _events(descriptor, wanted)
                seen.add(_identity(descriptor))
        finally:
            _close(descriptor)
    while True:
        # Those that were finished while we followed, and the current one last.
        for path in [*(folder / name for name in finished(folder)), folder / CURRENT]:
            descriptor = _open(path)
            try:
                if descriptor < 0 or _identity(descriptor) in seen:
                    continue
                seen.add(_identity(descriptor))
                yield from _followed(descriptor, folder / CURRENT, wanted, wait)
            finally:
                _close(descriptor)
        wait(_LOOK_SECONDS)


def _followed(
    descriptor: int, current: Path, wanted: Wanted, wait: Callable[[float], object]
) -> Iterator[dict[str, Any]]:
    """Returns the events of a file until it is read to its end and is no longer the current one."""
    lines = _Lines()
    while True:
        try:
            is_current = _identity(descriptor) == _identity_of(current)
        except OSError:
            is_current = False
        # Asked before it is read to the end: nothing is added once another is current.
        while data := os.read(descriptor, 1 << 16):
            yield from _parse(lines.add(data), wanted)
        if not is_current:
            return
        wait(_LOOK_SECONDS)


def _events(descriptor: int, wanted: Wanted) -> Iterator[dict[str, Any]]:
    lines = _Lines()
    while data := os.read(descriptor, 1 << 16):
        yield from _parse(lines.add(data), wanted)


class _Lines:
    """Makes lines of what is read piece by piece; what is not ended by a newline waits for the rest."""

    def __init__(self) -> None:
        self._rest = b""

    def add(self, data: bytes) -> list[bytes]:
        *lines, rest = (self._rest + data).split(b"\n")
        self._rest = rest[-_LONGEST_LINE:]
        return lines


def _parse(lines: list[bytes], wanted: Wanted) -> Iterator[dict[str, Any]]:
    for data in lines:
        try:
            event = json.loads(data)
        except ValueError:
            continue
        if isinstance(event, dict) and wanted.fits(event):
            yield event


def _folder(root: Path) -> Path:
    folder = root.joinpath(*FOLDER)
    try:
        os.listdir(folder)
    except OSError as problem:
        raise ConfigError(
            f"there is no audit to read in {root}: {problem.strerror}",
            hint="name the server's root with --root; its owner may read it",
        ) from None
    return folder


def _open(path: Path) -> int:
    try:
        return os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:
        return -1


def _close(descriptor: int) -> None:
    if descriptor >= 0:
        os.close(descriptor)


def _identity(descriptor: int) -> tuple[int, int]:
    if descriptor < 0:
        return (-1, -1)
    info = os.fstat(descriptor)
    return info.st_dev, info.st_ino


def _identity_of(path: Path) -> tuple[int, int]:
    info = path.lstat()
    return info.st_dev, info.st_ino


def shown(event: dict[str, Any]) -> str:
    """Returns an event in one line for a person, its time in the zone of this machine."""
    rest = dict(event)
    parts = [_local(str(rest.pop("time", ""))), str(rest.pop("event", "?")), str(rest.pop("result", ""))]
    user = rest.pop("user", None) or rest.pop("claimed", None)
    parts.append(f"{user or '-'}@{rest.pop('address', '-')}")
    for key in ("path", "to"):
        if key in rest:
            parts.append(("-> " if key == "to" else "") + str(rest.pop(key)))
    if isinstance(rest.get("bytes"), int):
        parts.append(format_size(rest.pop("bytes")))
    parts += [f"{key}={value}" for key, value in rest.items()]
    return printable(" ".join(part for part in parts if part))


def _local(text: str) -> str:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return text
    return moment.astimezone().strftime("%Y-%m-%d %H:%M:%S")


def moment(text: str, now: datetime) -> str:
    """Returns a time that a person gave as it is written in the audit.

    Args:
        text: `2026-03-01`, `2026-03-01T08:15`, with seconds or a zone if wanted; or a span back from now as `90m`,
            `12h`, `7d`, `2w`.
        now: The time now, with its zone.

    Raises:
        ValueError: It is none of these.
    """
    from datetime import timedelta

    units = {"m": 60, "h": 3600, "d": 86400, "w": 604800}
    if text[:-1].isdecimal() and text[-1:] in units and len(text) < 8:
        when = now - timedelta(seconds=int(text[:-1]) * units[text[-1]])
    else:
        when = datetime.fromisoformat(text)
    return when.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"
