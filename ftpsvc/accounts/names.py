"""What a user may be called: a name that is a folder on every system, and that no other name can be taken for.

Source: docs/accounts.md ("Names"), case C29.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Final

from ftpsvc.credentials import Kind, LoginName
from ftpsvc.exceptions import InvalidPath
from ftpsvc.paths import check_name, portability_problem
from ftpsvc.scram import prepared

MAX_USER_NAME: Final = 64
"""Characters."""

_MARKS: Final = frozenset("._-@+ ")
_ASCII = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_@+ .-]*[A-Za-z0-9_@+-])?")

# Letters and marks that are drawn as nothing, or as a blank (Unicode's Default_Ignorable_Code_Point), as far as SCRAM's
# preparation lets them through.
_INVISIBLE: Final = frozenset("\u115f\u1160\u17b4\u17b5")

# Unicode's own name of a letter begins with its script, which Python shows nowhere else.
_EAST_ASIAN: Final = frozenset({"CJK", "HIRAGANA", "KATAKANA", "KATAKANA-HIRAGANA", "HANGUL", "BOPOMOFO"})

# Letters of other scripts that look like a Latin one in common fonts: a name written wholly in them passes the rule
# against mixing scripts. After Unicode's confusables (UTS 39), the ones that make whole words.
_LATIN: Final = "ɑɡı", "agi"
_CYRILLIC: Final = "аеорсухіјѕԁԛԝһкмтвнгпӏ", "aeopcyxijsdqwhkmtbhrnl"
_GREEK: Final = "αβεζηικμνορτυχγωϲϳ", "abezhikmvoptyxywcj"
_ARMENIAN: Final = "օոսցհյզ", "onughjq"
_LOOK_ALIKES: Final = {
    ord(other): latin
    for others, latins in (_LATIN, _CYRILLIC, _GREEK, _ARMENIAN)
    for other, latin in zip(others, latins, strict=True)
}


def check_user_name(name: str) -> str:
    """Returns a user name in NFC, or refuses it.

    Allowed are letters of one script (Latin beside Chinese, Japanese and Korean counts as one), the digits 0 to 9 and
    `. _ - @ +` and spaces between them, at most `MAX_USER_NAME` characters.

    Raises:
        InvalidPath: It cannot be a user name; the error says why.
    """
    name = check_name(name)  # NFC, no slash, backslash or control character, 1 to 255 bytes
    if len(name) > MAX_USER_NAME:
        raise InvalidPath(name, f"a user name has at most {MAX_USER_NAME} characters")
    if ".." in name:
        raise InvalidPath(name, "a user name has no two dots in a row")
    if not _ASCII.fullmatch(name):
        _check_letters(name)
    if problem := portability_problem(name):
        raise InvalidPath(name, problem)
    # It must come out of SCRAM's own preparation as it went in, in each of its forms: else nobody could log in.
    for login in (LoginName(name), LoginName(name, Kind.CODE), LoginName(name, Kind.TOKEN, "A")):
        if not name.isascii() and prepared(str(login)) != str(login):
            raise InvalidPath(
                name, "it has characters that no log-in can carry; keep them for the display name"
            )
    return name


def _check_letters(name: str) -> None:
    scripts = set()
    for char in name:
        category = unicodedata.category(char)
        if char in _MARKS or "0" <= char <= "9":
            continue
        if char in _INVISIBLE:
            raise InvalidPath(name, "it has a letter that nobody sees")
        if category[0] == "L":
            scripts.add(unicodedata.name(char, "UNKNOWN").split()[0])
        elif category not in ("Mn", "Mc"):
            raise InvalidPath(name, "a user name has letters, digits, spaces and . _ - @ + only")
    if name[0] in " .-@+" or unicodedata.category(name[0])[0] == "M":
        raise InvalidPath(name, "a user name begins with a letter, a digit or _")
    if name[-1] in " .":
        raise InvalidPath(name, "a user name does not end with a dot or space")
    if len(scripts - _EAST_ASIAN - {"LATIN"}) > (0 if scripts & (_EAST_ASIAN | {"LATIN"}) else 1):
        raise InvalidPath(name, "its letters are of several scripts, so that it could pass for another name")


def confusion_key(name: str) -> str:
    """Returns what two user names share that a person or a file system may take for one.

    They are folded by NFKC, case, accents kept, letters of other scripts that look Latin, and runs of spaces.
    """
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).casefold())
    return " ".join(folded.translate(_LOOK_ALIKES).split())
