"""Which dialects there are, and how a teacher adds one."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from pathlib import Path
from typing import Final, Literal, TypeAlias

from ftpsvc.exceptions import ConfigError
from ftpsvc.homework.kit.base_profile import BaseProfile, FullProfile
from ftpsvc.homework.kit.declared import DeclarationError, Declared
from ftpsvc.homework.kit.dialect import Dialect
from ftpsvc.homework.kit.said import said
from ftpsvc.homework.kit.student import BareJsonCodes, DelimitedText, PaddedJsonCodes, StructJson
from ftpsvc.text import printable

Profile: TypeAlias = Literal["base", "full"]
"""base: the points of the rubric that section 9 of the protocol has; full: all that can be measured."""

PROFILES: Final[tuple[Profile, ...]] = ("base", "full")

DIALECTS: Final[Mapping[str, type[Dialect]]] = {
    one.name: one for one in (BaseProfile, StructJson, BareJsonCodes, PaddedJsonCodes, DelimitedText)
}


def speaks(wanted: str | None, profile: Profile, declared: Declared) -> Dialect:
    """Returns the dialect of a hand-in.

    Args:
        wanted: What whoever judges says: a name, or the path of a file with a dialect; None leaves it to the hand-in.
        profile: What is asked of the server.
        declared: What the hand-in says; it names none but those that there are.

    Raises:
        ConfigError: What is wanted is none.
        DeclarationError: What the hand-in says is none, or does not fit it.
    """
    if wanted is None:
        name = declared.dialect or BaseProfile.name
        if name not in DIALECTS:
            text = said("there is no {key}, but {keys}", key=printable(repr(name)), keys=", ".join(DIALECTS))
            raise DeclarationError(said("{where}: {reason}", where="dialect", reason=text))
        made = DIALECTS[name]
    elif wanted in DIALECTS:
        made = DIALECTS[wanted]
    else:
        made = _from_file(Path(wanted))
    if made is BaseProfile and profile == "full":
        made = FullProfile
    return made(declared)


def _from_file(path: Path) -> type[Dialect]:
    """Returns the dialect that a teacher's file defines: it is code, and run as that."""
    if not path.is_file():
        raise ConfigError(
            f"there is no dialect {path}", hint=f"there are {', '.join(DIALECTS)}, and files that define one"
        )
    spec = importlib.util.spec_from_file_location("ftpsvc_dialect", path)
    if spec is None or spec.loader is None:
        raise ConfigError(f"{path}: a dialect is a Python file")
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        raise ConfigError(f"{path}: {type(error).__name__}: {error}") from error
    found = [
        one
        for one in vars(module).values()
        if isinstance(one, type) and issubclass(one, Dialect) and one.__module__ == module.__name__
    ]
    if len(found) != 1 or not isinstance(getattr(found[0], "name", None), str):
        raise ConfigError(
            f"{path}: it has to define one dialect, with a name", hint="docs/kit.md has one to begin with"
        )
    return found[0]
