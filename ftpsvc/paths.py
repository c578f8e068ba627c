"""RemotePath: the only way a name from a peer becomes a value; and what a name must be to exist elsewhere.

The rules are those of docs/protocol.md section 4; this file is the one place that holds them, for server and client.
"""

from __future__ import annotations

import unicodedata
from typing import NamedTuple

from ftpsvc.exceptions import InvalidPath

MAX_PATH_BYTES = 4096
"""Longest path on the wire, in bytes of UTF-8 (Linux' PATH_MAX)."""
MAX_NAME_BYTES = 255
"""Longest component, in bytes of UTF-8 after NFC (NAME_MAX of every common file system)."""
MAX_DEPTH = 64
"""Most components of a path: each costs the server an open directory while it walks."""

_CONTROL = frozenset(map(chr, [*range(0x20), 0x7F, *range(0x80, 0xA0)]))
_WINDOWS_CHARACTERS = frozenset('<>:"|?*\\/')
_WINDOWS_DEVICES = frozenset(
    ["con", "prn", "aux", "nul", "conin$", "conout$"]
    + [f"{port}{n}" for port in ("com", "lpt") for n in "0123456789¹²³"]
)


class RemotePath(NamedTuple):
    """A path on a server: absolute, normalised to NFC, without `.` and `..`; the root has no parts.

    Attributes:
        parts: The components, each 1..255 bytes of UTF-8, at most `MAX_DEPTH` of them.
    """

    parts: tuple[str, ...] = ()

    @classmethod
    def parse(cls, text: str, base: RemotePath | None = None) -> RemotePath:
        """Returns the path that `text` names, seen from `base`.

        Args:
            text: Absolute (`/a/b`) or relative (`a/b`, `../b`) text. Repeated and trailing slashes mean nothing.
            base: The directory that relative text starts from; None is the root.

        Raises:
            InvalidPath: The text breaks a rule of docs/protocol.md section 4, or leaves the root.
        """
        if not text:
            raise InvalidPath(text, "it is empty")
        if len(text) > MAX_PATH_BYTES:  # before anything walks over it; characters are never more than bytes
            raise InvalidPath(text, f"it is longer than {MAX_PATH_BYTES} bytes")
        parts = [] if base is None or text[0] == "/" else list(base.parts)
        for component in text.split("/"):
            if component in ("", "."):
                continue
            if component == "..":
                if not parts:
                    raise InvalidPath(text, "it leaves the root")
                parts.pop()
                continue
            parts.append(check_name(component))
        return cls._checked(tuple(parts), text)

    @classmethod
    def _checked(cls, parts: tuple[str, ...], text: str) -> RemotePath:
        if len(parts) > MAX_DEPTH:
            raise InvalidPath(text, f"it is more than {MAX_DEPTH} directories deep")
        path = cls(parts)
        if len(str(path).encode()) > MAX_PATH_BYTES:
            raise InvalidPath(text, f"it is longer than {MAX_PATH_BYTES} bytes")
        return path

    def child(self, name: str) -> RemotePath:
        """Returns the path of `name` in this directory.

        Raises:
            InvalidPath: `name` is no single usable component, or the result is too deep or too long.
        """
        if name in (".", ".."):
            raise InvalidPath(name, "it is not a name but a direction")
        return self._checked((*self.parts, check_name(name)), name)

    def join(self, other: RemotePath) -> RemotePath:
        """Returns `other`, read as if this path were its root."""
        return self._checked(self.parts + other.parts, str(other)) if other.parts else self

    @property
    def is_root(self) -> bool:
        """Whether this is `/`."""
        return not self.parts

    @property
    def name(self) -> str:
        """The last component; empty for the root."""
        return self.parts[-1] if self.parts else ""

    @property
    def parent(self) -> RemotePath:
        """The directory that this is in; the root is its own parent."""
        return RemotePath(self.parts[:-1])

    def starts_with(self, other: RemotePath) -> bool:
        """Whether this is `other` or lies beneath it, by whole components (`/ab` does not lie beneath `/a`)."""
        return self.parts[: len(other.parts)] == other.parts

    def __str__(self) -> str:
        return "/" + "/".join(self.parts)


ROOT = RemotePath()


def check_name(name: str) -> str:
    """Returns one component in NFC, or refuses it.

    Raises:
        InvalidPath: It is empty, too long, has a slash, backslash or control character, or is not encodable.
    """
    if not name.isascii():
        name = unicodedata.normalize("NFC", name)
    if not name:
        raise InvalidPath(name, "it is empty")
    if len(name) > MAX_NAME_BYTES:
        raise InvalidPath(name, f"a name in it is longer than {MAX_NAME_BYTES} bytes")
    if "/" in name or "\\" in name:
        raise InvalidPath(name, "a slash or backslash cannot be part of a name")
    if not _CONTROL.isdisjoint(name):
        raise InvalidPath(name, "control characters cannot be part of a name")
    try:
        length = len(name.encode())
    except UnicodeEncodeError:
        raise InvalidPath(name, "it is not valid Unicode") from None
    if length > MAX_NAME_BYTES:
        raise InvalidPath(name, f"a name in it is longer than {MAX_NAME_BYTES} bytes")
    return name


def is_addressable(name: str) -> bool:
    """Returns whether a name found on a disk can be named over the wire as it is."""
    if name in (".", ".."):
        return False
    try:
        check_name(name)
    except InvalidPath:
        return False
    return True


def portability_problem(name: str) -> str | None:
    """Returns why Windows or macOS cannot hold a name, in words, or None where both can.

    Names that differ only by case or by Unicode form are no matter of one name: compare `twin_key`s.
    """
    if bad := _WINDOWS_CHARACTERS.intersection(name):
        return f"Windows cannot hold {' '.join(sorted(bad))} in a name"
    if name[-1:] in (".", " "):
        return "Windows drops a dot or space at the end of a name"
    if name.partition(".")[0].rstrip(" ").casefold() in _WINDOWS_DEVICES:
        return "it is the name of a device on Windows"
    if len(name.encode("utf-16-le", "surrogatepass")) > 2 * MAX_NAME_BYTES:
        return "it is longer than Windows allows"
    return None


def twin_key(name: str) -> str:
    """Returns what two names share that a case-insensitive, normalising file system takes for one."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())
