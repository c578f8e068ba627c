r"""A line as words and back: for lines typed at our own prompt, and for those that bash asks us to complete.

POSIX form: blanks separate words, quotes of either kind hold them together, a backslash takes the next character as it
is. On Windows a backslash is what separates the parts of a path, and means nothing else.
"""

from __future__ import annotations

import os
from typing import NamedTuple

_SAFE = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-./,+@%:=")
_BLANKS = " \t\r\n"


class Words(NamedTuple):
    """A line that may not be finished.

    Attributes:
        complete: The words before the last one.
        last: The last word as far as it was typed, without quotes; empty where a new one begins.
        start: Where in the line the last word starts, with its quotes.
        quote: The quotation mark that is open at the end, or an empty string.
    """

    complete: list[str]
    last: str
    start: int
    quote: str


def scan(line: str, *, escapes: bool | None = None) -> Words:
    """Takes a line apart, whether it is finished or not.

    Args:
        line: The line.
        escapes: Whether a backslash takes the next character as it is; None is yes, but not on Windows.
    """
    escape = "\\" if (os.name != "nt" if escapes is None else escapes) else ""
    words: list[str] = []
    word, start, quote = "", len(line), ""
    inside = False
    position = 0
    while position < len(line):
        char = line[position]
        if not inside and char not in _BLANKS:
            inside, start, word = True, position, ""
        if quote:
            if char == quote:
                quote = ""
            elif (
                char == escape and quote == '"' and line[position + 1 : position + 2] in ('"', "\\", "$", "`")
            ):
                position += 1
                word += line[position]
            else:
                word += char
        elif char in _BLANKS:
            if inside:
                words.append(word)
                inside, word, start = False, "", len(line)
        elif char in "\"'":
            quote = char
        elif char == escape:
            position += 1
            word += line[position : position + 1]
        else:
            word += char
        position += 1
    return Words(words, word if inside else "", start, quote)


def split(line: str, *, escapes: bool | None = None) -> list[str]:
    """Returns the words of a finished line.

    Raises:
        ValueError: A quotation mark is not closed.
    """
    words = scan(line, escapes=escapes)
    if words.quote:
        raise ValueError(f"the quotation mark {words.quote} is not closed")
    return words.complete if words.start == len(line) else [*words.complete, words.last]


def quoted(word: str, *, escapes: bool | None = None) -> str:
    """Returns a word so that `split` gives it back: as it is where that will do, else in quotes.

    Where a backslash means nothing, a word with quotation marks of both kinds is put together of pieces.
    """
    if word and _is_safe(word):
        return word
    if "'" not in word:
        return f"'{word}'"
    return "'" + word.replace("'", "'\"'\"'") + "'"


def escaped(word: str, quote: str) -> str:
    """Returns a piece of a word as bash wants it behind an opened `quote`, or with none open."""
    if quote == "'":
        return word.replace("'", "'\\''")
    if quote == '"':
        return "".join("\\" + char if char in '"\\$`' else char for char in word)
    return "".join(char if char in _SAFE or not char.isascii() else "\\" + char for char in word)


def _is_safe(word: str) -> bool:
    return all(char in _SAFE or (not char.isascii() and char.isprintable()) for char in word)
