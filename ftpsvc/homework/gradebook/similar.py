"""Which hand-ins are alike: by copydetect (MOSS's winnowing over tokens, so new names and comments hide nothing).

copydetect is an optional part (`ftpsvc[similar]`). What it finds is a reason to look, and proves nothing. Every text
in the report is a student's: it is escaped, and the page runs and loads nothing.
"""

from __future__ import annotations

import io
import os
from collections.abc import Iterable, Sequence, Set
from dataclasses import dataclass
from html import escape
from itertools import combinations
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, Final

import ftpsvc
from ftpsvc.exceptions import ConfigError
from ftpsvc.text import count, printable

if TYPE_CHECKING:
    from types import ModuleType

MAX_BYTES: Final = 256 << 10
"""Longer files are not compared: no person wrote them."""

_TOKENS: Final = 25
"""Shorter sequences are found in any two programs; copydetect's own default."""

_STYLE: Final = """
:root { color-scheme: light dark; --line: #8885; }
body { font: 15px/1.45 system-ui, sans-serif; margin: 2rem; }
table { border-collapse: collapse; }
th, td { padding: .25rem .6rem; border-bottom: 1px solid var(--line); text-align: left; }
.two { display: grid; grid-template-columns: 1fr 1fr; gap: 1rem; }
.two > div { min-width: 0; }
pre { font-size: 12px; border: 1px solid var(--line); padding: .5rem; white-space: pre-wrap; overflow-wrap: anywhere; }
mark { background: #f5c54288; color: inherit; }
"""


@dataclass(frozen=True, slots=True)
class Text:
    """A file of somebody.

    Attributes:
        user: Whose.
        path: Where, in the hand-in.
        content: What is in it.
    """

    user: str
    path: str
    content: str


@dataclass(frozen=True, slots=True)
class Pair:
    """Two files that are alike.

    Attributes:
        first: The one.
        second: The other.
        shares: How much of each is in the other, 0 to 1.
        tokens: How much that is, in characters of what is left without names and comments.
        spots: Where, in each: beginnings and ends in the content.
    """

    first: Text
    second: Text
    shares: tuple[float, float]
    tokens: int
    spots: tuple[tuple[tuple[int, int], ...], tuple[tuple[int, int], ...]]

    @property
    def share(self) -> float:
        """The greater of both."""
        return max(self.shares)


def texts(user: str, folder: Path) -> list[Text]:
    """Returns the files of a folder that are text, and not too long, sorted by path."""
    found = []
    for where, folders, names in os.walk(folder):
        folders.sort()
        for name in sorted(names):
            path = Path(where, name)
            if path.is_symlink() or not path.is_file() or path.stat().st_size > MAX_BYTES:
                continue
            try:
                content = path.read_bytes().decode("utf-8")
            except UnicodeDecodeError:
                continue
            if "\x00" not in content:
                found.append(Text(user, path.relative_to(folder).as_posix(), content.replace("\r\n", "\n")))
    return found


def compare(given: Sequence[Text], base: Iterable[Text], threshold: float) -> list[Pair]:
    """Returns pairs of files of different users that are alike, the most alike first.

    Only files with the same ending are compared.

    Args:
        given: Everybody's files.
        base: What everybody has; what is in it does not count.
        threshold: The least share, 0 to 1.

    Raises:
        ConfigError: copydetect is not installed.
    """
    module = _copydetect()
    known: set[Any] = set()
    for text in base:
        if (of_all := _print(module, text, frozenset())) is not None:
            known |= of_all.hashes
    prints = [(text, one) for text in given if (one := _print(module, text, known)) is not None]
    found = []
    for (first, one), (second, two) in combinations(prints, 2):
        if first.user == second.user or _ending(first) != _ending(second):
            continue
        tokens, shares, spots = module.compare_files(one, two)
        pair = Pair(
            first, second, (min(1.0, float(shares[0])), min(1.0, float(shares[1]))), int(tokens),
            (_merged(spots[0], first), _merged(spots[1], second)),
        )  # fmt: skip
        if tokens and pair.share >= threshold:
            found.append(pair)
    return sorted(found, key=lambda pair: (-pair.share, -pair.tokens, pair.first.user, pair.second.user))


def _copydetect() -> ModuleType:
    os.environ.setdefault(
        "MPLBACKEND", "Agg"
    )  # it draws, which is not wanted here, and there may be no screen
    try:
        import copydetect
    except ImportError:
        raise ConfigError(
            "copydetect is not installed",
            hint=f"pip install './ftpsvc-{ftpsvc.__version__}-py3-none-any.whl[similar]', or pip install copydetect",
        ) from None
    module: ModuleType = copydetect
    return module


def _print(module: ModuleType, text: Text, known: Set[Any]) -> Any:
    """Returns copydetect's fingerprint of a file, without what is known; None of one that it can do nothing with."""
    from copydetect.utils import get_token_coverage
    from pygments.lexers import find_lexer_class_for_filename

    # Its own look at the name would write the name, which is a student's, to the terminal.
    name = f"file{_ending(text)}"
    lexer = find_lexer_class_for_filename(name)
    language = lexer.aliases[0] if lexer is not None and lexer.aliases and lexer.name != "Text only" else None
    if not text.content.strip():
        return None
    made = module.CodeFingerprint(
        name, _TOKENS, 1, filter=language is not None, language=language, fp=io.StringIO(text.content)
    )
    # Its own way to leave something out (`boilerplate`, 0.5.0) takes what a file repeats for known.
    for one in known & made.hashes:
        del made.hash_idx[one]
    made.hashes = made.hashes - known
    made.token_coverage = get_token_coverage(made.hash_idx, _TOKENS, len(made.filtered_code))
    return made


def _ending(text: Text) -> str:
    return PurePosixPath(text.path).suffix.lower()


def _merged(slices: Any, text: Text) -> tuple[tuple[int, int], ...]:
    """Returns where two files are alike, in order and without overlaps."""
    if len(slices) != 2:
        return ()
    found: list[tuple[int, int]] = []
    for start, end in sorted((int(start), int(end)) for start, end in zip(slices[0], slices[1], strict=True)):
        start, end = max(0, start), min(end, len(text.content))
        if found and start <= found[-1][1]:
            found[-1] = (found[-1][0], max(end, found[-1][1]))
        elif start < end:
            found.append((start, end))
    return tuple(found)


def page(title: str, pairs: Sequence[Pair], threshold: float) -> str:
    """Returns a page that shows pairs side by side, with what is alike marked."""
    said = f"{count(len(pairs), 'pair')} of files with at least {threshold:.0%} in common"
    parts = [
        '<!DOCTYPE html><html lang="en"><head><meta charset="utf-8">',
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">",
        f"<title>{_text(title)}</title><style>{_STYLE}</style></head><body>",
        f"<h1>{_text(title)}</h1><p>{said}. That is a reason to look, and proves nothing.</p>",
        "<table><tr><th>First</th><th>in the other</th><th>Second</th><th>in the other</th></tr>",
    ]
    for number, pair in enumerate(pairs):
        parts.append(
            f'<tr><td><a href="#p{number}">{_text(_whose(pair.first))}</a></td><td>{pair.shares[0]:.0%}</td>'
            f"<td>{_text(_whose(pair.second))}</td><td>{pair.shares[1]:.0%}</td></tr>"
        )
    parts.append("</table>")
    for number, pair in enumerate(pairs):
        parts.append(f'<h2 id="p{number}">{_text(_whose(pair.first))} and {_text(_whose(pair.second))}</h2>')
        parts.append('<div class="two">')
        for text, spots in zip((pair.first, pair.second), pair.spots, strict=True):
            parts.append(f"<div>{_text(_whose(text))}<pre>{_marked(text.content, spots)}</pre></div>")
        parts.append("</div>")
    return "\n".join([*parts, "</body></html>"]) + "\n"


def _whose(text: Text) -> str:
    return f"{text.user}: {text.path}"


def _marked(content: str, spots: Iterable[tuple[int, int]]) -> str:
    out, at = [], 0
    for start, end in spots:
        out += [_code(content[at:start]), "<mark>", _code(content[start:end]), "</mark>"]
        at = end
    return "".join([*out, _code(content[at:])])


def _code(text: str) -> str:
    """Returns a program as HTML: its lines and tabs, and nothing that could show it in another order."""
    return "".join(one if one in "\n\t" else _text(one) for one in text)


def _text(text: str) -> str:
    return escape(printable(text))
