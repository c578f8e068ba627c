"""C29: what a user may be called."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ftpsvc.accounts.names import MAX_USER_NAME, check_user_name, confusion_key
from ftpsvc.credentials import LoginName
from ftpsvc.exceptions import FtpsvcError, InvalidPath
from ftpsvc.paths import RemotePath, check_name, portability_problem, twin_key
from ftpsvc.scram import ClientLogin

GOOD = [
    "alice", "a", "ab", "a b", "A", "_x", "2026001", "o.k", "a-b", "me@school.example", "a+b", "张三",
    "王小明2", "山田たろう", "김철수", "émile", "Ærø", "мария", "ελένη", "張san", "x" * 64,
]  # fmt: skip
BAD = [
    "", ".", "..", "a/b", "/", "../x", "a\\b", "a..b", "a|b", "a#b", "#code", "alice#code", "a\nb", "a\tb",
    "a\x00b", "\x1b[2J", " a", "a ", "a.", ".a", "-a", "@a", "+a", "x" * 65, "x" * 300, "é" * 65, "CON",
    "con", "nul.x", "COM1", "a:b", "a*", "a?", "a\"", "<a>", "a,b", "a=b", "$HOME", "a;b", "a'b", "a`b",
    "a&b", "%s", "\u202ealice", "al\u200dice", "a\xa0b", "ａlice", "ﬁsh", "①", "alice²", "😀", "a😀",
    "\u0301a", "аlice", "aliсe", "Αlice", "pаypal", "раypal", "שלום", "علي", "\ud800", "a\u3000b", "ـ", "١٢٣",
    "мaрия", "ελενηя", "alice\u1160", "ali\u115fce", "alice\u17b4", "ali\u17b5ce",
]  # fmt: skip


@pytest.mark.parametrize("name", GOOD)
def test_c29_names_that_people_have(name: str) -> None:
    assert check_user_name(name) == name
    ClientLogin(LoginName(name), "x")


@pytest.mark.parametrize("name", BAD, ids=ascii)
def test_c29_names_that_nobody_gets(name: str) -> None:
    with pytest.raises(InvalidPath):
        check_user_name(name)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("alice", "Alice"),
        ("gail", "ɡɑıl"),
        ("alice", "ALICE"),
        ("alice", "ａｌｉｃｅ"),
        ("e\u0301mile", "émile"),
        ("straße", "STRASSE"),
        ("сосо", "coco"),
        ("ΑΒΕ", "abe"),
        ("a b", "a  b"),
        ("ﬁsh", "fish"),
    ],
)
def test_c29_names_that_could_be_taken_for_one_another(one: str, other: str) -> None:
    assert confusion_key(one) == confusion_key(other)


def test_c29_c17_names_that_are_different() -> None:
    names = ["a", "ab", "a b", "a-b", "a_b", "b", "1", "张三", "张四", "émile", "emile"]
    assert len({confusion_key(name) for name in names}) == len(names)


def test_the_same_name_in_another_form_is_kept_in_nfc() -> None:
    assert check_user_name("e\u0301mile") == "émile"


@given(st.text(max_size=80) | st.text("abcABC019._-@+ #/|\\.\n张三éжλ", max_size=70))
def test_c29_every_name_that_is_taken_is_a_folder_and_can_log_in(name: str) -> None:
    try:
        taken = check_user_name(name)
    except FtpsvcError:
        return
    assert taken == unicodedata.normalize("NFC", name)
    assert 0 < len(taken) <= MAX_USER_NAME
    assert check_name(taken) == taken
    assert portability_problem(taken) is None
    assert RemotePath.parse(f"/users/{taken}").parts == ("users", taken)
    assert not set("#/|\\\n\0") & set(taken)
    assert ".." not in taken
    assert LoginName.parse(taken) == LoginName(taken)
    assert ClientLogin(LoginName(taken), "x").first().split(",")[2] == f"n={taken}"
    assert check_user_name(taken) == taken


@given(st.text("abAB.é张 ｂＢ", min_size=1, max_size=6), st.text("abAB.é张 ｂＢ", min_size=1, max_size=6))
def test_c29_twins_for_a_file_system_are_twins_here(one: str, other: str) -> None:
    if twin_key(one) == twin_key(other):
        assert confusion_key(one) == confusion_key(other)
