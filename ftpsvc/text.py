"""How names and numbers are shown to a person: escaped, short, and unable to drive a terminal.

Source: docs/protocol.md section 4.4 (names that are shown), docs/design.md ("Errors").
"""

from __future__ import annotations

import unicodedata

# Cc: control. Cf: format, among them the bidirectional overrides that make "gpj.exe" read "exe.jpg".
# Cs: lone surrogates (bytes on disk that are no UTF-8). Zl, Zp: line and paragraph separators.
_ESCAPED_CATEGORIES = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
_SHORT = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}
_UNITS = ("B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB")


def printable(text: str) -> str:
    r"""Returns `text` with everything escaped that could drive or mislead a terminal.

    Control and format characters (ESC, newlines, right-to-left overrides) become `\x1b`, `\n`,
    `\u202e`; an undecodable byte kept by Python as a lone surrogate becomes `\xff`, its value.
    Backslashes stay as they are: the result is for reading, not for parsing back.
    """
    if text.isascii() and text.isprintable():
        return text
    return "".join(
        _escape(char) if unicodedata.category(char) in _ESCAPED_CATEGORIES else char for char in text
    )


def encodable(text: str) -> str:
    r"""Returns `text` as UTF-8 can hold it: with its lone surrogates escaped, an undecodable byte as `\xff`."""
    return "".join(_escape(char) if "\ud800" <= char <= "\udfff" else char for char in text)


def quoted(text: str) -> str:
    r"""Returns `text` in quotation marks and printable as a whole: for a message about a name that is refused.

    Unlike `repr` it doubles no backslash, so that a Windows path stays what was typed. Unlike `printable` it escapes
    blanks other than the space, too, and characters that mean nothing.
    """
    return "'" + "".join(char if char.isprintable() else _escape(char) for char in text) + "'"


def _escape(char: str) -> str:
    if char in _SHORT:
        return _SHORT[char]
    code = ord(char)
    if 0xDC80 <= code <= 0xDCFF:  # surrogateescape: the byte itself says more than the surrogate
        code -= 0xDC00
    if code <= 0xFF:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"


def format_size(size: int) -> str:
    """Returns a number of bytes as a person reads it: `0 B`, `1023 B`, `1.0 KiB`, `2.5 GiB`."""
    if abs(size) < 1024:
        return f"{size} B"
    value = float(size)
    unit = 0
    # 1023.95 would print as "1024.0": step up one unit before it rounds over.
    while abs(value) >= 1023.95 and unit < len(_UNITS) - 1:
        value /= 1024
        unit += 1
    return f"{value:.1f} {_UNITS[unit]}"


def grouped_hex(digits: str) -> str:
    """Returns hex digits as people compare them: upper case, a colon after each byte."""
    return ":".join(digits[start : start + 2] for start in range(0, len(digits), 2)).upper()


def count(number: int, noun: str) -> str:
    """Returns `1 file` or `2 files`: a count with its noun, plural by adding an s."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def width(text: str) -> int:
    """Returns how many columns of a terminal a text takes: East Asian wide characters take two, combining ones none."""
    if text.isascii():
        return len(text)
    return sum(
        0
        if unicodedata.combining(char) or unicodedata.category(char) in ("Mn", "Me")
        else 2
        if unicodedata.east_asian_width(char) in "WF"
        else 1
        for char in text
    )


def padded(text: str, columns: int, *, right: bool = False) -> str:
    """Returns a text with blanks up to so many columns; longer text stays as it is."""
    blanks = " " * max(0, columns - width(text))
    return blanks + text if right else text + blanks
