"""Lines as words and back, for any names."""

from __future__ import annotations

import shlex
import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ftpsvc_client.cli.words import escaped, quoted, scan, split
from tests.helpers.counts import count

NAMES = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=30)
TRICKY = st.text(st.sampled_from("a \\'\"$`!~*#;&|<>()[]{}\t世"), min_size=1, max_size=12)


@given(st.lists(NAMES | TRICKY, max_size=5), st.booleans())
def test_quoted_words_are_read_back(words: list[str], escapes: bool) -> None:
    line = " ".join(quoted(word, escapes=escapes) for word in words)
    assert split(line, escapes=escapes) == words


@given(st.lists(NAMES | TRICKY, max_size=5))
def test_quoted_words_mean_the_same_to_shlex(words: list[str]) -> None:
    assert shlex.split(" ".join(quoted(word, escapes=True) for word in words)) == words


@given(TRICKY | NAMES)
def test_a_finished_line_is_read_as_shlex_reads_it(line: str) -> None:
    try:
        expected = shlex.split(line)
    except ValueError:
        return
    if '"' in line and ("\\$" in line or "\\`" in line):
        return  # shlex keeps these backslashes within quotation marks, shells do not
    if any(char.isspace() and char not in " \t\r\n" for char in line):
        return
    assert split(line, escapes=True) == expected


@given(st.lists(NAMES | TRICKY, min_size=1, max_size=4), st.data(), st.booleans())
def test_a_line_cut_anywhere_still_gives_its_finished_words(
    words: list[str], data: st.DataObject, escapes: bool
) -> None:
    line = " ".join(quoted(word, escapes=escapes) for word in words)
    cut = data.draw(st.integers(0, len(line)))
    found = scan(line[:cut], escapes=escapes)
    assert found.complete == words[: len(found.complete)]
    assert 0 <= found.start <= cut
    if found.start < cut:
        assert words[len(found.complete)].startswith(found.last)


def test_on_windows_a_backslash_is_part_of_a_path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.name", "nt")
    assert split(r"put C:\Users\me\a.txt") == ["put", r"C:\Users\me\a.txt"]
    assert split(r'put "C:\My Files\a b.txt" --to x') == ["put", r"C:\My Files\a b.txt", "--to", "x"]
    assert split(quoted(r"C:\My Files\it's")) == [r"C:\My Files\it's"]
    assert scan(r"put C:\Us").last == r"C:\Us"


def test_what_is_open_is_an_error_when_the_line_is_finished() -> None:
    with pytest.raises(ValueError, match="not closed"):
        split("put 'a")
    assert split("a\\") == ["a"]
    assert split("") == []
    assert split("  '' ") == [""]


@pytest.mark.parametrize("quote", ["", "'", '"'])
def test_bash_reads_what_completion_writes(quote: str) -> None:
    names = [
        "a b",
        "it's",
        'say "x"',
        "$x",
        "`x`",
        "a\\b",
        "~x",
        "#x",
        "a;b&c|d",
        "(x)",
        "世 界",
        "[a]*?",
        "x{1,2}",
    ]
    line = " ".join(quote + escaped(name, quote) + quote for name in names[: count(13, 13)])
    done = subprocess.run(
        ["bash", "--norc", "-c", f"printf '%s\\n' {line}"],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert done.stdout.splitlines() == names
