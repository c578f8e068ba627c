"""CASES C29 as far as it concerns what exists: there are no users yet, but any name may become a directory's.

What an account may be called is a rule of the accounts; that such a name cannot lead elsewhere is one of paths.
"""

from __future__ import annotations

import itertools
import unicodedata

import pytest

from ftpsvc.exceptions import InvalidPath
from ftpsvc.paths import RemotePath
from ftpsvc.text import printable

HOMES = RemotePath(("users",))
REFUSED = [
    "",
    ".",
    "..",
    "/",
    "a/b",
    "../b",
    "a\\b",
    "a\nb",
    "a\x00",
    "\x1b[2J",
    "x" * 300,
    "é" * 128,
    "\ud800",
]
LOOK_ALIKES = [
    "alice", "Alice", "ALICE", "аlice", "аlісе", "alicе", "ａlice", "al\u0131ce", "al\u0456ce", "a1ice", "alice.",
    "alice ", " alice", "ali\u200dce", "\u202ealice", "alice\u00ad", "ali\u0441e", "ﬁ", "fi", "ß", "ss", "K", "\u212ak",
]  # fmt: skip
ODD = ["a|b", "a b", "a#b", "-rf", "$(id)", "a'b", 'a"b', "~", "%2e%2e", "CON", "😀", "名前", "x" * 255]


@pytest.mark.parametrize("name", REFUSED, ids=ascii)
def test_c29_a_name_that_could_lead_elsewhere_is_refused(name: str) -> None:
    with pytest.raises(InvalidPath) as caught:
        HOMES.child(name)
    assert str(caught.value).isprintable()


@pytest.mark.parametrize("name", LOOK_ALIKES + ODD, ids=ascii)
def test_c29_every_other_name_is_one_component_beneath_its_directory(name: str) -> None:
    home = HOMES.child(name)
    assert home.parts == ("users", unicodedata.normalize("NFC", name))
    assert RemotePath.parse(str(home)) == home
    assert home.parent == HOMES


def test_c17_c29_look_alikes_and_neighbours_are_different_directories() -> None:
    for one, other in itertools.combinations(LOOK_ALIKES + ODD, 2):
        if unicodedata.normalize("NFC", one) == unicodedata.normalize("NFC", other):
            continue
        mine, theirs = HOMES.child(one), HOMES.child(other)
        assert mine != theirs
        assert not mine.starts_with(theirs)
        assert not mine.child("x").starts_with(theirs)


@pytest.mark.parametrize("name", ["\u202ealice", "ali\u200dce", "alice\u00ad"], ids=ascii)
def test_c29_what_cannot_be_seen_in_a_name_is_shown_escaped(name: str) -> None:
    assert printable(name) != name
    assert printable(name).isprintable()
