"""What a person is shown: nothing that drives a terminal, and numbers that read well."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ftpsvc.text import count, encodable, format_size, printable, quoted


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain.txt", "plain.txt"),
        ("", ""),
        ("世界 é 🎉", "世界 é 🎉"),
        ("a\nb\r\tc", "a\\nb\\r\\tc"),
        ("\x1b[31mred\x07", "\\x1b[31mred\\x07"),
        ("\u202egpj.exe", "\\u202egpj.exe"),
        ("a\u2028b\u2029c", "a\\u2028b\\u2029c"),
        ("\u200b\ufeff", "\\u200b\\ufeff"),
        ("\x7f\x9b", "\\x7f\\x9b"),
        (b"caf\xe9".decode("utf-8", "surrogateescape"), "caf\\xe9"),
        ("\ud800", "\\ud800"),
        ("\U000e0001", "\\U000e0001"),
        ("back\\slash", "back\\slash"),
    ],
)
def test_c21_nothing_drives_the_terminal(text: str, shown: str) -> None:
    assert printable(text) == shown


@given(st.text(st.characters(codec=None, exclude_categories=())))
def test_c21_what_is_shown_is_encodable_and_has_no_control_character(text: str) -> None:
    shown = printable(text)
    shown.encode()
    assert not {unicodedata.category(char) for char in shown} & {"Cc", "Cf", "Cs", "Zl", "Zp"}
    assert printable(shown) == shown


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (0, "0 B"), (1, "1 B"), (1023, "1023 B"), (1024, "1.0 KiB"), (1536, "1.5 KiB"), (1048524, "1023.9 KiB"),
        (1048525, "1.0 MiB"), (1 << 20, "1.0 MiB"), (5 << 30, "5.0 GiB"), ((1 << 63) - 1, "8.0 EiB"),
        (1 << 80, "1048576.0 EiB"), (-2048, "-2.0 KiB"),
    ],
)  # fmt: skip
def test_sizes_are_in_the_largest_unit_that_fits(size: int, text: str) -> None:
    assert format_size(size) == text


def test_what_is_quoted_is_shown_as_it_was_typed() -> None:
    assert quoted(r"homework\a b.txt") == r"'homework\a b.txt'"
    assert quoted("two\nlines\xa0\u0e5c") == r"'two\nlines\xa0\u0e5c'"


def test_what_utf_8_cannot_hold_is_escaped_and_nothing_else() -> None:
    assert encodable("a\\b\n\u202e世\udcff\ud800") == "a\\b\n\u202e世\\xff\\ud800"


def test_counts_agree_with_their_noun() -> None:
    assert count(0, "file") == "0 files"
    assert count(1, "file") == "1 file"
    assert count(12345, "file") == "12,345 files"
