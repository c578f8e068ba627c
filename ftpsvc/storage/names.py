r"""Names as a disk holds them, as they are shown, and which of them can be addressed.

A disk holds bytes. What is UTF-8 in NFC, or in NFD (copied by hand from a Mac), and keeps the rules of
`ftpsvc.paths` is shown in NFC and can be addressed; the NFC spelling wins where a directory has both. Everything else
is listed in an escaped form with a note. The escaped form always has a backslash, which no usable name has, and
different names never share one: listings can be ordered, and gone on with, by what is shown.
"""

from __future__ import annotations

import os
import sys
import unicodedata
from typing import Final, NamedTuple

from ftpsvc.confine import Directory
from ftpsvc.exceptions import InvalidPath
from ftpsvc.paths import check_name, twin_key

HIDDEN: Final = ".ftpsvc"
"""The server's own folder at the top of a volume, under any spelling that a file system may take for it."""

# What os.scandir returns is text already; only where Python decodes names as something else it is decoded anew.
_NAMES_ARE_UTF8: Final = sys.getfilesystemencoding() in ("utf-8", "utf8")

_ESCAPED_CATEGORIES: Final = frozenset({"Cc", "Cf", "Zl", "Zp", "Mn", "Mc", "Me"})


class Shown(NamedTuple):
    """A name on disk and how it is listed.

    Attributes:
        text: What is shown, unique in its directory.
        raw: The bytes on the disk.
        note: Why it cannot be addressed, or None.
    """

    text: str
    raw: bytes
    note: str | None


def is_hidden(parts: tuple[str, ...]) -> bool:
    """Returns whether a path is the server's own folder or lies in it."""
    if not parts:
        return False
    name = parts[0]
    if name.isascii():
        return len(name) == len(HIDDEN) and name.lower() == HIDDEN
    # HFS+ ignores format characters in names and compares without case; APFS and ext4 with casefold do the latter.
    bare = "".join(char for char in name if unicodedata.category(char) != "Cf")
    return twin_key(bare) == HIDDEN


def other_spelling(name: str) -> bytes | None:
    """Returns the NFD spelling of a name in NFC as bytes, or None where there is no other."""
    if name.isascii():
        return None
    decomposed = unicodedata.normalize("NFD", name)
    return None if decomposed == name else decomposed.encode()


def show(directory: Directory, found: str) -> Shown:
    """Returns how an entry of `directory` is listed.

    Args:
        directory: Where it is; asked whether an NFC twin of an NFD name is there.
        found: The name as `Directory.scan` gave it.
    """
    if found.isascii() and found.isprintable() and "\\" not in found:
        return Shown(found, found.encode(), None)
    raw = os.fsencode(found)
    text = found if _NAMES_ARE_UTF8 else raw.decode("utf-8", "surrogateescape")
    try:
        name = check_name(text)
    except InvalidPath as problem:
        note = "it is not UTF-8" if any("\udc80" <= char <= "\udcff" for char in text) else problem.reason
        return Shown(_escaped(text), raw, note)
    if name != text:
        if raw != other_spelling(name):
            return Shown(_escaped(text), raw, "its Unicode spelling is neither NFC nor NFD")
        try:
            directory.lstat(name.encode())
        except OSError:
            pass
        else:
            return Shown(_escaped(text), raw, "the same name in another Unicode spelling stands before it")
    return Shown(name, raw, None)


def _escaped(text: str) -> str:
    escaped = "".join(map(_escape, text))
    if "\\" not in escaped:  # a spelling without marks: everything that is not ASCII is shown by number
        escaped = text.encode("ascii", "backslashreplace").decode()
    return escaped


def _escape(char: str) -> str:
    code = ord(char)
    if char == "\\":
        return "\\\\"
    if 0xDC80 <= code <= 0xDCFF:  # a byte that is not UTF-8
        return f"\\x{code - 0xDC00:02x}"
    if unicodedata.category(char) in _ESCAPED_CATEGORIES:
        return f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"
    return char
