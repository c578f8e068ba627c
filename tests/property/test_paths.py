"""RemotePath: whatever text comes, the value keeps the rules of docs/protocol.md section 4, or there is none."""

import unicodedata

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from ftpsvc.exceptions import InvalidPath
from ftpsvc.paths import (
    MAX_DEPTH,
    MAX_NAME_BYTES,
    MAX_PATH_BYTES,
    ROOT,
    RemotePath,
    check_name,
    is_addressable,
    portability_problem,
    twin_key,
)
from tests.helpers.names import REFUSED, USABLE

# Any text at all, and text made mostly of what has a meaning in paths.
ANY = st.text(max_size=80)
PATHLIKE = st.lists(
    st.sampled_from(
        ["/", "//", ".", "..", "a", "b", "é", "e\u0301", " ", "C:", "\\", "\0", "...", "x" * 100, "\ud800"]
    ),
    max_size=60,
).map("".join)
SURROGATES = st.text(st.characters(codec=None, exclude_categories=()), max_size=20)
TEXT = ANY | PATHLIKE | SURROGATES
NAMES = st.sampled_from(USABLE)


def parsed(text: str, base: RemotePath | None = None) -> RemotePath:
    try:
        return RemotePath.parse(text, base)
    except InvalidPath:
        assume(False)
        raise


def assert_sound(path: RemotePath) -> None:
    assert len(path.parts) <= MAX_DEPTH
    assert len(str(path).encode()) <= MAX_PATH_BYTES
    for part in path.parts:
        assert part not in ("", ".", "..")
        assert not set("/\\\0\n\r\x1b\x7f\x85") & set(part)
        assert unicodedata.is_normalized("NFC", part)
        assert 1 <= len(part.encode()) <= MAX_NAME_BYTES


@given(TEXT)
@example("/" + "a/" * MAX_DEPTH)
@example("\u0958" * 85)  # longer in NFC than before: 255 bytes become 510
@example("a/../" * 500 + "b")
def test_whatever_is_parsed_keeps_every_rule(text: str) -> None:
    assert_sound(parsed(text))


@given(TEXT)
def test_parsing_what_was_shown_changes_nothing(text: str) -> None:
    path = parsed(text)
    assert RemotePath.parse(str(path)) == path


@given(TEXT, st.lists(NAMES, max_size=5))
def test_relative_text_is_the_same_as_the_absolute_text(text: str, names: list[str]) -> None:
    base = parsed("/" + "/".join(names))
    assume(text and not text.startswith("/"))
    assert parsed(text, base) == RemotePath.parse(f"{base}/{text}")


@given(st.lists(st.sampled_from(["..", ".", "a", ""]), max_size=30))
def test_c15_dots_never_leave_the_root(components: list[str]) -> None:
    depth = 0
    escapes = False
    for component in components:
        depth += {"..": -1, "a": 1}.get(component, 0)
        escapes = escapes or depth < 0
    text = "/" + "/".join(components)
    if escapes:
        with pytest.raises(InvalidPath, match="leaves the root"):
            RemotePath.parse(text)
    else:
        assert RemotePath.parse(text).parts == ("a",) * depth


@given(st.lists(NAMES, max_size=4), st.lists(NAMES, max_size=4), st.lists(NAMES, max_size=4))
def test_c17_beneath_is_told_by_whole_components(one: list[str], two: list[str], three: list[str]) -> None:
    base, other = parsed("/" + "/".join(one)), parsed("/" + "/".join(two))
    below = base.join(parsed("/" + "/".join(three)))
    assert below.starts_with(base)
    assert other.starts_with(base) == (f"{other}/".startswith(f"{base}/") or base.is_root)


@given(TEXT)
def test_a_name_is_checked_the_same_alone_and_in_a_path(name: str) -> None:
    assume("/" not in name and name not in ("", ".", ".."))
    try:
        alone: str | None = check_name(name)
    except InvalidPath:
        alone = None
    try:
        path: RemotePath | None = RemotePath.parse(name)
    except InvalidPath:
        path = None
    assert (alone is None) == (path is None)
    assert path is None or path.parts == (alone,)
    assert is_addressable(name) == (alone is not None)


@given(SURROGATES)
def test_a_refusal_can_always_be_sent_and_shown(name: str) -> None:
    try:
        RemotePath.parse(name)
    except InvalidPath as caught:
        problem = caught
    else:
        return
    assert len(problem.name.encode()) <= 120 * 10
    assert str(problem).isprintable()


@given(NAMES, NAMES)
def test_twins_have_the_same_key_whatever_their_form(one: str, other: str) -> None:
    for form in ("NFC", "NFD"):
        assert twin_key(unicodedata.normalize(form, one)) == twin_key(one)
    if one.casefold() == other.casefold():
        assert twin_key(one) == twin_key(other)


@pytest.mark.parametrize("name", USABLE)
def test_c30_usable_names_are_usable(name: str) -> None:
    path = RemotePath.parse(f"/dir/{name}")
    assert path.parts == ("dir", unicodedata.normalize("NFC", name))
    assert RemotePath.parse("/dir").child(name) == path
    assert_sound(path)


@pytest.mark.parametrize("name", REFUSED)
def test_c30_refused_names_are_refused(name: str) -> None:
    with pytest.raises(InvalidPath):
        check_name(name)
    with pytest.raises(InvalidPath):
        ROOT.child(name)
    assert not is_addressable(name)


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("/etc/passwd", ("etc", "passwd")),
        ("//x", ("x",)),
        ("///etc//passwd/", ("etc", "passwd")),
        ("/C:x", ("C:x",)),
        ("/", ()),
        (".", ("home",)),
        ("..", ()),
        ("../ab", ("ab",)),
        ("./-rf", ("home", "-rf")),
    ],
)
def test_c14_absolute_text_starts_at_the_sessions_root(text: str, parts: tuple[str, ...]) -> None:
    assert RemotePath.parse(text, RemotePath(("home",))).parts == parts


@pytest.mark.parametrize("text", ["C:\\x", "\\\\host\\s", "\\etc", "..\\..\\x", "a\\..\\b", "\\\\?\\C:\\x"])
def test_c14_backslashes_are_refused_not_guessed_at(text: str) -> None:
    with pytest.raises(InvalidPath):
        RemotePath.parse(text)


@pytest.mark.parametrize("neighbour", ["ab", "a b", "a.", "A", "a-", "aa"])
def test_c17_neighbours_by_prefix_are_no_children(neighbour: str) -> None:
    home = RemotePath(("users", "a"))
    assert not RemotePath(("users", neighbour, "x")).starts_with(home)
    assert RemotePath(("users", "a", "x")).starts_with(home)


def test_limits_are_inclusive() -> None:
    deepest = RemotePath.parse("/" + "/".join("a" * MAX_DEPTH))
    with pytest.raises(InvalidPath, match="deep"):
        deepest.child("a")
    with pytest.raises(InvalidPath, match="deep"):
        deepest.join(RemotePath(("a",)))
    full = "/" + "/".join(["x" * 255] * 16)
    assert len(full) == MAX_PATH_BYTES
    longest = RemotePath.parse(full)
    with pytest.raises(InvalidPath, match="longer than"):
        longest.child("y")
    with pytest.raises(InvalidPath, match="longer than"):
        RemotePath.parse(full + "/")
    # Bytes count, not characters.
    with pytest.raises(InvalidPath, match="longer than"):
        RemotePath.parse("/" + "/".join(["世" * 85] * 20))


def test_an_enormous_name_is_refused_with_a_short_message() -> None:
    with pytest.raises(InvalidPath) as caught:
        RemotePath.parse("\x1b" * 300_000)
    assert len(str(caught.value)) < 1000


def test_the_root() -> None:
    assert ROOT.is_root
    assert ROOT.name == ""
    assert ROOT.parent == ROOT
    assert str(ROOT) == "/"
    assert RemotePath.parse("/a/..") == ROOT
    assert ROOT.join(ROOT) == ROOT
    assert RemotePath(("a", "b")).parent == RemotePath(("a",))
    assert RemotePath(("a", "b")).name == "b"


def test_order_is_by_components() -> None:
    # "-" sorts before "/": by text, "/a-b" would come between "/a" and what is in it.
    paths = [RemotePath(("a-b",)), RemotePath(("a", "x")), RemotePath(("a",))]
    assert list(map(str, sorted(paths))) == ["/a", "/a/x", "/a-b"]


@pytest.mark.parametrize(
    ("name", "portable"),
    [
        ("report.txt", True), ("café", True), ("...x", True), ("console", True), ("com10", True), ("世" * 85, True),
        ("CON", False), ("con.txt", False), ("Nul", False), ("COM¹", False), ("aux .c", False), ("a:b", False),
        ("a?", False), ("a*", False), ('"', False), ("<", False), ("|", False), ("dot.", False), ("space ", False),
    ],
)  # fmt: skip
def test_c30_names_that_other_systems_cannot_hold(name: str, portable: bool) -> None:
    assert (portability_problem(name) is None) == portable
